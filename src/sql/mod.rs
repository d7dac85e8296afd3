//! From the text of a feature view to DataFusion's plan: parse, refuse what can't be replayed, plan, put in normal form.
//!
//! No data is read here. In the normal form the label time is the placeholder [`NOW`], and nothing is left that would
//! depend on the order of rows.

mod aggregates;
mod casts;
mod copies;
mod declared;
mod dialect;
mod filters;
mod grammar;
mod having;
mod instants;
mod intervals;
mod joins;
mod json;
mod loops;
mod names;
mod now;
mod parse;
mod planner;
mod postgres;
mod refusal;
mod refuse;
mod script;
mod session;
mod sort_keys;
mod spans;
mod spills;
mod ties;
mod unlike;
mod unnesting;
mod zeros;
mod zones;

pub use casts::{TellCastsApart, casts_as_written, names_clash};
pub use copies::count_copies;
pub use declared::Declared;
pub use dialect::{
    Clauses, Refused, Resize, WindowCall, closed_windows, nearest_rows, window_call, window_sizes, with_windows_resized,
};
pub use instants::{ROUNDING, exact, exact_comparisons};
pub use intervals::{LENGTH_OF_TIME, lengths_as_in_postgres};
pub use json::{CallForJson, check_uses};
pub use names::{name_subqueries, named, with_windows};
pub use now::{
    NOW, bind_now, bind_placeholders, calls_to_placeholder, is_now, mentions_now, now_placeholder, now_unit,
    rewrite_expressions,
};
pub use parse::{SqlText, Statement, identifier, parse, parse_expression};
pub use postgres::PostgresWords;
pub use refusal::Refusal;
pub use session::{SessionOptions, new_counting_runtime, new_runtime, new_session};
pub use spans::{output_span, relation_span, repeated_output};
pub use spills::{Spilled, Spills};
pub use ties::settle_ties;
pub use unnesting::unnest;
pub use zeros::{one_zero, unsigned_zero, without_signed_zeros};
pub use zones::CallForZones;
