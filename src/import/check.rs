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

/// Fields of an exported item that follow from the others or from its history. They are passed over,
/// whichever of them a line has; what an item says of itself is the rest.
const COMPUTED: &[&str] = &["display", "version", "recorded_at", "updated_at", "side_given"];

/// A row that passed the checks.
pub enum Checked {
    Item(NewTransaction),
    /// The item brings the id that it had, and where it was exported its version.
    Exported {
        new: NewTransaction,
        version: Option<u32>,
    },
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
            Self::Exported { .. } | Self::Shown { .. } => false,
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
        let Some(Export { id, transfer, version, says_side, own }) = exported(body)? else {
            return parse(body, app::new_id()).map(Checked::Item);
        };
        if let (Some(id), Some(transfer)) = (id, transfer) {
            return Ok(Checked::Shown { id, transfer });
        }
        let mut new = parse(&own, id.unwrap_or_else(app::new_id))?;
        new.id_given = id.is_some();
        if version.is_some() {
            // Every exported item shows its side; only some were told it.
            let kind = daybook_core::kind::of(new.transaction_type);
            new.side_given = says_side || new.side != kind.side(&new.metadata);
        }
        Ok(match id {
            Some(_) => Checked::Exported { new, version },
            None => Checked::Item(new),
        })
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

/// An item that `export` wrote, or that has an id for another reason.
struct Export {
    id: Option<TransactionId>,
    transfer: Option<TransferId>,
    version: Option<u32>,
    /// Whether its side was said.
    says_side: bool,
    /// What it says of itself.
    own: String,
}

/// Takes an item with an id or with computed fields apart; `None` when it has neither.
fn exported(body: &str) -> Result<Option<Export>, Rejection> {
    let is_taken = |name: &str| ["id", "transfer_id"].contains(&name) || COMPUTED.contains(&name);
    // Most bodies have none of these names, not even deeper.
    let names = std::iter::once("id").chain(["transfer_id"]).chain(COMPUTED.iter().copied());
    let mut names = names.map(|name| format!("\"{name}\""));
    if !names.any(|name| body.contains(&name)) {
        return Ok(None);
    }
    let fields = Fields::parse(body)?;
    if !fields.0.iter().any(|(key, _)| is_taken(key)) {
        return Ok(None);
    }
    let given = |name: &str| {
        let field = fields.0.iter().find(|(key, _)| key == name);
        field.map(|(_, raw)| raw.get()).filter(|raw| *raw != "null")
    };
    let uuid = |name: &str| match given(name).map(serde_json::from_str::<Uuid>) {
        Some(Ok(id)) => Ok(Some(id)),
        Some(Err(_)) => {
            let detail = format!(
                "`{name}` is a UUID; name a record of another system by `source` and `external_id`"
            );
            Err(Rejection::field(&format!("/{name}"), "UUID", detail))
        }
        None => Ok(None),
    };
    let (id, transfer) = (uuid("id")?.map(TransactionId), uuid("transfer_id")?.map(TransferId));
    if id.is_none() && transfer.is_some() {
        let detail = "an item with a `transfer_id` is the display of a transfer and needs its `id`; \
                      import the transfer itself, or leave `transfer_id` out";
        return Err(Rejection::field("/id", "REQUIRED", detail));
    }
    let version = given("version").and_then(|raw| raw.trim_matches('"').parse().ok());
    let says_side = given("side_given").is_some_and(|raw| raw.trim_matches('"') == "true");
    let own = fields.0.iter().filter(|(key, _)| !is_taken(key));
    let own: Vec<(&str, &str)> = own.map(|(key, raw)| (key.as_str(), raw.get())).collect();
    Ok(Some(Export { id, transfer, version, says_side, own: object(&own) }))
}
