//! The hash chain of the event log: what is damaged behind the store's back is found, and named.

use daybook_core::{Action, EventSeq, EventType, Note, Refusals, Subject, Submission};

use crate::support::{Books, Fallible, On, damage, user};

crate::support::every_store! {
    the_first_broken_link_is_named,
    a_link_that_is_gone_is_not_made_again,
    the_chain_goes_on_after_a_restart,
    a_note_stands_in_the_log_and_nowhere_else,
}

const ITEM: &str = r#"{"user_id":"ana","transaction_type":"card","amount":10,
    "metadata":{"merchant_name":"Starbucks"}}"#;

/// What `verify` says of the chain.
async fn broken(books: &Books) -> Fallible<Vec<String>> {
    let found = books.differences().await?.into_iter().filter(|found| found.part == "chain");
    Ok(found.map(|found| found.what).collect())
}

async fn the_first_broken_link_is_named(on: On) -> Fallible<()> {
    let subject = if on == On::Sqlite { "transaction_id" } else { "subject" };
    let hex = |length: usize| {
        let digits = "11".repeat(length);
        if on == On::Sqlite { format!("x'{digits}'") } else { format!("'\\x{digits}'") }
    };
    let (id, link, short) = (hex(16), hex(32), hex(31));
    for (sql, place) in [
        ("update events set body = replace(body, 'Starbucks', 'Starbacks') where seq = 3", 3),
        ("update events set at = at + 1 where seq = 2", 2),
        ("update events set event_type = 'transaction.updated' where seq = 4", 4),
        ("update events set version = 2 where seq = 3", 3),
        (&format!("update events set {subject} = {id} where seq = 3"), 3),
        (&format!("update events set link = {link} where seq = 5"), 5),
        // It cannot be read at all.
        (&format!("update events set link = {short} where seq = 5"), 5),
        ("delete from events where seq = 3", 4),
        ("update events set previous = 1 where seq = 1", 1),
    ] {
        let mut books = Books::open(on).await?;
        for _ in 0..6 {
            books.record(ITEM).await?;
        }
        assert_eq!(broken(&books).await?, Vec::<String>::new());
        books.store.close().await;
        damage(&books, sql).await?;
        books.reopen().await?;
        let found = broken(&books).await?;
        assert_eq!(found.len(), 1, "{sql}: {found:?}");
        let expected = format!("the chain breaks at event {place}:");
        assert!(found[0].starts_with(&expected), "{sql}: {found:?}");
        books.store.close().await;
    }
    Ok(())
}

/// Somebody might hope that a log that has lost its last link gets all of them anew.
async fn a_link_that_is_gone_is_not_made_again(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    for _ in 0..3 {
        books.record(ITEM).await?;
    }
    books.store.close().await;
    let taken = "update events set link = null where seq = 3";
    if on != On::Sqlite {
        // The database itself keeps what it was told to keep.
        let refused = damage(&books, taken).await.unwrap_err();
        assert!(format!("{refused:?}").contains("not-null"), "{refused:?}");
        return Ok(());
    }
    damage(&books, taken).await?;
    damage(&books, "update events set at = at + 1 where seq = 1").await?;
    let error = books.reopen().await.unwrap_err();
    assert!(error.to_string().contains("event 3 has no link of the chain"), "{error}");
    Ok(())
}

/// One bit of a text is another byte, which may make it no text at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_no_text_any_more_is_named() -> Fallible<()> {
    let mut books = Books::open(On::Sqlite).await?;
    for _ in 0..4 {
        books.record(ITEM).await?;
    }
    books.store.close().await;
    let sql = "update events set body = cast(replace(cast(body as blob), x'537461', x'5374e1') \
               as text) where seq = 3";
    damage(&books, sql).await?;
    books.reopen().await?;
    let found = broken(&books).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("the chain breaks at event 3: it cannot be read"), "{found:?}");
    Ok(())
}

async fn the_chain_goes_on_after_a_restart(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    assert_eq!(books.store.link(EventSeq(1)).await?, None);
    books.record(ITEM).await?;
    let first = books.store.link(EventSeq(1)).await?.ok_or("the first event has a link")?;
    // What is refused leaves the chain alone.
    books.record(r#"{"user_id":"ana","transaction_type":"card","amount":-1}"#).await.unwrap_err();
    books.store.close().await;
    books.reopen().await?;
    books.record(ITEM).await?;
    let second = books.store.link(EventSeq(2)).await?.ok_or("the second event has a link")?;
    assert_eq!(books.store.link(EventSeq(1)).await?, Some(first));
    assert_ne!(first, second);
    books.verified().await
}

async fn a_note_stands_in_the_log_and_nowhere_else(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    books.record(ITEM).await?;
    let refusals = Refusals {
        status: 403,
        code: "NOT_YOUR_USER".to_owned(),
        method: "GET".to_owned(),
        route: "/api/v1/transactions".to_owned(),
        key_id: None,
        address: Some("192.0.2.7".to_owned()),
        count: 3,
    };
    let note = |who| Action::Note(Note::refused(who, &refusals));
    let at = daybook_core::Timestamp::from_micros(1_720_000_000_000_000);
    let actions = vec![note(Some(user("ana"))), note(None)];
    let submission = Submission { at, key: None, atomic: false, actions };
    books.store.commit(submission).await?;
    let events = books.store.events(EventSeq(1), 10).await?;
    let users: Vec<_> = events.iter().map(|event| event.user_id.clone()).collect();
    assert_eq!(users, [Some(user("ana")), None]);
    for event in &events {
        assert_eq!((event.event_type, event.subject), (EventType::Refused, Subject::Audit));
    }
    let told: serde_json::Value = serde_json::from_str(&serde_json::to_string(&events[0])?)?;
    assert_eq!(
        (&told["audit"]["count"], &told["audit"]["address"]),
        (&3.into(), &"192.0.2.7".into())
    );
    assert_eq!(books.ids("ana", &[]).await?.len(), 1);
    let changes = books.store.changes(user("ana"), EventSeq(0), 10).await?;
    assert_eq!(changes.events.len(), 1, "a note is no change of an item");
    books.verified().await
}
