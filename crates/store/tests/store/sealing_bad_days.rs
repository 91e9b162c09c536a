//! Bad days of sealing: damage, lost keys, other configurations, other processes.

use daybook_core::{Action, EventSeq, KeyId, NewKey};
use daybook_store::{Error, Options};

use crate::sealing::{
    ITEM, ONE, TWO, books, has, masters, metadata, options, reopen, sealing, stolen,
};
use crate::support::{Books, Fallible, On, damage, read, user};

crate::support::every_store! {
    no_letter_of_a_sealed_value_can_be_changed_unseen,
    what_was_sealed_once_stays_so,
    words_are_found_only_where_the_owner_wants_it,
    books_without_their_keys_can_be_verified_and_nothing_else,
    a_destroyed_key_is_nowhere_any_more,
    what_a_key_may_do_is_what_the_log_says,
}

async fn no_letter_of_a_sealed_value_can_be_changed_unseen(on: On) -> Fallible<()> {
    let books = books(on).await?;
    let id = books.record(ITEM).await?;
    let (json, text) = match on {
        On::Sqlite => ("", "metadata"),
        On::Postgres | On::Pgbouncer => ("::json", "metadata::text"),
    };
    let kept = read(&books, &format!("select {text} from transactions where seq = 1")).await?;
    // The first of four: the number of the key, a dot, then nonce, cipher and tag in base64url.
    let name = "\"card_last_four\":\"\u{7f}";
    let (before, mark) = kept.split_once(name).ok_or("the value is sealed")?;
    let (mark, after) = mark.split_once('"').ok_or("it ends")?;
    let values = r#"["5678","Quicksilver","Zebediah Quirk","4000009876543210"]"#;
    assert_eq!(mark.len(), "1.".len() + ((12 + values.len() + 16) * 8).div_ceil(6));
    let put = |metadata: &str| {
        format!("update transactions set metadata = '{metadata}'{json} where seq = 1")
    };
    for place in 0..mark.len() {
        for letter in [b'#', b'A', b'B'] {
            let mut letters = mark.as_bytes().to_vec();
            letters[place] = letter;
            let changed = [before, name, std::str::from_utf8(&letters)?, "\"", after].concat();
            if changed == kept {
                continue;
            }
            damage(&books, &put(&changed)).await?;
            let Err(error) = books.store.transaction(id).await else {
                return Err(format!("{changed} was shown").into());
            };
            assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        }
    }
    damage(&books, &put(&kept)).await?;
    assert!(metadata(&books, id).await?.contains(r#""card_last_four":"5678""#));
    // In the log as in the rows.
    let body = if on == On::Sqlite { "body" } else { "body::text" };
    let cut =
        format!("update events set body = replace({body}, '\u{7f}1.', '\u{7f}x.') where seq = 1");
    damage(&books, &cut).await?;
    assert!(matches!(books.store.history(id).await, Err(Error::Corrupt { .. })));
    assert!(matches!(books.store.events(EventSeq(0), 9).await, Err(Error::Corrupt { .. })));
    Ok(())
}

async fn what_was_sealed_once_stays_so(on: On) -> Fallible<()> {
    let mut books = books(on).await?;
    let first = books.record(ITEM).await?;
    // Whoever takes a field from the configuration would find nothing there any more, or groups that
    // are ciphers.
    reopen(&mut books, sealing(masters(ONE, &[]), &["p2p.memo"], false)).await?;
    let second = books.record(ITEM).await?;
    assert_eq!(books.ids("ana", &[("metadata.nickname", "Quicksilver")]).await?, [second, first]);
    let compared = books.query("ana", &[("metadata.nickname[gte]", "A")])?;
    assert!(matches!(books.store.transactions(compared).await, Err(Error::Sealed { .. })));
    let compared = books.query("ana", &[("metadata.memo[gte]", "A")])?;
    assert!(matches!(books.store.transactions(compared).await, Err(Error::Sealed { .. })));
    assert!(!has(&stolen(&books).await?, "Quicksilver"));
    books.verified().await
}

async fn words_are_found_only_where_the_owner_wants_it(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    reopen(&mut books, sealing(masters(ONE, &[]), &[], true)).await?;
    let id = books.record(ITEM).await?;
    assert_eq!(books.ids("ana", &[("search_query", "zebediah")]).await?, [id]);
    assert_eq!(books.ids("ana", &[("search_query", "zebediha")]).await?, [id], "with a typo");
    let nothing: [daybook_core::TransactionId; 0] = [];
    assert_eq!(books.ids("bob", &[("search_query", "zebediah")]).await?, nothing);
    // The value itself is sealed all the same.
    assert!(!has(&stolen(&books).await?, "Zebediah Quirk"));
    books.verified().await
}

async fn books_without_their_keys_can_be_verified_and_nothing_else(on: On) -> Fallible<()> {
    let mut books = books(on).await?;
    books.record(ITEM).await?;
    reopen(&mut books, Options { without_keys: true, ..Options::default() }).await?;
    books.verified().await?;
    let error = books.send(ITEM).await.unwrap_err();
    assert!(error.to_string().contains("give a master key"), "{error}");
    books.store.close().await;
    damage(
        &books,
        "update transactions set amount = (select amount from transactions where seq = 1), \
                    status = 'failed' where seq = 1",
    )
    .await?;
    books.store =
        daybook_store::open(&books.url, Options { without_keys: true, ..Options::default() })
            .await?;
    assert!(!books.differences().await?.is_empty());
    Ok(())
}

/// What wraps the keys of a user, as the ring has it.
async fn wrapped(books: &Books) -> Fallible<String> {
    let sql = match books.on {
        On::Sqlite => "select hex(wrapped) from keys where owner = 'ana'",
        On::Postgres | On::Pgbouncer => {
            "select encode(wrapped, 'hex') from daybook_keys.keys where owner = 'ana'"
        }
    };
    if books.on == On::Sqlite {
        let file = format!("{}-keys", books.url.trim_start_matches("sqlite:"));
        return Ok(rusqlite::Connection::open(file)?.query_row(sql, [], |row| row.get(0))?);
    }
    read(books, sql).await
}

async fn a_destroyed_key_is_nowhere_any_more(on: On) -> Fallible<()> {
    let books = books(on).await?;
    let id = books.record(ITEM).await?;
    books.record(&ITEM.replace("ana", "bob")).await?;
    let wrapped = wrapped(&books).await?;
    books.store.shred(user("ana")).await?;
    assert!(metadata(&books, id).await?.contains(r#""card_last_four":null"#));
    if on == On::Sqlite {
        let path = books.url.trim_start_matches("sqlite:");
        for suffix in ["-keys", "-keys-wal"] {
            let bytes = std::fs::read(format!("{path}{suffix}")).unwrap_or_default();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            assert!(!hex.contains(&wrapped), "{suffix}");
        }
    } else {
        let all = stolen(&books).await?;
        assert!(!has(&all, &wrapped));
    }
    Ok(())
}

/// A process without keys that was there before another began to seal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_keys_ends_its_work_when_another_seals() -> Fallible<()> {
    if crate::database::server().is_none() {
        return Ok(());
    }
    let plain = Books::open(On::Postgres).await?;
    let other = daybook_store::open(&plain.url, options(masters(TWO, &[]))).await?;
    let sealed = Books::with(plain.url.clone(), On::Postgres, options(masters(TWO, &[]))).await?;
    sealed.follow(&plain);
    let id = sealed.record(ITEM).await?;
    let error = plain.send(&ITEM.replace("ana", "bob")).await.unwrap_err();
    assert!(error.to_string().contains("has sealed values"), "{error}");
    let asked = async || plain.store.transaction(id).await;
    let mut tries = 0;
    while let Ok(shown) = asked().await {
        let shown = shown.map(|item| item.metadata.to_string()).unwrap_or_default();
        assert!(!shown.contains("5678"));
        tries += 1;
        assert!(tries < 10_000, "it goes on");
        tokio::task::yield_now().await;
    }
    assert!(matches!(asked().await, Err(Error::NoMasterKey { .. })));
    other.close().await;
    Ok(())
}

async fn what_a_key_may_do_is_what_the_log_says(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let body = r#"{"name":"billing","scopes":["feed:read"]}"#;
    let new = NewKey::parse(body, (KeyId(7), [1; 32]), &["feed:read"], books.now())?;
    books.act(Action::Issue(new)).await?;
    books.verified().await?;
    damage(&books, "update api_keys set body = replace(body, 'feed:read', 'admin')").await?;
    let found = books.differences().await?;
    assert!(found.iter().any(|found| found.part == "keys"), "{found:?}");
    Ok(())
}

/// Two processes that were told different fields, neither of which was the first to seal for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_either_of_two_processes_sealed_stays_sealed() -> Fallible<()> {
    if crate::database::server().is_none() {
        return Ok(());
    }
    let plain = Books::open(On::Postgres).await?;
    let with = |field| sealing(masters(ONE, &[]), &[field], false);
    let one = Books::with(plain.url.clone(), On::Postgres, with("card.nickname")).await?;
    let two = Books::with(plain.url.clone(), On::Postgres, with("card.merchant_name")).await?;
    one.record(ITEM).await?;
    two.follow(&one);
    two.record(ITEM).await?;
    one.store.close().await;
    two.store.close().await;
    let last = Books::with(plain.url.clone(), On::Postgres, with("p2p.memo")).await?;
    for path in ["metadata.nickname[gte]", "metadata.merchant_name[gte]", "metadata.memo[gte]"] {
        let compared = last.query("ana", &[(path, "A")])?;
        let answer = last.store.transactions(compared).await;
        assert!(matches!(answer, Err(Error::Sealed { .. })), "{path}");
    }
    last.verified().await
}
