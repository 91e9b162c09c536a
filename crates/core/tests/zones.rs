//! The days of every time zone around every change of its clocks, against a model that knows only
//! the changes and the date that the clocks show.

#![cfg(test)]

use std::collections::{BTreeMap, HashSet};

use daybook_core::Timestamp;
use daybook_core::stats::{DayPlan, SLOT_US, Span, Zone, plan_day, slot_of, takes_whole_month};
use daybook_core::time::{Moment, date_in, day_start, zone};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

const US_PER_HOUR: i64 = 3_600_000_000;

/// A change of the clocks: when, and the seconds from UTC before it and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Change {
    at: i64,
    before_s: i64,
    after_s: i64,
}

fn changes(tz: &TimeZone) -> Vec<Change> {
    let us = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
    let (from, to) = (us("1899-12-25T00:00:00Z"), us("2200-01-07T00:00:00Z"));
    let mut before_s = i64::from(tz.to_offset(from).seconds());
    let mut changes = Vec::new();
    for change in tz.following(from).take_while(|change| change.timestamp() < to) {
        let after_s = i64::from(change.offset().seconds());
        changes.push(Change { at: change.timestamp().as_microsecond(), before_s, after_s });
        before_s = after_s;
    }
    changes
}

/// The zones of the database, one for each set of changes.
fn zones() -> Vec<(String, TimeZone, Vec<Change>)> {
    let mut seen = HashSet::new();
    let mut zones = Vec::new();
    for name in TimeZoneDatabase::bundled().available() {
        let name = name.to_string();
        let Some(tz) = zone(&name) else { continue };
        let changes = changes(&tz);
        let first_s = tz.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds();
        if seen.insert((first_s, changes.clone())) {
            zones.push((name, tz, changes));
        }
    }
    assert!(zones.len() > 300, "{} zones", zones.len());
    zones
}

/// The date that the clocks show from a moment on at the least: it changes only at midnight, where
/// it rises, and where the clocks change.
fn model(at: i64, tz: &TimeZone, changes: &[Change]) -> Date {
    let shown = |at: i64| {
        let at = jiff::Timestamp::from_microsecond(at).expect("in range");
        tz.to_datetime(at).date()
    };
    let first = changes.partition_point(|change| change.at <= at);
    let soon = changes[first..].iter().take_while(|change| change.at <= at + 72 * US_PER_HOUR);
    soon.map(|change| shown(change.at)).chain([shown(at)]).min().expect("a date")
}

/// The moments at which each clock, that before the change and that after it, would show midnight.
fn midnights(change: &Change) -> impl Iterator<Item = i64> {
    [change.before_s, change.after_s].into_iter().flat_map(|offset_s| {
        let local = change.at + offset_s * 1_000_000;
        let midnight = local - local.rem_euclid(24 * US_PER_HOUR) - offset_s * 1_000_000;
        (-1..=1).map(move |days| midnight + days * 24 * US_PER_HOUR)
    })
}

#[test]
fn every_moment_has_one_local_day_and_days_follow_each_other() {
    let mut checked = 0;
    for (name, tz, changes) in &zones() {
        let kept = Zone::new(tz.clone());
        for change in changes.iter().filter(|change| change.before_s != change.after_s) {
            let near = [change.at].into_iter().chain(midnights(change));
            for at in near.flat_map(|at| [at - 1, at, at + 1]) {
                let at = Timestamp::from_micros(at);
                if !(Timestamp::MIN..Timestamp::END).contains(&at) {
                    continue;
                }
                let expected = model(at.micros(), tz, changes);
                assert_eq!(date_in(at, tz), expected, "{at} {name}");
                assert_eq!(kept.date(at), expected, "{at} {name}, by month");
                checked += 1;
            }
        }
    }
    assert!(checked > 500_000, "{checked} moments");
}

#[test]
fn a_range_of_days_has_exactly_the_moments_of_these_days() {
    for (name, tz, changes) in &zones() {
        let days = |change: &Change| {
            let first = model(change.at - 24 * US_PER_HOUR, tz, changes);
            std::iter::successors(Some(first), |day| day.tomorrow().ok()).take(4)
        };
        let days: HashSet<Date> = changes.iter().flat_map(days).collect();
        for day in days.into_iter().filter(|day| (1900..2200).contains(&day.year())) {
            let only = Some(Moment::Date(day));
            let (from, to) =
                Moment::range(only, only, tz).expect("the end is not before the start");
            assert!(from <= to, "{day} {name}");
            // Each bound is the first moment of its day or of a later one.
            for (bound, day) in [(from, day), (to, day.tomorrow().expect("a date"))] {
                if !(Timestamp::MIN < bound && bound < Timestamp::END) {
                    continue;
                }
                assert_eq!(bound, day_start(day, tz), "{day} {name}");
                assert!(model(bound.micros(), tz, changes) >= day, "{day} {name} from {bound}");
                assert!(model(bound.micros() - 1, tz, changes) < day, "{day} {name} from {bound}");
            }
        }
    }
}

/// A slot answers for one local day, and where a day begins inside a slot its items are asked.
#[test]
fn no_slot_that_is_counted_whole_lies_in_two_days() {
    let mut cuts: BTreeMap<i16, Vec<String>> = BTreeMap::new();
    for (name, tz, changes) in &zones() {
        let span = Span { tz: tz.clone(), ..Span::all() };
        let kept = Zone::new(tz.clone());
        for change in changes {
            let date = date_in(Timestamp::from_micros(change.at), tz);
            for date in [date.yesterday(), Ok(date), date.tomorrow()] {
                let start = day_start(date.expect("a date"), tz);
                if !(Timestamp::MIN <= start && start < Timestamp::END) {
                    continue;
                }
                let is_cut = start.micros().rem_euclid(SLOT_US) != 0;
                let day = start.day();
                let plan = plan_day(day, &span, &kept);
                let takes_month = takes_whole_month(day.month(), &span, &kept);
                if is_cut {
                    let cut = format!("{start} {name}");
                    cuts.entry(date_in(start, tz).year()).or_default().push(cut);
                    let DayPlan::Parts { slots, cut } = plan else {
                        panic!("{start} {name}: the whole day {plan:?}");
                    };
                    assert!(cut.contains(&slot_of(start)), "{start} {name}: {cut:?}");
                    assert!(!slots.contains(&slot_of(start)), "{start} {name}");
                    assert_eq!(slots.len() + cut.len(), 96, "{start} {name}");
                    assert!(!takes_month, "{start} {name}");
                }
                // What is taken whole is whole at each of its slots.
                if takes_month {
                    assert_eq!(plan_day(day, &span, &kept), DayPlan::Whole, "{start} {name}");
                }
            }
        }
    }
    // Not all zones were whole quarters of an hour away from UTC until 1979.
    assert!(cuts.range(..1950).map(|(_, cuts)| cuts.len()).sum::<usize>() > 100, "{cuts:?}");
    assert_eq!(cuts.range(1980..).next(), None, "slots answer for all days of the present");
}
