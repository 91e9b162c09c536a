//! `daybook bench`: measures how fast this machine serves.

use std::process::ExitCode;

pub use daybook_bench::Args;

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    daybook_bench::run(args).map(|()| ExitCode::SUCCESS)
}
