//! Payments, labels, and what the old feature store made of them. Times in seconds since 1970.

/// 2026-01-01.
const FIRST_DAY: i64 = 1_767_225_600;
const DAYS: i64 = 45;
const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;
const USERS: i64 = 40;
const PAYMENTS: usize = 6000;
const LABELS: usize = 800;
/// Label times begin when three weeks of payments are there.
const WARM_UP_DAYS: i64 = 21;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Payment {
    pub id: i64,
    pub user: i64,
    pub paid_at: i64,
    pub arrived_at: i64,
    /// Quarters of a unit: their sums are exact.
    pub amount: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Label {
    pub user: i64,
    pub time: i64,
    pub fraud: bool,
    pub legacy: Features,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Features {
    pub payments_24h: i64,
    pub spent_7d: Option<f64>,
    pub largest_7d: Option<f64>,
}

#[derive(Debug)]
pub(super) struct World {
    /// In the order of their arrival; redelivered ones twice.
    pub payments: Vec<Payment>,
    pub labels: Vec<Label>,
}

/// Numbers that look random and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = end.unsigned_abs().max(1);
        i64::try_from((x ^ (x >> 31)) % end).unwrap_or(0)
    }
}

impl World {
    pub(super) fn new() -> Self {
        let mut dice = Dice(2026);
        let mut payments = Vec::with_capacity(PAYMENTS);
        for id in (1..).take(PAYMENTS) {
            // Few users pay often.
            let user = 1 + dice.below(USERS).min(dice.below(USERS));
            let paid_at = FIRST_DAY + dice.below(DAYS * DAY);
            let late = match dice.below(100) {
                0..12 => HOUR + dice.below(20 * HOUR),
                _ => 1 + dice.below(30),
            };
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let amount = (1 + dice.below(400)) as f64 / 4.0;
            let payment = Payment { id, user, paid_at, arrived_at: paid_at + late, amount };
            payments.push(payment);
            if dice.below(100) < 3 {
                payments.push(Payment { arrived_at: payment.arrived_at + 60 + dice.below(2 * HOUR), ..payment });
            }
        }
        payments.sort_by_key(|p| (p.arrived_at, p.id));
        let mut labels = Vec::with_capacity(LABELS);
        for _ in 0..LABELS {
            let user = 1 + dice.below(USERS);
            let time = FIRST_DAY + WARM_UP_DAYS * DAY + dice.below((DAYS - WARM_UP_DAYS) * DAY);
            let fraud = dice.below(50) == 0;
            labels.push(Label { user, time, fraud, legacy: Features::default() });
        }
        labels.sort_by_key(|l| (l.time, l.user));
        for label in &mut labels {
            label.legacy = flawed(&payments, label.user, label.time);
        }
        Self { payments, labels }
    }
}

/// The features at a time, from what `known` takes for known.
fn features(payments: &[Payment], user: i64, time: i64, known: impl Fn(&Payment) -> bool) -> Features {
    let mut own: Vec<&Payment> = payments.iter().filter(|p| p.user == user && known(p)).collect();
    own.sort_by_key(|p| (p.id, p.arrived_at));
    own.dedup_by_key(|p| p.id);
    own.retain(|p| p.paid_at > time - 7 * DAY);
    let day = own.iter().filter(|p| p.paid_at > time - DAY).count();
    let spent = own.iter().map(|p| p.amount).sum::<f64>();
    Features {
        payments_24h: i64::try_from(day).unwrap_or(i64::MAX),
        spent_7d: (!own.is_empty()).then_some(spent),
        largest_7d: own.iter().map(|p| p.amount).reduce(f64::max),
    }
}

/// What the old feature store wrote: it counted payments from when they were made, though they had not arrived, and took sums
/// from the night before.
fn flawed(payments: &[Payment], user: i64, time: i64) -> Features {
    let right = features(payments, user, time, |p| p.arrived_at <= time);
    let leaking = features(payments, user, time, |p| p.paid_at <= time);
    let night = time.div_euclid(DAY) * DAY;
    let stale = features(payments, user, night, |p| p.arrived_at <= night);
    Features { payments_24h: leaking.payments_24h, spent_7d: stale.spent_7d, largest_7d: right.largest_7d }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flaws_are_there_and_what_is_not_flawed_is_right() {
        let world = World::new();
        let right = |l: &Label| features(&world.payments, l.user, l.time, |p| p.arrived_at <= l.time);
        let differ =
            |pick: fn(&Features, &Features) -> bool| world.labels.iter().filter(|l| pick(&l.legacy, &right(l))).count();
        assert!(differ(|a, b| a.payments_24h > b.payments_24h) > 40);
        assert_eq!(differ(|a, b| a.payments_24h < b.payments_24h), 0);
        assert!(differ(|a, b| a.spent_7d != b.spent_7d) > 200);
        assert_eq!(differ(|a, b| a.largest_7d != b.largest_7d), 0);
    }
}
