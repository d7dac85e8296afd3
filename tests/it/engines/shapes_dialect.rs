//! Shapes of RisingWave's dialect: `TUMBLE`, `HOP`, `EMIT ON WINDOW CLOSE`, `ASOF JOIN`.

use super::{CLICKS, EVENTS, Grammar, Source};

impl Grammar<'_> {
    /// `TUMBLE` or `HOP` over a log, and how far apart its windows start.
    fn window_table(&mut self, table: &str, source: &Source) -> (String, &'static str) {
        let offset = self.rng.pick(&["", "", ", INTERVAL '15 minutes'", ", INTERVAL '-7 hours 0.5 seconds'"]);
        if self.rng.one_in(2) {
            let size = self.rng.pick(&["1 hour", "6 hours", "1 day", "7 days", "90 minutes"]);
            (format!("TUMBLE({table}, {}, INTERVAL '{size}'{offset}) AS s", source.time), size)
        } else {
            let (hop, size) =
                self.rng.choose(&[("1 hour", "3 hours"), ("1 day", "7 days"), ("45 minutes", "90 minutes")]);
            (format!("HOP({table}, {}, INTERVAL '{hop}', INTERVAL '{size}'{offset}) s", source.time), hop)
        }
    }

    /// A condition of `NOW()` on the windows.
    fn windows_timed(&mut self) -> String {
        let at = self.instant();
        match self.rng.below(4) {
            0 => format!("s.window_end > {at}"),
            1 => format!("window_start >= {at}"),
            2 => format!("window_end <= NOW() AND s.window_start > {at}"),
            _ => "NOW() BETWEEN window_start AND window_end".to_string(),
        }
    }

    pub(super) fn windowed(&mut self) -> String {
        let s = self.log();
        let (from, _) = self.window_table(s.name, s);
        let (timed, inner, extra) = (self.windows_timed(), self.aggregate("s", s), self.condition("s", s));
        let filter = match self.rng.below(3) {
            0 => extra,
            1 => timed,
            _ => format!("{timed} AND {extra}"),
        };
        let (a, b, c, d) = (self.column(), self.column(), self.column(), self.column());
        let mut outer =
            format!("SELECT user_id, count(*) AS {a}, min(window_start) AS {b}, max(window_end) AS {c}, max(x) AS {d}");
        if self.rng.one_in(3) {
            outer = format!(
                "SELECT DISTINCT ON (user_id) user_id, window_start AS {a}, x AS {b}, window_end AS {c}, n AS {d}"
            );
        }
        let tail =
            if outer.contains("DISTINCT ON") { "ORDER BY user_id, window_start DESC" } else { "GROUP BY user_id" };
        format!(
            "WITH w AS (SELECT s.user_id, window_start, window_end, count(*) AS n, CAST({inner} AS VARCHAR) AS x FROM {from}
  WHERE {filter} GROUP BY s.user_id, s.window_start, window_end)
{outer} FROM w {tail}"
        )
    }

    pub(super) fn closed(&mut self) -> String {
        let (from, hop) = self.window_table("c", &CLICKS);
        let aggregates = self.aggregate("s", &CLICKS);
        // What names `NOW()` among the aggregates would not be final.
        let aggregates = if aggregates.contains("NOW()") || aggregates.contains("CURRENT") {
            "sum(s.dwell)".to_string()
        } else {
            aggregates
        };
        let (a, b, c) = (self.column(), self.column(), self.column());
        let below = self.rng.pick(&["", " WHERE dwell > 3", " WHERE page IS NOT NULL"]);
        let having = self.rng.pick(&["", " HAVING count(*) > 1"]);
        format!(
            "CREATE MATERIALIZED VIEW {}_closed AS
WITH c AS (SELECT * FROM clicks{below})
SELECT s.user_id, window_end AS {a}, {aggregates} AS {b}, count(*) AS {c} FROM {from}
WHERE s.window_end > NOW() - INTERVAL '{hop}' GROUP BY s.user_id, window_end{having} EMIT ON WINDOW CLOSE",
            self.view
        )
    }

    pub(super) fn asof(&mut self) -> String {
        let kind = self.rng.pick(&["ASOF JOIN", "ASOF LEFT JOIN"]);
        let (op, back) = self.rng.choose(&[(">=", "<="), (">", "<"), ("<=", ">="), ("<", ">")]);
        let time = match self.rng.below(3) {
            0 => format!("e.ts {op} c.t"),
            1 => format!("c.t {back} e.ts"),
            _ => format!("e.ts - INTERVAL '2 hours' {op} c.t"),
        };
        let key = self.rng.pick(&[
            "e.user_id = c.user_id",
            "c.user_id + 1 = e.user_id",
            "abs(e.user_id) = c.user_id AND e.shop = 'n'",
        ]);
        let key = if kind == "ASOF LEFT JOIN" { "e.user_id = c.user_id" } else { key };
        let own = self.rng.pick(&["", " AND c.what IN ('home', 'faq')", " AND c.number > 3"]);
        let (filter, other) = (self.filter("e", &EVENTS), self.filter("s", &CLICKS));
        let right = match self.rng.below(3) {
            0 => "(SELECT s.user_id, s.updated AS t, s.tier AS what, s.score AS number FROM profiles s)".to_string(),
            1 => "(SELECT s.user_id, s.ts AS t, s.kind AS what, s.amount AS number FROM events s)".to_string(),
            _ => format!("(SELECT s.user_id, s.ts AS t, s.page AS what, s.dwell AS number FROM clicks s{other})"),
        };
        let (a, b, c, d) = (self.column(), self.column(), self.column(), self.column());
        format!(
            "SELECT e.user_id, count(*) AS {a}, count(c.t) AS {b}, max(c.number) AS {c},
  array_agg(c.what ORDER BY e.ts, e.seen) AS {d}
FROM events e {kind} {right} AS c ON {key} AND {time}{own}{filter} GROUP BY e.user_id"
        )
    }

    pub(super) fn chained_asof(&mut self) -> String {
        let (f, g) = (self.filter("s", &EVENTS), self.filter("s", &CLICKS));
        let (a, b, c) = (self.column(), self.column(), self.column());
        format!(
            "WITH e AS (SELECT s.* FROM events s{f}), c AS (SELECT s.* FROM clicks s{g})
SELECT DISTINCT ON (e.user_id) e.user_id, e.kind AS {a}, c.page AS {b}, p.tier AS {c} FROM e
ASOF LEFT JOIN c ON c.user_id = e.user_id AND c.ts <= e.ts
ASOF LEFT JOIN profiles p ON e.user_id = p.user_id AND p.updated < e.ts
ORDER BY e.user_id, e.ts DESC"
        )
    }
}
