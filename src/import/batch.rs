//! Rows by the thousand: checked, committed in one go, and each accounted for.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, bail};
use daybook_core::command::ExternalKey;
use daybook_core::transaction::Vocabulary;
use daybook_core::write_set::Outcome;
use daybook_core::{
    Action, IdempotencyKey, NewAccount, NewTransaction, Rejection, Submission, TransactionId,
};
use daybook_server::app;
use daybook_server::fingerprint::fingerprint;
use daybook_store::Store;

use super::check::{Checked, Checker};
use super::lines::Place;
use super::opening::{Opened, Opening, is_on_terms};
use super::preview::Preview;
use super::repeats::{Repeat, Repeats};
use super::rows::{Row, Rows};
use super::state::{Counts, State};

/// The most bytes of rows in one commit: long rows make shorter batches, not more memory.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Checks rows and commits them.
pub struct Importer {
    /// `None` where rows are checked only.
    pub store: Option<Arc<dyn Store>>,
    pub checker: Checker,
    /// How accounts are opened that are not there yet.
    pub opening: Option<Opening>,
}

/// A row that passed the checks.
struct Good {
    line: u64,
    raw: Vec<u8>,
    checked: Checked,
    repeat: Option<Rejection>,
}

/// Rows to commit, or what became of them.
pub struct Batch {
    pub end: Place,
    pub counts: Counts,
    pub rejected: Vec<(u64, Rejection, Vec<u8>)>,
    rows: Vec<Good>,
    key: IdempotencyKey,
}

impl Batch {
    /// The first rows of a batch that was not committed.
    pub fn previews(&self, count: usize, shows_metadata: bool) -> Vec<Preview> {
        let rows = self.rows.iter().take(count);
        rows.map(|row| Preview::of(row.line, &row.checked, shows_metadata)).collect()
    }

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
        repeats: &mut Repeats,
        state: &State,
        from: Place,
    ) -> anyhow::Result<Option<Batch>> {
        if rows.place() != from {
            let (read, begun) = (rows.place().line, from.line);
            bail!("internal error: the batch after line {begun} was to be read after line {read}");
        }
        let (offset, run) = (from.offset.to_le_bytes(), state.run.into_bytes());
        let scope = fingerprint(&[b"import", &run, &offset]);
        let key = IdempotencyKey { scope, fingerprint: 0 };
        let counts = Counts::default();
        let mut batch = Batch { end: from, counts, rejected: Vec::new(), rows: Vec::new(), key };
        let mut bytes = 0;
        while batch.counts.rows < u64::try_from(state.batch)? && bytes < BATCH_BYTES_MAX {
            let Some(row) = rows.next()? else {
                break;
            };
            batch.counts.rows += 1;
            batch.end = row.end;
            let before = batch.key.fingerprint.to_le_bytes();
            let row_parts = [&run[..], &before, &row.line.to_le_bytes(), &row.raw];
            batch.key.fingerprint = fingerprint(&row_parts);
            bytes += row.raw.len();
            match self.check(row.line, row.body, repeats)? {
                // Without a store the earlier row counts as taken.
                Ok((_, Some(repeat))) if self.store.is_none() => {
                    batch.reject(row.line, repeat, row.raw);
                }
                Ok((checked, repeat)) => {
                    batch.counts.unnamed += u64::from(checked.is_unnamed());
                    batch.rows.push(Good { line: row.line, raw: row.raw, checked, repeat });
                }
                Err(rejection) => batch.reject(row.line, rejection, row.raw),
            }
        }
        Ok((batch.counts.rows > 0).then_some(batch))
    }

    /// Checks a row; the second is why it is refused if the store has a record of its name.
    fn check(
        &self,
        line: u64,
        body: Result<String, Rejection>,
        repeats: &mut Repeats,
    ) -> anyhow::Result<Result<(Checked, Option<Rejection>), Rejection>> {
        let checked = match body.and_then(|body| self.checker.check(body)) {
            Ok(checked) => checked,
            Err(rejection) => return Ok(Err(rejection)),
        };
        Ok(match repeats.check(line, &checked)? {
            Repeat::No => Ok((checked, None)),
            Repeat::IfTaken(rejection) => Ok((checked, Some(rejection))),
            Repeat::Refused(rejection) => Err(rejection),
        })
    }

    /// Remembers the name of a row that an earlier run took or rejected.
    pub fn remember(&self, row: Row, repeats: &mut Repeats) -> anyhow::Result<()> {
        self.check(row.line, row.body, repeats).map(drop)
    }

    /// Begins to commit a batch; the answer is the batch with what became of its rows.
    pub fn commit(&self, batch: Batch) -> impl Future<Output = anyhow::Result<Batch>> + use<> {
        let (store, opening) = (self.store.clone(), self.opening.clone());
        let vocabulary = self.checker.vocabulary.clone();
        // A task of its own: it goes on while the caller reads the next batch.
        let committing = tokio::spawn(async move {
            match store {
                Some(store) => commit(&*store, opening.as_ref(), &vocabulary, batch).await,
                None => Ok(batch),
            }
        });
        async move { committing.await.context("the commit did not end")? }
    }
}

async fn commit(
    store: &dyn Store,
    opening: Option<&Opening>,
    vocabulary: &Vocabulary,
    mut batch: Batch,
) -> anyhow::Result<Batch> {
    let rows = std::mem::take(&mut batch.rows);
    let opened = match opening {
        Some(opening) => {
            let transfers = rows.iter().filter_map(|row| match &row.checked {
                Checked::Transfer(new) => Some(new),
                Checked::Item(_)
                | Checked::Exported { .. }
                | Checked::Shown { .. }
                | Checked::Account(_) => None,
            });
            opening.open(store, vocabulary, transfers).await?
        }
        None => Opened::default(),
    };
    batch.counts.opened += opened.count;
    let (mut actions, mut sent) = (Vec::new(), Vec::new());
    let mut ids = HashSet::new();
    for row in rows {
        match prepare(store, row.checked, &opened, &mut ids).await? {
            Ok(Some(action)) => {
                let (line, raw, repeat) = (row.line, row.raw, row.repeat);
                sent.push(Sent { line, raw, account: account(&action), repeat });
                actions.push(action);
            }
            Ok(None) => batch.counts.unchanged += 1,
            Err(rejection) => batch.reject(row.line, rejection, row.raw),
        }
    }
    if actions.is_empty() {
        return Ok(batch);
    }
    let submission = Submission { at: app::now(), key: Some(batch.key), atomic: false, actions };
    let reply = store.commit(submission).await?;
    if reply.replayed && reply.verdicts.len() != sent.len() {
        // An interruption cut off the answer; since then some ids were found to be here.
        batch.counts.unchanged += u64::try_from(sent.len())?;
        return Ok(batch);
    }
    if reply.verdicts.len() != sent.len() {
        bail!("the store answered {} of {} rows", reply.verdicts.len(), sent.len());
    }
    for (verdict, Sent { line, raw, account, repeat }) in reply.verdicts.into_iter().zip(sent) {
        let is_taken = matches!(
            &verdict,
            Ok(Outcome::Unchanged(_)) | Err(Rejection::DuplicateReference { .. })
        );
        if let Some(repeat) = repeat.filter(|_| is_taken) {
            batch.reject(line, repeat, raw);
            continue;
        }
        match (verdict, account) {
            (Ok(Outcome::Created(_)), _) => batch.counts.created += 1,
            (Ok(Outcome::Updated(_)), _) => batch.counts.updated += 1,
            (Ok(Outcome::Unchanged(_) | Outcome::Deleted(_)), _) => batch.counts.unchanged += 1,
            (Ok(Outcome::Ignored(_)), _) => batch.counts.ignored += 1,
            (Err(Rejection::KeyReused), _) => {
                bail!("the file changed while it was imported; begin again with --restart")
            }
            (Err(Rejection::AccountExists { .. }), Some(new))
                if is_on_terms(store, &new).await? =>
            {
                batch.counts.unchanged += 1;
            }
            (Err(rejection), _) => batch.reject(line, rejection, raw),
        }
    }
    Ok(batch)
}

/// A row that was sent to the store.
struct Sent {
    line: u64,
    raw: Vec<u8>,
    /// The account that it opens.
    account: Option<NewAccount>,
    repeat: Option<Rejection>,
}

fn account(action: &Action) -> Option<NewAccount> {
    if let Action::Open(new) = action { Some(new.clone()) } else { None }
}

/// What a row asks of the store; `None` when the store has it already.
async fn prepare(
    store: &dyn Store,
    checked: Checked,
    opened: &Opened,
    ids: &mut HashSet<TransactionId>,
) -> anyhow::Result<Result<Option<Action>, Rejection>> {
    Ok(match checked {
        Checked::Item(new) => Ok(Some(Action::Record(new))),
        Checked::Exported { mut new, version } => match own_id(store, &new, version, ids).await? {
            OwnId::Free => Ok(Some(Action::Record(new))),
            OwnId::Earlier => Ok(None),
            OwnId::ByName => {
                new.id = app::new_id();
                Ok(Some(Action::Record(new)))
            }
            OwnId::ById => {
                new.id_given = true;
                Ok(Some(Action::Record(new)))
            }
        },
        Checked::Shown { id, transfer } => {
            match store.transaction(id).await?.and_then(|item| item.transfer_id) {
                Some(known) if known == transfer => Ok(None),
                _ => Err(Rejection::BelongsToTransfer { id, transfer }),
            }
        }
        Checked::Account(new) => Ok(Some(Action::Open(new))),
        Checked::Transfer(new) => {
            let refused = [new.source, new.destination].map(|id| opened.refused.get(&id));
            match refused.into_iter().flatten().next() {
                Some(rejection) => Err(rejection.clone()),
                None => Ok(Some(Action::Transfer(new))),
            }
        }
    })
}

/// What the id of a row means here.
enum OwnId {
    Free,
    /// The item has gone on since the row was exported from it.
    Earlier,
    /// Its source and external id decide, whatever id it had.
    ByName,
    /// An item has it; the rules of records that come again decide.
    ById,
}

async fn own_id(
    store: &dyn Store,
    new: &NewTransaction,
    version: Option<u32>,
    ids: &mut HashSet<TransactionId>,
) -> anyhow::Result<OwnId> {
    let is_first = ids.insert(new.id);
    let name: Option<ExternalKey> = new.external_key();
    let known = store.transaction(new.id).await?;
    let is_earlier = known.as_ref().is_some_and(|known| {
        known.user_id == new.user_id && version.is_some_and(|version| version < known.version)
    });
    Ok(match (known, name) {
        (None, _) if is_first => OwnId::Free,
        (_, Some(_)) => OwnId::ByName,
        (Some(_), None) if is_earlier => OwnId::Earlier,
        (_, None) => OwnId::ById,
    })
}
