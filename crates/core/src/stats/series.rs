//! Points for a chart: totals per day, week or month, by group.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Cell, Dims, Item, Sums as Counted, slot_start};
use crate::json::Json;
use crate::limits::{SERIES_GROUPS_MAX, SERIES_POINTS_MAX};
use crate::money::{Currency, Total};
use crate::time::{Day, Timestamp, date_in};
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

/// Adds up the points of one currency.
#[derive(Debug)]
pub struct SeriesTally {
    currency: Currency,
    tz: TimeZone,
    interval: Interval,
    group_by: GroupBy,
    groups: BTreeMap<String, BTreeMap<Date, Sums>>,
}

impl SeriesTally {
    #[must_use]
    pub fn new(currency: Currency, tz: TimeZone, interval: Interval, group_by: GroupBy) -> Self {
        Self { currency, tz, interval, group_by, groups: BTreeMap::new() }
    }

    /// Whether a whole UTC day lies inside one point, so that its summary is enough.
    #[must_use]
    pub fn takes_whole(&self, day: Day) -> bool {
        let last = Timestamp::from_micros(day.end().micros() - 1);
        self.point(day.start()) == self.point(last)
    }

    pub fn add_day(&mut self, day: Day, summary: &Counted) {
        let point = self.point(day.start());
        for (dims, cell) in &summary.cells {
            self.add(point, dims, *cell);
        }
    }

    pub fn add_slots(
        &mut self,
        day: Day,
        slots: &BTreeMap<u8, Counted>,
        wanted: impl Fn(u8) -> bool,
    ) {
        for (slot, content) in slots.iter().filter(|(slot, _)| wanted(**slot)) {
            let point = self.point(slot_start(day, *slot));
            for (dims, cell) in &content.cells {
                self.add(point, dims, *cell);
            }
        }
    }

    /// Adds one item; its metadata is needed only when the groups are made of it.
    pub fn add_item(&mut self, item: &Item, metadata: &Json) {
        let cell = Cell { count: 1, total: item.amount.into() };
        let point = self.point(item.created_at);
        let GroupBy::Metadata(path) = &self.group_by else {
            return self.add(point, &item.dims, cell);
        };
        let mut name = None;
        metadata.visit(&mut |found, value| {
            if found == path && name.is_none() {
                name = Some(match value {
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                });
            }
        });
        if item.dims.status.counts() {
            self.add_to(name.unwrap_or_else(|| "none".to_owned()), point, item.dims.side, cell);
        }
    }

    fn point(&self, at: Timestamp) -> Date {
        self.interval.start(date_in(at, &self.tz))
    }

    fn add(&mut self, point: Date, dims: &Dims, cell: Cell) {
        if dims.status.counts() {
            self.add_to(self.group_by.name_of(dims).to_owned(), point, dims.side, cell);
        }
    }

    fn add_to(&mut self, group: String, point: Date, side: Side, cell: Cell) {
        self.groups.entry(group).or_default().entry(point).or_default().add(side, cell);
    }

    /// The answer. Groups beyond the limit are summed up as `other`, the smallest first.
    ///
    /// # Errors
    /// Returns how many points there are when they are more than the limit.
    pub fn finish(mut self) -> Result<Series, usize> {
        if self.groups.len() > SERIES_GROUPS_MAX {
            let mut names: Vec<(u64, String)> = self
                .groups
                .iter()
                .map(|(name, points)| (points.values().map(|s| s.all.count).sum(), name.clone()))
                .collect();
            names.sort_by(|a, b| b.cmp(a));
            let mut other: BTreeMap<Date, Sums> = BTreeMap::new();
            for (_, name) in names.split_off(SERIES_GROUPS_MAX - 1) {
                for (date, sums) in self.groups.remove(&name).unwrap_or_default() {
                    let sum = other.entry(date).or_default();
                    sum.all.add(sums.all);
                    sum.credit += sums.credit;
                    sum.debit += sums.debit;
                }
            }
            self.groups.insert("other".to_owned(), other);
        }
        let points: usize = self.groups.values().map(BTreeMap::len).sum();
        if points > SERIES_POINTS_MAX {
            return Err(points);
        }
        let currency = self.currency;
        let groups = self.groups.into_iter().map(|(group, points)| Group {
            group,
            points: points
                .into_iter()
                .map(|(date, sums)| Point {
                    date: date.to_string(),
                    transaction_count: sums.all.count,
                    total: sums.all.total.to_text(currency),
                    credit_total: sums.credit.to_text(currency),
                    debit_total: sums.debit.to_text(currency),
                })
                .collect(),
        });
        Ok(Series { currency: currency.code().to_owned(), groups: groups.collect() })
    }
}

/// The lines of a chart in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    pub currency: String,
    pub groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    pub group: String,
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
