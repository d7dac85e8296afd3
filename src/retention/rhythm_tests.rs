//! Planted losses are found, and nothing else is, on logs of several characters.

use super::*;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

const WEEKS: usize = 12;

/// Events of a Poisson process whose rate per hour is given by hour, less those that `lost` takes.
fn log(random: &mut Random, rate: &dyn Fn(usize) -> f64, lost: &dyn Fn(f64, f64) -> bool) -> Activity {
    let mut activity = Activity::new(None);
    for hour in 0..WEEKS * WEEK {
        let rate = rate(hour);
        let mut at = if rate > 0.0 { random.exponential(1.0 / rate) } else { 1.0 };
        while at < 1.0 {
            let time = hour as f64 + at;
            if !lost(time, random.unit()) {
                activity.event((time * HOUR_NS as f64) as i64);
            }
            at += random.exponential(1.0 / rate);
        }
    }
    activity
}

fn seasonal(hour: usize) -> f64 {
    let day = 1.0 + 0.8 * ((hour % 24) as f64 / 24.0 * std::f64::consts::TAU).sin();
    let week = if hour % WEEK >= 120 { 0.6 } else { 1.0 };
    120.0 * day * week
}

fn weekend_quiet(hour: usize) -> f64 {
    if hour % WEEK < 120 && (8..18).contains(&(hour % 24)) { 150.0 } else { 0.0 }
}

fn judged(activity: &Activity) -> Vec<Judged> {
    judge(activity, Rhythm { odds: 1e-8, share: 0.5, weeks: 4 })
}

fn hours(judged: &Judged) -> (f64, f64) {
    let hour = |t: i64| t as f64 / HOUR_NS as f64;
    (hour(judged.span.from), hour(judged.span.to))
}

#[test]
fn a_log_that_lacks_nothing_is_accused_of_nothing() {
    let nothing = |_: f64, _: f64| false;
    for seed in 0..6 {
        let mut random = Random(seed);
        let growing = |hour: usize| seasonal(hour) * (1.0 + hour as f64 / 500.0);
        let halved = |hour: usize| seasonal(hour) * if hour > 1000 { 0.4 } else { 1.0 };
        let rare = |_: usize| 1.5;
        let logs: [(&str, &dyn Fn(usize) -> f64); 5] = [
            ("seasonal", &seasonal),
            ("weekend-quiet", &weekend_quiet),
            ("growing", &growing),
            ("halved for good", &halved),
            ("rare", &rare),
        ];
        for (name, rate) in logs {
            assert_eq!(judged(&log(&mut random, rate, &nothing)), [], "{name}, seed {seed}");
        }
    }
}

#[test]
fn a_bursty_log_is_accused_of_nothing() {
    for seed in 0..8 {
        let mut random = Random(seed ^ 0xB0B);
        let mut rates = Vec::new();
        while rates.len() < WEEKS * WEEK {
            let (on, off) = (random.exponential(9.0), random.exponential(14.0));
            let rate = random.exponential(300.0);
            rates.extend(std::iter::repeat_n(rate, on.ceil() as usize));
            rates.extend(std::iter::repeat_n(0.0, off.ceil() as usize));
        }
        assert_eq!(judged(&log(&mut random, &|hour| rates[hour], &|_, _| false)), [], "seed {seed}");
    }
}

#[test]
fn silent_hours_are_found_with_their_bounds() {
    for seed in 0..8 {
        let mut random = Random(seed ^ 0x51);
        let from = 24.0 * (20.0 + (random.unit() * 40.0).floor()) + 2.0 + random.unit() * 6.0;
        let to = from + 2.0 + random.unit() * 30.0;
        let activity = log(&mut random, &seasonal, &|time, _| (from..to).contains(&time));
        let found = judged(&activity);
        assert_eq!(found.len(), 1, "seed {seed}: {found:?}, planted {from} to {to}");
        let (a, b) = hours(&found[0]);
        assert_eq!(found[0].kind, GapKind::Silent);
        assert!((a - from).abs() < 1.0 && (b - to).abs() < 1.0, "seed {seed}: {a} to {b}, planted {from} to {to}");
    }
}

#[test]
fn thin_hours_are_found_within_an_hour_of_their_bounds() {
    for seed in 0..8 {
        let mut random = Random(seed ^ 0x7417);
        let from = 24.0 * (20.0 + (random.unit() * 40.0).floor()) + 1.0 + (random.unit() * 5.0).floor();
        let to = from + 6.0 + (random.unit() * 30.0).floor();
        let activity = log(&mut random, &seasonal, &|time, chance| (from..to).contains(&time) && chance < 0.8);
        let found = judged(&activity);
        // Where one event in five is left, quiet hours may have none at all.
        let inside = |j: &Judged| j.kind == GapKind::Silent && hours(j).0 >= from && hours(j).1 <= to;
        let found: Vec<Judged> = found.into_iter().filter(|j| !inside(j)).collect();
        assert_eq!(found.len(), 1, "seed {seed}: {found:?}, planted {from} to {to}");
        let (a, b) = hours(&found[0]);
        assert_eq!(found[0].kind, GapKind::Thin);
        assert!((a - from).abs() <= 1.0 && (b - to).abs() <= 1.0, "seed {seed}: {a} to {b}, planted {from} to {to}");
    }
}

#[test]
fn a_silent_working_day_is_found_where_weekends_rest() {
    let (from, to) = (5.0 * 168.0 + 24.0 + 8.0, 5.0 * 168.0 + 24.0 + 18.0);
    let activity = log(&mut Random(3), &weekend_quiet, &|time, _| (from..to).contains(&time));
    let found = judged(&activity);
    assert_eq!(found.len(), 1, "{found:?}");
    // The silence runs from the evening before to the morning after: nobody knows more.
    let (a, b) = hours(&found[0]);
    assert!(a <= from && b >= to && b - a < 40.0, "{a} to {b}");
}

#[test]
fn judging_can_be_switched_off() {
    let activity = log(&mut Random(1), &seasonal, &|time, _| (800.0..900.0).contains(&time));
    assert_eq!(judge(&activity, Rhythm { odds: 0.0, share: 0.5, weeks: 4 }), []);
}
