//! The as-of rewrite: a feature view's plan, for one instant, becomes a plan for all label times at once.
//!
//! Two worlds, and one place where they meet.
//!
//! * **Live** relations (validity world): rows without any label time, with *conditions* that say for which instants each
//!   counts. Sources are live; filters, projections and inner joins of live relations are live.
//! * **As-of** relations: rows at the instants that labels ask about. Each row has an *observer*: the number of a distinct
//!   (keys, T) in the spine. Here every operator is the ordinary one with the observer carried along: grouped by,
//!   partitioned by, joined on.
//! * **Stabbing** takes the one to the other: a join with the spine in which the conditions see the observer's T. It
//!   happens at the first operator that must see a whole snapshot.
//!
//! ```text
//! Aggregate: group by [user_id], [count(*)]          Aggregate: group by [observer, user_id], [count(*)]
//!   Filter: ts > $NOW - 1 day                 =>        Join: k = user_id, from <= T, ts > T - 1 day
//!     TableScan: events                                   spine: observer, k
//!                                                         events: user_id, ts, from
//! ```
//!
//! *Binding*: the view's key columns have to equal the observer's keys. Each rule hands this wish down as deep as it may;
//! what can't be handed down is evaluated for every T once (the *timed* spine) and bound above. Where the keys of one side of a
//! join come only from the other, that side asks for them (*derived* spines).
//!
//! The input is the view's normal form after DataFusion's own optimizer, so subqueries are joins by now and `DISTINCT` is
//! an aggregate. One rule per operator, one file per rule. What no rule takes is refused with a reason, and the view goes
//! to the reference engine. The rewrite uses standard operators only; nothing here runs or reads.

mod aggregate;
mod alias;
mod asked;
mod bounds;
mod conditional;
mod constant;
mod derived;
mod display;
mod fallible;
mod filter;
mod fuse;
mod grouping;
mod join;
mod keys;
mod late;
mod limit;
mod needless;
mod projection;
mod readings;
mod relation;
mod rewriter;
mod scan;
mod shifts;
mod spine;
mod truncated;
mod union;
mod unnest;
mod window;

pub use bounds::iso;
pub use conditional::SKIP_NULL;
pub use display::shown;
pub use late::LateScan;
pub use needless::without_needless_filters;
pub use readings::{Bound, Explosion, Reading};
pub use relation::{AsOf, Live, Read, Relation, moment_placeholder};
pub use rewriter::{
    Lookback, RewriteOptions, Rewritten, Unsupported, as_written, normalise, normalise_asked, normalised, rewrite_view,
};
pub use shifts::{with_fixed_shift, with_fixed_shifts};
pub use spine::{Observers, Spine, SpineKind, Spines};
pub use truncated::with_fixed_truncations;
