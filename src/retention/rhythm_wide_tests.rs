//! Many logs: two events a day to five thousand an hour; by the hour of a day in a zone with summer time, quiet at weekends and at the
//! end of the year, growing, bursty, or as steady as a changelog; whole, silent for a while, or thin for a while.

use super::tests::Random;
use super::*;

const WEEKS: usize = 20;
const HOURS: usize = WEEKS * WEEK;
const RATES: [f64; 5] = [5.0, 30.0, 200.0, 1000.0, 5000.0];
const SEEDS: u64 = 2;

/// A name, and how many events there are in each hour, relative to the rate.
type Character = (&'static str, fn(usize) -> f64);

const CHARACTERS: [Character; 5] = [
    ("steady", |_| 1.0),
    ("summer time", |hour| day_and_week(if hour > 9 * WEEK + 26 { hour + 1 } else { hour })),
    ("holidays", |hour| day_and_week(hour) * if (10 * WEEK + 48..11 * WEEK + 96).contains(&hour) { 0.65 } else { 1.0 }),
    ("growing", |hour| day_and_week(hour) * (hour as f64 / 900.0).exp() / 4.0),
    ("working days", |hour| if hour % WEEK < 120 { day_and_week(hour) } else { 0.15 * day_and_week(hour) }),
];

fn day_and_week(hour: usize) -> f64 {
    let day = 1.0 + 0.7 * ((hour % 24) as f64 / 24.0 * std::f64::consts::TAU).sin();
    day * if hour % WEEK >= 120 { 0.7 } else { 1.0 }
}

/// From, to (hours), and the share of events that get lost.
type Loss = (f64, f64, f64);

/// How many events of a Poisson process there are.
fn poisson(random: &mut Random, mean: f64) -> u64 {
    if mean > 60.0 {
        let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        return (mean + mean.sqrt() * normal).round().max(0.0) as u64;
    }
    let (mut left, mut count) = (mean, 0);
    loop {
        left -= random.exponential(1.0);
        if left < 0.0 {
            return count;
        }
        count += 1;
    }
}

/// By hour, cut at the ends of the loss: the first and the last event are as of so many at random.
fn log(random: &mut Random, rate: &dyn Fn(usize) -> f64, loss: Loss) -> Activity {
    let (from, to, share) = loss;
    let mut activity = Activity::new(None);
    for hour in 0..HOURS {
        let (begin, end) = (hour as f64, hour as f64 + 1.0);
        let cuts = [begin, from.clamp(begin, end), to.clamp(begin, end), end];
        for (part, ends) in cuts.windows(2).enumerate() {
            let length = ends[1] - ends[0];
            let left = if part == 1 { 1.0 - share } else { 1.0 };
            let events = poisson(random, rate(hour) * length * left);
            let edge = |random: &mut Random| 1.0 - (1.0 - random.unit()).powf(1.0 / events.max(1) as f64);
            let (first, last) = (ends[0] + length * edge(random), ends[1] - length * edge(random));
            let (first, last) = if events < 2 { (first, first) } else { (first.min(last), last.max(first)) };
            let at = |hours: f64| (hours * HOUR_NS as f64) as i64;
            activity.events(at(first), at(last), events);
        }
    }
    activity
}

fn judged(activity: &Activity) -> Vec<Judged> {
    judge(activity, Rhythm { odds: 1e-8, share: 0.5, weeks: 4 })
}

fn each(mut test: impl FnMut(&mut Random, &str, &dyn Fn(usize) -> f64, f64) -> Result<(), String>) {
    let mut failures = Vec::new();
    let mut logs = 0;
    for (name, shape) in CHARACTERS {
        for (number, rate) in RATES.into_iter().enumerate() {
            for seed in 0..SEEDS {
                let mut random = Random(seed * 1000 + number as u64 * 77 + name.len() as u64);
                let by_hour = |hour: usize| rate * shape(hour);
                logs += 1;
                if let Err(how) = test(&mut random, name, &by_hour, rate) {
                    failures.push(format!("{name}, {rate} an hour, seed {seed}: {how}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {logs} logs\n{}", failures.len(), failures.join("\n"));
}

fn hours(judged: &Judged) -> (f64, f64) {
    (judged.span.from as f64 / HOUR_NS as f64, judged.span.to as f64 / HOUR_NS as f64)
}

/// Somewhere inside, for as long as it takes to have had so many events.
fn planted(random: &mut Random, rate: &dyn Fn(usize) -> f64, least_hours: f64, enough: f64, share: f64) -> Loss {
    let from = 24.0 * (30.0 + (random.unit() * 70.0).floor()) + random.unit() * 24.0;
    let mut to = from + least_hours;
    let expected = |to: f64| (from as usize..to as usize).map(rate).sum::<f64>();
    while expected(to) < enough {
        to += 1.0;
    }
    (from, to, share)
}

#[test]
fn whole_logs_are_accused_of_nothing() {
    each(|random, _, rate, _| match judged(&log(random, rate, (0.0, 0.0, 0.0))) {
        found if found.is_empty() => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

#[test]
fn silences_are_found_from_the_last_event_to_the_next() {
    each(|random, _, rate, _| {
        let (from, to, share) = planted(random, rate, 2.5, 120.0, 1.0);
        let activity = log(random, rate, (from, to, share));
        let found = judged(&activity);
        let [one] = found.as_slice() else { return Err(format!("{from} to {to}: {found:?}")) };
        let (a, b) = hours(one);
        // An hour, or a stretch as long as some events take.
        let off = |at: f64| (6.0 / rate(at as usize).min(rate(at as usize + 1)).max(0.01)).max(1.0);
        let well = one.kind == GapKind::Silent && a <= from && b >= to - 1e-6;
        if well && from - a <= off(from - 1.0) && b - to <= off(to) {
            Ok(())
        } else {
            Err(format!("{from} to {to}: {a} to {b}, {:?}", one.kind))
        }
    });
}

#[test]
fn thin_stretches_are_found_within_an_hour_where_an_hour_has_enough_events() {
    each(|random, _, rate, mean| {
        // A few events an hour are too few to say that some are missing.
        if mean < 30.0 {
            return Ok(());
        }
        let (from, to, share) = planted(random, rate, 6.0, 800.0, 0.8);
        if rate(from as usize).min(rate(to as usize)) < 10.0 {
            return Ok(());
        }
        let found = judged(&log(random, rate, (from, to, share)));
        // Where one event in five is left, quiet hours may have none at all.
        let inside = |j: &&Judged| j.kind == GapKind::Silent && hours(j).0 >= from - 1.0 && hours(j).1 <= to + 4.0;
        let thin: Vec<&Judged> = found.iter().filter(|j| !inside(j)).collect();
        let [one] = thin.as_slice() else { return Err(format!("{from} to {to}: {found:?}")) };
        let (a, b) = hours(one);
        let most = if mean >= 200.0 { 1.0 } else { (to - from) * 0.25 };
        if (a - from).abs() <= most && (b - to).abs() <= most {
            Ok(())
        } else {
            Err(format!("{from} to {to}: {a} to {b}"))
        }
    });
}

/// Rates by hour that are random themselves: events come in bursts, or hours, days and weeks differ.
fn overdispersed(random: &mut Random, kind: usize) -> Vec<f64> {
    const BURSTS: [(f64, f64); 6] = [(9.0, 14.0), (2.0, 10.0), (24.0, 24.0), (1.0, 50.0), (6.0, 2.0), (100.0, 60.0)];
    let mut rates = Vec::new();
    if let Some((on, off)) = BURSTS.get(kind) {
        while rates.len() < HOURS {
            let (busy, rest) = (random.exponential(*on), random.exponential(*off));
            let rate = random.exponential((on + off) / on);
            rates.extend(std::iter::repeat_n(rate, busy.ceil() as usize));
            rates.extend(std::iter::repeat_n(0.0, rest.ceil() as usize));
        }
        return rates;
    }
    // Sums of exponential variables: a gamma distribution.
    let mut by = |hours: usize, of: usize| -> Vec<f64> {
        let sum = |random: &mut Random| (0..of).map(|_| random.exponential(1.0 / of as f64)).sum::<f64>();
        (0..=HOURS / hours).flat_map(|_| std::iter::repeat_n(sum(random), hours)).collect()
    };
    let (hour, day, week) = (by(1, 1), by(DAY, 2), by(WEEK, 4));
    (0..HOURS).map(|h| day_and_week(h) * [hour[h], day[h], week[h], hour[h] * day[h]][kind % 4]).collect()
}

#[test]
fn bursty_and_rare_logs_are_accused_of_nothing() {
    let mut failures = Vec::new();
    for (number, mean) in [0.1, 0.3, 1.0, 2.0, 5.0, 15.0, 60.0, 400.0].into_iter().enumerate() {
        for kind in 0..10 {
            let mut random = Random(kind as u64 * 7919 + number as u64);
            let rates = overdispersed(&mut random, kind);
            let found = judged(&log(&mut random, &|hour| mean * rates[hour], (0.0, 0.0, 0.0)));
            if !found.is_empty() {
                failures.push(format!("{mean} an hour, bursty in way {kind}: {found:?}"));
            }
        }
        for (name, shape) in CHARACTERS {
            let mut random = Random(name.len() as u64 * 7919 + number as u64);
            let found = judged(&log(&mut random, &|hour| mean * shape(hour), (0.0, 0.0, 0.0)));
            if !found.is_empty() {
                failures.push(format!("{mean} an hour, {name}: {found:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Where a loss ends that begins then and takes so many events, with those that are left.
fn end(rate: &dyn Fn(usize) -> f64, from: f64, events: f64) -> f64 {
    let (mut to, mut left) = (from, events);
    while to < HOURS as f64 {
        let here = rate(to as usize);
        let until = to.floor() + 1.0;
        if here * (until - to) >= left {
            return to + left / here;
        }
        left -= here * (until - to);
        to = until;
    }
    to
}

/// docs/retention.md tells from how many events on a loss is found; its rows are what is tested here.
#[test]
fn losses_are_found_from_as_many_events_on_as_the_table_says() {
    let text = include_str!("../../docs/retention.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| lost |")).skip(2).take_while(|l| l.starts_with('|'));
    let number = |cell: &str| cell.trim().trim_end_matches(" %").parse::<f64>().ok();
    let rows: Vec<(f64, f64)> = rows
        .map(|row| row.split('|').skip(1).filter_map(number).collect::<Vec<f64>>())
        .map(|row| (row[0] / 100.0, row[1]))
        .collect();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for (row, (share, events)) in rows.into_iter().enumerate() {
        let (mut planted, mut found, mut bounds, mut far) = (0, 0, 0, Vec::new());
        for (number, mean) in [1.0, 2.0, 5.0, 15.0, 60.0, 400.0].into_iter().enumerate() {
            for (name, shape) in [CHARACTERS[0], CHARACTERS[1], CHARACTERS[4]] {
                for seed in 0..2 {
                    let mut random =
                        Random(seed * 104_729 + number as u64 * 17 + name.len() as u64 + row as u64 * 1009);
                    let rate = |hour: usize| mean * shape(hour);
                    let from = 24.0 * (30.0 + (random.unit() * 50.0).floor()) + random.unit() * 24.0;
                    let to = end(&rate, from, events).max(from + 3.0);
                    if to - from > 21.0 * 24.0 {
                        continue;
                    }
                    planted += 1;
                    let all = judged(&log(&mut random, &rate, (from, to, share)));
                    let (own, others): (Vec<_>, Vec<_>) =
                        all.iter().map(hours).partition(|(a, b)| *a < to && *b > from);
                    assert!(others.is_empty(), "{mean} an hour, {name}, seed {seed}: {from} to {to}, {all:?}");
                    if own.is_empty() {
                        continue;
                    }
                    found += 1;
                    let first = own.iter().map(|(a, _)| *a).fold(f64::MAX, f64::min);
                    let last = own.iter().map(|(_, b)| *b).fold(f64::MIN, f64::max);
                    for (at, planted) in [(first, from), (last, to)] {
                        bounds += 1;
                        // An hour, or as long as thirty events take.
                        let near = end(&rate, at.min(planted), 30.0).max(at.min(planted) + 1.0);
                        if at.max(planted) > near {
                            far.push(format!("{mean} an hour, {name}: {at} for {planted}"));
                        }
                    }
                }
            }
        }
        assert!(planted >= 24, "{planted}");
        assert!(found * 10 >= planted * 9, "lost {share}, {events} events: {found} of {planted} found");
        assert!(
            far.len() * 20 <= bounds,
            "lost {share}, {events} events: {} of {bounds} bounds\n{}",
            far.len(),
            far.join("\n")
        );
    }
}

#[test]
fn a_few_hours_of_a_busy_log_are_found_where_a_part_is_lost() {
    const LOST: [(f64, f64); 8] =
        [(0.6, 2.0), (0.6, 3.0), (0.65, 2.0), (0.7, 2.0), (0.7, 2.5), (0.7, 3.0), (0.8, 2.0), (0.9, 1.5)];
    let (mut planted, mut missed, mut growing) = (0, Vec::new(), 0);
    for (number, mean) in [200.0, 1000.0, 5000.0].into_iter().enumerate() {
        for (name, shape) in CHARACTERS {
            for (kind, (share, length)) in LOST.into_iter().enumerate() {
                let mut random = Random(number as u64 * 17 + name.len() as u64 + kind as u64 * 1009);
                let rate = |hour: usize| mean * shape(hour);
                let from = 24.0 * (30.0 + (random.unit() * 50.0).floor()) + random.unit() * 24.0;
                let to = from + length;
                if rate(from as usize) < 150.0 {
                    continue;
                }
                planted += 1;
                let all = judged(&log(&mut random, &rate, (from, to, share)));
                let near = |(a, b): (f64, f64)| (a - from).abs() <= 1.0 && (b - to).abs() <= 1.0;
                match all.iter().map(hours).collect::<Vec<_>>().as_slice() {
                    [one] if near(*one) => {}
                    // A fifth more from week to week: what an hour should have is known less well.
                    [] if name == "growing" => growing += 1,
                    found => missed.push(format!("{mean} an hour, {name}, {share} of {from} to {to}: {found:?}")),
                }
            }
        }
    }
    assert!(
        missed.is_empty() && growing <= 2,
        "{growing} growing, {} of {planted}\n{}",
        missed.len(),
        missed.join("\n")
    );
    assert!(planted > 90, "{planted}");
}

#[test]
fn clocks_put_forward_a_few_days_ago_are_no_loss() {
    // Quiet nights: an evening's last hours have half of what the hours before have.
    let shape = |hour: usize| (2.5 * (((hour % 24) as f64 - 8.0) / 24.0 * std::f64::consts::TAU).sin()).exp() / 4.0;
    for (number, mean) in [20.0, 60.0, 200.0, 1000.0].into_iter().enumerate() {
        for days in 1..7 {
            for by in [1, 23] {
                let mut random = Random(number as u64 * 17 + days as u64 * 131 + by as u64);
                let rate = |hour: usize| mean * shape(if hour + days * 24 > HOURS { hour + by } else { hour });
                let found = judged(&log(&mut random, &rate, (0.0, 0.0, 0.0)));
                assert!(found.is_empty(), "{mean} an hour, {days} days, {by} hours: {found:?}");
            }
        }
    }
}
