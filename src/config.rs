//! `daybook config`: prints what is in effect, and who said so.

use std::process::ExitCode;

use clap::Args as ClapArgs;
use daybook_server::config::DEFAULT_TOML;

use crate::output::say;
use crate::settings::Settings;

const EXAMPLES: &str = "Examples:
  daybook config
  daybook config --default > daybook.toml
  DAYBOOK_LISTEN=127.0.0.1:9000 daybook config";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Prints the defaults with their explanations instead, to begin a daybook.toml with
    #[arg(long)]
    default: bool,
}

pub fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    if args.default {
        say(DEFAULT_TOML.trim_end())?;
    } else {
        say(settings.load(Vec::new())?.to_toml().trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
