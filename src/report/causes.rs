//! What the terminal says beside a feature that differs: its main cause, and what is left.

use super::sentence::{cause_sentence, main_cause, share};
use super::text::counted;
use crate::diff::FeatureDiff;

/// The main cause of a feature's mismatches, the others, and what none explains; `None` where nothing differs or causes
/// were not looked for.
pub(super) fn told(feature: &FeatureDiff) -> Option<String> {
    let unexplained = feature.unexplained.filter(|_| feature.mismatched > 0)?;
    let Some(mut told) = main_cause(feature) else {
        return Some(format!("No cause found for {}.", counted(feature.mismatched, "difference", "differences")));
    };
    for other in &feature.causes[1..] {
        told.push_str(&format!(" {}", cause_sentence(other, feature)));
    }
    if unexplained > 0.0 {
        told.push_str(&format!(" No cause found for {} of the differences.", share(unexplained)));
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::{Cause, CauseName};
    use crate::report::samples::feature;

    #[test]
    fn the_main_cause_comes_first_and_what_is_left_last() {
        let mut differs = feature("a.b", 1_000, 100);
        differs.unexplained = None;
        assert_eq!(told(&differs), None);
        differs.unexplained = Some(1.0);
        assert_eq!(told(&differs).unwrap(), "No cause found for 100 differences.");
        let cause = |name: &str, explains: f64| Cause {
            cause: CauseName::One(name.to_string()),
            parameters: json!({}),
            mismatches: 92,
            explains,
            breaks: 0.0,
        };
        differs.causes = vec![cause("window_start_inclusive", 0.92)];
        differs.unexplained = Some(0.08);
        assert_eq!(
            told(&differs).unwrap(),
            "92 of 100 differences vanish once the window's start is inclusive. No cause found for 8 % of the differences."
        );
    }
}
