//! A checkpoint as bytes: a line that says what it is, the values as an Arrow stream, and the SHA-256 of both.
//!
//! ```text
//! {"format":"backcast checkpoint 1","address":"…","view":"…","engine":"…","reason":"…","rows":…}⏎
//! Arrow IPC stream: found, then the view's features
//! 64 hexadecimal digits
//! ```

use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::arrow::ipc::{CompressionType, MetadataVersion};
use serde::{Deserialize, Serialize};

use crate::checkpoint::address::Address;
use crate::output::Hasher;
use crate::replay::ViewValues;

const FORMAT: &str = "backcast checkpoint 1";
/// Digits of the hash at the end.
const HASH_DIGITS: usize = 64;
/// Rows that are compressed together.
const BATCH_ROWS: usize = 128 * 1024;

/// One view's values for the label rows of a chunk, and how they came to be.
#[derive(Debug, Clone)]
pub struct Saved {
    pub engine: String,
    pub reason: String,
    pub values: ViewValues,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    address: String,
    view: String,
    engine: String,
    reason: String,
    rows: usize,
}

/// The bytes of a checkpoint, and their SHA-256. `compressed`: worth it where they go over a network; most values are floats, which
/// hardly get smaller.
pub(super) fn encode(
    address: &Address,
    view: &str,
    saved: &Saved,
    compressed: bool,
) -> Result<(Vec<u8>, String), ArrowError> {
    let header = Header {
        format: FORMAT.to_string(),
        address: address.to_string(),
        view: view.to_string(),
        engine: saved.engine.clone(),
        reason: saved.reason.clone(),
        rows: saved.values.found.len(),
    };
    let mut bytes = serde_json::to_vec(&header).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
    bytes.push(b'\n');
    let batch = batch(&saved.values)?;
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?
        .try_with_compression(compressed.then_some(CompressionType::LZ4_FRAME))?;
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options)?;
    for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
        writer.write(&batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start)))?;
    }
    writer.finish()?;
    drop(writer);
    let mut hash = Hasher::default();
    hash.update(&bytes);
    let own = hash.clone().finish();
    hash.update(own.as_bytes());
    bytes.extend_from_slice(own.as_bytes());
    Ok((bytes, hash.finish()))
}

/// The values, where these bytes are the whole checkpoint of this address, and hold so many rows of these types; and the SHA-256 of the bytes.
pub(super) fn decode(bytes: &[u8], address: &Address, types: &[DataType], rows: usize) -> Option<(Saved, String)> {
    let (body, own) = bytes.split_at_checked(bytes.len().checked_sub(HASH_DIGITS)?)?;
    let mut hash = Hasher::default();
    hash.update(body);
    if hash.clone().finish().as_bytes() != own {
        return None;
    }
    hash.update(own);
    let line = body.iter().position(|b| *b == b'\n')?;
    let header: Header = serde_json::from_slice(&body[..line]).ok()?;
    if header.format != FORMAT || header.address != address.as_str() || header.rows != rows {
        return None;
    }
    let reader = StreamReader::try_new(Cursor::new(&body[line + 1..]), None).ok()?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().ok()?;
    let batch = concat_batches(&schema, &batches).ok()?;
    let columns = batch.columns().get(1..)?;
    let fits = columns.len() == types.len() && columns.iter().zip(types).all(|(c, t)| c.data_type() == t);
    if batch.num_rows() != rows || !fits {
        return None;
    }
    let values = ViewValues { found: batch.column(0).as_boolean_opt()?.clone(), columns: columns.to_vec() };
    Some((Saved { engine: header.engine, reason: header.reason, values }, hash.finish()))
}

fn batch(values: &ViewValues) -> Result<RecordBatch, ArrowError> {
    let found: ArrayRef = Arc::new(values.found.clone());
    let columns: Vec<ArrayRef> = std::iter::once(found).chain(values.columns.iter().cloned()).collect();
    // By number: features may have any name, also that of another.
    let field = |(i, column): (usize, &ArrayRef)| Field::new(i.to_string(), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, BooleanArray, Float64Array, Int64Array, NullArray, StringArray};
    use datafusion::arrow::datatypes::Int64Type;

    fn saved(rows: usize) -> (Saved, Vec<DataType>) {
        let numbers = Int64Array::from_iter((0..rows).map(|i| (i % 3 > 0).then_some(i as i64)));
        let texts = StringArray::from_iter((0..rows).map(|i| (i % 5 > 0).then(|| format!("text {i}"))));
        let lists = datafusion::arrow::array::ListArray::from_iter_primitive::<Int64Type, _, _>(
            (0..rows).map(|i| (i % 2 > 0).then(|| vec![Some(i as i64), None])),
        );
        let floats = Float64Array::from_iter((0..rows).map(|i| Some(if i == 1 { f64::NAN } else { i as f64 / 7.0 })));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(numbers), Arc::new(texts), Arc::new(lists), Arc::new(floats), Arc::new(NullArray::new(rows))];
        let types = columns.iter().map(|c| c.data_type().clone()).collect();
        let found = BooleanArray::from_iter((0..rows).map(|i| Some(i % 4 > 0)));
        (Saved { engine: "sweep".into(), reason: "why".into(), values: ViewValues { columns, found } }, types)
    }

    #[test]
    fn values_come_back_as_they_were() {
        for rows in [0, 1, 1000, BATCH_ROWS + 1] {
            let (saved, types) = saved(rows);
            let address = Address::of("here");
            for compressed in [true, false] {
                let (bytes, hash) = encode(&address, "v", &saved, compressed).unwrap();
                assert_eq!(hash, crate::output::sha256_hex(&bytes));
                let (back, again) = decode(&bytes, &address, &types, rows).unwrap();
                assert_eq!((hash, back.engine.as_str(), back.reason.as_str()), (again, "sweep", "why"));
                assert_eq!(back.values.found, saved.values.found);
                for (a, b) in back.values.columns.iter().zip(&saved.values.columns) {
                    assert_eq!(a.to_data(), b.to_data());
                }
            }
        }
    }

    #[test]
    fn another_address_number_of_rows_or_type_is_no_match() {
        let (saved, types) = saved(10);
        let (bytes, _) = encode(&Address::of("here"), "v", &saved, false).unwrap();
        assert!(decode(&bytes, &Address::of("there"), &types, 10).is_none());
        assert!(decode(&bytes, &Address::of("here"), &types, 11).is_none());
        assert!(decode(&bytes, &Address::of("here"), &types[1..], 10).is_none());
    }

    #[test]
    fn no_damaged_byte_goes_unseen() {
        let (saved, types) = saved(50);
        let address = Address::of("here");
        let (bytes, _) = encode(&address, "v", &saved, true).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(decode(&flipped, &address, &types, 50).is_none(), "byte {at}");
            assert!(decode(&bytes[..at], &address, &types, 50).is_none(), "cut at {at}");
        }
    }
}
