//! `daybook clean`: deletes all items of users but those that show transfers, after asking.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;
use daybook_core::query::Paging;
use daybook_core::{Action, Query, Rejection, Submission, UserId};
use daybook_server::app;
use daybook_store::Store;
use serde_json::json;

use crate::output::{count, progress, say, say_json, usage};
use crate::settings::{Settings, all_users, parse_users, reach_existing};

/// Items that one commit deletes.
const BATCH: u32 = 1_000;

const EXAMPLES: &str = "Examples:
  daybook clean --user test_user_123
  daybook clean --all --yes

The event log keeps a trace of what was deleted. Items that show transfers of the ledger stay.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Whose items to delete; may stand more than once
    #[arg(long, value_name = "USER", required_unless_present = "all", conflicts_with = "all")]
    user: Vec<String>,
    /// Deletes the items of all users
    #[arg(long)]
    all: bool,
    /// Does not ask
    #[arg(long, short)]
    yes: bool,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let named = parse_users(&args.user)?;
    let store = reach_existing(&config).await?;
    let name = daybook_store::public_name(&config.store);
    let done = clean(&args, named, &*store, &name).await;
    store.close().await;
    let Some(Done { deleted, kept }) = done? else {
        bail!("nothing was deleted");
    };
    if args.json {
        say_json(&json!({ "deleted": deleted, "kept": kept }))?;
    } else if kept > 0 {
        let (deleted, kept) = (count(deleted), count(kept));
        say(format_args!("{deleted} items deleted, {kept} stay because they show transfers"))?;
    } else {
        say(format_args!("{} items deleted", count(deleted)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of the items.
struct Done {
    deleted: u64,
    /// They belong to a transfer, which nobody can delete.
    kept: u64,
}

async fn clean(
    args: &Args,
    named: Vec<UserId>,
    store: &dyn Store,
    name: &str,
) -> anyhow::Result<Option<Done>> {
    let users = if args.all { all_users(store).await? } else { named };
    let mut total = 0;
    for user in &users {
        let question = Query::all_of(user.clone(), Paging::Page { page: 1, size: 1 });
        total += store.transactions(question).await?.total.unwrap_or(0);
    }
    let whose = match users.as_slice() {
        [one] => format!("user {one}"),
        many => format!("{} users", many.len()),
    };
    if !args.yes && total > 0 && !confirmed(&whose, total, name)? {
        return Ok(None);
    }
    let bar = progress("deleting", total);
    let mut done = Done { deleted: 0, kept: 0 };
    for user in users {
        let mut after = None;
        loop {
            let paging = Paging::Cursor { after, limit: BATCH };
            let page = store.transactions(Query::all_of(user.clone(), paging)).await?;
            let erase = |id| Action::Erase { id, owner: Some(user.clone().into()), version: None };
            let actions: Vec<Action> = page.items.iter().map(|item| erase(item.id)).collect();
            bar.inc(u64::try_from(actions.len())?);
            if !actions.is_empty() {
                let submission = Submission { at: app::now(), key: None, atomic: false, actions };
                for verdict in store.commit(submission).await?.verdicts {
                    match verdict {
                        Ok(_) => done.deleted += 1,
                        Err(Rejection::BelongsToTransfer { .. }) => done.kept += 1,
                        Err(rejection) => return Err(rejection.into()),
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    bar.finish_and_clear();
    Ok(Some(done))
}

fn confirmed(whose: &str, total: u64, name: &str) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(usage("nobody is there to be asked; say --yes to delete"));
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "Delete {} items of {whose} from {name}? Type yes: ", count(total))?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}
