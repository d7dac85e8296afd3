//! Numbers for texts: equal ones have the same number, so that events carry eight bytes of a text of any length.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{HashMap, exec_err};
use datafusion::error::Result as DfResult;

/// The texts of one column. Which number a text has depends on the order in which they come; that it has one of its own does not.
#[derive(Debug, Default)]
pub(super) struct Interner {
    known: RwLock<HashMap<Box<str>, u64>>,
    bytes: AtomicUsize,
}

/// What a text takes beside its bytes.
const ENTRY_BYTES: usize = size_of::<(Box<str>, u64)>() + 16;

impl Interner {
    /// Whether values of this type are numbered.
    pub(super) fn takes(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
    }

    /// By row, the number of its text; of NULL, any.
    ///
    /// # Errors
    /// Another type than [`Interner::takes`].
    pub(super) fn numbers(&self, texts: &ArrayRef) -> DfResult<Vec<u64>> {
        match texts.data_type() {
            DataType::Utf8 => Ok(self.numbered(texts.len(), texts.as_string::<i32>().iter())),
            DataType::LargeUtf8 => Ok(self.numbered(texts.len(), texts.as_string::<i64>().iter())),
            DataType::Utf8View => Ok(self.numbered(texts.len(), texts.as_string_view().iter())),
            other => exec_err!("texts that are {other}"),
        }
    }

    fn numbered<'a>(&self, rows: usize, texts: impl Iterator<Item = Option<&'a str>>) -> Vec<u64> {
        let mut numbers = Vec::with_capacity(rows);
        let mut unknown: Vec<(usize, &str)> = Vec::new();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for (row, text) in texts.enumerate() {
            numbers.push(match text.map(|text| known.get(text).ok_or(text)) {
                None => 0,
                Some(Ok(number)) => *number,
                Some(Err(text)) => {
                    unknown.push((row, text));
                    0
                }
            });
        }
        drop(known);
        if unknown.is_empty() {
            return numbers;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (row, text) in unknown {
            numbers[row] = known.get(text).copied().unwrap_or_else(|| {
                let number = known.len() as u64;
                known.insert(text.into(), number);
                self.bytes.fetch_add(text.len() + ENTRY_BYTES, Ordering::Relaxed);
                number
            });
        }
        numbers
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::compute::cast;

    use super::*;

    #[test]
    fn texts_have_one_number_each_whatever_their_arrays_and_threads() {
        let interner = Interner::default();
        let texts: Vec<Option<String>> =
            (0..500).map(|i| (i % 7 > 0).then(|| format!("text {}", i * i % 40))).collect();
        let array: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let forms = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View];
        let found: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let number = |form: &DataType| {
                let array = cast(&array, form).unwrap();
                let interner = &interner;
                scope.spawn(move || interner.numbers(&array).unwrap())
            };
            let running: Vec<_> = forms.iter().map(number).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (i, a) in texts.iter().enumerate().filter(|(_, t)| t.is_some()) {
            assert!(found.iter().all(|numbers| numbers[i] == found[0][i]));
            for (j, b) in texts.iter().enumerate().filter(|(_, t)| t.is_some()) {
                assert_eq!(a == b, found[0][i] == found[0][j], "{a:?} and {b:?}");
            }
        }
        assert!(interner.size() > 0);
    }
}
