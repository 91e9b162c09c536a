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

/// What stays silent whatever is asked for: the driver logs the parameters of every statement, and
/// so what items and people say.
const SILENCED: [&str; 2] = ["tokio_postgres=warn", "tokio_postgres::query=warn"];

/// Sends log lines to standard error from now on.
///
/// # Errors
/// When the filter cannot be read, or the process logs already.
pub fn init(format: Format, filter: &str) -> Result<(), Error> {
    let bad = || Error::BadFilter { filter: filter.to_owned() };
    let mut chosen = EnvFilter::try_new(filter).map_err(|_| bad())?;
    for silenced in SILENCED {
        chosen = chosen.add_directive(silenced.parse().map_err(|_| bad())?);
    }
    let lines = tracing_subscriber::fmt().with_env_filter(chosen).with_writer(std::io::stderr);
    let set = match format {
        Format::Text => lines.finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    set.map_err(|_| Error::AlreadySet)
}
