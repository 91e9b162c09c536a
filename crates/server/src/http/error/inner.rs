//! Refusals and failures of the rules and of the store, as HTTP names them.

use axum::http::StatusCode;
use daybook_core::Rejection;
use daybook_core::query::QueryError;
use daybook_store as store;

use super::{Fault, Problem};

pub fn refused(rejection: Rejection) -> Problem {
    use StatusCode as S;
    let status = match &rejection {
        Rejection::Malformed(_) => S::BAD_REQUEST,
        Rejection::NotFound { .. }
        | Rejection::AccountNotFound { .. }
        | Rejection::TransferNotFound { .. }
        | Rejection::KeyNotFound { .. } => S::NOT_FOUND,
        Rejection::NotYours { .. }
        | Rejection::NotYourUser { .. }
        | Rejection::BackdatedByUser
        | Rejection::NotYourAccount { .. }
        | Rejection::NotYourTransfer { .. } => S::FORBIDDEN,
        Rejection::IllegalMove { .. }
        | Rejection::StaleVersion { .. }
        | Rejection::RecordConflict(_)
        | Rejection::IdTaken { .. }
        | Rejection::Deleted { .. }
        | Rejection::BelongsToTransfer { .. }
        | Rejection::AccountExists { .. }
        | Rejection::NoAccountIdLeft
        | Rejection::TooManyAccounts { .. }
        | Rejection::AccountFrozen { .. }
        | Rejection::AccountClosed { .. }
        | Rejection::AccountNotEmpty { .. }
        | Rejection::LimitInUse { .. }
        | Rejection::IsEquity { .. }
        | Rejection::StaleAccount { .. }
        | Rejection::DuplicateReference { .. }
        | Rejection::IllegalTransfer { .. }
        | Rejection::NotHeld { .. }
        | Rejection::StillHeld { .. }
        | Rejection::IsRollback { .. }
        | Rejection::HoldExpired { .. }
        | Rejection::KeyExists { .. }
        | Rejection::KeyOver { .. } => S::CONFLICT,
        Rejection::Invalid(_)
        | Rejection::CurrenciesDiffer { .. }
        | Rejection::InsufficientFunds { .. }
        | Rejection::BalanceOverflow { .. }
        | Rejection::EquityOverflow { .. }
        | Rejection::OutOfOrder { .. }
        | Rejection::InFuture
        | Rejection::MoreThanHeld { .. }
        | Rejection::KeyReused
        | Rejection::BatchRefused => S::UNPROCESSABLE_ENTITY,
    };
    let mut problem = Problem::new(status, rejection.code(), rejection.to_string());
    if let Rejection::Invalid(errors) = rejection {
        problem.errors = errors.into_iter().map(Fault::from).collect();
    } else if let Rejection::RecordConflict(conflict) = rejection {
        problem.conflict = Some(conflict);
    }
    problem
}

pub fn unasked(error: QueryError) -> Problem {
    use StatusCode as S;
    match error {
        QueryError::UnknownParameter { name, known } => {
            let nearest = nearest(&name, known.split(", "));
            let hint = nearest.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            let known = if known.is_empty() { "it takes none".to_owned() } else { known };
            let shown: String = name.chars().take(64).collect();
            let detail = format!("there is no parameter '{shown}' here{hint} (known: {known})");
            Problem::new(S::BAD_REQUEST, "UNKNOWN_PARAMETER", detail)
        }
        error @ QueryError::MissingUser => {
            Problem::new(S::BAD_REQUEST, "MISSING_USER_ID", error.to_string())
        }
        error @ QueryError::BadCursor => {
            Problem::new(S::BAD_REQUEST, "INVALID_CURSOR", error.to_string())
        }
        QueryError::Invalid(errors) => {
            let detail = match errors.as_slice() {
                [one] => one.detail.clone(),
                many => format!("{} parameters break a rule; see `errors`", many.len()),
            };
            let errors = errors.into_iter().map(Fault::from).collect();
            let problem = Problem::new(S::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED", detail);
            Problem { errors, ..problem }
        }
    }
}

pub fn unstored(error: &store::Error) -> Problem {
    use StatusCode as S;
    let (status, code, retry_after_s) = match error {
        store::Error::Busy => (S::SERVICE_UNAVAILABLE, "STORE_BUSY", Some(1)),
        store::Error::DiskFull => (S::SERVICE_UNAVAILABLE, "DISK_FULL", Some(30)),
        store::Error::Closed => (S::SERVICE_UNAVAILABLE, "STORE_CLOSED", Some(5)),
        store::Error::Away { .. } => (S::SERVICE_UNAVAILABLE, "STORE_AWAY", Some(2)),
        store::Error::TooBroad { .. } => (S::UNPROCESSABLE_ENTITY, "TOO_BROAD", None),
        store::Error::TooManyPoints { .. } => (S::UNPROCESSABLE_ENTITY, "TOO_MANY_POINTS", None),
        store::Error::Sealed { .. } => (S::UNPROCESSABLE_ENTITY, "SEALED", None),
        // Another server has rotated them.
        store::Error::UnknownMasters { .. } => {
            (S::SERVICE_UNAVAILABLE, "MASTER_KEYS_MISSING", Some(5))
        }
        store::Error::NotSealing => (S::CONFLICT, "NOT_SEALING", None),
        store::Error::Locked { .. }
        | store::Error::TooNew { .. }
        | store::Error::CannotOpen { .. }
        | store::Error::CannotCopy { .. }
        | store::Error::BadUrl { .. }
        | store::Error::NoBackup
        | store::Error::ReadOnly
        | store::Error::BadReplica { .. }
        | store::Error::NoMasterKey { .. }
        | store::Error::NoRing { .. }
        | store::Error::ForeignRing { .. }
        | store::Error::Remote(_)
        | store::Error::Corrupt { .. }
        | store::Error::Driver(_) => return Problem::ours(error),
    };
    let again = if retry_after_s.is_some() { "; try again in a while" } else { "" };
    Problem { retry_after_s, ..Problem::new(status, code, format!("{error}{again}")) }
}

/// The known name that a mistyped one was meant to be.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
