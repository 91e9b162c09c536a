//! Points for a chart: totals per day, week or month, by group.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::civil::{Date, Weekday};
use serde::Serialize;

use super::{Cell, Dims, Item, Sums as Counted, Zone, slot_start};
use crate::json::Json;
use crate::limits::{SERIES_GROUPS_MAX, SERIES_POINTS_MAX};
use crate::money::{Currency, Total};
use crate::search::{Decimal, value_key};
use crate::time::{Day, Timestamp};
use crate::transaction::Side;

/// How long one point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    Day,
    /// From Monday on (ISO 8601).
    Week,
    Month,
}

impl Interval {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// The first day of the point that contains a day.
    #[must_use]
    pub fn start(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Week => {
                let back = date.weekday().since(Weekday::Monday);
                date.checked_sub(jiff::Span::new().days(back)).unwrap_or(date)
            }
            Self::Month => date.first_of_month(),
        }
    }
}

/// What the lines of a chart are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    None,
    Side,
    TransactionType,
    Product,
    /// A metadata path; answered from the items, so it costs what they cost.
    Metadata(String),
}

impl GroupBy {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "side" => Some(Self::Side),
            "transaction_type" => Some(Self::TransactionType),
            "product" => Some(Self::Product),
            _ => {
                let path = name.strip_prefix("metadata.").filter(|path| !path.is_empty())?;
                Some(Self::Metadata(path.to_owned()))
            }
        }
    }

    fn name_of<'a>(&self, dims: &'a Dims) -> &'a str {
        match self {
            Self::None | Self::Metadata(_) => "all",
            Self::Side => dims.side.name(),
            Self::TransactionType => dims.transaction_type.name(),
            Self::Product => dims.product(),
        }
    }
}

/// The name of the line that sums up the groups beyond the limit.
const REST: &str = "other";

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    all: Cell,
    credit: Total,
    debit: Total,
}

impl Sums {
    fn add(&mut self, side: Side, cell: Cell) {
        self.all.add(cell);
        match side {
            Side::Credit => self.credit += cell.total,
            Side::Debit => self.debit += cell.total,
        }
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.all.add(other.all);
        self.credit += other.credit;
        self.debit += other.debit;
    }
}

/// One line while it is added up.
#[derive(Debug)]
struct Line {
    /// The value that its items share, as it is shown.
    value: Json,
    points: BTreeMap<Date, Sums>,
}

impl Line {
    fn count(&self) -> u64 {
        self.points.values().map(|sums| sums.all.count).sum()
    }

    fn into_group(self, groups_merged: Option<usize>, currency: Currency) -> Group {
        let point = |(date, sums): (Date, Sums)| Point {
            date: date.to_string(),
            transaction_count: sums.all.count,
            total: sums.all.total.to_text(currency),
            credit_total: sums.credit.to_text(currency),
            debit_total: sums.debit.to_text(currency),
        };
        let points = self.points.into_iter().map(point).collect();
        Group { group: self.value, groups_merged, points }
    }
}

/// Adds up the points of one currency.
#[derive(Debug)]
pub struct SeriesTally {
    currency: Currency,
    interval: Interval,
    group_by: GroupBy,
    /// By name, or by the [`value_key`] of metadata.
    lines: BTreeMap<String, Line>,
}

impl SeriesTally {
    #[must_use]
    pub fn new(currency: Currency, interval: Interval, group_by: GroupBy) -> Self {
        Self { currency, interval, group_by, lines: BTreeMap::new() }
    }

    /// Whether a whole UTC day lies inside one point, so that its summary is enough.
    #[must_use]
    pub fn takes_whole(&self, day: Day, zone: &Zone) -> bool {
        let last = Timestamp::from_micros(day.end().micros() - 1);
        self.point(day.start(), zone) == self.point(last, zone)
    }

    pub fn add_day(&mut self, day: Day, summary: &Counted, zone: &Zone) {
        let point = self.point(day.start(), zone);
        for (dims, cell) in &summary.cells {
            self.add(point, dims, *cell);
        }
    }

    pub fn add_slots(
        &mut self,
        day: Day,
        slots: &BTreeMap<u8, Counted>,
        wanted: impl Fn(u8) -> bool,
        zone: &Zone,
    ) {
        for (slot, content) in slots.iter().filter(|(slot, _)| wanted(**slot)) {
            let point = self.point(slot_start(day, *slot), zone);
            for (dims, cell) in &content.cells {
                self.add(point, dims, *cell);
            }
        }
    }

    /// Adds one item; its metadata is needed only when the groups are made of it. An item with several
    /// values at the path counts once in the group of each.
    pub fn add_item(&mut self, item: &Item, metadata: &Json, zone: &Zone) {
        let cell = Cell { count: 1, total: item.amount.into() };
        let point = self.point(item.created_at, zone);
        let GroupBy::Metadata(path) = &self.group_by else {
            return self.add(point, &item.dims, cell);
        };
        if !item.dims.status.counts() {
            return;
        }
        let mut values: BTreeMap<String, Json> = BTreeMap::new();
        metadata.visit(&mut |found, value| {
            if found == path {
                keep_first(values.entry(value_key(value)), canonical(value));
            }
        });
        if values.is_empty() {
            values.insert(value_key(&Json::Null), Json::Null);
        }
        for (key, value) in values {
            self.add_to(key, value, point, item.dims.side, cell);
        }
    }

    fn point(&self, at: Timestamp, zone: &Zone) -> Date {
        self.interval.start(zone.date(at))
    }

    fn add(&mut self, point: Date, dims: &Dims, cell: Cell) {
        if !dims.status.counts() {
            return;
        }
        let name = self.group_by.name_of(dims);
        match self.lines.get_mut(name) {
            Some(line) => line.points.entry(point).or_default().add(dims.side, cell),
            None => {
                let (key, value) = (name.to_owned(), Json::String(name.to_owned()));
                self.add_to(key, value, point, dims.side, cell);
            }
        }
    }

    fn add_to(&mut self, key: String, value: Json, point: Date, side: Side, cell: Cell) {
        let line = match self.lines.entry(key) {
            Entry::Vacant(new) => new.insert(Line { value, points: BTreeMap::new() }),
            Entry::Occupied(known) => {
                let line = known.into_mut();
                if spelling(&value) < spelling(&line.value) {
                    line.value = value;
                }
                line
            }
        };
        line.points.entry(point).or_default().add(side, cell);
    }

    /// The answer; `None` when nothing counts. The smallest groups beyond the limit are summed up in
    /// one line.
    ///
    /// # Errors
    /// Returns how many points there are when they are more than the limit.
    pub fn finish(self) -> Result<Option<Series>, usize> {
        let mut lines: Vec<(String, Line)> = self.lines.into_iter().collect();
        let mut rest: Option<(usize, Line)> = None;
        if lines.len() > SERIES_GROUPS_MAX {
            lines.sort_by_cached_key(|(key, line)| (std::cmp::Reverse(line.count()), key.clone()));
            let merged = lines.split_off(SERIES_GROUPS_MAX - 1);
            let count = merged.len();
            let mut points: BTreeMap<Date, Sums> = BTreeMap::new();
            for (date, sums) in merged.into_iter().flat_map(|(_, line)| line.points) {
                *points.entry(date).or_default() += sums;
            }
            rest = Some((count, Line { value: Json::String(REST.to_owned()), points }));
        }
        let all = lines.iter().map(|(_, line)| line).chain(rest.iter().map(|(_, line)| line));
        let points: usize = all.map(|line| line.points.len()).sum();
        if points > SERIES_POINTS_MAX {
            return Err(points);
        }
        lines.sort_by_cached_key(|(key, line)| (rank(&line.value), key.clone()));
        let currency = self.currency;
        let mut groups: Vec<Group> =
            lines.into_iter().map(|(_, line)| line.into_group(None, currency)).collect();
        groups.extend(rest.map(|(merged, line)| line.into_group(Some(merged), currency)));
        let is_empty = groups.is_empty();
        Ok((!is_empty).then(|| Series { currency: currency.code().to_owned(), groups }))
    }
}

/// Of two spellings of one value the first one in the order of code points is shown.
fn keep_first(entry: Entry<'_, String, Json>, value: Json) {
    match entry {
        Entry::Vacant(new) => drop(new.insert(value)),
        Entry::Occupied(mut known) => {
            if spelling(&value) < spelling(known.get()) {
                known.insert(value);
            }
        }
    }
}

fn spelling(value: &Json) -> &str {
    match value {
        Json::String(text) => text,
        Json::Number(text) => text,
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => "",
    }
}

/// A value of metadata as its group shows it: numbers of one value alike, texts without blanks
/// around them.
fn canonical(value: &Json) -> Json {
    match value {
        Json::Number(text) => {
            let number = Decimal::parse(text).map(|number| number.to_text().into());
            Json::Number(number.unwrap_or_else(|| text.clone()))
        }
        Json::String(text) => Json::String(text.trim().to_owned()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => value.clone(),
    }
}

/// Groups are shown as numbers by value, texts, truth values, and items without a value.
fn rank(value: &Json) -> (u8, Option<Decimal>) {
    match value {
        Json::Number(text) => (0, Decimal::parse(text)),
        Json::String(_) => (1, None),
        Json::Bool(_) => (2, None),
        Json::Null | Json::Array(_) | Json::Object(_) => (3, None),
    }
}

/// The lines of a chart in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    pub currency: String,
    pub groups: Vec<Group>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// A name, or a value of metadata; `null` for items without a value.
    pub group: Json,
    /// How many groups beyond the limit the line sums up; only the last line can be such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_merged: Option<usize>,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The first day of the interval, in the zone asked for.
    pub date: String,
    pub transaction_count: u64,
    pub total: String,
    pub credit_total: String,
    pub debit_total: String,
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::money::Amount;
    use crate::transaction::{Status, TransactionType};

    fn item(status: Status) -> Item {
        let dims = Dims {
            transaction_type: TransactionType::Card,
            status,
            side: Side::Debit,
            product: None,
        };
        Item { created_at: Timestamp::default(), dims, amount: Amount::from_atto(10_i128.pow(18)) }
    }

    #[test]
    fn the_line_of_the_rest_is_no_group_of_that_name() {
        let zone = Zone::new(TimeZone::UTC);
        let group_by = GroupBy::Metadata("shop".to_owned());
        let mut tally = SeriesTally::new(Currency::USD, Interval::Day, group_by);
        let mut add = |value: &str, times: usize| {
            let metadata = Json::parse(&format!(r#"{{"shop":{value}}}"#), 5).expect("JSON");
            for _ in 0..times {
                tally.add_item(&item(Status::Completed), &metadata, &zone);
            }
        };
        add(r#""other""#, 5);
        for number in 0..SERIES_GROUPS_MAX {
            add(&number.to_string(), if number < 3 { 1 } else { 2 });
        }
        let series = tally.finish().expect("few points").expect("items count");
        assert_eq!(series.groups.len(), SERIES_GROUPS_MAX);
        let others = series.groups.iter().filter(|group| group.group == Json::String(REST.into()));
        let others: Vec<(Option<usize>, u64)> =
            others.map(|group| (group.groups_merged, group.points[0].transaction_count)).collect();
        assert_eq!(others, [(None, 5), (Some(2), 2)]);
        let last = series.groups.last().expect("a group");
        assert_eq!(last.groups_merged, Some(2), "the rest comes last");
        let shown = serde_json::to_value(&series.groups[0]).expect("JSON");
        assert_eq!(shown.get("groups_merged"), None);
        assert_eq!(shown["group"], 1);
    }

    #[test]
    fn a_currency_in_which_nothing_counts_has_no_series() {
        let zone = Zone::new(TimeZone::UTC);
        let mut tally = SeriesTally::new(Currency::USD, Interval::Day, GroupBy::None);
        tally.add_item(&item(Status::Failed), &Json::Null, &zone);
        assert_eq!(tally.finish(), Ok(None));
    }
}
