//! The sweep: stabbing fused with the aggregate above it, without the (observer x event) pairs.

mod arena;
mod best;
mod bounds;
mod exec;
mod members;
mod node;
mod order;
mod planner;
mod positions;
mod spec;
mod sweeper;
mod totals;
mod track;

pub use bounds::is_ordered_integer;
pub use exec::SweepExec;
pub use members::{Functions, literal};
pub use node::Sweep;
pub use order::is_sortable;
pub use planner::SweepPlanner;
pub use spec::{Argument, Bound, Call, Comparison, Function, KeyPair, OrderKey, SweepAggregate, SweepSpec, Window};
pub use sweeper::Sweeper;
