//! When sample items happen: more on Fridays and Saturdays, more before the holidays, little at
//! night; and what happens every month on its day.

use std::collections::VecDeque;

use jiff::tz::TimeZone;

use super::chance::Chance;
use super::item::Habit;
use crate::time::{Day, Timestamp, US_PER_DAY, date_in};

const US_PER_HOUR: i64 = US_PER_DAY / 24;
const MS_PER_HOUR: u64 = 3_600_000;
/// How busy each hour of the day is (UTC).
const HOURS: [u64; 24] =
    [9, 5, 3, 2, 2, 5, 14, 34, 52, 46, 44, 55, 78, 74, 52, 48, 55, 72, 88, 90, 76, 54, 34, 18];
/// How busy each day of the week is, from Monday on.
const WEEKDAYS: [u64; 7] = [82, 80, 84, 90, 112, 124, 92];
/// How busy each month is.
const MONTHS: [u64; 12] = [84, 88, 94, 96, 98, 102, 106, 104, 98, 100, 112, 126];
/// The most moments that are drawn and sorted at once: half a megabyte of them.
const CHUNK: u64 = 65_536;
/// Every month has so many days.
const DAYS_OF_EVERY_MONTH: u64 = 28;

/// The span that items happen in, and how busy each of its hours is.
#[derive(Clone, Debug)]
pub struct Calendar {
    start: Timestamp,
    end: Timestamp,
    /// The sum of all weights.
    weight: u64,
}

/// An hour of the calendar, or the part of it that lies in the span.
#[derive(Clone, Copy, Debug)]
struct Hour {
    start_us: i64,
    /// How busy it is, for each of its milliseconds.
    busy: u64,
    weight: u64,
}

impl Calendar {
    /// The days that end now.
    pub fn new(now: Timestamp, days: u32) -> Self {
        let start = Timestamp::from_micros(now.micros() - i64::from(days.max(1)) * US_PER_DAY);
        let mut calendar = Self { start, end: now, weight: 0 };
        calendar.weight = calendar.hours().map(|hour| hour.weight).sum();
        calendar
    }

    /// A moment, the likelier the busier it is.
    pub fn moment(&self, chance: &mut Chance) -> Timestamp {
        // The busiest hour is a few times as busy as the mean, so a few tries are enough.
        let span = u64::try_from(self.end.micros() - self.start.micros()).unwrap_or_default();
        let most = |list: &[u64]| list.iter().copied().max().unwrap_or(1);
        let busiest = most(&HOURS) * most(&WEEKDAYS) * most(&MONTHS);
        for _ in 0..64 {
            let later = i64::try_from(chance.below(span)).unwrap_or_default();
            let at = self.start.micros() + later;
            if chance.below(busiest) < busy(at) {
                return Timestamp::from_micros(at);
            }
        }
        self.start
    }

    /// So many moments, the earliest first.
    pub fn moments(&self, count: u64) -> Moments {
        let mut hours = self.hours();
        let hour = hours.next();
        Moments { weight: self.weight, count, chunk: 0, before: 0, hour, hours, drawn: Vec::new() }
    }

    /// How many days the span has.
    pub fn days(&self) -> u64 {
        u64::try_from((self.end.micros() - self.start.micros()) / US_PER_DAY).unwrap_or_default()
    }

    fn hours(&self) -> Hours {
        let next = self.start.micros().div_euclid(US_PER_HOUR) * US_PER_HOUR;
        Hours { calendar: self.clone(), next }
    }
}

/// How busy the hour of a moment is.
fn busy(at_us: i64) -> u64 {
    let at = Timestamp::from_micros(at_us);
    let hour = usize::try_from(at_us.rem_euclid(US_PER_DAY) / US_PER_HOUR).unwrap_or_default();
    // The first day of 1970 was a Thursday.
    let weekday = usize::try_from((at.day().0 + 3).rem_euclid(7)).unwrap_or_default();
    let month = usize::from(date_in(at, &TimeZone::UTC).month().unsigned_abs()).saturating_sub(1);
    let of = |list: &[u64], place: usize| list.get(place).copied().unwrap_or(1);
    of(&HOURS, hour) * of(&WEEKDAYS, weekday) * of(&MONTHS, month)
}

#[derive(Clone, Debug)]
struct Hours {
    calendar: Calendar,
    next: i64,
}

impl Iterator for Hours {
    type Item = Hour;

    fn next(&mut self) -> Option<Hour> {
        let start_us = self.next.max(self.calendar.start.micros());
        self.next += US_PER_HOUR;
        let end_us = self.next.min(self.calendar.end.micros());
        if start_us >= self.calendar.end.micros() {
            return None;
        }
        let length_ms = u64::try_from((end_us - start_us) / 1_000).unwrap_or_default();
        let busy = busy(start_us);
        Some(Hour { start_us, busy, weight: busy * length_ms.min(MS_PER_HOUR) })
    }
}

/// Moments of a span in their order. They are drawn at random from one stretch of equal weight
/// after the other, so that millions of them need little memory.
#[derive(Clone, Debug)]
pub struct Moments {
    weight: u64,
    count: u64,
    /// The stretch that is drawn next.
    chunk: u64,
    /// The weight of all hours before the current one.
    before: u64,
    hour: Option<Hour>,
    hours: Hours,
    /// Places in the current stretch, the last first.
    drawn: Vec<u64>,
}

impl Moments {
    pub fn next(&mut self, chance: &mut Chance) -> Option<Timestamp> {
        while self.drawn.is_empty() {
            self.draw(chance)?;
        }
        let place = self.drawn.pop()?;
        let mut hour = self.hour?;
        while place >= self.before + hour.weight {
            self.before += hour.weight;
            hour = self.hours.next()?;
            self.hour = Some(hour);
        }
        // A millisecond has as many places as it is busy.
        let inside = u128::from(place - self.before) * 1_000 / u128::from(hour.busy);
        Some(Timestamp::from_micros(hour.start_us + i64::try_from(inside).ok()?))
    }

    fn draw(&mut self, chance: &mut Chance) -> Option<()> {
        let chunks = self.count.div_ceil(CHUNK);
        if self.chunk == chunks {
            return None;
        }
        let part = |of: u64, chunk: u64| {
            let part = u128::from(of) * u128::from(chunk) / u128::from(chunks);
            u64::try_from(part).unwrap_or(of)
        };
        let (low, high) = (part(self.weight, self.chunk), part(self.weight, self.chunk + 1));
        let count = part(self.count, self.chunk + 1) - part(self.count, self.chunk);
        self.chunk += 1;
        self.drawn.extend((0..count).map(|_| low + chance.below(high - low)));
        self.drawn.sort_unstable_by(|a, b| b.cmp(a));
        Some(())
    }
}

/// A payment that is due: when, whose, what.
pub type Due = (Timestamp, u64, Habit);

/// What the users do every month, in the order of time.
#[derive(Clone, Debug)]
pub struct Routine {
    start: Timestamp,
    end: Timestamp,
    seed: u64,
    /// Who does what on each day of a month.
    days: Vec<Vec<(u64, Habit)>>,
    next_day: Day,
    queue: VecDeque<Due>,
}

impl Routine {
    /// The first so many habits of all users.
    pub fn new(calendar: &Calendar, seed: u64, users: u64, habits: usize) -> Self {
        let mut days = vec![Vec::new(); usize::try_from(DAYS_OF_EVERY_MONTH).unwrap_or_default()];
        let habits = Habit::ALL.get(..habits.min(Habit::ALL.len())).unwrap_or_default();
        for user in (0..users).take_while(|_| !habits.is_empty()) {
            let mut chance = Chance::of(!seed, user);
            for habit in habits {
                let day = match habit {
                    Habit::Salary => chance.between(24, DAYS_OF_EVERY_MONTH - 1),
                    Habit::Rent => chance.below(3),
                    Habit::Video | Habit::Phone | Habit::Music | Habit::Power => {
                        chance.below(DAYS_OF_EVERY_MONTH)
                    }
                };
                let due = usize::try_from(day).ok().and_then(|day| days.get_mut(day));
                due.into_iter().for_each(|due| due.push((user, *habit)));
            }
        }
        let next_day = calendar.start.day();
        let (start, end) = (calendar.start, calendar.end);
        Self { start, end, seed, days, next_day, queue: VecDeque::new() }
    }

    /// How many payments there are in all.
    pub fn count(&self) -> u64 {
        let inside = |day: &Day| day.start() >= self.start && day.end() <= self.end;
        let days = (self.next_day.0..=self.end.day().0).map(Day);
        let due =
            days.map(|day| if inside(&day) { self.due(day).len() } else { self.on(day).len() });
        due.map(|count| u64::try_from(count).unwrap_or_default()).sum()
    }

    /// The next payment, not yet taken.
    pub fn peek(&mut self) -> Option<Due> {
        while self.queue.is_empty() && self.next_day <= self.end.day() {
            self.queue = self.on(self.next_day).into();
            self.next_day = Day(self.next_day.0 + 1);
        }
        self.queue.front().copied()
    }

    pub fn take(&mut self) -> Option<Due> {
        self.queue.pop_front()
    }

    fn due(&self, day: Day) -> &[(u64, Habit)] {
        let date = date_in(day.start(), &TimeZone::UTC);
        let at = usize::from(date.day().unsigned_abs()).saturating_sub(1);
        self.days.get(at).map(Vec::as_slice).unwrap_or_default()
    }

    /// The payments of a day that lie in the span, in order.
    fn on(&self, day: Day) -> Vec<Due> {
        let each = self.due(day).iter().map(|(user, habit)| {
            let (first, last) = match habit {
                Habit::Salary => (5, 9),
                Habit::Rent => (7, 10),
                Habit::Video | Habit::Phone | Habit::Music | Habit::Power => (2, 22),
            };
            let number = user.wrapping_mul(31) ^ u64::from(day.0.unsigned_abs()).rotate_left(40);
            let mut chance = Chance::of(self.seed, number);
            let seconds = chance.between(first * 3_600, last * 3_600 - 1);
            let us = i64::try_from(seconds * 1_000_000 + chance.below(1_000_000));
            let at = Timestamp::from_micros(day.start().micros() + us.unwrap_or_default());
            (at, *user, *habit)
        });
        let mut due: Vec<Due> =
            each.filter(|(at, _, _)| (self.start..self.end).contains(at)).collect();
        due.sort_unstable_by_key(|(at, user, _)| (*at, *user));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(days: u32) -> Calendar {
        Calendar::new(Timestamp::parse("2025-06-30T15:20:30.5Z").expect("a time"), days)
    }

    #[test]
    fn moments_come_in_order_within_the_span_and_all_of_them() {
        for (days, count) in [(1, 10), (30, 0), (365, 1), (365, 1_000), (365, 200_000)] {
            let calendar = calendar(days);
            let mut chance = Chance::new(5);
            let mut moments = calendar.clone().moments(count);
            let all: Vec<Timestamp> = std::iter::from_fn(|| moments.next(&mut chance)).collect();
            assert_eq!(u64::try_from(all.len()), Ok(count));
            assert!(all.is_sorted());
            assert!(all.iter().all(|at| (calendar.start..calendar.end).contains(at)));
        }
    }

    #[test]
    fn saturdays_are_busier_than_tuesdays_and_evenings_than_nights() {
        let mut chance = Chance::new(5);
        let mut moments = calendar(364).moments(50_000);
        let (mut saturday, mut tuesday, mut evening, mut night) = (0, 0, 0, 0);
        while let Some(at) = moments.next(&mut chance) {
            match (at.day().0 + 3).rem_euclid(7) {
                5 => saturday += 1,
                1 => tuesday += 1,
                _ => {}
            }
            match at.micros().rem_euclid(US_PER_DAY) / US_PER_HOUR {
                19 => evening += 1,
                3 => night += 1,
                _ => {}
            }
        }
        assert!(saturday > tuesday * 5 / 4, "{saturday} {tuesday}");
        assert!(evening > night * 10, "{evening} {night}");
    }

    #[test]
    fn a_routine_is_counted_as_it_comes() {
        let mut routine = Routine::new(&calendar(365), 9, 10, 6);
        let count = routine.count();
        let due = || routine.peek().and_then(|_| routine.take());
        let all: Vec<Due> = std::iter::from_fn(due).collect();
        assert_eq!(u64::try_from(all.len()), Ok(count));
        assert!((700..=740).contains(&count), "{count}");
        assert!(all.is_sorted_by_key(|(at, _, _)| *at));
        assert_eq!(Routine::new(&calendar(365), 9, 10, 0).count(), 0);
    }
}
