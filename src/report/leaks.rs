//! Leakage in words: features that leak in the same way are told together.

use std::collections::BTreeSet;

use super::sentence::far_ahead;
use super::text::{clean, counted, thousands};
use super::{Leak, Report};

/// Features that are named of those that leak alike.
const NAMED: usize = 3;

/// One sentence for each way to leak, the one with most legacy values first. Of several snapshots each names its own.
pub(super) fn told(report: &Report) -> Vec<String> {
    let leaks = &report.leakage;
    let mut alike: Vec<Vec<&Leak>> = Vec::new();
    for leak in leaks {
        match alike.iter_mut().find(|all| (&all[0].what, &all[0].snapshot) == (&leak.what, &leak.snapshot)) {
            Some(all) => all.push(leak),
            None => alike.push(vec![leak]),
        }
    }
    alike.sort_by_key(|all| std::cmp::Reverse(all.iter().map(|leak| leak.rows).sum::<u64>()));
    let several = report.snapshots.len() > 1;
    let told = |all: Vec<&Leak>| {
        let snapshot = clean(&all[0].snapshot);
        let sentence = sentence(all);
        if several { format!("in `{snapshot}` {sentence}") } else { sentence }
    };
    alike.into_iter().map(told).collect()
}

fn sentence(mut alike: Vec<&Leak>) -> String {
    if let [one] = alike.as_slice() {
        return clean(&one.sentence);
    }
    alike.sort_by_key(|leak| std::cmp::Reverse(leak.rows));
    let models: BTreeSet<&str> = alike.iter().flat_map(|leak| &leak.models).map(String::as_str).collect();
    let mut named: Vec<String> = Vec::new();
    for (at, leak) in alike.iter().take(NAMED).enumerate() {
        let count = if at == 0 { counted(leak.rows, "legacy value", "legacy values") } else { thousands(leak.rows) };
        named.push(format!("{count} of `{}`", clean(&leak.feature)));
    }
    let more: u64 = alike.iter().skip(NAMED).map(|leak| leak.rows).sum();
    if more > 0 {
        let others = alike.len() - NAMED;
        let others = if others == 1 { "1 other feature".to_string() } else { format!("{others} other features") };
        named.push(format!("{} of {others}", thousands(more)));
    }
    let last = named.pop().unwrap_or_default();
    let names: Vec<String> = models.into_iter().map(clean).collect();
    let fed = if names.is_empty() { String::new() } else { format!("; they feed {}", names.join(", ")) };
    let what = far_ahead(&clean(&alike[0].what), alike.iter().filter_map(|leak| leak.by).max());
    format!("{} and {last}: {what}{fed}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::explained;

    #[test]
    fn features_that_leak_alike_are_one_sentence() {
        let one = explained().leakage.remove(0);
        let of = |feature: &str, rows, what: &str| Leak {
            feature: feature.to_string(),
            rows,
            what: what.to_string(),
            ..one.clone()
        };
        let mut report = explained();
        report.leakage =
            vec![of("v.a", 1_200, "x"), of("v.b", 7, "y"), of("v.c", 30, "x"), of("v.d", 4, "x"), of("v.e", 3, "x")];
        let sentences = told(&report);
        assert_eq!(
            sentences[0],
            "1,200 legacy values of `v.a`, 30 of `v.c`, 4 of `v.d` and 3 of 1 other feature: x; they feed late_arrival"
        );
        assert_eq!(sentences[1..], [one.sentence]);
        report.snapshots.push(report.snapshots[0].clone());
        assert!(told(&report)[1].starts_with("in `"), "{:?}", told(&report));
    }
}
