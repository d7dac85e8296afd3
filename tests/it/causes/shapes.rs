//! Views of other shapes than one aggregate over one log: joins, changelogs, views on views, ages. Each legacy value is made in a loop.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use serde_json::{Value, json};

use super::world::{DAY, HOUR, Lot, MINUTE, START, batch, feature, report};
use crate::support::{Project, write_parquet};

#[derive(Debug, Clone, Copy)]
struct Sale {
    user: i64,
    shop: i64,
    at: i64,
    amount: i64,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    shop: i64,
    at: i64,
    seen: i64,
    gold: bool,
}

const USERS: i64 = 9;
const SHOPS: i64 = 6;

/// Twelve days of sales, known as they happen, and of versions of shops, most of which arrive hours late.
struct Shops {
    sales: Vec<Sale>,
    versions: Vec<Version>,
    labels: Vec<(i64, i64, i64)>,
}

/// What an old store has for a user, a shop and a time: `spent`, and the `status` of the shop.
type Store<'a> = dyn Fn(i64, i64, i64) -> (Option<i64>, Option<bool>) + 'a;

impl Shops {
    fn new(seed: u64) -> Self {
        let mut lot = Lot::new(seed);
        let moment = |lot: &mut Lot, days: i64| START + lot.below(days * DAY / MINUTE) * MINUTE;
        let sale = |lot: &mut Lot| Sale {
            user: 1 + lot.below(USERS),
            shop: 1 + lot.below(SHOPS),
            at: moment(lot, 12),
            amount: 1 + lot.below(1000),
        };
        let sales = (0..2500).map(|_| sale(&mut lot)).collect();
        let mut versions: Vec<Version> =
            (1..=SHOPS).map(|shop| Version { shop, at: START, seen: START, gold: shop % 2 == 0 }).collect();
        for _ in 0..160 {
            let at = moment(&mut lot, 12);
            let seen = at + if lot.below(4) == 0 { 0 } else { (1 + lot.below(9 * 60)) * MINUTE };
            versions.push(Version { shop: 1 + lot.below(SHOPS), at, seen, gold: lot.below(2) == 0 });
        }
        let label = |lot: &mut Lot| (1 + lot.below(USERS), 1 + lot.below(SHOPS), moment(lot, 6) + 6 * DAY + 7);
        let labels = (0..300).map(|_| label(&mut lot)).collect();
        Self { sales, versions, labels }
    }

    /// Whether the last version that is known is a gold one; `None`: there is none.
    fn gold(&self, shop: i64, known: impl Fn(&Version) -> bool) -> Option<bool> {
        let own = self.versions.iter().filter(|v| v.shop == shop && known(v));
        own.max_by_key(|v| (v.at, v.seen, v.gold)).map(|v| v.gold)
    }

    /// What a user spent in gold shops; `None`: nothing.
    fn spent(&self, user: i64, counts: impl Fn(&Sale) -> bool, known: impl Fn(&Version) -> bool) -> Option<i64> {
        let own = self.sales.iter().filter(|s| s.user == user && counts(s));
        let own: Vec<i64> = own.filter(|s| self.gold(s.shop, &known) == Some(true)).map(|s| s.amount).collect();
        (!own.is_empty()).then(|| own.iter().sum())
    }

    /// `spent`, `twice` (a view on it) and `status` of the label's shop; snapshots by name.
    fn project(&self, stores: &[(&str, &Store)]) -> Project {
        let micros =
            |all: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(all).with_timezone("UTC")) };
        let ints = |all: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(all)) };
        let keys = [
            ("user_id", ints(self.labels.iter().map(|l| l.0).collect())),
            ("shop", ints(self.labels.iter().map(|l| l.1).collect())),
            ("at", micros(self.labels.iter().map(|l| l.2).collect())),
        ];
        let sales = batch(&[
            ("user_id", ints(self.sales.iter().map(|s| s.user).collect())),
            ("shop", ints(self.sales.iter().map(|s| s.shop).collect())),
            ("ts", micros(self.sales.iter().map(|s| s.at).collect())),
            ("amount", ints(self.sales.iter().map(|s| s.amount).collect())),
        ]);
        let status = |gold: Option<bool>| gold.map(|gold| if gold { "gold" } else { "plain" });
        let shops = batch(&[
            ("shop", ints(self.versions.iter().map(|v| v.shop).collect())),
            ("changed", micros(self.versions.iter().map(|v| v.at).collect())),
            ("seen", micros(self.versions.iter().map(|v| v.seen).collect())),
            (
                "status",
                Arc::new(StringArray::from_iter(self.versions.iter().map(|v| status(Some(v.gold))))) as ArrayRef,
            ),
        ]);
        let mut project = Project::new("keys = [\"user_id\", \"shop\"]\ntime = \"at\"", &batch(&keys))
            .source("sales", "time = \"ts\"\nsince = \"beginning\"", &sales)
            .source(
                "shops",
                "kind = \"changelog\"\ntime = \"changed\"\navailable_at = \"seen\"\nid = [\"shop\"]\nsince = \"beginning\"",
                &shops,
            )
            .view_with(
                "gold_sales",
                "keys = { user_id = \"user_id\" }",
                "CREATE MATERIALIZED VIEW gold_sales AS SELECT s.user_id, sum(s.amount) AS spent FROM sales s \
                 JOIN shops ON shops.shop = s.shop WHERE shops.status = 'gold' \
                 AND NOW() - s.ts < INTERVAL '2 days' AND s.ts <= NOW() GROUP BY s.user_id",
            )
            .view_with(
                "doubled",
                "keys = { user_id = \"user_id\" }",
                "SELECT user_id, CAST(spent * 2 AS DOUBLE) AS twice FROM gold_sales",
            )
            .view_with("shop_status", "keys = { shop = \"shop\" }", "SELECT shop, status FROM shops");
        for (name, store) in stores {
            let values: Vec<_> = self.labels.iter().map(|(user, shop, t)| store(*user, *shop, *t)).collect();
            let rows = batch(
                &keys
                    .iter()
                    .map(|(name, column)| (*name, Arc::clone(column)))
                    .chain([
                        ("spent", Arc::new(Int64Array::from_iter(values.iter().map(|v| v.0))) as ArrayRef),
                        (
                            "twice",
                            Arc::new(Float64Array::from_iter(values.iter().map(|v| v.0.map(|n| 2.0 * n as f64)))),
                        ),
                        ("status", Arc::new(StringArray::from_iter(values.iter().map(|v| status(v.1))))),
                    ])
                    .collect::<Vec<_>>(),
            );
            write_parquet(&project.path(&format!("{name}.parquet")), &rows);
            project = project.config(&format!("[snapshots.{name}]\nuri = \"{name}.parquet\""));
        }
        project
    }
}

#[track_caller]
fn found(report: &Value, snapshot: &str, features: &[&str], cause: &Value, parameters: &Value) {
    for name in features {
        let own = feature(report, snapshot, name);
        assert!(own["mismatched"].as_u64().unwrap() >= 15, "{snapshot} {name} differs too little: {own}");
        let first = &own["causes"][0];
        assert_eq!(
            (&first["cause"], &first["parameters"]),
            (cause, parameters),
            "{snapshot} {name}: {}",
            own["causes"]
        );
        assert!(first["explains"].as_f64().unwrap() > 0.99, "{snapshot} {name}: {first}");
    }
}

const ALL: [&str; 3] = ["gold_sales.spent", "doubled.twice", "shop_status.status"];

#[test]
fn causes_are_found_through_joins_changelogs_and_views_on_views() {
    let w = Shops::new(1);
    let day = |t: i64| t.div_euclid(DAY) * DAY;
    let right = |u, shop, t: i64| {
        (w.spent(u, |s| s.at <= t && s.at > t - 2 * DAY, |v| v.seen <= t), w.gold(shop, |v| v.seen <= t))
    };
    let at_two = |t: i64| day(t - 2 * HOUR) + 2 * HOUR;
    let nightly = |u, shop, t| right(u, shop, day(t));
    let at_night = |u, shop, t| right(u, shop, at_two(t));
    let late =
        |u, shop, t: i64| (w.spent(u, |s| s.at <= t && s.at > t - 2 * DAY, |v| v.at <= t), w.gold(shop, |v| v.at <= t));
    let longer = |u, shop, t: i64| {
        (w.spent(u, |s| s.at <= t && s.at > t - 3 * DAY, |v| v.seen <= t), w.gold(shop, |v| v.seen <= t))
    };
    let both = |u, shop, t: i64| late(u, shop, day(t));
    let report = report(&w.project(&[
        ("right", &right),
        ("nightly", &nightly),
        ("at_night", &at_night),
        ("late", &late),
        ("longer", &longer),
        ("both", &both),
    ]));
    for name in ALL {
        assert_eq!(feature(&report, "right", name)["mismatched"], 0, "{name}");
    }
    found(&report, "nightly", &ALL, &json!("stale"), &json!({"period": "P1D", "lag": "PT0S"}));
    let at_night = json!({"period": "P1D", "lag": "PT0S", "at": "02:00"});
    found(&report, "at_night", &ALL, &json!("stale"), &at_night);
    found(&report, "late", &ALL, &json!("late_events_visible"), &json!({}));
    // An age in the SQL is a window.
    found(&report, "longer", &ALL[..2], &json!("window_length"), &json!({"length": "P3D"}));
    assert_eq!(feature(&report, "longer", ALL[2])["mismatched"], 0);
    found(
        &report,
        "both",
        &ALL,
        &json!(["late_events_visible", "stale"]),
        &json!({"late_events_visible": {}, "stale": {"period": "P1D", "lag": "PT0S"}}),
    );
}
