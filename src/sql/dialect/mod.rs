//! RisingWave's clauses that neither the parser nor DataFusion knows, put into ordinary SQL and ordinary operators: engines and
//! analyses never hear of them.
//!
//! | clause | where | becomes |
//! | --- | --- | --- |
//! | `TUMBLE(t, ts, size)`, `HOP(t, ts, hop, size)` | syntax (`tables.rs`) | `(SELECT *, window_start(…), window_end(…) FROM t)` |
//! | `a ASOF JOIN b ON …` | tokens (`clauses.rs`), then plan (`asof.rs`) | a window function over `b`, and an ordinary join |
//! | `EMIT ON WINDOW CLOSE` | tokens (`clauses.rs`), then plan (`close.rs`) | a filter below the aggregate |

mod asof;
mod clauses;
mod close;
mod interval;
mod resize;
mod tables;
mod windows;

use datafusion::logical_expr::ScalarUDF;

pub use asof::nearest_rows;
pub use clauses::{Clauses, Refused};
pub(super) use clauses::{mark_joins, take};
pub use close::closed_windows;
pub use resize::{Resize, window_sizes, with_windows_resized};
pub(super) use tables::call_windows;
pub use windows::{WindowCall, window_call};

/// The functions that the clauses become, for a session.
pub(super) fn functions() -> Vec<ScalarUDF> {
    windows::functions().into_iter().chain([clauses::marker(), close::arrived_by()]).collect()
}
