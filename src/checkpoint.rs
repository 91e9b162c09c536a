//! `daybook checkpoint`: a signed statement of what the event log says now.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args as ClapArgs;
use daybook_core::EventSeq;
use daybook_server::app;
use daybook_server::checkpoint::{Checkpoint, Signer};
use daybook_server::config::Config;
use serde::Deserialize;

use crate::output::{say, usage};
use crate::remote;
use crate::settings::{Settings, is_held, reach_existing};

const EXAMPLES: &str = "Examples:
  openssl genpkey -algorithm ed25519 -out checkpoint.pem
  openssl pkey -in checkpoint.pem -pubout -out checkpoint-public.pem
  daybook checkpoint --key checkpoint.pem > checkpoint-$(date +%F)
  daybook verify --checkpoint checkpoint-2026-01-15 --public-key checkpoint-public.pem

Keep checkpoints where whoever can write to the store cannot. A server that holds the store is asked
for what it has: by the socket beside the file, or at its `listen` address, with a token that `secret`
signs or that DAYBOOK_TOKEN is. It gives signed ones too, at GET /api/v1/checkpoint.";

#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Signs with this private key in PEM [default: auth.checkpoint_key, else the secret]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = settings.config()?;
    let signer = match &args.key {
        Some(path) => Some(Signer::file(path)?),
        None => config.checkpoint_signer()?,
    };
    let Some(signer) = signer else {
        return Err(usage("there is nothing to sign with; name a private key with --key FILE"));
    };
    let signed = sign(&config, &signer).await?;
    say(signed)?;
    Ok(ExitCode::SUCCESS)
}

async fn sign(config: &Config, signer: &Signer) -> anyhow::Result<String> {
    let newest = match reach_existing(config).await {
        Ok(store) => {
            let seq = store.seq();
            let link = store.link(seq).await;
            store.close().await;
            link?.map(|link| Checkpoint::new(seq, &link))
        }
        Err(error) if is_held(&error) => ask(config).await?,
        Err(error) => return Err(error),
    };
    let Some(newest) = newest else {
        anyhow::bail!("there is no event yet, so there is nothing to sign");
    };
    Ok(signer.sign(&newest)?)
}

/// Asks the server that has the store; who signs is this command all the same.
async fn ask(config: &Config) -> anyhow::Result<Option<Checkpoint>> {
    #[derive(Deserialize)]
    struct Newest {
        seq: EventSeq,
        link: Option<String>,
    }
    let answer = remote::own(config)?.get(&["checkpoint"], &[]).await?;
    let Newest { seq, link } =
        serde_json::from_value(answer).context("the server does not say what it has")?;
    Ok(link.map(|link| Checkpoint { seq, link, iat: app::now().seconds() }))
}
