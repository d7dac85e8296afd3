//! What is taken, mapped and refused: the rows of the tables in docs/sql.md and README.md.
//!
//! To add one: a name, SQL, and what comes of it. SQL is a whole query that gives `user_id` and `v`, or an expression `e` for
//! `SELECT user_id, e AS v FROM events WHERE kind = 'view'`, or `agg e` for the same over all of a user's events by
//! `GROUP BY user_id`. The value is the one at label time 2025-03-10T12:00Z of user 1, whose events are
//!
//! | ts | kind | x | amount | name | payload |
//! | --- | --- | --- | --- | --- | --- |
//! | 2025-03-08 09:30 | view | 5 | 1.5 | Ab c | {"a": {"b": [1, 2]}, "n": 2.50} |
//! | 2025-03-10 10:00:00.25 | buy | 7 | 2.5 | x-1-y | {"n": 3} |
//! | 2025-03-10 11:00 | buy | 2 | NULL | NULL | {} |
//!
//! Then `UPDATE_DOCS=1 cargo test --test it dialect` writes the tables.

/// What comes of a construct.
pub(super) enum Outcome {
    /// Run as it is; the value.
    Taken(&'static str),
    /// Run as something else: the value, and what it becomes.
    Mapped(&'static str, &'static str),
    /// Refused with this number, or with none. Reason and way out are the program's.
    Refused(&'static str),
}
pub(super) use Outcome::{Mapped, Refused, Taken};

pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) rows: &'static [(&'static str, &'static str, Outcome)],
}

pub(super) const GROUPS: &[Group] = &[
    Group {
        title: "Time",
        rows: &[
            ("temporal filter", "agg count(*) FILTER (WHERE ts > NOW() - INTERVAL '24 hours')", Taken("2")),
            ("`INTERVAL '1' DAY`", "ts > NOW() - INTERVAL '3' DAY", Taken("true")),
            ("months by the calendar", "NOW() - INTERVAL '1 month'", Taken("2025-02-10T12:00:00Z")),
            ("intervals from text", "ts + (x || ' days')::interval", Taken("2025-03-13T09:30:00Z")),
            (
                "intervals times numbers",
                "ts + x * INTERVAL '1 day' - INTERVAL '1 month 2 hours' * 2",
                Mapped("2025-01-13T05:30:00Z", "months, days and the rest, each so many times"),
            ),
            ("`EXTRACT(dow …)`", "EXTRACT(dow FROM ts)", Taken("6")),
            ("`EXTRACT(hour …)`", "EXTRACT(hour FROM ts)", Taken("9")),
            ("`date_part`", "date_part('doy', ts)", Taken("67")),
            ("`EXTRACT(epoch …)`", "EXTRACT(EPOCH FROM ts)", Mapped("1741426200.0", "with its fraction")),
            (
                "the length of an interval",
                "agg max(EXTRACT(EPOCH FROM NOW() - ts)) - min(EXTRACT(EPOCH FROM NOW() - ts - INTERVAL '0.25 seconds'))",
                Mapped("178200.25", "with its fraction"),
            ),
            ("parts of a length", "EXTRACT(hour FROM NOW() - ts)", Mapped("2", "the hours beside the days")),
            (
                "seconds of a time",
                "EXTRACT(second FROM TIMESTAMP '2025-03-10 10:00:01.25')",
                Mapped("1.25", "with their fraction"),
            ),
            ("comparison of lengths", "NOW() - ts > INTERVAL '1 day'", Mapped("true", "lengths, a month as 30 days")),
            (
                "a date less hours",
                "CURRENT_DATE - INTERVAL '12 hours'",
                Mapped("2025-03-09T12:00:00", "a timestamp"),
            ),
            ("a date less days", "CURRENT_DATE - INTERVAL '7 days'", Taken("2025-03-03")),
            ("dates subtracted", "CURRENT_DATE - ts::date", Taken("2")),
            ("`date_trunc`", "date_trunc('week', NOW())", Taken("2025-03-10T00:00:00Z")),
            ("`date_bin`", "date_bin(INTERVAL '15 minutes', ts) = ts", Taken("true")),
            (
                "`AT TIME ZONE`",
                "ts AT TIME ZONE 'Europe/Berlin'",
                Mapped("2025-03-08T10:30:00", "what the zone's clocks show"),
            ),
            ("times of day", "CAST(ts AS TIME) < CURRENT_TIME", Taken("true")),
            ("`to_char`", "to_char(ts, 'YYYY-MM-DD HH24:MI')", Mapped("2025-03-08 09:30", "`%Y-%m-%d %H:%M`")),
            ("`to_timestamp`", "to_timestamp(1741600000)", Taken("2025-03-10T09:46:40Z")),
            (
                "`to_timestamp` with a pattern",
                "to_timestamp('2025-03-10', 'YYYY-MM-DD')",
                Mapped("2025-03-10T00:00:00Z", "`%Y-%m-%d`"),
            ),
            ("`make_date`", "make_date(2025, 3, 10)", Taken("2025-03-10")),
            ("patterns with names", "to_char(ts, 'Day')", Refused("B156")),
            ("`age`", "age(NOW(), ts)", Refused("B157")),
            ("`EXTRACT(century …)`", "EXTRACT(century FROM ts)", Refused("B157")),
            ("an interval as a feature", "INTERVAL '24 hours'", Refused("B158")),
        ],
    },
    Group {
        title: "Aggregates",
        rows: &[
            ("`count`, `FILTER`", "agg count(*) FILTER (WHERE kind = 'buy')", Taken("2")),
            ("`DISTINCT` aggregates", "agg count(DISTINCT kind)", Taken("2")),
            ("`sum`, `avg`, `min`, `max`", "agg sum(x) * avg(amount) - max(x)", Taken("21.0")),
            ("`first_value(x ORDER BY t)`", "agg first_value(x ORDER BY ts)", Taken("5")),
            ("`last_value(x ORDER BY t)`", "agg last_value(x ORDER BY ts)", Taken("2")),
            ("`array_agg(x ORDER BY t)`", "agg array_agg(x ORDER BY ts DESC)", Taken("[2, 7, 5]")),
            ("`string_agg(x, ',' ORDER BY t)`", "agg string_agg(kind, ',' ORDER BY ts)", Taken("view,buy,buy")),
            ("`bool_and`, `bool_or`", "agg bool_and(x > 1) AND bool_or(x > 6)", Taken("true")),
            ("`stddev_samp`, `var_pop` and kin", "agg var_samp(x)", Taken("6.333333333333333")),
            ("`corr`, `covar_pop`, `regr_slope`", "agg regr_slope(x, amount)", Taken("2.0")),
            ("`percentile_cont`", "agg percentile_cont(0.5) WITHIN GROUP (ORDER BY x)", Taken("5.0")),
            ("`median`", "agg median(x)", Taken("5.0")),
            ("`bit_and`, `bit_or`", "agg bit_or(x)", Taken("7")),
            ("`approx_count_distinct`", "agg approx_count_distinct(kind)", Mapped("2", "`approx_distinct`")),
            ("`every`", "agg every(x > 1)", Mapped("true", "`bool_and`")),
            ("`variance`", "agg variance(x)", Mapped("6.333333333333333", "`var_samp`")),
            ("`mode()`", "agg mode() WITHIN GROUP (ORDER BY kind)", Refused("B157")),
            ("`percentile_disc`", "agg percentile_disc(0.5) WITHIN GROUP (ORDER BY x)", Refused("B157")),
            ("`jsonb_agg`", "agg jsonb_agg(x)", Refused("B157")),
        ],
    },
    Group {
        title: "Expressions",
        rows: &[
            ("`::` casts", "'5'::int + x::numeric(10, 2)", Taken("10.00")),
            ("`CASE`", "CASE WHEN x > 3 THEN 'big' ELSE 'small' END", Taken("big")),
            ("`COALESCE`, `NULLIF`", "coalesce(nullif(x, 5), -1)", Taken("-1")),
            ("`GREATEST`, `LEAST`", "greatest(1, NULL, x) - least(2, x)", Taken("3")),
            ("`IS DISTINCT FROM`", "x IS DISTINCT FROM NULL", Taken("true")),
            ("`BETWEEN`, `IN`", "x BETWEEN 1 AND 5 AND kind IN ('view', 'buy')", Taken("true")),
            ("row values", "(x, kind) IN ((5, 'view'))", Taken("true")),
            ("`power`, `round`, `trunc`, `ln`, `log`", "round(power(x, 2) / 3, 2)", Taken("8.33")),
            ("`round` of decimals", "round(2.567::numeric, 2)", Taken("2.57")),
            ("`mod`", "mod(x + 2, 4) * 2", Mapped("6", "`%`")),
            ("`sign`", "sign(-x)", Mapped("-1.0", "`signum`")),
            ("quoted identifiers", "\"kind\"", Taken("view")),
            ("`^`", "x ^ 2", Refused("B156")),
            ("`BETWEEN SYMMETRIC`", "x BETWEEN SYMMETRIC 9 AND 1", Refused("B101")),
            ("`width_bucket`", "width_bucket(x, 0, 10, 5)", Refused("B157")),
            ("`random()`", "random()", Refused("B113")),
            ("`version()`, `current_user`, `pg_typeof`", "pg_typeof(x)", Refused("B159")),
        ],
    },
    Group {
        title: "Text",
        rows: &[
            ("`ILIKE`, `LIKE`", "name ILIKE 'ab%' AND name LIKE 'A_ c'", Taken("true")),
            ("`~`, `~*`, `!~`", "name ~ '^A' AND name !~ 'z'", Taken("true")),
            ("`regexp_match`", "(regexp_match(name, '([a-z]) (c)'))[2]", Taken("c")),
            ("`regexp_replace`", "regexp_replace('aaa', 'a', 'b', 'g')", Taken("bbb")),
            ("`split_part`", "split_part('x-1-y', '-', 2)", Taken("1")),
            ("`lower`, `upper`, `initcap`", "upper(lower(name))", Taken("AB C")),
            ("`trim(both …)`, `btrim`", "trim(both 'x' from 'xax') || btrim(' b ')", Taken("ab")),
            ("`substring(… from … for …)`", "substring('abcdef' from 2 for 3)", Taken("bcd")),
            ("`position`, `strpos`", "position('c' in 'abc')", Taken("3")),
            ("`overlay`", "overlay('abcdef' placing 'XX' from 2 for 3)", Taken("aXXef")),
            ("`left`, `right`, `lpad`, `replace`", "lpad(left('12x', 2), 4, '0')", Taken("0012")),
            ("`concat`, `concat_ws`", "concat_ws('-', 'a', NULL, 'b')", Taken("a-b")),
            ("`length`", "length('héllo')", Taken("5")),
            ("`md5`, `sha256`, `encode`", "md5('a')", Taken("0cc175b9c0f1b6a831c399e269772661")),
            ("`SIMILAR TO`", "name SIMILAR TO 'A%'", Refused("B156")),
            ("`format`", "format('%s', name)", Refused("B157")),
            ("`regexp_matches`", "regexp_matches(name, 'b')", Refused("B157")),
        ],
    },
    Group {
        title: "Arrays",
        rows: &[
            ("`ARRAY[…]`, indices from 1", "(ARRAY[4, 5, 6])[1]", Taken("4")),
            ("the latest of many", "agg (array_agg(x ORDER BY ts DESC))[1:2]", Taken("[2, 7]")),
            ("`= ANY(array)`", "kind = ANY(ARRAY['view', 'buy'])", Taken("true")),
            ("`<> ALL(array)`", "x <> ALL(ARRAY[1, 2])", Taken("true")),
            ("`@>`, `||`", "ARRAY[1, 2] || ARRAY[3] @> ARRAY[3, 1]", Taken("true")),
            ("`&&`", "ARRAY[1, 2] && ARRAY[2, 3]", Mapped("true", "`array_has_any`")),
            ("`cardinality`, `array_length`", "agg cardinality(array_agg(x))", Taken("3")),
            ("`array_to_string`, `string_to_array`", "array_to_string(string_to_array('a,b', ','), '-')", Taken("a-b")),
            ("`unnest` in `SELECT`", "unnest(ARRAY[9])", Taken("9")),
            ("`unnest` in `FROM`", "SELECT user_id, u AS v FROM events, unnest(ARRAY[9]) AS u", Refused("B116")),
        ],
    },
    Group {
        title: "jsonb",
        rows: &[
            ("`->`, `->>`", "payload -> 'a' -> 'b' ->> 0", Mapped("1", "a walk through the column's text")),
            ("`->` as a feature", "payload -> 'a'", Mapped("{\"b\": [1, 2]}", "its text, as `jsonb` writes it")),
            ("casts of parts", "(payload ->> 'n')::numeric(10, 2)", Mapped("2.50", "a cast of text")),
            ("`?`", "payload ? 'n'", Mapped("true", "`jsonb_exists`")),
            ("`#>>`", "payload #>> '{a,b,1}'", Mapped("2", "`->` for each step")),
            ("`::jsonb`", "'{\"b\":1}'::jsonb ->> 'b'", Mapped("1", "text that is checked")),
            ("`jsonb_extract_path_text`", "jsonb_extract_path_text(payload, 'a', 'b', '0')", Taken("1")),
            ("`jsonb_array_length`", "jsonb_array_length(payload -> 'a' -> 'b')", Taken("2")),
            ("`jsonb_typeof`", "jsonb_typeof(payload -> 'n')", Taken("number")),
            ("`@>` of jsonb", "payload @> '{}'", Refused("B154")),
            ("comparison of jsonb", "payload -> 'n' = payload -> 'm'", Refused("B155")),
            ("`::json`", "payload::json ->> 'n'", Refused("B154")),
            ("`jsonb_array_elements`, `jsonb_each`", "jsonb_array_elements(payload)", Refused("B157")),
        ],
    },
    Group {
        title: "Queries",
        rows: &[
            ("`GROUP BY 1`, `ORDER BY 1`", "SELECT user_id, count(*) AS v FROM events GROUP BY 1 ORDER BY 1", Taken("3")),
            ("`GROUP BY ALL`", "SELECT user_id, count(*) AS v FROM events GROUP BY ALL", Taken("3")),
            ("`HAVING`", "SELECT user_id, sum(x) AS v FROM events GROUP BY user_id HAVING count(*) > 2", Taken("14")),
            (
                "`DISTINCT ON`",
                "SELECT DISTINCT ON (user_id) user_id, x AS v FROM events ORDER BY user_id, ts DESC",
                Taken("2"),
            ),
            ("`LIMIT`, `OFFSET`", "SELECT user_id, x AS v FROM events ORDER BY ts LIMIT 1 OFFSET 1", Taken("7")),
            (
                "`FETCH FIRST`",
                "SELECT user_id, x AS v FROM events ORDER BY ts DESC OFFSET 1 FETCH FIRST 1 ROW ONLY",
                Mapped("7", "`LIMIT`"),
            ),
            (
                "window functions",
                "SELECT user_id, v FROM (SELECT user_id, lag(x) OVER w AS v, row_number() OVER (PARTITION BY user_id ORDER
                 BY ts DESC) AS r FROM events WINDOW w AS (PARTITION BY user_id ORDER BY ts)) AS t WHERE r = 1",
                Taken("7"),
            ),
            (
                "`RANGE` frames of time",
                "SELECT user_id, v FROM (SELECT user_id, ts, sum(x) OVER (PARTITION BY user_id ORDER BY ts RANGE BETWEEN
                 INTERVAL '2 hours' PRECEDING AND CURRENT ROW) AS v FROM events) AS t WHERE ts > NOW() - INTERVAL '61 min'",
                Taken("9"),
            ),
            (
                "`QUALIFY`",
                "SELECT user_id, x AS v FROM events QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY ts DESC) = 1",
                Taken("2"),
            ),
            (
                "`JOIN … USING`",
                "SELECT user_id, count(*) AS v FROM events a JOIN events b USING (user_id) GROUP BY user_id",
                Taken("9"),
            ),
            (
                "`NATURAL JOIN`",
                "SELECT user_id, count(*) AS v FROM events a NATURAL JOIN events b GROUP BY user_id",
                Taken("2"),
            ),
            (
                "`LATERAL` of an aggregate",
                "SELECT e.user_id, l.v FROM (SELECT DISTINCT user_id FROM events) AS e CROSS JOIN LATERAL
                 (SELECT max(x) AS v FROM events f WHERE f.user_id = e.user_id) AS l",
                Taken("7"),
            ),
            (
                "`VALUES`",
                "SELECT t.user_id, t.c AS v FROM (VALUES (1, 10), (2, 20)) AS t (user_id, c)",
                Taken("10"),
            ),
            (
                "CTEs",
                "WITH b AS (SELECT * FROM events WHERE kind = 'buy') SELECT user_id, sum(x) AS v FROM b GROUP BY user_id",
                Taken("9"),
            ),
            (
                "`IN`, `EXISTS` in `WHERE`",
                "SELECT user_id, count(*) AS v FROM events e WHERE x IN (SELECT x FROM events WHERE kind = 'buy')
                 AND EXISTS (SELECT 1 FROM events f WHERE f.user_id = e.user_id AND f.x > 6) GROUP BY user_id",
                Taken("2"),
            ),
            (
                "`= ANY (SELECT …)`",
                "SELECT user_id, count(*) AS v FROM events WHERE x = ANY (SELECT x FROM events) GROUP BY user_id",
                Mapped("3", "`IN`"),
            ),
            (
                "scalar subqueries",
                "x * 1.0 / (SELECT sum(x) FROM events f WHERE f.user_id = events.user_id)",
                Taken("0.35714285714285715"),
            ),
            (
                "`UNION`, `INTERSECT`, `EXCEPT`",
                "SELECT user_id, 1 AS v FROM events UNION SELECT user_id, 1 FROM events",
                Taken("1"),
            ),
            ("qualified names", "SELECT user_id, count(*) AS v FROM lake.public.events GROUP BY user_id", Taken("3")),
            (
                "`TUMBLE`",
                "SELECT user_id, count(*) AS v FROM TUMBLE(events, ts, INTERVAL '1 hour')
                 WHERE window_end <= NOW() AND window_end > NOW() - INTERVAL '2 hours' GROUP BY user_id",
                Mapped("2", "windows as columns"),
            ),
            (
                "`HOP`",
                "SELECT user_id, count(*) AS v FROM HOP(events, ts, INTERVAL '1 hour', INTERVAL '2 hours')
                 WHERE window_end = NOW() GROUP BY user_id",
                Mapped("2", "a row for each window"),
            ),
            (
                "`EMIT ON WINDOW CLOSE`",
                "SELECT user_id, count(*) AS v FROM TUMBLE(events, ts, INTERVAL '1 hour') WHERE window_end = NOW()
                 GROUP BY user_id, window_end EMIT ON WINDOW CLOSE",
                Mapped("1", "what had arrived by the window's end, once it is over"),
            ),
            (
                "`ASOF JOIN`",
                "SELECT a.user_id, b.x AS v FROM events a ASOF JOIN events b ON a.user_id = b.user_id AND a.ts > b.ts
                 WHERE a.x = 2",
                Mapped("7", "a join with `lead`"),
            ),
            (
                "`ASOF LEFT JOIN`",
                "SELECT a.user_id, b.x AS v FROM events a ASOF LEFT JOIN events b ON a.user_id = b.user_id AND a.ts >= b.ts
                 WHERE a.x = 2",
                Mapped("2", "a join with `lead`"),
            ),
            (
                "`GROUPING SETS`, `ROLLUP`, `CUBE`",
                "SELECT user_id, count(*) AS v FROM events GROUP BY GROUPING SETS ((user_id), (user_id, kind))
                 HAVING GROUPING(kind) = 1",
                Taken("3"),
            ),
            (
                "correlated subqueries",
                "x - (SELECT count(*) FROM events f WHERE f.user_id = events.user_id AND f.ts > events.ts)",
                Mapped("3", "joins"),
            ),
            (
                "`LATERAL`",
                "SELECT e.user_id, l.v FROM (SELECT user_id, min(ts) AS t FROM events GROUP BY user_id) AS e CROSS JOIN
                 LATERAL (SELECT f.x AS v FROM events f WHERE f.user_id = e.user_id AND f.ts > e.t ORDER BY f.ts LIMIT 1) AS l",
                Mapped("7", "joins"),
            ),
            (
                "`FULL JOIN`, `NOW()` in its condition",
                "SELECT coalesce(a.user_id, b.user_id) AS user_id, b.n AS v FROM (SELECT DISTINCT user_id FROM events) AS a
                 FULL JOIN (SELECT user_id, count(*) AS n FROM events GROUP BY user_id) AS b
                 ON a.user_id = b.user_id AND NOW() > TIMESTAMP '2025-01-01T00:00:00Z'",
                Taken("3"),
            ),
            (
                "`VALUES` with `NOW()`",
                "SELECT t.user_id, t.c AS v FROM (VALUES (1, NOW())) AS t (user_id, c)",
                Taken("2025-03-10T12:00:00Z"),
            ),
            (
                "`FULL JOIN … USING`",
                "SELECT user_id, 1 AS v FROM events a FULL JOIN events b USING (user_id)",
                Refused("B160"),
            ),
            (
                "`ROLLUP` in a correlated subquery",
                "SELECT user_id, (SELECT count(*) FROM events f WHERE f.x > e.x GROUP BY ROLLUP (f.kind) LIMIT 1) AS v
                 FROM events e",
                Refused("B167"),
            ),
            ("`EXISTS` in `SELECT`", "EXISTS (SELECT 1 FROM events f WHERE f.x = 7)", Taken("true")),
            (
                "recursive CTEs",
                "WITH RECURSIVE r AS (SELECT 1 AS user_id) SELECT user_id, 1 AS v FROM r",
                Refused("B106"),
            ),
            (
                "table functions",
                "SELECT user_id, g AS v FROM events, generate_series(1, 3) AS g",
                Refused("B110"),
            ),
            ("`TABLESAMPLE`", "SELECT user_id, x AS v FROM events TABLESAMPLE SYSTEM (10)", Refused("B112")),
            (
                "`FOR SYSTEM_TIME AS OF`",
                "SELECT e.user_id, 1 AS v FROM events e JOIN events FOR SYSTEM_TIME AS OF PROCTIME() f ON e.x = f.x",
                Refused("B105"),
            ),
            ("`SELECT INTO`", "SELECT user_id, x AS v INTO t FROM events", Refused("B109")),
            ("`FOR UPDATE`", "SELECT user_id, x AS v FROM events FOR UPDATE", Refused("B108")),
            ("parameters", "SELECT user_id, x AS v FROM events WHERE x > $1", Refused("B114")),
        ],
    },
    Group {
        title: "Files as deployed",
        rows: &[
            (
                "`CREATE MATERIALIZED VIEW`",
                "CREATE MATERIALIZED VIEW IF NOT EXISTS deployed WITH (source_rate_limit = 9) AS
                 SELECT user_id, count(*) AS v FROM events GROUP BY user_id",
                Taken("3"),
            ),
            (
                "`CREATE SOURCE`, `CREATE TABLE`",
                "CREATE SOURCE events (user_id bigint, ts timestamptz, x int) WITH (connector = 'kafka') FORMAT PLAIN
                 ENCODE JSON; SELECT user_id, count(*) AS v FROM events GROUP BY user_id",
                Mapped("3", "a check of the Parquet's columns"),
            ),
            (
                "`COMMENT`, `GRANT`, `CREATE INDEX`, `DROP … IF EXISTS`, `SET`",
                "DROP VIEW IF EXISTS w; SET search_path = f; SELECT user_id, count(*) AS v FROM events GROUP BY user_id;
                 COMMENT ON VIEW w IS 'n'; GRANT SELECT ON w TO r; CREATE INDEX i ON w (user_id)",
                Mapped("3", "skipped"),
            ),
            ("a declared column that is not there", "CREATE TABLE events (y int); SELECT 1 AS v FROM events", Refused("B152")),
            ("a declared type that is another", "CREATE TABLE events (x text); SELECT 1 AS v FROM events", Refused("B153")),
            ("`SET` of what changes meaning", "SET timezone = 'Asia/Tokyo'; SELECT 1 AS v FROM events", Refused("B151")),
            ("writes, `ALTER`, `CREATE FUNCTION`", "SELECT 1 AS v FROM events; DELETE FROM events", Refused("B150")),
            ("more than one query", "SELECT 1 AS v FROM events; SELECT 2 AS v FROM events", Refused("B103")),
        ],
    },
];
