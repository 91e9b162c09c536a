//! More work than a server can take.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Request};
use crate::server::{Place, Server, item};

const CLIENTS: usize = 64;
const REQUESTS: usize = 15;
/// Refusing is little work: even a busy machine is done with it in this time.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn overload_answers_503_rather_than_slowing_to_death() {
    for (limits, code) in [
        (&[("DAYBOOK_LIMITS_CONCURRENCY", "2")][..], "OVERLOADED"),
        (&[("DAYBOOK_LIMITS_QUEUE", "1"), ("DAYBOOK_LIMITS_COMMIT_ACTIONS", "1")], "STORE_BUSY"),
        // Those who find no place wait for one, and none waits for ever.
        (
            &[("DAYBOOK_LIMITS_CONNECTIONS", "16"), ("DAYBOOK_LIMITS_CONCURRENCY", "2")],
            "OVERLOADED",
        ),
    ] {
        let place = Place::new();
        let server = place.serve(limits);
        let heard = storm(&server);
        let (recorded, refused) = (heard["recorded"], heard.get(code).copied().unwrap_or(0));
        println!("{limits:?}: {heard:?}");
        assert!(recorded > 0 && refused > 0, "{limits:?}: {heard:?}");
        assert_eq!(recorded + refused, CLIENTS * REQUESTS, "{limits:?}: {heard:?}");

        let mut client = server.client();
        assert_eq!(client.ask(&Request::get("/readyz")).status, 200);
        let health = client.ask(&Request::get("/health"));
        assert_eq!(health.json()["status"], "healthy");
        let create = Request::create(&item("ann", "completed", "after"));
        assert_eq!(client.ask(&create).status, 201);
        assert_eq!(client.feed("ann").len(), recorded + 1);
        server.stop();
        place.is_clean();
    }
}

/// Many clients at once, none of which waits when it is told to; counts what they hear.
fn storm(server: &Server) -> BTreeMap<String, usize> {
    let start = Barrier::new(CLIENTS);
    let mut heard = BTreeMap::from([("recorded".to_owned(), 0)]);
    thread::scope(|scope| {
        let client = |number| {
            let (client, start) = (server.client(), &start);
            scope.spawn(move || one_client(client, number, start))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        for client in clients {
            for said in client.join().unwrap() {
                *heard.entry(said).or_default() += 1;
            }
        }
    });
    heard
}

fn one_client(mut client: Client, number: usize, start: &Barrier) -> Vec<String> {
    let create = Request::create(&item("ann", "completed", &format!("client-{number}")));
    start.wait();
    let mut heard = Vec::with_capacity(REQUESTS);
    for place in 0..REQUESTS {
        let sent = Instant::now();
        let answer = client.ask(&create);
        if answer.status == 201 {
            heard.push("recorded".to_owned());
            continue;
        }
        heard.push(answer.come_back_later());
        // The first request may have waited for its connection.
        assert!(place == 0 || sent.elapsed() < REFUSED_WITHIN, "{:?}", sent.elapsed());
    }
    heard
}

#[test]
fn a_large_batch_hears_its_refusal_too() {
    let place = Place::new();
    let server = place.serve(&[("DAYBOOK_LIMITS_CONCURRENCY", "1")]);
    let items: Vec<Value> =
        (0..5_000).map(|n| item("ann", "completed", &format!("{n:-<100}"))).collect();
    let batch = Request::batch(&items);
    let start = Barrier::new(8);
    let one_batch = || {
        start.wait();
        let answer = server.client().ask(&batch);
        if answer.status != 200 {
            assert_eq!(answer.come_back_later(), "OVERLOADED");
        }
        answer.status
    };
    let mut heard: Vec<u16> = thread::scope(|scope| {
        let batches: Vec<_> = (0..8).map(|_| scope.spawn(one_batch)).collect();
        batches.into_iter().map(|batch| batch.join().unwrap()).collect()
    });
    heard.sort_unstable();
    heard.dedup();
    assert_eq!(heard, [200, 503]);
    server.stop();
    place.is_clean();
}
