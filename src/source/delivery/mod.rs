//! Redelivery: of the rows with one id, the first that arrived.
//!
//! Almost no row is delivered twice, so almost no row should wait for others:
//!
//! ```text
//! 1. read the ids alone: two bits per slot of a hash table without keys say "never", "once", "perhaps more often"
//! 2. read the rows:      "once" passes at once
//!                        "perhaps more often" waits until all are read; then each id's first is given out
//! ```
//!
//! Memory: two bits for each of 16 slots per row, and the rows that wait: those delivered more than once and about one in 16
//! others. A NULL in an id is never a redelivery: such rows pass.
//!
//! Rows of one id that arrived at the same time, with the same event time, are told apart by all their values. Only the
//! columns that a query needs are read, so where these differ the operator fails with [`TiedCopies`]: the caller then
//! reads all columns and sorts.

mod exec;
mod node;
mod repeated;

pub use exec::{DeliveryPlanner, TiedCopies};
pub(super) use node::{FirstArrival, FirstArrivalSpec};

use datafusion::arrow::datatypes::DataType;

/// Whether equal ids of this type always have equal bytes.
pub(super) fn is_plain_id(data_type: &DataType) -> bool {
    !data_type.is_floating() && !data_type.is_nested() && !matches!(data_type, DataType::Dictionary(_, _))
}
