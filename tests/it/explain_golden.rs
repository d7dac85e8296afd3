//! What `explain` says of the fixture's views, held against `tests/golden/`.
//!
//! After a change that is meant: `UPDATE_GOLDEN=1 cargo test --test it explain`, and read the difference.

use std::path::Path;

use crate::support::backcast_in;

fn held_against_golden(view: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ran = backcast_in(root, &["explain", view, "fixtures/flights/backcast.toml", "--threads", "2"]).exits_with(0);
    let path = root.join(format!("tests/golden/{view}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &ran.stdout).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        ran.stdout == golden,
        "`explain {view}` is not tests/golden/{view}.txt any more; if that is meant: UPDATE_GOLDEN=1 cargo test --test it \
         explain\n--- golden\n{golden}\n--- now\n{}",
        ran.stdout
    );
}

#[test]
fn explain_of_an_aggregate_by_key() {
    held_against_golden("tail_delays");
}

#[test]
fn explain_of_a_window_function() {
    held_against_golden("tail_last_leg");
}

#[test]
fn explain_of_a_ratio_of_aggregates() {
    held_against_golden("carrier_delay");
}

#[test]
fn explain_of_filtered_aggregates() {
    held_against_golden("origin_traffic");
}

#[test]
fn explain_of_a_view_on_a_view() {
    held_against_golden("origin_pressure");
}

#[test]
fn explain_of_a_join() {
    held_against_golden("origin_weather");
}
