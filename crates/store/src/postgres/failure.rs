//! What the driver's errors mean.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::Error;

/// An error with the errors behind it.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// That the database cannot be reached.
pub fn away(reason: impl Into<String>) -> Error {
    Error::Away { reason: reason.into() }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(code) = error.code() else {
            // The server said nothing, so the connection is lost, or the driver misunderstood.
            let io = std::error::Error::source(&error)
                .is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            let lost = error.is_closed() || io || is_about_connecting(&error);
            return if lost { away(describe(&error)) } else { Self::Driver(Box::new(error)) };
        };
        match *code {
            SqlState::DISK_FULL => Self::DiskFull,
            SqlState::QUERY_CANCELED => Self::TooBroad { limit: Duration::ZERO },
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::TOO_MANY_CONNECTIONS => Self::Busy,
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            | SqlState::READ_ONLY_SQL_TRANSACTION
            // What another connection prepared is not here: a pooler, or a server that changed.
            | SqlState::INVALID_SQL_STATEMENT_NAME
            | SqlState::FEATURE_NOT_SUPPORTED => away(describe(&error)),
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => {
                Self::Corrupt { what: describe(&error) }
            }
            _ if code.code().starts_with("08") => away(describe(&error)),
            _ => Self::Driver(Box::new(error)),
        }
    }
}

/// The driver does not tell these errors apart but by their text.
fn is_about_connecting(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    ["error connecting to server", "timeout waiting for server", "error performing TLS handshake"]
        .iter()
        .any(|known| text.starts_with(known))
}
