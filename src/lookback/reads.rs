//! What is read of a source: from when on, and which columns.

use std::collections::BTreeSet;

use datafusion::logical_expr::Expr;

/// From when on events matter, as a function of the label time.
#[derive(Debug, Clone, PartialEq)]
pub enum Lower {
    /// From the beginning.
    Unbounded,
    /// From this instant on (inclusive): an expression over `NOW()` alone, or a constant.
    At(Expr),
    /// All bounds hold: the latest of them.
    Latest(Vec<Lower>),
    /// One of the bounds holds: the earliest of them.
    Earliest(Vec<Lower>),
}

impl Lower {
    /// Both bounds hold.
    pub(super) fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Unbounded, other) => other.clone(),
            (own, Self::Unbounded) => own,
            (own, other) if own == *other => own,
            (Self::Latest(mut all), other) => {
                if !all.contains(other) {
                    all.push(other.clone());
                }
                Self::Latest(all)
            }
            (own, other) => Self::Latest(vec![own, other.clone()]),
        }
    }

    /// One of the bounds holds.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unbounded, _) | (_, Self::Unbounded) => Self::Unbounded,
            (own, other) if own == other => own,
            (own, other) => Self::Earliest(vec![own, other]),
        }
    }

    pub fn is_unbounded(&self) -> bool {
        *self == Self::Unbounded
    }
}

/// What a feature reads of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRead {
    /// Position in the project's logs.
    pub source: usize,
    pub lower: Lower,
    /// Positions in the log's schema.
    pub columns: BTreeSet<usize>,
}

/// One reading of a source in a plan; the same source may be read several times.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    /// The number of the scan in the plan.
    pub scan: usize,
    pub source: usize,
    pub lower: Lower,
    pub columns: BTreeSet<usize>,
    /// Rows are held against each other: which is first, or among the last three. That a row is recent then says nothing of those that
    /// it was held against.
    pub held: bool,
}

/// What something depends on. The earliest bound of a source counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reads(pub Vec<Read>);

impl Reads {
    pub(super) fn add(&mut self, other: &Self) {
        for read in &other.0 {
            match self.0.iter_mut().find(|r| r.scan == read.scan && r.held == read.held && r.lower == read.lower) {
                Some(own) => own.columns.extend(&read.columns),
                None => self.0.push(read.clone()),
            }
        }
    }

    pub(super) fn with(mut self, other: &Self) -> Self {
        self.add(other);
        self
    }

    /// Rows are held against each other, but for those of some scans.
    pub(super) fn held(mut self, but: &[usize]) -> Self {
        let own = std::mem::take(&mut self.0);
        for read in own {
            let held = read.held || !but.contains(&read.scan);
            self.add(&Self(vec![Read { held, ..read }]));
        }
        self
    }

    /// Only rows whose events are from these bounds on matter, by scan.
    pub(super) fn tighten(&mut self, bounds: &[(usize, Lower)]) {
        if bounds.is_empty() {
            return;
        }
        let reads = std::mem::take(&mut self.0);
        for mut read in reads {
            for (_, lower) in bounds.iter().filter(|(scan, _)| *scan == read.scan && !read.held) {
                read.lower = read.lower.and(lower);
            }
            self.add(&Self(vec![read]));
        }
    }

    /// Whether everything in `other` is read here, from the same bound on.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|r| {
            let same = |own: &&Read| own.scan == r.scan && (own.lower == r.lower || own.lower.is_unbounded());
            self.0.iter().filter(same).any(|own| r.columns.is_subset(&own.columns))
        })
    }

    /// By source, whatever scan it was.
    pub(super) fn by_source(&self) -> Vec<SourceRead> {
        let mut all: Vec<SourceRead> = Vec::new();
        for read in &self.0 {
            match all.iter_mut().find(|r| r.source == read.source && r.lower == read.lower) {
                Some(own) => own.columns.extend(&read.columns),
                None => all.push(SourceRead {
                    source: read.source,
                    lower: read.lower.clone(),
                    columns: read.columns.clone(),
                }),
            }
        }
        all
    }
}
