//! Every choice that values depend on, with where it came from: those of the keys, then those about features.

use serde_json::json;

use crate::analysis::features::Feature;
use crate::config::{self, Choice, Config, Origin};

/// All choices of a project with these features.
pub(super) fn choices(config: &Config, features: &[Feature]) -> Vec<Choice> {
    let mut choices = config.choices.clone();
    for feature in features {
        let said = config.views.iter().find(|v| v.name == feature.view);
        let said = said.and_then(|view| view.features.iter().find(|f| f.name == feature.column));
        let key = |name: &str| config::dotted(&["views", &feature.view, "features", &feature.column, name]);
        let choice = |name: &str, value, origin: Origin| Choice {
            key: key(name),
            value,
            origin,
            pattern: format!("views.*.features.*.{name}"),
            name: Some(feature.full_name()),
        };
        let origin = |name: &str| config.origin(&format!("views.{}.features.{}.{name}", feature.view, feature.column));
        let missing = match (&feature.when_missing, said.and_then(|said| said.when_missing.as_ref())) {
            (None, _) => json!(null),
            (Some(_), Some(literal)) => literal.json(),
            // The one value that a profile gives.
            (Some(_), None) => json!(0),
        };
        choices.push(choice("when_missing", missing, config.missing_origin(&feature.view, &feature.column)));
        let null = said.and_then(|said| said.when_null.as_ref()).map_or(json!(null), |literal| literal.json());
        choices.push(choice("when_null", null, origin("when_null")));
        if let Some(tolerance) = feature.tolerance {
            let value = json!({ "abs": tolerance.abs, "rel": tolerance.rel });
            choices.push(choice("tolerance", value, origin("tolerance")));
        }
    }
    choices
}
