//! Any history of sends, changes and deletions, against a model: a list of records, and the tables.

use std::collections::{BTreeMap, BTreeSet};

use daybook_core::command::Action;
use daybook_core::transaction::Vocabulary;
use daybook_core::{NewTransaction, Outcome, Patch, Submission, Timestamp, TransactionId, Verdict};
use proptest::prelude::*;
use uuid::Uuid;

use crate::common::Memory;
use crate::tables::{Table, another, mark, step};

const STATUSES: [&str; 4] = ["pending", "completed", "failed", "cancelled"];
const USERS: [&str; 2] = ["ann", "ben"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    status: usize,
    is_credit: bool,
    cents: u8,
    note: u8,
    version: Option<i64>,
    updated_at: Option<i64>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Of a user; with a name in its source, a chosen id, or both, or neither.
    Send(usize, Option<u8>, Option<u8>, Content),
    /// The item in this place, if there is one: another status and amount.
    Patch(usize, usize, u8),
    Erase(usize),
}

fn contents() -> impl Strategy<Value = Content> {
    let mark = || proptest::option::weighted(0.4, 0..4_i64);
    // Mostly the same money, or every record would be in conflict.
    let cents = prop_oneof![4 => Just(0_u8), 1 => Just(1_u8)];
    let credit = proptest::bool::weighted(0.15);
    (0..4_usize, credit, cents, 0..2_u8, mark(), mark()).prop_map(
        |(status, is_credit, cents, note, version, updated_at)| Content {
            status,
            is_credit,
            cents,
            note,
            version,
            updated_at,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = proptest::option::weighted(0.7, 0..3_u8);
    let id = proptest::option::weighted(0.5, 0..3_u8);
    let step = prop_oneof![
        8 => (0..2_usize, name, id, contents())
            .prop_map(|(user, name, id, content)| Step::Send(user, name, id, content)),
        2 => (0..4_usize, 0..4_usize, 0..2_u8)
            .prop_map(|(place, status, cents)| Step::Patch(place, status, cents)),
        1 => (0..4_usize).prop_map(Step::Erase),
    ];
    proptest::collection::vec(step, 1..40)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    user: usize,
    name: Option<u8>,
    content: Content,
    version: u32,
}

/// What the page says, and nothing else.
struct Model {
    records: BTreeMap<Uuid, Record>,
    deleted: BTreeMap<Uuid, usize>,
    marks: Table,
    answers: Table,
}

impl Model {
    fn new() -> Self {
        Self {
            records: BTreeMap::new(),
            deleted: BTreeMap::new(),
            marks: Table::of_marks(),
            answers: Table::of_answers(),
        }
    }

    fn send(
        &mut self,
        user: usize,
        name: Option<u8>,
        id: Option<Uuid>,
        content: &Content,
        made: Uuid,
    ) -> String {
        let is_it = |record: &Record| name.is_some() && record.user == user && record.name == name;
        let named = self.records.iter().find(|(_, record)| is_it(record)).map(|(id, _)| *id);
        let found = id.filter(|id| self.records.contains_key(id));
        let (known, by) = match (named, id, found) {
            (Some(named), Some(id), _) if named != id => return conflict(),
            (Some(named), _, _) => (named, "source"),
            (None, _, Some(found)) if self.records[&found].user != user => return taken(),
            (None, _, Some(found)) if name.is_some() && self.records[&found].name != name => {
                return conflict();
            }
            (None, _, Some(found)) => (found, "id"),
            (None, id, None) => {
                match id.and_then(|id| self.deleted.get(&id)) {
                    Some(whose) if *whose == user => return "409 TRANSACTION_DELETED".to_owned(),
                    Some(_) => return taken(),
                    None => {}
                }
                let record = Record { user, name, content: content.clone(), version: 1 };
                self.records.insert(id.unwrap_or(made), record);
                return "201 created".to_owned();
            }
        };
        let record = self.records.get_mut(&known).expect("a record");
        let stored = record.content.clone();
        let newness = self.marks.answer(&[
            mark(content.version, stored.version, ["lower", "higher"]),
            mark(content.updated_at, stored.updated_at, ["earlier", "later"]),
        ]);
        let money = (content.is_credit, content.cents) != (stored.is_credit, stored.cents);
        let answer = self.answers.answer(&[
            newness,
            by,
            step(STATUSES[stored.status], STATUSES[content.status]),
            another(money),
            another(content.note != stored.note),
        ]);
        if answer == "200 updated" {
            record.version += 1;
            record.content = Content {
                version: content.version.or(stored.version),
                updated_at: content.updated_at.or(stored.updated_at),
                ..content.clone()
            };
        }
        answer.to_owned()
    }

    fn patch(&mut self, id: Uuid, status: usize, cents: u8) -> String {
        let record = self.records.get_mut(&id).expect("a record");
        let content = &mut record.content;
        match step(STATUSES[content.status], STATUSES[status]) {
            "moved back" | "another final" => return "409 ILLEGAL_STATUS_MOVE".to_owned(),
            _ if (content.status, content.cents) == (status, cents) => {
                return "200 unchanged".to_owned();
            }
            _ => {}
        }
        (content.status, content.cents) = (status, cents);
        record.version += 1;
        "200 updated".to_owned()
    }

    fn erase(&mut self, id: Uuid) -> String {
        let gone = self.records.remove(&id).expect("a record");
        self.deleted.insert(id, gone.user);
        "204 deleted".to_owned()
    }
}

fn conflict() -> String {
    "409 RECORD_CONFLICT".to_owned()
}

fn taken() -> String {
    "409 ID_TAKEN".to_owned()
}

fn chosen(id: u8) -> Uuid {
    Uuid::from_u128(0xc0de_0000 | u128::from(id) << 8)
}

fn body(user: usize, name: Option<u8>, id: Option<u8>, content: &Content) -> String {
    let Content { status, is_credit, cents, note, version, updated_at } = content;
    let mut body = format!(
        r#"{{"user_id":"{}","transaction_type":"card","status":"{}","amount":"1.0{cents}",
        "side":"{}","metadata":{{"note":"{note}"}},"created_at":"2024-01-01""#,
        USERS[user],
        STATUSES[*status],
        if *is_credit { "credit" } else { "debit" },
    );
    if let Some(name) = name {
        body += &format!(r#","source":"bank","external_id":"{name}""#);
    }
    if let Some(id) = id {
        body += &format!(r#","id":"{}""#, chosen(id));
    }
    if let Some(version) = version {
        body += &format!(r#","source_version":{version}"#);
    }
    if let Some(at) = updated_at {
        body += &format!(r#","source_updated_at":"2024-02-01T00:00:0{at}Z""#);
    }
    body + "}"
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Ok(Outcome::Created(_)) => "201 created".to_owned(),
        Ok(Outcome::Updated(_)) => "200 updated".to_owned(),
        Ok(Outcome::Unchanged(_)) => "200 unchanged".to_owned(),
        Ok(Outcome::Ignored(_)) => "200 ignored".to_owned(),
        Ok(Outcome::Deleted(_)) => "204 deleted".to_owned(),
        Err(rejection) => format!("409 {}", rejection.code()),
    }
}

/// The steps as submissions, with the answer that the model gives to each.
fn run(model: &mut Model, steps: &[Step]) -> Vec<(Submission, String)> {
    let mut sent = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let made = Uuid::from_u128((place as u128 + 1) << 64);
        let place_of = |place: usize| model.records.keys().nth(place).copied();
        let (action, answer) = match step {
            Step::Send(user, name, id, content) => {
                let body = body(*user, *name, *id, content);
                let new =
                    NewTransaction::parse(&body, TransactionId(made), None, &Vocabulary::default());
                let answer = model.send(*user, *name, id.map(chosen), content, made);
                (Action::Record(new.expect("a valid body")), answer)
            }
            Step::Patch(place, status, cents) => {
                let Some(id) = place_of(*place) else { continue };
                let body = format!(r#"{{"status":"{}","amount":"1.0{cents}"}}"#, STATUSES[*status]);
                let patch = Patch::parse(&body).expect("a valid patch");
                let id = TransactionId(id);
                let action = Action::Amend { id, owner: None, version: None, patch };
                (action, model.patch(id.0, *status, *cents))
            }
            Step::Erase(place) => {
                let Some(id) = place_of(*place) else { continue };
                let id = TransactionId(id);
                (Action::Erase { id, owner: None, version: None }, model.erase(id.0))
            }
        };
        let at = Timestamp::from_micros(1_710_000_000_000_000 + place as i64);
        sent.push((Submission::one(at, action), answer));
    }
    sent
}

/// The records as a store has them.
fn records(memory: &Memory) -> BTreeMap<Uuid, Record> {
    let record = |item: &daybook_core::Transaction| Record {
        user: USERS.iter().position(|user| *user == item.user_id.as_str()).expect("a user"),
        name: item.external_id.as_ref().map(|name| name.parse().expect("a number")),
        content: Content {
            status: STATUSES.iter().position(|s| *s == item.status.name()).expect("a status"),
            is_credit: item.side == daybook_core::Side::Credit,
            cents: u8::from(item.amount.to_text(item.currency) == "1.01"),
            note: u8::from(item.metadata.text("note") == Some("1")),
            version: item.revision.version,
            updated_at: item.revision.updated_at.map(|at| at.micros() / 1_000_000 - 1_706_745_600),
        },
        version: item.version,
    };
    memory.transactions.values().map(|item| (item.id.0, record(item))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_history_is_as_the_page_says(steps in steps(), cut in 1..20_usize) {
        let mut model = Model::new();
        let sent = run(&mut model, &steps);
        let (mut single, mut grouped) = (Memory::default(), Memory::default());
        let (mut one_by_one, mut together) = (Vec::new(), Vec::new());
        for (submission, expected) in &sent {
            let before = single.clone();
            let replies = single.commit(std::slice::from_ref(submission));
            prop_assert_eq!(&said(&replies[0].verdicts[0]), expected, "{:?}", submission);
            if !["created", "updated", "deleted"].iter().any(|done| expected.ends_with(done)) {
                prop_assert_eq!(&before, &single);
            }
            one_by_one.extend(replies);
        }
        let submissions: Vec<Submission> = sent.iter().map(|(s, _)| s.clone()).collect();
        for group in submissions.chunks(cut) {
            together.extend(grouped.commit(group));
        }
        prop_assert_eq!(records(&single), model.records);
        prop_assert_eq!(one_by_one, together);
        prop_assert_eq!(&single.transactions, &grouped.transactions);
        prop_assert_eq!(&single.events, &grouped.events);
        single.assert_statistics();
        let created: BTreeSet<_> = single.events.iter().filter(|event| event.version == 1)
            .map(|event| format!("{:?}", event.subject)).collect();
        let births = single.events.iter().filter(|event| event.version == 1).count();
        prop_assert_eq!(created.len(), births, "an id was used twice");
    }

    #[test]
    fn an_atomic_batch_that_is_refused_gives_every_id_back(steps in steps()) {
        let mut model = Model::new();
        let sent = run(&mut model, &steps);
        let actions: Vec<Action> =
            sent.iter().flat_map(|(submission, _)| submission.actions.clone()).collect();
        let refused = Action::Refused(daybook_core::Rejection::BatchRefused);
        let at = Timestamp::from_micros(1_710_000_000_000_000);
        let batch = Submission {
            at,
            key: None,
            atomic: true,
            actions: actions.into_iter().chain([refused]).collect(),
        };
        let mut history = vec![batch];
        history.extend(sent.iter().map(|(submission, _)| submission.clone()));
        let (mut alone, mut behind) = (Memory::default(), Memory::default());
        let after: Vec<_> = behind.commit(&history).into_iter().skip(1).collect();
        let expected: Vec<_> = sent.iter().map(|(_, expected)| expected.clone()).collect();
        let found: Vec<_> = after.iter().map(|reply| said(&reply.verdicts[0])).collect();
        prop_assert_eq!(found, expected);
        for (submission, _) in &sent {
            alone.commit(std::slice::from_ref(submission));
        }
        prop_assert_eq!(&alone.transactions, &behind.transactions);
        prop_assert_eq!(&alone.events, &behind.events);
    }
}
