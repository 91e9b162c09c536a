//! The ledger of a running server, read whole and added up.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::client::{Client, Request};
use crate::server::{Server, mark, text};

/// Accounts from 1 on: the first half have owners, the others have none.
pub const ACCOUNTS: u64 = 8;

/// Opens the accounts, none of which has anything; every second one may owe what it likes, the
/// others so little that they are refused now and then.
pub fn open_accounts(client: &mut Client) {
    for id in 1..=ACCOUNTS {
        let limit = if id % 2 == 0 { "unlimited" } else { "1000.00" };
        let mut account = json!({ "account_id": id, "overdraft_limit": limit });
        if id <= ACCOUNTS / 2 {
            account["user_id"] = format!("user-{id}").into();
        }
        let answer = client.ask(&Request::post("/api/v1/accounts", &account));
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

/// A transfer of some cents between two of the accounts; the mark tells it from all others.
pub fn transfer(chance: &mut Chance, mark: &str) -> Value {
    let source = 1 + chance.below(ACCOUNTS);
    let destination = 1 + (source + chance.below(ACCOUNTS - 1)) % ACCOUNTS;
    json!({
        "source_account_id": source,
        "destination_account_id": destination,
        "amount": format!("{}.{:02}", chance.below(20), 1 + chance.below(99)),
        "metadata": { "mark": mark },
    })
}

pub fn version(transfer: &Value) -> u64 {
    transfer["version"].as_u64().unwrap_or_else(|| panic!("no version: {transfer}"))
}

/// All transfers.
pub struct Ledger {
    pub by_id: HashMap<String, Value>,
    /// The id of each mark's transfer.
    pub marks: HashMap<String, String>,
}

impl Ledger {
    /// Reads all transfers; nothing may stand there twice.
    pub fn read(server: &Server) -> Self {
        let mut ledger = Self { by_id: HashMap::new(), marks: HashMap::new() };
        for transfer in server.client().list("/api/v1/transfers?limit=100") {
            let id = text(&transfer["id"]);
            if transfer["rolls_back"].is_null() {
                let twin = ledger.marks.insert(mark(&transfer), id.clone());
                assert!(twin.is_none(), "paid twice: {transfer} and {twin:?}");
            }
            let twin = ledger.by_id.insert(id, transfer);
            assert!(twin.is_none(), "listed twice: {twin:?}");
        }
        ledger
    }

    /// Expects every account to hold what the transfers say, and all of them together nothing.
    pub fn adds_up(&self, server: &Server) {
        let mut told: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
        for transfer in self.by_id.values() {
            let amount = cents(&transfer["amount"]);
            let posted = if transfer["posted_at"].is_null() { 0 } else { amount };
            let waits = !transfer["next_attempt"].is_null();
            let held = if transfer["status"] == "pending" && !waits { amount } else { 0 };
            let mut add = |account: &Value, sums: [i64; 3]| {
                let told = told.entry(account.as_i64().unwrap()).or_default();
                for (told, sum) in told.iter_mut().zip(sums) {
                    *told += sum;
                }
            };
            add(&transfer["source_account_id"], [-posted, 0, held]);
            add(&transfer["destination_account_id"], [posted, held, 0]);
        }
        let accounts = server.client().list("/api/v1/accounts?limit=100");
        assert_eq!(accounts.len() as u64, ACCOUNTS);
        let mut sum = 0;
        for account in accounts {
            let kept = ["balance", "pending_in", "pending_out"].map(|name| cents(&account[name]));
            let told = told.remove(&account["account_id"].as_i64().unwrap()).unwrap_or_default();
            assert_eq!(kept, told, "{account}");
            sum += kept[0];
        }
        assert_eq!(sum, 0);
    }
}

/// An amount of a currency with two digits.
fn cents(amount: &Value) -> i64 {
    let text = text(amount).replace('.', "");
    text.parse().unwrap_or_else(|_| panic!("no amount: {amount}"))
}
