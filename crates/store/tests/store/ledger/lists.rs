//! Lists of transfers, walked by links and indexes, beside those told the long way.

use super::told::Told;
use crate::support::{Books, Fallible, On, user};
use daybook_core::command::Action;
use daybook_core::query::{TransfersQuery, Whose};
use daybook_core::{AccountId, Transfer, TransferStatus};

crate::support::every_store! {
    transfers_are_listed_by_account_user_status_and_reference,
}

pub const STATUSES: [Option<TransferStatus>; 5] = [
    None,
    Some(TransferStatus::Pending),
    Some(TransferStatus::Complete),
    Some(TransferStatus::Failed),
    Some(TransferStatus::Rollback),
];

pub fn query(whose: Whose, limit: u32) -> TransfersQuery {
    TransfersQuery { whose, status: None, reference: None, before: None, limit }
}

/// All pages of a query.
async fn walk(books: &Books, mut query: TransfersQuery) -> Fallible<Vec<Transfer>> {
    let mut found = Vec::new();
    loop {
        let page = books.store.transfers(query.clone()).await?;
        assert!(page.items.len() <= query.limit as usize);
        assert!(!page.has_more || page.items.len() == query.limit as usize);
        query.before = page.items.last().map(|transfer| transfer.number);
        found.extend(page.items);
        if !page.has_more {
            return Ok(found);
        }
    }
}

/// Every page of a query, whatever its limit and wherever it begins, is as told.
pub async fn agrees(
    books: &Books,
    told: &Told,
    query: &TransfersQuery,
    own: impl Fn(AccountId) -> bool,
) -> Fallible<usize> {
    let fits = |transfer: &&Transfer| {
        (own(transfer.source) || own(transfer.destination))
            && query.status.is_none_or(|status| status == transfer.status)
            && (query.reference.is_none() || query.reference == transfer.reference)
    };
    let expected: Vec<&Transfer> = told.listed.iter().filter(fits).collect();
    for limit in [3, 64, 1_000] {
        let found = walk(books, TransfersQuery { limit, ..query.clone() }).await?;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}, {limit}");
    }
    Ok(expected.len())
}

/// A page of two that begins before every single transfer is as told.
async fn agrees_everywhere(
    books: &Books,
    told: &Told,
    query: &TransfersQuery,
    own: impl Fn(AccountId) -> bool,
) -> Fallible<()> {
    for boundary in &told.listed {
        let rest = told.listed.iter().filter(|transfer| {
            transfer.number < boundary.number
                && (own(transfer.source) || own(transfer.destination))
                && query.status.is_none_or(|status| status == transfer.status)
        });
        let rest: Vec<&Transfer> = rest.take(3).collect();
        let before = Some(boundary.number);
        let page = books.store.transfers(TransfersQuery { before, limit: 2, ..query.clone() });
        let page = page.await?;
        let found: Vec<&Transfer> = page.items.iter().collect();
        assert_eq!(found, rest[..rest.len().min(2)], "{query:?} before {before:?}");
        assert_eq!(page.has_more, rest.len() > 2, "{query:?} before {before:?}");
    }
    Ok(())
}

async fn transfers_are_listed_by_account_user_status_and_reference(on: On) -> Fallible<()> {
    let books = super::statement::busy(on).await?;
    // Ana has three accounts and moves money between them, so that links meet.
    for id in [4, 5] {
        books.account(&format!(r#"{{"account_id":{id},"user_id":"ana"}}"#)).await?;
    }
    for n in 0..90 {
        let (from, to) = [(1, 4), (4, 5), (3, 5), (5, 1)][n % 4];
        books.pay(from, to, "0.01", &format!(r#","reference":"R-{}""#, n / 2)).await?;
    }
    for n in 0..12 {
        let hold = books.pay(1, 4, "0.01", r#","pending":true"#).await?;
        if n % 3 > 0 {
            books.act(Action::Void { id: hold, owner: None }).await?;
        }
    }
    books.pay(1, 5, "1", r#","execute_at":"2030-01-01""#).await?;
    let told = Told::read(&books).await?;
    let mut counts = Vec::new();
    for status in STATUSES {
        let of = |whose| TransfersQuery { status, ..query(whose, 0) };
        counts.push(agrees(&books, &told, &of(Whose::All), |_| true).await?);
        for account in (1..=5).map(AccountId) {
            let own = |id| id == account;
            agrees(&books, &told, &of(Whose::Account(account)), own).await?;
        }
        let anas = |id: AccountId| [1, 4, 5].contains(&id.0);
        agrees(&books, &told, &of(Whose::User(user("ana"))), anas).await?;
        agrees(&books, &told, &of(Whose::User(user("bob"))), |id| id.0 == 2).await?;
        agrees(&books, &told, &of(Whose::User(user("eve"))), |_| false).await?;
        agrees_everywhere(&books, &told, &of(Whose::User(user("ana"))), anas).await?;
    }
    assert_eq!(counts[1], 5, "four are held, one waits");
    assert_eq!(counts[0], counts[1..].iter().sum::<usize>());
    agrees_everywhere(&books, &told, &query(Whose::All, 0), |_| true).await?;
    agrees_everywhere(&books, &told, &query(Whose::Account(AccountId(1)), 0), |id| id.0 == 1)
        .await?;
    for (reference, count) in [("R-0", 2), ("R-44", 2), ("R-45", 0)] {
        let reference = Some(reference.to_owned());
        let of = |whose| TransfersQuery { reference: reference.clone(), ..query(whose, 0) };
        assert_eq!(agrees(&books, &told, &of(Whose::All), |_| true).await?, count);
        let own = |id: AccountId| id.0 == 5;
        agrees(&books, &told, &of(Whose::Account(AccountId(5))), own).await?;
        let anas = |id: AccountId| [1, 4, 5].contains(&id.0);
        agrees(&books, &told, &of(Whose::User(user("ana"))), anas).await?;
    }
    books.verified().await
}
