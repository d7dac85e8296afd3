//! `[project] profile`: the same events and labels under the meanings of five systems.

use backcast::replay::Engine;

use crate::support::{Project, shown, table};

const PROFILES: [&str; 6] = ["", "risingwave", "feast", "chronon", "openmldb", "tecton"];

/// One user with an event before the label time, one at exactly that time, and one stamped a day later that had arrived; and a
/// user without any.
fn project(profile: &str, sql: &str, features: &str) -> Project {
    let labels = table("user:str at:us@UTC\n a 2025-03-10T12:00\n b 2025-03-10T12:00");
    let events = table(
        "user:str v:i64 ts:us@UTC          seen:us@UTC
         a        1     2025-03-10T11:00   2025-03-10T11:00
         a        10    2025-03-10T12:00   2025-03-10T12:00
         a        100   2025-03-11T12:00   2025-03-10T11:30",
    );
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"\navailable_at = \"seen\"", &events)
        .view_with("v", features, sql);
    match profile {
        "" => project,
        name => project.profile(name),
    }
}

fn values(profile: &str, sql: &str) -> [Vec<String>; 2] {
    let dataset = project(profile, sql, "").dataset();
    ["s", "n"].map(|column| shown(&dataset, column))
}

#[test]
fn ties_future_events_and_missing_rows_are_as_each_system_has_them() {
    let sql = "SELECT \"user\", sum(v) AS s, count(*) AS n FROM events GROUP BY \"user\"";
    for (profile, s, n) in [
        ("", ["111", "NULL"], ["3", "NULL"]),
        ("risingwave", ["111", "NULL"], ["3", "NULL"]),
        ("feast", ["11", "NULL"], ["2", "NULL"]),
        ("chronon", ["1", "NULL"], ["1", "NULL"]),
        ("openmldb", ["11", "NULL"], ["2", "0"]),
        ("tecton", ["11", "NULL"], ["2", "0"]),
    ] {
        assert_eq!(values(profile, sql), [s.map(str::to_string), n.map(str::to_string)], "{profile}");
    }
}

#[test]
fn each_profile_is_the_same_as_its_keys_written_out() {
    let sql = "SELECT \"user\", sum(v) AS s, count(*) AS n FROM events GROUP BY \"user\"";
    for (profile, tie, future, count) in [
        ("risingwave", "include", "visible", None),
        ("feast", "include", "hidden", None),
        ("chronon", "exclude", "hidden", None),
        ("openmldb", "include", "hidden", Some("views.v.features.n.when_missing=0")),
        ("tecton", "include", "hidden", Some("views.v.features.n.when_missing=0")),
    ] {
        let (tie, future) = (format!("labels.tie={tie}"), format!("sources.events.future_events={future}"));
        let written: Vec<&str> = [tie.as_str(), future.as_str()].into_iter().chain(count).collect();
        let by_keys = project("", sql, "").with_batches_of(8192, &written);
        assert_eq!(project(profile, sql, "").dataset(), by_keys, "{profile}");
    }
}

/// The column `n` of user `b`, who has no row, under tecton and openmldb.
fn missing(sql: &str) -> [String; 2] {
    ["tecton", "openmldb"].map(|profile| shown(&project(profile, sql, "").dataset(), "n").remove(1))
}

#[test]
fn a_count_is_found_through_names_casts_and_subqueries() {
    for sql in [
        "SELECT \"user\", count(v) AS n FROM events GROUP BY 1",
        "SELECT \"user\", count(*) FILTER (WHERE v > 5) AS n FROM events WHERE ts > NOW() - INTERVAL '7 days' GROUP BY 1",
        "SELECT u AS \"user\", c AS n FROM (SELECT \"user\" AS u, count(*) AS c FROM events GROUP BY 1) ORDER BY 1",
        "WITH w AS (SELECT \"user\", v, count(*) AS c FROM events GROUP BY 1, 2),
              x AS (SELECT \"user\", count(v) AS c FROM w GROUP BY 1)
         SELECT \"user\", CAST(c AS DOUBLE) AS n FROM x",
        "CREATE MATERIALIZED VIEW counts (\"user\", n) AS SELECT \"user\", CAST(count(*) AS DECIMAL(10, 2)) FROM events GROUP BY 1",
    ] {
        for value in missing(sql) {
            assert!(["0", "0.0", "0.00"].contains(&value.as_str()), "{value}: {sql}");
        }
    }
}

#[test]
fn what_may_be_missing_for_another_reason_than_nothing_to_count_stays_null() {
    for sql in [
        "SELECT \"user\", count(*) AS n FROM events GROUP BY 1 HAVING count(*) > 1",
        "SELECT \"user\", n FROM (SELECT \"user\", count(*) AS n FROM events GROUP BY 1) WHERE n > 1",
        "SELECT \"user\", n FROM (SELECT \"user\", count(*) AS n FROM events GROUP BY 1) ORDER BY n LIMIT 5",
        "SELECT c.\"user\", c.n FROM (SELECT \"user\", count(*) AS n FROM events GROUP BY 1) c JOIN events e ON e.v = c.n",
        "SELECT \"user\", count(*) + 1 AS n FROM events GROUP BY 1",
        "SELECT \"user\", CAST(count(*) AS VARCHAR) AS n FROM events GROUP BY 1",
        "SELECT \"user\", max(v) AS n FROM events GROUP BY 1",
        "SELECT \"user\", sum(1) AS n FROM events GROUP BY 1",
        "SELECT \"user\", n FROM (SELECT \"user\", count(*) OVER (PARTITION BY \"user\") AS n, row_number() OVER (PARTITION BY \
         \"user\" ORDER BY ts) AS r FROM events) WHERE r = 1",
    ] {
        assert_eq!(missing(sql), ["NULL", "NULL"], "{sql}");
    }
}

#[test]
fn a_distinct_count_is_0_where_the_system_says_so() {
    let sql = "SELECT \"user\", count(DISTINCT v) AS n FROM events GROUP BY 1";
    assert_eq!(missing(sql), ["NULL", "0"]);
}

#[test]
fn a_count_of_a_view_on_a_view_is_a_count() {
    let project = project("tecton", "SELECT \"user\", c AS n FROM counts", "").view_with(
        "counts",
        "helper = true",
        "SELECT \"user\", count(*) AS c FROM events GROUP BY 1",
    );
    assert_eq!(shown(&project.dataset(), "n"), ["2", "0"]);
}

#[test]
fn what_is_said_of_a_feature_is_stronger_than_the_profile() {
    let sql = "SELECT \"user\", count(*) AS n FROM events GROUP BY 1";
    for (said, b) in [("-1", "-1"), ("\"null\"", "NULL")] {
        for profile in PROFILES {
            let features = format!("features.n.when_missing = {said}");
            assert_eq!(shown(&project(profile, sql, &features).dataset(), "n")[1], b, "{profile}");
        }
    }
    let text =
        project("", "SELECT \"user\", max(\"user\") AS n FROM events GROUP BY 1", "features.n.when_missing = \"null\"");
    assert_eq!(shown(&text.dataset(), "n"), ["a", "null"], "of a text it is text");
}

#[test]
fn both_engines_replay_a_profile() {
    let sql = "SELECT \"user\", sum(v) AS s, count(*) AS n FROM events WHERE ts > NOW() - INTERVAL '1 hour' GROUP BY 1";
    for profile in PROFILES {
        let [reference, rewrite] =
            [Engine::Reference, Engine::Rewrite].map(|e| project(profile, sql, "").by(e).unwrap());
        assert_eq!(reference, rewrite, "{profile}");
    }
}
