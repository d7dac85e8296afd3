//! Rules 5 and 6: rows in = rows out, and what there is where there is nothing.

use super::labels_at;
use crate::support::{Project, shown, table};

const LOG: &str = "time = \"ts\"";

#[test]
fn every_label_row_gives_one_row_duplicates_included_with_all_its_columns_in_order() {
    let labels = table(
        "user:str at:us@UTC         y:i64 note:str
         b        2025-03-10T12:00  1     x
         a        2025-03-10T13:00  2     -
         a        2025-03-10T12:00  9     z
         a        2025-03-10T12:00  9     z
         a        2025-03-10T12:00  -     z
         a        2025-03-10T12:00  9     -",
    );
    let events = table("user:str ts:us@UTC\n a 2025-03-10T11:00\n b 2025-03-10T11:00\n b 2025-03-10T11:00");
    let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "user"), ["a", "a", "a", "a", "b", "a"]);
    assert_eq!(shown(&dataset, "y"), ["NULL", "9", "9", "9", "1", "2"]);
    assert_eq!(shown(&dataset, "note"), ["z", "NULL", "z", "z", "x", "NULL"]);
    assert_eq!(shown(&dataset, "n"), ["1", "1", "1", "1", "2", "1"]);
}

#[test]
fn two_rows_for_a_key_are_refused_naming_view_key_time_and_count() {
    let events =
        table("user:str ts:us@UTC kind:str\n a 2025-03-10T11:00 x\n a 2025-03-10T11:00 y\n a 2025-03-10T11:00 z");
    let error = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &events)
        .view("pairs", "SELECT \"user\", kind FROM events")
        .try_dataset()
        .unwrap_err();
    for part in ["`pairs`", "3 rows", "user", "a", "2025-03-10T12:00:00Z"] {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn two_rows_for_a_key_that_no_label_asks_for_are_no_error() {
    let events =
        table("user:str ts:us@UTC kind:str\n a 2025-03-10T11:00 x\n b 2025-03-10T11:00 y\n b 2025-03-10T11:00 z");
    let project = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &events)
        .view("pairs", "SELECT \"user\", kind FROM events");
    assert_eq!(shown(&project.dataset(), "kind"), ["x"]);
}

#[test]
fn missing_row_and_null_value_have_their_own_defaults() {
    let labels = table(
        "user:str at:us@UTC
         a        2025-03-10T12:00
         b        2025-03-10T12:00
         c        2025-03-10T12:00",
    );
    let events = table("user:str ts:us@UTC x:i64\n a 2025-03-10T11:00 5\n b 2025-03-10T11:00 -");
    let sql = "SELECT \"user\", sum(x) AS total, sum(x) AS plain, sum(x) AS missing, sum(x) AS nulls FROM events
               GROUP BY \"user\"";
    let features = "[views.v.features]\ntotal = { when_missing = -1, when_null = -2 }\nmissing = { when_missing = -1 }
                    nulls = { when_null = -2 }";
    let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", LOG, &events)
        .view_with("v", features, sql)
        .dataset();
    assert_eq!(shown(&dataset, "total"), ["5", "-2", "-1"]);
    assert_eq!(shown(&dataset, "plain"), ["5", "NULL", "NULL"]);
    assert_eq!(shown(&dataset, "missing"), ["5", "NULL", "-1"]);
    assert_eq!(shown(&dataset, "nulls"), ["5", "-2", "NULL"]);
}

#[test]
fn null_keys_match_nothing_on_either_side() {
    let labels = table("user:str at:us@UTC\n - 2025-03-10T12:00\n a 2025-03-10T12:00");
    let events = table("user:str ts:us@UTC\n - 2025-03-10T11:00\n a 2025-03-10T11:00");
    let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "user"), ["NULL", "a"]);
    assert_eq!(shown(&dataset, "n"), ["NULL", "1"]);
}

#[test]
fn narrow_and_wide_integers_are_one_key() {
    let labels = table("user:i32 at:us@UTC\n 7 2025-03-10T12:00\n -1 2025-03-10T12:00");
    let events = table("user:i64 ts:us@UTC\n 7 2025-03-10T11:00\n 4294967295 2025-03-10T11:00\n -1 2025-03-10T11:00");
    let dataset = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", LOG, &events)
        .view("v", "SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\"")
        .dataset();
    assert_eq!(shown(&dataset, "user"), ["-1", "7"]);
    assert_eq!(shown(&dataset, "n"), ["1", "1"]);
}

#[test]
fn view_takes_the_label_keys_that_it_has_and_may_name_them_otherwise() {
    let labels = table("user:str shop:i64 at:us@UTC\n a 1 2025-03-10T12:00\n a 2 2025-03-10T12:00");
    let events =
        table("user:str place:i64 ts:us@UTC\n a 1 2025-03-10T11:00\n a 2 2025-03-10T11:00\n b 2 2025-03-10T11:00");
    let dataset = Project::new("keys = [\"user\", \"shop\"]\ntime = \"at\"", &labels)
        .source("events", LOG, &events)
        .view("u", "SELECT \"user\", count(*) AS by_user FROM events GROUP BY \"user\"")
        .view_with("s", "keys = { shop = \"place\" }", "SELECT place, count(*) AS by_shop FROM events GROUP BY place")
        .view_with(
            "both",
            "keys = { shop = \"place\", user = \"user\" }",
            "SELECT place, \"user\", count(*) AS by_both FROM events GROUP BY place, \"user\"",
        )
        .view("everything", "SELECT count(*) AS by_none FROM events")
        .dataset();
    assert_eq!(shown(&dataset, "by_user"), ["2", "2"]);
    assert_eq!(shown(&dataset, "by_shop"), ["1", "2"]);
    assert_eq!(shown(&dataset, "by_both"), ["1", "1"]);
    assert_eq!(shown(&dataset, "by_none"), ["3", "3"]);
}

#[test]
fn view_without_keys_gives_its_one_row_to_every_label_row_also_where_nothing_is_visible() {
    let labels = table("user:str at:us@UTC\n - 2025-03-10T12:00\n a 2025-03-10T10:00\n b 2025-03-10T12:00");
    let events = table("user:str ts:us@UTC x:i64\n a 2025-03-10T11:00 5");
    let project = |sql: &str| {
        Project::new("keys = [\"user\"]\ntime = \"at\"", &labels).source("events", LOG, &events).view("v", sql)
    };
    let dataset = project("SELECT count(*) AS n, sum(x) AS total FROM events").dataset();
    assert_eq!(shown(&dataset, "n"), ["0", "1", "1"]);
    assert_eq!(shown(&dataset, "total"), ["NULL", "5", "5"]);
    let filtered = project("SELECT count(*) AS n FROM events HAVING count(*) > 0").dataset();
    assert_eq!(shown(&filtered, "n"), ["NULL", "1", "1"]);
}

#[test]
fn view_without_keys_that_has_two_rows_is_refused() {
    let events = table("user:str ts:us@UTC\n a 2025-03-10T11:00\n b 2025-03-10T11:00");
    let error = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &events)
        .view("rows", "SELECT \"user\" AS who FROM events")
        .try_dataset()
        .unwrap_err();
    for part in ["`rows`", "2 rows", "2025-03-10T12:00:00Z"] {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn views_are_known_by_both_of_their_names() {
    let events = table("user:str ts:us@UTC\n a 2025-03-10T11:00\n a 2025-03-10T11:30");
    let dataset = labels_at(&["2025-03-10T12:00"])
        .source("events", LOG, &events)
        .view(
            "ratio",
            "SELECT c.\"user\", c.n * 10 + d.n AS both FROM counts c JOIN deployed d ON c.\"user\" = d.\"user\"",
        )
        .view(
            "counts",
            "-- As deployed.\nCREATE MATERIALIZED VIEW IF NOT EXISTS deployed AS
             SELECT \"user\", count(*) AS n FROM events GROUP BY \"user\";",
        )
        .dataset();
    assert_eq!(shown(&dataset, "both"), ["22"]);
    assert_eq!(shown(&dataset, "n"), ["2"]);
}
