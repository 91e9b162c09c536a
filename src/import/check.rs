//! What a row is, and whether it keeps the rules that can be checked without the books.

use daybook_core::json::Fields;
use daybook_core::transaction::Vocabulary;
use daybook_core::{
    NewAccount, NewTransaction, NewTransfer, Rejection, TransactionId, TransferId, UserId,
};
use daybook_server::app;
use uuid::Uuid;

use super::convert::object;
use super::fernet::Fernet;
use super::mapping::RowKind;

/// What Daybook itself gave an exported item; what an item says of itself is the rest.
const GIVEN: &[&str] = &["id", "display", "version", "recorded_at", "updated_at", "side_given"];

/// A row that passed the checks.
pub enum Checked {
    Item(NewTransaction),
    /// The item was exported and brings the id that it had.
    Exported(NewTransaction),
    /// The item was exported and shows a transfer; it comes with that only.
    Shown {
        id: TransactionId,
        transfer: TransferId,
    },
    Account(NewAccount),
    Transfer(NewTransfer),
}

impl Checked {
    /// Whether nothing names the row, so that another import of it records it again.
    pub fn is_unnamed(&self) -> bool {
        match self {
            Self::Item(new) => new.external_id.is_none() && !new.id_given,
            Self::Exported(_) | Self::Shown { .. } => false,
            Self::Account(new) => new.id.is_none(),
            Self::Transfer(new) => new.reference.is_none(),
        }
    }
}

/// Reads and checks bodies.
pub struct Checker {
    pub vocabulary: Vocabulary,
    pub user: Option<UserId>,
    /// What a mapping makes of all rows; without one each says itself what it is.
    pub kind: Option<RowKind>,
    /// Opens what another system encrypted.
    pub fernet: Option<Fernet>,
}

enum Kind {
    Item,
    Account,
    Transfer,
}

impl Checker {
    pub fn check(&self, body: String) -> Result<Checked, Rejection> {
        let body = match &self.fernet {
            Some(fernet) => &fernet.open_body(body)?,
            None => &body,
        };
        let kind = match self.kind {
            Some(RowKind::Transactions) => Kind::Item,
            Some(RowKind::Transfers) => Kind::Transfer,
            None => kind(body)?,
        };
        match kind {
            Kind::Item => self.item(body),
            Kind::Account => {
                NewAccount::parse(body, self.user.as_ref(), &self.vocabulary).map(Checked::Account)
            }
            Kind::Transfer => NewTransfer::parse(body, app::new_transfer_id(), &self.vocabulary)
                .map(Checked::Transfer),
        }
    }

    fn item(&self, body: &str) -> Result<Checked, Rejection> {
        let parse =
            |body: &str, id| NewTransaction::parse(body, id, self.user.as_ref(), &self.vocabulary);
        match exported(body)? {
            None => parse(body, app::new_id()).map(Checked::Item),
            Some(Export { id, transfer: Some(transfer), .. }) => {
                Ok(Checked::Shown { id, transfer })
            }
            Some(Export { id, transfer: None, own, says_side }) => {
                let mut new = parse(&own, id)?;
                // Every exported item shows its side; only some were told it.
                let kind = daybook_core::kind::of(new.transaction_type);
                new.side_given = says_side || new.side != kind.side(&new.metadata);
                Ok(Checked::Exported(new))
            }
        }
    }
}

/// What a body is by its fields.
fn kind(body: &str) -> Result<Kind, Rejection> {
    let ledger = ["\"source_account_id\"", "\"account_id\"", "\"initial_balance\""];
    if !ledger.iter().any(|name| body.contains(name)) {
        return Ok(Kind::Item);
    }
    let fields = Fields::parse(body)?;
    let has = |name: &str| fields.0.iter().any(|(key, _)| key == name);
    Ok(if has("source_account_id") {
        Kind::Transfer
    } else if (has("account_id") || has("initial_balance")) && !has("transaction_type") {
        Kind::Account
    } else {
        Kind::Item
    })
}

/// An item that `export` wrote.
struct Export {
    id: TransactionId,
    transfer: Option<TransferId>,
    /// Whether its side was said.
    says_side: bool,
    /// What it says of itself.
    own: String,
}

/// Takes an exported item apart; `None` when it is a body as clients send.
fn exported(body: &str) -> Result<Option<Export>, Rejection> {
    if !body.contains("\"recorded_at\"") {
        return Ok(None);
    }
    let fields = Fields::parse(body)?;
    let given = |name: &str| fields.0.iter().find(|(key, _)| key == name).map(|(_, raw)| raw.get());
    let (Some(id), Some(_), Some(_)) = (given("id"), given("version"), given("recorded_at")) else {
        return Ok(None);
    };
    let uuid = |name: &str, raw: &str| {
        serde_json::from_str::<Uuid>(raw).map_err(|_| {
            let detail = format!("the `{name}` of an exported item is a UUID");
            Rejection::field(&format!("/{name}"), "UUID", detail)
        })
    };
    let id = TransactionId(uuid("id", id)?);
    let transfer = given("transfer_id").map(|raw| uuid("transfer_id", raw)).transpose()?;
    let says_side = given("side_given") == Some("true");
    let own = fields.0.iter().filter(|(key, _)| !GIVEN.contains(&key.as_str()));
    let own: Vec<(&str, &str)> = own.map(|(key, raw)| (key.as_str(), raw.get())).collect();
    Ok(Some(Export { id, transfer: transfer.map(TransferId), says_side, own: object(&own) }))
}
