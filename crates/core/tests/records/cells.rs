//! Every cell: each status after each other, with each combination of other money, other rest, and
//! each relation of both marks, of a record known by its source and of one known by its id.

use std::collections::BTreeSet;

use daybook_core::command::Action;
use daybook_core::transaction::Vocabulary;
use daybook_core::{
    NewTransaction, Outcome, Rejection, Submission, Timestamp, TransactionId, Verdict,
};
use uuid::Uuid;

use crate::common::Memory;
use crate::tables::{Table, another, mark, step};

const STATUSES: [&str; 4] = ["pending", "completed", "failed", "cancelled"];
/// What is stored and what is sent of a mark, as offsets from some value.
const MARKS: [(Option<i64>, Option<i64>); 6] = [
    (None, None),
    (None, Some(5)),
    (Some(5), None),
    (Some(5), Some(4)),
    (Some(5), Some(5)),
    (Some(5), Some(6)),
];

#[derive(Clone, Copy, Debug)]
struct Content {
    status: &'static str,
    is_credit: bool,
    is_large: bool,
    is_euro: bool,
    /// 0 is the plain one, 1 has other metadata, 2 another time, 3 another product.
    rest: u8,
    version: Option<i64>,
    updated_at: Option<i64>,
}

fn time(number: i64) -> String {
    Timestamp::from_micros(1_700_000_000_000_000 + number).to_string()
}

fn body(content: Content, by_source: bool) -> String {
    let Content { status, is_credit, is_large, is_euro, rest, version, updated_at } = content;
    let name = if by_source {
        r#""source":"bank","external_id":"7""#.to_owned()
    } else {
        format!(r#""id":"{}""#, Uuid::from_u128(77))
    };
    let mut body = format!(
        r#"{{"user_id":"ann","transaction_type":"p2p","status":"{status}","amount":"{}",
        "currency":"{}","metadata":{{"note":"{}"}},"created_at":"2024-01-0{}",{name}"#,
        if is_large { 12 } else { 10 },
        if is_euro { "EUR" } else { "USD" },
        if rest == 1 { "changed" } else { "plain" },
        if rest == 2 { 2 } else { 1 },
    );
    body += &format!(r#","side":"{}""#, if is_credit { "credit" } else { "debit" });
    if rest == 3 {
        body += r#","product":"Card""#;
    }
    if let Some(version) = version {
        body += &format!(r#","source_version":{version}"#);
    }
    if let Some(at) = updated_at {
        body += &format!(r#","source_updated_at":"{}""#, time(at));
    }
    body + "}"
}

fn send(memory: &mut Memory, body: &str, place: u128) -> Verdict {
    let id = TransactionId(Uuid::from_u128(place));
    let new = NewTransaction::parse(body, id, None, &Vocabulary::default()).expect(body);
    let at = Timestamp::from_micros(1_710_000_000_000_000 + place as i64);
    memory.commit(&[Submission::one(at, Action::Record(new))]).remove(0).verdicts.remove(0)
}

/// What the page promises, in its own words.
fn said(verdict: &Verdict) -> String {
    match verdict {
        Ok(Outcome::Created(_)) => "201 created".to_owned(),
        Ok(Outcome::Updated(_)) => "200 updated".to_owned(),
        Ok(Outcome::Unchanged(_)) => "200 unchanged".to_owned(),
        Ok(Outcome::Ignored(_)) => "200 ignored".to_owned(),
        Ok(Outcome::Deleted(_)) => "204".to_owned(),
        Err(rejection) => format!("409 {}", rejection.code()),
    }
}

fn sent_contents(stored: Content) -> Vec<Content> {
    let mut all = Vec::new();
    for status in STATUSES {
        // The same money; another side, amount or currency; and all of them.
        for money in [0, 1, 2, 4, 7] {
            for rest in 0..4_u8 {
                let flag = |bit: u8| money & bit != 0;
                all.push(Content {
                    status,
                    is_credit: flag(1),
                    is_large: flag(2),
                    is_euro: flag(4),
                    rest,
                    ..stored
                });
            }
        }
    }
    all
}

#[test]
fn every_cell_is_as_the_page_says() {
    let (marks, answers) = (Table::of_marks(), Table::of_answers());
    let (mut met, mut cells, mut wrong) = (BTreeSet::new(), 0, Vec::new());
    for by_source in [true, false] {
        for status in STATUSES {
            for version in MARKS {
                for updated_at in MARKS {
                    let stored = Content {
                        status,
                        is_credit: false,
                        is_large: false,
                        is_euro: false,
                        rest: 0,
                        version: version.0,
                        updated_at: updated_at.0,
                    };
                    let mut memory = Memory::default();
                    let first = send(&mut memory, &body(stored, by_source), 1);
                    assert_eq!(said(&first), "201 created");
                    for content in sent_contents(stored) {
                        let sent =
                            Content { version: version.1, updated_at: updated_at.1, ..content };
                        let marks_cell = [
                            mark(sent.version, stored.version, ["lower", "higher"]),
                            mark(sent.updated_at, stored.updated_at, ["earlier", "later"]),
                        ];
                        let money = sent.is_credit || sent.is_large || sent.is_euro;
                        let cell = [
                            marks.answer(&marks_cell),
                            if by_source { "source" } else { "id" },
                            step(stored.status, sent.status),
                            another(money),
                            another(sent.rest != 0),
                        ];
                        let expected = answers.answer(&cell);
                        met.extend(marks_cell.iter().chain(&cell).map(|word| (*word).to_owned()));
                        cells += 1;
                        let found = check(&memory, sent, by_source);
                        if found != expected {
                            wrong.push(format!("{stored:?} {sent:?}: {expected}, not {found}"));
                        }
                    }
                }
            }
        }
    }
    let some: Vec<_> = wrong.iter().take(10).collect();
    assert!(wrong.is_empty(), "{} of {cells} cells: {some:#?}", wrong.len());
    assert_eq!(cells, 2 * 4 * 36 * 4 * 5 * 4);
    for word in marks.words().chain(answers.words()) {
        assert!(met.contains(word), "no cell is about '{word}'");
    }
}

/// Sends it, and checks that the books are as the answer says; gives back the answer.
fn check(memory: &Memory, sent: Content, by_source: bool) -> String {
    let before = memory.transactions.values().next().expect("an item");
    let mut after = memory.clone();
    let verdict = send(&mut after, &body(sent, by_source), 2);
    match &verdict {
        Ok(Outcome::Updated(recorded)) => {
            let item = &after.transactions[&before.id];
            assert_eq!((item.version, recorded.version), (2, 2));
            let name = |is: bool, yes: &'static str, no: &'static str| if is { yes } else { no };
            assert_eq!(item.status.name(), sent.status);
            assert_eq!(item.side.name(), name(sent.is_credit, "credit", "debit"));
            assert_eq!(item.amount.to_text(item.currency), name(sent.is_large, "12.00", "10.00"));
            assert_eq!(item.currency.code(), name(sent.is_euro, "EUR", "USD"));
            assert_eq!(item.metadata.text("note"), Some(name(sent.rest == 1, "changed", "plain")));
            let version = sent.version.or(before.revision.version);
            assert_eq!(item.revision.version, version);
            let at = sent.updated_at.map(|at| 1_700_000_000_000_000 + at);
            let kept = before.revision.updated_at.map(Timestamp::micros);
            assert_eq!(item.revision.updated_at.map(Timestamp::micros), at.or(kept));
            assert_eq!(&*recorded.body, item.to_json());
            assert_eq!(after.events.len(), memory.events.len() + 1);
            after.assert_statistics();
        }
        Ok(Outcome::Unchanged(recorded) | Outcome::Ignored(recorded)) => {
            assert_eq!(&*recorded.body, before.to_json());
            assert_eq!(&after, memory);
        }
        Err(Rejection::RecordConflict(conflict)) => {
            assert_eq!(&after, memory);
            assert_eq!(conflict.stored.status, before.status);
            assert_eq!(conflict.sent.status.name(), sent.status);
            let text = conflict.to_string();
            let amount = if sent.is_large { "12.00" } else { "10.00" };
            let side = if sent.is_credit { "credit" } else { "debit" };
            let currency = if sent.is_euro { "EUR" } else { "USD" };
            let status = sent.status;
            assert!(
                text.contains(&format!("sent: {status} {side} of {amount} {currency}")),
                "{text}"
            );
            let stored = before.status;
            assert!(text.contains(&format!("stored: {stored} debit of 10.00 USD")), "{text}");
        }
        other => panic!("{sent:?}: {other:?}"),
    }
    said(&verdict)
}

#[test]
fn names_and_type_of_a_record_never_change() {
    let known = r#""source":"bank","external_id":"7","id":"00000000-0000-0000-0000-00000000004d""#;
    let post = |memory: &mut Memory, kind: &str, names: &str, place| {
        let body = format!(
            r#"{{"user_id":"ann","transaction_type":"{kind}","amount":"1",{names},
            "source_version":{place}}}"#
        );
        said(&send(memory, &body, place))
    };
    let mut memory = Memory::default();
    assert_eq!(post(&mut memory, "card", known, 1), "201 created");
    let before = memory.clone();
    for (kind, names) in [
        ("other", known),
        (
            "card",
            r#""source":"bank","external_id":"7","id":"00000000-0000-0000-0000-00000000004e""#,
        ),
        (
            "card",
            r#""source":"bank","external_id":"8","id":"00000000-0000-0000-0000-00000000004d""#,
        ),
        (
            "card",
            r#""source":"shop","external_id":"7","id":"00000000-0000-0000-0000-00000000004d""#,
        ),
        ("card", r#""source":"shop","id":"00000000-0000-0000-0000-00000000004d""#),
    ] {
        assert_eq!(post(&mut memory, kind, names, 9), "409 RECORD_CONFLICT", "{kind} {names}");
        assert_eq!(memory, before);
    }
    for (version, names) in [
        (10, r#""source":"bank","external_id":"7""#),
        (11, r#""source":"bank","id":"00000000-0000-0000-0000-00000000004d""#),
        (12, r#""id":"00000000-0000-0000-0000-00000000004D""#),
    ] {
        assert_eq!(post(&mut memory, "card", names, version), "200 updated", "{names}");
    }
    let other = r#""source":"bank","external_id":"9","id":"00000000-0000-0000-0000-00000000004f""#;
    assert_eq!(post(&mut memory, "card", other, 100), "201 created");
    let mixed = r#""source":"bank","external_id":"7","id":"00000000-0000-0000-0000-00000000004f""#;
    assert_eq!(post(&mut memory, "card", mixed, 200), "409 RECORD_CONFLICT");
}
