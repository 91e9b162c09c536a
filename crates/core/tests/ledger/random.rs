//! Random histories of few accounts, so that they collide, and what must hold after every step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use daybook_core::command::IdempotencyKey;
use daybook_core::write_set::Reply;
use daybook_core::{Rejection, Submission, Timestamp, TransferId, decide};
use proptest::prop_oneof;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::actions::{Scene, Step, steps};
use crate::books::{check, check_write, writes_nothing};
use crate::common::Memory;

/// So many steps at least, of so many in one history.
const STEPS_MIN: usize = 100_000;
const HISTORIES: u32 = 1_350;
/// Chooses the histories, unless the environment names another.
const SEED: u64 = 20_260_101;
const SEED_VARIABLE: &str = "TEST_SEED";

/// What the histories came across.
#[derive(Debug, Default)]
struct Tally {
    steps: usize,
    accepted: usize,
    marks: usize,
    batches_refused: usize,
    refusals: BTreeMap<&'static str, usize>,
}

/// One history as it unfolds.
struct History<'a> {
    memory: Memory,
    at: Timestamp,
    submissions: Vec<Submission>,
    replies: Vec<Reply>,
    /// Transfers in the order in which they were submitted.
    known: Vec<TransferId>,
    tally: &'a RefCell<Tally>,
    /// What was done, where somebody wants to read it.
    told: Option<&'a RefCell<Vec<String>>>,
}

#[test]
fn any_history_keeps_the_books_right() {
    let seed = match std::env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().expect("the seed is a whole number"),
        Err(_) => SEED,
    };
    let tally = RefCell::new(Tally::default());
    let config = Config {
        cases: HISTORIES,
        failure_persistence: None,
        max_shrink_iters: 5_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    // Most are short and many things go on; some are long, between two accounts.
    let history = prop_oneof![
        24 => (2..8_u8, steps(20..120), 1..20_usize),
        1 => (2..3_u8, steps(400..600), 1..90_usize),
    ];
    let result = runner.run(&history, |(heat, steps, cut)| {
        History::new(&tally, None).run(heat, &steps, cut);
        Ok(())
    });
    if let Err(TestError::Fail(reason, (heat, steps, cut))) = &result {
        let told = RefCell::new(Vec::new());
        let history = History::new(&tally, Some(&told));
        let again = catch_unwind(AssertUnwindSafe(|| history.run(*heat, steps, *cut)));
        let told = told.borrow().join("\n");
        assert!(again.is_ok(), "{SEED_VARIABLE}={seed}, {reason}, after these steps:\n{told}");
    }
    result.expect("the histories ran");
    let tally = tally.into_inner();
    // Not `println`, whose words only a failure shows.
    let line = format!("{SEED_VARIABLE}={seed}: {tally:?}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("somebody listens");
    assert!(tally.steps >= STEPS_MIN, "{} steps", tally.steps);
    assert!(tally.accepted > tally.steps / 4 && tally.marks > 50 && tally.batches_refused > 100);
    for code in MET {
        assert!(tally.refusals.contains_key(code), "nothing met {code}");
    }
}

/// Refusals that no run is without.
const MET: &[&str] = &[
    "ACCOUNT_CLOSED",
    "ACCOUNT_EXISTS",
    "ACCOUNT_FROZEN",
    "ACCOUNT_NOT_EMPTY",
    "ACCOUNT_NOT_FOUND",
    "BALANCE_OVERFLOW",
    "BATCH_REFUSED",
    "BELONGS_TO_TRANSFER",
    "CURRENCIES_DIFFER",
    "DUPLICATE_REFERENCE",
    "HOLD_EXPIRED",
    "IDEMPOTENCY_KEY_REUSED",
    "ILLEGAL_STATUS_MOVE",
    "INSUFFICIENT_FUNDS",
    "IN_FUTURE",
    "IS_EQUITY",
    "IS_ROLLBACK",
    "LIMIT_IN_USE",
    "MORE_THAN_HELD",
    "NOT_HELD",
    "NOT_YOUR_ACCOUNT",
    "NOT_YOUR_TRANSFER",
    "OUT_OF_ORDER",
    "STALE_VERSION",
    "STILL_HELD",
    "TRANSFER_NOT_FOUND",
    "VALIDATION_FAILED",
];

impl<'a> History<'a> {
    fn new(tally: &'a RefCell<Tally>, told: Option<&'a RefCell<Vec<String>>>) -> Self {
        Self {
            memory: Memory::default(),
            at: Timestamp::from_micros(1_700_000_000_000_000),
            submissions: Vec::new(),
            replies: Vec::new(),
            known: Vec::new(),
            tally,
            told,
        }
    }

    /// Commits step after step, and at the end the same in groups of `cut` requests.
    fn run(mut self, heat: u8, steps: &[Step], cut: usize) {
        for step in steps {
            self.step(heat, step);
        }
        self.memory.assert_statistics();
        let mut grouped = Memory::default();
        let mut replies = Vec::new();
        for group in self.submissions.chunks(cut) {
            replies.extend(grouped.commit(group));
        }
        assert!(replies == self.replies, "a group is answered as its requests one by one");
        grouped.assert_statistics();
        assert_same(&grouped, &self.memory);
        let mut tally = self.tally.borrow_mut();
        tally.marks += self.memory.marks.len();
    }

    fn step(&mut self, heat: u8, step: &Step) {
        self.at = Timestamp::from_micros(self.at.micros() + step.wait_us());
        let place = self.submissions.len();
        let wishes = step.wishes(place, heat);
        let actions = wishes.iter().enumerate().map(|(nth, wish)| {
            let scene = Scene { at: self.at, heat, known: &self.known, memory: &self.memory };
            scene.action(wish, place * 16 + nth + 1)
        });
        let actions = actions.collect();
        let key =
            step.key.map(|key| IdempotencyKey { scope: key.into(), fingerprint: place as u128 });
        let submission = Submission { at: self.at, key, atomic: step.atomic, actions };
        if let Some(told) = self.told {
            told.borrow_mut().push(format!("{submission:?}"));
        }
        let reply = self.commit(&submission);
        self.submissions.push(submission);
        self.replies.push(reply);
        self.repeat(place);
        self.repeat(place.saturating_sub(step.repeats.into()));
    }

    /// Commits one request and checks everything that is to hold of it.
    fn commit(&mut self, submission: &Submission) -> Reply {
        let requests = std::slice::from_ref(submission);
        let (mut replies, write) = decide(requests, self.memory.load(requests));
        let (same, rewrite) = decide(requests, self.memory.load(requests));
        assert_eq!((&replies, format!("{write:?}")), (&same, format!("{rewrite:?}")));
        let reply = replies.remove(0);
        check_write(&self.memory, &write);
        let is_batch = submission.actions.len() > 1;
        let refused = reply.verdicts.iter().all(Result::is_err);
        let before = (refused || is_batch).then(|| self.memory.clone());
        assert!(!refused || writes_nothing(&write), "a refusal writes nothing: {write:?}");
        let new = write.transfers.iter().filter(|change| change.is_new);
        self.known.extend(new.map(|change| change.transfer.id));
        self.memory.write(write);
        check(&self.memory);
        match before {
            Some(before) if refused => assert!(before == self.memory, "a refusal leaves no trace"),
            Some(before) => self.one_by_one(before, submission, &reply),
            None => {}
        }
        self.count(submission, &reply);
        reply
    }

    /// Checks that a batch did what its items do one by one.
    fn one_by_one(&self, mut single: Memory, batch: &Submission, reply: &Reply) {
        for (action, verdict) in batch.actions.iter().zip(&reply.verdicts) {
            let one = Submission::one(batch.at, action.clone());
            let mut replies = single.commit(&[one]);
            assert_eq!(&replies.remove(0).verdicts[0], verdict, "an item of a batch");
        }
        single.replies.clone_from(&self.memory.replies);
        assert_same(&single, &self.memory);
    }

    /// Sends a request again: the same key is answered with the same words and changes nothing.
    fn repeat(&mut self, place: usize) {
        let (submission, reply) = (&self.submissions[place], &self.replies[place]);
        let kept = submission.key.and_then(|key| Some((key, self.memory.replies.get(&key.scope)?)));
        if kept.is_none_or(|(key, kept)| key.fingerprint != kept.fingerprint) {
            return;
        }
        let requests = std::slice::from_ref(submission);
        let (again, write) = decide(requests, self.memory.load(requests));
        assert!(writes_nothing(&write), "a replay writes nothing: {write:?}");
        assert_eq!(again, [Reply { replayed: true, ..reply.clone() }]);
    }

    fn count(&self, submission: &Submission, reply: &Reply) {
        let mut tally = self.tally.borrow_mut();
        tally.steps += 1;
        tally.accepted += usize::from(reply.verdicts.iter().any(Result::is_ok));
        let broken = submission.atomic && reply.verdicts.contains(&Err(Rejection::BatchRefused));
        tally.batches_refused += usize::from(broken);
        for refusal in reply.verdicts.iter().filter_map(|verdict| verdict.as_ref().err()) {
            *tally.refusals.entry(refusal.code()).or_default() += 1;
        }
    }
}

/// Checks that two stores hold the same; of statistics, the sums are compared elsewhere.
fn assert_same(left: &Memory, right: &Memory) {
    let of = |memory: &Memory| Memory { buckets: BTreeMap::new(), ..memory.clone() };
    assert!(of(left) == of(right), "{left:?}\n\nis not\n\n{right:?}");
}
