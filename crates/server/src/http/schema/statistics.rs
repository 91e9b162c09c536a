//! Statistics and series.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

#[derive(ToSchema)]
#[schema(as = Statistics)]
pub struct StatisticsBody {
    user_id: String,
    tz: String,
    #[schema(required)]
    start_date: Option<String>,
    #[schema(required)]
    end_date: Option<String>,
    currencies: Vec<CurrencyStatistics>,
}

/// One currency. Failed and cancelled items are in `by_status` only.
#[derive(ToSchema)]
pub struct CurrencyStatistics {
    currency: String,
    transaction_count: u64,
    #[schema(example = "150.00")]
    total_transaction_value: String,
    /// Rounded half to even at the currency's last digit.
    average_transaction_value: String,
    credit_total: String,
    debit_total: String,
    /// Credit less debit.
    net: String,
    #[schema(required)]
    largest: Option<String>,
    #[schema(required)]
    smallest: Option<String>,
    #[schema(required)]
    highest_transaction_day: Option<BusiestDay>,
    by_type: BTreeMap<String, Part>,
    by_status: BTreeMap<String, Part>,
    /// When an item of these UTC days last came, changed or left. It never goes back.
    #[schema(format = DateTime)]
    last_updated: String,
}

/// The day with the most items; a tie goes to the earlier day.
#[derive(ToSchema)]
pub struct BusiestDay {
    #[schema(format = Date)]
    date: String,
    count: u64,
}

#[derive(ToSchema)]
pub struct Part {
    transaction_count: u64,
    total: String,
}

#[derive(ToSchema)]
#[schema(as = Series)]
pub struct SeriesBody {
    user_id: String,
    tz: String,
    /// `day`, `week` or `month`.
    interval: String,
    #[schema(required)]
    group_by: Option<String>,
    /// Those in which something counts.
    currencies: Vec<CurrencySeries>,
}

#[derive(ToSchema)]
pub struct CurrencySeries {
    currency: String,
    groups: Vec<SeriesGroup>,
}

/// One line of a chart.
#[derive(ToSchema)]
pub struct SeriesGroup {
    /// `all` where nothing groups, a name, or a value of metadata: a number, a text, `true` or `false`,
    /// and `null` for items without a value. Numbers of one value and texts that filters take for equal
    /// are one group; an item counts under each of its values.
    group: Value,
    /// Stands only in the last line, `other`, where there are more groups than lines: so many groups
    /// are summed up there.
    #[schema(nullable = false)]
    groups_merged: Option<u64>,
    points: Vec<Point>,
}

#[derive(ToSchema)]
pub struct Point {
    /// The first day of the interval.
    #[schema(format = Date)]
    date: String,
    transaction_count: u64,
    total: String,
    credit_total: String,
    debit_total: String,
}
