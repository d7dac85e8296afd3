//! What was typed, understood: which feature, whose, when.
//!
//! Keys take the types of the label keys, and what does not fit a type is refused, never rounded. A time without an offset
//! is local time of the labels' `timezone`.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray, TimestampNanosecondArray};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::analysis::{Feature, Project, View};
use crate::config::Labels as LabelsConfig;
use crate::error::{Error, Result};
use crate::finding::{Finding, nearest};
use crate::source::time::{instants_ns, local_to_utc};

/// A cell to explain.
#[derive(Debug, Clone)]
pub struct Request {
    /// Position in the project's features.
    pub feature: usize,
    /// By label key: the one value that was given for it.
    pub keys: Vec<Option<ArrayRef>>,
    /// Nanoseconds since 1970.
    pub time: i64,
}

impl Request {
    /// Understands what was typed; `keys` are `name=value`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn resolve(project: &Project, feature: &str, keys: &[String], time: i64) -> Result<Self> {
        let mut findings = Vec::new();
        let found = find_feature(project, feature).map_err(|finding| findings.push(finding)).ok();
        let view = found.and_then(|index| project.view(&project.features[index].view));
        let keys = given_keys(project, view, keys, &mut findings);
        match found {
            Some(feature) if findings.is_empty() => Ok(Self { feature, keys, time }),
            _ => Err(Error::Input(findings)),
        }
    }

    pub fn feature<'a>(&self, project: &'a Project) -> &'a Feature {
        &project.features[self.feature]
    }
}

/// By `view.column`, else by the dataset's or a snapshot's name of it where that is one feature's only.
fn find_feature(project: &Project, name: &str) -> std::result::Result<usize, Finding> {
    let features = &project.features;
    if let Some(index) = features.iter().position(|f| f.full_name() == name) {
        return Ok(index);
    }
    let mut found: Vec<usize> = (0..features.len()).filter(|&i| features[i].name == name).collect();
    let mapped = project.snapshots.iter().flat_map(|s| &s.columns).filter(|c| c.legacy == name).map(|c| c.feature);
    found.extend(mapped);
    if found.is_empty() {
        found.extend((0..features.len()).filter(|&i| features[i].column == name));
    }
    found.sort_unstable();
    found.dedup();
    let full = |i: &usize| format!("`{}`", features[*i].full_name());
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let finding = Finding::error(format!("there is no feature `{name}`"));
            let mut names: Vec<String> = features.iter().map(Feature::full_name).collect();
            // A bare name is held against bare names.
            if !name.contains('.') {
                names.extend(features.iter().map(|f| f.column.clone()));
                let legacy = project.snapshots.iter().flat_map(|s| &s.columns).map(|c| c.legacy.clone());
                names.extend(legacy);
            }
            let finding = finding.nearest(name, names.iter().map(String::as_str));
            Err(if finding.help.is_some() {
                finding
            } else {
                finding.help("`backcast explain` lists the features of each view; write `view.column`")
            })
        }
        several => {
            let names: Vec<String> = several.iter().map(full).collect();
            Err(Finding::error(format!("`{name}` may be {}", names.join(" or "))).help("write `view.column`"))
        }
    }
}

fn given_keys(
    project: &Project,
    view: Option<&View>,
    given: &[String],
    findings: &mut Vec<Finding>,
) -> Vec<Option<ArrayRef>> {
    let labels = &project.inputs.config.labels;
    let mut keys: Vec<Option<ArrayRef>> = vec![None; labels.keys.len()];
    for pair in given {
        let Some((name, value)) = pair.split_once('=') else {
            findings.push(Finding::error(format!("`--key {pair}` has no `=`")).help("write --key name=value"));
            continue;
        };
        let Some(index) = key_number(labels, view, name.trim()) else {
            let names = labels.keys.iter().map(String::as_str);
            let finding = Finding::error(format!("there is no label key `{}`", name.trim()));
            findings.push(match nearest(name.trim(), names) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(format!("the label keys are `{}`", labels.keys.join("`, `"))),
            });
            continue;
        };
        if keys[index].is_some() {
            findings.push(Finding::error(format!("`--key {}` was given twice", labels.keys[index])));
            continue;
        }
        let data_type = project.inputs.labels.key_type(index);
        match key_value(value, &data_type, labels.timezone) {
            Ok(value) => keys[index] = Some(value),
            Err(reason) => findings.push(Finding::error(format!("`--key {pair}`: {reason}")).help(format!(
                "`{}` is {data_type}: write {}",
                labels.keys[index],
                example(&data_type)
            ))),
        }
    }
    let wanted = view.map(|v| v.keys.as_slice()).unwrap_or_default();
    let missing: Vec<&str> = wanted.iter().filter(|k| keys[k.label].is_none()).map(|k| k.label_name.as_str()).collect();
    // A key that could not be understood was already told.
    if let (Some(view), false, true) = (view, missing.is_empty(), findings.is_empty()) {
        let all: Vec<String> = wanted.iter().map(|k| format!("--key {}=…", k.label_name)).collect();
        findings.push(
            Finding::error(format!(
                "view `{}` is asked by key, and `{}` is not given",
                view.name,
                missing.join("`, `")
            ))
            .help(format!("give each of them: {}", all.join(" "))),
        );
    }
    keys
}

/// A label key by its name, or by the name of the view's column that it is.
fn key_number(labels: &LabelsConfig, view: Option<&View>, name: &str) -> Option<usize> {
    let own = labels.keys.iter().position(|k| k == name);
    own.or_else(|| view?.keys.iter().find(|k| k.column == name).map(|k| k.label))
}

/// One value of a key's type, from text.
fn key_value(text: &str, data_type: &DataType, zone: Tz) -> std::result::Result<ArrayRef, String> {
    let refused = || format!("`{text}` is no {data_type}");
    let trimmed = text.trim();
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let array: ArrayRef = match data_type {
        t if t.is_string() => Arc::new(StringArray::from(vec![text])),
        DataType::Timestamp(_, _) => {
            let instant = time(trimmed, zone)?;
            let exact: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![instant]).with_timezone("UTC"));
            let array = cast(&exact, data_type).map_err(|_| refused())?;
            let back = instants_ns(&array, 0).map_err(|_| refused())?;
            if back.value(0) != instant {
                return Err(format!("`{text}` is finer than {data_type}"));
            }
            array
        }
        DataType::Date32 | DataType::Date64 => {
            NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").map_err(|_| refused())?;
            Arc::new(StringArray::from(vec![trimmed]))
        }
        DataType::Boolean => Arc::new(BooleanArray::from(vec![match trimmed {
            "true" => true,
            "false" => false,
            _ => return Err(refused()),
        }])),
        t if t.is_binary() => Arc::new(BinaryArray::from(vec![bytes(trimmed).ok_or_else(refused)?.as_slice()])),
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            let fraction = trimmed.split_once('.').map_or("", |(_, fraction)| fraction).trim_end_matches('0');
            if i64::try_from(fraction.len()).unwrap_or(i64::MAX) > i64::from(*scale) {
                return Err(format!("`{text}` has more digits than {data_type}"));
            }
            Arc::new(StringArray::from(vec![trimmed]))
        }
        _ => Arc::new(StringArray::from(vec![trimmed])),
    };
    let value = cast_with_options(&array, data_type, &strict).map_err(|_| refused())?;
    if value.len() == 1 && value.is_valid(0) { Ok(value) } else { Err(refused()) }
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.strip_prefix("0x").unwrap_or(hexadecimal);
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

fn example(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(_, _) => "a time such as 2025-03-02T10:00:00Z",
        DataType::Date32 | DataType::Date64 => "a date such as 2025-03-02",
        DataType::Boolean => "true or false",
        t if t.is_integer() => "a whole number in its range",
        t if t.is_binary() => "hexadecimal digits",
        _ => "a value of this type",
    }
}

/// An instant: RFC 3339, or without an offset in `zone`; seconds may be left out, a space may stand for the `T`.
///
/// # Errors
/// Why it is none.
pub fn time(text: &str, zone: Tz) -> std::result::Result<i64, String> {
    let refused = || format!("`{text}` is no time: write RFC 3339, such as `2025-03-02T10:00:00Z`");
    let mut written = text.trim().replacen(' ', "T", 1);
    if NaiveDate::parse_from_str(&written, "%Y-%m-%d").is_ok() {
        written.push_str("T00:00:00");
    }
    let bytes = written.as_bytes();
    // `2025-03-02T10:00Z`, as the report writes whole minutes.
    if bytes.len() >= 16 && bytes[10] == b'T' && bytes[13] == b':' && bytes.get(16) != Some(&b':') && written.is_ascii()
    {
        written.insert_str(16, ":00");
    }
    let far = || format!("`{text}` is outside the years 1678 to 2261");
    if let Ok(instant) = DateTime::parse_from_rfc3339(&written) {
        return instant.timestamp_nanos_opt().ok_or_else(far);
    }
    let local = NaiveDateTime::parse_from_str(&written, "%Y-%m-%dT%H:%M:%S%.f").map_err(|_| refused())?;
    let naive = local.and_utc().timestamp_nanos_opt().ok_or_else(far)?;
    let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![naive]));
    let instant = local_to_utc(&array, zone).and_then(|utc| instants_ns(&utc, 0)).map_err(|_| refused())?;
    Ok(instant.value(0))
}

/// The unit of `NOW()` in which the instant is exact.
pub fn unit_of(instant: i64) -> TimeUnit {
    if instant % 1_000 == 0 { TimeUnit::Microsecond } else { TimeUnit::Nanosecond }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::time::rfc3339;
    use datafusion::arrow::util::display::array_value_to_string;

    #[test]
    fn times_are_read_as_they_are_written_in_reports() {
        let told = |text: &str| time(text, Tz::UTC).map(rfc3339);
        assert_eq!(told("2013-03-04 23:00Z").unwrap(), "2013-03-04T23:00:00Z");
        assert_eq!(told("2013-03-04T23:00:00.123456789+01:00").unwrap(), "2013-03-04T22:00:00.123456789Z");
        assert_eq!(told("2013-03-04").unwrap(), "2013-03-04T00:00:00Z");
        assert_eq!(told("2013-03-04 23:00").unwrap(), "2013-03-04T23:00:00Z");
        assert!(told("yesterday").unwrap_err().contains("RFC 3339"));
        assert!(told("9999-01-01").unwrap_err().contains("2261"));
        assert!(told("ééééééééééééééééé").is_err());
    }

    #[test]
    fn a_time_without_an_offset_is_in_the_labels_zone() {
        let told = time("2025-07-01T12:00:00", chrono_tz::America::New_York).map(rfc3339);
        assert_eq!(told.unwrap(), "2025-07-01T16:00:00Z");
    }

    #[test]
    fn keys_take_their_type_or_are_refused() {
        let value = |text: &str, data_type: &DataType| {
            key_value(text, data_type, Tz::UTC).map(|v| array_value_to_string(&v, 0).unwrap())
        };
        assert_eq!(value("300", &DataType::Int16).unwrap(), "300");
        assert!(value("300", &DataType::Int8).is_err());
        assert!(value("1.5", &DataType::Int64).is_err());
        assert_eq!(value("1.50", &DataType::Decimal128(10, 2)).unwrap(), "1.50");
        assert!(value("1.505", &DataType::Decimal128(10, 2)).unwrap_err().contains("more digits"));
        assert_eq!(value("2025-03-02", &DataType::Date32).unwrap(), "2025-03-02");
        assert!(value("2025-02-30", &DataType::Date32).is_err());
        assert_eq!(value("true", &DataType::Boolean).unwrap(), "true");
        assert!(value("yes", &DataType::Boolean).is_err());
        let seconds = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
        assert!(value("2025-03-02T10:00:00.5Z", &seconds).unwrap_err().contains("finer"));
        assert_eq!(value("", &DataType::Utf8).unwrap(), "");
        assert_eq!(value("0aff", &DataType::Binary).unwrap(), "0aff");
    }
}
