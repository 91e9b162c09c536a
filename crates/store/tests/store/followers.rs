//! Who follows the event log: every event once and in order, by one owner at a time.

use std::time::Duration;

use daybook_core::EventSeq;
use daybook_store::{Claim, Follower, LeaseHolder, Store, WorkLease};

use crate::support::{Books, Fallible, On};

crate::support::every_store! {
    work_has_one_owner_at_a_time_where_processes_share_the_books,
    a_follower_has_one_owner_at_a_time,
    a_lease_that_ends_is_taken_over_from_the_last_event_that_is_done,
    a_place_only_moves_forward,
    a_follower_is_forgotten_only_when_nobody_follows,
    the_log_is_paged_without_gaps_or_repeats,
    places_outlive_the_process,
}

const LONG: Duration = Duration::from_secs(60);

/// Asks for the lease of `audit` and answers its place.
async fn claim(
    store: &dyn Store,
    owner: &str,
    lease: Duration,
    done: Option<i64>,
) -> Fallible<Option<i64>> {
    let claim = Claim {
        follower: "audit".to_owned(),
        owner: owner.to_owned(),
        lease,
        from: EventSeq(3),
        done: done.map(EventSeq),
    };
    Ok(store.follow(claim).await?.map(|place| place.0))
}

async fn a_follower_has_one_owner_at_a_time(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let store = &*books.store;
    // Of all who ask at once, one gets it.
    let asked = (0..20).map(|n| async move { claim(store, &format!("o{n}"), LONG, None).await });
    let asked: Vec<_> = futures_util::future::try_join_all(asked).await?;
    let got: Vec<_> = (0..20).filter(|n| asked[*n].is_some()).collect();
    let [one] = got[..] else { return Err(format!("{got:?} got it").into()) };
    assert_eq!(asked[one], Some(3), "a new one begins where it was told to");
    let owner = format!("o{one}");
    assert_eq!(claim(store, &owner, LONG, Some(5)).await?, Some(5));
    assert_eq!(claim(store, "other", LONG, None).await?, None);
    assert_eq!(claim(store, "other", LONG, Some(9)).await?, None, "what others do does not count");
    let audit = Follower { name: "audit".to_owned(), place: EventSeq(5), owner: Some(owner) };
    assert_eq!(store.followers().await?, [audit]);
    Ok(())
}

async fn a_lease_that_ends_is_taken_over_from_the_last_event_that_is_done(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let store = &*books.store;
    let short = Duration::from_millis(300);
    assert_eq!(claim(store, "one", short, None).await?, Some(3));
    assert_eq!(claim(store, "one", short, Some(8)).await?, Some(8));
    let taken = async {
        loop {
            if let Some(place) = claim(store, "two", LONG, None).await? {
                return Fallible::Ok(place);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), taken).await??, 8);
    assert_eq!(claim(store, "one", LONG, Some(9)).await?, None, "it has lost the lease");
    // Who lets go needs not be waited for.
    assert_eq!(claim(store, "two", Duration::ZERO, Some(10)).await?, Some(10));
    assert_eq!(store.followers().await?[0].owner, None);
    assert_eq!(claim(store, "one", LONG, None).await?, Some(10));
    Ok(())
}

async fn a_place_only_moves_forward(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let store = &*books.store;
    assert_eq!(claim(store, "one", LONG, Some(2)).await?, Some(3), "before where it begins");
    assert_eq!(claim(store, "one", LONG, Some(7)).await?, Some(7));
    assert_eq!(claim(store, "one", LONG, Some(6)).await?, Some(7), "the answer came late");
    assert_eq!(claim(store, "one", LONG, None).await?, Some(7));
    Ok(())
}

async fn a_follower_is_forgotten_only_when_nobody_follows(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let store = &*books.store;
    assert!(!store.unfollow("audit".to_owned()).await?, "there is none");
    assert_eq!(claim(store, "one", LONG, Some(7)).await?, Some(7));
    assert!(!store.unfollow("audit".to_owned()).await?, "it has an owner");
    assert_eq!(claim(store, "one", Duration::ZERO, None).await?, Some(7));
    assert!(store.unfollow("audit".to_owned()).await?);
    assert_eq!(store.followers().await?, []);
    assert_eq!(claim(store, "one", LONG, None).await?, Some(3), "it is new again");
    Ok(())
}

async fn the_log_is_paged_without_gaps_or_repeats(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    books.account(r#"{"account_id":1,"overdraft_limit":"unlimited"}"#).await?;
    for number in 1..8 {
        let user = if number % 2 == 0 { "ana" } else { "bo" };
        let body = format!(r#"{{"user_id":"{user}","transaction_type":"card","amount":{number}}}"#);
        books.record(&body).await?;
    }
    let (mut place, mut seen) = (EventSeq(0), Vec::new());
    loop {
        let page = books.store.events(place, 3).await?;
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        place = last.seq;
        seen.extend(page);
    }
    assert_eq!(place, books.store.seq());
    let numbers: Vec<i64> = seen.iter().map(|event| event.seq.0).collect();
    assert_eq!(numbers, (1..=place.0).collect::<Vec<_>>());
    let users: Vec<&str> =
        seen.iter().map(|event| event.user_id.as_ref().map_or("", |user| user.as_str())).collect();
    assert_eq!(users, ["", "bo", "ana", "bo", "ana", "bo", "ana", "bo"]);
    Ok(())
}

async fn places_outlive_the_process(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    assert_eq!(claim(&*books.store, "one", Duration::ZERO, Some(7)).await?, Some(7));
    books.store.close().await;
    let again = daybook_store::open(&books.url, Default::default()).await?;
    assert_eq!(claim(&*again, "two", LONG, None).await?, Some(7));
    again.close().await;
    Ok(())
}

async fn work_has_one_owner_at_a_time_where_processes_share_the_books(on: On) -> Fallible<()> {
    let books = Books::open(on).await?;
    let ask = async |owner: &str, lease_s: u64, note: Option<&str>| {
        let (name, owner) = ("sweeping".to_owned(), owner.to_owned());
        let (lease, note) = (Duration::from_secs(lease_s), note.map(str::to_owned));
        books.store.lease(WorkLease { name, owner, lease, note }).await
    };
    if on == On::Sqlite {
        assert_eq!(ask("one", 60, None).await?, LeaseHolder::Nobody, "the file is one process's");
        return Ok(());
    }
    let asker = |note: &str| LeaseHolder::Asker { note: note.to_owned() };
    let another = |note: &str| LeaseHolder::Another { note: note.to_owned() };
    assert_eq!(ask("one", 60, None).await?, asker(""));
    assert_eq!(ask("two", 60, Some("mine")).await?, another(""), "only an owner leaves a note");
    assert_eq!(ask("one", 60, Some("half done")).await?, asker("half done"));
    assert_eq!(ask("one", 60, None).await?, asker("half done"), "a note stays");
    assert_eq!(ask("two", 60, None).await?, another("half done"));
    // It is given up, or has ended.
    ask("one", 0, None).await?;
    assert_eq!(ask("two", 60, None).await?, asker("half done"));
    assert_eq!(ask("one", 60, None).await?, another("half done"));
    Ok(())
}
