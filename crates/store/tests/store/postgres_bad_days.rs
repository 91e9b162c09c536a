//! What PostgreSQL as the store does when the world around it does not behave.

mod full;
mod lost;
mod migrating;
mod proxy;
mod replica;
mod restart;
mod server;
mod waiting;

use crate::database::{self, Database};
use crate::support::{Books, Fallible, On};
use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::write_set::Reply;
use daybook_core::{NewTransfer, Submission, Timestamp, TransactionId};
use daybook_store::{Error, Store};

/// An empty database, where there is a server.
async fn database() -> Fallible<Option<Database>> {
    match database::server() {
        Some(server) => Ok(Some(Database::make(&server).await?)),
        None => Ok(None),
    }
}

/// The URL with a further option.
fn with(url: &str, option: &str) -> String {
    format!("{url}{}{option}", if url.contains('?') { '&' } else { '?' })
}

/// Accounts 1 and 2 without owners; 1 can give without end.
async fn two_accounts(books: &Books) -> Fallible<()> {
    books.account(r#"{"account_id":1,"overdraft_limit":"unlimited"}"#).await?;
    books.account(r#"{"account_id":2}"#).await?;
    Ok(())
}

/// A request to move 1.00 from account 1 to account 2; the number names it.
fn payment(number: u128, at: Timestamp, is_keyed: bool) -> Fallible<Submission> {
    let id = daybook_core::TransferId(uuid::Uuid::from_u128((9 << 64) | number << 8));
    let body = crate::support::payment(1, 2, "1.00", "");
    let new = NewTransfer::parse(&body, id, &Default::default())?;
    let key = is_keyed.then_some(IdempotencyKey { scope: number, fingerprint: 1 });
    Ok(Submission { key, ..Submission::one(at, Action::Transfer(new)) })
}

/// Whether a refusal says that the database is away for now, which is all it may say.
fn is_away(error: &Error) -> bool {
    matches!(error, Error::Away { .. } | Error::Busy)
}

/// Sends a request with a key until it is answered, as a client does.
async fn insist(store: &dyn Store, submission: &Submission) -> Fallible<Reply> {
    for _ in 0..200 {
        match store.commit(submission.clone()).await {
            Ok(reply) => return Ok(reply),
            Err(error) if is_away(&error) => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err("the database did not come back".into())
}

/// The ids of all items of a user.
async fn all_items(books: &Books, name: &str) -> Fallible<Vec<TransactionId>> {
    books.walk(name, &[], "100").await
}

#[test]
fn options_join_what_is_there() {
    assert_eq!(with("postgres://h/d", "pool=1"), "postgres://h/d?pool=1");
    assert_eq!(with("postgres://h/d?a=b", "pool=1"), "postgres://h/d?a=b&pool=1");
}

/// Opens what is at a URL of PostgreSQL.
async fn open(url: &str) -> Fallible<Books> {
    Books::at(url.to_owned(), On::Postgres).await
}
