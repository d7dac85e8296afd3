//! Correlated subqueries and LATERAL joins: random shapes over the tables of [`super::world`].
//!
//! The outer query is the changelog `profiles`, which has a row for a user at most; the subqueries read the logs.

use super::shapes::{CLICKS, EVENTS, Grammar, Source};

impl Grammar<'_> {
    /// One to three conditions that compare the source's row with `p`, a row of `profiles`.
    fn correlation(&mut self, alias: &str, source: &Source) -> String {
        let count = 1 + self.rng.below(2);
        let mut all = vec![match self.rng.below(6) {
            0 => format!("{alias}.user_id <> p.user_id"),
            1 => format!("{alias}.user_id + 1 = p.user_id"),
            _ => format!("{alias}.user_id = p.user_id"),
        }];
        for _ in 0..count {
            let number = self.rng.pick(source.numbers);
            all.push(match self.rng.below(6) {
                0 => format!("{alias}.{} <= p.updated", source.time),
                1 => format!("{alias}.{} > p.updated", source.time),
                // A decimal does not take every score.
                2 => format!("CAST({alias}.{number} AS DOUBLE) > p.score"),
                3 => format!("({alias}.{} <> p.tier OR p.tier IS NULL)", source.text),
                4 => format!("{alias}.{number} < p.user_id * 10"),
                _ => self.condition(alias, source),
            });
        }
        all.join(" AND ")
    }

    fn correlated_scalar(&mut self) -> String {
        let s = self.log();
        let (number, name, time, text) = (self.rng.pick(s.numbers), s.name, s.time, s.text);
        let where_ = self.correlation("c", s);
        match self.rng.below(7) {
            0 => format!("(SELECT count(*) FROM {name} c WHERE {where_})"),
            1 => format!("(SELECT max(c.{number}) + p.user_id FROM {name} c WHERE {where_} HAVING count(*) > 1)"),
            2 => {
                let order = self.rng.pick(&["DESC", "ASC NULLS FIRST"]);
                format!("(SELECT c.{number} FROM {name} c WHERE {where_} ORDER BY c.{time} {order} LIMIT 1)")
            }
            3 => format!("(SELECT count(*) FROM (SELECT DISTINCT c.{text} FROM {name} c WHERE {where_}) AS q)"),
            4 => {
                let all = self.rng.pick(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
                let other = self.correlation("d", &CLICKS);
                format!(
                    "(SELECT count(*) FROM (SELECT CAST(c.{number} AS DOUBLE) AS v FROM {name} c WHERE {where_} {all}
    SELECT CAST(d.dwell AS DOUBLE) AS v FROM clicks d WHERE {other}) AS q)"
                )
            }
            5 => format!(
                "(SELECT max(q.r) FROM (SELECT rank() OVER (PARTITION BY c.{text} ORDER BY c.{time}) AS r
    FROM {name} c WHERE {where_}) AS q)"
            ),
            _ => {
                // Two levels up.
                let inner = self.correlation("d", &CLICKS);
                format!(
                    "(SELECT count(*) FROM {name} c WHERE {where_} AND EXISTS
    (SELECT 1 FROM clicks d WHERE {inner} AND d.ts < c.{time}))"
                )
            }
        }
    }

    fn correlated_test(&mut self) -> String {
        let where_ = self.correlation("e", &EVENTS);
        match self.rng.below(6) {
            0 => format!("EXISTS (SELECT 1 FROM events e WHERE {where_})"),
            1 => format!("NOT EXISTS (SELECT 1 FROM events e WHERE {where_} ORDER BY e.ts LIMIT 2)"),
            2 => format!("p.user_id IN (SELECT e.qty FROM events e WHERE {where_})"),
            3 => format!("p.user_id NOT IN (SELECT e.qty FROM events e WHERE {where_})"),
            4 => format!("p.user_id > ALL (SELECT e.qty FROM events e WHERE {where_})"),
            _ => format!("p.user_id <> ANY (SELECT max(e.qty) FROM events e WHERE {where_} GROUP BY e.kind)"),
        }
    }

    pub(super) fn correlated_in_select(&mut self) -> String {
        let (a, b) = (self.column(), self.column());
        let (x, y) = (self.correlated_scalar(), self.correlated_scalar());
        format!("SELECT p.user_id, {x} AS {a}, {y} AS {b} FROM profiles p")
    }

    pub(super) fn correlated_tests(&mut self) -> String {
        let (a, b) = (self.column(), self.column());
        let (x, y, z) = (self.correlated_test(), self.correlated_test(), self.correlated_scalar());
        let filter = if self.rng.one_in(2) {
            let (f, g) = (self.correlated_test(), self.correlated_test());
            format!(" WHERE {f} {} {g}", self.rng.pick(&["AND", "OR"]))
        } else {
            String::new()
        };
        format!("SELECT p.user_id, {x} AS {a}, CASE WHEN {y} THEN {z} ELSE -1 END AS {b} FROM profiles p{filter}")
    }

    pub(super) fn lateral(&mut self) -> String {
        let s = self.log();
        let (a, b) = (self.column(), self.column());
        let where_ = self.correlation("c", s);
        let (name, text, time) = (s.name, s.text, s.time);
        let inner = match self.rng.below(3) {
            0 => format!("SELECT count(*) AS v, max(c.{text}) AS w FROM {name} c WHERE {where_}"),
            1 => format!(
                "SELECT p.user_id AS v, c.{text} AS w FROM {name} c WHERE {where_} ORDER BY c.{time} DESC LIMIT 3"
            ),
            _ => format!("SELECT c.user_id AS v, c.{text} AS w FROM {name} c WHERE {where_}"),
        };
        let (from, on) = self.rng.choose(&[
            (", LATERAL", ""),
            (" CROSS JOIN LATERAL", ""),
            (" JOIN LATERAL", " ON l.w <> 'view'"),
            (" LEFT JOIN LATERAL", " ON true"),
            (" LEFT JOIN LATERAL", " ON l.v > 1"),
        ]);
        format!(
            "SELECT p.user_id, sum(l.v) AS {a}, count(l.w) AS {b} FROM profiles p{from} ({inner}) AS l{on} GROUP BY p.user_id"
        )
    }

    /// Under an aggregate: in its argument, in HAVING, in a join's condition.
    pub(super) fn correlated_below(&mut self) -> String {
        let (a, b) = (self.column(), self.column());
        let (x, y) = (self.correlated_scalar(), self.correlated_test());
        let kind = self.rng.pick(&["JOIN", "LEFT JOIN"]);
        format!(
            "SELECT p.user_id, max({x}) AS {a}, count(f.dwell) AS {b} FROM profiles p {kind} clicks f
ON f.user_id = p.user_id AND {y} GROUP BY p.user_id
HAVING count(*) > (SELECT count(*) FROM events g WHERE g.user_id = p.user_id AND g.ts > NOW() - INTERVAL '1 day') - 9"
        )
    }
}
