//! What is retained and what is needed, over one axis of time: a row for each source's log, and below it one for each model that
//! reads it.
//!
//! ```text
//! user_events   ··████████████ ███████████·◆·········   what is there, without its gaps; when the oldest file is deleted
//!   fraud       ·░░░░░░░▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓·¦·········   how far back its labels look, and the labels themselves
//! ```

use std::collections::BTreeSet;

use chrono::DateTime;

use crate::report::Report;
use crate::report::sentence::duration;
use crate::report::text::{clean, counted, day_or_now, short_day};
use crate::retention::{FeatureRetention, RetentionReport, SourceRetention, TimelineEntry};

/// The width of the picture in its own units.
const WIDTH: f64 = 1000.0;
/// The least that can be seen.
const LEAST: f64 = 2.0;
/// What lies further off than so many times what is there and needed is told, not drawn.
const FURTHEST: f64 = 3.0;

const NS: f64 = 1e9;
const DAY: f64 = 86_400.0 * NS;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gantt {
    pub rows: Vec<Row>,
    pub first: String,
    pub last: String,
    /// What happens when, in words.
    pub events: Vec<(String, String)>,
}

/// One line of the picture. All texts are clean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub name: String,
    /// `log` or `needs`.
    pub class: &'static str,
    pub bars: Vec<Bar>,
    pub marks: Vec<Mark>,
    pub told: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    /// `there`, `gap`, `back` or `labels`.
    pub class: &'static str,
    pub x: String,
    pub width: String,
}

/// An instant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// `today`, `deadline`, `expires` or `trainable`.
    pub class: &'static str,
    pub x: String,
}

/// The axis: nanoseconds since 1970 at both ends.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn x(&self, at: f64) -> f64 {
        (at - self.from) / (self.to - self.from) * WIDTH
    }

    fn bar(&self, class: &'static str, from: f64, to: f64) -> Option<Bar> {
        let (a, b) = (self.x(from).clamp(0.0, WIDTH), self.x(to).clamp(0.0, WIDTH));
        let width = (b - a).max(LEAST);
        let x = a.min(WIDTH - width);
        (to >= from).then(|| Bar { class, x: format!("{x:.1}"), width: format!("{width:.1}") })
    }

    fn mark(&self, class: &'static str, at: Option<f64>) -> Option<Mark> {
        let x = self.x(at?);
        (0.0..=WIDTH).contains(&x).then(|| Mark { class, x: format!("{x:.1}") })
    }
}

/// How a model, or all features where there is none, reads one source.
struct Need<'a> {
    model: Option<&'a str>,
    /// `None`: from the beginning.
    back: Option<f64>,
    lookback: &'a str,
    uncovered: u64,
    trainable: Option<f64>,
}

/// The picture; `None` where nothing is known of what is retained.
pub(super) fn gantt(report: &Report) -> Option<Gantt> {
    let retention = report.retention.as_ref().filter(|r| !r.sources.is_empty())?;
    let labels = report.labels.as_ref().map_or((None, None), |l| (instant(&l.first), instant(&l.last)));
    let label_rows = report.labels.as_ref().map_or(0, |l| l.rows);
    let needs: Vec<Vec<Need<'_>>> = retention.sources.iter().map(|s| needs(report, retention, &s.source)).collect();
    let deadline = instant(&retention.deadline);
    let expiring = retention.sources.iter().any(|s| s.retention.is_some());
    let today = instant(&retention.today).filter(|_| expiring);
    let core = retention.sources.iter().flat_map(|s| [instant(&s.first), instant(&s.last)]);
    let back = needs.iter().flatten().map(|need| Some(labels.0? - need.back?));
    let core: Vec<f64> = core.chain([labels.0, labels.1]).chain(back).flatten().collect();
    let (mut from, mut to) = (fold(&core, f64::min)?, fold(&core, f64::max)?);
    let span = (to - from).max(DAY / 24.0);
    let mut extra: Vec<f64> = retention.sources.iter().filter_map(|s| instant(&s.expires)).collect();
    extra.extend([today, deadline].into_iter().flatten());
    extra.extend(needs.iter().flatten().filter_map(|need| need.trainable));
    let (earliest, latest) = (from - FURTHEST * span, to + FURTHEST * span);
    for at in extra.into_iter().filter(|at| (earliest..=latest).contains(at)) {
        (from, to) = (from.min(at), to.max(at));
    }
    let margin = (to - from).max(DAY / 24.0) * 0.01;
    let axis = Axis { from: from - margin, to: to + margin };
    let mut rows = Vec::new();
    for (source, needs) in retention.sources.iter().zip(&needs) {
        let common = [axis.mark("today", today), axis.mark("deadline", deadline)];
        let own = axis.mark("expires", instant(&source.expires));
        rows.push(Row {
            name: clean(&source.source),
            class: "log",
            bars: log(source, &axis),
            marks: common.clone().into_iter().chain([own]).flatten().collect(),
            told: log_told(source),
        });
        for need in needs {
            let mut bars = Vec::new();
            if let (Some(first), Some(last)) = labels {
                bars.extend(axis.bar("back", need.back.map_or(axis.from, |back| first - back), first));
                bars.extend(axis.bar("labels", first, last));
            }
            let own = axis.mark("trainable", need.trainable);
            rows.push(Row {
                name: need.model.map_or_else(|| "all features".to_string(), clean),
                class: "needs",
                bars,
                marks: common.clone().into_iter().chain([own]).flatten().collect(),
                told: need_told(need, label_rows),
            });
        }
    }
    let day = |at: f64| {
        let time = DateTime::from_timestamp_nanos(at as i64);
        time.format("%Y-%m-%d").to_string()
    };
    let events = retention.timeline.iter().filter(|e| e.what != "week" && (e.what != "today" || expiring));
    let when = |e: &TimelineEntry| {
        if e.what == "today" { short_day(&e.at) } else { day_or_now(&e.at, retention.today.as_deref()) }
    };
    let events = events.map(|e| (when(e), clean(&e.detail))).collect();
    Some(Gantt { rows, first: day(from), last: day(to), events })
}

fn fold(values: &[f64], with: fn(f64, f64) -> f64) -> Option<f64> {
    values.iter().copied().reduce(with)
}

fn instant(rfc3339: &Option<String>) -> Option<f64> {
    let time = DateTime::parse_from_rfc3339(rfc3339.as_deref()?).ok()?;
    Some(time.timestamp_nanos_opt()? as f64)
}

/// The log without its gaps, and these.
fn log(source: &SourceRetention, axis: &Axis) -> Vec<Bar> {
    let (Some(first), Some(last)) = (instant(&source.first), instant(&source.last)) else { return Vec::new() };
    let mut bars: Vec<Bar> = axis.bar("there", first, last).into_iter().collect();
    for gap in &source.gaps {
        let ends = (instant(&Some(gap.from.clone())), instant(&Some(gap.to.clone())));
        if let (Some(from), Some(to)) = ends {
            bars.extend(axis.bar("gap", from.max(first), to.min(last)));
        }
    }
    bars
}

fn log_told(source: &SourceRetention) -> String {
    let day = |time: &Option<String>| time.as_deref().map_or_else(|| "?".to_string(), short_day);
    let mut told = match &source.first {
        Some(_) => format!("{} to {}", day(&source.first), day(&source.last)),
        None => "no event".to_string(),
    };
    match source.gaps.len() as u64 {
        0 => {}
        gaps => told.push_str(&format!(", {}", counted(gaps, "gap", "gaps"))),
    }
    if let Some(kept) = &source.retention {
        told.push_str(&format!("; kept {}", duration(kept)));
    }
    if source.expires.is_some() {
        told.push_str(&format!(", the oldest file until {}", day(&source.expires)));
    }
    told
}

fn need_told(need: &Need<'_>, labels: u64) -> String {
    let back = match need.lookback {
        "unbounded" => "looks back to the beginning".to_string(),
        lookback => format!("looks back {}", duration(lookback)),
    };
    match need.uncovered {
        _ if labels == 0 => back,
        0 => format!("{back}; all label rows covered"),
        some => format!("{back}; {} not covered for some feature", counted(some, "label row", "label rows")),
    }
}

/// Who reads the source, and how far back: each model, or all features where no model does.
fn needs<'a>(report: &'a Report, retention: &'a RetentionReport, source: &str) -> Vec<Need<'a>> {
    let reads = |f: &&FeatureRetention| f.sources.iter().any(|s| s.source == source);
    let reading: Vec<&FeatureRetention> = retention.features.iter().filter(reads).collect();
    let of = |model: Option<&'a str>, features: Vec<&'a FeatureRetention>| {
        let lookbacks = features.iter().flat_map(|f| f.sources.iter().filter(|s| s.source == source));
        let lookback = lookbacks.map(|s| s.lookback.as_str()).max_by(|a, b| {
            let length = |l: &str| nanos(l).unwrap_or(f64::INFINITY);
            length(a).total_cmp(&length(b))
        })?;
        let months = retention.models.iter().find(|m| Some(m.model.as_str()) == model);
        Some(Need {
            model,
            back: nanos(lookback),
            lookback,
            uncovered: features.iter().map(|f| f.labels - f.covered.min(f.labels)).max().unwrap_or(0),
            trainable: months.and_then(|m| instant(&m.trainable_from)),
        })
    };
    let by_model = report.models.iter().filter_map(|model| {
        let own: BTreeSet<&str> = model.features.iter().map(|f| f.feature.as_str()).collect();
        let features = reading.iter().copied().filter(|f| own.contains(f.feature.as_str()));
        of(Some(&model.model), features.collect())
    });
    let by_model: Vec<Need<'a>> = by_model.collect();
    if by_model.is_empty() { of(None, reading).into_iter().collect() } else { by_model }
}

/// An ISO 8601 duration in nanoseconds, months as long as they are on average: for a picture. `None`: unbounded.
fn nanos(iso: &str) -> Option<f64> {
    let mut total = 0.0;
    let (mut digits, mut of_day) = (String::new(), false);
    for char in iso.strip_prefix('P')?.chars() {
        let unit = match char {
            '0'..='9' | '.' => {
                digits.push(char);
                continue;
            }
            'T' => {
                of_day = true;
                continue;
            }
            'Y' => 365.25 * DAY,
            'M' if !of_day => 30.44 * DAY,
            'W' => 7.0 * DAY,
            'D' => DAY,
            'H' => 3600.0 * NS,
            'M' => 60.0 * NS,
            'S' => NS,
            _ => return None,
        };
        total += std::mem::take(&mut digits).parse::<f64>().ok()? * unit;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::retained;

    fn shown(row: &Row) -> Vec<(&'static str, f64, f64)> {
        row.bars.iter().map(|b| (b.class, b.x.parse().unwrap(), b.width.parse().unwrap())).collect()
    }

    #[test]
    fn bars_stand_where_their_times_are() {
        let drawn = gantt(&retained()).unwrap();
        // 2025-03-01 to 2025-04-10 is drawn: 40 days and 1 % on either side.
        assert_eq!((drawn.first.as_str(), drawn.last.as_str()), ("2025-03-01", "2025-04-10"));
        let x = |day: f64| (day + 0.4) / 40.8 * 1000.0;
        let [log, model] = drawn.rows.as_slice() else { panic!("{drawn:?}") };
        assert_eq!((log.name.as_str(), log.class), ("events", "log"));
        let near = |a: f64, b: f64| (a - b).abs() < 0.06;
        let bars = shown(log);
        assert!(bars[0].0 == "there" && near(bars[0].1, x(0.0)) && near(bars[0].1 + bars[0].2, x(30.0)), "{bars:?}");
        assert!(bars[1].0 == "gap" && near(bars[1].1, x(10.0)) && near(bars[1].2, x(12.0) - x(10.0)), "{bars:?}");
        let marks: Vec<&str> = log.marks.iter().map(|m| m.class).collect();
        assert_eq!(marks, ["today", "expires"]);
        let bars = shown(model);
        assert_eq!((model.name.as_str(), bars[0].0, bars[1].0), ("m", "back", "labels"));
        assert!(near(bars[0].1, x(8.0)) && near(bars[0].1 + bars[0].2, x(15.0)), "7 days before the labels: {bars:?}");
        assert_eq!(model.told, "looks back 7 days; 3 label rows not covered for some feature");
        assert_eq!(log.told, "2025-03-01 to 2025-03-31, 1 gap; kept 40 days, the oldest file until 2025-04-10");
    }

    #[test]
    fn what_is_far_off_is_told_and_not_drawn() {
        let mut report = retained();
        let retention = report.retention.as_mut().unwrap();
        retention.today = Some("2031-01-01T00:00:00Z".to_string());
        let drawn = gantt(&report).unwrap();
        assert_eq!(drawn.last, "2025-04-10");
        assert!(drawn.rows.iter().all(|row| row.marks.iter().all(|m| m.class != "today")));
    }

    #[test]
    fn without_retention_there_is_no_picture() {
        assert_eq!(gantt(&Report::new("p", "0", "now")), None);
    }

    #[test]
    fn durations_have_lengths() {
        assert_eq!(nanos("P1DT6H"), Some(30.0 * 3600.0 * NS));
        assert_eq!(nanos("unbounded"), None);
    }
}
