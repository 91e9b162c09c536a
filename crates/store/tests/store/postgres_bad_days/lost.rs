//! Connections that are lost in the middle of a commit, and after it.

use std::cell::Cell;

use super::proxy::Proxy;
use super::{database, insist, is_away, open, payment, two_accounts};
use crate::database::connect;
use crate::support::Fallible;
use daybook_core::write_set::Outcome;

/// The commands of a commit, each the last one whose completion is not heard of.
const COMMANDS: [&str; 4] = ["BEGIN", "SELECT", "INSERT", "COMMIT"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_pays_once() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let proxy = Proxy::before(&database.url).await?;
    let books = open(&proxy.url(&database.url)).await?;
    two_accounts(&books).await?;
    let mut paid = 0_u64;
    for round in 0..3 {
        for command in COMMANDS {
            for is_keyed in [true, false] {
                paid += 1;
                let submission = payment(paid.into(), books.now(), is_keyed)?;
                proxy.cut_after(command);
                let first = books.store.commit(submission.clone()).await;
                assert_eq!(proxy.cuts(), paid, "nothing was cut in round {round}");
                let reply = first.map_err(|error| format!("after {command}: {error:?}"))?;
                assert!(matches!(reply.verdicts[..], [Ok(Outcome::Created(_))]), "{reply:?}");
                if is_keyed {
                    let again = insist(&*books.store, &submission).await?;
                    assert!(again.replayed);
                    assert_eq!(again.verdicts, reply.verdicts);
                }
                assert_eq!(books.funds(2).await?[0], format!("{paid}.00"), "after {command}");
                assert_eq!(books.holding(2).await?.funds.listed.count, paid);
            }
        }
    }
    books.verified().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_many_submissions_whose_answer_is_lost_is_written_once() -> Fallible<()> {
    let Some(database) = database().await? else { return Ok(()) };
    let proxy = Proxy::before(&database.url).await?;
    let books = open(&proxy.url(&database.url)).await?;
    two_accounts(&books).await?;
    for round in 0..6_u64 {
        proxy.cut_after(COMMANDS[round as usize % COMMANDS.len()]);
        let numbers = (round * 50..round * 50 + 50).map(u128::from);
        let sent = numbers.map(|number| payment(number, books.now(), number % 2 == 0));
        let sent = sent.collect::<Fallible<Vec<_>>>()?;
        let replies = sent.iter().map(|submission| books.store.commit(submission.clone()));
        for reply in futures_util::future::join_all(replies).await {
            assert!(reply?.verdicts[0].is_ok());
        }
        assert_eq!(proxy.cuts(), round + 1);
        let paid = (round + 1) * 50;
        assert_eq!(books.funds(2).await?[0], format!("{paid}.00"));
    }
    books.verified().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_write_at_the_same_time_while_their_connections_are_ended() -> Fallible<()> {
    const EACH: u64 = 150;
    let Some(database) = database().await? else { return Ok(()) };
    let (one, other) = (open(&database.url).await?, open(&database.url).await?);
    two_accounts(&one).await?;
    let paid = Cell::new(0);
    let write = async |books: &crate::support::Books, first: u64| -> Fallible<()> {
        for number in first..first + EACH {
            paid.set(paid.get() + 1);
            let submission = payment(number.into(), books.now(), true)?;
            let reply = insist(&*books.store, &submission).await?;
            assert!(reply.verdicts[0].is_ok(), "{reply:?}");
        }
        Ok(())
    };
    let ending = async {
        let own = connect(&database.url).await?;
        let end = "select pg_terminate_backend(pid) from pg_stat_activity \
            where datname = current_database() and pid <> pg_backend_pid()";
        for round in 1..=8 {
            while paid.get() < round * EACH / 5 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            own.execute(end, &[]).await?;
        }
        Fallible::Ok(())
    };
    let (a, b, c) = tokio::join!(write(&one, 0), write(&other, EACH), ending);
    a?;
    b?;
    c?;
    for books in [&one, &other] {
        // A pooled connection that was ended may be the one that is asked.
        let mut found = books.funds(2).await;
        for _ in 0..20 {
            match &found {
                Err(error) if error.downcast_ref().is_some_and(is_away) => {
                    found = books.funds(2).await;
                }
                _ => break,
            }
        }
        assert_eq!(found?[0], format!("{}.00", EACH * 2));
    }
    one.verified().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_see_every_event_once_and_in_order() -> Fallible<()> {
    const EACH: usize = 200;
    let Some(database) = database().await? else { return Ok(()) };
    let (one, other) = (open(&database.url).await?, open(&database.url).await?);
    let body = r#"{"user_id":"ana","transaction_type":"card","amount":1}"#;
    let write = async |books: &crate::support::Books, high: u128| -> Fallible<()> {
        for _ in 0..EACH / 10 {
            let actions = (0..10).map(|_| {
                let mut new = books.parse(body)?;
                new.id = daybook_core::TransactionId(uuid::Uuid::from_u128(
                    (high << 64) | new.id.0.as_u128(),
                ));
                Ok(daybook_core::command::Action::Record(new))
            });
            let actions = actions.collect::<Fallible<Vec<_>>>()?;
            let sent = actions.into_iter().map(|action| {
                books.store.commit(daybook_core::Submission::one(books.now(), action))
            });
            for reply in futures_util::future::join_all(sent).await {
                assert!(reply?.verdicts[0].is_ok());
            }
        }
        Ok(())
    };
    let follow = async |books: &crate::support::Books| -> Fallible<Vec<i64>> {
        let (mut seen, mut after) = (Vec::new(), Default::default());
        while seen.len() < 2 * EACH {
            let page = books.store.changes(crate::support::user("ana"), after, 7).await?;
            after = page.next;
            seen.extend(page.events.iter().map(|event| event.seq.0));
            if !page.has_more {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        }
        Ok(seen)
    };
    let (a, b, c, d) = tokio::join!(write(&one, 1), write(&other, 2), follow(&one), follow(&other));
    a?;
    b?;
    let all: Vec<i64> = (1..=2 * EACH as i64).collect();
    assert_eq!(c?, all);
    assert_eq!(d?, all);
    // Each hears of the other's commits soon.
    for books in [&one, &other] {
        let caught_up = async {
            while books.store.seq().0 < 2 * EACH as i64 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), caught_up).await?;
    }
    one.verified().await
}
