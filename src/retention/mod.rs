//! Whether the retained events reach back far enough: what a source still holds, which label rows that covers, feature by feature,
//! what may be retrained, and when that ends.
//!
//! Everything here is arithmetic on what others have read: [`facts`](SourceFacts) from listings, footers and times of events,
//! [`lookbacks`](crate::lookback) from the SQL, label times. No feature is computed.
//!
//! * A label row is **truncated** where a feature's lookback starts before the source's `since`, a **gap** where it meets a stretch in
//!   which events are missing, else **exact**. Truncated goes before gap.
//! * What is only *judged* from a log's own rhythm is told as a warning and does not count against coverage.

mod activity;
mod coverage;
mod facts;
mod model;
mod models;
mod rhythm;
mod sums;
mod thin;
mod timeline;

pub use activity::{Activity, DAY_NS, HOUR_NS, Span};
pub use coverage::{Cells, Coverage, FeatureCoverage, coverage, covered, each_once, reached};
pub use facts::{FileTimes, Reading, SourceFacts, facts};
pub use model::{
    DayReport, FeatureRetention, Gap, GapKind, Judgement, ModelMonths, MonthCount, PresenceReport, RetentionReport,
    SchemaChange, SourceReach, SourceRetention, TimelineEntry,
};
pub use models::{Decision, FeatureDecision, ModelDecision, ModelInput, verdicts};
pub use rhythm::{Judged, judge};
pub use sums::{FeatureSums, PartOfRows, RetentionSums};
pub use timeline::{Timeline, expires, timeline};
