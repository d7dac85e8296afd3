//! What the cell's value would be under the meanings that a legacy system may have had.

use datafusion::arrow::array::ArrayRef;
use datafusion::prelude::SessionContext;
use serde_json::Value;

use crate::analysis::{Feature, Project, View};
use crate::cause::{Named, Otherwise, otherwise};
use crate::config::Causes;
use crate::diff::{Tolerance, agree, cell_json};
use crate::error::{Error, Result};
use crate::source::Labels;
use crate::trace::model::{Legacy, WhatIf};

/// The values that are not `value`, those that a snapshot has first, else those of the causes that are `named`, then in the order in which
/// causes are tried. Nothing where no
/// legacy value differs, or where causes are not to be looked for. The second value: the rows of the keys are too many to hold.
///
/// # Errors
/// As reading a source.
pub(super) async fn what_if(
    project: &Project,
    (view, feature): (&View, &Feature),
    label: &Labels,
    value: &ArrayRef,
    (snapshots, named): (&[Legacy], &[Named]),
    session: &SessionContext,
) -> Result<(Vec<WhatIf>, bool)> {
    let failed =
        |e: datafusion::arrow::error::ArrowError| Error::engine(format!("trace `{}`", feature.full_name()), e.into());
    let config = &project.inputs.config.diff;
    if config.causes == Causes::None || !snapshots.iter().any(|s| s.agrees == Some(false)) {
        return Ok((Vec::new(), false));
    }
    let legacy: Vec<ArrayRef> = snapshots.iter().map(|s| ArrayRef::clone(&s.array)).collect();
    let Some(found) = otherwise(project, view, feature, label, (&legacy, named), session).await? else {
        return Ok((Vec::new(), true));
    };
    let tolerance = feature.tolerance.unwrap_or(config.tolerance);
    let tolerance = Tolerance { abs: tolerance.abs, rel: tolerance.rel };
    let own = cell_json(value, 0).map_err(failed)?;
    let mut told: Vec<WhatIf> = Vec::new();
    for other in found {
        let value = cell_json(&other.value, 0).map_err(failed)?;
        let asked = match &config.causes {
            Causes::Only(names) => {
                let own = other.cause.changes(&other.parameters);
                own.iter().all(|(own, _)| names.iter().any(|name| name == own))
            }
            _ => true,
        };
        if value == own || !asked {
            continue;
        }
        let mut gives = Vec::new();
        for legacy in snapshots {
            let compared = agree((&other.value, 0), (&legacy.array, 0), tolerance).map_err(failed)?;
            let name = format!("{}.{}", legacy.snapshot, legacy.column);
            if compared.is_some_and(|(agrees, _)| agrees) && !gives.contains(&name) {
                gives.push(name);
            }
        }
        let known = told
            .iter()
            .any(|t| (&t.cause, &t.parameters) == (&other.cause, &other.parameters) && is_same(&t.value, &value));
        if !known {
            let Otherwise { cause, parameters, named, .. } = other;
            told.push(WhatIf { cause, parameters, value, gives, named });
        }
    }
    told.sort_by_key(|t| t.gives.is_empty());
    Ok((told, false))
}

/// Whether two values are one: 12 and 12.0 are.
fn is_same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && a.as_f64() == b.as_f64())
}
