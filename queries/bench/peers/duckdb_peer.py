"""A workload by DuckDB: `duckdb_peer.py WORK FOLDER OUT THREADS`. The queries are in `duckdb/`."""

import pathlib
import sys

import duckdb

work, folder, out, threads = sys.argv[1:5]
query = (pathlib.Path(__file__).parent / "duckdb" / f"{work.lower()}.sql").read_text().strip()
db = duckdb.connect()
db.execute(f"SET threads = {int(threads)}")
db.execute("SET TimeZone = 'UTC'")
db.execute("SET preserve_insertion_order = false")
db.execute("SET enable_progress_bar = false")
db.execute(f"SET temp_directory = '{out}.tmp'")
db.execute(f"CREATE VIEW events AS FROM read_parquet('{folder}/events/*/*.parquet', hive_partitioning = false)")
db.execute(f"CREATE VIEW labels AS FROM read_parquet('{folder}/labels.parquet')")
db.execute(f"COPY ({query}) TO '{out}' (FORMAT parquet)")
