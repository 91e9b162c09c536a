//! What the commands for accounts and transfers share: one action, refusals as sentences, lists.

use anyhow::bail;
use daybook_core::write_set::{Outcome, Recorded};
use daybook_core::{AccountId, Action, FieldError, Json, Rejection, Submission};
use daybook_server::app;
use daybook_store::Store;
use serde_json::value::RawValue;

use crate::output::{Column, note, say, say_fields, say_table, usage};

/// Rows that are read, and shown as one table, at once.
const PAGE: u32 = 1_000;
/// The deepest JSON that is shown: metadata, and the object around it.
const DEPTH_MAX: usize = daybook_core::limits::METADATA_DEPTH_MAX + 2;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Json,
    Table,
}

impl Style {
    pub fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }

    /// Shows one object of the API.
    pub fn say(self, body: &str) -> anyhow::Result<()> {
        match self {
            Self::Json => say(body)?,
            Self::Table => say_fields(&Json::parse(body, DEPTH_MAX)?)?,
        }
        Ok(())
    }
}

/// Does one thing, and gives back what is recorded then.
pub async fn act(store: &dyn Store, action: Action) -> anyhow::Result<Recorded> {
    let reply = store.commit(Submission::one(app::now(), action)).await?;
    match reply.verdicts.into_iter().next() {
        Some(Ok(Outcome::Created(recorded) | Outcome::Updated(recorded))) => Ok(recorded),
        Some(Ok(Outcome::Unchanged(recorded))) => {
            note("it is so already; nothing was changed");
            Ok(recorded)
        }
        Some(Err(rejection)) => Err(refused(&rejection)),
        Some(Ok(Outcome::Ignored(_) | Outcome::Deleted(_))) | None => {
            bail!("the store gave no answer")
        }
    }
}

/// A refusal as the sentences and codes that say why.
pub fn refused(rejection: &Rejection) -> anyhow::Error {
    let field = |error: &FieldError| {
        let name = error.pointer.trim_start_matches('/');
        format!("{name}: {} ({})", error.detail, error.code)
    };
    match rejection {
        Rejection::Invalid(errors) if !errors.is_empty() => {
            let fields: Vec<String> = errors.iter().map(field).collect();
            anyhow::anyhow!(fields.join("; "))
        }
        other => anyhow::anyhow!("{other} ({})", other.code()),
    }
}

/// Reads the number of an account, that of an equity account included.
pub fn account_id(text: &str) -> Result<AccountId, String> {
    let number = text.parse::<i64>().ok().filter(|number| *number != 0);
    number.map(AccountId).ok_or_else(|| "an account id is a whole number, not 0".to_owned())
}

/// Checks that a text is JSON, so that it can stand in a body as it is.
pub fn metadata(text: &str) -> anyhow::Result<String> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => Ok(raw.get().to_owned()),
        Err(error) => Err(usage(format!("--metadata: this is no JSON: {error}"))),
    }
}

/// A list that is read page by page and shown as it comes.
pub struct Listing {
    style: Style,
    columns: &'static [Column],
    /// How many rows may still be shown.
    left: u64,
    has_more: bool,
}

impl Listing {
    pub fn new(style: Style, columns: &'static [Column], limit: Option<u64>) -> Self {
        Self { style, columns, left: limit.unwrap_or(u64::MAX), has_more: true }
    }

    /// How many rows to read next; `None` when all are shown.
    pub fn wants(&self) -> Option<u32> {
        let next = u32::try_from(self.left).map_or(PAGE, |left| left.min(PAGE));
        (self.has_more && next > 0).then_some(next)
    }

    /// Shows a page of bodies.
    pub fn say(&mut self, bodies: Vec<String>, has_more: bool) -> anyhow::Result<()> {
        self.has_more = has_more;
        self.left = self.left.saturating_sub(u64::try_from(bodies.len())?);
        match self.style {
            Style::Json => bodies.iter().try_for_each(say)?,
            Style::Table => {
                let rows: Result<Vec<Json>, _> =
                    bodies.iter().map(|body| Json::parse(body, DEPTH_MAX)).collect();
                say_table(self.columns, &rows?)?;
            }
        }
        Ok(())
    }
}
