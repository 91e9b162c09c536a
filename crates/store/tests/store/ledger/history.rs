//! A ledger after a long and random history: nothing differs, and a restart changes nothing.

use super::told::Told;
use super::{RETRY, lists};
use crate::chance::Chance;
use crate::support::{Books, Fallible, On, payment, user};
use daybook_core::command::Action;
use daybook_core::query::{TransfersQuery, Whose};
use daybook_core::write_set::{Outcome, Recorded};
use daybook_core::{
    AccountId, AccountPatch, Amount, Holding, NewAccount, Subject, Submission, TransferId,
};

crate::support::every_store! {
    after_a_random_history_nothing_differs_and_all_lists_agree,
}

const ACTIONS: usize = 2_000;
const OWNERS: [&str; 4] = ["ana", "ana", "ana", "bob"];

/// Accounts 1 to 4 have owners, 5 and 6 have none, 7 and 8 are in euros; some more are opened on
/// the way.
pub async fn accounts(books: &Books) -> Fallible<()> {
    for (id, owner) in (1..).zip(OWNERS) {
        let more = r#""initial_balance":"200.00","overdraft_limit":"15.5""#;
        books.account(&format!(r#"{{"account_id":{id},"user_id":"{owner}",{more}}}"#)).await?;
    }
    books.account(r#"{"account_id":5,"overdraft_limit":"unlimited"}"#).await?;
    books.account(r#"{"account_id":6,"initial_balance":"10"}"#).await?;
    books.account(r#"{"account_id":7,"user_id":"ana","currency":"EUR"}"#).await?;
    let euros = r#"{"account_id":8,"user_id":"bob","currency":"EUR","initial_balance":"99.99"}"#;
    books.account(euros).await?;
    Ok(())
}

fn transfer(books: &Books, chance: &mut Chance) -> Fallible<Action> {
    let (from, to) = match chance.below(12) {
        0 => (7, 8),
        1 => (8, 7),
        _ => {
            let from = 1 + chance.below(6) as i64;
            (from, 1 + (from + chance.below(5) as i64) % 6)
        }
    };
    let amount = format!("{}.{:02}", chance.below(30), 1 + chance.below(99));
    let more = match chance.below(10) {
        0 | 1 => r#","pending":true"#.to_owned(),
        2 => r#","pending":true,"expires_in":1"#.to_owned(),
        3 => format!(r#","reference":"R-{}""#, chance.below(200)),
        4 => r#","execute_at":"2024-07-03T09:48:00Z","metadata":{"note":"later"}"#.to_owned(),
        5 => r#","execute_at":"2024-07-03T09:48:00Z","pending":true,"expires_in":1"#.to_owned(),
        _ => String::new(),
    };
    let mut new = books.new_transfer(&payment(from, to, &amount, &more))?;
    new.queued |= chance.below(10) == 0;
    Ok(Action::Transfer(new))
}

/// One thing that is done to the ledger.
pub fn action(books: &Books, chance: &mut Chance, known: &[TransferId]) -> Fallible<Action> {
    let owner = None;
    if known.is_empty() || chance.below(2) == 0 {
        return transfer(books, chance);
    }
    // What is new is more often decided on.
    let last = known.len().saturating_sub(60);
    let likely = if chance.below(3) == 0 { known } else { &known[last..] };
    let id = chance.of(likely);
    Ok(match chance.below(20) {
        0..=3 => {
            let amount = Amount::parse_any(&format!("{}.5", chance.below(5)))?;
            let amount = (chance.below(2) == 0).then_some(amount);
            Action::Post { id, owner, amount: amount.filter(|part| *part != Amount::ZERO) }
        }
        4..=6 => Action::Void { id, owner },
        7..=9 => Action::Rollback { id, owner, by: books.transfer_id() },
        10..=14 => Action::Attempt { id, retry: RETRY, failure: None },
        15..=17 => Action::Expire { id },
        18 => {
            let patch = chance.of(&[
                r#"{"status":"frozen"}"#,
                r#"{"status":"open"}"#,
                r#"{"status":"open"}"#,
                r#"{"overdraft_limit":"30"}"#,
                r#"{"status":"closed"}"#,
            ]);
            let id = AccountId(1 + chance.below(8) as i64);
            Action::Reform { id, owner, version: None, patch: AccountPatch::parse(patch)? }
        }
        _ => {
            let body = chance.of(&[
                r#"{"user_id":"eve","initial_balance":"3.00"}"#,
                r#"{"currency":"JPY","initial_balance":"1000"}"#,
                r#"{"account_id":4}"#,
            ]);
            Action::Open(NewAccount::parse(body, None, &Default::default())?)
        }
    })
}

/// Does what is due, as the worker does.
async fn settle(books: &Books) -> Fallible<()> {
    let at = books.now();
    let due = books.store.due(at, 100).await?;
    let attempt = |id| Action::Attempt { id, retry: RETRY, failure: None };
    let expire = |id| Action::Expire { id };
    let waiting = due.waiting.into_iter().map(attempt);
    let actions: Vec<_> = waiting.chain(due.expired.into_iter().map(expire)).collect();
    let reply = books.store.commit(Submission { at, key: None, atomic: false, actions }).await?;
    assert!(reply.verdicts.iter().all(Result::is_ok), "{reply:?}");
    Ok(())
}

/// Sends actions alone and in batches, several at a time, so that commits hold many of them.
pub async fn random(books: &Books, actions: usize) -> Fallible<()> {
    let mut chance = Chance::seeded();
    accounts(books).await?;
    let (mut known, mut sent, mut accepted) = (Vec::new(), 0, 0);
    while sent < actions {
        books.pass(chance.below(1_500_000) as i64);
        if chance.below(4) == 0 {
            settle(books).await?;
        }
        let mut waiting = Vec::new();
        for _ in 0..1 + chance.below(8) {
            let size = if chance.below(3) == 0 { 1 + chance.below(12) } else { 1 };
            let batch = (0..size).map(|_| action(books, &mut chance, &known));
            let actions = batch.collect::<Fallible<Vec<_>>>()?;
            sent += actions.len();
            let atomic = chance.below(4) == 0;
            waiting.push(books.store.commit(Submission {
                at: books.now(),
                key: None,
                atomic,
                actions,
            }));
        }
        for reply in futures_util::future::join_all(waiting).await {
            for outcome in reply?.verdicts.into_iter().flatten() {
                accepted += 1;
                if let Outcome::Created(Recorded { subject: Subject::Transfer(id), .. }) = outcome {
                    known.push(id);
                }
            }
        }
    }
    assert!(accepted > actions / 4, "{accepted} of {sent}: too little for this to mean anything");
    Ok(())
}

async fn holdings(books: &Books) -> Fallible<Vec<Holding>> {
    let query = daybook_core::query::AccountsQuery {
        user_id: None,
        currency: None,
        status: None,
        after: None,
        limit: 1_000,
    };
    Ok(books.store.accounts(query).await?.items)
}

async fn after_a_random_history_nothing_differs_and_all_lists_agree(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    random(&books, ACTIONS).await?;
    let found = books.store.verify_ledger().await?;
    assert_eq!(found.differences, []);
    books.verified().await?;
    let told = Told::read(&books).await?;
    assert_eq!(found.transfers, told.listed.len() as u64);
    let before = holdings(&books).await?;
    assert_eq!(found.accounts, before.len() as u64);
    for Holding { account, funds } in &before {
        let statement = told.statement(account.id);
        assert_eq!(
            funds.balance.atto().as_i128(),
            statement.first().map_or(0, |line| line.balance)
        );
        assert_eq!(funds.posted.count, statement.len() as u64);
        let query = lists::query(Whose::Account(account.id), 0);
        let listed = lists::agrees(&books, &told, &query, |id| id == account.id).await?;
        assert_eq!(funds.listed.count, listed as u64);
    }
    for status in lists::STATUSES {
        let of = |whose| TransfersQuery { status, ..lists::query(whose, 0) };
        let count = lists::agrees(&books, &told, &of(Whose::All), |_| true).await?;
        println!("{status:?}: {count}");
        assert!(count > 10, "too few for this to mean anything");
        let anas = |id: AccountId| [1, 2, 3, 7].contains(&id.0);
        lists::agrees(&books, &told, &of(Whose::User(user("ana"))), anas).await?;
    }

    books.reopen().await?;
    assert_eq!(holdings(&books).await?, before);
    let again = Told::read(&books).await?;
    assert_eq!((again.listed, again.posted), (told.listed, told.posted));
    books.verified().await
}
