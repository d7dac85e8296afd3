//! For which legacy values a look ahead was needed, and how far it went.
//!
//! A cause that looks ahead explains values that need no look ahead, too: last night's values, in which late events counted before they
//! had arrived, hold what was not known last night; most of it has arrived by the label time. So the mismatches that such a cause explains
//! are replayed once more, under the same meaning, but of what had truly arrived by the label time. What it still explains then is no leak.
//!
//! ```text
//! visible under the meaning:  arrival' <= f(T)                      arrival': as the meaning has it; f: what it makes of label times
//! of that, known at T:        arrival' <= f(T)  and  arrival <= T
//! ```
//!
//! `f` never falls from one label time to a later one, so the two conditions are one on the label time:
//! `T >= max(arrival, first T with f(T) >= arrival')`.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::HashSet;
use datafusion::error::Result as DfResult;

use crate::cause::bench::{Questions, keys};
use crate::cause::case::{Block, Case, Hypothesis, Panel, Sides, layer, part};
use crate::cause::change::{Change, Layer, SECOND};
use crate::cause::held::Encoded;
use crate::cause::lab::Lab;
use crate::cause::lens::Lens;
use crate::cause::values;
use crate::cause::world::{Answers, Copies, about, rewindow, rows_under, world_schema};

/// What one cause shows of what was not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaking {
    /// Of the mismatches that it explains, how many need it.
    pub cells: usize,
    /// How far ahead it looks, at most, where that is known; nanoseconds.
    pub by: Option<i64>,
}

/// By case, by cause, what it leaks; none where it never looks ahead.
///
/// # Errors
/// Where values can't be compared, which is a defect.
pub(super) async fn leaks(lab: &Lab, cases: &[Case<'_>]) -> DfResult<Vec<Vec<Option<Leaking>>>> {
    let mut told: Vec<Vec<Option<Leaking>>> = cases.iter().map(|case| vec![None; case.chosen.len()]).collect();
    // Features that differ for the same reason are asked together.
    let mut alike: Vec<(Hypothesis, Vec<Explained>)> = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        for (number, chosen) in case.chosen.iter().enumerate() {
            if chosen.changes.iter().all(|change| change.leaks().is_none()) {
                continue;
            }
            let own = case.cause_of.iter().filter(|(_, cause)| usize::from(**cause) == number);
            let own = Explained { case: at, cause: number, cells: own.map(|(p, _)| (*p, true)).collect() };
            let replayed: Hypothesis =
                chosen.changes.iter().filter(|change| change.layer() != Layer::Value).cloned().collect();
            match alike.iter_mut().find(|(known, _)| *known == replayed) {
                Some((_, all)) => all.push(own),
                None => alike.push((replayed, vec![own])),
            }
        }
    }
    for (changes, all) in alike {
        let labels = |own: &Explained| -> Vec<usize> {
            own.cells.iter().map(|(position, _)| cases[own.case].compared.label_row(*position)).collect()
        };
        let panel = Panel::new(all.iter().flat_map(labels));
        let world = World::new(lab, &changes)?;
        let alone = all.iter().all(|own| cases[own.case].chosen[own.cause].changes.len() == changes.len());
        let answers = world.known(&panel, alone).await?;
        let by = changes.iter().filter_map(Change::leaks).flatten().max();
        for own in all {
            let needing = world.needing(&cases[own.case], &own, (&panel, answers.as_ref()))?;
            let by = if by.is_some() { by } else { world.furthest(&needing).await? };
            told[own.case][own.cause] = Some(Leaking { cells: needing.len(), by });
        }
    }
    Ok(told)
}

/// The cells of a case that one of its causes explains.
struct Explained {
    case: usize,
    cause: usize,
    /// Positions, each a mismatch.
    cells: Vec<(usize, bool)>,
}

/// The rows of a source as changes have them.
struct Seen {
    rows: RecordBatch,
    /// When they count from, as the changes have it.
    arrival: Int64Array,
    /// When they truly count from.
    truly: Int64Array,
    /// Rows that deliver again what had arrived before.
    again: HashSet<u32>,
}

/// A label row that leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    time: i64,
    /// By when what counts has arrived.
    moved: i64,
    /// The first event time that is read.
    start: i64,
}

/// What a view reads under changes.
struct World<'a> {
    lab: &'a Lab,
    changes: &'a Hypothesis,
    sources: HashMap<usize, Seen>,
}

impl<'a> World<'a> {
    fn new(lab: &'a Lab, changes: &'a Hypothesis) -> DfResult<Self> {
        let arrival = |rows: &RecordBatch| -> DfResult<Int64Array> {
            Ok(cast(rows.column(rows.num_columns() - 1), &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        };
        let mut sources = HashMap::new();
        for (&source, held) in &lab.held {
            let log = &lab.logs[source];
            let schema = world_schema(log);
            let about = about(&layer(changes, Layer::World), source);
            let rows = rows_under(log, held, &schema, &about, Copies::Left)?;
            let truly = arrival(&rows_under(log, held, &schema, &[], Copies::Left)?)?;
            sources.insert(source, Seen { arrival: arrival(&rows)?, truly, again: held.repeats(), rows });
        }
        Ok(Self { lab, changes, sources })
    }

    /// By when, for these changes, what counts at a label time has arrived.
    fn moved(&self, time: i64) -> i64 {
        layer(self.changes, Layer::Instant).into_iter().fold(time, |time, change| change.arrived(time))
    }

    fn questions(&self, labels: &[usize], unmoved: bool) -> Questions {
        let windows = layer(self.changes, Layer::World).into_iter().filter_map(rewindow).collect();
        let lens = Lens { windows, unmoved, ..Lens::default() };
        let instants = vec![part(self.changes, Layer::Instant)];
        Questions { panel: Arc::new(labels.to_vec()), lenses: vec![(lens, instants)] }
    }

    /// The answers under the changes, of what had truly arrived by the label time; `None` where the view can't be asked so, or need not.
    /// `alone`: no number is changed on top.
    async fn known(&self, panel: &Panel, alone: bool) -> DfResult<Option<Answers>> {
        if let [one] = self.changes.as_slice()
            && alone
            && *one.apart().0 == Change::LateVisible
        {
            // Without what arrives later the replayed value is left, which is another.
            return Ok(None);
        }
        let (lab, world) = (self.lab, layer(self.changes, Layer::World));
        let mut times: Vec<i64> = panel.labels.iter().map(|row| lab.labels.times.value(*row)).collect();
        times.sort_unstable();
        times.dedup();
        let moved: Vec<i64> = times.iter().map(|time| self.moved(*time)).collect();
        let calls =
            world.iter().filter_map(|change| rewindow(change)).any(|change| lab.windows().changes_calls(&change));
        if !calls && let Ok(bench) = lab.bench(self.questions(&panel.labels, true)) {
            let rows = self.rows_known((&times, &moved), None)?;
            let told = lab.over(&bench, rows).await;
            if told.is_some() {
                return Ok(told);
            }
        }
        // A replay by itself has but one time for both: arrivals are told as the changes have the label times.
        if moved.windows(2).any(|two| two[0] >= two[1]) {
            return Ok(None);
        }
        let lenses = vec![(Lens::default(), vec![part(self.changes, Layer::Instant)])];
        let Ok(bench) = lab.bench(Questions { panel: Arc::new(panel.labels.clone()), lenses }) else { return Ok(None) };
        let rows = self.rows_known((&times, &moved), Some(&moved))?;
        Ok(lab.over_by_itself(&bench, &world, rows).await.ok())
    }

    /// By source, the rows, each with the time from which on it counts under the changes, which make `moved` of the label `times`, and has
    /// truly arrived; told as what the changes make of the first label time after that, where these are given.
    fn rows_known(
        &self,
        (times, moved): (&[i64], &[i64]),
        told: Option<&[i64]>,
    ) -> DfResult<HashMap<usize, RecordBatch>> {
        let (world, unmoved) = (layer(self.changes, Layer::World), times == moved);
        let mut all = HashMap::new();
        for (&source, Seen { rows, arrival, truly, again }) in &self.sources {
            let both = |(arrival, truly): (Option<i64>, Option<i64>)| {
                let (arrival, truly) = (arrival?, truly?);
                if unmoved {
                    return Some(arrival.max(truly));
                }
                let first = times.get(moved.partition_point(|moved| *moved < arrival))?;
                let both = truly.max(*first);
                let Some(told) = told else { return Some(both) };
                told.get(times.partition_point(|time| *time < both)).copied()
            };
            // Of what was delivered again, the first delivery is there whenever another is.
            let twice = about(&world, source).contains(&&Change::DuplicatesCounted);
            let first = |(row, times)| both(times).filter(|_| twice || !again.contains(&row));
            let both: Int64Array = (0..).zip(arrival.iter().zip(truly.iter())).map(first).collect();
            let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
            if let Some(last) = columns.last_mut() {
                *last = cast(&both, last.data_type())?;
            }
            all.insert(source, RecordBatch::try_new(rows.schema(), columns)?);
        }
        Ok(all)
    }

    /// The label rows of the cells that what had arrived by the label time does not explain; all of them, without answers.
    fn needing(
        &self,
        case: &Case<'_>,
        own: &Explained,
        (panel, answers): (&Panel, Option<&Answers>),
    ) -> DfResult<Vec<usize>> {
        let label = |(position, _): &(usize, bool)| case.compared.label_row(*position);
        let all = || own.cells.iter().map(label).collect();
        let Some(answers) = answers else { return Ok(all()) };
        let (column, found) = answers.of(case.slot);
        let readings = values::readings(&case.chosen[own.cause].changes, case.spec, column, found)?;
        let sides = Sides::new(case, panel, &own.cells)?;
        let Some(block) = Block::new(case, &readings, panel.labels.len(), &sides)? else { return Ok(all()) };
        Ok(own.cells.iter().zip(block.rows(0)).filter(|(_, row)| !row.agrees).map(|(cell, _)| label(cell)).collect())
    }

    /// How long after the label time the latest of the events arrived that count under the changes, at these label rows; whole seconds.
    async fn furthest(&self, labels: &[usize]) -> DfResult<Option<i64>> {
        let lab = self.lab;
        let Ok(bench) = lab.bench(self.questions(labels, false)) else { return Ok(None) };
        let keys = keys(&lab.view, &lab.labels, labels)?;
        let columns = lab.key_columns(keys.len()).await;
        let encoded = if keys.is_empty() { None } else { Some(Encoded::new(&keys)?) };
        let mut furthest: Option<i64> = None;
        for (source, Seen { arrival, truly, again, .. }) in &self.sources {
            let held = &lab.held[source];
            let columns = columns.get(source).map_or(&[][..], Vec::as_slice);
            let by_key = lab.by_key(*source, held, columns)?;
            // By key, label times in their order, each with the first event time that is read for it.
            let mut asked: HashMap<&[u8], Vec<Asked>> = HashMap::new();
            for (at, label) in labels.iter().enumerate() {
                let key = encoded.as_ref().filter(|_| !columns.is_empty());
                let key = key.map_or(&[][..], |keys| keys.rows.row(at).data());
                let time = lab.labels.times.value(*label);
                let own = Asked { time, moved: self.moved(time), start: bench.looks[at].start };
                asked.entry(key).or_default().push(own);
            }
            for (key, mut asked) in asked {
                asked.sort_unstable();
                for &row in by_key.of(key).iter().filter(|row| !again.contains(*row)) {
                    let row = row as usize;
                    if arrival.is_null(row) || truly.is_null(row) {
                        continue;
                    }
                    let first = asked.partition_point(|own| own.moved < arrival.value(row));
                    let Some(Asked { time, start, .. }) = asked.get(first) else { continue };
                    let by = truly.value(row).saturating_sub(*time);
                    if by > 0 && *start <= held.event.value(row) {
                        furthest = furthest.max(Some(by));
                    }
                }
            }
        }
        // No clock is that exact.
        Ok(furthest.map(|by| by.div_euclid(SECOND).saturating_add(i64::from(by % SECOND != 0)).saturating_mul(SECOND)))
    }
}
