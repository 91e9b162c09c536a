//! The accounts of the demo, and what has happened between them.

use anyhow::Context;
use daybook_core::transaction::Vocabulary;
use daybook_core::transfer::parse_capture;
use daybook_core::{Action, NewAccount, NewTransfer, Submission, TransferId};
use daybook_server::app;
use daybook_store::Store;
use serde_json::json;

/// The account that the examples show, and one that it pays to.
pub const ACCOUNT: i64 = 1001;
pub const PEER: i64 = 1003;

/// Number, owner, name and opening balance, in US dollars.
const ACCOUNTS: &[(i64, &str, &str, &str)] = &[
    (ACCOUNT, "test_user_123", "Everyday", "2500.00"),
    (1002, "test_user_123", "Savings", "10000.00"),
    (PEER, "ann", "Everyday", "840.00"),
    (1004, "bob", "Everyday", "310.50"),
    (1005, "carol", "Household", "1275.00"),
    (1006, "dave", "Everyday", "95.25"),
];

/// What became of a transfer.
enum Fate {
    Complete,
    Held,
    /// Of what was held, only this was taken.
    Posted(&'static str),
    Voided,
    RolledBack,
}

/// Source, destination, amount, reference and fate, in the order in which they happened.
const TRANSFERS: &[(i64, i64, &str, &str, Fate)] = &[
    (ACCOUNT, PEER, "640.00", "rent-january", Fate::Complete),
    (1002, ACCOUNT, "500.00", "from-savings", Fate::Complete),
    (1004, ACCOUNT, "18.40", "pizza-friday", Fate::Complete),
    (1005, ACCOUNT, "75.00", "concert-tickets", Fate::Complete),
    (ACCOUNT, 1006, "12.00", "taxi-home", Fate::RolledBack),
    (ACCOUNT, 1005, "80.00", "groceries-deposit", Fate::Posted("64.20")),
    (PEER, 1004, "30.00", "bike-repair", Fate::Voided),
    (ACCOUNT, 1004, "45.00", "weekend-trip", Fate::Held),
    (1006, PEER, "20.00", "birthday-present", Fate::Held),
];

/// Opens the accounts and moves the money; says how many there are of both.
pub async fn fill(store: &dyn Store) -> anyhow::Result<(usize, usize)> {
    let vocabulary = Vocabulary::default();
    let mut accounts = Vec::new();
    for (id, user, name, balance) in ACCOUNTS {
        let body = json!({ "account_id": id, "user_id": user, "name": name,
                           "initial_balance": balance });
        accounts.push(Action::Open(NewAccount::parse(&body.to_string(), None, &vocabulary)?));
    }
    let (mut transfers, mut fates) = (Vec::new(), Vec::new());
    for (source, destination, amount, reference, fate) in TRANSFERS {
        let is_hold = matches!(fate, Fate::Held | Fate::Posted(_) | Fate::Voided);
        let body = json!({ "source_account_id": source, "destination_account_id": destination,
                           "amount": amount, "reference": reference, "pending": is_hold });
        let id = app::new_transfer_id();
        transfers.push(Action::Transfer(NewTransfer::parse(&body.to_string(), id, &vocabulary)?));
        fates.extend(follow(id, fate)?);
    }
    for actions in [accounts, transfers, fates] {
        let submission = Submission { at: app::now(), key: None, atomic: true, actions };
        for verdict in store.commit(submission).await?.verdicts {
            verdict.context("filling the demo's ledger")?;
        }
    }
    Ok((ACCOUNTS.len(), TRANSFERS.len()))
}

/// What happens to a transfer after it was made.
fn follow(id: TransferId, fate: &Fate) -> anyhow::Result<Option<Action>> {
    Ok(match fate {
        Fate::Complete | Fate::Held => None,
        Fate::Posted(amount) => {
            let amount = parse_capture(&json!({ "amount": amount }).to_string())?;
            Some(Action::Post { id, owner: None, amount })
        }
        Fate::Voided => Some(Action::Void { id, owner: None }),
        Fate::RolledBack => Some(Action::Rollback { id, owner: None, by: app::new_transfer_id() }),
    })
}
