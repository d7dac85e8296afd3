//! How the snapshot's schema departs from the dataset's own: what training code that reads the one must be told
//! before it reads the other.
//!
//! Order of issues: the dataset's columns in their order, then columns that only the snapshot has in theirs, then the
//! order of columns as one issue. Types that differ in memory layout only (string views, large offsets, names of list
//! items) are one type; a dictionary is not its value type. Nullability is an issue where one side declares that a
//! feature has no NULLs and the other side holds some: most writers declare every column nullable, and that alone
//! changes nothing.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};

use super::totals::FeatureTotals;
use super::{IssueKind, SchemaIssue, SchemaPair};

/// A column of the dataset and the snapshot's column that it is.
struct Both<'a> {
    dataset: &'a Field,
    legacy: &'a Field,
    legacy_position: usize,
}

pub(super) fn issues(schemas: SchemaPair<'_>, features: &[FeatureTotals]) -> Vec<SchemaIssue> {
    let mut issues = Vec::new();
    let mut common = Vec::new();
    for dataset in schemas.dataset.fields() {
        let found = legacy_columns(schemas, dataset);
        if found.is_empty() {
            let replayed = Some(dataset.data_type().to_string());
            issues.push(issue(dataset.name(), IssueKind::Missing, None, replayed));
        }
        for both in found {
            compare(&both, features, &mut issues);
            common.push(both);
        }
    }
    for legacy in schemas.snapshot.fields() {
        if !common.iter().any(|both| both.legacy.name() == legacy.name()) {
            let text = Some(legacy.data_type().to_string());
            issues.push(issue(legacy.name(), IssueKind::Extra, text, None));
        }
    }
    issues.extend(order(&common));
    for feature in features.iter().filter(|f| f.tally.not_comparable > 0) {
        note_not_comparable(&mut issues, feature);
    }
    issues
}

/// Says that a feature and its column have no order in common, unless that has been said.
fn note_not_comparable(issues: &mut Vec<SchemaIssue>, feature: &FeatureTotals) {
    if issues.iter().any(|known| known.issue == IssueKind::Type && known.column == feature.column) {
        return;
    }
    let (legacy, replayed) = (feature.legacy.data_type.to_string(), feature.replayed.data_type.to_string());
    issues.push(issue(&feature.column, IssueKind::Type, Some(legacy), Some(replayed)));
}

fn issue(column: &str, issue: IssueKind, legacy: Option<String>, replayed: Option<String>) -> SchemaIssue {
    SchemaIssue { column: column.to_string(), issue, legacy, replayed }
}

/// The snapshot's columns that are a column of the dataset: those mapped to it, else the one of the same name where
/// that is not mapped to another.
fn legacy_columns<'a>(schemas: SchemaPair<'a>, dataset: &'a Field) -> Vec<Both<'a>> {
    let mapped: Vec<&str> = schemas
        .columns
        .iter()
        .filter(|pair| pair.dataset == *dataset.name())
        .map(|pair| pair.legacy.as_str())
        .collect();
    let taken = schemas.columns.iter().any(|pair| pair.legacy == *dataset.name());
    let names = if mapped.is_empty() && !taken { vec![dataset.name().as_str()] } else { mapped };
    let found = names.into_iter().filter_map(|name| schemas.snapshot.column_with_name(name));
    found.map(|(legacy_position, legacy)| Both { dataset, legacy, legacy_position }).collect()
}

fn compare(both: &Both<'_>, features: &[FeatureTotals], issues: &mut Vec<SchemaIssue>) {
    let (dataset, legacy) = (both.dataset, both.legacy);
    let column = legacy.name();
    if column != dataset.name() {
        issues.push(issue(column, IssueKind::Renamed, Some(column.clone()), Some(dataset.name().clone())));
    }
    if let Some(kind) = type_issue(legacy.data_type(), dataset.data_type()) {
        let (legacy, replayed) = (legacy.data_type().to_string(), dataset.data_type().to_string());
        issues.push(issue(column, kind, Some(legacy), Some(replayed)));
    }
    let Some(feature) = features.iter().find(|feature| feature.column == *column) else { return };
    let nulls = |count: u64| match count {
        1 => "1 NULL".to_string(),
        count => format!("{count} NULLs"),
    };
    let never = || Some("never NULL".to_string());
    let (ours, theirs) = (feature.replayed.nulls, feature.legacy.nulls);
    if !legacy.is_nullable() && ours > 0 {
        issues.push(issue(column, IssueKind::Nullability, never(), Some(nulls(ours))));
    } else if !dataset.is_nullable() && theirs > 0 {
        issues.push(issue(column, IssueKind::Nullability, Some(nulls(theirs)), never()));
    }
}

fn type_issue(legacy: &DataType, dataset: &DataType) -> Option<IssueKind> {
    let (legacy, dataset) = (one_layout(legacy), one_layout(dataset));
    match (&legacy, &dataset) {
        _ if legacy == dataset => None,
        (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) if a == b => Some(IssueKind::Timezone),
        _ => Some(IssueKind::Type),
    }
}

/// The type with what is only memory layout, and other names of UTC, brought to one form.
fn one_layout(data_type: &DataType) -> DataType {
    let plain_field = |name: &str, field: &Field| Arc::new(Field::new(name, one_layout(field.data_type()), true));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(plain_field("item", item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field("item", item), *size),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain_field(field.name(), field)).collect())
        }
        DataType::Dictionary(_, values) => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(one_layout(values)))
        }
        DataType::Timestamp(unit, Some(zone)) if is_utc(zone) => DataType::Timestamp(*unit, Some("UTC".into())),
        other => other.clone(),
    }
}

fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "Z", "+00:00", "-00:00", "+0000", "GMT"].iter().any(|name| name.eq_ignore_ascii_case(zone))
}

/// One issue where the common columns, in the dataset's order, do not ascend in the snapshot's.
fn order(common: &[Both<'_>]) -> Option<SchemaIssue> {
    let mut legacy: Vec<&Both<'_>> = common.iter().collect();
    legacy.sort_by_key(|both| both.legacy_position);
    let (first, _) = legacy.iter().zip(common).find(|(a, b)| a.legacy_position != b.legacy_position)?;
    let names = |columns: &mut dyn Iterator<Item = &Both<'_>>| {
        columns.map(|both| both.legacy.name().as_str()).collect::<Vec<_>>().join(", ")
    };
    let (theirs, ours) = (names(&mut legacy.iter().copied()), names(&mut common.iter()));
    Some(issue(first.legacy.name(), IssueKind::Order, Some(theirs), Some(ours)))
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
