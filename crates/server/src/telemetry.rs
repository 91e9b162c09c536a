//! Logs: how they look and where they go.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("'{filter}' is no log filter; write info, or warn,daybook=debug")]
    BadFilter { filter: String },
    #[error("logging was set up before")]
    AlreadySet,
}

/// Sends log lines to standard error from now on.
///
/// # Errors
/// When the filter cannot be read, or the process logs already.
pub fn init(format: Format, filter: &str) -> Result<(), Error> {
    let filter =
        EnvFilter::try_new(filter).map_err(|_| Error::BadFilter { filter: filter.to_owned() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        Format::Text => lines.finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    set.map_err(|_| Error::AlreadySet)
}
