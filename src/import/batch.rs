//! Rows by the thousand: checked, committed in one go, and each accounted for.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, bail};
use daybook_core::transaction::Vocabulary;
use daybook_core::write_set::{Outcome, Verdict};
use daybook_core::{Action, IdempotencyKey, NewAccount, NewTransaction, Rejection, Submission};
use daybook_server::app;
use daybook_server::fingerprint::fingerprint;
use daybook_store::Store;

use super::check::{Checked, Checker};
use super::lines::Place;
use super::opening::{Opened, Opening, is_on_terms};
use super::preview::Preview;
use super::repeats::Repeats;
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

    /// Checks a row; the second is why it is refused if an earlier row of its name was taken.
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
        let repeat = repeats.check(line, &checked)?;
        Ok(Ok((checked, repeat)))
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
    for Good { line, raw, checked, repeat } in rows {
        let known = Known::of(&checked);
        match prepare(store, checked, &opened).await? {
            Ok(Some(action)) => {
                sent.push(Sent { line, raw, known, repeat });
                actions.push(action);
            }
            Ok(None) => batch.counts.unchanged += 1,
            Err(rejection) => batch.reject(line, rejection, raw),
        }
    }
    if actions.is_empty() {
        return Ok(batch);
    }
    let submission = Submission { at: app::now(), key: Some(batch.key), atomic: false, actions };
    let reply = store.commit(submission).await?;
    if reply.replayed && reply.verdicts.len() != sent.len() {
        // An interruption cut off the answer; since then other rows of the batch are to be sent.
        batch.counts.unchanged += u64::try_from(sent.len())?;
        return Ok(batch);
    }
    if reply.verdicts.len() != sent.len() {
        bail!("the store answered {} of {} rows", reply.verdicts.len(), sent.len());
    }
    let mut verdicts = reply.verdicts;
    send_by_name(store, batch.key, &mut verdicts, &sent).await?;
    for (verdict, row) in verdicts.into_iter().zip(sent) {
        book(store, &mut batch, verdict, row).await?;
    }
    Ok(batch)
}

/// Counts a row that was sent, or rejects it.
async fn book(
    store: &dyn Store,
    batch: &mut Batch,
    verdict: Verdict,
    row: Sent,
) -> anyhow::Result<()> {
    let Sent { line, raw, known, repeat } = row;
    if let Some(repeat) = repeat.filter(|_| is_contradicted(&verdict)) {
        batch.reject(line, repeat, raw);
        return Ok(());
    }
    if known.is_earlier_than(&verdict) {
        batch.counts.unchanged += 1;
        return Ok(());
    }
    match (verdict, known) {
        (Ok(Outcome::Created(_)), _) => batch.counts.created += 1,
        (Ok(Outcome::Updated(_)), _) => batch.counts.updated += 1,
        (Ok(Outcome::Unchanged(_) | Outcome::Deleted(_)), _) => batch.counts.unchanged += 1,
        (Ok(Outcome::Ignored(_)), _) => batch.counts.ignored += 1,
        (Err(Rejection::KeyReused), _) => {
            bail!("the file changed while it was imported; begin again with --restart")
        }
        (Err(Rejection::AccountExists { .. }), Known::Account(new))
            if is_on_terms(store, &new).await? =>
        {
            batch.counts.unchanged += 1;
        }
        (Err(rejection), _) => batch.reject(line, rejection, raw),
    }
    Ok(())
}

/// Sends items again whose `source` and `external_id` name an item with another id, or whose own id
/// was deleted: the name decides, whatever id they had.
async fn send_by_name(
    store: &dyn Store,
    key: IdempotencyKey,
    verdicts: &mut [Verdict],
    sent: &[Sent],
) -> anyhow::Result<()> {
    let mut key = key;
    let (mut actions, mut answers) = (Vec::new(), Vec::new());
    for (verdict, row) in verdicts.iter_mut().zip(sent) {
        let Known::ByName(new) = &row.known else {
            continue;
        };
        let is_for_its_id = match &*verdict {
            Err(Rejection::RecordConflict(conflict)) => conflict.differ == ["id"],
            Err(Rejection::Deleted { .. }) => true,
            _ => false,
        };
        if is_for_its_id {
            let (scope, line) = (key.scope.to_le_bytes(), row.line.to_le_bytes());
            key.scope = fingerprint(&[b"by name", &scope, &line]);
            let (id, id_given) = (app::new_id(), false);
            actions.push(Action::Record(NewTransaction { id, id_given, ..new.clone() }));
            answers.push(verdict);
        }
    }
    if actions.is_empty() {
        return Ok(());
    }
    let submission = Submission { at: app::now(), key: Some(key), atomic: false, actions };
    let reply = store.commit(submission).await?;
    if reply.verdicts.len() != answers.len() {
        bail!("the store answered {} of {} rows", reply.verdicts.len(), answers.len());
    }
    for (answer, verdict) in answers.into_iter().zip(reply.verdicts) {
        *answer = verdict;
    }
    Ok(())
}

/// A row that was sent to the store.
struct Sent {
    line: u64,
    raw: Vec<u8>,
    known: Known,
    repeat: Option<Rejection>,
}

/// By which name the store knows a row, with what is needed to judge its answer.
enum Known {
    /// An item with an id of its own, and a `source` and `external_id` that decide.
    ByName(NewTransaction),
    /// An item that nothing but its id names; the version from which it was exported.
    ById(Option<u32>),
    /// An item with a `source` and `external_id` only, or without any name.
    Item,
    Account(NewAccount),
    Transfer,
}

impl Known {
    fn of(checked: &Checked) -> Self {
        match checked {
            Checked::Item(_) => Self::Item,
            Checked::Exported { new, .. } if new.external_key().is_some() => {
                Self::ByName(new.clone())
            }
            Checked::Exported { version, .. } => Self::ById(*version),
            Checked::Account(new) => Self::Account(new.clone()),
            Checked::Transfer(_) | Checked::Shown { .. } => Self::Transfer,
        }
    }

    /// Whether the item has gone on since the row was exported from it, and stays as it is.
    fn is_earlier_than(&self, verdict: &Verdict) -> bool {
        let stored = match verdict {
            Ok(Outcome::Ignored(recorded)) => Some(recorded.version),
            Err(Rejection::RecordConflict(conflict)) => conflict.stored.version,
            _ => None,
        };
        let Self::ById(Some(exported)) = self else {
            return false;
        };
        stored.is_some_and(|stored| *exported < stored)
    }
}

/// Whether the store holds something else than the row says.
fn is_contradicted(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Ok(Outcome::Ignored(_))
            | Err(Rejection::RecordConflict(_) | Rejection::DuplicateReference { .. })
    )
}

/// The change that a row asks for; `None` when the store has it already.
async fn prepare(
    store: &dyn Store,
    checked: Checked,
    opened: &Opened,
) -> anyhow::Result<Result<Option<Action>, Rejection>> {
    Ok(match checked {
        Checked::Item(new) | Checked::Exported { new, .. } => Ok(Some(Action::Record(new))),
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
