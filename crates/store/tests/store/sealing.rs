//! Sensitive values at rest: nothing of them is in the books, all answers are as ever, and a key that
//! is missing, wrong or destroyed is told apart from damage.

use daybook_core::{Action, EventSeq, IdempotencyKey, NewTransaction, Secrets, Submission};
use daybook_core::{Patch, TransactionId};
use daybook_store::{Error, MasterKey, Masters, Options, Sealing};

use crate::database::connect;
use crate::support::{Books, Fallible, On, damage, texts, user};

crate::support::every_store! {
    sealed_items_are_answered_as_they_were_sent,
    no_plain_value_is_in_the_books,
    equality_finds_what_is_sealed_and_words_do_not,
    a_person_is_forgotten_and_nobody_else,
    only_the_right_keys_open_the_books,
    master_keys_are_replaced_while_the_books_are_in_use,
    what_was_changed_behind_our_back_is_named_and_never_shown,
}

pub const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub const TWO: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";
pub const ITEM: &str = r#"{"user_id":"ana","transaction_type":"card","amount":10,"metadata":{
    "merchant_name":"Starbucks","card_last_four":"5678","nickname":"Quicksilver",
    "cardholder_name":"Zebediah Quirk","card_number":"4000009876543210"}}"#;
/// What of it is sensitive.
const SECRETS: [&str; 7] =
    ["\"5678\"", "• 5678", "_5678", "Quicksilver", "Zebediah", "quirk", "4000009876543210"];

fn master(text: &str) -> MasterKey {
    MasterKey::from_base64(text).expect("a master key")
}

pub fn masters(current: &str, older: &[&str]) -> Masters {
    Masters { current: master(current), older: older.iter().map(|text| master(text)).collect() }
}

pub fn options(masters: Masters) -> Options {
    sealing(masters, &["card.nickname"], false)
}

pub fn sealing(masters: Masters, fields: &[&str], searched: bool) -> Options {
    let secrets = Secrets::with(fields).expect("fields").into();
    Options { sealing: Some(Sealing { masters, secrets, searched }), ..Options::default() }
}

/// A store that seals, and nothing in it.
pub async fn books(on: On) -> Fallible<Books> {
    let mut books = Books::open(on).await?;
    reopen(&mut books, options(masters(ONE, &[]))).await?;
    Ok(books)
}

pub async fn reopen(books: &mut Books, options: Options) -> Fallible<()> {
    books.store.close().await;
    books.store = daybook_store::open(&books.url, options).await?;
    Ok(())
}

/// What opening with other keys says.
async fn refusal(books: &mut Books, options: Options) -> Fallible<Error> {
    books.store.close().await;
    match daybook_store::open(&books.url, options).await {
        Ok(_) => Err("it opened".into()),
        Err(error) => Ok(error),
    }
}

/// Everything that the books say, as somebody reads them who has them: files byte by byte, or the rows
/// of all tables.
pub async fn stolen(books: &Books) -> Fallible<Vec<u8>> {
    let mut all = Vec::new();
    if books.on == On::Sqlite {
        let path = books.url.trim_start_matches("sqlite:");
        for suffix in ["", "-wal", "-keys", "-keys-wal"] {
            all.extend(std::fs::read(format!("{path}{suffix}")).unwrap_or_default());
        }
        assert!(all.len() > 10_000, "{}", all.len());
        return Ok(all);
    }
    let client = connect(books.url.split('?').next().unwrap_or_default()).await?;
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables \
         where schemaname in ('public', 'daybook_keys')";
    for table in texts(&client, tables).await? {
        for row in texts(&client, &format!("select t::text from {table} t")).await? {
            all.extend(row.into_bytes());
        }
    }
    Ok(all)
}

pub fn has(all: &[u8], text: &str) -> bool {
    let (all, text) = (all.to_ascii_lowercase(), text.to_ascii_lowercase());
    all.windows(text.len()).any(|part| part == text.as_bytes())
}

pub async fn metadata(books: &Books, id: TransactionId) -> Fallible<String> {
    let item = books.store.transaction(id).await?.ok_or("the item is there")?;
    Ok(item.metadata.to_string())
}

async fn sealed_items_are_answered_as_they_were_sent(on: On) -> Fallible<()> {
    let books = books(on).await?;
    let at = daybook_core::Timestamp::from_micros(1_720_000_000_000_000);
    let id = TransactionId(uuid::Uuid::from_u128(7));
    let new = NewTransaction::parse(ITEM, id, None, &Default::default())?;
    let plain = new.clone().record(at, EventSeq(1));
    let key = Some(IdempotencyKey { scope: 5, fingerprint: 6 });
    let record = Submission { at, key, atomic: false, actions: vec![Action::Record(new)] };
    let first = books.store.commit(record.clone()).await?;
    let again = books.store.commit(record).await?;
    assert!(again.replayed && again.verdicts == first.verdicts);
    assert_eq!(books.store.transaction(id).await?, Some(plain.clone()));
    let page = books.store.transactions(books.query("ana", &[])?).await?;
    assert_eq!(page.items, std::slice::from_ref(&plain));

    let patch = Patch::parse(r#"{"metadata":{"cardholder_name":"Zoe Quirk","note":"n"}}"#)?;
    let amend = Action::Amend { id, owner: None, version: None, patch };
    books.act(amend).await?;
    assert!(metadata(&books, id).await?.contains(r#""cardholder_name":"Zoe Quirk""#));
    let history = books.store.history(id).await?;
    assert_eq!(*history[0].body, *plain.to_json());
    assert!(history[1].body.contains("Zoe Quirk") && history[1].body.contains("•••• 5678"));
    let changes = books.store.changes(user("ana"), EventSeq(0), 10).await?;
    assert_eq!(changes.events, history);
    assert_eq!(books.store.events(EventSeq(0), 10).await?, history);
    books.verified().await
}

async fn no_plain_value_is_in_the_books(on: On) -> Fallible<()> {
    let books = books(on).await?;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(books.record(ITEM).await?);
    }
    books.act(Action::Erase { id: ids[0], owner: None, version: None }).await?;
    let patch = Patch::parse(r#"{"metadata":{"nickname":"Quicksilver again"}}"#)?;
    books.act(Action::Amend { id: ids[1], owner: None, version: None, patch }).await?;
    let all = stolen(&books).await?;
    if on == On::Sqlite {
        let log = format!("{}-wal", books.url.trim_start_matches("sqlite:"));
        assert!(has(&std::fs::read(log)?, "Starbucks"), "the log was looked into");
    }
    assert!(has(&all, "Starbucks"), "what is not sensitive is there");
    for secret in SECRETS {
        assert!(!has(&all, secret), "{secret}");
    }
    if on == On::Sqlite {
        let backup = format!("{}.backup", books.url.trim_start_matches("sqlite:"));
        books.store.backup(std::path::Path::new(&backup), &|_, _| ()).await?;
        let copied = std::fs::read(backup)?;
        assert!(has(&copied, "Starbucks") && !SECRETS.iter().any(|secret| has(&copied, secret)));
    }
    books.store.close().await;
    Ok(())
}

async fn equality_finds_what_is_sealed_and_words_do_not(on: On) -> Fallible<()> {
    let books = books(on).await?;
    let id = books.record(ITEM).await?;
    // The same name is nothing to hide in an item of another type.
    let other = ITEM.replace("card\",", "crypto\",").replace("card_last_four", "number");
    let other = books.record(&other).await?;
    let found = async |filters: Vec<(&str, &str)>| books.ids("ana", &filters).await;
    assert_eq!(found(vec![("card_last_four", "5678")]).await?, [id]);
    assert_eq!(found(vec![("metadata.cardholder_name", "zebediah QUIRK")]).await?, [other, id]);
    assert_eq!(found(vec![("metadata.nickname", "Quicksilver")]).await?, [other, id]);
    assert_eq!(found(vec![("card_last_four", "5679")]).await?, []);
    assert_eq!(found(vec![("metadata.card_last_four[exists]", "true")]).await?, [id]);
    assert_eq!(found(vec![("search_query", "starbucks")]).await?, [other, id]);
    assert_eq!(found(vec![("search_query", "5678"), ("transaction_type", "card")]).await?, []);
    assert_eq!(found(vec![("search_query", "zebediah")]).await?, [other]);
    let compared = books.query("ana", &[("metadata.card_last_four[gte]", "1")])?;
    let error = books.store.transactions(compared).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Sealed { .. }), "{error:?}");
    // Another user's index tells nothing of this one's values.
    let theirs = ITEM.replace("ana", "bob");
    let theirs = books.record(&theirs).await?;
    assert_eq!(books.ids("bob", &[("card_last_four", "5678")]).await?, [theirs]);
    books.verified().await
}

async fn a_person_is_forgotten_and_nobody_else(on: On) -> Fallible<()> {
    let mut books = books(on).await?;
    let (mine, theirs) =
        (books.record(ITEM).await?, books.record(&ITEM.replace("ana", "bob")).await?);
    let statistics = books.statistics("ana", daybook_core::stats::Span::all()).await?;
    assert_eq!(books.store.shred(user("ana")).await?, 1);
    assert_eq!(books.store.shred(user("ana")).await?, 0);
    let nulls = r#""card_last_four":null,"nickname":null,"cardholder_name":null"#;
    for _ in 0..2 {
        let said = metadata(&books, mine).await?;
        assert!(said.contains(nulls) && said.contains("Starbucks"), "{said}");
        let history = books.store.history(mine).await?;
        assert!(history[0].body.contains(nulls) && !history[0].body.contains("5678"));
        assert!(history[0].body.contains(r#""title":"Starbucks""#), "{}", history[0].body);
        assert!(metadata(&books, theirs).await?.contains("Zebediah"));
        assert_eq!(books.statistics("ana", daybook_core::stats::Span::all()).await?, statistics);
        assert_eq!(books.ids("ana", &[("card_last_four", "5678")]).await?, []);
        reopen(&mut books, options(masters(ONE, &[]))).await?;
    }
    // Who comes back gets another key.
    let new = books.record(ITEM).await?;
    assert!(metadata(&books, new).await?.contains("Zebediah"));
    assert_eq!(books.ids("ana", &[("card_last_four", "5678")]).await?, [new]);
    let ring = books.store.ring().await?.ok_or("there is a ring")?;
    assert_eq!((ring.shredded, ring.total), (1, 3));
    books.verified().await
}

async fn only_the_right_keys_open_the_books(on: On) -> Fallible<()> {
    let mut books = books(on).await?;
    books.record(ITEM).await?;
    let id = master(ONE).id().to_owned();
    let none = refusal(&mut books, Options::default()).await?;
    assert!(matches!(none, Error::NoMasterKey { .. }), "{none:?}");
    let wrong = refusal(&mut books, options(masters(TWO, &[]))).await?;
    assert!(wrong.to_string().contains(&id), "{wrong}");
    reopen(&mut books, options(masters(TWO, &[ONE]))).await?;
    books.verified().await?;
    if on == On::Sqlite {
        let keys = format!("{}-keys", books.url.trim_start_matches("sqlite:"));
        books.store.close().await;
        std::fs::rename(&keys, format!("{keys}.away"))?;
        let missing = refusal(&mut books, options(masters(ONE, &[]))).await?;
        assert!(matches!(missing, Error::NoRing { .. }), "{missing:?}");
        let folder = tempfile::tempdir()?;
        let foreign = Books::open_in(folder.path()).await?;
        foreign.store.close().await;
        let other = daybook_store::open(&foreign.url, options(masters(ONE, &[]))).await?;
        other.close().await;
        let theirs = format!("{}-keys", foreign.url.trim_start_matches("sqlite:"));
        let foreign = rusqlite::Connection::open(&theirs)?;
        foreign.execute("vacuum into ?1", [&keys])?;
        drop(foreign);
        let foreign = refusal(&mut books, options(masters(ONE, &[]))).await?;
        assert!(matches!(foreign, Error::ForeignRing { .. }), "{foreign:?}");
        std::fs::rename(format!("{keys}.away"), &keys)?;
        reopen(&mut books, options(masters(ONE, &[]))).await?;
        books.verified().await?;
    }
    Ok(())
}

async fn master_keys_are_replaced_while_the_books_are_in_use(on: On) -> Fallible<()> {
    let mut books = books(on).await?;
    let mut ids = Vec::new();
    for name in ["ana", "bob", "eve", "dan", "kim"] {
        ids.push(books.record(&ITEM.replace("ana", name)).await?);
    }
    let wrong = books.store.use_masters(masters(TWO, &[])).await.unwrap_err();
    assert!(matches!(wrong, Error::UnknownMasters { .. }), "{wrong:?}");
    books.store.use_masters(masters(TWO, &[ONE])).await?;
    assert_eq!(books.store.rewrap(2).await?, 3);
    // Half way, by a crash or by intention, all is readable with both.
    reopen(&mut books, options(masters(TWO, &[ONE]))).await?;
    for id in &ids {
        assert!(metadata(&books, *id).await?.contains("Zebediah"));
    }
    assert!(books.store.use_masters(masters(TWO, &[])).await.is_err());
    assert_eq!(books.store.rewrap(2).await?, 1);
    assert_eq!(books.store.rewrap(2).await?, 0);
    reopen(&mut books, options(masters(TWO, &[]))).await?;
    assert!(metadata(&books, ids[4]).await?.contains("Zebediah"));
    books.verified().await?;
    let gone = refusal(&mut books, options(masters(ONE, &[]))).await?;
    assert!(matches!(gone, Error::UnknownMasters { .. }), "{gone:?}");
    Ok(())
}

async fn what_was_changed_behind_our_back_is_named_and_never_shown(on: On) -> Fallible<()> {
    let json = if on == On::Sqlite { "" } else { "::json" };
    let text = if on == On::Sqlite { "metadata" } else { "metadata::text" };
    let cases = [
        // One letter of one value.
        format!(
            "update transactions set metadata = replace({text}, substr({text}, 80, 6), \
             substr({text}, 81, 5) || substr({text}, 80, 1)){json} where seq = 1"
        ),
        // The value of another record, which was right there.
        "update transactions set metadata = (select o.metadata from transactions o \
             where o.seq = 2) where seq = 1"
            .to_owned(),
        // Two values changed places.
        format!(
            "update transactions set metadata = replace(replace(replace({text}, '1:1', '1:9'), \
             '1:2', '1:1'), '1:9', '1:2'){json} where seq = 1"
        ),
        // The value of another field.
        format!(
            "update transactions set metadata = replace({text}, \
     'card_last_four', 'other_name'){json} where seq = 1"
        ),
    ];
    for sql in cases {
        let mut books = books(on).await?;
        let id = books.record(ITEM).await?;
        books.record(ITEM).await?;
        books.store.close().await;
        damage(&books, &sql).await?;
        books.store = daybook_store::open(&books.url, options(masters(ONE, &[]))).await?;
        let Err(error) = books.store.transaction(id).await else {
            return Err(format!("it was shown after: {sql}").into());
        };
        let said = error.to_string();
        assert!(matches!(error, Error::Corrupt { .. }) && said.contains("metadata."), "{said}");
        let found = books.differences().await?;
        let named = found.iter().any(|found| found.part == "seals");
        assert!(named, "{found:?}");
        books.store.close().await;
    }
    Ok(())
}
