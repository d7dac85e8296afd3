//! The aggregate functions that Backcast brings itself, under DataFusion's names and types: exact sums and averages,
//! extremes in a total order, and the others whose float result would depend on the order of rows.

mod by_value;
mod exact;
mod exact_cells;
mod extreme;

use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::AggregateUDF;
use datafusion::prelude::SessionContext;

/// Functions that add floats up in the order they come. They get their rows sorted by value instead.
const ORDER_SENSITIVE: [&str; 21] = [
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var",
    "var_pop",
    "var_samp",
];

/// Replaces the session's own versions.
pub(super) fn register(session: &SessionContext) {
    let state = session.state();
    for name in ["sum", "avg"] {
        if let Ok(inner) = state.udaf(name) {
            session.register_udaf(AggregateUDF::from(exact::ExactAggregate::new(inner)));
        }
    }
    for name in ["min", "max"] {
        if let Ok(inner) = state.udaf(name) {
            session.register_udaf(AggregateUDF::from(extreme::Extreme::new(inner)));
        }
    }
    let mut done: Vec<Arc<AggregateUDF>> = Vec::new();
    for name in ORDER_SENSITIVE {
        let Ok(inner) = state.udaf(name) else { continue };
        if !done.contains(&inner) {
            session.register_udaf(AggregateUDF::from(by_value::ByValue::new(Arc::clone(&inner))));
            done.push(inner);
        }
    }
}
