//! The rule of searches: an independent model says which items a search finds, and in which order.

mod model;

use crate::chance::Chance;
use crate::sealing;
use crate::support::{Books, Fallible, On, read};
use daybook_core::TransactionId;
use daybook_core::sample::{Sampler, Users};
use daybook_core::{Action, Submission, Timestamp};
use daybook_store::Options;
use model::Item;
use serde_json::{Value, json};

crate::support::every_store! {
    searches_find_what_the_rule_says,
    every_word_that_is_shown_finds_its_item,
    a_word_finds_every_word_that_begins_with_it,
    an_answer_says_when_a_search_means_too_many_words,
    a_title_in_quotes_finds_its_item,
    a_changed_item_is_found_by_what_it_is_now,
    books_without_letters_of_words_with_digits_get_them,
    items_of_earlier_versions_are_indexed_anew,
    what_was_killed_while_it_indexed_anew_goes_on,
    sealed_items_of_earlier_versions_are_indexed_anew_with_their_keys,
}

const ITEMS: usize = 140;
const DELETED: usize = 20;
const SEARCHES: usize = 500;
const LISTED_MAX: usize = 100;

/// Values that items are made of: alike, mistyped, with digits and without, of other alphabets.
const VALUES: [&str; 44] = [
    "Starbucks",
    "Starbuks",
    "Star",
    "start",
    "hotel",
    "Hostel",
    "hotels 24",
    "INV2024001",
    "INV2024002",
    "inv 2024",
    "invoice",
    "Invoice77",
    "iphone15",
    "iphone16",
    "iPhone",
    "iphon15",
    "ipone 15",
    "DE89370400440532013000",
    "de 8937",
    "denim",
    "a3f9c2d1",
    "a3f9",
    "b2b market",
    "7eleven",
    "150.00",
    "160.00",
    "v2.15",
    "v2.16",
    "φως",
    "ΦΩΣ οδός",
    "ΟΔΟΣ",
    "café zoë",
    "CAFE ZOE",
    "Straße",
    "STRASSE 7",
    "payment",
    "payments card",
    "from ana",
    "to bob",
    "money",
    "transfer42",
    "chase",
    "Chase Bank",
    "bank chase",
];

/// Words that titles have, and other words that people type.
const TYPED: [&str; 40] = [
    "card",
    "payment",
    "paymnt",
    "refund",
    "p2p",
    "transfer",
    "transfre",
    "trans",
    "money",
    "sent",
    "received",
    "to",
    "from",
    "form",
    "t",
    "top",
    "up",
    "withdrawal",
    "withdrawl",
    "atm",
    "cash",
    "bill",
    "due",
    "earnings",
    "crypto",
    "bought",
    "bougth",
    "sold",
    "for",
    "transaction",
    "other",
    "completed",
    "complet",
    "usd",
    "eur",
    "account",
    "42",
    "42.50",
    "42.60",
    "d",
];

const PHRASES: [&str; 18] = [
    "card payment",
    "payment card",
    "card refund",
    "p2p transfer",
    "money sent",
    "money received",
    "from ana",
    "to bob",
    "to chase bank",
    "withdrawal to chase",
    "top up from chase",
    "from chase bank",
    "bill payment",
    "invoice bill",
    "bought star",
    "star for hotel",
    "salary from chase",
    "earnings from star",
];

fn body(chance: &mut Chance) -> Value {
    let a = chance.of(&VALUES);
    let b = chance.of(&VALUES);
    let side = chance.of(&["credit", "debit"]);
    let (kind, metadata) = match chance.below(14) {
        0 => ("card", json!({"merchant_category": a, "note": b})),
        1 => ("card", json!({"operation": "refund", "description": a})),
        2 => ("p2p", json!({"direction": "sent", "peer_name": a, "x": [b, {"y": a}]})),
        3 => ("p2p", json!({"direction": "received", "peer_name": a})),
        4 => ("p2p", json!({"x": a, "y": 42})),
        5 => ("crypto", json!({"operation": "buy", "asset": "BTC", "x": a})),
        6 => ("crypto", json!({"side": "sell", "asset": "ETH", "x": b})),
        7 => ("crypto", json!({"operation": "swap", "asset": "ETH", "to_asset": "BTC", "x": a})),
        8 => ("top_up", json!({"bank_name": a, "method": "bank_transfer"})),
        9 => ("withdrawal", json!({"bank_name": a, "x": b})),
        10 => ("withdrawal", json!({"atm_location": a})),
        11 => ("bill_payment", json!({"bill_category": a, "due_date": "2024-02-01", "x": b})),
        12 => ("earnings", json!({"earnings_type": a, "payer": b})),
        _ => ("other", json!({"title": a, "note": b})),
    };
    let mut body = json!({
        "user_id": "ana", "transaction_type": kind, "metadata": metadata,
        "amount": chance.of(&["42.50", "42.60", "42.00", "150.00", "7.00"]),
        "currency": chance.of(&["USD", "EUR"]),
        "status": chance.of(&["completed", "pending"]),
        "created_at": chance.of(&["2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5Z", "2024-01-01"]),
    });
    if chance.one_in(3) {
        body["side"] = side.into();
    }
    body
}

/// A word as somebody types it: whole, its beginning, or with a typo.
fn typed(chance: &mut Chance, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    if chars.is_empty() {
        return text.to_owned();
    }
    let at = chance.below(chars.len() as u64) as usize;
    match chance.below(8) {
        0..=2 => {}
        3 | 4 => chars.truncate(at + 1),
        5 => drop(chars.remove(at)),
        6 => chars.insert(at, chance.of(&['a', 'e', 'x', '1', '7'])),
        _ if at > 0 => chars.swap(at - 1, at),
        _ => chars[at] = 'z',
    }
    chars.into_iter().collect()
}

fn search(chance: &mut Chance, items: &[Item]) -> String {
    let mut parts = Vec::new();
    for _ in 0..chance.of(&[1, 1, 1, 2, 2, 3]) {
        let item = &items[chance.below(items.len() as u64) as usize];
        let words: Vec<&String> = item.fields.iter().flatten().collect();
        let at = chance.below(words.len() as u64) as usize;
        let (word, next) = (words[at].as_str(), words.get(at + 1).map_or("", |word| word.as_str()));
        parts.push(match chance.below(9) {
            0..=3 => typed(chance, word),
            4 | 5 => {
                let word = chance.of(&TYPED);
                if chance.one_in(2) { typed(chance, word) } else { word.to_owned() }
            }
            6 => format!("\"{word} {next}\""),
            7 => format!("\"{}\"", typed(chance, word)),
            _ => format!("\"{}\"", chance.of(&PHRASES)),
        });
    }
    parts.join(" ")
}

async fn item(books: &Books, id: TransactionId) -> Fallible<Item> {
    let item = books.store.transaction(id).await?.ok_or("not there")?;
    Ok(Item::of(id, &item.to_json()))
}

async fn searches_find_what_the_rule_says(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let mut chance = Chance::seeded();
    let mut items = Vec::new();
    for _ in 0..ITEMS {
        let id = books.record(&body(&mut chance).to_string()).await?;
        items.push(item(&books, id).await?);
    }
    for _ in 0..DELETED {
        let item = items.swap_remove(chance.below(items.len() as u64) as usize);
        books.erase(item.id).await?;
    }
    let (mut found, mut tiers) = (0, [0; 3]);
    for _ in 0..SEARCHES {
        let text = search(&mut chance, &items);
        let filters = [("search_query", text.as_str())];
        let Ok(query) = books.query("ana", &filters) else { continue };
        let page = books.store.transactions(query).await?;
        assert!(!page.is_cut, "{text}");
        let expected = model::search(&items, &text);
        expected.iter().for_each(|(tier, _)| tiers[*tier] += 1);
        let expected: Vec<TransactionId> = expected.into_iter().map(|(_, id)| id).collect();
        let walked = books.walk("ana", &filters, "50").await?;
        let say = |ids: &[TransactionId]| -> Vec<String> {
            let said = |id: &TransactionId| items.iter().find(|item| item.id == *id);
            ids.iter().filter_map(said).map(|item| format!("{item:?}")).collect()
        };
        let missed: Vec<_> = expected.iter().filter(|id| !walked.contains(id)).copied().collect();
        let silly: Vec<_> = walked.iter().filter(|id| !expected.contains(id)).copied().collect();
        assert_eq!(say(&missed), Vec::<String>::new(), "{text} misses");
        assert_eq!(say(&silly), Vec::<String>::new(), "{text} finds");
        assert_eq!(walked, expected, "{text}");
        assert_eq!(page.total, Some(expected.len() as u64), "{text}");
        found += usize::from(!expected.is_empty());
    }
    println!("{found} searches found something, {tiers:?}");
    assert!(found > SEARCHES / 3, "too little for this to mean much");
    assert!(tiers.iter().all(|found| *found > 20), "{tiers:?}");
    books.verified().await
}

async fn every_word_that_is_shown_finds_its_item(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let now = Timestamp::from_micros(1_720_000_000_000_000);
    let mut chance = Chance::seeded();
    let users = Users::new(crate::support::user("ana"), Vec::new());
    let mut sampler = Sampler::new(chance.below(u64::MAX), users, now);
    let mut actions: Vec<Action> = Vec::new();
    for kind in daybook_core::kind::KINDS {
        let example = kind.example().replacen('{', r#"{"user_id":"ana","#, 1);
        actions.push(Action::Record(books.parse(&example)?));
        let of_kind = sampler.by_ref().take(4_000);
        let of_kind = of_kind.filter(|item| item.transaction_type == kind.transaction_type());
        actions.extend(of_kind.take(25).map(Action::Record));
    }
    let count = actions.len();
    let submission = Submission { at: books.now(), key: None, atomic: true, actions };
    books.store.commit(submission).await?;
    let all = books.walk("ana", &[], "100").await?;
    assert_eq!(all.len(), count);
    for id in all {
        let item = item(&books, id).await?;
        for word in item.shown() {
            // The page may be too short for all items that have the word.
            let others = item.rarest();
            let text = format!("{word} {}", others.join(" "));
            let found = books.walk("ana", &[("search_query", &text)], "100").await?;
            assert!(found.contains(&id), "{text} does not find {item:?}");
        }
    }
    Ok(())
}

async fn ids_of(books: &Books, values: &[&str]) -> Fallible<Vec<TransactionId>> {
    let mut ids = Vec::new();
    for value in values {
        let body = json!({"user_id": "ana", "transaction_type": "other", "amount": 1,
                          "metadata": {"x": value}});
        ids.push(books.record(&body.to_string()).await?);
    }
    Ok(ids)
}

async fn a_word_finds_every_word_that_begins_with_it(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let values = ["INV2024001", "inv0", "invoice7x", "invoice", "in v", "iphone15", "DE8937"];
    let ids = ids_of(&books, &values).await?;
    for (text, expected) in [
        ("inv", &[0, 1, 2, 3][..]),
        ("invo", &[2, 3]),
        ("inv2", &[0]),
        ("inv2024001", &[0]),
        ("inv2024002", &[]),
        ("iphone", &[5]),
        ("ihpone15", &[5]),
        ("iphone16", &[]),
        ("de", &[6]),
        ("i", &[0, 1, 2, 3, 4, 5]),
        ("\"inv\"", &[]),
        ("\"invoice\"", &[3]),
        ("\"inv0\"", &[1]),
    ] {
        let mut found = books.walk("ana", &[("search_query", text)], "3").await?;
        found.sort_unstable();
        let expected: Vec<_> = expected.iter().map(|n: &usize| ids[*n]).collect();
        assert_eq!(found, expected, "{text}");
    }
    // Many beginnings are all found too.
    let letters: Vec<String> = ('a'..='z').map(|c| format!("q{c}1")).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    ids_of(&books, &letters).await?;
    let many: Vec<String> = (0..LISTED_MAX).map(|n| format!("ra{}", model::letters(n))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    ids_of(&books, &many).await?;
    for (text, count) in [("q", letters.len()), ("ra", many.len()), ("r", many.len())] {
        assert_eq!(books.walk("ana", &[("search_query", text)], "100").await?.len(), count);
    }
    Ok(())
}

async fn an_answer_says_when_a_search_means_too_many_words(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let near: Vec<String> = ('a'..='z')
        .flat_map(|c| [format!("{c}oupling"), format!("co{c}upling"), format!("couplin{c}")])
        .collect();
    let mut near: Vec<&str> = near.iter().map(String::as_str).collect();
    near.retain(|word| *word != "coupling");
    ids_of(&books, &near).await?;
    for sort in ["best", "-created_at"] {
        let asked = [("search_query", "coupling"), ("sort", sort)];
        let page = books.store.transactions(books.query("ana", &asked)?).await?;
        assert!(page.is_cut);
        assert_eq!(page.total, Some(64));
        let limited = [asked[0], asked[1], ("limit", "5")];
        assert!(books.store.transactions(books.query("ana", &limited)?).await?.is_cut);
        let narrowed = [asked[0], asked[1], ("metadata.x[gte]", "b")];
        assert!(books.store.transactions(books.query("ana", &narrowed)?).await?.is_cut);
    }
    for whole in ["\"coupling\"", "other"] {
        let page = books.store.transactions(books.query("ana", &[("search_query", whole)])?);
        assert!(!page.await?.is_cut, "{whole}");
    }
    Ok(())
}

async fn a_title_in_quotes_finds_its_item(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    for (kind, metadata, title) in [
        ("earnings", r#"{"payer":"Acme Bank"}"#, "Earnings from Acme Bank"),
        ("earnings", r#"{"payer":"Acme","source":"interest"}"#, "Interest from Acme"),
        ("crypto", r#"{"operation":"buy"}"#, "Bought crypto"),
        ("crypto", r#"{"operation":"buy","asset":"BTC"}"#, "Bought BTC"),
        ("crypto", r#"{"operation":"swap","to_asset":"ETH"}"#, "Swapped crypto for ETH"),
        ("crypto", r#"{"side":"sell"}"#, "Sold crypto"),
        ("withdrawal", r#"{"bank_name":"Chase"}"#, "Withdrawal to Chase"),
        ("p2p", r#"{"direction":"received","peer_name":"Ana Lima"}"#, "From Ana Lima"),
    ] {
        let body = format!(
            r#"{{"user_id":"ana","transaction_type":"{kind}","amount":1,"metadata":{metadata}}}"#
        );
        let id = books.record(&body).await?;
        let item = books.store.transaction(id).await?.ok_or("not there")?;
        assert_eq!(item.display().title, title);
        let quoted = format!("\"{title}\"");
        assert_eq!(books.ids("ana", &[("search_query", &quoted)]).await?, [id], "{title}");
    }
    Ok(())
}

async fn a_changed_item_is_found_by_what_it_is_now(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let body = r#"{"user_id":"ana","transaction_type":"p2p","amount":1,"metadata":
        {"direction":"sent","peer_name":"Lin","ref":"TX900"}}"#;
    let id = books.record(body).await?;
    let finds = async |text: &str| -> Fallible<bool> {
        Ok(books.ids("ana", &[("search_query", text)]).await? == [id])
    };
    assert!(finds("to lin").await? && finds("tx9").await? && !finds("from").await?);
    books.patch(id, r#"{"metadata":{"direction":"received","ref":"RX900"}}"#).await?;
    assert!(finds("from lin").await? && finds("rx9").await? && !finds("tx9").await?);
    assert!(finds("\"from lin\"").await? && !finds("\"to lin\"").await? && !finds("to").await?);
    books.verified().await
}

/// Lets this migration and those behind it be made again.
const FORGET: &str = "drop table if exists leases; \
    delete from refinery_schema_history where version >= 8";

/// Changes closed books behind the store's back.
async fn alter(books: &Books, sql: &str) -> Fallible<()> {
    match books.on {
        On::Sqlite => Ok(books.file()?.execute_batch(sql)?),
        On::Postgres | On::Pgbouncer => Ok(books.past().await?.batch_execute(sql).await?),
    }
}

/// More items than one page of those that are indexed anew.
const OLD_ITEMS: usize = 1_100;

/// Books with items that earlier versions indexed otherwise, and one that they did not.
async fn fill(books: &Books) -> Fallible<()> {
    let other = |metadata: Value| {
        json!({"user_id": "ana", "transaction_type": "p2p", "amount": 1,
        "metadata": metadata})
    };
    let mut bodies = vec![
        other(json!({"direction": "sent", "peer_name": "Γιώργος", "note": "φως"})),
        other(json!({"direction": "sent", "peer_name": "Γιώργος", "note": "τῷ7"})),
        other(json!({"direction": "sent", "peer_name": "Bob", "e": []})),
        other(json!({"direction": "sent", "peer_name": "Bob", "e": {"f": {}}})),
        other(json!({"direction": "sent", "peer_name": "Bob", "note": "plain"})),
        json!({"user_id": "ana", "transaction_type": "withdrawal", "amount": 1,
            "metadata": {"bank_name": "Chase", "iban": "DE89370400440532013000"}}),
    ];
    for n in bodies.len()..OLD_ITEMS {
        let last = if n + 1 == OLD_ITEMS { "Ωμέγας" } else { "" };
        bodies.push(json!({"user_id": "bob", "transaction_type": "other", "amount": 1,
            "metadata": {"note": format!("ΦΩΣ {n}"), "more": last}}));
    }
    let parse = |body: &Value| Ok(Action::Record(books.parse(&body.to_string())?));
    let actions = bodies.iter().map(parse).collect::<Fallible<Vec<_>>>()?;
    books.store.commit(Submission { at: books.now(), key: None, atomic: true, actions }).await?;
    let gone = other(json!({"direction": "sent", "peer_name": "Μάρκος", "note": "ᾳ"}));
    let gone = books.record(&gone.to_string()).await?;
    books.erase(gone).await?;
    Ok(())
}

/// How many items each question finds.
async fn asked(books: &Books) -> Fallible<Vec<Option<u64>>> {
    let mut found = Vec::new();
    for (user, filter, value) in [
        ("ana", "search_query", "Γιώργος"),
        ("ana", "search_query", "\"φως\""),
        ("ana", "search_query", "φω"),
        ("ana", "search_query", "τωι"),
        ("ana", "search_query", "3000"),
        ("ana", "search_query", "plain"),
        ("ana", "peer_name", "Γιώργος"),
        ("ana", "metadata.note", "φως"),
        ("ana", "metadata.note[ne]", "φως"),
        ("ana", "metadata.e[exists]", "true"),
        ("ana", "metadata.e[exists]", "false"),
        ("ana", "metadata.e.f[exists]", "true"),
        ("bob", "search_query", "φως"),
        ("bob", "metadata.note", "φως 700"),
    ] {
        let page = books.store.transactions(books.query(user, &[(filter, value)])?).await?;
        found.push(page.total);
    }
    Ok(found)
}

/// Gives the rows of items that the index would have otherwise now something else, as an earlier version
/// did, and the dictionary its words.
async fn age(books: &Books) -> Fallible<()> {
    let old = "metadata like '%Γ%' or metadata like '%Φ%' or metadata like '%τῷ%' \
         or metadata like '%[]%' or metadata like '%{}%' or type = 'withdrawal'";
    alter(
        books,
        &match books.on {
            On::Sqlite => format!(
                "delete from search where rowid in (select pos from transactions where {old}); \
             insert into search (rowid, body) select pos, 'old' from transactions where {old};"
            ),
            On::Postgres | On::Pgbouncer => format!(
                "update transactions set search = 'old' where {};",
                old.replace("metadata", "metadata::text")
            ),
        },
    )
    .await?;
    alter(
        books,
        "delete from words where word like '%σ' or word like 'τω%' or word like 'αι'; \
         insert into words select \"user\", 'φως' from users; \
         insert into words select \"user\", 'γιωργος' from users where name = 'ana'; \
         insert into words select \"user\", 'μαρκος' from users where name = 'ana'; \
         insert into words select \"user\", 'α' from users where name = 'ana'; \
         insert into words select \"user\", 'τω0' from users where name = 'ana';",
    )
    .await
}

async fn items_of_earlier_versions_are_indexed_anew(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    fill(&books).await?;
    let new = asked(&books).await?;
    assert!(new.iter().all(|found| found.is_some_and(|found| found > 0)), "{new:?}");
    books.store.close().await;
    age(&books).await?;
    books.reopen().await?;
    // Nothing is noted, so this is what was to be mended.
    assert_ne!(asked(&books).await?, new);
    assert!(books.differences().await?.len() > 1);
    books.store.close().await;
    alter(&books, FORGET).await?;
    books.reopen().await?;
    assert_eq!(asked(&books).await?, new);
    let stale = "select count(*) || '' from words where word like '%ς'";
    assert_eq!(read(&books, stale).await?, "0");
    books.verified().await?;
    // Items go on as any other.
    for id in books.walk("ana", &[], "100").await? {
        books.erase(id).await?;
    }
    books.verified().await
}

async fn what_was_killed_while_it_indexed_anew_goes_on(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    fill(&books).await?;
    let new = asked(&books).await?;
    books.store.close().await;
    age(&books).await?;
    alter(&books, FORGET).await?;
    // The database stops whoever comes to the last item.
    let stop = match on {
        On::Sqlite => {
            "create trigger stop before insert on words when new.word = 'ωμεγασ' \
             begin select raise(abort, 'killed'); end;"
        }
        On::Postgres | On::Pgbouncer => {
            "create function stop() returns trigger language plpgsql as \
             'begin raise exception ''killed''; end'; \
             create trigger stop before insert on words for each row \
             when (new.word = 'ωμεγασ') execute function stop();"
        }
    };
    alter(&books, stop).await?;
    assert!(daybook_store::open(&books.url, Options::default()).await.is_err());
    let left: usize = read(&books, "select count(*) || '' from outdated").await?.parse()?;
    assert!(left > 0 && left < OLD_ITEMS - 500, "{left}");
    let nowhere = format!("{}-copy", books.url);
    let refused = daybook_store::copy(&books.url, &nowhere, 1, &|_, _| {}, &|_, _| {}).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("daybook migrate")));
    alter(
        &books,
        match on {
            On::Sqlite => "drop trigger stop",
            On::Postgres | On::Pgbouncer => "drop trigger stop on words; drop function stop",
        },
    )
    .await?;
    // Two at once do no harm where there may be two.
    if on == On::Sqlite {
        books.reopen().await?;
    } else {
        let url = books.url.clone();
        let also = daybook_store::open(&url, Options::default());
        let (also, reopened) = tokio::join!(also, books.reopen());
        reopened?;
        also?.close().await;
    }
    assert_eq!(asked(&books).await?, new);
    books.verified().await
}

async fn sealed_items_of_earlier_versions_are_indexed_anew_with_their_keys(on: On) -> Fallible<()> {
    let keys = || sealing::sealing(sealing::masters(sealing::ONE, &[]), &["card.nickname"], true);
    let mut books = Books::open(on).await?;
    sealing::reopen(&mut books, keys()).await?;
    let item = json!({"user_id": "ana", "transaction_type": "card", "amount": 1,
        "metadata": {"merchant_name": "Φως", "nickname": "Σίσυφος"}});
    let id = books.record(&item.to_string()).await?;
    books.store.close().await;
    age(&books).await?;
    alter(&books, "delete from words").await?;
    alter(&books, FORGET).await?;
    let notes = "select count(*) || '' from outdated";
    let without = Options { without_keys: true, ..Options::default() };
    sealing::reopen(&mut books, without).await?;
    assert_eq!(read(&books, notes).await?, "1");
    books.verified().await?;
    sealing::reopen(&mut books, keys()).await?;
    for text in ["φως", "Σίσυφος"] {
        assert_eq!(books.ids("ana", &[("search_query", text)]).await?, [id], "{text}");
    }
    assert!(read(&books, notes).await.is_err(), "notes are left");
    books.verified().await
}

async fn books_without_letters_of_words_with_digits_get_them(on: On) -> Fallible<()> {
    let mut books = Books::open(on).await?;
    // So many users that the number of some has two digits in base 36.
    for n in 0..40 {
        let body = json!({"user_id": format!("user{n}"), "transaction_type": "other", "amount": 1,
            "metadata": {"a": format!("INV2024{n:03} čaj7 7up φως"), "b": "iphone iphone15"}});
        books.record(&body.to_string()).await?;
    }
    let all = "select count(*) || '' from words";
    let before = read(&books, all).await?;
    books.store.close().await;
    alter(&books, "delete from words where word like '%0'").await?;
    alter(&books, FORGET).await?;
    books.reopen().await?;
    assert_eq!(read(&books, all).await?, before);
    for n in [0, 39] {
        for text in ["inv", "caj", "ihpone15"] {
            let found = books.ids(&format!("user{n}"), &[("search_query", text)]).await?;
            assert_eq!(found.len(), 1, "{text}");
        }
    }
    books.verified().await
}
