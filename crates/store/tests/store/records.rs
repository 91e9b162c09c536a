//! Records that come again, in a store: the same answers as the rules in memory give, and ids that
//! are used once whatever happens.

use crate::chance::Chance;
use crate::memory::Memory;
use crate::support::{Books, Fallible, On, damage, payment};
use daybook_core::command::Action;
use daybook_core::write_set::{Outcome, Recorded, Reply};
use daybook_core::{
    EventSeq, Patch, Rejection, Subject, Submission, Transaction, TransactionId, TransferId,
};
use uuid::Uuid;

crate::support::every_store! {
    any_history_of_records_is_answered_as_in_memory,
    processes_that_choose_one_id_make_one_item,
    a_chosen_id_is_used_once_across_restarts,
    an_id_that_a_transfer_needs_stays_free,
    an_item_of_before_keeps_a_side_that_its_metadata_does_not_say,
}

const STEPS: usize = 120;

fn chosen(number: u64) -> TransactionId {
    TransactionId(Uuid::from_u128(0xc0de << 64 | u128::from(number) << 8))
}

fn body(chance: &mut Chance) -> String {
    let status = chance.of(&["pending", "pending", "completed", "completed", "failed"]);
    let amount = chance.of(&["1.00", "1.00", "1.00", "2.00"]);
    let user = chance.of(&["ana", "ana", "bob"]);
    let direction = chance.of(&["sent", "sent", "received"]);
    let mut body = format!(
        r#"{{"user_id":"{user}","transaction_type":"p2p","amount":"{amount}","status":"{status}",
        "metadata":{{"direction":"{direction}","peer_name":"Zoe"}}"#
    );
    if chance.one_in(2) {
        body += r#","created_at":"2024-01-01T10:00:00Z""#;
    }
    if !chance.one_in(3) {
        body += &format!(r#","source":"bank","external_id":"{}""#, chance.below(4));
    }
    if chance.one_in(2) {
        body += &format!(r#","id":"{}""#, chosen(chance.below(6)));
    }
    if chance.one_in(3) {
        body += &format!(r#","source_version":{}"#, chance.below(4));
    }
    if chance.one_in(3) {
        body += &format!(r#","source_updated_at":"2024-01-0{}""#, 1 + chance.below(3));
    }
    if chance.one_in(5) {
        body += chance.of(&[r#","side":"credit""#, r#","side":"debit""#]);
    }
    body + "}"
}

fn action(books: &Books, chance: &mut Chance, items: &[TransactionId]) -> Fallible<Action> {
    if items.is_empty() || !chance.one_in(4) {
        return Ok(Action::Record(books.parse(&body(chance))?));
    }
    let (id, owner, version) = (chance.of(items), None, None);
    if chance.one_in(3) {
        return Ok(Action::Erase { id, owner, version });
    }
    let patch = chance.of(&[
        r#"{"status":"completed"}"#,
        r#"{"amount":"1.00"}"#,
        r#"{"metadata":{"direction":"received"}}"#,
        r#"{"metadata":{"direction":"sent"}}"#,
        r#"{"side":"credit"}"#,
        r#"{"side":null}"#,
    ]);
    Ok(Action::Amend { id, owner, version, patch: Patch::parse(patch)? })
}

async fn any_history_of_records_is_answered_as_in_memory(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    let (mut chance, mut memory) = (Chance::seeded(), Memory::default());
    let mut words = std::collections::BTreeMap::<String, u32>::new();
    for step in 0..STEPS {
        let items: Vec<TransactionId> = memory.transactions.keys().copied().collect();
        let size = if chance.one_in(3) { 1 + chance.below(6) } else { 1 };
        let actions = (0..size).map(|_| action(&books, &mut chance, &items));
        let actions = actions.collect::<Fallible<Vec<_>>>()?;
        let atomic = chance.one_in(4);
        let submission = Submission { at: books.now(), key: None, atomic, actions };
        let found: Reply = books.store.commit(submission.clone()).await?;
        let expected = memory.commit(std::slice::from_ref(&submission)).remove(0);
        assert_eq!(found, expected, "{submission:?}");
        for verdict in &found.verdicts {
            *words.entry(word(verdict)).or_default() += 1;
        }
        if step % 40 == 39 {
            books.reopen().await?;
        }
    }
    for (id, item) in &memory.transactions {
        let found: Option<Transaction> = books.store.transaction(*id).await?;
        assert_eq!(found.as_ref(), Some(item));
    }
    memory.assert_statistics();
    assert_eq!(books.store.seq(), EventSeq(memory.events.len() as i64));
    println!("{words:?}");
    for word in ["created", "updated", "ignored", "RECORD_CONFLICT"] {
        assert!(words.contains_key(word), "no step was about '{word}': {words:?}");
    }
    books.verified().await
}

fn word(verdict: &Result<Outcome, Rejection>) -> String {
    match verdict {
        Ok(Outcome::Created(_)) => "created",
        Ok(Outcome::Updated(_)) => "updated",
        Ok(Outcome::Unchanged(_)) => "unchanged",
        Ok(Outcome::Ignored(_)) => "ignored",
        Ok(Outcome::Deleted(_)) => "deleted",
        Err(rejection) => rejection.code(),
    }
    .to_owned()
}

async fn processes_that_choose_one_id_make_one_item(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    // Only a server's database has several processes; a file has several callers.
    let other = match on {
        On::Sqlite => books.store.clone(),
        On::Postgres | On::Pgbouncer => daybook_store::open(&books.url, Default::default()).await?,
    };
    for number in 0..20 {
        let names = ["", r#","source":"bank","external_id":"$""#];
        let name = names[number as usize % 2].replace('$', &number.to_string());
        let body = format!(
            r#"{{"user_id":"ana","transaction_type":"card","amount":1,"id":"{}"{name}}}"#,
            chosen(number)
        );
        let mut sent = Vec::new();
        for turn in 0..6 {
            let store = if turn % 2 == 0 { &books.store } else { &other };
            let action = Action::Record(books.parse(&body)?);
            sent.push(store.commit(Submission::one(books.now(), action)));
        }
        let replies = futures_util::future::join_all(sent).await;
        let mut words = Vec::new();
        for reply in replies {
            words.extend(reply?.verdicts.iter().map(word));
        }
        words.sort_unstable();
        assert_eq!(
            words,
            ["created", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"]
        );
    }
    assert_eq!(books.ids("ana", &[]).await?.len(), 20);
    if on != On::Sqlite {
        other.close().await;
    }
    books.verified().await
}

async fn a_chosen_id_is_used_once_across_restarts(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    let body = |user: &str, amount: u32| {
        let id = chosen(1);
        format!(r#"{{"user_id":"{user}","transaction_type":"card","amount":{amount},"id":"{id}"}}"#)
    };
    assert_eq!(books.record(&body("ana", 1)).await?, chosen(1));
    books.reopen().await?;
    let again = books.send(&body("ana", 1)).await?;
    assert!(matches!(again, Outcome::Unchanged(Recorded { version: 1, .. })), "{again:?}");
    let refused = |books: &Books, user: &str, amount| {
        let action = books.parse(&body(user, amount)).map(Action::Record);
        let (store, at) = (books.store.clone(), books.now());
        async move {
            let reply = store.commit(Submission::one(at, action?)).await?;
            Ok::<_, Box<dyn std::error::Error>>(reply.verdicts.iter().map(word).collect::<String>())
        }
    };
    assert_eq!(refused(&books, "ana", 2).await?, "RECORD_CONFLICT");
    assert_eq!(refused(&books, "bob", 1).await?, "ID_TAKEN");
    books.erase(chosen(1)).await?;
    for _ in 0..2 {
        assert_eq!(refused(&books, "ana", 1).await?, "TRANSACTION_DELETED");
        assert_eq!(refused(&books, "bob", 1).await?, "ID_TAKEN");
        books.reopen().await?;
    }
    let versions: Vec<u32> =
        books.store.history(chosen(1)).await?.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2]);
    assert!(books.ids("ana", &[]).await?.is_empty());
    books.verified().await
}

async fn an_id_that_a_transfer_needs_stays_free(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    books.account(r#"{"account_id":1,"user_id":"ana","initial_balance":"5.00"}"#).await?;
    books.account(r#"{"account_id":2,"user_id":"bob"}"#).await?;
    let mut new = books.new_transfer(&payment(1, 2, "1.00", ""))?;
    new.queued = true;
    let id: TransferId = new.id;
    books.act(Action::Transfer(new)).await?;
    for side in daybook_core::Side::ALL {
        let item = id.item(*side);
        let body =
            format!(r#"{{"user_id":"ana","transaction_type":"card","amount":1,"id":"{item}"}}"#);
        let refused = books.act(Action::Record(books.parse(&body)?)).await;
        assert_eq!(refused, Err(Rejection::IdTaken { id: item }));
    }
    let retry = daybook_core::transfer::Retry { attempts_max: 1, base_us: 1, cap_us: 1, chance: 0 };
    books.act(Action::Attempt { id, retry, failure: None }).await?;
    assert_eq!(books.ids("ana", &[]).await?, [id.item(daybook_core::Side::Debit)]);
    let item = id.item(daybook_core::Side::Debit);
    let body = format!(r#"{{"user_id":"ana","transaction_type":"p2p","amount":1,"id":"{item}"}}"#);
    let refused = books.act(Action::Record(books.parse(&body)?)).await;
    assert_eq!(refused, Err(Rejection::BelongsToTransfer { id: item, transfer: id }));
    books.verified().await
}

async fn an_item_of_before_keeps_a_side_that_its_metadata_does_not_say(on: On) -> Fallible<()> {
    if on == On::Pgbouncer {
        return Ok(());
    }
    let mut books = Books::open(on).await?;
    let body = |side: &str| {
        format!(
            r#"{{"user_id":"ana","transaction_type":"p2p","amount":1,{side}
            "metadata":{{"direction":"sent"}}}}"#
        )
    };
    let said = books.record(&body(r#""side":"credit","#)).await?;
    let follows = books.record(&body("")).await?;
    books.store.close().await;
    // As the version before would have written it.
    damage(&books, "update transactions set side_given = false where side_given").await?;
    books.reopen().await?;
    for (id, side) in [(said, "credit"), (follows, "credit")] {
        let patched = books.patch(id, r#"{"metadata":{"direction":"received"}}"#).await?;
        assert!(matches!(patched, Outcome::Updated(Recorded { subject: Subject::Item(_), .. })));
        let item = books.store.transaction(id).await?.ok_or("not there")?;
        assert_eq!((item.side.name(), item.side_given), (side, id == said));
    }
    for (id, side) in [(said, "credit"), (follows, "debit")] {
        books.patch(id, r#"{"metadata":{"direction":"sent"}}"#).await?;
        let item = books.store.transaction(id).await?.ok_or("not there")?;
        assert_eq!(item.side.name(), side);
    }
    books.verified().await
}
