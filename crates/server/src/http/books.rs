//! The books as a read may see them: no older than its client demands.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use daybook_core::EventSeq;
use daybook_store::{Reader, Store};

use super::error::{Error, Result};
use crate::app::App;

pub(super) const MIN_COMMIT_SEQ: HeaderName = HeaderName::from_static("x-min-commit-seq");

/// Who answers a read: the store, or a replica that keeps up. A request that names the newest event
/// it must see (`X-Min-Commit-Seq`) is not answered from before that event.
pub struct Books(Arc<dyn Store>);

impl Deref for Books {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl FromRequestParts<App> for Books {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let wanted = match parts.headers.get(MIN_COMMIT_SEQ) {
            None => 0,
            Some(value) => {
                let number = value.to_str().ok().and_then(|text| text.parse::<i64>().ok());
                number.filter(|number| *number >= 0).ok_or_else(|| Error::BadHeader {
                    name: "X-Min-Commit-Seq",
                    detail: "a whole number, as X-Commit-Seq gave it, is expected".to_owned(),
                })?
            }
        };
        match app.store().reader(EventSeq(wanted)).await? {
            Reader::Itself => Ok(Self(app.shared_store())),
            Reader::Replica(replica) => Ok(Self(replica)),
            Reader::Nobody => Err(Error::Behind { seq: app.store().seq() }),
        }
    }
}
