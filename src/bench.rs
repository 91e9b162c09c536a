//! `daybook bench`: measures how fast this machine serves.

use std::process::ExitCode;

pub use daybook_bench::Args;

use crate::output::usage;
use crate::settings::Settings;

pub fn run(args: &Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let server = settings.named_store();
    if server.is_some_and(|url| !url.starts_with("postgres")) {
        let why = "files of its own are made; --store names a PostgreSQL server to measure instead";
        return Err(usage(why.to_owned()));
    }
    daybook_bench::run(args, server).map(|()| ExitCode::SUCCESS)
}
