//! `daybook transfers`: moves money between accounts and shows what moved.

use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};
use daybook_core::query::{TransfersQuery, Whose};
use daybook_core::transfer::parse_capture;
use daybook_core::{
    AccountId, Action, NewTransfer, Rejection, Transfer, TransferId, TransferStatus, UserId,
};
use daybook_server::app;
use daybook_store::Store;
use serde_json::json;
use uuid::Uuid;

use crate::import::object;
use crate::ledger::{Listing, Style, account_id, act, metadata, refused};
use crate::output::{Column, usage};
use crate::settings::{Settings, reach_existing};

const EXAMPLES: &str = "Examples:
  daybook transfers send --from 1 --to 2 --amount 12.50 --reference lunch-17
  daybook transfers send --from 1 --to 2 --amount 80 --hold --expires-in 3600
  daybook transfers post 01932f5e-0000-7000-8000-000000000000 --amount 64.20
  daybook transfers list --account 1 --status pending

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
    /// Lists transfers, last submitted first
    List(ListArgs),
    /// Shows a transfer
    #[command(after_help = "Examples:
  daybook transfers show 01932f5e-0000-7000-8000-000000000000 --json")]
    Show(IdArgs),
    /// Moves money from one account to another, or holds it
    Send(SendArgs),
    /// Moves what a transfer holds, or a part of it
    Post(PostArgs),
    /// Lets go of what a transfer holds, or takes back one that waits
    #[command(after_help = "Examples:
  daybook transfers void 01932f5e-0000-7000-8000-000000000000")]
    Void(IdArgs),
    /// Undoes a complete transfer by a new opposite one
    #[command(after_help = "Examples:
  daybook transfers rollback 01932f5e-0000-7000-8000-000000000000")]
    Rollback(IdArgs),
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook transfers list --limit 20
  daybook transfers list --user ann --status complete --json
  daybook transfers list --account 1 --reference lunch-17")]
struct ListArgs {
    /// Only transfers from or to this account
    #[arg(long, value_name = "ACCOUNT", value_parser = account_id, allow_negative_numbers = true,
          conflicts_with = "user")]
    account: Option<AccountId>,
    /// Only transfers from or to accounts of this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only pending, complete, failed or rollback ones
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<TransferStatus>,
    /// Only transfers with this reference
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// The most rows to show [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
}

#[derive(ClapArgs, Debug)]
struct IdArgs {
    /// The transfer's id
    #[arg(value_name = "TRANSFER")]
    id: Uuid,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook transfers send --from 1 --to 2 --amount 12.50 --currency EUR --reference lunch-17
  daybook transfers send --from 1 --to 2 --amount 80 --hold --expires-in 3600
  daybook transfers send --from 1 --to 2 --amount 5 --created-at 2024-01-31 --metadata '{\"n\": 1}'

The same --from and --reference sent again is the same transfer and moves nothing.")]
struct SendArgs {
    /// The account that pays
    #[arg(long, value_name = "ACCOUNT", value_parser = account_id, allow_negative_numbers = true)]
    from: AccountId,
    /// The account that receives
    #[arg(long, value_name = "ACCOUNT", value_parser = account_id, allow_negative_numbers = true)]
    to: AccountId,
    /// How much
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: String,
    /// The currency that both accounts must have [default: that of the account that pays]
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// A name for it, unique among the transfers from the account
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// Holds the money until the transfer is posted or voided
    #[arg(long)]
    hold: bool,
    /// Lets a hold go by itself after so many seconds
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// When it happened, not before the latest movement of either account
    #[arg(long, value_name = "TIME")]
    created_at: Option<String>,
    /// Free JSON
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  daybook transfers post 01932f5e-0000-7000-8000-000000000000
  daybook transfers post 01932f5e-0000-7000-8000-000000000000 --amount 64.20

What is not posted is free again.")]
struct PostArgs {
    /// The transfer's id
    #[arg(value_name = "TRANSFER")]
    id: Uuid,
    /// How much of it [default: all]
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: Option<String>,
}

const TRANSFERS: &[Column] = &[
    Column::text("created at", "created_at"),
    Column::text("transfer", "id"),
    Column::text("status", "status"),
    Column::number("from", "source_account_id"),
    Column::number("to", "destination_account_id"),
    Column::number("amount", "amount"),
    Column::text("currency", "currency"),
    Column::text("reference", "reference"),
];

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let style = Style::of(args.json);
    let action = match args.command {
        Command::List(args) => {
            let query = query(&args)?;
            let store = reach_existing(&config).await?;
            let done = list(&*store, query, Listing::new(style, TRANSFERS, args.limit)).await;
            store.close().await;
            done?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Show(args) => {
            let store = reach_existing(&config).await?;
            let found = store.transfer(TransferId(args.id)).await;
            store.close().await;
            let id = TransferId(args.id);
            let found = found?.ok_or_else(|| refused(&Rejection::TransferNotFound { id }))?;
            style.say(&found.to_json())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Send(args) => {
            let body = body(args)?;
            let new = NewTransfer::parse(&body, app::new_transfer_id(), &config.vocabulary());
            Action::Transfer(new.map_err(|wrong| refused(&wrong))?)
        }
        Command::Post(args) => {
            let body = args.amount.map(|amount| json!({ "amount": amount }).to_string());
            let amount = parse_capture(body.as_deref().unwrap_or(""));
            let amount = amount.map_err(|wrong| refused(&wrong))?;
            Action::Post { id: TransferId(args.id), owner: None, amount }
        }
        Command::Void(args) => Action::Void { id: TransferId(args.id), owner: None },
        Command::Rollback(args) => {
            let (id, by) = (TransferId(args.id), app::new_transfer_id());
            Action::Rollback { id, owner: None, by }
        }
    };
    let store = reach_existing(&config).await?;
    let done = act(&*store, action).await;
    store.close().await;
    style.say(&done?.body)?;
    Ok(ExitCode::SUCCESS)
}

fn status(text: &str) -> Result<TransferStatus, String> {
    TransferStatus::from_name(text)
        .ok_or_else(|| format!("the status is one of {}", TransferStatus::names()))
}

fn query(args: &ListArgs) -> anyhow::Result<TransfersQuery> {
    let user = args.user.as_deref().map(UserId::parse).transpose();
    let user = user.map_err(|wrong| usage(format!("--user: {wrong}")))?;
    let whose = match (args.account, user) {
        (Some(account), _) => Whose::Account(account),
        (None, Some(user)) => Whose::User(user),
        (None, None) => Whose::All,
    };
    let reference = args.reference.clone();
    Ok(TransfersQuery { whose, status: args.status, reference, before: None, limit: 0 })
}

async fn list(
    store: &dyn Store,
    mut query: TransfersQuery,
    mut listing: Listing,
) -> anyhow::Result<()> {
    if let Whose::Account(id) = query.whose
        && store.account(id).await?.is_none()
    {
        return Err(refused(&Rejection::AccountNotFound { id }));
    }
    while let Some(limit) = listing.wants() {
        query.limit = limit;
        let page = store.transfers(query.clone()).await?;
        query.before = page.items.last().map(|transfer| transfer.number);
        listing.say(page.items.iter().map(Transfer::to_json).collect(), page.has_more)?;
    }
    Ok(())
}

/// The body that the API would get.
fn body(args: SendArgs) -> anyhow::Result<String> {
    let mut fields = vec![
        ("source_account_id", args.from.to_string()),
        ("destination_account_id", args.to.to_string()),
        ("amount", json!(args.amount).to_string()),
        ("pending", args.hold.to_string()),
    ];
    for (name, value) in [
        ("currency", args.currency),
        ("reference", args.reference),
        ("created_at", args.created_at),
    ] {
        fields.extend(value.map(|value| (name, json!(value).to_string())));
    }
    fields.extend(args.expires_in.map(|seconds| ("expires_in", seconds.to_string())));
    if let Some(text) = &args.metadata {
        fields.push(("metadata", metadata(text)?));
    }
    Ok(object(&fields))
}
