//! `daybook events`: writes the event log as NDJSON, and follows it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use daybook_core::{Event, EventSeq, Json};
use daybook_server::work::Follower;
use daybook_store::{Error, Store};

use crate::output::{Column, say, say_json, say_table, usage};
use crate::settings::{Settings, reach_existing};
use crate::signal::Terminate;

/// Events that are read at once.
const PAGE: u32 = 500;
/// How often news is looked for.
const POLL: Duration = Duration::from_millis(50);
/// The longest name of a follower, in bytes.
const NAME_MAX: usize = 100;

const EXAMPLES: &str = "Examples:
  daybook events --after 1000 > events.ndjson
  daybook events --follow --as audit >> audit.ndjson
  daybook events followers
  daybook events forget audit

With --as the place in the log is remembered under that name, after the events were written. Of
several that run with one name, one writes and the others wait to take over; who takes over may
write the last page again, so a reader keeps the highest `seq` that it has seen.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Begins after this event; with --as, only when nobody followed by that name before
    #[arg(long, value_name = "SEQ", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// Goes on with what happens from now on, until it is told to end
    #[arg(long)]
    follow: bool,
    /// Remembers the place under this name
    #[arg(long = "as", value_name = "NAME", value_parser = name)]
    name: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows who follows the log, and how far
    Followers {
        /// Prints JSON, a line each
        #[arg(long)]
        json: bool,
    },
    /// Forgets a follower and its place
    Forget {
        #[arg(value_name = "NAME")]
        name: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > NAME_MAX || !text.bytes().all(is_plain) {
        return Err(format!("1 to {NAME_MAX} letters, digits, '-', '_' and '.' are expected"));
    }
    Ok(text.to_owned())
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let store = reach_existing(&config).await?;
    let done = match &args.command {
        None => write(&args, &store).await,
        Some(Command::Followers { json }) => followers(&*store, *json).await,
        Some(Command::Forget { name }) => forget(&*store, name).await,
    };
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn write(args: &Args, store: &Arc<dyn Store>) -> anyhow::Result<()> {
    let from = EventSeq(args.after);
    let mut told = Terminate::new()?;
    let Some(name) = &args.name else {
        return tokio::select! {
            () = told.recv() => Ok(()),
            written = write_all(&**store, from, args.follow) => written,
        };
    };
    let mut follower = Follower::new(Arc::clone(store), name.clone(), from);
    // What was written is also remembered, so it only ends between two pages.
    let written = loop {
        let events = tokio::select! {
            () = told.recv() => break Ok(()),
            events = next(&mut follower, args.follow) => events?,
        };
        let Some(last) = events.last() else { break Ok(()) };
        if let Err(error) = print(&events) {
            break Err(error);
        }
        // A store that is away must not keep the program from ending; then the page comes again.
        tokio::select! {
            () = told.recv() => break Ok(()),
            done = follower.done(last.seq) => done?,
        }
    };
    follower.release().await?;
    written
}

async fn next(follower: &mut Follower, waits: bool) -> anyhow::Result<Vec<Event>> {
    if waits {
        return Ok(follower.next().await?);
    }
    let events = follower.look().await?;
    if !follower.is_owner() {
        anyhow::bail!("somebody else follows by this name now");
    }
    Ok(events)
}

async fn write_all(store: &dyn Store, from: EventSeq, follow: bool) -> anyhow::Result<()> {
    let mut place = from;
    loop {
        let events = match store.events(place, PAGE).await {
            // It comes back, and nothing was missed.
            Err(Error::Away { .. } | Error::Busy) if follow => Vec::new(),
            events => events?,
        };
        match events.last() {
            Some(last) => {
                print(&events)?;
                place = last.seq;
            }
            None if follow => tokio::time::sleep(POLL).await,
            None => return Ok(()),
        }
    }
}

/// Writes events so that they are out of this process's hands.
fn print(events: &[Event]) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for event in events {
        serde_json::to_writer(&mut lines, event)?;
        lines.push(b'\n');
    }
    let mut out = io::stdout().lock();
    out.write_all(&lines)?;
    Ok(out.flush()?)
}

async fn followers(store: &dyn Store, json: bool) -> anyhow::Result<()> {
    let columns = [
        Column::text("name", "name"),
        Column::number("place", "place"),
        Column::number("lag", "lag"),
        Column::text("owner", "owner"),
    ];
    let newest = store.seq();
    let mut rows = Vec::new();
    for follower in store.followers().await? {
        let (place, lag) = (follower.place.0, follower.lag(newest));
        let number = |number: i64| Json::Number(number.to_string().into());
        let row = [
            ("name", Json::String(follower.name)),
            ("place", number(place)),
            ("lag", number(lag)),
            ("owner", follower.owner.map_or(Json::Null, Json::String)),
        ];
        rows.push(Json::Object(row.map(|(name, value)| (name.to_owned(), value)).into()));
    }
    if json {
        return rows.iter().try_for_each(say_json);
    }
    Ok(say_table(&columns, &rows)?)
}

async fn forget(store: &dyn Store, name: &str) -> anyhow::Result<()> {
    if store.unfollow(name.to_owned()).await? {
        return Ok(say(format_args!("forgot '{name}'"))?);
    }
    let known = store.followers().await?;
    if known.iter().any(|follower| follower.name == name) {
        anyhow::bail!("'{name}' is followed now; end that first");
    }
    Err(usage(format!("nobody follows by the name '{name}'")))
}
