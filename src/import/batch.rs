//! Rows by the thousand: checked, committed in one go, and each accounted for.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, bail};
use daybook_core::command::ExternalKey;
use daybook_core::id::fnv128;
use daybook_core::json::Fields;
use daybook_core::transaction::Vocabulary;
use daybook_core::{
    Action, IdempotencyKey, NewTransaction, Outcome, Rejection, Submission, TransactionId, UserId,
};
use daybook_server::app;
use daybook_store::Store;
use uuid::Uuid;

use super::convert::object;
use super::lines::Place;
use super::rows::Rows;
use super::state::{Counts, State};

/// The most bytes of rows in one commit: long rows make shorter batches, not more memory.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What Daybook itself gave an exported item; what an item says of itself is the rest.
const GIVEN: &[&str] = &["id", "display", "version", "recorded_at", "updated_at"];

/// Checks rows and commits them.
pub struct Importer {
    /// `None` where rows are checked only.
    pub store: Option<Arc<dyn Store>>,
    pub vocabulary: Vocabulary,
    pub user: Option<UserId>,
}

/// A row that passed the checks.
struct Item {
    line: u64,
    raw: Vec<u8>,
    new: NewTransaction,
    /// The item was exported and brings the id that it had.
    has_own_id: bool,
}

/// Rows to commit, or what became of them.
pub struct Batch {
    pub end: Place,
    pub counts: Counts,
    pub rejected: Vec<(u64, Rejection, Vec<u8>)>,
    items: Vec<Item>,
    key: IdempotencyKey,
}

impl Batch {
    fn reject(&mut self, line: u64, rejection: Rejection, raw: Vec<u8>) {
        self.counts.rejected += 1;
        self.rejected.push((line, rejection, raw));
    }
}

impl Importer {
    /// Reads and checks the rows of the batch that begins at a place; `None` when there are none.
    pub fn read(
        &self,
        rows: &mut Rows,
        state: &State,
        from: Place,
    ) -> anyhow::Result<Option<Batch>> {
        let (offset, run) = (from.offset.to_le_bytes(), state.run.into_bytes());
        let scope = fnv128(&[b"import", &run, &offset]);
        let key = IdempotencyKey { scope, fingerprint: 0 };
        let counts = Counts::default();
        let mut batch = Batch { end: from, counts, rejected: Vec::new(), items: Vec::new(), key };
        let mut bytes = 0;
        while batch.counts.rows < u64::try_from(state.batch)? && bytes < BATCH_BYTES_MAX {
            let Some(row) = rows.next()? else {
                break;
            };
            batch.counts.rows += 1;
            batch.end = row.end;
            batch.key.fingerprint ^= fnv128(&[&row.line.to_le_bytes(), &row.raw]);
            bytes += row.raw.len();
            match row.body.and_then(|body| self.check(&body)) {
                Ok((new, has_own_id)) => {
                    batch.counts.unnamed += u64::from(new.external_id.is_none() && !has_own_id);
                    batch.items.push(Item { line: row.line, raw: row.raw, new, has_own_id });
                }
                Err(rejection) => batch.reject(row.line, rejection, row.raw),
            }
        }
        Ok((batch.counts.rows > 0).then_some(batch))
    }

    /// Checks a body, and takes from an exported item what Daybook gave it.
    fn check(&self, body: &str) -> Result<(NewTransaction, bool), Rejection> {
        let (id, stripped) = match exported(body)? {
            Some((id, body)) => (Some(id), Some(body)),
            None => (None, None),
        };
        let body = stripped.as_deref().unwrap_or(body);
        let new_id = id.unwrap_or_else(app::new_id);
        let new = NewTransaction::parse(body, new_id, self.user.as_ref(), &self.vocabulary)?;
        Ok((new, id.is_some()))
    }

    /// Begins to commit a batch; the answer is the batch with what became of its rows.
    pub fn commit(&self, batch: Batch) -> impl Future<Output = anyhow::Result<Batch>> + use<> {
        let store = self.store.clone();
        // A task of its own: it goes on while the caller reads the next batch.
        let committing = tokio::spawn(async move {
            match store {
                Some(store) => commit(&*store, batch).await,
                None => Ok(batch),
            }
        });
        async move { committing.await.context("the commit did not end")? }
    }
}

/// The id and the rest of an item that `export` wrote; `None` when it is a body as clients send.
fn exported(body: &str) -> Result<Option<(TransactionId, String)>, Rejection> {
    if !body.contains("\"recorded_at\"") {
        return Ok(None);
    }
    let fields = Fields::parse(body)?;
    let given = |name: &str| fields.0.iter().find(|(key, _)| key == name).map(|(_, raw)| raw.get());
    let (Some(id), Some(_), Some(_)) = (given("id"), given("version"), given("recorded_at")) else {
        return Ok(None);
    };
    let Ok(id) = serde_json::from_str::<Uuid>(id) else {
        return Err(Rejection::field("/id", "UUID", "the id of an exported item is a UUID"));
    };
    let own = fields.0.iter().filter(|(key, _)| !GIVEN.contains(&key.as_str()));
    let own: Vec<(&str, &str)> = own.map(|(key, raw)| (key.as_str(), raw.get())).collect();
    Ok(Some((TransactionId(id), object(&own))))
}

async fn commit(store: &dyn Store, mut batch: Batch) -> anyhow::Result<Batch> {
    let (mut actions, mut rows) = (Vec::new(), Vec::new());
    let mut ids = HashSet::new();
    for mut item in std::mem::take(&mut batch.items) {
        if item.has_own_id {
            match own_id(store, &item.new, &mut ids).await? {
                OwnId::Free => {}
                OwnId::ThisItem => {
                    batch.counts.unchanged += 1;
                    continue;
                }
                OwnId::ByName => item.new.id = app::new_id(),
                OwnId::Another => {
                    let detail = "another item has this id already";
                    let rejection = Rejection::field("/id", "ID_TAKEN", detail);
                    batch.reject(item.line, rejection, item.raw);
                    continue;
                }
            }
        }
        actions.push(Action::Record(item.new));
        rows.push((item.line, item.raw));
    }
    if actions.is_empty() {
        return Ok(batch);
    }
    let submission = Submission { at: app::now(), key: Some(batch.key), atomic: false, actions };
    let reply = store.commit(submission).await?;
    if reply.replayed && reply.verdicts.len() != rows.len() {
        // An interruption cut off the answer; since then some ids were found to be here.
        batch.counts.unchanged += u64::try_from(rows.len())?;
        return Ok(batch);
    }
    if reply.verdicts.len() != rows.len() {
        bail!("the store answered {} of {} rows", reply.verdicts.len(), rows.len());
    }
    for (verdict, (line, raw)) in reply.verdicts.into_iter().zip(rows) {
        match verdict {
            Ok(Outcome::Created(_)) => batch.counts.created += 1,
            Ok(Outcome::Updated(_)) => batch.counts.updated += 1,
            Ok(Outcome::Unchanged(_) | Outcome::Deleted(_)) => batch.counts.unchanged += 1,
            Err(Rejection::KeyReused) => {
                bail!("the file changed while it was imported; begin again with --restart")
            }
            Err(rejection) => batch.reject(line, rejection, raw),
        }
    }
    Ok(batch)
}

/// What the id of an exported item means here.
enum OwnId {
    Free,
    /// The item is here already.
    ThisItem,
    /// Its source and external id decide, whatever id it had.
    ByName,
    Another,
}

async fn own_id(
    store: &dyn Store,
    new: &NewTransaction,
    ids: &mut HashSet<TransactionId>,
) -> anyhow::Result<OwnId> {
    let is_first = ids.insert(new.id);
    let name: Option<ExternalKey> = new.external_key();
    let known = store.transaction(new.id).await?;
    Ok(match (known, name) {
        (None, _) if is_first => OwnId::Free,
        (_, Some(_)) => OwnId::ByName,
        (None, None) => OwnId::ThisItem,
        (Some(known), None) if known.user_id == new.user_id => OwnId::ThisItem,
        (Some(_), None) => OwnId::Another,
    })
}
