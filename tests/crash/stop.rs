//! A server that is told to stop while it has work.

use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::client::{Answer, Client, Request, connect};
use crate::server::{Place, item, mark};

const CLIENTS: usize = 8;
/// Answers after which the server is told to stop.
const ENOUGH: usize = 200;

#[test]
fn a_graceful_stop_finishes_what_was_accepted() {
    let place = Place::new();
    let server = place.serve(&[]);
    let half_sent = HalfSent::begin(&server.address);
    let answered = AtomicUsize::new(0);
    let mut promised: BTreeSet<String> = thread::scope(|scope| {
        let client = |number| {
            let (client, answered) = (server.client(), &answered);
            scope.spawn(move || create_until_gone(client, number, answered))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let enough = || answered.load(Ordering::Relaxed) >= ENOUGH;
        while !enough() && clients.iter().any(|client| !client.is_finished()) {
            thread::yield_now();
        }
        server.tell_to_stop();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    // Nobody is let in any more, and who was let in is still heard.
    assert!(TcpStream::connect(&server.address).is_err());
    promised.insert(half_sent.finish());
    server.wait();

    let server = place.serve(&[]);
    let found = server.client().feed("ann").iter().map(mark).collect::<BTreeSet<_>>();
    // What was written was answered, too: a stop leaves nobody in doubt.
    assert_eq!(found, promised);
    server.stop();
    place.is_clean();
}

/// Creates items until the server takes no more; the marks are those that were answered.
fn create_until_gone(mut client: Client, number: usize, answered: &AtomicUsize) -> Vec<String> {
    let mut promised = Vec::new();
    loop {
        let mark = format!("client-{number}-{}", promised.len());
        let Ok(answer) = client.send(&Request::create(&item("ann", "completed", &mark))) else {
            return promised;
        };
        assert_eq!(answer.status, 201, "{answer:?}");
        promised.push(mark);
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request that the server has begun to read.
struct HalfSent {
    connection: BufReader<TcpStream>,
    request: Request,
}

impl HalfSent {
    fn begin(address: &str) -> Self {
        let request = Request::create(&item("ann", "completed", "half-sent")).expecting();
        let mut connection = BufReader::new(connect(address).unwrap());
        connection.get_mut().write_all(request.head().as_bytes()).unwrap();
        assert_eq!(Answer::read(&mut connection).unwrap().status, 100);
        Self { connection, request }
    }

    /// Sends the rest; its mark is in the books then.
    fn finish(mut self) -> String {
        self.connection.get_mut().write_all(self.request.body().as_bytes()).unwrap();
        let answer = Answer::read(&mut self.connection).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        mark(&answer.json())
    }
}
