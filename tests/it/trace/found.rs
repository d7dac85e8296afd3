//! Labels and snapshots beside the value.

use super::{trace, traced, try_trace};
use crate::support::{Project, table, write_parquet};

const COUNT: &str = "SELECT \"user\", count(*) AS x FROM events GROUP BY \"user\"";

fn project() -> Project {
    let labels =
        table("user:str shop:i32 at:us@UTC\n a 1 2025-03-10T12:00\n a 2 2025-03-10T12:00\n b 1 2025-03-11T12:00");
    let events = table("user:str ts:us@UTC\n a 2025-03-10T11:00\n a 2025-03-10T10:00\n b 2025-03-10T11:00");
    let project = Project::new("keys = [\"user\", \"shop\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view_with("v", "keys = { user = \"user\" }", COUNT);
    let old = table("user:str shop:i64 at:ms@UTC old_count:f64\n a 1 2025-03-10T12:00 2.0\n a 2 2025-03-10T12:00 3.0");
    write_parquet(&project.path("old.parquet"), &old);
    project.config("[snapshots.old]\nuri = \"old.parquet\"\ncolumns = { old_count = \"v.x\" }")
}

#[test]
fn legacy_values_are_held_against_the_value_row_by_row() {
    let told = traced(&project(), "2025-03-10T12:00Z");
    let rows: Vec<_> = told.snapshots.iter().map(|s| (s.value.clone(), s.agrees, s.delta)).collect();
    assert_eq!(rows, [(2.0.into(), Some(true), Some(0.0)), (3.0.into(), Some(false), Some(-1.0))]);
    assert_eq!((told.labels.rows, told.labels.rows_of_keys), (2, 2));
    // A key that the view does not ask for picks the snapshot's row.
    let told = trace(&project(), "old_count", &["user=a", "shop=2"], "2025-03-10T12:00Z");
    assert_eq!((told.feature.as_str(), told.snapshots.len()), ("v.x", 1));
    assert_eq!(told.snapshots[0].value, 3.0);
}

#[test]
fn any_time_and_any_key_may_be_asked_for_and_it_is_said_where_no_label_does() {
    let told = traced(&project(), "2025-03-10T10:30:00Z");
    assert_eq!((told.value.clone(), told.labels.rows, told.labels.rows_of_keys), (1.into(), 0, 2));
    assert_eq!(told.labels.nearest, ["2025-03-10T12:00:00Z"]);
    assert!(told.snapshots.is_empty());
    let told = trace(&project(), "v.x", &["user=zz"], "2025-03-10T10:30:00Z");
    assert_eq!((told.found, told.labels.rows_of_keys, told.events.len()), (false, 0, 0));
}

#[test]
fn what_was_typed_wrong_is_told_with_the_nearest_name() {
    let refused = |feature: &str, keys: &[&str], at: &str| try_trace(&project(), feature, keys, at).unwrap_err();
    let told = refused("v.y", &["usr=a", "shop=one"], "2025-03-10T12:00Z");
    for part in ["there is no feature `v.y`", "did you mean `v.x`?", "did you mean `user`?", "`one` is no Int32"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(refused("v.x", &["shop=1"], "2025-03-10T12:00Z").contains("`user` is not given"));
    assert!(refused("v.x", &["user=a", "user=b"], "2025-03-10T12:00Z").contains("given twice"));
    assert!(refused("v.x", &["user"], "2025-03-10T12:00Z").contains("has no `=`"));
    assert!(refused("v.x", &["user=a"], "tomorrow").contains("`--at`: `tomorrow` is no time"));
}

#[test]
fn a_name_that_is_two_features_is_refused() {
    let project = project().view_with("w", "prefix = \"w_\"\nkeys = { user = \"user\" }", COUNT);
    let project = project.view_with("u", "prefix = \"u_\"\nkeys = { user = \"user\" }", &COUNT.replace("AS x", "AS z"));
    assert!(try_trace(&project, "w_x", &["user=a"], "2025-03-10T12:00Z").is_ok());
    assert!(try_trace(&project, "z", &["user=a"], "2025-03-10T12:00Z").is_ok());
    let more = "[snapshots.new]\nuri = \"old.parquet\"\ncolumns = { old_count = \"w.x\" }";
    let told = try_trace(&project.config(more), "old_count", &["user=a"], "2025-03-10T12:00Z").unwrap_err();
    assert!(told.contains("`v.x` or `w.x`"), "{told}");
}

#[test]
fn a_time_of_nanoseconds_is_exact() {
    let labels = table("user:str at:ns@UTC\n a 2025-03-10T12:00:00.000000001");
    let events =
        table("user:str n:i64 ts:ns@UTC\n a 1 2025-03-10T12:00:00.000000001\n a 2 2025-03-10T12:00:00.000000002");
    let project = Project::new("keys = [\"user\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("v", "SELECT \"user\", sum(n) AS x FROM events WHERE ts >= NOW() GROUP BY \"user\"");
    let told = traced(&project, "2025-03-10T12:00:00.000000001Z");
    assert_eq!((told.value.clone(), told.attribution.exact, told.labels.rows), (1.into(), true, 1));
    assert_eq!(told.events.iter().find(|e| e.counts == Some(false)).unwrap().why, "after T by 1 ns");
}

#[test]
fn keys_of_other_types_and_views_without_keys_are_traced() {
    let labels = table("day:date price:dec at:us@UTC\n 2025-03-10 1.50 2025-03-10T12:00");
    let events = table(
        "day:date price:dec n:i64 ts:us@UTC\n 2025-03-10 1.50 1 2025-03-10T11:00\n 2025-03-09 1.50 2 2025-03-10T11:00",
    );
    let project = Project::new("keys = [\"day\", \"price\"]\ntime = \"at\"", &labels)
        .source("events", "time = \"ts\"", &events)
        .view("v", "SELECT day, price, sum(n) AS x FROM events GROUP BY day, price")
        .view("w", "SELECT count(*) AS y FROM events");
    let told = trace(&project, "v.x", &["day=2025-03-10", "price=1.5"], "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact, told.events.len()), (1.into(), true, 1));
    let told = trace(&project, "w.y", &[], "2025-03-10T12:00Z");
    assert_eq!((told.value.clone(), told.attribution.exact, told.events.len()), (2.into(), true, 2));
}
