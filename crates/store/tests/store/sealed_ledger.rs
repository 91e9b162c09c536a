//! Sensitive values of accounts and transfers at rest.

use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery, Whose};
use daybook_core::transfer::Retry;
use daybook_core::{AccountId, Action, EventSeq, IdempotencyKey, Submission, Timestamp};

use crate::sealing::{books, has, stolen};
use crate::support::{Books, Fallible, On, payment, user};

crate::support::every_store! {
    secrets_of_the_ledger_are_sealed_and_answered_as_they_were_sent,
    who_pays_is_forgotten_with_the_transfers,
    a_transfer_that_is_tried_again_stays_sealed,
}

const ACCOUNT: &str = r#"{"account_id":1,"user_id":"ana","initial_balance":"50.00",
    "metadata":{"iban":"DE89370400440532013000","color":"magenta"}}"#;
const MORE: &str = r#","reference":"rent-1","metadata":{"note":"Wolpertinger dues",
    "peer_email":"zebediah@example.org","color":"magenta"}"#;
const SECRETS: [&str; 4] =
    ["DE89370400440532013000", "Wolpertinger", "zebediah@example.org", "Rumpelstilz"];

async fn ledger(on: On) -> Fallible<Books> {
    let books = books(on).await?;
    books.account(ACCOUNT).await?;
    books.account(r#"{"account_id":2,"user_id":"bob"}"#).await?;
    Ok(books)
}

async fn nothing_is_plain(books: &Books) -> Fallible<()> {
    let all = stolen(books).await?;
    assert!(has(&all, "magenta"), "what is not sensitive is there");
    for secret in SECRETS {
        assert!(!has(&all, secret), "{secret}");
    }
    Ok(())
}

async fn secrets_of_the_ledger_are_sealed_and_answered_as_they_were_sent(on: On) -> Fallible<()> {
    let books = ledger(on).await?;
    let plain = books.new_transfer(&payment(1, 2, "5.00", MORE))?;
    let (id, metadata) = (plain.id, plain.metadata.clone());
    let key = Some(IdempotencyKey { scope: 7, fingerprint: 8 });
    let actions = vec![Action::Transfer(plain)];
    let pay = Submission { at: books.now(), key, atomic: false, actions };
    let first = books.store.commit(pay.clone()).await?;
    let again = books.store.commit(pay).await?;
    assert!(again.replayed && again.verdicts == first.verdicts);
    // The same reference again is answered with what is there, and that is kept for the key.
    let same = books.new_transfer(&payment(1, 2, "5.00", MORE))?;
    let key = Some(IdempotencyKey { scope: 9, fingerprint: 8 });
    let actions = vec![Action::Transfer(same)];
    let same = Submission { at: books.now(), key, atomic: false, actions };
    let seen = books.store.commit(same.clone()).await?;
    assert_eq!(books.store.commit(same).await?.verdicts, seen.verdicts);

    assert_eq!(books.moved(id).await?.metadata, metadata);
    let (limit, before) = (10, None);
    let whose = Whose::Account(AccountId(1));
    let query = TransfersQuery { whose, status: None, reference: None, before, limit };
    assert_eq!(books.store.transfers(query).await?.items[0].metadata, metadata);
    let (from, to) = (Timestamp::MIN, Timestamp::END);
    let query = EntriesQuery { account: AccountId(1), from, to, before, limit };
    let entries = books.store.entries(query).await?.ok_or("the account is there")?;
    assert!(entries.items.iter().any(|entry| entry.metadata == metadata));
    let iban = |text: String| text.contains("DE89370400440532013000");
    assert!(iban(books.holding(1).await?.to_json()));
    let (user_id, after) = (Some(user("ana")), None);
    let query = AccountsQuery { user_id, currency: None, status: None, after, limit };
    assert!(iban(books.store.accounts(query).await?.items[0].to_json()));
    let at = books.store.balance_at(AccountId(1), books.now()).await?.ok_or("it is there")?;
    assert!(iban(at.to_json()));
    books
        .reform(1, r#"{"metadata":{"iban":"DE89370400440532013000","note":"Rumpelstilz"}}"#)
        .await?;
    assert!(books.holding(1).await?.to_json().contains("Rumpelstilz"));
    let events = books.store.events(EventSeq(0), 100).await?;
    let told = |text: &str| events.iter().filter(|event| event.body.contains(text)).count();
    assert_eq!((told("Wolpertinger"), told("DE89370400440532013000")), (3, 2));
    for name in ["ana", "bob"] {
        assert_eq!(books.ids(name, &[("metadata.note", "Wolpertinger dues")]).await?.len(), 1);
    }
    nothing_is_plain(&books).await?;
    books.verified().await
}

async fn who_pays_is_forgotten_with_the_transfers(on: On) -> Fallible<()> {
    let books = ledger(on).await?;
    books.account(r#"{"account_id":3,"overdraft_limit":"unlimited"}"#).await?;
    let paid = books.pay(1, 2, "5.00", MORE).await?;
    let house = books.pay(3, 3 - 2, "1.00", &MORE.replace("rent-1", "rent-2")).await?;
    let back = books.pay(2, 1, "2.00", &MORE.replace("rent-1", "rent-3")).await?;
    let funds = [books.funds(1).await?, books.funds(2).await?];
    let statistics = books.statistics("ana", daybook_core::stats::Span::all()).await?;
    books.store.shred(user("ana")).await?;
    for (id, is_known) in [(paid, false), (house, false), (back, true)] {
        let metadata = books.moved(id).await?.metadata.to_string();
        assert_eq!(metadata.contains("Wolpertinger"), is_known, "{metadata}");
        assert!(metadata.contains("magenta"));
    }
    assert!(books.holding(1).await?.to_json().contains(r#""iban":null"#));
    // Balances and statistics stay, and money goes on.
    assert_eq!([books.funds(1).await?, books.funds(2).await?], funds);
    assert_eq!(books.statistics("ana", daybook_core::stats::Span::all()).await?, statistics);
    books.pay(1, 2, "1.00", "").await?;
    books.verified().await
}

async fn a_transfer_that_is_tried_again_stays_sealed(on: On) -> Fallible<()> {
    let books = ledger(on).await?;
    let mut new = books.new_transfer(&payment(2, 1, "5.00", MORE))?;
    new.queued = true;
    let id = new.id;
    books.act(Action::Transfer(new)).await?;
    let retry = Retry { attempts_max: 3, base_us: 1, cap_us: 1, chance: 0 };
    for _ in 0..2 {
        books.pass(1_000_000);
        books.act(Action::Attempt { id, retry, failure: None }).await?;
        assert!(books.moved(id).await?.metadata.to_string().contains("Wolpertinger"));
        books.verified().await?;
    }
    assert_eq!(books.moved(id).await?.retry_count, 2);
    nothing_is_plain(&books).await
}
