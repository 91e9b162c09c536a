//! The benchmark: drives the real server over the loopback and prints what it does a second, and
//! how long a request takes, always beside baselines that are measured in the same run. It starts
//! its own servers on files or databases of its own and leaves nothing behind.

mod client;
mod ledger;
mod load;
mod pair;
mod pgbench;
mod raw;
mod raw_ledger;
mod reads;
mod report;
mod server;
mod stores;
mod trust;
mod writes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::report::Report;
use crate::server::Program;
use crate::stores::{Address, Stores};

/// What to measure and how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How many items the users have who are compared with each other, smallest first
    #[arg(long, value_delimiter = ',', default_value = "1000,100000,1000000")]
    pub sizes: Vec<u64>,
    /// How many seconds a throughput is measured; a latency takes a third of it
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// How many connections press at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub connections: u16,
    /// How many users the recorded items belong to
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// Writes the numbers as JSON too; `-` writes them to the standard output instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The folder for the files, on the disk that is to be measured [default: the temporary one]
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Measures only one part
    #[arg(long, value_name = "PART")]
    pub only: Option<Part>,
    /// Measures little, only to see that all of it works
    #[arg(long)]
    pub quick: bool,
    /// The program to measure [default: this one]
    #[arg(long, value_name = "FILE", hide = true)]
    pub program: Option<PathBuf>,
}

/// A part of what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Items: recorded, read, searched and counted
    Feed,
    /// Items: recorded
    Writes,
    /// Items: read, searched and counted
    Reads,
    /// Accounts and transfers
    Ledger,
    /// Items recorded and read with tokens, limits and encryption, and without
    Trust,
    /// Two processes on one PostgreSQL database
    Processes,
}

impl Part {
    /// Whether the other is measured where only this is asked for.
    fn holds(self, other: Self) -> bool {
        self == other || (self == Self::Feed && matches!(other, Self::Writes | Self::Reads))
    }
}

/// How much of everything a run does.
#[derive(Clone, Debug)]
struct Plan {
    /// At least one; smallest first.
    sizes: Vec<u64>,
    throughput: Duration,
    latency: Duration,
    connections: usize,
    users: u32,
    /// Rows that each kind of batch records.
    batch_rows: usize,
    /// Different bodies of each kind of single creates.
    create_bodies: usize,
    /// How many accounts money moves among.
    accounts: u64,
    /// Transfers that batches make.
    transfers: usize,
    /// How many entries the accounts have whose statements are compared, fewest first.
    entries: [u64; 2],
    only: Option<Part>,
}

impl Plan {
    fn of(args: &Args) -> Result<Self> {
        let mut sizes = if args.quick { vec![500, 2_000] } else { args.sizes.clone() };
        sizes.sort_unstable();
        sizes.dedup();
        if sizes.first().is_none_or(|smallest| *smallest < 100) {
            bail!("a size is at least 100 items, or there is nothing to page through");
        }
        let seconds = usize::try_from(args.seconds)?;
        let throughput =
            if args.quick { Duration::from_millis(300) } else { Duration::from_secs(args.seconds) };
        Ok(Self {
            sizes,
            throughput,
            latency: throughput / 3,
            connections: args.connections.into(),
            users: args.users,
            batch_rows: if args.quick { 10_000 } else { 100_000 },
            // More than a server takes in the time, so that no record is sent twice.
            create_bodies: if args.quick { 10_000 } else { 30_000 * seconds.min(12) },
            accounts: if args.quick { 500 } else { 10_000 },
            transfers: if args.quick { 16_000 } else { 160_000 },
            entries: if args.quick { [10, 2_000] } else { [10, 1_000_000] },
            only: args.only,
        })
    }
}

/// Measures everything and prints the report. The URL of a database on a PostgreSQL server says
/// that the stores are databases there; without one they are files.
///
/// # Errors
/// When a server cannot be started or stops answering, or the report cannot be written. A target
/// that is not met is no error.
pub fn run(args: &Args, server: Option<&str>) -> Result<()> {
    let plan = Plan::of(args)?;
    let binary = match &args.program {
        Some(program) => std::path::absolute(program)?,
        None => std::env::current_exe().context("finding this program")?,
    };
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(std::path::absolute(folder)?),
        None => tempfile::tempdir(),
    };
    let folder = folder.context("making a folder for the files")?;
    let files = folder.path().to_owned();
    let stores = match server {
        Some(url) => Stores::Server(Address::new(url)),
        None => Stores::Files(files.clone()),
    };
    let program = Program { binary, folder: files, stores };

    // A thread of its own, because the caller may be inside an asynchronous runtime.
    let measuring = std::thread::spawn(move || measure(&plan, &program));
    let report = measuring.join().map_err(|_| anyhow!("the benchmark panicked"))??;
    publish(&report, args.json.as_deref())
}

fn measure(plan: &Plan, program: &Program) -> Result<Report> {
    let mut report = Report::new();
    let wanted = |part| plan.only.is_none_or(|only| only.holds(part));
    if wanted(Part::Writes) {
        writes::measure(plan, program, &mut report)?;
    }
    if wanted(Part::Reads) {
        reads::measure(plan, program, &mut report)?;
    }
    if wanted(Part::Ledger) {
        ledger::measure(plan, program, &mut report)?;
    }
    if wanted(Part::Trust) {
        trust::measure(plan, program, &mut report)?;
    }
    // A file belongs to one process.
    if program.stores.are_on_a_server() && wanted(Part::Processes) {
        pair::measure(plan, program, &mut report)?;
    }
    Ok(report)
}

fn publish(report: &Report, json: Option<&Path>) -> Result<()> {
    let numbers = serde_json::to_string_pretty(report)?;
    match json {
        Some(path) if path == Path::new("-") => println!("{numbers}"),
        Some(path) => {
            let written = std::fs::write(path, numbers);
            written.with_context(|| format!("writing {}", path.display()))?;
            print!("{report}");
        }
        None => print!("{report}"),
    }
    if !report.all_met() {
        eprintln!("Not every target is met.");
    }
    Ok(())
}

/// Says what is being done; a run takes minutes.
fn say(what: &str) {
    eprintln!("… {what}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn plan(words: &[&str]) -> Result<Plan> {
        let cli = Cli::try_parse_from([&["bench"], words].concat());
        Plan::of(&cli.unwrap().args)
    }

    #[test]
    fn sizes_are_measured_from_the_smallest_on() {
        assert_eq!(plan(&["--sizes", "5000,1000,5000"]).unwrap().sizes, [1_000, 5_000]);
        assert_eq!(plan(&[]).unwrap().sizes, [1_000, 100_000, 1_000_000]);
        assert!(plan(&["--sizes", "5"]).is_err());
    }

    #[test]
    fn a_quick_run_is_short() {
        let quick = plan(&["--quick"]).unwrap();
        assert!(quick.throughput <= Duration::from_secs(1));
        assert!(quick.sizes.iter().all(|size| *size <= 10_000));
    }
}
