//! The tables: what people wrote about the ledger, run line by line.
//!
//! A table is a text file. It opens with sentences about what it shows; then come scenarios. A
//! scenario's lines are steps, each with what is expected of it:
//!
//! `a: hold 1 to 2 30.00 for 60s => pending | 1 has 100.00 free 70.00 out 30.00 | 2 has 0.00 in 30.00`
//!
//! Before the arrow stands what is done, with a name for the transfer where one is needed; behind
//! it the answer: a status, or the code of a refusal with what is said about it. Without an arrow
//! any answer but a refusal will do. Behind each bar stands what an account holds then. Of its
//! parts, only those are written that say something: `free` where not all is, `in` and `out`
//! where anything is held.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::{AccountId, Submission, Timestamp, TransferId, decide};
use uuid::Uuid;

use crate::books::{check, check_write, writes_nothing};
use crate::common::Memory;
use crate::lines::{Line, micros};

/// Every refusal that the ledger knows; together the tables show each of them.
const CODES: &[&str] = &[
    "ACCOUNT_CLOSED",
    "ACCOUNT_EXISTS",
    "ACCOUNT_FROZEN",
    "ACCOUNT_NOT_EMPTY",
    "ACCOUNT_NOT_FOUND",
    "BALANCE_OVERFLOW",
    "BATCH_REFUSED",
    "BELONGS_TO_TRANSFER",
    "CURRENCIES_DIFFER",
    "DUPLICATE_KEY",
    "DUPLICATE_REFERENCE",
    "HOLD_EXPIRED",
    "IDEMPOTENCY_KEY_REUSED",
    "ILLEGAL_STATUS_MOVE",
    "INSUFFICIENT_FUNDS",
    "IN_FUTURE",
    "IS_EQUITY",
    "IS_ROLLBACK",
    "LIMIT_IN_USE",
    "MALFORMED_JSON",
    "MORE_THAN_HELD",
    "NOT_FOR_USERS",
    "NOT_HELD",
    "NOT_YOUR_ACCOUNT",
    "NOT_YOUR_TRANSACTION",
    "NOT_YOUR_TRANSFER",
    "OUT_OF_ORDER",
    "STALE_VERSION",
    "STILL_HELD",
    "TOO_MANY_ACCOUNTS",
    "TRANSACTION_NOT_FOUND",
    "TRANSFER_NOT_FOUND",
    "VALIDATION_FAILED",
];

#[test]
fn the_ledger_does_what_the_tables_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger");
    let (mut wrong, mut met, mut files) = (Vec::new(), BTreeSet::new(), 0);
    for entry in std::fs::read_dir(&directory).expect("the tables") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a readable table");
            let scenarios = table(&name, &text, &mut wrong, &mut met);
            assert!(scenarios > 0, "{name} has no scenario");
            files += 1;
        }
    }
    assert!(wrong.is_empty(), "{} lines are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(files, 9, "every table was read");
    let unmet: Vec<_> = CODES.iter().filter(|code| !met.contains(**code)).collect();
    assert!(unmet.is_empty(), "no table shows {unmet:?}");
}

/// Runs the scenarios of one table, and answers how many there are.
fn table(name: &str, text: &str, wrong: &mut Vec<String>, met: &mut BTreeSet<String>) -> usize {
    let mut lines = text.lines().enumerate().peekable();
    let mut sentences = String::new();
    while let Some((_, line)) = lines.next_if(|(_, line)| !line.starts_with("scenario ")) {
        assert!(!line.starts_with(' '), "{name}: a step before the first scenario");
        sentences += line;
    }
    assert!(sentences.ends_with('.'), "{name} opens with a sentence");
    let (mut scenarios, mut scene) = (0, Scene::default());
    for (place, line) in lines {
        let at = format!("{name}:{}: {}", place + 1, line.trim());
        if line.starts_with("scenario ") {
            assert!(scene.batch.is_none(), "{at}: the batch before has no end");
            assert!(scenarios == 0 || scene.steps > 0, "{at}: the scenario before is empty");
            (scenarios, scene) = (scenarios + 1, Scene::default());
        } else if !line.trim().is_empty() {
            assert!(line.starts_with("  "), "{at}: not a step");
            scene.steps += 1;
            let _place = Place(&at);
            for (expected, found) in scene.line(line.trim()) {
                if expected != found {
                    wrong.push(format!("{at}\n    expected {expected}\n    found    {found}"));
                }
                met.extend(found.split_whitespace().map(str::to_owned));
            }
        }
    }
    assert!(scene.steps > 0 && scene.batch.is_none(), "{name}: the last scenario has an end");
    scenarios
}

/// A batch that is being written down: its actions and what is expected of each.
struct Batch {
    atomic: bool,
    key: Option<String>,
    actions: Vec<Action>,
    expected: Vec<Option<String>>,
    text: String,
}

/// Says where a table cannot be understood, or breaks the books.
struct Place<'a>(&'a str);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("at {}", self.0);
        }
    }
}

/// What was expected and what was found.
pub type Checked = Vec<(String, String)>;

/// A scenario as it unfolds.
#[derive(Default)]
pub struct Scene {
    pub memory: Memory,
    /// Microseconds since the scenario began.
    now_us: i64,
    /// Transfers by the names that the scenario gives them.
    names: BTreeMap<String, TransferId>,
    batch: Option<Batch>,
    made: u128,
    logged: usize,
    steps: usize,
}

impl Scene {
    /// Takes one step.
    pub fn line(&mut self, text: &str) -> Checked {
        let mut parts = text.split(" | ");
        let step = parts.next().expect("a step");
        let (step, expected) = match step.split_once(" => ") {
            Some((step, expected)) => (step.trim(), Some(expected.trim().to_owned())),
            None => (step.trim(), None),
        };
        let mut checked = Vec::new();
        let (repeats, step) = match step.strip_prefix("repeat ") {
            Some(rest) => rest.split_once(' ').expect("how often, and what"),
            None => ("1", step),
        };
        for _ in 0..repeats.parse::<u32>().expect("how often") {
            checked.extend(self.step(step, expected.clone()));
        }
        check(&self.memory);
        for part in parts.map(str::trim) {
            let (account, _) = part.split_once(' ').expect("an account and what it has");
            checked.push((part.to_owned(), self.held(account)));
        }
        checked
    }

    fn step(&mut self, step: &str, expected: Option<String>) -> Checked {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        let asked = match word {
            "wait" => {
                self.now_us += micros(rest);
                assert!(expected.is_none(), "time passes without an answer");
                return Vec::new();
            }
            "all" | "each" => {
                let (key, text) = (key_of(step), step.to_owned());
                let (actions, expected) = (Vec::new(), Vec::new());
                self.batch = Some(Batch { atomic: word == "all", key, actions, expected, text });
                return Vec::new();
            }
            "end" => {
                let batch = self.batch.take().expect("a batch");
                let key = batch.key.as_deref();
                let found = self.commit(batch.atomic, key, batch.actions, &batch.text);
                return pair(batch.expected, found);
            }
            "feed" => self.feed(rest),
            "show" => self.show(rest),
            "statement" => self.statement(rest),
            "log" => self.log(),
            _ => return self.act(step, expected),
        };
        vec![(expected.expect("a question has an answer"), asked)]
    }

    fn act(&mut self, step: &str, expected: Option<String>) -> Checked {
        let mut line = Line::read(step);
        let action = self.action(&mut line);
        let (key, text) = (line.option("key"), line.text);
        line.end();
        if let Some(batch) = &mut self.batch {
            batch.text += text;
            batch.actions.push(action);
            batch.expected.push(expected);
            return Vec::new();
        }
        let found = self.commit(false, key.as_deref(), vec![action], text);
        pair(vec![expected], found)
    }

    fn commit(
        &mut self,
        atomic: bool,
        key: Option<&str>,
        actions: Vec<Action>,
        text: &str,
    ) -> Vec<String> {
        let hash = |text: &str| daybook_core::id::fnv128(&[text.as_bytes()]);
        let key = key.map(|key| IdempotencyKey { scope: hash(key), fingerprint: hash(text) });
        let request = [Submission { at: self.at(), key, atomic, actions }];
        let (mut replies, write) = decide(&request, self.memory.load(&request));
        check_write(&self.memory, &write);
        let reply = replies.remove(0);
        if reply.verdicts.iter().all(Result::is_err) {
            assert!(writes_nothing(&write), "a refusal writes nothing: {text}");
        }
        self.memory.write(write);
        let said = reply.verdicts.iter().map(|verdict| {
            let answer = self.answer(verdict);
            if reply.replayed { format!("replayed {answer}") } else { answer }
        });
        said.collect()
    }

    pub fn at(&self) -> Timestamp {
        self.after(0)
    }

    /// A moment so many microseconds from now.
    pub fn after(&self, us: i64) -> Timestamp {
        Timestamp::from_micros(1_705_312_800_000_000 + self.now_us + us)
    }

    /// How far a moment lies from now.
    pub fn span(&self, at: Timestamp) -> String {
        let us = at.micros() - self.at().micros();
        format!("{}{}s", if us < 0 { "-" } else { "+" }, us.abs() / 1_000_000)
    }

    /// A new transfer, by the name that the scenario gives it.
    pub fn name(&mut self, name: Option<&str>) -> TransferId {
        self.made += 16;
        let id = TransferId(Uuid::from_u128(self.made));
        if let Some(name) = name {
            assert!(self.names.insert(name.to_owned(), id).is_none(), "{name} is taken");
        }
        id
    }

    pub fn named(&self, name: &str) -> TransferId {
        if let Some(account) = name.strip_prefix("opening-") {
            let account = AccountId(account.parse().expect("an account"));
            let opens =
                |of: &&daybook_core::Transfer| of.destination == account && of.source.is_equity();
            return self.memory.transfers.values().find(opens).expect("an opening").id;
        }
        let unknown = TransferId(Uuid::from_u128(u128::MAX));
        if name == "nobody" { unknown } else { self.names[name] }
    }

    pub fn name_of(&self, id: TransferId) -> &str {
        self.names.iter().find(|(_, known)| **known == id).map_or("?", |(name, _)| name)
    }

    /// What was logged since it was last asked.
    fn log(&mut self) -> String {
        let new = &self.memory.events[self.logged..];
        self.logged = self.memory.events.len();
        let names: Vec<_> = new.iter().map(|event| event.event_type.name()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    }
}

fn pair(expected: Vec<Option<String>>, found: Vec<String>) -> Checked {
    assert_eq!(expected.len(), found.len());
    let accepted = |found: &String| found.chars().next().is_some_and(char::is_lowercase);
    let pair = |(expected, found): (Option<String>, String)| match expected {
        Some(expected) => (expected, found),
        None if accepted(&found) => (found.clone(), found),
        None => ("no refusal".to_owned(), found),
    };
    expected.into_iter().zip(found).map(pair).collect()
}

fn key_of(step: &str) -> Option<String> {
    step.split_once(" key ").map(|(_, key)| key.to_owned())
}
