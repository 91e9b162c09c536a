//! Logs: how they look and where they go.

use std::backtrace::{Backtrace, BacktraceStatus};

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

/// From now on a panic says where it was, but not what: its message may be made of what a request
/// said. Messages that stand in the program as they are hold nothing of anybody.
pub fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload().downcast_ref::<&'static str>().copied();
        let reason = reason.unwrap_or("its message is not shown, because it may hold data");
        let trace = Backtrace::capture();
        let trace = (trace.status() == BacktraceStatus::Captured).then_some(trace);
        if tracing::dispatcher::has_been_set() {
            let trace = trace.map(tracing::field::display);
            tracing::error!(place, reason, trace, "a panic");
        } else {
            let trace = trace.map(|trace| format!("\n{trace}")).unwrap_or_default();
            eprintln!("a panic at {place}: {reason}{trace}");
        }
    }));
}
