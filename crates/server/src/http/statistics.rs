//! A user's totals, and points for a chart.

use axum::extract::State;
use axum::response::Response;
use daybook_core::UserId;
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::transaction::Vocabulary;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::answer;
use super::books::Books;
use super::caller::CanRead;
use super::error::Result;
use super::request::{Params, PathUser, Reader};
use super::schema::{
    ReadHeaders, ReadProblems, SeriesBody, SeriesParams, StatisticsBody, StatisticsParams,
    UserParam,
};
use crate::app::App;

#[derive(Serialize)]
struct StatisticsAnswer<'a> {
    user_id: &'a UserId,
    tz: &'a str,
    start_date: Option<&'a str>,
    end_date: Option<&'a str>,
    currencies: &'a [Statistics],
}

/// Counts and sums a user's items, one entry per currency, never mixed.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/statistics", tag = "statistics",
    operation_id = "getStatistics", params(UserParam, StatisticsParams, ReadHeaders),
    responses((status = 200, description = "The totals.", body = StatisticsBody), ReadProblems),
)]
pub async fn statistics(
    State(app): State<App>,
    CanRead(caller): CanRead,
    books: Books,
    PathUser(user): PathUser,
    params: Params,
) -> Result<Response> {
    params.only(&["start_date", "end_date", "tz", "currency"])?;
    caller.check(&user)?;
    let mut reader = Reader::new(&params);
    let asked = Asked::read(&mut reader, &params, app.vocabulary());
    reader.finish()?;
    let Asked { span, currencies, start_date, end_date, tz } = asked;
    let found = books.statistics(user.clone(), span, currencies).await?;
    answer::of(&StatisticsAnswer { user_id: &user, tz, start_date, end_date, currencies: &found })
}

#[derive(Serialize)]
struct SeriesAnswer<'a> {
    user_id: &'a UserId,
    tz: &'a str,
    interval: &'a str,
    group_by: Option<&'a str>,
    currencies: &'a [Series],
}

/// Totals per day, week or month, for a chart.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/statistics/series", tag = "statistics",
    operation_id = "getStatisticsSeries", params(UserParam, SeriesParams, ReadHeaders),
    responses((status = 200, description = "The points.", body = SeriesBody), ReadProblems),
)]
pub async fn series(
    State(app): State<App>,
    CanRead(caller): CanRead,
    books: Books,
    PathUser(user): PathUser,
    params: Params,
) -> Result<Response> {
    params.only(&["interval", "group_by", "start_date", "end_date", "tz", "currency"])?;
    caller.check(&user)?;
    let mut reader = Reader::new(&params);
    let Asked { span, currencies, tz, .. } = Asked::read(&mut reader, &params, app.vocabulary());
    let name = reader.one("interval").unwrap_or("day");
    let interval = Interval::from_name(name).unwrap_or_else(|| {
        reader.error("interval", "ONE_OF", "`interval` is one of day, week, month");
        Interval::Day
    });
    let group_name = reader.one("group_by");
    let group_by = group_name.map(GroupBy::from_name).unwrap_or(Some(GroupBy::None));
    let group_by = group_by.unwrap_or_else(|| {
        let detail = "`group_by` is one of side, transaction_type, product, metadata.<path>";
        reader.error("group_by", "ONE_OF", detail);
        GroupBy::None
    });
    reader.finish()?;
    let found = books.series(user.clone(), span, currencies, interval, group_by).await?;
    answer::of(&SeriesAnswer {
        user_id: &user,
        tz,
        interval: name,
        group_by: group_name,
        currencies: &found,
    })
}

/// The parameters that both calls share.
struct Asked<'a> {
    span: Span,
    currencies: Vec<String>,
    start_date: Option<&'a str>,
    end_date: Option<&'a str>,
    tz: &'a str,
}

impl<'a> Asked<'a> {
    fn read(reader: &mut Reader<'a>, params: &'a Params, vocabulary: &Vocabulary) -> Self {
        let name = reader.one("tz").unwrap_or("UTC");
        let tz = daybook_core::time::zone(name).unwrap_or_else(|| {
            let detail = "there is no such time zone; write it as Europe/Madrid";
            reader.error("tz", "UNKNOWN_TIME_ZONE", detail);
            TimeZone::UTC
        });
        let (from, to) = reader.range(&tz);
        Self {
            currencies: currencies(reader, params, vocabulary),
            span: Span { from, to, tz },
            start_date: params.all("start_date").next(),
            end_date: params.all("end_date").next(),
            tz: name,
        }
    }
}

fn currencies(reader: &mut Reader<'_>, params: &Params, vocabulary: &Vocabulary) -> Vec<String> {
    let mut codes: Vec<String> = Vec::new();
    for code in params.all("currency") {
        let code = reader.currency_code(code, vocabulary);
        codes.extend(code.filter(|code| !codes.contains(code)));
    }
    if codes.len() > daybook_core::limits::FILTER_VALUES_MAX {
        let max = daybook_core::limits::FILTER_VALUES_MAX;
        reader.error("currency", "REPEATED", format!("`currency` stands more than {max} times"));
    }
    codes
}
