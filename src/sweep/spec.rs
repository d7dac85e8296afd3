//! What a sweep computes, as plain data: columns are named, nothing refers to a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One sweep: which events each observer sees in which windows, and what is made of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SweepSpec {
    /// The spine's column of the observer's number, `Int64`.
    pub observer: String,
    /// Columns that have to be equal. None: every observer sees every event.
    pub keys: Vec<KeyPair>,
    /// The first is the group's own (`WHERE`): events outside of it count nowhere. The others narrow it down (`FILTER`).
    pub windows: Vec<Window>,
    /// Columns of the spine that are given out, in order, between the observer and the aggregates.
    pub groups: Vec<String>,
    /// Columns of the event that divide what an observer sees further, given out behind the groups: then there is a row per observer and
    /// combination of values that it sees in the first window, NULLs among them, and there are no aggregates (see `finer.rs`).
    #[serde(default)]
    pub finer: Vec<String>,
    pub aggregates: Vec<SweepAggregate>,
    /// Whether observers that see no event have a row too (an aggregate without `GROUP BY`).
    pub keeps_empty: bool,
}

/// An event's key column and the spine's, of one type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyPair {
    pub event: String,
    pub spine: String,
    /// Whether NULL is a value of this key, equal to itself. If not, a NULL key is nowhere.
    #[serde(default)]
    pub null_is_equal: bool,
}

/// Which events count for an observer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// All have to hold.
    pub bounds: Vec<Bound>,
    /// A boolean column of the event.
    pub filter: Option<String>,
}

/// `event op spine`: a column of the event compared with one of the observer. NULL on either side: it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bound {
    pub event: String,
    pub op: Comparison,
    pub spine: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub fn holds(self, event: i64, bound: i64) -> bool {
        match self {
            Self::Less => event < bound,
            Self::LessOrEqual => event <= bound,
            Self::Greater => event > bound,
            Self::GreaterOrEqual => event >= bound,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SweepAggregate {
    pub function: Function,
    /// A column of the event; `None`: every event counts, whatever it holds, or the function is a call that has its own.
    pub argument: Option<String>,
    /// Position in [`SweepSpec::windows`].
    pub window: usize,
    /// As the SQL has it, for errors.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    Count,
    /// How many different values the argument has.
    CountDistinct,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// The argument of the event that comes first.
    First {
        order: Vec<OrderKey>,
        /// Whether events without an argument count.
        ignore_nulls: bool,
        /// Whether events that are equal by `order` are equal in all that is asked of them. If not, a sweep fails with
        /// [`TiedFirsts`](super::TiedFirsts) where it would have to choose among some that differ.
        settled: bool,
    },
    /// Any other function, over the events themselves.
    Call(Call),
}

/// A column of the event to sort by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderKey {
    pub event: String,
    pub descending: bool,
    pub nulls_first: bool,
}

/// A call of an aggregate function that the session knows by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    pub function: String,
    pub arguments: Vec<Argument>,
    pub order: Vec<OrderKey>,
    pub distinct: bool,
    pub ignore_nulls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    /// A column of the event.
    Column(String),
    /// A constant, and its Arrow type, as text.
    Literal { value: String, data_type: String },
}

impl SweepSpec {
    /// The columns of the event that are named, each once.
    pub fn event_columns(&self) -> Vec<&String> {
        let keys = self.keys.iter().map(|k| &k.event);
        let windows = self.windows.iter().flat_map(|w| w.bounds.iter().map(|b| &b.event).chain(&w.filter));
        let aggregates = self.aggregates.iter().flat_map(SweepAggregate::event_columns);
        let mut columns: Vec<&String> = keys.chain(windows).chain(&self.finer).chain(aggregates).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

impl SweepAggregate {
    fn event_columns(&self) -> Vec<&String> {
        let mut columns: Vec<&String> = self.argument.iter().collect();
        match &self.function {
            Function::First { order, .. } => columns.extend(order.iter().map(|key| &key.event)),
            Function::Call(call) => {
                columns.extend(call.order.iter().map(|key| &key.event));
                columns.extend(call.arguments.iter().filter_map(|a| match a {
                    Argument::Column(name) => Some(name),
                    Argument::Literal { .. } => None,
                }));
            }
            _ => {}
        }
        columns
    }
}

impl fmt::Display for SweepSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "keys=[{}]", keys.join(", "))?;
        for (i, window) in self.windows.iter().enumerate() {
            write!(f, ", w{i}=[{window}]")?;
        }
        if !self.finer.is_empty() {
            return write!(f, ", groups=[{}]", self.finer.join(", "));
        }
        let aggregates: Vec<String> = self.aggregates.iter().map(ToString::to_string).collect();
        write!(f, ", aggr=[{}]", aggregates.join(", "))
    }
}

impl fmt::Display for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.null_is_equal { "IS NOT DISTINCT FROM" } else { "=" };
        write!(f, "{} {equals} {}", self.event, self.spine)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = self.bounds.iter().map(ToString::to_string);
        f.write_str(&bounds.chain(self.filter.clone()).collect::<Vec<_>>().join(" AND "))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        };
        write!(f, "{} {op} {}", self.event, self.spine)
    }
}

impl fmt::Display for SweepAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let argument = self.argument.as_deref().unwrap_or("*");
        match &self.function {
            Function::Count => write!(f, "count({argument})")?,
            Function::CountDistinct => write!(f, "count(DISTINCT {argument})")?,
            Function::Sum => write!(f, "sum({argument})")?,
            Function::Average => write!(f, "avg({argument})")?,
            Function::Minimum => write!(f, "min({argument})")?,
            Function::Maximum => write!(f, "max({argument})")?,
            Function::First { order, ignore_nulls, .. } => {
                let nulls = if *ignore_nulls { " IGNORE NULLS" } else { "" };
                write!(f, "first({argument}{nulls} ORDER BY {})", listed(order))?;
            }
            Function::Call(call) => write!(f, "{call}")?,
        }
        write!(f, " in w{}", self.window)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let order = if self.order.is_empty() { String::new() } else { format!(" ORDER BY {}", listed(&self.order)) };
        let nulls = if self.ignore_nulls { " IGNORE NULLS" } else { "" };
        write!(f, "{}({distinct}{}{nulls}{order})", self.function, listed(&self.arguments))
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => f.write_str(name),
            Self::Literal { value, .. } => f.write_str(value),
        }
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { "DESC" } else { "ASC" };
        write!(f, "{} {direction} NULLS {}", self.event, if self.nulls_first { "FIRST" } else { "LAST" })
    }
}

fn listed(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
