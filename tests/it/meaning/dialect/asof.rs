//! `ASOF JOIN` and `ASOF LEFT JOIN`.

use super::refused;
use crate::support::{Project, shown, table};

/// Trades by number; a label row asks for each, at the end of the day.
fn project() -> Project {
    let labels: String = (1..=8).map(|id| format!("{id} 2025-03-10T23:00\n")).collect();
    let trades = table(
        "id:i64 sym:str ts:us@UTC         px:i64
         1      a       2025-03-10T10:00  1
         2      a       2025-03-10T10:05  2
         3      a       2025-03-10T10:07  3
         4      a       2025-03-10T10:10  4
         5      b       2025-03-10T10:10  5
         6      c       2025-03-10T10:10  6
         7      -       2025-03-10T10:10  7
         8      a       2025-03-10T10:20  8",
    );
    let quotes = table(
        "sym:str ts:us@UTC         bid:i64 note:str t2:us@UTC
         a       2025-03-10T10:05  20      y        2025-03-10T10:05
         a       2025-03-10T10:05  20      -        2025-03-10T10:05
         a       2025-03-10T10:05  30      x        2025-03-10T10:05
         a       2025-03-10T10:10  -       z        2025-03-10T10:10
         a       2025-03-10T10:10  40      z        2025-03-10T10:10
         b       2025-03-10T10:11  50      z        2025-03-10T10:11
         -       2025-03-10T10:09  60      z        2025-03-10T10:09
         a       2025-03-10T10:19  70      q        -",
    );
    Project::new("keys = [\"id\"]\ntime = \"at\"", &table(&format!("id:i64 at:us@UTC\n{labels}")))
        .source("trades", "time = \"ts\"", &trades)
        .source("quotes", "time = \"ts\"", &quotes)
}

fn joined(kind: &str, on: &str) -> String {
    format!(
        "SELECT t.id, q.bid AS bid, q.note AS note, q.ts AS quoted, 1 AS found FROM trades t {kind} quotes q ON {on}"
    )
}

#[test]
fn the_nearest_row_before_or_at_the_time_is_joined_and_of_those_the_smallest() {
    let dataset = project().view("v", &joined("ASOF LEFT JOIN", "t.sym = q.sym AND t.ts >= q.ts")).dataset();
    // Of 20/-, 20/y and 30/x the first is the smallest: NULL first. At 10:10 NULL comes before 40.
    assert_eq!(shown(&dataset, "bid"), ["NULL", "20", "20", "NULL", "NULL", "NULL", "NULL", "70"]);
    assert_eq!(shown(&dataset, "note"), ["NULL", "NULL", "NULL", "z", "NULL", "NULL", "NULL", "q"]);
    assert_eq!(
        shown(&dataset, "quoted")[1..4].join(" "),
        "2025-03-10T10:05:00Z 2025-03-10T10:05:00Z 2025-03-10T10:10:00Z"
    );
    assert_eq!(shown(&dataset, "found"), ["1"; 8]);
    let inner = project().view("v", &joined("ASOF JOIN", "t.sym = q.sym AND t.ts >= q.ts")).dataset();
    assert_eq!(shown(&inner, "bid"), shown(&dataset, "bid"));
    assert_eq!(shown(&inner, "found"), ["NULL", "1", "1", "1", "NULL", "NULL", "NULL", "1"]);
}

#[test]
fn every_inequality_chooses_the_nearest_row_on_its_side() {
    let bids = |on: &str| {
        let dataset = project().view("v", &joined("asof left outer join", on)).dataset();
        shown(&dataset, "quoted").iter().map(|t| t.get(11..16).unwrap_or("-").to_string()).collect::<Vec<_>>()
    };
    assert_eq!(bids("t.sym = q.sym AND t.ts > q.ts"), ["-", "-", "10:05", "10:05", "-", "-", "-", "10:19"]);
    assert_eq!(bids("q.ts < t.ts AND q.sym = t.sym"), ["-", "-", "10:05", "10:05", "-", "-", "-", "10:19"]);
    assert_eq!(bids("t.sym = q.sym AND t.ts <= q.ts"), ["10:05", "10:05", "10:10", "10:10", "10:11", "-", "-", "-"]);
    assert_eq!(bids("t.sym = q.sym AND t.ts < q.ts"), ["10:05", "10:10", "10:10", "10:19", "10:11", "-", "-", "-"]);
    // A time that is NULL matches nothing.
    assert_eq!(bids("t.sym = q.sym AND t.ts >= q.t2"), ["-", "10:05", "10:05", "10:10", "-", "-", "-", "10:10"]);
}

#[test]
fn of_ties_the_smallest_row_wins_whichever_way_the_inequality_looks() {
    let dataset = project().view("v", &joined("ASOF LEFT JOIN", "t.sym = q.sym AND t.ts <= q.ts")).dataset();
    assert_eq!(shown(&dataset, "bid"), ["20", "20", "NULL", "NULL", "50", "NULL", "NULL", "NULL"]);
    assert_eq!(shown(&dataset, "note"), ["NULL", "NULL", "z", "z", "z", "NULL", "NULL", "NULL"]);
}

#[test]
fn keys_and_times_may_be_expressions_and_the_sides_subqueries_views_and_ctes() {
    let dataset = project()
        .view_with("priced", "helper = true", "SELECT sym, ts, bid FROM quotes WHERE bid IS NOT NULL")
        .view(
            "v",
            "WITH big AS (SELECT id, sym, ts FROM trades WHERE px > 1)
             SELECT b.id, p.bid AS by_view FROM big b ASOF JOIN priced p
             ON upper(b.sym) || '!' = upper(p.sym) || '!' AND b.ts - INTERVAL '5 minutes' >= p.ts",
        )
        .view(
            "w",
            "SELECT id, q.bid AS by_subquery FROM (SELECT * FROM trades) t
             ASOF LEFT JOIN (SELECT sym, ts AS quoted, bid FROM quotes WHERE bid > 20) q ON sym = t.sym AND ts >= quoted"
                .replace("ON sym", "ON q.sym")
                .as_str(),
        )
        .dataset();
    assert_eq!(shown(&dataset, "by_view"), ["NULL", "NULL", "NULL", "20", "NULL", "NULL", "NULL", "40"]);
    assert_eq!(shown(&dataset, "by_subquery"), ["NULL", "30", "30", "40", "NULL", "NULL", "NULL", "70"]);
}

#[test]
fn a_condition_on_the_right_side_in_on_applies_before_the_choice() {
    let dataset = project()
        .view("v", &joined("ASOF LEFT JOIN", "t.sym = q.sym AND t.ts >= q.ts AND q.bid < 30"))
        .view(
            "w",
            "SELECT t.id, count(*) AS timed FROM trades t ASOF JOIN quotes q ON t.sym = q.sym AND t.ts >= q.ts
             AND t.px > 2 AND q.ts > NOW() - INTERVAL '775 minutes' GROUP BY t.id",
        )
        .dataset();
    assert_eq!(shown(&dataset, "bid"), ["NULL", "20", "20", "20", "NULL", "NULL", "NULL", "20"]);
    // 775 minutes before 23:00 it is 10:05.
    assert_eq!(shown(&dataset, "timed"), ["NULL", "NULL", "NULL", "1", "NULL", "NULL", "NULL", "1"]);
}

#[test]
fn asof_joins_are_chained_and_stars_show_no_helpers() {
    let project = project().view(
        "v",
        "SELECT t.id, a.bid AS before, b.bid AS after FROM trades t
         ASOF LEFT JOIN quotes a ON t.sym = a.sym AND t.ts >= a.ts
         ASOF LEFT JOIN quotes b ON t.sym = b.sym AND t.ts < b.ts",
    );
    let dataset = project.dataset();
    assert_eq!(shown(&dataset, "before"), ["NULL", "20", "20", "NULL", "NULL", "NULL", "NULL", "70"]);
    assert_eq!(shown(&dataset, "after"), ["20", "NULL", "NULL", "70", "50", "NULL", "NULL", "NULL"]);
    let stars = self::project()
        .view("v", "SELECT t.id, q.* FROM trades t ASOF JOIN quotes q ON t.sym = q.sym AND t.ts >= q.ts")
        .view(
            "w",
            "SELECT * FROM (SELECT id, sym AS s, ts AS t FROM trades) l
             ASOF JOIN (SELECT sym AS s2, ts AS t3, bid AS b2 FROM quotes) r ON s = s2 AND t >= t3",
        )
        .dataset();
    let names: Vec<String> = stars.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "at", "sym", "ts", "bid", "note", "t2", "s", "t", "s2", "t3", "b2"]);
}

#[test]
fn what_is_not_known_yet_is_not_joined() {
    let labels = table("id:i64 at:us@UTC\n 1 2025-03-10T10:02\n 1 2025-03-10T10:03\n 1 2025-03-10T10:09");
    let dataset = Project::new("keys = [\"id\"]\ntime = \"at\"", &labels)
        .source("trades", "time = \"ts\"", &table("id:i64 sym:str ts:us@UTC\n 1 a 2025-03-10T10:00"))
        .source(
            "quotes",
            "time = \"ts\"\navailable_at = \"seen\"",
            &table(
                "sym:str ts:us@UTC         seen:us@UTC       bid:i64
                 a       2025-03-10T09:58  2025-03-10T09:58  1
                 a       2025-03-10T09:59  2025-03-10T10:03  2
                 a       2025-03-10T10:01  2025-03-10T10:01  3",
            ),
        )
        .view("v", "SELECT t.id, q.bid FROM trades t ASOF JOIN quotes q ON t.sym = q.sym AND t.ts >= q.ts")
        .dataset();
    assert_eq!(shown(&dataset, "bid"), ["1", "2", "2"]);
}

#[test]
fn keys_that_are_equal_only_as_compared_are_one_key() {
    let labels = table("id:i64 at:us@UTC\n 1 2025-03-10T12:00");
    let dataset = Project::new("keys = [\"id\"]\ntime = \"at\"", &labels)
        .source("trades", "time = \"ts\"", &table("id:i64 ts:us@UTC\n 1 2025-03-10T10:00"))
        .source(
            "quotes",
            "time = \"ts\"",
            &table("ref:str ts:ms@UTC bid:i64\n 1 2025-03-10T09:00 1\n 01 2025-03-10T09:30 2\n 1 2025-03-10T09:40 3"),
        )
        .view(
            "v",
            "SELECT t.id, count(*) AS n, max(q.bid) AS bid FROM trades t
             ASOF JOIN quotes q ON t.id = q.ref AND t.ts >= q.ts GROUP BY t.id",
        )
        .dataset();
    assert_eq!(shown(&dataset, "n"), ["1"]);
    assert_eq!(shown(&dataset, "bid"), ["3"]);
}

#[test]
fn conditions_without_a_meaning_are_refused() {
    let cases = [
        ("ASOF JOIN", "t.sym = q.sym", "needs one inequality between its sides, and has 0"),
        ("ASOF JOIN", "t.sym = q.sym AND t.ts >= q.ts AND t.px < q.bid", "and has 2"),
        ("ASOF JOIN", "t.ts >= q.ts", "needs an equality"),
        ("ASOF JOIN", "t.sym = q.sym AND t.ts >= q.ts AND t.px + q.bid > 3", "mixes its sides"),
        ("ASOF JOIN", "t.sym = q.sym AND (t.ts >= q.ts OR q.bid = 1)", "mixes its sides"),
        ("ASOF JOIN", "t.sym = q.sym AND t.ts BETWEEN q.ts AND q.t2", "no comparison"),
        ("ASOF JOIN", "t.sym = q.sym AND t.ts >= q.ts AND t.px <> q.bid", "other than ="),
        ("ASOF LEFT JOIN", "t.sym = q.sym AND t.ts >= q.ts AND t.px > 3", "left side alone"),
    ];
    for (kind, on, part) in cases {
        refused(&project().view("v", &joined(kind, on)), "B146", &[part, "v.sql:1:85", "ASOF"]);
    }
    let using = "SELECT t.id, q.bid FROM trades t ASOF JOIN quotes q USING (sym, ts)";
    refused(&project().view("v", using), "B146", &["v.sql:1:34"]);
}

#[test]
fn forms_of_other_systems_are_refused_with_the_form_to_write() {
    let snowflake =
        "SELECT t.id, q.bid FROM trades t\nASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) ON t.sym = q.sym";
    refused(&project().view("v", snowflake), "B148", &["v.sql:2:20", "AND a.t >= b.t"]);
    for kind in ["ASOF RIGHT JOIN", "ASOF FULL JOIN", "GLOBAL JOIN"] {
        refused(&project().view("v", &joined(kind, "t.sym = q.sym AND t.ts >= q.ts")), "B148", &["v.sql:1:85"]);
    }
}

#[test]
fn a_condition_outside_that_risingwave_would_move_below_the_choice_is_refused() {
    let on = "t.sym = q.sym AND t.ts >= q.ts";
    let refused_where = |condition: &str| {
        refused(
            &project().view("v", &format!("{} WHERE {condition}", joined("ASOF JOIN", on))),
            "B147",
            &["v.sql:1:85"],
        );
    };
    refused_where("q.bid > 20");
    refused_where("t.px > 1 AND q.note = 'x'");
    refused_where("q.ts < NOW() - INTERVAL '1 hour'");
    let outer = format!("SELECT id, bid FROM ({}) AS s WHERE s.bid > 20", joined("ASOF JOIN", on));
    refused(&project().view("v", &outer), "B147", &["RisingWave applies it before"]);
    // These choose the same row either way.
    for condition in
        ["q.sym = 'a'", "q.ts > NOW() - INTERVAL '1 day'", "q.ts > t.ts - INTERVAL '3 minutes'", "t.px > 2"]
    {
        project().view("v", &format!("{} WHERE {condition}", joined("ASOF JOIN", on))).dataset();
    }
    let left = project().view("v", &format!("{} WHERE q.bid > 20", joined("ASOF LEFT JOIN", on))).dataset();
    assert_eq!(shown(&left, "bid"), ["NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "70"]);
}
