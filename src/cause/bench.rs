//! A set of questions about one view: label rows, at instants, through lenses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Operator;

use crate::analysis::View;
use crate::cause::case::Hypothesis;
use crate::cause::change::{Change, MINUTE, Shift};
use crate::cause::held::Held;
use crate::cause::lens::Lens;
use crate::cause::near::Look;
use crate::cause::slots::{Compiled, Sides, sides};
use crate::cause::windows::{Limit, Rewindow, Windows};
use crate::cause::world::{Answers, Ask, spine};
use crate::error::{Error, Result};
use crate::replay::{LabelObservers, Outlook, ViewValues};
use crate::source::Labels;
use crate::source::time::unit_ns;

/// The rows of a set of label rows, and through which lenses they are asked for, each at some changes of the label time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Questions {
    pub panel: Arc<Vec<usize>>,
    pub lenses: Vec<(Lens, Vec<Hypothesis>)>,
}

/// Questions, ready to be asked.
#[derive(Debug)]
pub(super) struct Bench {
    pub questions: Questions,
    /// By question: of each lens in turn, of each instant in turn, every row.
    pub looks: Vec<Look>,
    pub rows: Vec<usize>,
    /// The questions in the order of their times, and where in it each of them is.
    pub labels: Labels,
    pub observers: LabelObservers,
    place: UInt32Array,
    /// By slot of the plan.
    pub limits: Arc<Vec<Sides>>,
    /// What of what is held can be seen from here.
    pub near: Mutex<Option<Arc<HashMap<usize, Held>>>>,
}

/// What questions are about.
pub(super) struct Subject<'a> {
    pub view: &'a View,
    pub labels: &'a Labels,
    pub windows: &'a Windows,
    /// The limits of its windows, as the SQL has them.
    pub limits: &'a [Limit],
    pub now_unit: TimeUnit,
    pub compiled: &'a dyn Fn(Limit) -> DfResult<Compiled>,
}

/// A question, apart from its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Moment {
    now: i64,
    instant: i64,
    /// Which windows there are.
    meaning: usize,
}

impl Bench {
    /// # Errors
    /// Where a limit can't be evaluated, or keys can't be cast.
    pub(super) fn new(questions: Questions, subject: &Subject<'_>) -> Result<Self> {
        let mut meanings: Vec<&[Rewindow]> = Vec::new();
        let mut asks: Vec<(usize, Moment)> = Vec::new();
        for (lens, instants) in &questions.lenses {
            let known = meanings.iter().position(|m| *m == lens.windows);
            let meaning = known.unwrap_or_else(|| {
                meanings.push(&lens.windows);
                meanings.len() - 1
            });
            for instant in instants {
                for &row in questions.panel.iter() {
                    let label_time = subject.labels.times.value(row);
                    let time = instant.iter().fold(label_time, |time, change| seen_at(change, time));
                    let arrived = || instant.iter().fold(label_time, |time, change| arrived_at(change, time));
                    let arrived = if lens.unmoved { label_time } else { arrived() };
                    let (now, instant) = (time.saturating_add(lens.now), arrived.saturating_add(lens.instant));
                    asks.push((row, Moment { now, instant, meaning }));
                }
            }
        }
        let mut order: Vec<u32> = (0..u32::try_from(asks.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|&i| (asks[i as usize].1.now, i));
        let mut place = vec![0_u32; order.len()];
        for (at, &i) in order.iter().enumerate() {
            place[i as usize] = u32::try_from(at).unwrap_or(u32::MAX);
        }
        let sorted = || order.iter().map(|&i| asks[i as usize]);
        let labels = spine(subject.labels, sorted().map(|(row, moment)| Ask { row, time: moment.now }))?;
        let plain = meanings.len() < 2 && asks.iter().all(|(_, m)| m.instant == m.now);
        let outlook = (!plain).then(|| Outlook {
            instants: sorted().map(|(_, m)| m.instant).collect(),
            meanings: sorted().map(|(_, m)| m.meaning as i64).collect::<Int64Array>(),
        });
        let keys = &subject.view.keys;
        let observers = LabelObservers::of(&labels, keys, subject.now_unit, outlook.as_ref()).map_err(failed)?;
        let moments: Vec<Moment> =
            observers.first_at.iter().map(|&label| asks[order[label as usize] as usize].1).collect();
        let limits = limits(subject, &meanings, &moments).map_err(failed)?;
        let starts = starts(subject.limits, &limits, moments.len()).map_err(failed)?;
        let number: HashMap<Moment, usize> = moments.iter().enumerate().map(|(at, moment)| (*moment, at)).collect();
        // A question that no observer asks, because its key is NULL, looks at nothing.
        let start = |moment: &Moment| number.get(moment).map_or(i64::MAX, |at| starts[*at]);
        let looks = asks.iter().map(|(_, m)| Look { time: m.instant.max(m.now), start: start(m) }).collect();
        Ok(Self {
            looks,
            rows: asks.iter().map(|(row, _)| *row).collect(),
            labels,
            observers,
            place: UInt32Array::from(place),
            limits: Arc::new(limits),
            near: Mutex::default(),
            questions,
        })
    }

    /// The answers by question, from values by observer.
    ///
    /// # Errors
    /// Where defaults can't be filled in.
    pub(super) fn told(&self, values: &ViewValues, view: &View) -> DfResult<Answers> {
        let columns = values.with_defaults(&view.features)?;
        let back = |array: &dyn Array| take(array, &self.place, None);
        Ok(Answers {
            columns: columns.iter().map(|c| back(c)).collect::<Result<_, _>>()?,
            found: back(&values.found)?.as_boolean().clone(),
        })
    }

    /// By lens, how many questions there are before it and how many of its own.
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let rows = self.questions.panel.len();
        self.questions.lenses.iter().scan(0, move |at, (_, instants)| {
            let part = (*at, instants.len() * rows);
            *at += part.1;
            Some(part)
        })
    }
}

/// By slot, the limits of these moments.
fn limits(subject: &Subject<'_>, meanings: &[&[Rewindow]], moments: &[Moment]) -> DfResult<Vec<Sides>> {
    let unit = unit_ns(subject.now_unit);
    let now: Int64Array = moments.iter().map(|moment| moment.now.div_euclid(unit)).collect();
    let now = cast(&now, &DataType::Timestamp(subject.now_unit, Some("UTC".into())))?;
    let one = |limit: &Limit| -> DfResult<Sides> {
        let mut different: Vec<Limit> = Vec::new();
        let mut of_meaning: Vec<usize> = Vec::with_capacity(meanings.len());
        for windows in meanings {
            let changed = subject.windows.limit(limit, windows)?;
            let known = different.iter().position(|l| *l == changed);
            of_meaning.push(known.unwrap_or_else(|| {
                different.push(changed);
                different.len() - 1
            }));
        }
        let mut groups: Vec<Vec<u32>> = vec![Vec::new(); different.len()];
        for (at, moment) in (0..).zip(moments) {
            groups[of_meaning[moment.meaning]].push(at);
        }
        let groups = different.into_iter().zip(groups).map(|(changed, group)| {
            let times = take(&now, &UInt32Array::from(group.clone()), None)?;
            Ok((group, (subject.compiled)(changed)?, times))
        });
        sides(limit, &groups.collect::<DfResult<Vec<_>>>()?)
    };
    subject.limits.iter().map(one).collect()
}

/// By moment, the earliest of the windows' starts; one without bound where the view has no window.
fn starts(limits: &[Limit], sides: &[Sides], moments: usize) -> DfResult<Vec<i64>> {
    let mut earliest: Option<Vec<i64>> = None;
    for (limit, sides) in limits.iter().zip(sides) {
        if matches!(limit, Limit::At(Operator::Gt | Operator::GtEq, _)) {
            let starts = sides.starts()?;
            earliest = Some(match earliest {
                None => starts,
                Some(earliest) => earliest.into_iter().zip(starts).map(|(a, b)| a.min(b)).collect(),
            });
        }
    }
    Ok(earliest.unwrap_or_else(|| vec![i64::MIN; moments]))
}

/// The instant by which what counts has arrived, as [`seen_at`].
fn arrived_at(change: &Change, time: i64) -> i64 {
    if let Change::Timezone { .. } = change { seen_at(change, time) } else { change.arrived(time) }
}

/// The label time under a change of it; of all sources that are shifted alike, the label time is shifted back.
fn seen_at(change: &Change, time: i64) -> i64 {
    match change {
        Change::Timezone { shift: Shift::Minutes(minutes) } => time.saturating_sub(i64::from(*minutes) * MINUTE),
        other => other.instant(time),
    }
}

fn failed(e: datafusion::error::DataFusionError) -> Error {
    Error::engine("ask a view under another meaning", e)
}

/// The keys of label rows, in the types in which a view compares them.
///
/// # Errors
/// Keys that can't be cast.
pub(super) fn keys(view: &View, labels: &Labels, rows: &[usize]) -> DfResult<Vec<ArrayRef>> {
    let rows = UInt32Array::from_iter_values(rows.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)));
    view.keys.iter().map(|k| Ok(cast(&take(&labels.keys[k.label], &rows, None)?, &k.data_type)?)).collect()
}
