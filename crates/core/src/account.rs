//! Accounts: what they are, what they hold, and what may be sent to open or change one.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{AccountId, EventSeq, UserId};
use crate::input::{
    Read, Reader, check_metadata, read_amount, read_currency, read_metadata, read_name, read_text,
    read_user, wrong,
};
use crate::json::Json;
use crate::limits::ACCOUNT_NAME_CHARS_MAX;
use crate::money::{Amount, AsText, Balance, Currency};
use crate::named::named;
use crate::rejection::{FieldError, Rejection};
use crate::time::Timestamp;
use crate::transaction::Vocabulary;

named! {
    /// Whether an account takes part in transfers. A frozen one may be opened again; a closed one
    /// is empty and stays closed.
    AccountStatus { Open = "open", Frozen = "frozen", Closed = "closed" }
}

/// How far below zero an account may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdraft {
    Limit(Amount),
    Unlimited,
}

/// The word for an overdraft without limit.
pub const UNLIMITED: &str = "unlimited";

/// All of an account but its money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    /// Whose it is; an account without an owner belongs to the deployment itself.
    pub user_id: Option<UserId>,
    pub currency: Currency,
    pub name: Option<String>,
    pub metadata: Json,
    pub status: AccountStatus,
    pub overdraft: Overdraft,
    /// Rises by one with every change of the account itself; transfers do not change it.
    pub version: u32,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
    /// The event of the latest change; not published.
    pub seq: EventSeq,
}

/// One of the two orders in which an account's transfers are linked, newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The number of the newest transfer.
    pub last: Option<EventSeq>,
    pub count: u64,
}

/// The money of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funds {
    /// What was posted, in and out.
    pub balance: Balance,
    /// Held for this account, still on others.
    pub pending_in: Amount,
    /// Held on this account, for others.
    pub pending_out: Amount,
    /// Transfers that moved money, in the order in which they did: the statement.
    pub posted: Chain,
    /// When the latest of them did.
    pub posted_at: Timestamp,
    /// All transfers, in the order in which they were submitted.
    pub listed: Chain,
}

/// An account and its money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub account: Arc<Account>,
    pub funds: Funds,
}

impl Funds {
    /// What is posted and not held. Holds are only taken where this leaves room, so it is never
    /// out of range.
    #[must_use]
    pub fn available(&self) -> Balance {
        self.balance.minus(self.pending_out).unwrap_or(self.balance)
    }
}

impl Holding {
    /// Whether the account can give this much now, its overdraft included.
    #[must_use]
    pub fn can_give(&self, amount: Amount) -> bool {
        self.account.overdraft == Overdraft::Unlimited || self.to_give() >= amount.into()
    }

    /// What a limited account can give now, its overdraft included.
    #[must_use]
    pub fn to_give(&self) -> Balance {
        let available = self.funds.available();
        match self.account.overdraft {
            Overdraft::Limit(limit) => available.plus(limit).unwrap_or(available),
            Overdraft::Unlimited => available,
        }
    }

    /// The published JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serializing to a string fails only where a map key is no string; there is none.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Holding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (account, funds) = (&*self.account, &self.funds);
        let currency = account.currency;
        let mut s = serializer.serialize_struct("Account", 14)?;
        s.serialize_field("account_id", &account.id)?;
        s.serialize_field("user_id", &account.user_id)?;
        s.serialize_field("name", &account.name)?;
        s.serialize_field("currency", &currency)?;
        s.serialize_field("status", &account.status)?;
        s.serialize_field("balance", &funds.balance.to_text(currency))?;
        s.serialize_field("available", &funds.available().to_text(currency))?;
        s.serialize_field("pending_in", &AsText(funds.pending_in, currency))?;
        s.serialize_field("pending_out", &AsText(funds.pending_out, currency))?;
        match account.overdraft {
            Overdraft::Limit(limit) => {
                s.serialize_field("overdraft_limit", &AsText(limit, currency))
            }
            Overdraft::Unlimited => s.serialize_field("overdraft_limit", UNLIMITED),
        }?;
        s.serialize_field("metadata", &account.metadata)?;
        s.serialize_field("version", &account.version)?;
        s.serialize_field("created_at", &account.created_at)?;
        s.serialize_field("updated_at", &account.updated_at)?;
        s.end()
    }
}

/// A checked request to open an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// `None` asks Daybook for one.
    pub id: Option<AccountId>,
    pub user_id: Option<UserId>,
    pub currency: Currency,
    pub name: Option<String>,
    pub metadata: Json,
    pub overdraft: Overdraft,
    pub initial_balance: Amount,
}

impl NewAccount {
    /// Reads and checks the body of a request. `user` stands in where the body names no user.
    ///
    /// # Errors
    /// Names every field that breaks a rule, or why the text is no JSON object.
    pub fn parse(
        body: &str,
        user: Option<&UserId>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        let id = r.field("account_id", read_chosen);
        let user_id = r.field("user_id", read_user).or_else(|| user.cloned());
        let currency = r.field("currency", |raw| read_currency(raw, vocabulary));
        let currency = if r.broken("currency") { None } else { currency.or(Some(Currency::USD)) };
        let name = r.field("name", |raw| read_name(raw, ACCOUNT_NAME_CHARS_MAX));
        let metadata = r.field("metadata", read_metadata).unwrap_or(Json::Object(Vec::new()));
        let initial_balance = r.field("initial_balance", |raw| read_amount(raw, currency));
        let overdraft = r.field("overdraft_limit", |raw| read_overdraft(raw, currency));
        r.finish()?;
        Ok(Self {
            id,
            user_id,
            currency: currency.ok_or_else(|| Rejection::Invalid(Vec::new()))?,
            name,
            metadata,
            overdraft: overdraft.unwrap_or(Overdraft::Limit(Amount::ZERO)),
            initial_balance: initial_balance.unwrap_or(Amount::ZERO),
        })
    }

    /// Whether the request makes money or credit, which an owner may not do.
    #[must_use]
    pub fn gives_money(&self) -> bool {
        self.initial_balance != Amount::ZERO || self.overdraft != Overdraft::Limit(Amount::ZERO)
    }
}

/// A checked change of an account. The digits of a limit are checked when it is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountPatch {
    /// `Some(None)` removes the name.
    pub name: Option<Option<String>>,
    /// A JSON merge patch (RFC 7396).
    pub metadata: Option<Json>,
    pub overdraft: Option<Overdraft>,
    pub status: Option<AccountStatus>,
}

impl AccountPatch {
    /// Reads a merge patch: any of `name`, `metadata`, `overdraft_limit`, `status`.
    ///
    /// # Errors
    /// Names every field that breaks a rule, or why the text is no JSON object.
    pub fn parse(body: &str) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        for name in ["overdraft_limit", "status"] {
            if r.is_null(name) {
                r.error(&format!("/{name}"), "REQUIRED", format!("`{name}` cannot be removed"));
            }
        }
        let unnamed = r.is_null("name");
        let patch = Self {
            name: r
                .field("name", |raw| read_name(raw, ACCOUNT_NAME_CHARS_MAX))
                .map(Some)
                .or(unnamed.then_some(None)),
            metadata: r.field("metadata", read_metadata),
            overdraft: r.field("overdraft_limit", |raw| read_overdraft(raw, None)),
            status: r.field("status", read_status),
        };
        for name in ["account_id", "user_id", "currency", "balance", "initial_balance"] {
            if r.fields.take_with_null(name).is_some() {
                let detail = format!("`{name}` cannot be changed by a patch");
                r.error(&format!("/{name}"), "IMMUTABLE", detail);
            }
        }
        r.finish()?;
        Ok(patch)
    }

    /// Whether the change is about money or about whether it moves, which an owner may not do.
    #[must_use]
    pub fn is_for_operators(&self) -> bool {
        self.overdraft.is_some() || self.status.is_some()
    }

    /// The account as it stands after the change; the same account when nothing changes.
    ///
    /// # Errors
    /// When the move is illegal, the account is not empty or the new limit leaves it below.
    pub fn apply(&self, holding: &Holding) -> Result<Account, Rejection> {
        let mut next = Account::clone(&holding.account);
        let id = next.id;
        if next.status == AccountStatus::Closed {
            return Err(Rejection::AccountClosed { id });
        }
        self.check_terms(&mut next)?;
        if let Some(status) = self.status {
            let funds = &holding.funds;
            let empty = funds.balance == Balance::ZERO
                && funds.pending_in == Amount::ZERO
                && funds.pending_out == Amount::ZERO;
            if status == AccountStatus::Closed && !empty {
                return Err(Rejection::AccountNotEmpty { id });
            }
            next.status = status;
        }
        if let Some(Overdraft::Limit(limit)) = self.overdraft
            && holding.funds.available() < Balance::from_atto(-limit.atto())
        {
            return Err(Rejection::LimitInUse { id });
        }
        if let Some(name) = &self.name {
            next.name.clone_from(name);
        }
        Ok(next)
    }

    /// Brings in limit and metadata, and names each that breaks a rule of this account.
    fn check_terms(&self, next: &mut Account) -> Result<(), Rejection> {
        let mut errors = Vec::new();
        if let Some(overdraft) = self.overdraft {
            next.overdraft = overdraft;
            if let Overdraft::Limit(limit) = overdraft
                && !limit.fits(next.currency)
            {
                let detail = more_digits(next.currency);
                errors.push(FieldError::new("/overdraft_limit", "AMOUNT", detail));
            }
        }
        if let Some(metadata) = &self.metadata {
            next.metadata = next.metadata.clone().merge(metadata.clone());
            errors.extend(
                check_metadata(&next.metadata)
                    .into_iter()
                    .map(|error| FieldError { pointer: "/metadata".to_owned(), ..error }),
            );
        }
        if errors.is_empty() { Ok(()) } else { Err(Rejection::Invalid(errors)) }
    }
}

/// That an amount has more fraction digits than its currency.
pub(crate) fn too_precise(pointer: &str, currency: Currency) -> Rejection {
    Rejection::field(pointer, "AMOUNT", more_digits(currency))
}

pub(crate) fn more_digits(currency: Currency) -> String {
    let digits = currency.digits();
    format!("the amount has more than the {digits} fraction digits of {currency}")
}

pub(crate) fn read_account(raw: &RawValue) -> Read<AccountId> {
    // Programs whose numbers are binary floats send large ids as texts.
    let text = match raw.get().as_bytes().first() {
        Some(b'"') => read_text(raw)?,
        _ => raw.get().to_owned(),
    };
    match text.parse::<i64>() {
        Ok(number) if number > 0 => Ok(AccountId(number)),
        _ => wrong("ACCOUNT_ID", "an account id is a whole number from 1 to 2^63 - 1"),
    }
}

/// The id that a client chooses for a new account.
fn read_chosen(raw: &RawValue) -> Read<AccountId> {
    match read_account(raw)? {
        id if (AccountId::KEPT..AccountId::GIVEN_END).contains(&id) => {
            wrong("ACCOUNT_ID", "the ids from 2^52 to 2^53 are kept for accounts that choose none")
        }
        id => Ok(id),
    }
}

fn read_overdraft(raw: &RawValue, currency: Option<Currency>) -> Read<Overdraft> {
    if raw.get() == format!("\"{UNLIMITED}\"") {
        return Ok(Overdraft::Unlimited);
    }
    read_amount(raw, currency).map(Overdraft::Limit)
}

fn read_status(raw: &RawValue) -> Read<AccountStatus> {
    let text = read_text(raw)?;
    AccountStatus::from_name(&text).map_or_else(
        || wrong("UNKNOWN_STATUS", format!("the status is one of {}", AccountStatus::names())),
        Ok,
    )
}
