//! Redelivery: of the rows with one id, the first that arrived.
//!
//! Almost no row is delivered twice, so almost no row should wait for others:
//!
//! ```text
//! 1. read the ids alone: which of them may occur more than once            (`repeated.rs`)
//! 2. read the rows:      "once" passes at once
//!                        "perhaps more often" waits until all are read; then each id's first is given out
//! ```
//!
//! Memory: four bytes per row while ids are read, bounded by turns; then the rows that wait: those delivered more than once and
//! one in 16 others at the most. A NULL in an id is never a redelivery: such rows pass. What a run has once found out about a log's
//! ids is [`known`](FirstArrivalSpec::known) to all its views.
//!
//! Rows of one id that arrived at the same time, with the same event time, are told apart by all their values. Only the
//! columns that a query needs are read, so where these differ the operator fails with [`TiedCopies`]: the caller then
//! reads all columns and sorts.

mod exec;
mod node;
mod repeated;

pub(super) use exec::read_ids;
pub use exec::{DeliveryPlanner, TiedCopies};
pub(super) use node::{FirstArrival, FirstArrivalSpec, Known};
pub(in crate::source) use repeated::Repeats;

use datafusion::arrow::datatypes::DataType;

/// Whether equal ids of this type always have equal bytes.
pub(super) fn is_plain_id(data_type: &DataType) -> bool {
    !data_type.is_floating() && !data_type.is_nested() && !matches!(data_type, DataType::Dictionary(_, _))
}
