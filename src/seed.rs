//! `daybook seed`: records sample items.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args as ClapArgs;
use daybook_core::sample::{Sampler, Users};
use daybook_core::{Action, Submission, UserId};
use daybook_server::app;
use daybook_store::Store;
use serde_json::json;

use crate::output::{count, progress, say, say_json, usage};
use crate::settings::{Settings, reach_store};

/// Items of one commit: many, because a large commit costs less for each.
const BATCH: usize = 10_000;

const EXAMPLES: &str = "Examples:
  daybook seed
  daybook seed --count 1000000 --users 10000
  daybook seed --user ann --count 500 --days 30 --seed 7

The same --seed gives the same items, told from today on.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// How many items
    #[arg(long, value_name = "ITEMS", default_value_t = 1_000)]
    count: u64,
    /// Whose items
    #[arg(long, value_name = "USER", default_value = "test_user_123")]
    user: String,
    /// Shares the items among so many users, named sample_user_000001 and so on
    #[arg(long, value_name = "USERS", conflicts_with = "user",
          value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// Another number gives other items
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Over how many days until now the items happened
    #[arg(long, value_name = "DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let users = match args.users {
        Some(users) => Users::numbered("sample_user_", users),
        None => UserId::parse(&args.user).map(|user| Users::new(user, Vec::new())),
    };
    let users = users.map_err(|wrong| usage(format!("--user: {wrong}")))?;
    let store = reach_store(&config).await?;
    let plan = Plan { users, count: args.count, seed: args.seed, days: args.days };
    let recorded = record(&store, plan).await;
    store.close().await;
    let (recorded, took) = recorded?;
    let millis = u64::try_from(took.as_millis())?.max(1);
    let rate = recorded.saturating_mul(1_000) / millis;
    if args.json {
        say_json(&json!({ "recorded": recorded, "ms": millis, "rows_per_second": rate }))?;
    } else {
        let (recorded, rate) = (count(recorded), count(rate));
        say(format_args!("{recorded} items recorded in {millis} ms: {rate} a second"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What to make.
pub struct Plan {
    pub users: Users,
    pub count: u64,
    pub seed: u64,
    pub days: u32,
}

/// Records the items, and says how many and how long it took.
pub async fn record(store: &Arc<dyn Store>, plan: Plan) -> anyhow::Result<(u64, Duration)> {
    let started = Instant::now();
    let bar = progress("seeding", plan.count);
    let sampler = Sampler::new(plan.seed, plan.users, app::now()).days(plan.days);
    // A store likes items in the order in which they happened.
    let mut items = sampler.oldest_first(plan.count);
    // While one batch is committed, the next one is made.
    let mut batch: Vec<Action> = items.by_ref().take(BATCH).map(Action::Record).collect();
    while !batch.is_empty() {
        let made = u64::try_from(batch.len())?;
        let submission = Submission { at: app::now(), key: None, atomic: false, actions: batch };
        let store = Arc::clone(store);
        let committing = tokio::spawn(async move { store.commit(submission).await });
        batch = items.by_ref().take(BATCH).map(Action::Record).collect();
        let reply = committing.await.context("the commit did not end")??;
        for verdict in reply.verdicts {
            verdict?;
        }
        bar.inc(made);
    }
    bar.finish_and_clear();
    Ok((bar.position(), started.elapsed()))
}
