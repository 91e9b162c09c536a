//! The rules hold for any history: a batch is its items one by one, a replay is the same answer,
//! a refusal leaves no trace, and the statistics are what the items add up to.

#![cfg(test)]

mod common;

use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::stats::{Bucket, Sums};
use daybook_core::transaction::Vocabulary;
use daybook_core::{NewTransaction, Patch, Submission, Timestamp, TransactionId, UserId};
use proptest::prelude::*;
use uuid::Uuid;

use common::Memory;

/// One random request.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    target: u8,
    user: u8,
    status: u8,
    cents: u32,
    minute: u32,
    key: Option<u8>,
    stale: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = proptest::option::weighted(0.3, 0..4_u8);
    let stale = proptest::bool::weighted(0.1);
    let step = (0..5_u8, 0..12_u8, 0..3_u8, 0..4_u8, 0..500_u32, 0..4_000_u32, key, stale);
    let step = step.prop_map(|(kind, target, user, status, cents, minute, key, stale)| Step {
        kind,
        target,
        user,
        status,
        cents,
        minute,
        key,
        stale,
    });
    proptest::collection::vec(step, 1..60)
}

fn id(number: usize) -> TransactionId {
    TransactionId(Uuid::from_u128(number as u128))
}

fn action(place: usize, step: &Step) -> Action {
    let status = ["completed", "pending", "failed", "cancelled"][usize::from(step.status)];
    let us = 1_699_000_000_000_000 + i64::from(step.minute) * 60_000_000;
    let happened = Timestamp::from_micros(us);
    let target = id(step.target.into());
    let version = step.stale.then_some(77);
    match step.kind {
        0 | 1 => {
            let external = format!(r#","source":"s","external_id":"{}""#, step.target);
            let body = format!(
                r#"{{"user_id":"user{}","transaction_type":"card","amount":"{}.{:02}",
                "status":"{status}","created_at":"{happened}"{}}}"#,
                step.user,
                step.cents / 100,
                step.cents % 100,
                if step.kind == 1 { external.as_str() } else { "" }
            );
            let new = NewTransaction::parse(&body, id(place), None, &Vocabulary::default());
            Action::Record(new.expect("a valid body"))
        }
        2 | 3 => {
            let cents = step.cents;
            let body =
                format!(r#"{{"status":"{status}","amount":{cents},"created_at":"{happened}"}}"#);
            let owner =
                UserId::parse(&format!("user{}", step.user)).ok().map(daybook_core::Owner::from);
            let patch = Patch::parse(&body).expect("a valid patch");
            Action::Amend { id: target, owner, version, patch }
        }
        _ => Action::Erase { id: target, owner: None, version },
    }
}

/// The requests of a history; the n-th record gets the id n, as an edge that makes ids would.
fn history(steps: &[Step]) -> Vec<Submission> {
    let requests = steps.iter().enumerate().map(|(place, step)| {
        let at = Timestamp::from_micros(1_700_000_000_000_000 + place as i64);
        let key = step.key.map(|key| IdempotencyKey {
            scope: key.into(),
            fingerprint: u128::from(step.kind) << 64 | u128::from(step.target),
        });
        Submission { key, ..Submission::one(at, action(place, step)) }
    });
    requests.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_batch_is_its_items_one_by_one(steps in steps(), cut in 1..20_usize) {
        let history = history(&steps);
        let (mut single, mut grouped) = (Memory::default(), Memory::default());
        let mut one_by_one = Vec::new();
        for submission in &history {
            one_by_one.extend(single.commit(std::slice::from_ref(submission)));
        }
        let mut together = Vec::new();
        for group in history.chunks(cut) {
            together.extend(grouped.commit(group));
        }
        prop_assert_eq!(one_by_one, together);
        prop_assert_eq!(&single.transactions, &grouped.transactions);
        prop_assert_eq!(&single.events, &grouped.events);
        prop_assert_eq!(&single.replies, &grouped.replies);
        single.assert_statistics();
        grouped.assert_statistics();
    }

    #[test]
    fn a_key_pays_once(steps in steps()) {
        let mut memory = Memory::default();
        for submission in history(&steps) {
            let mut other = memory.clone();
            let first = memory.commit(std::slice::from_ref(&submission)).remove(0);
            if submission.key.is_some() && first.verdicts[0].is_ok() {
                let at_once = other.commit(&[submission.clone(), submission.clone()]);
                prop_assert_eq!(&at_once[0], &first);
                prop_assert_eq!(&at_once[1].verdicts, &first.verdicts);
                prop_assert!(at_once[1].replayed);
                prop_assert_eq!(&other, &memory);
                let before = memory.clone();
                let again = memory.commit(std::slice::from_ref(&submission)).remove(0);
                prop_assert_eq!(&first.verdicts, &again.verdicts);
                prop_assert!(again.replayed);
                prop_assert_eq!(&before, &memory);
            }
        }
    }

    #[test]
    fn a_refusal_leaves_no_trace(steps in steps()) {
        let mut memory = Memory::default();
        for submission in history(&steps) {
            let before = memory.clone();
            let reply = memory.commit(std::slice::from_ref(&submission)).remove(0);
            if reply.verdicts[0].is_err() {
                prop_assert_eq!(&before, &memory);
            }
        }
    }

    #[test]
    fn an_atomic_batch_is_all_or_nothing(steps in steps(), recorded in steps()) {
        let mut memory = Memory::default();
        memory.commit(&history(&recorded));
        let before = memory.clone();
        let actions: Vec<Action> = steps
            .iter()
            .enumerate()
            .map(|(place, step)| action(place + 1_000, step))
            .collect();
        let at = Timestamp::from_micros(1_700_000_001_000_000);
        let batch = Submission { at, key: None, atomic: true, actions };
        let reply = memory.commit(std::slice::from_ref(&batch)).remove(0);
        prop_assert_eq!(reply.verdicts.len(), batch.actions.len());
        if reply.verdicts.iter().any(Result::is_err) {
            prop_assert!(reply.verdicts.iter().all(Result::is_err));
            prop_assert_eq!(&before, &memory);
        }
    }

    #[test]
    fn buckets_come_back_from_their_bytes(steps in steps()) {
        let mut memory = Memory::default();
        memory.commit(&history(&steps));
        for bucket in memory.buckets.values() {
            let slots = Bucket::decode_slots(&bucket.encode_slots());
            prop_assert_eq!(slots.as_ref(), Some(&bucket.slots));
            let summary = Sums::decode(&bucket.summary().encode());
            prop_assert_eq!(summary, Some(bucket.summary()));
        }
    }
}
