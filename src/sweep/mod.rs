//! The sweep: stabbing fused with the aggregate above it, without the (observer x event) pairs.

mod bounds;
mod exec;
mod node;
mod planner;
mod positions;
mod spec;
mod sweeper;
mod totals;
mod track;

pub use bounds::is_ordered_integer;
pub use exec::SweepExec;
pub use node::Sweep;
pub use planner::SweepPlanner;
pub use spec::{Bound, Comparison, Function, KeyPair, SweepAggregate, SweepSpec, Window};
pub use sweeper::Sweeper;
