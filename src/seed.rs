//! `daybook seed`: records sample items, straight into the store.
pub use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub struct Args {}
pub async fn run(_args: Args, _settings: &crate::settings::Settings) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
