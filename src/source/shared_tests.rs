use datafusion::arrow::array::{AsArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use futures::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::source::Stores;
use crate::source::fixture::table_of;

const ROWS: i64 = 40_000;

/// Four files of `k`, which grows, and `x`, which does not.
async fn opened() -> (TempDir, Stores, Arc<ParquetTable>, SessionContext) {
    table_of((0..4).map(|file| {
        let rows = file * ROWS / 4..(file + 1) * ROWS / 4;
        let k = Int64Array::from_iter_values(rows.clone());
        let x = Float64Array::from_iter_values(rows.map(|i| (i * 7919 % 1000) as f64));
        RecordBatch::try_from_iter([("k", Arc::new(k) as _), ("x", Arc::new(x) as _)]).unwrap()
    }))
    .await
}

async fn planned(session: &SessionContext, table: Arc<dyn TableProvider>, sql: &str) -> Arc<dyn ExecutionPlan> {
    session.register_table("t", table).unwrap();
    let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    session.deregister_table("t").unwrap();
    plan
}

const SUMS: [&str; 3] = [
    "SELECT sum(x), max(k) FROM t WHERE k >= 100",
    "SELECT sum(x), max(k) FROM t WHERE k >= 15000",
    "SELECT sum(x), max(k) FROM t",
];

fn result(batches: &[RecordBatch]) -> (f64, i64) {
    let row = batches.iter().find(|b| b.num_rows() > 0).unwrap();
    (row.column(0).as_primitive::<Float64Type>().value(0), row.column(1).as_primitive::<Int64Type>().value(0))
}

#[tokio::test]
async fn readers_of_one_scan_get_what_they_would_get_alone_and_bytes_are_read_once() {
    let (_dir, stores, table, session) = opened().await;
    let mut alone = Vec::new();
    let before = stores.bytes_read();
    for sql in SUMS {
        let plan = planned(&session, Arc::clone(&table) as _, sql).await;
        alone.push(result(&collect(plan, session.task_ctx()).await.unwrap()));
    }
    let apart = stores.bytes_read() - before;
    let scan = SharedScan::new(Arc::clone(&table), session.state());
    let mut plans = Vec::new();
    for sql in SUMS {
        plans.push(planned(&session, Arc::new(scan.table()), sql).await);
    }
    let before = stores.bytes_read();
    let shared = join_all(plans.iter().map(|plan| collect(Arc::clone(plan), session.task_ctx()))).await;
    let shared: Vec<_> = shared.into_iter().map(|batches| result(&batches.unwrap())).collect();
    assert_eq!(shared, alone);
    let once = stores.bytes_read() - before;
    assert!(once > 0 && once * 2 < apart, "{once} bytes together, {apart} apart");
    // No second time.
    let again = collect(Arc::clone(&plans[0]), session.task_ctx()).await.unwrap_err();
    assert!(matches!(again.find_root(), DataFusionError::External(inner) if inner.is::<ReadOnce>()), "{again}");
}

#[tokio::test]
async fn readers_that_do_not_read_hold_nobody_up() {
    let (_dir, _stores, table, session) = opened().await;
    let scan = SharedScan::new(Arc::clone(&table), session.state());
    let gone_before = planned(&session, Arc::new(scan.table()), SUMS[0]).await;
    drop(gone_before);
    let reading = planned(&session, Arc::new(scan.table()), SUMS[2]).await;
    let idle = planned(&session, Arc::new(scan.table()), SUMS[1]).await;
    let few = planned(&session, Arc::new(scan.table()), "SELECT k FROM t LIMIT 1").await;
    let ends = async {
        let few = collect(few, session.task_ctx()).await.unwrap();
        drop(idle);
        few.iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    let both = futures::future::join(collect(reading, session.task_ctx()), ends);
    let (read, few) = tokio::time::timeout(std::time::Duration::from_secs(60), both).await.unwrap();
    assert_eq!((result(&read.unwrap()).1, few), (ROWS - 1, 1));
}

#[test]
fn of_bounds_on_one_side_the_weakest_is_kept_and_what_not_all_have_is_dropped() {
    use datafusion::logical_expr::{col, lit};
    let first = [col("k").gt(lit(3)).and(col("x").is_not_null()), col("k").lt_eq(lit(9))];
    let second = [col("k").gt(lit(2)), col("k").lt_eq(lit(7)), col("x").is_not_null()];
    let third = [col("k").gt(lit(5)), col("k").lt_eq(lit(8))];
    let both = common([first.as_slice(), second.as_slice()].into_iter());
    assert_eq!(both, [col("k").gt(lit(2)), col("x").is_not_null(), col("k").lt_eq(lit(9))]);
    let all = common([first.as_slice(), second.as_slice(), third.as_slice()].into_iter());
    assert_eq!(all, [col("k").gt(lit(2)), col("k").lt_eq(lit(9))]);
    assert!(common([first.as_slice(), &[]].into_iter()).is_empty());
    assert_eq!(weaker(&col("k").gt(lit(3)), &col("k").gt_eq(lit(3))), None);
    assert_eq!(weaker(&col("k").gt(lit(3)), &col("x").gt(lit(3))), None);
}
