//! One schema for many files: columns matched by name, types brought together.
//!
//! A column that a file lacks is NULL there. Types that widen without loss are widened; any other pair of types is
//! refused with the two files that have them.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::source::files::Files;
use crate::source::widen::{finer, wider_decimal, wider_integer};

/// Brings the files' schemas together, first file's column order first. `plain` also decodes dictionaries and views.
///
/// # Errors
/// Two files whose types for one column have no common type.
pub fn merge(files: &Files, schemas: &[SchemaRef], plain: bool) -> Result<Schema> {
    let mut fields: Vec<(Field, usize)> = Vec::new();
    let mut findings = Vec::new();
    for (i, schema) in schemas.iter().enumerate() {
        let mut own = BTreeSet::new();
        for field in schema.fields() {
            if !own.insert(field.name()) {
                findings.push(
                    Finding::error(format!("`{}` has two columns named `{}`", files.files[i].uri(), field.name()))
                        .help("rewrite the file with one of them under another name"),
                );
                continue;
            }
            let data_type = if plain { plain_type(field.data_type()) } else { field.data_type().clone() };
            let Some((known, first)) = fields.iter_mut().find(|(f, _)| f.name() == field.name()) else {
                // A column that is not in every file is NULL in the others.
                let nullable = field.is_nullable() || i > 0;
                fields.push((Field::new(field.name(), data_type, nullable), i));
                continue;
            };
            match common_type(known.data_type(), &data_type) {
                Some(common) => {
                    *known = Field::new(known.name(), common, known.is_nullable() || field.is_nullable());
                }
                None => findings.push(
                    Finding::error(format!(
                        "column `{}` is {} in `{}` but {} in `{}`",
                        field.name(),
                        known.data_type(),
                        files.files[*first].uri(),
                        data_type,
                        files.files[i].uri()
                    ))
                    .help("rewrite one of the files, or narrow the URI: the two types have no lossless common one"),
                ),
            }
        }
    }
    if !findings.is_empty() {
        return Err(Error::Input(findings));
    }
    let everywhere = |name: &str| schemas.iter().all(|s| s.field_with_name(name).is_ok());
    Ok(Schema::new(
        fields
            .into_iter()
            .map(|(f, _)| {
                let nullable = f.is_nullable() || !everywhere(f.name());
                f.with_nullable(nullable)
            })
            .collect::<Vec<_>>(),
    ))
}

/// The type without dictionaries and views, all the way down.
pub fn plain_type(data_type: &DataType) -> DataType {
    let inner = |f: &Arc<Field>| Arc::new(f.as_ref().clone().with_data_type(plain_type(f.data_type())));
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(f) | DataType::ListView(f) => DataType::List(inner(f)),
        DataType::LargeList(f) | DataType::LargeListView(f) => DataType::LargeList(inner(f)),
        DataType::FixedSizeList(f, n) => DataType::FixedSizeList(inner(f), *n),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(f, sorted) => DataType::Map(inner(f), *sorted),
        other => other.clone(),
    }
}

/// The type that holds every value of both, where there is one.
fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, Date32, Date64, Decimal128, Float32, Float64, Int64, LargeBinary, LargeUtf8, Null, Timestamp, Utf8,
    };
    if a == b {
        return Some(a.clone());
    }
    let either = |t: &DataType| a == t || b == t;
    match (a, b) {
        (Null, other) | (other, Null) => Some(other.clone()),
        (DataType::Dictionary(_, v), other) | (other, DataType::Dictionary(_, v)) => {
            common_type(&plain_type(v), &plain_type(other))
        }
        (Timestamp(u, z), Timestamp(v, w)) if z.is_some() == w.is_some() => {
            let zone = if z == w { z.clone() } else { Some("UTC".into()) };
            Some(Timestamp(finer(*u, *v), zone))
        }
        (Decimal128(p, s), Decimal128(q, r)) => wider_decimal((*p, *s), (*q, *r)),
        (Date32, Date64) | (Date64, Date32) => Some(Date64),
        _ if a.is_integer() && b.is_integer() => Some(wider_integer(a, b)),
        _ if a.is_floating() && b.is_floating() => Some(Float64),
        // Integers up to 32 bits are exact as 64-bit floats.
        _ if (a.is_floating() && small_integer(b)) || (b.is_floating() && small_integer(a)) => Some(Float64),
        (Float32 | Float64, Int64) | (Int64, Float32 | Float64) => None,
        _ if a.is_string() && b.is_string() => Some(if either(&LargeUtf8) { LargeUtf8 } else { Utf8 }),
        _ if a.is_binary() && b.is_binary() => Some(if either(&LargeBinary) { LargeBinary } else { Binary }),
        _ => None,
    }
}

fn small_integer(t: &DataType) -> bool {
    t.is_integer() && t.primitive_width().is_some_and(|bytes| bytes <= 4)
}
