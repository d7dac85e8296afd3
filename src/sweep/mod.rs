//! The sweep: stabbing fused with the aggregate above it, without the (observer x event) pairs.
//!
//! The observers are held, sorted by key and label time; the events stream through, in any order and on any number of threads.
//!
//! ```text
//! one key's label times        T1    T2    T3    T4    T5
//! an event, 7 days             .     [-----------)     .       it counts from T2 to T4: arrived <= T, ts > T - 7 days
//! counts and sums                    +v          -v            exact differences; a prefix sum gives every T its own
//! minima, first values               tree nodes that cover the interval; a T looks up its path to the root
//! distinct values                    intervals of one value joined, then differences
//! ```
//!
//! * **Order.** None is asked of the events; nor of the spine. Results do not depend on batches,
//!   partitions or threads: every cell is an exact sum, an extreme in a total order, or a set of rows that is sorted.
//! * **Groups.** Finer ones than the keys are found by a sweep of their own, whose result is the spine of the next (`finer.rs`).
//! * **Shards.** The keys are dealt out to shards of some thousand positions. Events wait for theirs, as a few words each
//!   (`layout.rs`), until there are so many that its cells are worth loading into a core's cache. A key with more positions than
//!   two shards is cut into pieces, each a shard (`sweeper.rs`): unless rows are held of it, for first values or calls.
//! * **Cost.** A table lookup and a search per event and window, near where the key's last one ended; O(log n) cells for extremes,
//!   whatever the window's length.
//!   Bounds that differ by a constant share their values. Aggregates without an algorithm of their own (`members.rs`) run
//!   DataFusion's accumulator and cost what their pairs cost.
//! * **Ties.** A first value reads the SQL's own sort keys and what is asked for, no more. Where the keys do not decide and the
//!   values differ, the sweep fails with [`TiedFirsts`], and is planned again with all columns.
//! * **Memory.** 8 to 16 bytes per observer and quantity, twice that for extremes, 48 MB of waiting events (a sixteenth of the
//!   limit, where there is one), the rows that are held for first values and calls, 16 bytes per joined interval of distinct values (and
//!   texts that are counted so, once each); all reserved in the session's pool. Where that
//!   is more than half of what the pool has left, or grows beyond it, events go to a temporary file by shard (`shelf.rs`, `disk.rs`),
//!   once each, and one shard after another is made of them: then it is the cells of a shard per thread. What remains is 20 to
//!   40 bytes per observer for the spine itself. The plan's metrics tell what was spilled.
//! * **Degenerate cases.** A hot key is swept by all threads: its pieces are added to side by side, and an event touches two of them at the
//!   most per window. With first values or calls it has one shard: its events are looked up in parallel and added one thread at
//!   a time; a call holds all of its events that count, and is evaluated by all threads, each at a part of the positions. A bound that does not grow with T (a local clock in autumn) or is NULL is
//!   tried position by position (`bounds.rs`). NULL keys are nowhere.
//!
//! [`SweepSpec`] is plain data; [`Sweeper`] is the algorithm, arrays in and arrays out; [`Sweep`] and [`SweepExec`] are DataFusion's operators.

mod add;
mod arena;
mod best;
mod bounds;
mod disk;
mod distinct;
mod exec;
mod finer;
mod finish;
mod interner;
mod layout;
mod members;
mod node;
mod order;
mod planner;
mod positions;
mod quantities;
mod rows;
mod shelf;
mod spec;
mod sweeper;
mod totals;
mod track;
mod windows;

pub use bounds::is_ordered_integer;
pub use exec::SweepExec;
pub use finish::Reserve;
pub use members::{Functions, literal};
pub use node::{Sweep, without_unread};
pub use order::is_sortable;
pub use planner::SweepPlanner;
pub use rows::TiedFirsts;
pub use shelf::Shelf;
pub use spec::{Argument, Bound, Call, Comparison, Function, KeyPair, OrderKey, SweepAggregate, SweepSpec, Window};
pub use sweeper::Sweeper;
