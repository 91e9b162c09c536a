//! Statistics against models that know nothing of buckets: local days around changes of the clocks,
//! groups of metadata, and the time of the last change.

use std::collections::{BTreeMap, HashSet};

use daybook_core::command::Action;
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::time::{Moment, zone};
use daybook_core::write_set::{Outcome, Recorded};
use daybook_core::{Subject, Submission, Timestamp, TransactionId};
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::chance::Chance;
use crate::support::{Books, Fallible, On, every_store, user};

type Test = Fallible<()>;

every_store! {
    local_days_are_those_of_a_model_in_all_zones,
    a_day_that_a_zone_leaves_out_is_empty,
    groups_of_metadata_are_values,
    a_series_names_only_currencies_that_count,
    the_last_update_never_goes_back,
}

const US_PER_HOUR: i64 = 3_600_000_000;

/// A change of the clocks of a zone: when, and the seconds from UTC before it and after it.
struct Change {
    zone: String,
    at: i64,
    before_s: i64,
    after_s: i64,
}

impl Change {
    fn local_date(&self, offset_s: i64) -> i64 {
        (self.at + offset_s * 1_000_000).div_euclid(24 * US_PER_HOUR)
    }

    /// Whether days are cut otherwise than at midnight, or slots at all.
    fn is_odd(&self) -> bool {
        let quarter = |us: i64| us.rem_euclid(US_PER_HOUR / 4) == 0;
        self.local_date(self.before_s) != self.local_date(self.after_s)
            || !quarter(self.at)
            || !quarter(self.before_s * 1_000_000)
    }
}

fn changes(zone: &str, tz: &TimeZone) -> Fallible<Vec<Change>> {
    let (from, to) = ("1900-01-05T00:00:00Z".parse()?, "2199-12-25T00:00:00Z".parse()?);
    let mut before_s = i64::from(tz.to_offset(from).seconds());
    let mut changes = Vec::new();
    for change in tz.following(from).take_while(|change| change.timestamp() < to) {
        let (at, after_s) =
            (change.timestamp().as_microsecond(), i64::from(change.offset().seconds()));
        changes.push(Change { zone: zone.to_owned(), at, before_s, after_s });
        before_s = after_s;
    }
    Ok(changes)
}

/// Changes that are known to be difficult, and some of all zones by chance.
fn difficult(chance: &mut Chance) -> Fallible<Vec<Change>> {
    let known = [
        ("America/Toronto", 1919),
        ("America/St_Johns", 2006),
        ("America/Moncton", 1993),
        ("Antarctica/Casey", 2010),
        ("Pacific/Guam", 1970),
        ("Pacific/Apia", 2011),
        ("Pacific/Kwajalein", 1969),
        ("Pacific/Kwajalein", 1993),
        ("Pacific/Kiritimati", 1979),
        ("Europe/Dublin", 1916),
        ("Europe/Amsterdam", 1937),
        ("Africa/Monrovia", 1972),
        ("America/Sao_Paulo", 2018),
        ("America/Havana", 2023),
    ];
    let mut found = Vec::new();
    for (name, year) in known {
        let tz = zone(name).ok_or(name)?;
        let all = changes(name, &tz)?;
        let year = |change: &Change| {
            let at = jiff::Timestamp::from_microsecond(change.at).expect("in range");
            tz.to_datetime(at).year() == year
        };
        let before = found.len();
        found.extend(all.into_iter().filter(year));
        assert!(found.len() > before, "{name}");
    }
    let names: Vec<String> =
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    let (mut odd, mut even, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for name in &names {
        let Some(tz) = zone(name) else { continue };
        for change in changes(name, &tz)? {
            if seen.insert((change.at, change.before_s, change.after_s)) {
                if change.is_odd() { &mut odd } else { &mut even }.push(change);
            }
        }
    }
    for (mut all, count) in [(odd, 50), (even, 10)] {
        assert!(all.len() > 100, "{} changes", all.len());
        for _ in 0..count {
            found.push(all.swap_remove(chance.below(all.len() as u64) as usize));
        }
    }
    Ok(found)
}

/// The date that the clocks show from a moment on at the least.
fn local_date(at: i64, tz: &TimeZone) -> Date {
    let instant = |at: i64| jiff::Timestamp::from_microsecond(at).expect("in range");
    let shown = |at: i64| tz.to_datetime(instant(at)).date();
    let end = instant(at + 72 * US_PER_HOUR);
    let soon = tz.following(instant(at)).map(|change| change.timestamp());
    let soon = soon.take_while(|change| *change <= end).map(jiff::Timestamp::as_microsecond);
    soon.map(shown).chain([shown(at)]).min().expect("a date")
}

/// An item as the model has it.
#[derive(Clone, Debug)]
struct Item {
    id: TransactionId,
    at: i64,
    cents: u64,
    is_credit: bool,
    status: &'static str,
}

impl Item {
    fn counts(&self) -> bool {
        !["failed", "cancelled"].contains(&self.status)
    }
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Records bodies in one commit.
async fn record_all(books: &Books, bodies: &[String]) -> Fallible<Vec<TransactionId>> {
    let actions = bodies.iter().map(|body| books.parse(body).map(Action::Record));
    let actions: Vec<Action> = actions.collect::<Result<_, _>>()?;
    let submission = Submission { at: books.now(), key: None, atomic: false, actions };
    let mut ids = Vec::new();
    for verdict in books.store.commit(submission).await?.verdicts {
        match verdict? {
            Outcome::Created(Recorded { subject: Subject::Item(id), .. }) => ids.push(id),
            other => return Err(format!("not created: {other:?}").into()),
        }
    }
    Ok(ids)
}

/// Items around a change and around the midnights near it.
fn around(change: &Change, chance: &mut Chance) -> Vec<Item> {
    let mut moments = vec![change.at - 1, change.at, change.at + 1];
    for offset_s in [change.before_s, change.after_s] {
        let local = change.at + offset_s * 1_000_000;
        let midnight = change.at - local.rem_euclid(24 * US_PER_HOUR);
        for days in -1..=1 {
            let midnight = midnight + days * 24 * US_PER_HOUR;
            moments.extend([midnight - 1, midnight]);
        }
    }
    for _ in 0..6 {
        moments.push(change.at + chance.below(100 * 3_600) as i64 * 1_000_000 - 50 * US_PER_HOUR);
    }
    let item = |at: i64| Item {
        id: TransactionId(uuid::Uuid::nil()),
        at,
        cents: 1 + chance.below(100_000),
        is_credit: chance.one_in(3),
        status: chance.of(&["completed", "completed", "completed", "pending", "failed"]),
    };
    moments.into_iter().map(item).collect()
}

/// How many items count, their sum, and the busiest day with its items.
type Totals = (u64, String, Option<(String, u64)>);

fn expected(items: &[&Item], tz: &TimeZone) -> Option<Totals> {
    let counted = || items.iter().filter(|item| item.counts());
    let mut days: BTreeMap<Date, u64> = BTreeMap::new();
    for item in counted() {
        *days.entry(local_date(item.at, tz)).or_default() += 1;
    }
    let most = days.values().max().copied();
    let busiest = days.iter().find(|(_, count)| Some(**count) == most);
    let busiest = busiest.map(|(date, count)| (date.to_string(), *count));
    let total = money(counted().map(|item| item.cents).sum());
    (!items.is_empty()).then(|| (counted().count() as u64, total, busiest))
}

fn checked(found: &[Statistics], items: &[&Item], tz: &TimeZone, what: &str) {
    let day = |s: &Statistics| s.highest_transaction_day.clone().map(|day| (day.date, day.count));
    let shown = found.first();
    let shown = shown.map(|s| (s.transaction_count, s.total_transaction_value.clone(), day(s)));
    assert_eq!(shown, expected(items, tz), "{what}");
    let Some(found) = found.first() else { return };
    let cents = || items.iter().filter(|item| item.counts()).map(|item| item.cents);
    let extremes = (cents().max().map(money), cents().min().map(money));
    assert_eq!((found.largest.clone(), found.smallest.clone()), extremes, "{what}");
    let of = |status: &str| items.iter().filter(|item| item.status == status).count() as u64;
    for (status, part) in &found.by_status {
        assert_eq!(part.transaction_count, of(status), "{status} {what}");
    }
}

type Points = BTreeMap<(String, String), (u64, String)>;

fn points(series: &[Series]) -> Points {
    let mut points = Points::new();
    for group in series.iter().flat_map(|series| &series.groups) {
        for point in &group.points {
            let key = (group.group.to_string(), point.date.clone());
            points.insert(key, (point.transaction_count, point.total.clone()));
        }
    }
    points
}

fn expected_points(items: &[&Item], tz: &TimeZone, interval: Interval) -> Points {
    let mut sums: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for item in items.iter().filter(|item| item.counts()) {
        let mut date = local_date(item.at, tz);
        match interval {
            Interval::Day => {}
            Interval::Week => {
                while date.weekday() != Weekday::Monday {
                    date = date.yesterday().expect("a date");
                }
            }
            Interval::Month => {
                while date.day() != 1 {
                    date = date.yesterday().expect("a date");
                }
            }
        }
        let side = if item.is_credit { r#""credit""# } else { r#""debit""# };
        let sum = sums.entry((side.to_owned(), date.to_string())).or_default();
        *sum = (sum.0 + 1, sum.1 + item.cents);
    }
    sums.into_iter().map(|(key, (count, cents))| (key, (count, money(cents)))).collect()
}

async fn local_days_are_those_of_a_model_in_all_zones(on: On) -> Test {
    let (books, mut chance) = (Books::open(on).await?, Chance::seeded());
    let mut all = Vec::new();
    for (number, change) in difficult(&mut chance)?.into_iter().enumerate() {
        let mut items = around(&change, &mut chance);
        let body = |item: &Item| {
            let (side, at) =
                (if item.is_credit { "credit" } else { "debit" }, Timestamp::from_micros(item.at));
            format!(
                r#"{{"user_id":"u{number}","transaction_type":"other","currency":"EUR","side":"{side}",
                "amount":"{}","status":"{}","created_at":"{at}"}}"#,
                money(item.cents),
                item.status
            )
        };
        let bodies: Vec<String> = items.iter().map(body).collect();
        for (item, id) in items.iter_mut().zip(record_all(&books, &bodies).await?) {
            item.id = id;
        }
        // An item that leaves takes the largest or smallest amount with it.
        for _ in 0..2 {
            let gone = items.swap_remove(chance.below(items.len() as u64) as usize);
            books.erase(gone.id).await?;
        }
        all.push((format!("u{number}"), change, items));
    }
    for (name, change, items) in &all {
        let tz = zone(&change.zone).ok_or("no zone")?;
        let first = local_date(change.at - 50 * US_PER_HOUR, &tz);
        let days: Vec<Date> =
            std::iter::successors(Some(first), |date| date.tomorrow().ok()).take(6).collect();
        let mut spans = vec![Span { tz: tz.clone(), ..Span::all() }];
        for _ in 0..3 {
            let (a, b) = (chance.of(&days), chance.of(&days));
            let (from, to) = (a.min(b), a.max(b));
            let (from, to) = (Some(Moment::Date(from)), Some(Moment::Date(to)));
            let (from, to) = Moment::range(from, to, &tz).ok_or("reversed")?;
            spans.push(Span { from, to, tz: tz.clone() });
        }
        for span in spans {
            let what = format!("{} near {} in {:?}", change.zone, change.at, (span.from, span.to));
            let within = |item: &&Item| {
                let at = Timestamp::from_micros(item.at);
                span.from <= at && at < span.to
            };
            let inside: Vec<&Item> = items.iter().filter(within).collect();
            checked(&books.statistics(name, span.clone()).await?, &inside, &tz, &what);
            let interval = chance.of(&[Interval::Day, Interval::Week, Interval::Month]);
            let (span, group) = (span.clone(), GroupBy::Side);
            let found = books.store.series(user(name), span, Vec::new(), interval, group).await?;
            let expected = expected_points(&inside, &tz, interval);
            assert_eq!(points(&found), expected, "{interval:?} of {what}");
        }
    }
    books.verified().await
}

async fn a_day_that_a_zone_leaves_out_is_empty(on: On) -> Test {
    let books = Books::open(on).await?;
    for at in ["2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z"] {
        books
            .record(&format!(
                r#"{{"user_id":"ana","transaction_type":"card","amount":1,"created_at":"{at}"}}"#
            ))
            .await?;
    }
    let tz = zone("Pacific/Apia").ok_or("no zone")?;
    for (day, count) in [("2011-12-29", Some(1)), ("2011-12-30", None), ("2011-12-31", Some(1))] {
        let date = Some(Moment::parse(day)?);
        let (from, to) = Moment::range(date, date, &tz).ok_or("reversed")?;
        let span = Span { from, to, tz: tz.clone() };
        let found = books.statistics("ana", span.clone()).await?;
        assert_eq!(found.first().map(|found| found.transaction_count), count, "{day}");
        for group in [GroupBy::None, GroupBy::Metadata("shop".to_owned())] {
            let (who, span) = (user("ana"), span.clone());
            let found = books.store.series(who, span, Vec::new(), Interval::Day, group).await?;
            let dates = found.iter().flat_map(|series| &series.groups);
            let dates: Vec<&str> =
                dates.flat_map(|group| &group.points).map(|point| point.date.as_str()).collect();
            assert_eq!(dates, count.map(|_| vec![day]).unwrap_or_default(), "{day}");
        }
    }
    Ok(())
}

/// Metadata at `v`, and the groups in which an item with it counts.
const VALUES: &[(&str, &[&str])] = &[
    // Numbers by value.
    ("1", &["1"]),
    ("1.0", &["1"]),
    ("1e0", &["1"]),
    ("10e-1", &["1"]),
    ("-0.0", &["0"]),
    ("0", &["0"]),
    ("-2.50", &["-2.5"]),
    ("12e29", &["1.2e30"]),
    // A text is no number, no truth value and no missing value.
    (r#""1""#, &[r#""1""#]),
    (r#""1.0""#, &[r#""1.0""#]),
    (r#""true""#, &[r#""true""#]),
    (r#""null""#, &[r#""null""#]),
    (r#""none""#, &[r#""None""#]),
    (r#"" None ""#, &[r#""None""#]),
    (r#""other""#, &[r#""other""#]),
    (r#""""#, &[r#""""#]),
    ("true", &["true"]),
    ("false", &["false"]),
    // Texts as filters compare them; the first spelling by code points is shown.
    (r#""Café""#, &[r#""CAFE""#]),
    (r#""CAFE""#, &[r#""CAFE""#]),
    (r#""cafe""#, &[r#""CAFE""#]),
    // Each distinct element, once.
    (r#"[1, 1.0, "1", "a", "a"]"#, &["1", r#""1""#, r#""a""#]),
    (r#"[[1], ["a", null]]"#, &["1", r#""a""#, "null"]),
    // No value.
    ("null", &["null"]),
    ("[]", &["null"]),
    ("{}", &["null"]),
    (r#"{"w": 1}"#, &["null"]),
];

async fn groups_of_metadata_are_values(on: On) -> Test {
    let (books, mut chance) = (Books::open(on).await?, Chance::seeded());
    let mut bodies = vec![
        r#"{"user_id":"ana","transaction_type":"card","amount":1,"created_at":"2024-05-01"}"#
            .to_owned(),
    ];
    let mut expected: BTreeMap<String, u64> = BTreeMap::from([("null".to_owned(), 1)]);
    for (value, groups) in VALUES {
        for _ in 0..1 + chance.below(3) {
            let status = chance.of(&["completed", "pending", "failed"]);
            bodies.push(format!(
                r#"{{"user_id":"ana","transaction_type":"card","amount":1,"status":"{status}",
                "created_at":"2024-05-0{}","metadata":{{"v":{value}}}}}"#,
                1 + chance.below(9)
            ));
            for group in *groups {
                *expected.entry((*group).to_owned()).or_default() += u64::from(status != "failed");
            }
        }
        // One that counts at the least, so that its spelling is among those shown.
        bodies.push(format!(
            r#"{{"user_id":"ana","transaction_type":"card","amount":1,"created_at":"2024-05-01",
            "metadata":{{"v":{value}}}}}"#
        ));
        for group in *groups {
            *expected.entry((*group).to_owned()).or_default() += 1;
        }
    }
    record_all(&books, &bodies).await?;
    let group = GroupBy::Metadata("v".to_owned());
    let found = books.store.series(user("ana"), Span::all(), Vec::new(), Interval::Month, group);
    let found = found.await?;
    let groups = &found.first().ok_or("no series")?.groups;
    let counts = groups.iter().map(|group| {
        let count = group.points.iter().map(|point| point.transaction_count).sum();
        (group.group.to_string(), count)
    });
    let counts: Vec<(String, u64)> = counts.collect();
    let names: Vec<&str> = counts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), expected.len(), "{names:?}");
    assert_eq!(counts.iter().cloned().collect::<BTreeMap<_, _>>(), expected);
    // Numbers by value, texts, truth values, and last what has no value.
    assert_eq!(names[..4], ["-2.5", "0", "1", "1.2e30"]);
    assert_eq!(names[names.len() - 3..], ["false", "true", "null"]);
    assert!(groups.iter().all(|group| group.groups_merged.is_none()));
    Ok(())
}

async fn a_series_names_only_currencies_that_count(on: On) -> Test {
    let books = Books::open(on).await?;
    for (currency, status, day) in [
        ("EUR", "completed", "2024-05-01"),
        ("USD", "completed", "2024-05-20"),
        ("GBP", "failed", "2024-05-01"),
        ("JPY", "completed", "2024-05-01"),
    ] {
        let id = books
            .record(&format!(
                r#"{{"user_id":"ana","transaction_type":"card","amount":1,"currency":"{currency}",
                "status":"{status}","created_at":"{day}","metadata":{{"shop":"A"}}}}"#
            ))
            .await?;
        if currency == "JPY" {
            books.erase(id).await?;
        }
    }
    let day = Some(Moment::parse("2024-05-01")?);
    let (from, to) = Moment::range(day, day, &TimeZone::UTC).ok_or("reversed")?;
    for group in [GroupBy::None, GroupBy::Side, GroupBy::Metadata("shop".to_owned())] {
        let span = Span { from, to, tz: TimeZone::UTC };
        let found = books.store.series(user("ana"), span, Vec::new(), Interval::Day, group).await?;
        let currencies: Vec<&str> = found.iter().map(|series| series.currency.as_str()).collect();
        assert_eq!(currencies, ["EUR"]);
    }
    Ok(())
}

/// The last change of each currency in all time, in a month and on a day.
async fn last_updates(books: &Books) -> Fallible<BTreeMap<(String, usize), Timestamp>> {
    let mut found = BTreeMap::new();
    for (place, (start, end)) in
        [("1900-01-01", "2199-12-31"), ("2024-05-01", "2024-05-31"), ("2024-05-02", "2024-05-02")]
            .into_iter()
            .enumerate()
    {
        let (start, end) = (Some(Moment::parse(start)?), Some(Moment::parse(end)?));
        let (from, to) = Moment::range(start, end, &TimeZone::UTC).ok_or("reversed")?;
        for statistics in books.statistics("ana", Span { from, to, tz: TimeZone::UTC }).await? {
            found.insert((statistics.currency, place), statistics.last_updated);
        }
    }
    Ok(found)
}

async fn the_last_update_never_goes_back(on: On) -> Test {
    let (books, mut chance) = (Books::open(on).await?, Chance::seeded());
    let days = ["2024-05-01", "2024-05-02", "2024-05-31", "2024-06-01"];
    let mut items: Vec<(TransactionId, &str, &str)> = Vec::new();
    let mut newest: BTreeMap<(String, usize), Timestamp> = BTreeMap::new();
    for _ in 0..60 {
        let (currency, day) = (chance.of(&["EUR", "USD"]), chance.of(&days));
        let mut touched = vec![day];
        let mut of = currency;
        match chance.below(3) {
            0 if !items.is_empty() => {
                let (id, currency, left) =
                    items.swap_remove(chance.below(items.len() as u64) as usize);
                books.erase(id).await?;
                (of, touched) = (currency, vec![left]);
            }
            1 if !items.is_empty() => {
                let place = chance.below(items.len() as u64) as usize;
                let (id, currency, left) = items[place];
                let cents = 1 + chance.below(99_999);
                let body = format!(r#"{{"created_at":"{day}","amount":"{}"}}"#, money(cents));
                books.patch(id, &body).await?;
                items[place] = (id, currency, day);
                (of, touched) = (currency, vec![left, day]);
            }
            _ => {
                let id = books
                    .record(&format!(
                        r#"{{"user_id":"ana","transaction_type":"card","amount":1,
                        "currency":"{currency}","created_at":"{day}"}}"#
                    ))
                    .await?;
                items.push((id, currency, day));
            }
        }
        let places = [true, touched.iter().any(|day| day.starts_with("2024-05"))];
        let places = [places[0], places[1], touched.contains(&"2024-05-02")];
        for ((currency, place), at) in last_updates(&books).await? {
            let known = newest.insert((currency.clone(), place), at);
            if currency == of && places[place] {
                assert!(
                    known.is_none_or(|known| known < at),
                    "{currency} {place} after {touched:?}"
                );
            } else {
                assert!(known.is_none_or(|known| known == at), "{currency} {place}");
            }
        }
    }
    books.verified().await
}
