//! A store in memory: it loads what a decision reads, and writes what it is told.

use std::collections::{BTreeMap, HashMap};

use daybook_core::command::{ExternalKey, ReadSet};
use daybook_core::stats::{Bucket, BucketKey, Sums, count};
use daybook_core::write_set::{Mark, Reply, Snapshot, StoredReply, WriteSet};
use daybook_core::{
    AccountId, Event, EventSeq, EventType, Holding, Subject, Submission, Transaction,
    TransactionId, Transfer, TransferId, UserId, decide,
};

/// All that a store keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub transactions: BTreeMap<TransactionId, Transaction>,
    pub external: HashMap<ExternalKey, TransactionId>,
    pub replies: HashMap<u128, StoredReply>,
    pub events: Vec<Event>,
    pub buckets: BTreeMap<BucketKey, Bucket>,
    pub accounts: BTreeMap<AccountId, Holding>,
    pub transfers: BTreeMap<TransferId, Transfer>,
    pub references: HashMap<(AccountId, String), TransferId>,
    pub marks: Vec<Mark>,
}

impl Memory {
    pub fn commit(&mut self, submissions: &[Submission]) -> Vec<Reply> {
        let (replies, write) = decide(submissions, self.load(submissions));
        self.write(write);
        replies
    }

    /// The rows that submissions touch and no others, as a store on disk loads them.
    pub fn load(&self, submissions: &[Submission]) -> Snapshot {
        let mut set = ReadSet::of(submissions);
        let mut snapshot =
            Snapshot { next_seq: EventSeq(self.events.len() as i64 + 1), ..Snapshot::default() };
        let referred = set.references.iter().filter_map(|key| {
            let id = *self.references.get(key)?;
            Some((key.clone(), id))
        });
        snapshot.references = referred.collect();
        let named = set.transfers.iter().chain(snapshot.references.values());
        let found = named.filter_map(|id| Some((*id, self.transfers.get(id)?.clone())));
        snapshot.transfers = found.collect();
        for transfer in snapshot.transfers.values() {
            set.follow(transfer);
        }
        for id in &set.accounts {
            snapshot.accounts.extend(self.accounts.get(id).map(|found| (*id, found.clone())));
        }
        for user in &set.openers {
            snapshot.owned.insert(user.clone(), self.owned(user));
        }
        if set.next_account {
            snapshot.last_account = self.last_account();
        }
        for key in &set.external {
            if let Some(id) = self.external.get(key) {
                snapshot.external.insert(key.clone(), *id);
                set.transactions.push(*id);
            }
        }
        for id in &set.chosen {
            let gone = |event: &&Event| {
                event.event_type == EventType::Deleted && event.subject == Subject::Item(*id)
            };
            if let Some(user) = self.events.iter().find(gone).and_then(|e| e.user_id.clone()) {
                snapshot.deleted.insert(*id, user);
            }
        }
        for id in &set.transactions {
            let found = self.transactions.get(id);
            snapshot.transactions.extend(found.map(|found| (*id, found.clone())));
        }
        for reply in set.keys.iter().filter_map(|key| Some((key, self.replies.get(&key.scope)?))) {
            let (key, reply) = reply;
            for seq in reply.events() {
                snapshot.events.insert(seq, self.event(seq).clone());
            }
            snapshot.replies.insert(key.scope, reply.clone());
        }
        snapshot
    }

    pub fn write(&mut self, write: WriteSet) {
        for row in write.rows {
            if let Some(old) = &row.old {
                self.transactions.remove(&old.id);
                self.external.retain(|_, id| *id != old.id);
            }
            if let Some(new) = row.new {
                if let (Some(source), Some(external_id)) = (&new.source, &new.external_id) {
                    let key = ExternalKey {
                        user_id: new.user_id.clone(),
                        source: source.clone(),
                        external_id: external_id.clone(),
                    };
                    self.external.insert(key, new.id);
                }
                self.transactions.insert(new.id, new);
            }
        }
        self.events.extend(write.events);
        for (key, deltas) in write.statistics {
            let bucket = self.buckets.entry(key.clone()).or_default();
            bucket.apply(&deltas);
            if bucket.is_empty() {
                self.buckets.remove(&key);
            }
        }
        self.replies.extend(write.replies);
        for change in write.accounts {
            let id = change.holding.account.id;
            let old = self.accounts.insert(id, change.holding.clone());
            assert_eq!(change.opened, old.is_none(), "account {id}");
            let same = old.is_some_and(|old| old.account == change.holding.account);
            assert_eq!(change.reformed, !same, "account {id}");
        }
        for change in write.transfers {
            let transfer = change.transfer;
            if let Some(reference) = &transfer.reference {
                let key = (transfer.source, reference.clone());
                let other = self.references.insert(key, transfer.id);
                assert!(other.is_none_or(|id| id == transfer.id), "reference {reference}");
            }
            let id = transfer.id;
            let old = self.transfers.insert(id, transfer);
            assert_eq!(change.is_new, old.is_none(), "transfer {id}");
        }
        self.marks.extend(write.marks);
    }

    pub fn event(&self, seq: EventSeq) -> &Event {
        &self.events[usize::try_from(seq.0).expect("a number") - 1]
    }

    fn owned(&self, user: &UserId) -> usize {
        let own = |holding: &&Holding| holding.account.user_id.as_ref() == Some(user);
        self.accounts.values().filter(own).count()
    }

    fn last_account(&self) -> AccountId {
        let given = self.accounts.range(AccountId(1)..AccountId::GIVEN_END);
        given.last().map(|(id, _)| *id).unwrap_or_default()
    }

    /// Checks that the statistics are what the items themselves add up to.
    pub fn assert_statistics(&self) {
        let mut buckets: BTreeMap<BucketKey, Bucket> = BTreeMap::new();
        for item in self.transactions.values() {
            let (key, delta) = count(item, true, item.recorded_at);
            buckets.entry(key).or_default().apply(&[delta]);
        }
        assert_eq!(sums(&self.buckets), sums(&buckets));
    }
}

fn sums(buckets: &BTreeMap<BucketKey, Bucket>) -> Vec<(BucketKey, Sums)> {
    let cells = |bucket: &Bucket| Sums { largest: None, smallest: None, ..bucket.summary() };
    buckets.iter().map(|(key, bucket)| (key.clone(), cells(bucket))).collect()
}
