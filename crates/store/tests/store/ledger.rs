//! What every store promises about accounts and transfers, as rules.

mod damage;
mod full;
pub mod history;
mod lists;
mod old;
pub mod statement;
mod told;

use crate::support::{Books, Fallible, On, payment, user};
use daybook_core::account::Overdraft;
use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::query::{AccountsQuery, EntriesQuery};
use daybook_core::stats::Span;
use daybook_core::transfer::{Failure, FailureKind, Retry};
use daybook_core::write_set::{Outcome, Recorded, Reply};
use daybook_core::{
    AccountId, AccountPatch, AccountStatus, Amount, Rejection, Side, Status, Submission, Timestamp,
    Transfer, TransferId, TransferStatus,
};
use daybook_store::{Due, Error};

crate::support::every_store! {
    an_account_is_opened_read_and_changed,
    an_opening_is_valid_whatever_others_opened_with,
    accounts_are_listed_in_the_order_of_their_numbers,
    a_hold_is_posted_in_part_voided_or_let_go,
    a_complete_transfer_is_undone_by_an_opposite_one,
    what_waits_is_due_until_it_is_done_or_has_failed,
    a_key_pays_once_and_answers_the_same_after_a_restart,
    both_owners_see_a_transfer_in_the_commit_that_makes_it,
    an_atomic_batch_moves_all_or_nothing,
}

pub const RETRY: Retry =
    Retry { attempts_max: 3, base_us: 1_000_000, cap_us: 60_000_000, chance: 0 };

/// Ana has account 1, Bob has account 2, 3 belongs to the house; 1 begins with 100.00.
pub async fn three(on: On) -> Fallible<Books> {
    let books = Books::open(on).await?;
    books.account(r#"{"account_id":1,"user_id":"ana","initial_balance":"100.00"}"#).await?;
    books.account(r#"{"account_id":2,"user_id":"bob"}"#).await?;
    books.account(r#"{"account_id":3,"overdraft_limit":"unlimited"}"#).await?;
    Ok(books)
}

/// What an outcome says is what the store keeps.
async fn is_kept(books: &Books, id: TransferId, outcome: &Outcome) -> Fallible<Transfer> {
    let kept = books.moved(id).await?;
    let (Outcome::Created(said) | Outcome::Updated(said) | Outcome::Unchanged(said)) = outcome
    else {
        return Err(format!("{outcome:?}").into());
    };
    assert_eq!(said, &Recorded::transfer(&kept));
    Ok(kept)
}

async fn an_account_is_opened_read_and_changed(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let body = r#"{"account_id":7,"user_id":"ana","currency":"EUR","initial_balance":"100.50",
        "name":"Savings","overdraft_limit":"20","metadata":{"branch":{"city":"Kraków"}}}"#;
    assert_eq!(books.account(body).await?, AccountId(7));
    let opened = books.holding(7).await?;
    assert_eq!(opened.account.user_id, Some(user("ana")));
    assert_eq!(opened.account.name.as_deref(), Some("Savings"));
    assert_eq!(opened.account.metadata.to_string(), r#"{"branch":{"city":"Kraków"}}"#);
    assert_eq!((opened.account.version, opened.account.updated_at), (1, None));
    assert_eq!(books.funds(7).await?, ["100.50", "0.00", "0.00", "100.50"]);
    let equity = AccountId::equity(&opened.account.currency);
    assert_eq!(books.funds(equity.0).await?, ["-100.50", "0.00", "0.00", "-100.50"]);
    assert_eq!(books.account("{}").await?, AccountId(8), "the next number");
    assert_eq!(books.account(body).await, Err(Rejection::AccountExists { id: AccountId(7) }));
    assert_eq!(books.store.account(AccountId(9)).await?, None);

    let patch = r#"{"name":null,"overdraft_limit":"unlimited","metadata":{"branch":null}}"#;
    assert!(matches!(books.reform(7, patch).await?, Outcome::Updated(_)));
    assert!(matches!(books.reform(7, patch).await?, Outcome::Unchanged(_)));
    let changed = books.holding(7).await?;
    assert_eq!((changed.account.name.as_deref(), changed.account.version), (None, 2));
    assert_eq!(changed.account.overdraft, Overdraft::Unlimited);
    assert_eq!(changed.account.metadata.to_string(), "{}");
    assert_eq!(changed.funds, opened.funds);
    assert!(changed.account.updated_at > Some(opened.account.created_at));

    let stale = Action::Reform {
        id: AccountId(7),
        owner: None,
        version: Some(1),
        patch: AccountPatch::default(),
    };
    let refused = Rejection::StaleAccount { id: AccountId(7), expected: 1, actual: 2 };
    assert_eq!(books.act(stale).await, Err(refused));
    let refused = books.reform(7, r#"{"status":"closed"}"#).await;
    assert_eq!(refused, Err(Rejection::AccountNotEmpty { id: AccountId(7) }));
    books.reform(8, r#"{"status":"closed"}"#).await?;
    assert_eq!(books.holding(8).await?.account.status, AccountStatus::Closed);
    books.verified().await
}

async fn an_opening_is_valid_whatever_others_opened_with(on: On) -> Fallible<()> {
    const LARGEST: &str = "99999999999999999999.99";
    let mut books = Books::open(on).await?;
    for id in 1..=20 {
        let body = format!(r#"{{"account_id":{id},"initial_balance":"{LARGEST}"}}"#);
        books.account(&body).await?;
        books
            .account(&format!(r#"{{"account_id":{},"initial_balance":"0.01"}}"#, 100 + id))
            .await?;
    }
    books.reopen().await?;
    let equity = AccountId::equity(&books.holding(1).await?.account.currency);
    let owed = "-2000000000000000000000.00";
    assert_eq!(books.funds(equity.0).await?, [owed, "0.00", "0.00", owed]);
    let (from, to) = (Timestamp::MIN, Timestamp::END);
    let query = EntriesQuery { account: equity, from, to, before: None, limit: 3 };
    let entries = books.store.entries(query).await?.ok_or("no equity")?.items;
    let currency = entries.first().ok_or("no entry")?.currency;
    let balances: Vec<String> = entries.iter().map(|e| e.balance.to_text(currency)).collect();
    let expected = [owed, "-1999999999999999999999.99", "-1900000000000000000000.00"];
    assert_eq!(balances, expected);
    let before =
        books.store.balance_at(equity, entries.last().ok_or("no entry")?.posted_at).await?;
    let before = before.ok_or("no equity")?.funds.balance.to_text(currency);
    assert_eq!(before, "-1900000000000000000000.00");
    // One that is opened undone again makes room for nothing else.
    books.account(r#"{"account_id":50,"initial_balance":"5.00"}"#).await?;
    let (id, by) = (TransferId::opening(AccountId(50)), books.transfer_id());
    books.act(Action::Rollback { id, owner: None, by }).await?;
    assert_eq!(books.funds(equity.0).await?[0], owed);
    let full = books.pay(101, 1, "0.01", "").await;
    assert_eq!(full, Err(Rejection::BalanceOverflow { id: AccountId(1) }));
    books.verified().await
}

async fn accounts_are_listed_in_the_order_of_their_numbers(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    for (id, more) in [
        (30, r#""user_id":"ana""#),
        (10, r#""user_id":"ana","currency":"EUR","initial_balance":"5""#),
        (20, r#""user_id":"bob""#),
        (40, r#""name":"House""#),
    ] {
        books.account(&format!(r#"{{"account_id":{id},{more}}}"#)).await?;
    }
    books.reform(20, r#"{"status":"frozen"}"#).await?;
    let euro = AccountId::equity(&books.holding(10).await?.account.currency).0;
    let all = || AccountsQuery {
        user_id: None,
        currency: None,
        status: None,
        after: Some(AccountId(0)),
        limit: 10,
    };
    let eur = || Some("EUR".to_owned());
    let of = |name| Some(user(name));
    let cases: Vec<(AccountsQuery, Vec<i64>)> = vec![
        (all(), vec![10, 20, 30, 40]),
        (AccountsQuery { after: None, ..all() }, vec![euro, 10, 20, 30, 40]),
        (AccountsQuery { user_id: of("ana"), ..all() }, vec![10, 30]),
        (AccountsQuery { user_id: of("eve"), ..all() }, vec![]),
        (AccountsQuery { currency: eur(), after: None, ..all() }, vec![euro, 10]),
        (AccountsQuery { status: Some(AccountStatus::Frozen), ..all() }, vec![20]),
        (AccountsQuery { user_id: of("ana"), currency: eur(), ..all() }, vec![10]),
        (AccountsQuery { user_id: of("ana"), after: Some(AccountId(10)), ..all() }, vec![30]),
    ];
    for (query, expected) in cases {
        for limit in 1..=5_u32 {
            let (mut query, mut found) = (AccountsQuery { limit, ..query.clone() }, Vec::new());
            loop {
                let page = books.store.accounts(query.clone()).await?;
                assert!(page.items.len() <= limit as usize);
                found.extend(page.items.iter().map(|holding| holding.account.id.0));
                query.after = page.items.last().map(|holding| holding.account.id);
                if !page.has_more {
                    break;
                }
            }
            assert_eq!(found, expected, "{query:?}");
        }
    }
    Ok(())
}

async fn a_hold_is_posted_in_part_voided_or_let_go(on: On) -> Fallible<()> {
    let books = three(on).await?;
    let held =
        async |more: &str| books.pay(1, 2, "30.00", &format!(r#","pending":true{more}"#)).await;
    let part = held("").await?;
    let given_up = held("").await?;
    let late = held(r#","expires_in":1"#).await?;
    assert_eq!(books.funds(1).await?, ["100.00", "0.00", "90.00", "10.00"]);
    assert_eq!(books.funds(2).await?, ["0.00", "90.00", "0.00", "0.00"]);
    assert!(books.moved(late).await?.expires_at.is_some());
    books.verified().await?;

    let amount = Some(Amount::parse_any("12.34")?);
    let posted = books.act(Action::Post { id: part, owner: None, amount }).await?;
    let posted = is_kept(&books, part, &posted).await?;
    assert_eq!((posted.status, posted.version), (TransferStatus::Complete, 2));
    assert_eq!(Some(posted.amount), amount);
    assert_eq!(posted.held, Some(Amount::parse_any("30")?));
    let voided = books.act(Action::Void { id: given_up, owner: None }).await?;
    let voided = is_kept(&books, given_up, &voided).await?;
    assert_eq!((voided.status, voided.posting), (TransferStatus::Rollback, None));
    assert_eq!(books.funds(1).await?, ["87.66", "0.00", "30.00", "57.66"]);

    let early = books.act(Action::Expire { id: late }).await?;
    assert_eq!(is_kept(&books, late, &early).await?.status, TransferStatus::Pending);
    let at = Timestamp::from_micros(books.now().micros() + 1_000_000);
    let expire = Submission::one(at, Action::Expire { id: late });
    let expired = books.store.commit(expire).await?.verdicts.remove(0)?;
    let expired = is_kept(&books, late, &expired).await?;
    assert_eq!(expired.status, TransferStatus::Failed);
    assert_eq!(expired.last_error.map(|error| error.code).as_deref(), Some("HOLD_EXPIRED"));
    assert_eq!(books.funds(1).await?, ["87.66", "0.00", "0.00", "87.66"]);
    assert_eq!(books.funds(2).await?, ["12.34", "0.00", "0.00", "12.34"]);
    books.verified().await
}

async fn a_complete_transfer_is_undone_by_an_opposite_one(on: On) -> Fallible<()> {
    let books = three(on).await?;
    let id = books.pay(1, 2, "40.00", r#","reference":"R-1","metadata":{"n":1.50}"#).await?;
    let first = books.moved(id).await?;
    assert_eq!((first.status, first.reference.as_deref()), (TransferStatus::Complete, Some("R-1")));
    assert_eq!(first.metadata.to_string(), r#"{"n":1.50}"#);
    let by = books.transfer_id();
    let undone = books.act(Action::Rollback { id, owner: None, by }).await?;
    let undone = is_kept(&books, id, &undone).await?;
    assert_eq!((undone.status, undone.rolled_back_by), (TransferStatus::Rollback, Some(by)));
    assert_eq!(undone.posting, first.posting, "what was posted stays posted");
    let opposite = books.moved(by).await?;
    assert_eq!((opposite.source, opposite.destination), (first.destination, first.source));
    assert_eq!((opposite.status, opposite.rolls_back), (TransferStatus::Complete, Some(id)));
    assert_eq!(books.funds(1).await?[0], "100.00");
    assert_eq!(books.funds(2).await?[0], "0.00");

    let again = books.pay(1, 2, "40.00", r#","reference":"R-1","metadata":{"n":1.50}"#).await?;
    assert_eq!(books.store.transfer(again).await?, None, "the reference names the first");
    let other = books.pay(1, 2, "41.00", r#","reference":"R-1""#).await;
    assert_eq!(other, Err(Rejection::DuplicateReference { id }));
    books.pay(3, 2, "41.00", r#","reference":"R-1""#).await?;
    books.verified().await
}

async fn what_waits_is_due_until_it_is_done_or_has_failed(on: On) -> Fallible<()> {
    let books = three(on).await?;
    let attempt = async |id, at: i64, failure| -> Fallible<Transfer> {
        let action = Action::Attempt { id, retry: RETRY, failure };
        let submission = Submission::one(Timestamp::from_micros(at), action);
        let outcome = books.store.commit(submission).await?.verdicts.remove(0)?;
        is_kept(&books, id, &outcome).await
    };
    let due = async |at: i64| books.store.due(Timestamp::from_micros(at), 10).await;
    let start = Timestamp::parse("2024-08-01T00:00:00Z")?.micros();
    let later = r#","execute_at":"2024-08-01T00:00:00Z""#;
    let fine = books.pay(1, 2, "10.00", later).await?;
    let poor = books.pay(2, 3, "99.00", r#","execute_at":"2024-08-01T00:00:01Z""#).await?;
    let hold =
        books.pay(1, 2, "5.00", &format!(r#"{later},"pending":true,"expires_in":60"#)).await?;
    assert_eq!(books.funds(1).await?, ["100.00", "0.00", "0.00", "100.00"]);
    assert_eq!(books.store.seq(), books.moved(hold).await?.seq);

    let Due { waiting, expired, next } = due(start - 1).await?;
    assert_eq!((waiting, expired), (vec![], vec![]));
    assert_eq!(next.map(Timestamp::micros), Some(start));
    let found = due(start).await?;
    assert_eq!((found.waiting, found.expired), (vec![fine, hold], vec![]));
    assert_eq!(found.next.map(Timestamp::micros), Some(start + 1_000_000));
    let one = books.store.due(Timestamp::from_micros(start), 1).await?;
    assert_eq!(one.waiting, [fine]);

    assert_eq!(attempt(fine, start - 1, None).await?.status, TransferStatus::Pending);
    assert_eq!(attempt(fine, start, None).await?.status, TransferStatus::Complete);
    assert_eq!(attempt(fine, start, None).await?.version, 2, "it is done once");
    assert!(attempt(hold, start, None).await?.is_held());
    assert_eq!(books.funds(1).await?, ["90.00", "0.00", "5.00", "85.00"]);
    books.verified().await?;

    let seq = books.store.seq();
    let mut at = start + 1_000_000;
    for failed in 1..3 {
        let waiting = attempt(poor, at, None).await?;
        assert_eq!((waiting.status, waiting.retry_count), (TransferStatus::Pending, failed));
        let error = waiting.last_error.as_ref().ok_or("no error")?;
        assert_eq!((error.kind, &*error.code), (FailureKind::Temporary, "INSUFFICIENT_FUNDS"));
        at = waiting.next_attempt.ok_or("no next attempt")?.micros();
        assert_eq!(due(at).await?.waiting, [poor]);
        books.verified().await?;
    }
    assert_eq!(books.store.seq(), seq, "waiting on is no event");
    let failed = attempt(poor, at, None).await?;
    assert_eq!((failed.status, failed.retry_count), (TransferStatus::Failed, 3));

    let end = books.moved(hold).await?.expires_at.ok_or("it never expires")?;
    assert_eq!(due(end.micros() - 1).await?.next, Some(end));
    assert_eq!(due(end.micros()).await?.expired, [hold]);
    let expire = Submission::one(end, Action::Expire { id: hold });
    books.store.commit(expire).await?.verdicts.remove(0)?;
    let nothing = due(i64::MAX).await?;
    assert_eq!((nothing.waiting, nothing.expired, nothing.next), (vec![], vec![], None));

    let (kind, code) = (FailureKind::Permanent, "NO".to_owned());
    let cause = Failure { kind, code, detail: "nobody answers".to_owned() };
    let lost = books.pay(1, 2, "1.00", later).await?;
    let failed = attempt(lost, start, Some(cause.clone())).await?;
    assert_eq!((failed.status, failed.last_error), (TransferStatus::Failed, Some(cause)));
    books.verified().await
}

/// A transfer that is sent under a key.
async fn keyed(books: &Books, actions: Vec<Action>, fingerprint: u128) -> Result<Reply, Error> {
    let key = Some(IdempotencyKey { scope: 5, fingerprint });
    books.store.commit(Submission { at: books.now(), key, atomic: true, actions }).await
}

async fn a_key_pays_once_and_answers_the_same_after_a_restart(on: On) -> Fallible<()> {
    let mut books = three(on).await?;
    let hold = books.pay(1, 2, "9.00", r#","pending":true"#).await?;
    let transfer =
        || Ok::<_, Rejection>(Action::Transfer(books.new_transfer(&payment(1, 3, "2", ""))?));
    let open = r#"{"user_id":"ana","initial_balance":"1"}"#;
    let open = daybook_core::NewAccount::parse(open, None, &Default::default())?;
    let actions = vec![
        transfer()?,
        Action::Open(open),
        Action::Post { id: hold, owner: None, amount: None },
        transfer()?,
    ];
    let first = keyed(&books, actions.clone(), 1).await?;
    assert!(!first.replayed && first.verdicts.iter().all(Result::is_ok), "{first:?}");
    books.pay(1, 3, "7.00", "").await?;
    let again = keyed(&books, actions.clone(), 1).await?;
    assert_eq!((&again.verdicts, again.seq, again.replayed), (&first.verdicts, first.seq, true));
    books.reopen().await?;
    let again = keyed(&books, actions.clone(), 1).await?;
    assert_eq!((&again.verdicts, again.seq, again.replayed), (&first.verdicts, first.seq, true));
    let other = keyed(&books, actions, 2).await?;
    assert_eq!(other.verdicts, vec![Err(Rejection::KeyReused); 4]);
    assert_eq!(books.funds(1).await?, ["80.00", "0.00", "0.00", "80.00"]);
    books.verified().await
}

async fn both_owners_see_a_transfer_in_the_commit_that_makes_it(on: On) -> Fallible<()> {
    let books = three(on).await?;
    let silent = books.pay(3, 1, "5.00", "").await?;
    assert!(books.ids("ana", &[]).await?.is_empty(), "the house has no feed");
    assert!(!books.moved(silent).await?.is_shown);
    let id =
        books.pay(1, 2, "30.00", r#","pending":true,"reference":"R","metadata":{"note":"rent"}"#);
    let id = id.await?;
    let items = [Side::Debit, Side::Credit].map(|side| id.item(side));
    assert_eq!(books.ids("ana", &[("search_query", "rent")]).await?, [items[0]]);
    assert_eq!(books.ids("bob", &[("direction", "received")]).await?, [items[1]]);
    for (name, item) in [("ana", items[0]), ("bob", items[1])] {
        let found = books.store.transaction(item).await?.ok_or("no item")?;
        assert_eq!((found.status, found.transfer_id), (Status::Pending, Some(id)));
        assert_eq!(found.user_id, user(name));
        let refused = books.patch(item, r#"{"amount":"1.00"}"#).await;
        assert_eq!(refused, Err(Rejection::BelongsToTransfer { id: item, transfer: id }));
        assert_eq!(books.erase(item).await, refused);
    }
    let amount = Some(Amount::parse_any("20.00")?);
    books.act(Action::Post { id, owner: None, amount }).await?;
    for (name, net) in [("ana", "-20.00"), ("bob", "20.00")] {
        assert_eq!(books.statistics(name, Span::all()).await?[0].net, net, "{name}");
    }
    let by = books.transfer_id();
    books.act(Action::Rollback { id, owner: None, by }).await?;
    for item in items {
        let found = books.store.transaction(item).await?.ok_or("no item")?;
        assert_eq!((found.status, found.version), (Status::Cancelled, 3));
        assert_eq!(books.store.history(item).await?.len(), 3);
    }
    assert_eq!(books.ids("ana", &[]).await?, [items[0]], "the undoing has no item of its own");
    assert_eq!(books.statistics("bob", Span::all()).await?[0].transaction_count, 0);
    books.verified().await
}

async fn an_atomic_batch_moves_all_or_nothing(on: On) -> Fallible<()> {
    let books = three(on).await?;
    let batch = async |atomic, legs: &[(i64, i64, &str)]| -> Fallible<Reply> {
        let leg = |(from, to, amount): &(i64, i64, &str)| {
            books.new_transfer(&payment(*from, *to, amount, "")).map(Action::Transfer)
        };
        let actions = legs.iter().map(leg).collect::<Result<Vec<_>, _>>()?;
        Ok(books.store.commit(Submission { at: books.now(), key: None, atomic, actions }).await?)
    };
    let legs = [(1, 2, "60"), (2, 3, "60"), (3, 1, "10"), (1, 3, "51")];
    let refused = batch(true, &legs).await?;
    assert!(refused.verdicts.iter().all(Result::is_err), "{refused:?}");
    assert_eq!(books.funds(1).await?[0], "100.00");
    assert_eq!(books.store.verify_ledger().await?.transfers, 1, "the opening balance only");
    books.verified().await?;
    let mixed = batch(false, &legs).await?;
    let accepted: Vec<bool> = mixed.verdicts.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, true, false]);
    let whole = batch(true, &legs[..3]).await?;
    assert!(whole.verdicts.iter().all(Result::is_err), "there are 50.00 only: {whole:?}");
    assert_eq!(books.funds(1).await?[0], "50.00");
    books.verified().await
}
