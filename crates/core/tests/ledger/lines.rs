//! What the lines of a table mean: the words of an action, and the words for what came of it.

use daybook_core::account::{AccountPatch, NewAccount};
use daybook_core::command::Action;
use daybook_core::time::US_PER_S;
use daybook_core::transaction::Vocabulary;
use daybook_core::transfer::{Failure, FailureKind, Retry, parse_capture};
use daybook_core::write_set::{Outcome, Recorded};
use daybook_core::{
    AccountId, NewTransfer, Patch, Rejection, Side, TransactionId, UserId, Verdict,
};

use crate::tables::Scene;

/// One line: a name, words in order, and options by their names.
pub struct Line<'a> {
    name: Option<&'a str>,
    words: std::vec::IntoIter<&'a str>,
    options: Vec<(&'a str, &'a str)>,
    /// All behind the name.
    pub text: &'a str,
    /// All behind the first word.
    rest: &'a str,
}

const OPTIONS: &[&str] = &["by", "ref", "dated", "due", "for", "key", "version", "limit"];

impl<'a> Line<'a> {
    pub fn read(text: &'a str) -> Self {
        let (name, text) = match text.split_once(": ") {
            Some((name, text)) if !name.contains(' ') => (Some(name), text),
            _ => (None, text),
        };
        let (mut words, mut options) = (Vec::new(), Vec::new());
        let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
        let plain = text.split_once('{').map_or(text, |(plain, _)| plain);
        let mut all = plain.split_whitespace();
        while let Some(word) = all.next() {
            match word {
                _ if OPTIONS.contains(&word) && !words.is_empty() => {
                    options.push((word, all.next().expect("an option's value")));
                }
                _ => words.push(word),
            }
        }
        Self { name, words: words.into_iter(), options, text, rest }
    }

    fn word(&mut self) -> &'a str {
        self.words.next().expect("one more word")
    }

    pub fn option(&mut self, name: &str) -> Option<String> {
        let at = self.options.iter().position(|(known, _)| *known == name)?;
        Some(self.options.remove(at).1.to_owned())
    }

    /// Checks that every word was understood.
    pub fn end(self) {
        assert_eq!(self.words.as_slice(), [""; 0], "in {}", self.rest);
        assert_eq!(self.options, [], "in {}", self.rest);
    }

    fn account(&mut self) -> AccountId {
        account(self.word())
    }

    fn owner(&mut self) -> Option<daybook_core::Owner> {
        self.option("by").map(|user| UserId::parse(&user).expect("a user").into())
    }

    fn body(&mut self) -> &'a str {
        let body = self.rest.find('{').and_then(|at| self.rest.get(at..));
        body.expect("a body")
    }
}

fn account(word: &str) -> AccountId {
    match word.strip_prefix("equity-") {
        Some(code) => {
            let currency = Vocabulary::default().currencies.get(code).expect("a currency");
            AccountId::equity(&currency)
        }
        None => AccountId(word.parse().expect("an account")),
    }
}

/// A span of time, in microseconds: `90s`, `-1d`.
pub fn micros(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => panic!("{text} is no span of time"),
    };
    number.parse::<i64>().expect("a number") * seconds * US_PER_S
}

/// Three attempts in all, after 10 and 20 seconds: the least of what the chance leaves.
const RETRY: Retry =
    Retry { attempts_max: 3, base_us: 20 * US_PER_S, cap_us: 3_600 * US_PER_S, chance: 0 };

impl Scene {
    /// The action that a line asks for, made as a request would be.
    pub fn action(&mut self, line: &mut Line<'_>) -> Action {
        let word = line.word();
        match word {
            "open" => self.open(line),
            "account-body" => opened(line.body()),
            "send" | "hold" | "queue" => self.transfer(word, line),
            "transfer-body" => {
                let id = self.name(line.name);
                moved(NewTransfer::parse(line.body(), id, &Vocabulary::default()))
            }
            "post" => {
                let (id, owner) = (self.named(line.word()), line.owner());
                let amount = line.words.next();
                let body = amount.map_or(String::new(), |text| match text {
                    "null" => r#"{"amount":null}"#.to_owned(),
                    text => format!(r#"{{"amount":"{text}"}}"#),
                });
                match parse_capture(&body) {
                    Ok(amount) => Action::Post { id, owner, amount },
                    Err(refused) => Action::Refused(refused),
                }
            }
            "void" => Action::Void { id: self.named(line.word()), owner: line.owner() },
            "undo" => {
                let (id, owner) = (self.named(line.word()), line.owner());
                Action::Rollback { id, owner, by: self.name(line.name) }
            }
            "expire" => Action::Expire { id: self.named(line.word()) },
            "attempt" => {
                let id = self.named(line.word());
                let failure = line.words.next().map(|kind| Failure {
                    kind: FailureKind::from_name(kind).expect("a kind of failure"),
                    code: line.word().to_owned(),
                    detail: "said by the table".to_owned(),
                });
                Action::Attempt { id, retry: RETRY, failure }
            }
            "edit" | "erase" => self.feed_action(word, line),
            _ => reform(word, line),
        }
    }

    fn open(&mut self, line: &mut Line<'_>) -> Action {
        let mut fields = Vec::new();
        match line.word() {
            "new" => {}
            id => fields.push(format!(r#""account_id":"{id}""#)),
        }
        match line.word() {
            "-" => {}
            user => fields.push(format!(r#""user_id":"{user}""#)),
        }
        fields.push(format!(r#""currency":"{}""#, line.word()));
        for amount in line.words.by_ref() {
            fields.push(format!(r#""initial_balance":"{amount}""#));
        }
        let limit = line.option("limit");
        fields.extend(limit.map(|limit| format!(r#""overdraft_limit":"{limit}""#)));
        opened(&format!("{{{}}}", fields.join(",")))
    }

    fn transfer(&mut self, word: &str, line: &mut Line<'_>) -> Action {
        let id = self.name(line.name);
        let mut fields = vec![format!(r#""source_account_id":"{}""#, line.word())];
        assert_eq!(line.word(), "to");
        fields.push(format!(r#""destination_account_id":"{}""#, line.word()));
        fields.push(format!(r#""amount":"{}""#, line.word()));
        fields.extend(line.words.next().map(|code| format!(r#""currency":"{code}""#)));
        fields.extend((word == "hold").then(|| r#""pending":true"#.to_owned()));
        let reference = line.option("ref");
        fields.extend(reference.map(|text| format!(r#""reference":"{text}""#)));
        for (option, field) in [("dated", "created_at"), ("due", "execute_at")] {
            let moment = line.option(option).map(|span| self.after(micros(&span)));
            fields.extend(moment.map(|at| format!(r#""{field}":"{at}""#)));
        }
        let seconds = line.option("for").map(|span| micros(&span) / US_PER_S);
        fields.extend(seconds.map(|seconds| format!(r#""expires_in":{seconds}"#)));
        let body = format!("{{{}}}", fields.join(","));
        let new = NewTransfer::parse(&body, id, &Vocabulary::default());
        let owner = line.owner();
        moved(new.map(|new| NewTransfer { owner, queued: new.queued || word == "queue", ..new }))
    }

    fn feed_action(&self, word: &str, line: &mut Line<'_>) -> Action {
        let id = self.item(line.word(), line.word());
        let owner = line.owner();
        match word {
            "edit" => {
                let patch = Patch::parse(r#"{"status":"cancelled"}"#).expect("a patch");
                Action::Amend { id, owner, version: None, patch }
            }
            _ => Action::Erase { id, owner, version: None },
        }
    }

    fn item(&self, name: &str, side: &str) -> TransactionId {
        let side = match side {
            "sent" => Side::Debit,
            "received" => Side::Credit,
            _ => panic!("{side} is neither sent nor received"),
        };
        self.named(name).item(side)
    }

    /// The words for an answer.
    pub fn answer(&self, verdict: &Verdict) -> String {
        let status = |recorded: &Recorded| {
            let body: serde_json::Value = serde_json::from_str(&recorded.body).expect("JSON");
            body["status"].as_str().expect("a status").to_owned()
        };
        match verdict {
            Ok(Outcome::Created(recorded) | Outcome::Updated(recorded)) => status(recorded),
            Ok(Outcome::Unchanged(recorded)) => format!("unchanged {}", status(recorded)),
            Ok(Outcome::Ignored(recorded)) => format!("ignored {}", status(recorded)),
            Ok(Outcome::Deleted(_)) => "deleted".to_owned(),
            Err(rejection) => self.refusal(rejection),
        }
    }

    /// The words for a refusal: its code, and what it is about.
    fn refusal(&self, rejection: &Rejection) -> String {
        let code = rejection.code();
        match rejection {
            Rejection::Invalid(errors) => {
                let fields =
                    errors.iter().map(|error| format!(" {} {}", error.pointer, error.code));
                format!("{code}{}", fields.collect::<Vec<_>>().join(","))
            }
            Rejection::AccountNotFound { id }
            | Rejection::NotYourAccount { id }
            | Rejection::AccountExists { id }
            | Rejection::AccountFrozen { id }
            | Rejection::AccountClosed { id }
            | Rejection::AccountNotEmpty { id }
            | Rejection::LimitInUse { id }
            | Rejection::BalanceOverflow { id }
            | Rejection::EquityOverflow { id }
            | Rejection::OutOfOrder { id } => match id.is_equity() {
                true => format!("{code} of equity"),
                false => format!("{code} of {id}"),
            },
            Rejection::StaleAccount { expected, actual, .. } => {
                format!("{code} {expected} is {actual}")
            }
            Rejection::CurrenciesDiffer { id, has, wanted } => {
                format!("{code} of {id} has {has} not {wanted}")
            }
            Rejection::InsufficientFunds { id, available, needed, .. } => {
                format!("{code} of {id} gives {available} of {needed}")
            }
            Rejection::DuplicateReference { id } => format!("{code} of {}", self.name_of(*id)),
            Rejection::IllegalTransfer { from, to } => format!("{code} from {from} to {to}"),
            Rejection::MoreThanHeld { held, .. } => format!("{code} of {held}"),
            Rejection::TooManyAccounts { user_id, max } => format!("{code} of {user_id} is {max}"),
            other => other.code().to_owned(),
        }
    }

    /// What an account holds.
    pub fn held(&self, word: &str) -> String {
        let holding = &self.memory.accounts[&account(word)];
        let (funds, currency) = (&holding.funds, holding.account.currency);
        let (balance, free) = (funds.balance, funds.available());
        let mut text = format!("{word} has {}", balance.to_text(currency));
        if free != balance {
            text += &format!(" free {}", free.to_text(currency));
        }
        for (name, pending) in [("in", funds.pending_in), ("out", funds.pending_out)] {
            if pending.atto() != 0 {
                text += &format!(" {name} {}", pending.to_text(currency));
            }
        }
        text
    }

    /// What a transfer says about itself.
    pub fn show(&self, name: &str) -> String {
        let transfer = &self.memory.transfers[&self.named(name)];
        let money = |amount: daybook_core::Amount| amount.to_text(transfer.currency);
        let mut text = format!("{} {}", transfer.status, money(transfer.amount));
        let mut say = |name: &str, said: Option<String>| {
            text += &said.map(|said| format!(", {name} {said}")).unwrap_or_default();
        };
        let span = |at| self.span(at);
        say("held", transfer.held.map(money));
        say("expires", transfer.expires_at.map(span));
        say("due", transfer.execute_at.map(span));
        say("undoes", transfer.rolls_back.map(|id| self.name_of(id).to_owned()));
        say("undone by", transfer.rolled_back_by.map(|id| self.name_of(id).to_owned()));
        say("retries", (transfer.retry_count > 0).then(|| transfer.retry_count.to_string()));
        let error = transfer.last_error.as_ref();
        say("error", error.map(|error| format!("{} {}", error.kind, error.code)));
        say("last", transfer.last_attempt.map(span));
        say("next", transfer.next_attempt.map(span));
        say("moved", transfer.posting.map(|posting| span(posting.at)));
        text
    }

    /// What the owners of both accounts see of a transfer.
    pub fn feed(&self, name: &str) -> String {
        let sides = ["sent", "received"].map(|side| self.item(name, side));
        let items = sides.iter().filter_map(|id| self.memory.transactions.get(id));
        let said = items.map(|item| {
            let body: serde_json::Value = serde_json::from_str(&item.to_json()).expect("JSON");
            let (metadata, amount) = (&body["metadata"], item.amount.to_text(item.currency));
            let of = |name: &str| metadata[name].as_str().unwrap_or("nobody").to_owned();
            let to = if item.side == Side::Debit { "to" } else { "from" };
            assert_eq!(body["transfer_id"], self.named(name).to_string());
            let reference = metadata["reference"].as_str().map(|text| format!(" ref {text}"));
            format!(
                "{} {} {amount} {to} {}{} {} version {}",
                item.user_id,
                of("direction"),
                of("peer_id"),
                reference.unwrap_or_default(),
                item.status,
                item.version
            )
        });
        let said: Vec<String> = said.collect();
        if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
    }

    /// An account's entries, the newest first.
    pub fn statement(&self, word: &str) -> String {
        let id = account(word);
        let mut next = self.memory.accounts[&id].funds.posted.last;
        let mut said = Vec::new();
        while let Some(number) = next {
            let with = |of: &&daybook_core::Transfer| of.number == number;
            let transfer = self.memory.transfers.values().find(with).expect("the entry's transfer");
            let entry = transfer.entry(id).expect("money moved");
            let (word, to) = match entry.direction {
                Side::Debit => ("out", "to"),
                Side::Credit => ("in", "from"),
            };
            let peer = match entry.counterparty.is_equity() {
                true => "equity".to_owned(),
                false => entry.counterparty.to_string(),
            };
            let (amount, left) =
                (entry.amount.to_text(entry.currency), entry.balance.to_text(entry.currency));
            let when = self.span(entry.posted_at);
            said.push(format!("{when} {word} {amount} {to} {peer} leaves {left}"));
            next = transfer.leg_of(id).expect("money moved").previous;
        }
        if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
    }
}

fn opened(body: &str) -> Action {
    match NewAccount::parse(body, None, &Vocabulary::default()) {
        Ok(new) => Action::Open(new),
        Err(refused) => Action::Refused(refused),
    }
}

fn moved(new: Result<NewTransfer, Rejection>) -> Action {
    new.map_or_else(Action::Refused, Action::Transfer)
}

fn reform(word: &str, line: &mut Line<'_>) -> Action {
    let id = line.account();
    let body = match word {
        "freeze" => r#"{"status":"frozen"}"#.to_owned(),
        "thaw" => r#"{"status":"open"}"#.to_owned(),
        "close" => r#"{"status":"closed"}"#.to_owned(),
        "set-limit" => format!(r#"{{"overdraft_limit":"{}"}}"#, line.word()),
        "rename" => format!(r#"{{"name":"{}"}}"#, line.word()),
        "patch-body" => line.body().to_owned(),
        _ => panic!("nobody knows what '{word}' means"),
    };
    let version = line.option("version").map(|text| text.parse().expect("a version"));
    match AccountPatch::parse(&body) {
        Ok(patch) => Action::Reform { id, owner: line.owner(), version, patch },
        Err(refused) => Action::Refused(refused),
    }
}
