//! The words in which [`keys`](super::keys) describes the configuration.

/// A table with fixed keys.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) doc: &'static str,
    pub(super) keys: &'static [Key],
}

impl Table {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// One sentence, for people and for editors.
    pub(super) doc: &'static str,
    pub(super) required: bool,
    /// The value where it is not written.
    pub(super) default: Option<Default>,
    /// A value as TOML writes it, for the help of findings.
    pub(super) example: &'static str,
    /// Whether values depend on it, so that `explain` says where it came from.
    pub(super) choice: bool,
}

impl Key {
    pub(super) const fn new(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, doc, required: false, default: None, example, choice: false }
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn default(mut self, default: Default) -> Self {
        self.default = Some(default);
        self
    }

    /// A key that values depend on.
    pub(super) const fn choice(mut self) -> Self {
        self.choice = true;
        self
    }
}

/// A default value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'static str),
}

impl Default {
    pub(super) fn json(self) -> serde_json::Value {
        match self {
            Self::Bool(value) => value.into(),
            Self::Integer(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Text(value) => value.into(),
        }
    }
}

/// What a value must be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A string that is not empty.
    Text,
    /// A location: a local path, a glob, or a URI of a known scheme.
    Uri,
    /// One of these words.
    Word(&'static [&'static str]),
    Bool,
    /// An integer, at least this.
    Integer(i64),
    /// An integer or float from .0 to .1, both inclusive; finite.
    Number(f64, f64),
    /// A string such as `6 hours`.
    Duration {
        zero: bool,
    },
    /// A string such as `8 GiB`.
    Size,
    /// An IANA time zone.
    Zone,
    /// An RFC 3339 string, or a TOML date-time with an offset.
    Instant,
    /// From (inclusive) and to (exclusive), from < to.
    Interval,
    /// Any string, number, boolean, date or time.
    Scalar,
    /// A string, integer or boolean, which may be secret: never shown.
    Setting,
    /// A list without duplicates; with at least .1 items.
    List(&'static Kind, usize),
    /// Free names, each with a value of this kind.
    Map(&'static Kind),
    /// What the first of these kinds takes, or else the next.
    Either(&'static [Kind]),
    /// A table with fixed keys.
    Table(&'static Table),
    /// Names given by the user, each with a table.
    Named(&'static Table),
    /// As `Named`, where the names are columns and need not be plain.
    Columns(&'static Table),
}

impl Kind {
    /// What is wanted, as a message says it.
    pub(super) fn want(&self) -> String {
        match self {
            Kind::Text => "a string".to_string(),
            Kind::Uri => "a path or URI".to_string(),
            Kind::Word(words) => match words {
                [one] => format!("`\"{one}\"`"),
                _ => {
                    let quoted: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                    format!("one of {}", quoted.join(", "))
                }
            },
            Kind::Bool => "`true` or `false`".to_string(),
            Kind::Integer(_) => "an integer".to_string(),
            Kind::Number(..) => "a number".to_string(),
            Kind::Duration { .. } => "a duration such as `\"6 hours\"`".to_string(),
            Kind::Size => "a size such as `\"8 GiB\"`".to_string(),
            Kind::Zone => "the name of a time zone".to_string(),
            Kind::Instant => "a timestamp".to_string(),
            Kind::Interval => "a list of two timestamps, from and to".to_string(),
            Kind::Scalar => "a string, number, boolean or date".to_string(),
            Kind::Setting => "a string".to_string(),
            Kind::List(item, _) => match item {
                Kind::Interval => "a list of intervals".to_string(),
                Kind::Word(_) => "a list of names".to_string(),
                _ => "a list of strings".to_string(),
            },
            Kind::Map(_) | Kind::Table(_) => "a table".to_string(),
            Kind::Either(kinds) => kinds.iter().map(Kind::want).collect::<Vec<_>>().join(" or "),
            Kind::Named(_) | Kind::Columns(_) => "tables with names".to_string(),
        }
    }
}
