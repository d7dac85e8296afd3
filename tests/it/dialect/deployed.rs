//! A view's file as it is deployed: declarations, comments and settings beside the query.

use crate::support::{Project, shown, table};

fn project() -> Project {
    let labels = table("user_id:i64 at:us@UTC\n 1 2025-03-10T12:00\n 2 2025-03-10T12:00");
    let events = table(
        "user_id:i64 ts:us@UTC        x:i64 amount:f64 price:dec kind:str ok:bool day:date
         1           2025-03-10T11:00 5     1.5        2.25      a        true    2025-03-10
         1           2025-03-10T11:30 7     2.5        3.25      b        true    2025-03-10",
    );
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &labels).source("events", "time = \"ts\"", &events)
}

#[track_caller]
fn refused(sql: &str, parts: &[&str]) {
    let ran = project().view("w", sql).backcast(&["check"]).exits_with(2);
    for part in parts {
        assert!(ran.stdout.contains(part), "no `{part}` in:\n{}", ran.stdout);
    }
}

#[track_caller]
fn gives(sql: &str, feature: &str, values: [&str; 2]) {
    assert_eq!(shown(&project().view("w", sql).dataset(), feature), values, "{sql}");
}

const QUERY: &str = "SELECT user_id, sum(x) AS s FROM events GROUP BY user_id";

#[test]
fn a_file_as_deployed_is_its_query() {
    let sql = format!(
        "-- features of users
         BEGIN;
         SET search_path TO features; SET timezone = 'UTC'; SET streaming_parallelism = 4;
         DROP MATERIALIZED VIEW IF EXISTS w_live CASCADE;
         CREATE SOURCE IF NOT EXISTS lake.events (
             *, user_id BIGINT, ts TIMESTAMPTZ NOT NULL, x INT DEFAULT 0, amount DOUBLE PRECISION,
             price NUMERIC(10, 2), kind CHARACTER VARYING, ok BOOLEAN, \"day\" DATE,
             seen TIMESTAMPTZ AS PROCTIME(), PRIMARY KEY (user_id, ts),
             WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
         ) INCLUDE timestamp AS kafka_ts
         WITH (connector = 'kafka', topic = 'events', properties.bootstrap.server = 'broker:9092')
         FORMAT PLAIN ENCODE JSON (timestamptz.handling.mode = 'milli');
         CREATE TABLE elsewhere (anything jsonb, more varchar[]) APPEND ONLY;
         CREATE MATERIALIZED VIEW IF NOT EXISTS w_live WITH (source_rate_limit = 100) AS {QUERY} WITH NO DATA;
         COMMENT ON MATERIALIZED VIEW w_live IS 'what; users do';
         CREATE INDEX w_by_user ON w_live (user_id) INCLUDE (s);
         GRANT SELECT ON w_live TO reader;
         CREATE SINK w_sink FROM w_live WITH (connector = 'redis');
         ALTER MATERIALIZED VIEW w_live OWNER TO features;
         COMMIT;"
    );
    gives(&sql, "s", ["12", "NULL"]);
}

#[test]
fn every_way_to_create_a_view_is_its_query() {
    for create in [
        "CREATE VIEW v AS",
        "CREATE OR REPLACE VIEW v AS",
        "CREATE MATERIALIZED VIEW features.v AS",
        "CREATE MATERIALIZED VIEW v (user_id, s) AS",
        "CREATE TEMPORARY VIEW v AS",
        "",
    ] {
        gives(&format!("{create} {QUERY}"), "s", ["12", "NULL"]);
    }
}

#[test]
fn column_that_is_declared_and_not_there_is_told_with_its_place() {
    refused(
        &format!("CREATE SOURCE events (user_id bigint, ts timestamptz,\n  amonut double precision);\n{QUERY};"),
        &["error[B152]", "w.sql:2:3", "`amonut` is declared for `events`", "did you mean `amount`?", "  |   ^^^^^^\n"],
    );
    refused(
        &format!("CREATE TABLE events (zzzzzzzz int);\n{QUERY};"),
        &["error[B152]", "w.sql:1:22", "its Parquet has no such column", "remove it from the declaration"],
    );
}

#[test]
fn column_of_another_type_is_told_with_its_place() {
    for (declared, found) in [
        ("x varchar", "Int64"),
        ("x double precision", "Int64"),
        ("amount int", "Float64"),
        ("amount numeric", "Float64"),
        ("price real", "Decimal128(10, 2)"),
        ("kind jsonb[]", "Utf8"),
        ("kind struct<a int, b struct<c varchar>>", "Utf8"),
        ("kind bytea", "Utf8"),
        ("ts date", "Timestamp"),
        ("day timestamp with time zone", "Date32"),
        ("ok int", "Boolean"),
        ("ts time without time zone", "Timestamp"),
    ] {
        let (name, written) = declared.split_once(' ').unwrap();
        let said = format!("`{name}` of `events` is declared `{written}`, but its Parquet holds {found}");
        let place = format!("w.sql:1:{}", 24 + name.len());
        let carets = format!("{}\n", "^".repeat(written.len()));
        let sql = format!("CREATE SOURCE events ({declared} NOT NULL, user_id int); {QUERY}");
        refused(&sql, &["error[B153]", &said, &place, &carets, "1 error"]);
    }
}

#[test]
fn type_that_means_the_same_passes() {
    for declared in [
        "x smallint",
        "x int8 primary key",
        "kind text",
        "kind varchar(10) default 'a'",
        "kind jsonb",
        "price decimal(20, 4)",
        "amount float4",
        "ts timestamp",
        "ts timestamp(6) without time zone not null",
        "x some_type_of_ours",
        "not_there int as (x + 1)",
    ] {
        gives(&format!("CREATE SOURCE events ({declared}); {QUERY}"), "s", ["12", "NULL"]);
    }
}

#[test]
fn declared_table_that_is_read_and_no_source_is_an_unknown_source() {
    refused(
        "CREATE TABLE event (user_id int); SELECT user_id, 1 AS one FROM event",
        &["there is no source or view `event`", "did you mean `events`?", "w.sql:1:65"],
    );
}

#[test]
fn declaration_that_can_not_be_read_is_told() {
    refused(&format!("CREATE SOURCE (a int); {QUERY}"), &["expected a name", "w.sql:1:15"]);
    refused(&format!("CREATE SOURCE events (a int; {QUERY}"), &["expected `)` after the columns"]);
    refused(&format!("CREATE SOURCE events (x int, kind); {QUERY}"), &["expected a column and its type", "w.sql:1:30"]);
}

#[test]
fn statement_that_changes_data_or_meaning_is_refused() {
    for (statement, said) in [
        ("DROP TABLE events", "`DROP` changes the database"),
        ("INSERT INTO events VALUES (1)", "a statement that writes"),
        ("TRUNCATE events", "a statement that writes"),
        ("ALTER TABLE events ADD COLUMN y int", "`ALTER` changes what was created elsewhere"),
        ("CREATE TABLE t AS SELECT 1 AS one", "`CREATE TABLE ... AS` keeps the rows of one moment"),
        ("CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "a function of your own can't be replayed"),
        ("CREATE SINK s AS SELECT 1 AS one", "the query of a sink is no feature view"),
    ] {
        refused(&format!("{QUERY};\n{statement};"), &["error[B150]", said, "w.sql:2:1", "help"]);
    }
    for (setting, said) in [
        ("SET TIME ZONE 'Europe/Berlin'", "`timezone` is `utc` in every replay, not `europe/berlin`"),
        ("SET timezone = 'America/New_York'", "AT TIME ZONE"),
        ("SET LOCAL datestyle TO 'German'", "`datestyle` is `iso` in every replay"),
    ] {
        refused(&format!("{setting};\n{QUERY};"), &["error[B151]", said, "w.sql:1:1", "help"]);
    }
}

#[test]
fn a_second_query_is_refused() {
    refused(&format!("{QUERY};\n{QUERY};"), &["2 statements where one is wanted", "w.sql:2:1"]);
    refused("CREATE SOURCE events (x int);", &["the file holds no query"]);
}
