//! What happens, line by line on stderr, for those who ask: `RUST_LOG`, `--log-format`.
//!
//! A subscriber of our own: it needs events alone, and no crate below DataFusion has to be built otherwise for it.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::cli::args::LogFormat;

/// Starts to log where `RUST_LOG` says what: a level, or `target=level` with commas between. With `--log-format` and no
/// `RUST_LOG`, our own lines from `info` on.
///
/// # Errors
/// A `RUST_LOG` that can't be understood.
pub(super) fn start(format: Option<LogFormat>) -> Result<(), String> {
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = match (asked, format) {
        (Some(text), _) => Filter::parse(&text).map_err(|part| {
            format!("RUST_LOG `{text}` can't be understood at `{part}`: write a level (error, warn, info, debug, trace, off), or such as `backcast=info,object_store=debug`")
        })?,
        (None, Some(_)) => Filter(vec![("backcast".to_string(), LevelFilter::INFO)]),
        (None, None) => return Ok(()),
    };
    let log = Log { filter, json: format == Some(LogFormat::Json) };
    // A second start, as in a test, keeps the first.
    let _ = tracing::subscriber::set_global_default(log);
    Ok(())
}

/// Levels by the beginning of a target's path; the longest that fits decides.
#[derive(Debug)]
struct Filter(Vec<(String, LevelFilter)>);

impl Filter {
    fn parse(text: &str) -> Result<Self, String> {
        let mut levels = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (target, level) = match part.split_once('=') {
                Some((target, level)) => (target.trim(), level.trim()),
                // One word is a level for all, or a target that is logged whole.
                None if part.parse::<LevelFilter>().is_ok() => ("", part),
                None => (part, "trace"),
            };
            let known = target.chars().all(|c| c.is_alphanumeric() || "_:-.".contains(c));
            let level = level.parse::<LevelFilter>().ok().filter(|_| known).ok_or_else(|| part.to_string())?;
            levels.push((target.to_string(), level));
        }
        Ok(Self(levels))
    }

    fn level(&self, target: &str) -> LevelFilter {
        let fits = |own: &str| {
            own.is_empty() || target.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let fitting = self.0.iter().filter(|(own, _)| fits(own));
        fitting.max_by_key(|(own, _)| own.len()).map_or(LevelFilter::OFF, |(_, level)| *level)
    }
}

#[derive(Debug)]
struct Log {
    filter: Filter,
    json: bool,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.filter.level(metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.filter.0.iter().map(|(_, level)| *level).max()
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        let line = if self.json {
            let mut all = Map::new();
            all.insert("timestamp".to_string(), at.into());
            all.insert("level".to_string(), level.into());
            all.insert("target".to_string(), target.into());
            all.extend(fields.0);
            Value::from(all).to_string()
        } else {
            let mut line = format!("{at} {level:>5} {target}:");
            for (name, value) in &fields.0 {
                let text = value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
                let _ = if name == "message" { write!(line, " {text}") } else { write!(line, " {name}={text}") };
            }
            line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        };
        // One write a line, so that lines of threads don't mix; a log that can't be written is no reason to stop.
        let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    }

    // No span is enabled.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// An event's fields, in their order.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_string(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_string(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_string(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_string(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_string(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_string(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_that_fits_decides() {
        let filter = Filter::parse("warn, backcast=info,object_store::client=debug,reqwest=off").unwrap();
        assert_eq!(filter.level("backcast"), LevelFilter::INFO);
        assert_eq!(filter.level("backcast::output"), LevelFilter::INFO);
        assert_eq!(filter.level("backcaster"), LevelFilter::WARN);
        assert_eq!(filter.level("object_store::client::retry"), LevelFilter::DEBUG);
        assert_eq!(filter.level("object_store"), LevelFilter::WARN);
        assert_eq!(filter.level("reqwest::connect"), LevelFilter::OFF);
        assert_eq!(Filter::parse("backcast").unwrap().level("backcast"), LevelFilter::TRACE);
        assert_eq!(Filter::parse("backcast=loud").unwrap_err(), "backcast=loud");
        assert_eq!(Filter::parse("backcast[span]=info").unwrap_err(), "backcast[span]=info");
    }
}
