//! `daybook token`: signs an access token with the configured secret.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args as ClapArgs;
use daybook_core::UserId;
use daybook_server::auth::{Scope, Subject, issue};
use serde_json::json;

use crate::output::{say, say_json, usage};
use crate::settings::Settings;

const EXAMPLES: &str = "Examples:
  daybook token --user ann
  daybook token --service --scope feed:read --scope ledger:write --ttl 86400
  curl -H \"Authorization: Bearer $(daybook token --user ann)\" \\
    localhost:8000/api/v1/transactions

Signs with `secret` (DAYBOOK_SECRET), the one that the server has.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The user that the token speaks for
    #[arg(long, value_name = "USER", required_unless_present = "service")]
    user: Option<String>,
    /// The token is a system's, which may name any user
    #[arg(long, conflicts_with = "user", requires = "scope")]
    service: bool,
    /// What a system may do: feed:read, feed:write, ledger:read, ledger:write, ops or admin
    #[arg(long, value_name = "SCOPE", requires = "service")]
    scope: Vec<String>,
    /// How many seconds the token is good for [default: auth.token_ttl_s]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    ttl: Option<u64>,
    /// Prints JSON, as POST /auth/token answers
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let Some(secret) = config.secret.reveal() else {
        return Err(usage("there is no secret to sign with; set DAYBOOK_SECRET to the server's"));
    };
    let subject = match &args.user {
        Some(user) => {
            Subject::User(UserId::parse(user).map_err(|wrong| usage(format!("--user: {wrong}")))?)
        }
        None => Subject::Service(scopes(&args.scope)?),
    };
    let expires_in = args.ttl.unwrap_or(config.auth.token_ttl_s);
    let token = issue(secret, &subject, Duration::from_secs(expires_in))?;
    if args.json {
        let kind = "bearer";
        say_json(&json!({ "access_token": token, "token_type": kind, "expires_in": expires_in }))?;
    } else {
        say(token)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn scopes(names: &[String]) -> anyhow::Result<Vec<Scope>> {
    let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
    let scope = |name: &String| {
        let unknown = || usage(format!("--scope: '{name}' is none of {}", known.join(", ")));
        Scope::from_name(name).ok_or_else(unknown)
    };
    names.iter().map(scope).collect()
}
