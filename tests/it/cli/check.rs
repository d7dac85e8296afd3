//! `check`: every finding at once, each with its place.

use crate::support::{Project, table};

fn said(project: &Project, code: i32) -> String {
    let ran = project.backcast(&["check"]).exits_with(code);
    assert_eq!(ran.stderr, "", "findings are the result, on stdout");
    ran.stdout
}

#[track_caller]
fn says(project: &Project, parts: &[&str]) {
    let text = said(project, 2);
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn project_without_mistakes_passes() {
    let text = said(&super::project(), 0);
    assert!(text.ends_with("no finding: 1 sources, 1 views, 1 features, 0 snapshots\n"), "{text}");
}

#[test]
fn several_mistakes_of_the_config_are_told_in_one_pass() {
    let project = super::project()
        .config("[sources.clicks]\nuri = \"events/\"\ntime = \"ts\"\ndelay = \"5 moments\"\ndelya = \"1s\"");
    says(
        &project,
        &[
            "unknown key `delya`",
            "did you mean `delay`?",
            "5 moments",
            "delay = \"5 moments\"",
            "backcast.toml:",
            "2 errors",
        ],
    );
}

#[test]
fn mistakes_in_columns_and_in_sql_are_told_in_one_pass() {
    let project = super::project()
        .config("[sources.clicks]\nuri = \"events/\"\ntime = \"tsx\"")
        .view("on_clicks", "SELECT user_id, count(*) AS c FROM clicks GROUP BY user_id")
        .view("broken", "SELECT user_id FROM events WHERE");
    says(
        &project,
        &["source `clicks` has no column `tsx`", "did you mean `ts`?", "SQL is malformed", "broken.sql:1:", "2 errors"],
    );
}

#[test]
fn columns_that_a_snapshot_lacks_are_told_with_the_nearest() {
    let project = super::project().config("[snapshots.old]\nuri = \"events/\"\nkeys = [\"usr_id\"]\ntime = \"tsx\"");
    says(
        &project,
        &[
            "snapshot `old` has no column `usr_id`",
            "did you mean `user_id`?",
            "has no column `tsx`",
            "did you mean `ts`?",
        ],
    );
}

#[test]
fn syntax_error_has_a_caret_under_it() {
    let project = super::project().view("broken", "SELECT user_id,\n  count(* AS n\nFROM events GROUP BY user_id");
    says(&project, &["SQL is malformed", "broken.sql:2:11", "2 |   count(* AS n", "  |           ^"]);
}

#[test]
fn several_views_with_mistakes_are_told_in_one_pass() {
    let project = super::project()
        .view("a", "SELECT user_id, count(*) AS a FROM evnts GROUP BY user_id")
        .view("b", "SELECT user_id, random() AS b FROM events")
        .view("c", "SELECT user_id FROM events; SELECT 1 AS c")
        .view("d", "WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r")
        .view("e", "DELETE FROM events");
    says(
        &project,
        &[
            "there is no source or view `evnts`",
            "did you mean `events`?",
            "a.sql:1:36",
            "`random` gives another value at every call",
            "b.sql:1:17",
            "2 statements where one is wanted",
            "c.sql:1:29",
            "a recursive CTE can't be replayed",
            "d.sql:1:1",
            "a statement that writes can't be replayed",
            "5 errors",
        ],
    );
}

#[test]
fn unknown_column_is_told_with_its_place() {
    let project =
        super::project().view("w", "SELECT user_id,\n       max(tss) AS latest\nFROM events\nGROUP BY user_id");
    says(&project, &["tss", "w.sql:2:12", "2 |        max(tss) AS latest"]);
}

#[test]
fn keys_of_different_kinds_are_refused() {
    let project = super::project().view("w", "SELECT CAST(user_id AS VARCHAR) AS user_id, 1 AS one FROM events");
    says(
        &project,
        &[
            "label key `user_id` is Int64 but `user_id` of view `w` is Utf8",
            "they can't be compared",
            "w.sql:1:13",
            "CAST",
        ],
    );
}

#[test]
fn key_that_a_view_does_not_have_is_told_with_the_nearest() {
    let project =
        super::project().view_with("w", "keys = { user_id = \"usr\" }", "SELECT user_id AS user, 1 AS one FROM events");
    says(&project, &["view `w` has no column `usr`", "did you mean `user`?", "keys = { user_id = \"usr\" }"]);
}

#[test]
fn cycle_of_views_is_shown() {
    let project = super::project()
        .view("a", "SELECT user_id, x AS y FROM b")
        .view("b", "SELECT user_id, x AS z FROM c")
        .view("c", "SELECT user_id, y AS x FROM a");
    says(&project, &["views read each other in a cycle: a -> b -> c -> a", "a.sql:1:29", "[B120]"]);
}

#[test]
fn features_that_do_not_exist_are_told_with_the_nearest() {
    let sql = "SELECT user_id, max(ts) AS latest FROM events GROUP BY user_id";
    let project = super::project().view("w", sql);
    says(
        &project.config("[views.w.features.lates]\nwhen_null = 2025-03-10T00:00:00Z"),
        &["view `w` has no feature `lates`", "did you mean `latest`?", "[views.w.features.lates]"],
    );
    let project = super::project().view("w", sql).config("[models.m]\nfeatures = [\"v.n\", \"w.lates\"]");
    says(&project, &["view `w` has no feature `lates`", "did you mean `latest`?", "\"w.lates\""]);
}

#[test]
fn default_that_does_not_fit_its_feature_is_refused() {
    let project = super::project().config("[views.v.features.n]\nwhen_missing = \"none\"");
    says(&project, &["`when_missing` of `v.n`", "when_missing = \"none\""]);
}

#[test]
fn two_features_of_one_name_need_a_prefix() {
    let sql = "SELECT user_id, max(ts) AS n FROM events GROUP BY user_id";
    says(
        &super::project().view("w", sql),
        &["`v.n` and `w.n` would both be column `n` of the dataset", "prefix = \"w_\""],
    );
    said(&super::project().view_with("w", "prefix = \"w_\"", sql), 0);
}

#[test]
fn json_findings_carry_file_and_line() {
    let project = super::project().view("a", "SELECT user_id, count(*) AS a\nFROM evnts GROUP BY user_id");
    let document = project.backcast(&["check", "--format", "json"]).exits_with(2).json();
    assert_eq!(document["errors"], 1);
    let finding = &document["findings"][0];
    assert_eq!((&finding["line"], &finding["column"]), (&2.into(), &6.into()));
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["help"], "did you mean `events`?");
}

#[test]
fn check_reads_no_rows() {
    let project = super::project();
    // Two rows for a key, and a label without a time: both are told by a run only.
    crate::support::write_parquet(&project.path("labels.parquet"), &table("user_id:i64 at:us@UTC\n 1 -"));
    said(&project.view("rows", "SELECT user_id, ts AS row_ts FROM events"), 0);
}
