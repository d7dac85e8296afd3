//! Where rows come from: object stores, files, Parquet footers, raw logs, labels, snapshots.
//!
//! Nothing here knows SQL views or label times beyond a bound. Footer and range reads only: no file is fetched
//! whole to be looked at. All storage, local disk too, goes through `object_store`.

mod barrier;
mod between;
mod delivery;
mod files;
#[cfg(test)]
pub mod fixture;
mod footers;
mod functions;
mod guard;
mod keyed;
mod labels;
mod log;
pub(crate) mod operator;
mod prune;
mod remote;
mod schema;
mod shared;
mod store;
mod table;
pub mod time;
mod times;
mod widen;

pub use between::rows_between;
pub use delivery::{DeliveryPlanner, TiedCopies};
pub use files::{DataFile, Files, list};
pub use footers::{Footers, read_footers};
pub use functions::{instant_ns, is_order_key, marked_within_reach, order_key, orderable, within_reach};
pub use keyed::{IS_ASKED_FOR, is_asked_for};
pub use labels::{LabelTable, Labels, exact_unit};
pub use log::{FROM, Log, LogCounts, Near, Redelivery, UNTIL, timestamp};
pub use prune::Reach;
pub use remote::StorageRequests;
pub use schema::{merge, plain_type};
pub use shared::{SharedScan, SharedTable};
pub use store::{Location, Stores, store_error};
pub use table::{ParquetTable, column};
pub use times::GroupTimes;
pub use widen::{finer, wider_decimal, wider_integer};
