//! Feature SQL by templates, over the tables of [`super::world`]: what views look like in practice, and RisingWave's dialect.
//!
//! A view is one of [`SHAPES`], each with random sources, filters, aggregates and windows. Every shape has a row for a key at
//! most once, so that no seed ends in the error that says otherwise; columns are named `<view>_<n>`.

use crate::support::Rng;

#[path = "shapes_dialect.rs"]
mod dialect;

/// A log as a shape sees it: its name and the columns that it has.
pub(super) struct Source {
    pub name: &'static str,
    pub time: &'static str,
    pub numbers: &'static [&'static str],
    pub text: &'static str,
}

pub(super) const EVENTS: Source =
    Source { name: "events", time: "ts", numbers: &["amount", "qty", "price"], text: "kind" };
pub(super) const CLICKS: Source = Source { name: "clicks", time: "ts", numbers: &["dwell"], text: "page" };
const PROFILES: Source = Source { name: "profiles", time: "updated", numbers: &["score"], text: "tier" };

/// Makes the SQL of one view.
pub(super) struct Grammar<'a> {
    pub rng: &'a mut Rng,
    /// The view's name, with which its columns begin.
    pub view: String,
    columns: usize,
}

type Shape = fn(&mut Grammar) -> String;

/// Every shape, by name.
pub(super) const SHAPES: &[(&str, Shape)] = &[
    ("aggregate by key", |g| g.by_key()),
    ("aggregate by both keys", |g| g.by_both_keys()),
    ("aggregate of aggregates", |g| g.two_levels()),
    ("aggregate without keys", |g| g.global()),
    ("distinct on", |g| g.distinct_on()),
    ("row number", |g| g.row_number()),
    ("window functions", |g| g.windows()),
    ("order by limit", |g| g.limited()),
    ("join of logs", |g| g.join_of_logs()),
    ("join with changelog", |g| g.join_with_changelog()),
    ("join of aggregates", |g| g.join_of_aggregates()),
    ("join without keys", |g| g.cross()),
    ("semi and anti joins", |g| g.semi_anti()),
    ("scalar subquery", |g| g.scalar_subquery()),
    ("union", |g| g.union()),
    ("changelog row", |g| g.profile()),
    ("set operations", |g| g.set_operation()),
    ("unnest", |g| g.unnested()),
    ("time windows", |g| g.windowed()),
    ("emit on window close", |g| g.closed()),
    ("asof join", |g| g.asof()),
    ("chained asof joins", |g| g.chained_asof()),
    ("correlated scalar subqueries", |g| g.correlated_in_select()),
    ("correlated tests", |g| g.correlated_tests()),
    ("lateral", |g| g.lateral()),
    ("correlated below an aggregate", |g| g.correlated_below()),
];

impl<'a> Grammar<'a> {
    pub(super) fn new(rng: &'a mut Rng, view: &str) -> Self {
        Self { rng, view: view.to_string(), columns: 0 }
    }

    /// The next column's name.
    pub(super) fn column(&mut self) -> String {
        self.columns += 1;
        format!("{}_{}", self.view, self.columns)
    }

    fn source(&mut self) -> &'static Source {
        [&EVENTS, &EVENTS, &CLICKS, &PROFILES][self.rng.below(4)]
    }

    pub(super) fn log(&mut self) -> &'static Source {
        [&EVENTS, &EVENTS, &CLICKS][self.rng.below(3)]
    }

    fn back(&mut self) -> &'static str {
        self.rng.pick(&[
            "1 hour",
            "2 hours",
            "30 minutes",
            "1 day",
            "3 days",
            "7 days",
            "1 month",
            "2 months",
            "1 week",
            "90 seconds",
        ])
    }

    /// An instant before `NOW()`, or `NOW()` itself.
    fn instant(&mut self) -> String {
        let back = self.back();
        match self.rng.below(8) {
            0 => "date_trunc('day', NOW())".to_string(),
            1 => format!("date_trunc('hour', NOW() - INTERVAL '{back}')"),
            2 => "date_trunc('month', NOW())".to_string(),
            3 => format!("CURRENT_TIMESTAMP - INTERVAL '{back}'"),
            _ => format!("NOW() - INTERVAL '{back}'"),
        }
    }

    /// A condition with `NOW()`.
    fn timed(&mut self, alias: &str, source: &Source) -> String {
        let t = format!("{alias}.{}", source.time);
        let (a, b) = (self.instant(), self.back());
        match self.rng.below(10) {
            0 | 1 => format!("{t} > {a}"),
            2 | 3 => format!("{t} >= {a}"),
            4 => format!("{t} > NOW() - INTERVAL '{b}' AND {t} <= NOW() - INTERVAL '10 minutes'"),
            5 => format!("{t} BETWEEN NOW() - INTERVAL '1 month' AND NOW() - INTERVAL '1 day'"),
            6 => format!("{t} < {a}"),
            7 => format!("{t} + INTERVAL '{b}' > NOW()"),
            8 => format!("CAST({t} AS DATE) = CURRENT_DATE"),
            _ => format!("({t} > {a} OR {alias}.{} = 'buy')", source.text),
        }
    }

    fn timeless(&mut self, alias: &str, source: &Source) -> String {
        let number = self.rng.pick(source.numbers);
        match self.rng.below(5) {
            0 => format!("{alias}.{number} > 3"),
            1 => format!("{alias}.{number} IS NOT NULL"),
            2 => format!("{alias}.{} IN ('buy', 'home', 'free', '')", source.text),
            3 => format!("NOT ({alias}.{} = 'view')", source.text),
            _ => format!("({alias}.{number} < 100 OR {alias}.{} IS NULL)", source.text),
        }
    }

    pub(super) fn condition(&mut self, alias: &str, source: &Source) -> String {
        match self.rng.below(4) {
            0 => self.timeless(alias, source),
            1 => format!("{} AND {}", self.timed(alias, source), self.timeless(alias, source)),
            _ => self.timed(alias, source),
        }
    }

    /// `WHERE ...`, or nothing.
    fn filter(&mut self, alias: &str, source: &Source) -> String {
        match self.rng.below(5) {
            0 => String::new(),
            _ => format!(" WHERE {}", self.condition(alias, source)),
        }
    }

    fn aggregate(&mut self, alias: &str, source: &Source) -> String {
        let number = format!("{alias}.{}", self.rng.pick(source.numbers));
        let text = format!("{alias}.{}", source.text);
        let t = format!("{alias}.{}", source.time);
        let timed = self.timed(alias, source);
        let plain = match self.rng.below(18) {
            0 | 1 => "count(*)".to_string(),
            2 => format!("count({number})"),
            3 => format!("count(DISTINCT {text})"),
            4 => format!("sum(DISTINCT {number})"),
            5 | 6 => format!("sum({number})"),
            7 => format!("avg({number})"),
            8 => format!("min({number})"),
            9 => format!("max({t})"),
            10 => format!("sum(CASE WHEN {timed} THEN {number} ELSE 0 END)"),
            11 => format!("first_value({text} ORDER BY {t})"),
            12 => format!("last_value({number} ORDER BY {t})"),
            13 => format!("array_agg({text} ORDER BY {t} DESC)"),
            14 => format!("stddev({number})"),
            15 => format!("median({number})"),
            16 => format!("max(CASE WHEN {timed} THEN {text} END)"),
            _ => format!("min(NOW() - {t})"),
        };
        if self.rng.one_in(3) { format!("{plain} FILTER (WHERE {})", self.condition(alias, source)) } else { plain }
    }

    /// One to three aggregates, named.
    fn aggregates(&mut self, alias: &str, source: &Source) -> String {
        let count = 1 + self.rng.below(3);
        let all: Vec<String> = (0..count)
            .map(|_| {
                let aggregate = self.aggregate(alias, source);
                format!("{aggregate} AS {}", self.column())
            })
            .collect();
        all.join(", ")
    }

    fn having(&mut self) -> &'static str {
        self.rng.pick(&["", "", " HAVING count(*) > 1", " HAVING max(s.ts_) > NOW() - INTERVAL '2 days'"])
    }

    fn by_key(&mut self) -> String {
        let s = self.source();
        let (aggregates, filter) = (self.aggregates("s", s), self.filter("s", s));
        let having = self.having().replace("ts_", s.time);
        let (name, now) = (s.name, self.maybe_now());
        format!("SELECT s.user_id, {aggregates}{now} FROM {name} s{filter} GROUP BY s.user_id{having}")
    }

    /// A column of `NOW()` alone, or nothing.
    fn maybe_now(&mut self) -> String {
        match self.rng.below(6) {
            0 => format!(", NOW() AS {}", self.column()),
            1 => format!(", date_part('dow', NOW()) AS {}", self.column()),
            2 => format!(", CURRENT_DATE AS {}", self.column()),
            _ => String::new(),
        }
    }

    fn by_both_keys(&mut self) -> String {
        let (aggregates, filter) = (self.aggregates("s", &EVENTS), self.filter("s", &EVENTS));
        let keys = self.rng.pick(&["s.user_id, s.shop", "s.shop, s.user_id"]);
        format!("SELECT {keys}, {aggregates} FROM events s{filter} GROUP BY {keys}")
    }

    fn two_levels(&mut self) -> String {
        let s = self.log();
        let (filter, inner, total) = (self.filter("s", s), self.rng.pick(s.numbers), self.column());
        let (most, kinds) = (self.column(), self.column());
        let (name, text, time) = (s.name, s.text, s.time);
        let outer_filter =
            self.rng.pick(&["", " WHERE c > 1", " WHERE latest > NOW() - INTERVAL '5 days'"]).to_string();
        format!(
            "WITH groups AS (SELECT s.user_id, s.{text} AS g, count(*) AS c, sum(s.{inner}) AS x, max(s.{time}) AS latest
  FROM {name} s{filter} GROUP BY s.user_id, s.{text})
SELECT user_id, sum(c) AS {total}, max(x) AS {most}, count(g) AS {kinds} FROM groups{outer_filter} GROUP BY user_id"
        )
    }

    fn global(&mut self) -> String {
        let s = self.source();
        let (aggregates, filter, name) = (self.aggregates("s", s), self.filter("s", s), s.name);
        let now = self.maybe_now();
        format!("SELECT {aggregates}{now} FROM {name} s{filter}")
    }

    fn distinct_on(&mut self) -> String {
        let s = self.log();
        let (a, b, filter) = (self.column(), self.column(), self.filter("s", s));
        let (name, text, time, number) = (s.name, s.text, s.time, self.rng.pick(s.numbers));
        let direction = self.rng.pick(&["DESC", "ASC", "DESC NULLS LAST"]);
        format!(
            "SELECT DISTINCT ON (s.user_id) s.user_id, s.{text} AS {a}, s.{number} AS {b}
FROM {name} s{filter} ORDER BY s.user_id, s.{time} {direction}"
        )
    }

    fn row_number(&mut self) -> String {
        let s = self.source();
        let (a, b, filter) = (self.column(), self.column(), self.filter("s", s));
        let (name, text, time) = (s.name, s.text, s.time);
        let direction = self.rng.pick(&["DESC", "ASC"]);
        let nth = 1 + self.rng.below(2);
        format!(
            "SELECT user_id, x AS {a}, NOW() - t AS {b} FROM (
  SELECT s.user_id, s.{text} AS x, s.{time} AS t,
         row_number() OVER (PARTITION BY s.user_id ORDER BY s.{time} {direction}) AS r
  FROM {name} s{filter}) WHERE r = {nth}"
        )
    }

    fn windows(&mut self) -> String {
        let s = self.log();
        let (filter, name, text, time) = (self.filter("s", s), s.name, s.text, s.time);
        let number = self.rng.pick(s.numbers);
        let call = match self.rng.below(9) {
            0 => format!("sum(s.{number}) OVER (PARTITION BY s.user_id ORDER BY s.{time})"),
            1 => format!("lag(s.{text}) OVER (PARTITION BY s.user_id ORDER BY s.{time})"),
            2 => format!("lead(s.{number}, 2) OVER (PARTITION BY s.user_id ORDER BY s.{time} DESC)"),
            3 => format!("rank() OVER (ORDER BY s.{time})"),
            4 => format!("dense_rank() OVER (PARTITION BY s.{text} ORDER BY s.{time} DESC)"),
            5 => "count(*) OVER (PARTITION BY s.user_id)".to_string(),
            6 => format!(
                "avg(s.{number}) OVER (PARTITION BY s.user_id ORDER BY s.{time} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)"
            ),
            7 => format!("first_value(s.{text}) OVER (PARTITION BY s.user_id ORDER BY s.{time})"),
            _ => format!("ntile(3) OVER (ORDER BY s.{time})"),
        };
        let (a, b) = (self.column(), self.column());
        format!(
            "SELECT user_id, max(w) AS {a}, count(w) AS {b}
FROM (SELECT s.user_id, {call} AS w FROM {name} s{filter}) GROUP BY user_id"
        )
    }

    fn limited(&mut self) -> String {
        let s = self.source();
        let (a, b, filter) = (self.column(), self.column(), self.filter("s", s));
        let (name, number, time) = (s.name, self.rng.pick(s.numbers), s.time);
        let count = 1 + self.rng.below(12);
        let order = self.rng.pick(&["DESC", "ASC", "DESC NULLS LAST"]);
        let offset = self.rng.pick(&["", "", " OFFSET 2"]);
        format!(
            "SELECT user_id, count(*) AS {a}, sum({number}) AS {b}
FROM (SELECT s.* FROM {name} s{filter} ORDER BY s.{time} {order} LIMIT {count}{offset}) AS few GROUP BY user_id"
        )
    }

    fn join_of_logs(&mut self) -> String {
        let kind = self.rng.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let (total, pages, n) = (self.column(), self.column(), self.column());
        let near = self.rng.pick(&["", " AND c.ts > e.ts - INTERVAL '1 day'", " AND c.page <> 'faq'"]);
        let timed = match (kind, self.rng.below(3)) {
            ("FULL JOIN", _) | (_, 0) => String::new(),
            _ => format!(" AND {}", self.timed("c", &CLICKS)),
        };
        let filter = if self.rng.one_in(2) { self.filter("e", &EVENTS) } else { String::new() };
        format!(
            "SELECT coalesce(e.user_id, c.user_id) AS user_id, sum(e.qty) AS {total}, count(DISTINCT c.page) AS {pages},
       count(*) AS {n}
FROM events e {kind} clicks c ON c.user_id = e.user_id{near}{timed}{filter} GROUP BY coalesce(e.user_id, c.user_id)"
        )
    }

    fn join_with_changelog(&mut self) -> String {
        let kind = self.rng.pick(&["JOIN", "LEFT JOIN"]);
        let filter = self.filter("s", &EVENTS);
        let aggregate = self.aggregate("s", &EVENTS);
        let (a, b, c) = (self.column(), self.column(), self.column());
        if self.rng.one_in(2) {
            format!(
                "SELECT s.user_id, max(p.tier) AS {a}, {aggregate} AS {b}, sum(s.amount * p.score) AS {c}
FROM events s {kind} profiles p ON p.user_id = s.user_id{filter} GROUP BY s.user_id"
            )
        } else {
            format!(
                "SELECT p.user_id, p.tier AS {a}, n AS {b}, p.score + n AS {c} FROM profiles p {kind}
  (SELECT s.user_id, count(*) AS n, {aggregate} AS unused FROM events s{filter} GROUP BY s.user_id) AS g
  ON g.user_id = p.user_id"
            )
        }
    }

    fn join_of_aggregates(&mut self) -> String {
        let kind = self.rng.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let (f, g) = (self.filter("s", &EVENTS), self.filter("s", &CLICKS));
        let (x, y) = (self.aggregate("s", &EVENTS), self.aggregate("s", &CLICKS));
        let (a, b) = (self.column(), self.column());
        format!(
            "WITH e AS (SELECT s.user_id, {x} AS x FROM events s{f} GROUP BY s.user_id),
     c AS (SELECT s.user_id, {y} AS y FROM clicks s{g} GROUP BY s.user_id)
SELECT coalesce(e.user_id, c.user_id) AS user_id, e.x AS {a}, c.y AS {b} FROM e {kind} c ON c.user_id = e.user_id"
        )
    }

    fn cross(&mut self) -> String {
        let (f, g) = (self.filter("s", &EVENTS), self.filter("s", &CLICKS));
        let (a, b) = (self.column(), self.column());
        format!(
            "SELECT p.user_id, p.n * 10 + everyone.n AS {a}, everyone.latest AS {b}
FROM (SELECT s.user_id, count(*) AS n FROM events s{f} GROUP BY s.user_id) AS p
CROSS JOIN (SELECT count(*) AS n, max(s.ts) AS latest FROM clicks s{g}) AS everyone"
        )
    }

    fn semi_anti(&mut self) -> String {
        let (inner, own) = (self.condition("c", &CLICKS), self.timed("s", &EVENTS));
        let aggregates = self.aggregates("s", &EVENTS);
        let test = match self.rng.below(5) {
            0 => format!("s.user_id IN (SELECT c.user_id FROM clicks c WHERE {inner})"),
            1 => format!("EXISTS (SELECT 1 FROM clicks c WHERE c.user_id = s.user_id AND {inner})"),
            2 => format!("NOT EXISTS (SELECT 1 FROM clicks c WHERE c.user_id = s.user_id AND {inner})"),
            3 => format!("s.user_id NOT IN (SELECT c.user_id FROM clicks c WHERE c.user_id IS NOT NULL AND {inner})"),
            _ => "s.user_id IN (SELECT p.user_id FROM profiles p WHERE p.tier = 'paid')".to_string(),
        };
        let or = if self.rng.one_in(4) { format!("({test} OR s.qty > 40)") } else { test };
        format!("SELECT s.user_id, {aggregates} FROM events s WHERE {or} AND {own} GROUP BY s.user_id")
    }

    fn scalar_subquery(&mut self) -> String {
        let (inner, filter) = (self.condition("c", &CLICKS), self.filter("s", &EVENTS));
        let (a, b, n) = (self.column(), self.column(), self.column());
        match self.rng.below(3) {
            0 => format!(
                "SELECT s.user_id, count(*) AS {n}, sum(s.amount) AS {a}, (SELECT count(*) FROM clicks c WHERE {inner}) AS {b}
FROM events s{filter} GROUP BY s.user_id"
            ),
            1 => format!(
                "SELECT p.user_id, p.tier AS {n}, p.score AS {a},
  (SELECT count(*) FROM clicks c WHERE c.user_id = p.user_id AND {inner}) AS {b} FROM profiles p"
            ),
            _ => format!(
                "SELECT s.user_id, count(*) AS {n}, max(s.qty) AS {a}, min(s.qty) AS {b} FROM events s
WHERE s.qty > (SELECT avg(c.dwell) / 3 FROM clicks c WHERE {inner}) GROUP BY s.user_id"
            ),
        }
    }

    fn union(&mut self) -> String {
        let all = self.rng.pick(&["UNION ALL", "UNION"]);
        let (f, g) = (self.filter("s", &EVENTS), self.filter("s", &CLICKS));
        let (a, b, c) = (self.column(), self.column(), self.column());
        let outer = self.rng.pick(&["", " WHERE x > 5", " WHERE what = 'buy'"]);
        format!(
            "SELECT user_id, count(*) AS {a}, sum(x) AS {b}, max(what) AS {c} FROM (
  SELECT s.user_id, s.qty AS x, s.kind AS what FROM events s{f}
  {all} SELECT s.user_id, s.dwell AS x, s.page AS what FROM clicks s{g}) AS both_logs{outer} GROUP BY user_id"
        )
    }

    fn profile(&mut self) -> String {
        let filter = self.filter("p", &PROFILES);
        let (a, b, c) = (self.column(), self.column(), self.column());
        let fresh = self.timed("p", &PROFILES);
        format!(
            "SELECT p.user_id, p.tier AS {a}, NOW() - p.updated AS {b}, CASE WHEN {fresh} THEN p.score ELSE -1 END AS {c}
FROM profiles p{filter}"
        )
    }

    fn set_operation(&mut self) -> String {
        let operation = self.rng.pick(&["INTERSECT", "EXCEPT"]);
        let (f, g) = (self.filter("s", &EVENTS), self.filter("s", &CLICKS));
        let a = self.column();
        format!(
            "SELECT user_id, 1 AS {a} FROM (
  SELECT CAST(s.user_id AS BIGINT) AS user_id FROM events s{f}
  {operation} SELECT CAST(s.user_id AS BIGINT) AS user_id FROM clicks s{g}) AS which"
        )
    }

    fn unnested(&mut self) -> String {
        let filter = self.filter("s", &CLICKS);
        let (a, b) = (self.column(), self.column());
        format!(
            "SELECT user_id, count(tag) AS {a}, sum(tag) AS {b}
FROM (SELECT s.user_id, unnest(s.tags) AS tag FROM clicks s{filter}) AS items GROUP BY user_id"
        )
    }
}
