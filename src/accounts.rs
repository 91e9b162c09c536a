//! `daybook accounts`: opens accounts and shows them.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};
use daybook_core::query::{AccountsQuery, EntriesQuery};
use daybook_core::time::Moment;
use daybook_core::transaction::Vocabulary;
use daybook_core::{
    AccountId, AccountStatus, Action, Holding, NewAccount, Rejection, Timestamp, UserId,
};
use daybook_server::app;
use daybook_store::Store;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::import::object;
use crate::ledger::{Listing, Style, account_id, act, metadata, refused};
use crate::output::{Column, usage};
use crate::settings::{Settings, reach_existing, reach_store};

const EXAMPLES: &str = "Examples:
  daybook accounts open --id 1 --user ann --initial-balance 100.00
  daybook accounts list --currency EUR
  daybook accounts show 1 --at 2024-01-31
  daybook accounts statement 1 --start-date 2024-01-01 --json

Exit code 1 says that the ledger refused, and why.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Prints JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Lists accounts in the order of their numbers
    List(ListArgs),
    /// Shows an account, or its balance at a past moment
    Show(ShowArgs),
    /// Opens an account
    Open(OpenArgs),
    /// Lists the movements of an account, newest first, with the balance after each
    Statement(StatementArgs),
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook accounts list
  daybook accounts list --user ann --status open --json")]
struct ListArgs {
    /// Whose accounts
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only accounts in this currency
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Only open, frozen or closed ones
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<AccountStatus>,
    /// The most rows to show [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook accounts show 1
  daybook accounts show 1 --at 2024-01-31
  daybook accounts show 1 --at 2024-01-31T12:00:00Z --json")]
struct ShowArgs {
    /// The account's number
    #[arg(value_name = "ACCOUNT", value_parser = account_id, allow_negative_numbers = true)]
    id: AccountId,
    /// The balance at this moment, or at the end of this day, in UTC
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook accounts open --user ann --currency EUR --initial-balance 100.00
  daybook accounts open --id 1000 --name Fees --overdraft-limit unlimited
  daybook accounts open --id 7 --user bob --metadata '{\"branch\": 3}'

The opening balance comes from the equity account of the currency.")]
struct OpenArgs {
    /// The account's number [default: the next free one]
    #[arg(long, value_name = "ACCOUNT", value_parser = account_id, allow_negative_numbers = true)]
    id: Option<AccountId>,
    /// Whose it is [default: nobody's]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Its currency [default: USD]
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// What people call it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What it holds from the beginning on [default: 0]
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    initial_balance: Option<String>,
    /// How far below zero it may go: an amount, or unlimited [default: 0]
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    overdraft_limit: Option<String>,
    /// Free JSON
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook accounts statement 1
  daybook accounts statement 1 --start-date 2024-01-01 --end-date 2024-01-31
  daybook accounts statement 1 --json | jq -r .balance")]
struct StatementArgs {
    /// The account's number
    #[arg(value_name = "ACCOUNT", value_parser = account_id, allow_negative_numbers = true)]
    id: AccountId,
    /// The first moment, or the first day
    #[arg(long, value_name = "TIME")]
    start_date: Option<String>,
    /// The last moment, or the last day, in UTC
    #[arg(long, value_name = "TIME")]
    end_date: Option<String>,
    /// The most rows to show [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
}

const ACCOUNTS: &[Column] = &[
    Column::number("account", "account_id"),
    Column::text("owner", "user_id"),
    Column::text("name", "name"),
    Column::text("currency", "currency"),
    Column::number("balance", "balance"),
    Column::number("available", "available"),
    Column::number("overdraft", "overdraft_limit"),
    Column::text("status", "status"),
];

const ENTRIES: &[Column] = &[
    Column::text("posted at", "posted_at"),
    Column::text("direction", "direction"),
    Column::number("counterparty", "counterparty_account_id"),
    Column::number("amount", "amount"),
    Column::number("balance", "balance"),
    Column::text("reference", "reference"),
    Column::text("transfer", "transfer_id"),
];

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let vocabulary = config.vocabulary();
    let style = Style::of(args.json);
    match args.command {
        Command::List(args) => {
            let query = accounts_query(&args, &vocabulary)?;
            let store = reach_existing(&config).await?;
            let done = list(&*store, query, Listing::new(style, ACCOUNTS, args.limit)).await;
            store.close().await;
            done?;
        }
        Command::Show(args) => {
            let at = args.at.as_deref().map(|text| past(text, app::now())).transpose()?;
            let store = reach_existing(&config).await?;
            let shown = show(&*store, args.id, at).await;
            store.close().await;
            style.say(&shown?)?;
        }
        Command::Open(args) => {
            let body = body(args)?;
            let new =
                NewAccount::parse(&body, None, &vocabulary).map_err(|wrong| refused(&wrong))?;
            let store = reach_store(&config).await?;
            let opened = act(&*store, Action::Open(new)).await;
            store.close().await;
            style.say(&opened?.body)?;
        }
        Command::Statement(args) => {
            let query = entries_query(&args)?;
            let store = reach_existing(&config).await?;
            let done = statement(&*store, query, Listing::new(style, ENTRIES, args.limit)).await;
            store.close().await;
            done?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn status(text: &str) -> Result<AccountStatus, String> {
    AccountStatus::from_name(text)
        .ok_or_else(|| format!("the status is one of {}", AccountStatus::names()))
}

fn accounts_query(args: &ListArgs, vocabulary: &Vocabulary) -> anyhow::Result<AccountsQuery> {
    let user_id = args.user.as_deref().map(UserId::parse).transpose();
    let user_id = user_id.map_err(|wrong| usage(format!("--user: {wrong}")))?;
    let known = |code: &str| vocabulary.currencies.get(code).map(|c| c.code().to_owned());
    let currency = match &args.currency {
        Some(code) => {
            let known = known(code);
            Some(known.ok_or_else(|| usage(format!("--currency: '{code}' is no currency")))?)
        }
        None => None,
    };
    Ok(AccountsQuery { user_id, currency, status: args.status, after: None, limit: 0 })
}

async fn list(
    store: &dyn Store,
    mut query: AccountsQuery,
    mut listing: Listing,
) -> anyhow::Result<()> {
    while let Some(limit) = listing.wants() {
        query.limit = limit;
        let page = store.accounts(query.clone()).await?;
        query.after = page.items.last().map(|holding| holding.account.id);
        listing.say(page.items.iter().map(Holding::to_json).collect(), page.has_more)?;
    }
    Ok(())
}

fn moment(name: &str, text: &str) -> anyhow::Result<Moment> {
    Moment::parse(text).map_err(|wrong| usage(format!("{name}: {wrong}")))
}

/// A moment that is over: of a bare date its last one, as an end date means its whole day, and of
/// today this one.
fn past(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let moment = moment("--at", text)?;
    if moment.start(&TimeZone::UTC) > now {
        return Err(usage("--at: it lies in the future; nobody knows that balance yet"));
    }
    let end = moment.end(&TimeZone::UTC);
    Ok(Timestamp::from_micros(end.micros() - 1).min(now))
}

async fn show(store: &dyn Store, id: AccountId, at: Option<Timestamp>) -> anyhow::Result<String> {
    let found = match at {
        Some(at) => store.balance_at(id, at).await?,
        None => store.account(id).await?,
    };
    let holding = found.ok_or_else(|| refused(&Rejection::AccountNotFound { id }))?;
    let Some(at) = at else {
        return Ok(holding.to_json());
    };
    let currency = holding.account.currency;
    let balance = holding.funds.balance.to_text(currency);
    let shown = json!({ "account_id": id, "at": at, "balance": balance, "currency": currency });
    Ok(shown.to_string())
}

/// The body that the API would get.
fn body(args: OpenArgs) -> anyhow::Result<String> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    fields.extend(args.id.map(|id| ("account_id", id.to_string())));
    for (name, value) in [
        ("user_id", args.user),
        ("currency", args.currency),
        ("name", args.name),
        ("initial_balance", args.initial_balance),
        ("overdraft_limit", args.overdraft_limit),
    ] {
        fields.extend(value.map(|value| (name, json!(value).to_string())));
    }
    if let Some(text) = &args.metadata {
        fields.push(("metadata", metadata(text)?));
    }
    Ok(object(&fields))
}

fn entries_query(args: &StatementArgs) -> anyhow::Result<EntriesQuery> {
    let start = args.start_date.as_deref().map(|text| moment("--start-date", text)).transpose()?;
    let end = args.end_date.as_deref().map(|text| moment("--end-date", text)).transpose()?;
    Ok(EntriesQuery {
        account: args.id,
        from: start.map_or(Timestamp::MIN, |moment| moment.start(&TimeZone::UTC)),
        to: end.map_or(Timestamp::END, |moment| moment.end(&TimeZone::UTC)),
        before: None,
        limit: 0,
    })
}

async fn statement(
    store: &dyn Store,
    mut query: EntriesQuery,
    mut listing: Listing,
) -> anyhow::Result<()> {
    let id = query.account;
    while let Some(limit) = listing.wants() {
        query.limit = limit;
        let page = store.entries(query.clone()).await?;
        let page = page.ok_or_else(|| refused(&Rejection::AccountNotFound { id }))?;
        query.before = page.items.last().map(|entry| entry.number);
        let bodies: Result<Vec<String>, _> = page.items.iter().map(serde_json::to_string).collect();
        listing.say(bodies.context("writing a statement")?, page.has_more)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_date_means_the_end_of_its_day_and_nothing_in_the_future() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2024-02-01T09:00:00Z");
        for (text, expected) in [
            ("2024-01-31", Some("2024-01-31T23:59:59.999999Z")),
            ("2024-01-31T00:00:00Z", Some("2024-01-31T00:00:00Z")),
            ("2024-02-01", Some("2024-02-01T09:00:00Z")),
            ("2024-02-01T09:00:00Z", Some("2024-02-01T09:00:00Z")),
            ("2024-02-01T09:00:01Z", None),
            ("2024-02-02", None),
        ] {
            assert_eq!(past(text, now).ok(), expected.map(at), "{text}");
        }
    }
}
