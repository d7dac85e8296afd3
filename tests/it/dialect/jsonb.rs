//! `jsonb` with PostgreSQL's meaning. Expected values are PostgreSQL's, by its documentation of the operators and of `jsonb`.

use crate::support::{Project, shown, table};

/// One row per user, whose `p` is the JSON text; `u` is the same in a dictionary.
fn project(texts: &[&str]) -> Project {
    let mut labels = "user_id:i64 at:us@UTC\n".to_string();
    let mut rows = "user_id:i64 ts:us@UTC p:str u:dict k:str i:i64\n".to_string();
    for (i, text) in texts.iter().enumerate() {
        let text = text.replace(' ', "_");
        labels += &format!("{i} 2025-03-10T12:00\n");
        rows += &format!("{i} 2025-03-10T11:00 {text} {text} a 0\n");
    }
    Project::new("keys = [\"user_id\"]\ntime = \"at\"", &table(&labels)).source(
        "events",
        "time = \"ts\"",
        &table(&rows),
    )
}

#[track_caller]
fn gives(texts: &[&str], expression: &str, values: &[&str]) {
    let sql = format!("SELECT user_id, {expression} AS v FROM events");
    assert_eq!(shown(&project(texts).view("w", &sql).dataset(), "v"), values, "{expression}");
}

#[track_caller]
fn refused(sql: &str, parts: &[&str]) {
    let ran = project(&["{}"]).view("w", sql).backcast(&["check"]).exits_with(2);
    for part in parts {
        assert!(ran.stdout.contains(part), "no `{part}` in:\n{}", ran.stdout);
    }
}

#[test]
fn part_is_given_as_jsonb_writes_it() {
    let texts = [
        r#"{"a": {"b":[1, 2.50,"x"],"aa":1,"b":{"z":1e2}}}"#,
        r#"{"a": null}"#,
        r#"{"a":"text"}"#,
        r#"{"b":1}"#,
        r#"[1,2]"#,
        "1",
        "null",
        "-",
    ];
    gives(
        &texts,
        "p -> 'a'",
        &[r#"{"b": {"z": 100}, "aa": 1}"#, "null", "\"text\"", "NULL", "NULL", "NULL", "NULL", "NULL"],
    );
    gives(
        &texts,
        "p ->> 'a'",
        &[r#"{"b": {"z": 100}, "aa": 1}"#, "NULL", "text", "NULL", "NULL", "NULL", "NULL", "NULL"],
    );
    // A dictionary of texts gives the same.
    gives(&texts[1..4], "u -> 'a'", &["null", "\"text\"", "NULL"]);
    gives(&texts[1..4], "u ->> 'a'", &["NULL", "text", "NULL"]);
}

#[test]
fn steps_walk_through_objects_and_arrays() {
    let texts = [r#"{"a":{"b":[{"c":"x"},{"c":"y"}]},"0":"zero"}"#, r#"{"a":[[1,2],[3]]}"#, r#"["first",{"a":7}]"#];
    gives(&texts, "p -> 'a' -> 'b' -> 0 ->> 'c'", &["x", "NULL", "NULL"]);
    gives(&texts, "p->'a'->'b'->-1->>'c'", &["y", "NULL", "NULL"]);
    gives(&texts, "p -> 'a' -> 0 ->> 1", &["NULL", "2", "NULL"]);
    gives(&texts, "p ->> 0", &["NULL", "NULL", "first"]);
    // A key that spells a number is a key, and no index.
    gives(&texts, "p ->> '0'", &["zero", "NULL", "NULL"]);
    gives(&texts, "p ->> '1'", &["NULL", "NULL", "NULL"]);
    // In a path it is an index where there is an array.
    gives(&texts, "p #>> '{1,a}'", &["NULL", "NULL", "7"]);
    gives(&texts, "p #>> ARRAY['a', 'b', '1', 'c']", &["y", "NULL", "NULL"]);
    gives(&texts, "p #> '{a, 0}'", &["NULL", "[1, 2]", "NULL"]);
    gives(&texts, "jsonb_extract_path_text(p, 'a', 'b', '0', 'c')", &["x", "NULL", "NULL"]);
    gives(&texts, "jsonb_extract_path(p, 'a', '1')", &["NULL", "[3]", "NULL"]);
    // Keys and indices from columns: `k` is a, `i` is 0.
    gives(&texts, "p -> k ->> 'b'", &[r#"[{"c": "x"}, {"c": "y"}]"#, "NULL", "NULL"]);
    gives(&texts, "p -> k -> i", &["NULL", "[1, 2]", "NULL"]);
    gives(&texts, "(p -> i::int) ->> 0", &["NULL", "NULL", "NULL"]);
}

#[test]
fn last_of_equal_keys_counts() {
    gives(&[r#"{"a":1,"a":2}"#], "p ->> 'a'", &["2"]);
    gives(&[r#"{"a":{"x":1},"a":{"y":2}}"#], "p -> 'a' ->> 'x'", &["NULL"]);
}

#[test]
fn strings_lose_quotes_and_escapes_and_numbers_keep_digits() {
    let texts = [
        r#"{"a":"q\"\\\/\u00e9\n"}"#,
        r#"{"a":1.50}"#,
        r#"{"a":1e2}"#,
        r#"{"a":-0}"#,
        r#"{"a":12345678901234567890.5}"#,
        r#"{"a":true}"#,
    ];
    gives(&texts, "p ->> 'a'", &["q\"\\/é\n", "1.50", "100", "0", "12345678901234567890.5", "true"]);
}

#[test]
fn text_of_a_part_is_cast_as_any_text() {
    gives(&[r#"{"a":"5"}"#, r#"{"a":5}"#, r#"{"a":null}"#, "{}"], "(p ->> 'a')::int", &["5", "5", "NULL", "NULL"]);
    gives(&[r#"{"a":2.5}"#], "(p->>'a')::double precision + 1", &["3.5"]);
    gives(&[r#"{"a":2.5}"#], "(p->>'a')::numeric(10, 2)", &["2.50"]);
    gives(&[r#"{"a":true}"#, r#"{"a":"false"}"#], "(p->>'a')::boolean", &["true", "false"]);
    gives(&[r#"{"t":"2025-03-10T11:00:00Z"}"#], "(p->>'t')::timestamp < NOW()", &["true"]);
    gives(&[r#"{"a":7}"#], "(p -> 'a')::int", &["7"]);
    gives(&[r#"{"a":"x"}"#, r#"{"a":null}"#], "(p -> 'a')::text", &["\"x\"", "null"]);
}

#[test]
fn operators_bind_as_in_postgres() {
    gives(&[r#"{"a":"x","n":2}"#], "p ->> 'a' = 'x'", &["true"]);
    gives(&[r#"{"a":"x","n":2}"#], "'x' = p ->> 'a' AND p ->> 'a' IN ('x', 'y')", &["true"]);
    gives(&[r#"{"a":"x","n":2}"#], "p -> 'b' IS NULL AND p ->> 'a' LIKE 'x%'", &["true"]);
    gives(&[r#"{"a":"x","n":2}"#], "3 * (p ->> 'n')::int - 1", &["5"]);
    gives(&[r#"{"a":"x","n":2}"#], "'n' || 1 + 2", &["n3"]);
    gives(&[r#"{"a":"x"}"#], "(p ->> 'a') || '!' = 'x!'", &["true"]);
}

#[test]
fn presence_length_and_type() {
    let texts = [r#"{"a":null,"b":[1,"x, y",{"z":[]}]}"#, r#"["a","b\"]"]"#, "\"a\"", "1", "[]", "-"];
    gives(&texts, "p ? 'a'", &["true", "true", "true", "false", "false", "NULL"]);
    gives(&texts, "jsonb_exists(p, 'b')", &["true", "false", "false", "false", "false", "NULL"]);
    gives(&texts, "jsonb_typeof(p)", &["object", "array", "string", "number", "array", "NULL"]);
    gives(&texts, "jsonb_typeof(p -> 'a')", &["null", "NULL", "NULL", "NULL", "NULL", "NULL"]);
    gives(&texts[..1], "jsonb_array_length(p -> 'b')", &["3"]);
    gives(&texts[4..], "jsonb_array_length(p)", &["0", "NULL"]);
    gives(
        &texts,
        "CASE WHEN jsonb_typeof(p) = 'array' THEN jsonb_array_length(p) ELSE 0 END",
        &["0", "2", "0", "0", "0", "0"],
    );
}

#[test]
fn text_is_cast_to_jsonb() {
    gives(&[r#" {"b":1,"a" : 2}"#], "p::jsonb", &[r#"{"a": 2, "b": 1}"#]);
    gives(&["{}"], "CAST('{\"a\": [1]}' AS JSONB) -> 'a' ->> 0", &["1"]);
    gives(&["{}"], "JSONB '{\"a\": 3}' ->> 'a'", &["3"]);
    gives(&["oops", r#"{"a":1}"#, "-"], "TRY_CAST(p AS jsonb) ->> 'a'", &["NULL", "1", "NULL"]);
}

#[test]
fn parts_stand_in_aggregates_filters_and_subqueries() {
    let texts = [r#"{"kind":"buy","amount":2.5}"#, r#"{"kind":"sell","amount":4}"#];
    let project = project(&texts).view(
        "w",
        "WITH bought AS (SELECT user_id, p -> 'amount' AS amount, p FROM events WHERE p ->> 'kind' = 'buy')
         SELECT e.user_id, count(*) FILTER (WHERE e.p ->> 'kind' = 'buy') AS buys, count(e.p -> 'amount') AS amounts,
                sum((e.p ->> 'amount')::float8) AS amount, max((b.amount)::text) AS again,
                array_agg(e.p ->> 'kind' ORDER BY e.ts) AS kinds
         FROM events e LEFT JOIN bought b ON b.user_id = e.user_id
         WHERE e.ts > NOW() - INTERVAL '1 day' GROUP BY e.user_id",
    );
    let dataset = project.dataset();
    for (column, values) in [
        ("buys", ["1", "0"]),
        ("amounts", ["1", "1"]),
        ("amount", ["2.5", "4.0"]),
        ("again", ["2.5", "NULL"]),
        ("kinds", ["[buy]", "[sell]"]),
    ] {
        assert_eq!(shown(&dataset, column), values, "{column}");
    }
}

#[test]
fn value_is_read_by_another_view() {
    let project = project(&[r#"{"a":{"b":1}}"#])
        .view_with("parts", "helper = true", "CREATE VIEW parts AS SELECT user_id, p -> 'a' AS a FROM events")
        .view("w", "SELECT user_id, a ->> 'b' AS b, a FROM parts");
    let dataset = project.dataset();
    assert_eq!([shown(&dataset, "b"), shown(&dataset, "a")], [["1"], ["{\"b\": 1}"]]);
    let ran = project.view("x", "SELECT user_id, a = '1' AS same FROM parts").backcast(&["check"]).exits_with(2);
    assert!(ran.stdout.contains("B155"), "{}", ran.stdout);
}

#[test]
fn what_is_no_json_is_an_error_that_shows_it() {
    let project = project(&[r#"{"a":1}"#, "{a:1}"]).view("w", "SELECT user_id, p ->> 'a' AS v FROM events");
    let error = project.try_dataset().unwrap_err();
    for part in ["`{a:1}` is no JSON", "expected a key in quotes at byte 2", "TRY_CAST(column AS jsonb)"] {
        assert!(error.contains(part), "no `{part}` in {error}");
    }
    let project = self::project(&["{}"]).view("w", "SELECT user_id, jsonb_array_length(p) AS v FROM events");
    assert!(project.try_dataset().unwrap_err().contains("of an object that is no array"));
}

#[test]
fn comparison_of_jsonb_is_refused() {
    for sql in [
        "SELECT user_id, p -> 'a' = p -> 'b' AS v FROM events",
        "SELECT user_id, p -> 'a' > '1' AS v FROM events",
        "SELECT user_id, p -> 'a' IN ('1') AS v FROM events",
        "SELECT user_id, (p -> 'a') || (p -> 'b') AS v FROM events",
        "SELECT user_id, lower(p -> 'a') AS v FROM events",
        "SELECT user_id, coalesce(p -> 'a', '1') AS v FROM events",
        "SELECT user_id, CASE WHEN true THEN p -> 'a' END AS v FROM events",
        "SELECT user_id, max(p -> 'a') AS v FROM events GROUP BY user_id",
        "SELECT user_id, count(DISTINCT p -> 'a') AS v FROM events GROUP BY user_id",
        "SELECT user_id, last_value(p -> 'a' ORDER BY ts) AS v FROM events GROUP BY user_id",
        "SELECT user_id, lag(p -> 'a') OVER (ORDER BY ts) AS v FROM events",
        "SELECT user_id, 1 AS v FROM events GROUP BY user_id, p -> 'a'",
        "SELECT DISTINCT user_id, p -> 'a' AS v FROM events",
        "SELECT DISTINCT ON (user_id) user_id, 1 AS v FROM events ORDER BY user_id, p -> 'a'",
        "SELECT user_id, 1 AS v FROM events ORDER BY p -> 'a' LIMIT 1",
        "SELECT user_id, p -> 'a' AS v FROM events UNION SELECT user_id, p -> 'b' FROM events",
        "SELECT e.user_id, 1 AS v FROM events e JOIN events f ON e.p -> 'a' = f.p -> 'a'",
        "SELECT user_id, 1 AS v FROM (SELECT user_id, p -> 'a' AS a FROM events) WHERE a = '1'",
        "SELECT user_id, 1 AS v FROM events WHERE '1' IN (SELECT p -> 'a' FROM events)",
        "SELECT user_id, (SELECT max(user_id::text) FROM events) = (SELECT p -> 'a' FROM events LIMIT 1) AS v FROM events",
    ] {
        refused(sql, &["error[B155]", "w.sql:1:", "with `->>`"]);
    }
}

#[test]
fn operator_that_has_no_meaning_here_is_refused() {
    for (sql, said) in [
        ("SELECT user_id, p @> '{\"a\": 1}' AS v FROM events", "`@>` of jsonb can't be replayed"),
        ("SELECT user_id, p -> 'a' ->> 'b' -> 'c' AS v FROM events", "the left side of `->` is text, not jsonb"),
        ("SELECT user_id, lower(p) -> 'a' AS v FROM events", "the left side of `->` is text, not jsonb"),
        ("SELECT user_id, user_id -> 'a' AS v FROM events", "take JSON text, not Int64"),
        ("SELECT user_id, p -> 1.5 AS v FROM events", "a key is text, an index an integer"),
        ("SELECT user_id, p #> k AS v FROM events", "the path of `#>` can't be read"),
    ] {
        refused(sql, &["error[B154]", said, "w.sql:1:", "help"]);
    }
    refused("SELECT user_id, jsonb_extract_path(p, k, k) AS v FROM events", &["takes a path that is written out"]);
    refused("SELECT user_id, p::json -> 'a' AS v FROM events", &["error[B154]", "w.sql:1:17", "write `::jsonb`"]);
}
