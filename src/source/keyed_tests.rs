use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::{ColumnarValue, Volatility, col, create_udf, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use super::*;
use crate::source::fixture::table_of;

const ROWS: i64 = 120_000;
const KEYS: i64 = 1_000;

fn key(row: i64) -> i64 {
    row * 7919 % KEYS
}

/// Three files of keys, a number and a text; one has narrower keys, one none.
async fn opened() -> (TempDir, Arc<ParquetTable>, SessionContext) {
    let file = |file: i64| {
        let rows = || file * ROWS..(file + 1) * ROWS;
        let keys: ArrayRef = if file == 1 {
            Arc::new(Int32Array::from_iter_values(rows().map(|row| i32::try_from(key(row)).unwrap())))
        } else {
            Arc::new(Int64Array::from_iter(rows().map(|row| (row % 100 != 3).then(|| key(row)))))
        };
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows()));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows().map(|row| format!("text {row}"))));
        let mut columns = vec![("k", keys), ("n", numbers), ("t", texts)];
        if file == 2 {
            columns.remove(0);
        }
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let (dir, _, table, session) = table_of((0..3).map(file)).await;
    (dir, table, session)
}

/// Asks for keys below `most`.
fn asked(most: i64) -> Expr {
    let test = move |args: &[ColumnarValue]| {
        let keys = ColumnarValue::values_to_arrays(args)?;
        let keys = keys[0].as_primitive::<Int64Type>();
        let answers: BooleanArray = keys.iter().map(|key| Some(key.is_some_and(|key| key < most))).collect();
        Ok(ColumnarValue::Array(Arc::new(answers)))
    };
    let function =
        create_udf(IS_ASKED_FOR, vec![DataType::Int64], DataType::Boolean, Volatility::Immutable, Arc::new(test));
    function.call(vec![col("k")])
}

/// The numbers of the rows that a scan hands up, in order; their texts go with them.
async fn rows(table: &ParquetTable, session: &SessionContext, filters: &[Expr]) -> Vec<i64> {
    let plan: Arc<dyn ExecutionPlan> = table.scan(&session.state(), Some(&vec![1, 2]), filters, None).await.unwrap();
    let mut all = Vec::new();
    for batch in collect(plan, session.task_ctx()).await.unwrap() {
        let texts = batch.column(1).as_string::<i32>();
        for (number, text) in batch.column(0).as_primitive::<Int64Type>().values().iter().zip(texts.iter()) {
            assert_eq!(text, Some(format!("text {number}").as_str()));
            all.push(*number);
        }
    }
    all.sort_unstable();
    all
}

#[tokio::test]
async fn where_few_rows_are_asked_for_only_these_are_read() {
    let (_dir, table, session) = opened().await;
    for most in [1, 10, 40] {
        let wanted: Vec<i64> =
            (0..2 * ROWS).filter(|row| key(*row) < most && (*row >= ROWS || row % 100 != 3)).collect();
        assert_eq!(rows(&table, &session, &[asked(most)]).await, wanted);
        let later = ROWS / 2;
        let wanted: Vec<i64> = wanted.into_iter().filter(|row| *row >= later).collect();
        let filters = [col("n").gt_eq(lit(later)), asked(most)];
        assert_eq!(rows(&table, &session, &filters).await, wanted);
    }
}

#[tokio::test]
async fn where_many_are_none_is_tested() {
    let (_dir, table, session) = opened().await;
    let all: Vec<i64> = (0..3 * ROWS).collect();
    assert_eq!(rows(&table, &session, &[asked(900)]).await, all);
    assert_eq!(rows(&table, &session, &[]).await, all);
}
