//! RisingWave's clauses, with values that a person can work out.

mod asof;
mod close;
mod windows;

use crate::support::Project;

/// `check` refuses it with this number, these words and this place.
#[track_caller]
fn refused(project: &Project, code: &str, parts: &[&str]) {
    let ran = project.backcast(&["check"]).exits_with(2);
    for part in [&format!("error[{code}]"), "= help: "].iter().map(|s| &**s).chain(parts.iter().copied()) {
        assert!(ran.stdout.contains(part), "no `{part}` in stdout of check:\n{}", ran.stdout);
    }
}
