//! Statements and balances of the past, found by links and marks, beside those told the long way.

use super::told::{Line, Told};
use crate::support::{Books, Fallible, On, payment};
use daybook_core::command::Action;
use daybook_core::query::EntriesQuery;
use daybook_core::transfer::Entry;
use daybook_core::{AccountId, EventSeq, Submission, Timestamp};

crate::support::every_store! {
    a_statement_pages_newest_first_without_gaps_or_repeats,
    a_statement_of_a_range_has_what_was_posted_in_it,
    a_balance_of_the_past_is_the_one_of_the_last_entry_until_then,
    a_position_in_anothers_statement_shows_nothing_of_it,
}

/// Three accounts and a good 350 entries: many of one moment, holds that are posted much later
/// than others that came after them, and some that are undone.
pub async fn busy(on: On) -> Fallible<Books> {
    let books = super::three(on).await?;
    let mut holds = Vec::new();
    for round in 0..10 {
        holds.push(books.pay(3, 1, "1.11", r#","pending":true"#).await?);
        let mut actions = Vec::new();
        for n in 0..30 {
            let body = payment(3, 1 + n % 2, &format!("{round}.{:02}", n + 1), "");
            actions.push(Action::Transfer(books.new_transfer(&body)?));
        }
        if round % 3 == 2 {
            // The oldest hold is posted in the middle of a batch, at the batch's own moment.
            actions.insert(15, Action::Post { id: holds.remove(0), owner: None, amount: None });
        }
        let submission = Submission { at: books.now(), key: None, atomic: false, actions };
        let reply = books.store.commit(submission).await?;
        assert!(reply.verdicts.iter().all(Result::is_ok), "{reply:?}");
        let id = books.pay(1, 2, "0.50", "").await?;
        for _ in 0..3 {
            books.pay(2, 1, "0.10", "").await?;
        }
        if round % 4 == 0 {
            let by = books.transfer_id();
            books.act(Action::Rollback { id, owner: None, by }).await?;
        }
    }
    for id in holds {
        books.act(Action::Post { id, owner: None, amount: None }).await?;
    }
    Ok(books)
}

fn query(account: i64, limit: u32) -> EntriesQuery {
    let (from, to) = (Timestamp::MIN, Timestamp::END);
    EntriesQuery { account: AccountId(account), from, to, before: None, limit }
}

fn line(entry: &Entry) -> Line {
    Line {
        number: entry.number,
        posted_at: entry.posted_at,
        direction: entry.direction,
        counterparty: entry.counterparty,
        amount: entry.amount,
        balance: entry.balance.atto().as_i128(),
    }
}

/// All pages of a query.
async fn walk(books: &Books, mut query: EntriesQuery) -> Fallible<Vec<Line>> {
    let mut lines = Vec::new();
    loop {
        let page = books.store.entries(query.clone()).await?.ok_or("no account")?;
        assert!(page.items.len() <= query.limit as usize);
        assert!(!page.has_more || page.items.len() == query.limit as usize);
        lines.extend(page.items.iter().map(line));
        query.before = page.items.last().map(|entry| entry.number);
        if !page.has_more {
            return Ok(lines);
        }
    }
}

async fn a_statement_pages_newest_first_without_gaps_or_repeats(on: On) -> Fallible<()> {
    let books = busy(on).await?;
    let told = Told::read(&books).await?;
    let equity = AccountId::equity(&books.holding(1).await?.account.currency).0;
    for account in [1, 2, 3, equity] {
        let expected = told.statement(AccountId(account));
        for limit in [1, 2, 7, 63, 64, 65, 100, 1_000] {
            assert_eq!(walk(&books, query(account, limit)).await?, expected, "{account}, {limit}");
        }
    }
    let expected = told.statement(AccountId(3));
    assert!(expected.len() > 300, "{}", expected.len());
    let moments: std::collections::HashSet<_> =
        expected.iter().map(|line| line.posted_at).collect();
    assert!(moments.len() < 50, "many entries share a moment");
    let rising = expected.windows(2).all(|two| two[0].number > two[1].number);
    assert!(!rising, "the order of posting is not the order of submission");
    for (place, line_before) in expected.iter().enumerate() {
        let query = EntriesQuery { before: Some(line_before.number), ..query(3, 3) };
        let page = books.store.entries(query).await?.ok_or("no account")?;
        let rest = &expected[place + 1..];
        let lines: Vec<Line> = page.items.iter().map(line).collect();
        assert_eq!(lines, rest[..rest.len().min(3)], "after {line_before:?}");
        assert_eq!(page.has_more, rest.len() > 3);
    }
    assert!(books.store.entries(query(9, 5)).await?.is_none());
    Ok(())
}

async fn a_statement_of_a_range_has_what_was_posted_in_it(on: On) -> Fallible<()> {
    let books = busy(on).await?;
    let all = Told::read(&books).await?.statement(AccountId(3));
    let mut moments: Vec<Timestamp> = all.iter().map(|line| line.posted_at).collect();
    moments.dedup();
    let before = |at: Timestamp| Timestamp::from_micros(at.micros() - 1);
    let after = |at: Timestamp| Timestamp::from_micros(at.micros() + 1);
    let (newest, oldest) = (moments[0], moments[moments.len() - 1]);
    let mut ranges = vec![
        (Timestamp::MIN, Timestamp::END),
        (Timestamp::MIN, oldest),
        (Timestamp::MIN, after(oldest)),
        (newest, after(newest)),
        (after(newest), Timestamp::END),
        (newest, oldest),
    ];
    for two in moments.windows(2) {
        ranges.extend([(two[1], two[0]), (after(two[1]), after(two[0])), (before(two[1]), two[0])]);
    }
    for (from, to) in ranges {
        let inside = |line: &&Line| from <= line.posted_at && line.posted_at < to;
        let expected: Vec<&Line> = all.iter().filter(inside).collect();
        for limit in [4, 500] {
            let found = walk(&books, EntriesQuery { from, to, ..query(3, limit) }).await?;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{from:?} to {to:?}");
        }
    }
    Ok(())
}

async fn a_balance_of_the_past_is_the_one_of_the_last_entry_until_then(on: On) -> Fallible<()> {
    let books = busy(on).await?;
    let held = books.pay(1, 2, "1.00", r#","pending":true"#).await?;
    let now = books.holding(1).await?;
    let told = Told::read(&books).await?;
    for account in [1, 2, 3] {
        let lines = told.statement(AccountId(account));
        let mut moments: Vec<i64> = lines.iter().map(|line| line.posted_at.micros()).collect();
        moments.dedup();
        moments.extend(moments.clone().iter().flat_map(|at| [at - 1, at + 1]));
        moments.extend([i64::MIN, 0, i64::MAX]);
        for at in moments {
            let until = lines.iter().find(|line| line.posted_at.micros() <= at);
            let expected = until.map_or(0, |line| line.balance);
            let at = Timestamp::from_micros(at);
            let then = books.store.balance_at(AccountId(account), at).await?.ok_or("no account")?;
            assert_eq!(then.funds.balance.atto().as_i128(), expected, "{account} at {at:?}");
        }
    }
    let then = books.store.balance_at(AccountId(1), Timestamp::MIN).await?.ok_or("no account")?;
    assert_eq!(then.funds.pending_out, books.moved(held).await?.amount);
    assert_eq!(then.funds.pending_out, now.funds.pending_out);
    assert_eq!(books.store.balance_at(AccountId(9), Timestamp::END).await?, None);
    Ok(())
}

async fn a_position_in_anothers_statement_shows_nothing_of_it(on: On) -> Fallible<()> {
    let books = super::three(on).await?;
    books.account(r#"{"account_id":4,"user_id":"eve","initial_balance":"1"}"#).await?;
    for _ in 0..3 {
        books.pay(1, 2, "1.00", "").await?;
    }
    for before in (0..=books.store.seq().0 + 1).map(|seq| Some(EventSeq(seq))) {
        let page = books.store.entries(EntriesQuery { before, ..query(4, 10) }).await?;
        assert_eq!(page.ok_or("no account")?.items, [], "{before:?}");
    }
    Ok(())
}
