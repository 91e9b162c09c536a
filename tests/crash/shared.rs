//! Two servers on one database: one of them does the work that nobody asks for, and when it dies the
//! other one does.

use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::client::Request;
use crate::ledger::{open_accounts, transfer};
use crate::queued::nothing_waits;
use crate::server::{Place, Server};
use crate::stores::{self, On};

/// Longer than a lease and the pause before it is asked for.
const PATIENCE: Duration = Duration::from_secs(60);
const TRANSFERS: u64 = 60;

/// What a server says of itself; `None` before it says anything of it.
fn metric(server: &Server, name: &str) -> Option<u64> {
    let answer = server.client().ask(&Request::get("/metrics"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let values = answer.body.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<u64>().ok())?
    });
    values.reduce(|sum, value| sum + value)
}

/// How many transfers a server has tried by itself.
fn attempts(server: &Server) -> u64 {
    metric(server, "daybook_ledger_attempts_total").unwrap_or(0)
}

fn verified_at(server: &Server) -> u64 {
    metric(server, "daybook_ledger_verified_timestamp_seconds").unwrap_or(0)
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "not yet: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Leaves transfers to the worker, by turns at each of the servers.
fn leave(servers: &[&Server], chance: &mut Chance, count: u64, name: &str) {
    for n in 0..count {
        let mut body = transfer(chance, &format!("{name}-{n}"));
        // From an account that may owe what it likes.
        (body["source_account_id"], body["destination_account_id"]) = (2.into(), 1.into());
        let server = servers[n as usize % servers.len()];
        let answer = server.client().ask(&Request::post("/api/v1/transfers", &body).later());
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}

#[test]
fn of_two_servers_one_does_what_is_due_and_the_other_takes_over() {
    if stores::server().is_none() {
        return;
    }
    let place = Place::of(On::Postgres);
    let often = [("DAYBOOK_LEDGER_VERIFY_INTERVAL_S", "1")];
    let (one, two) = (place.serve(&often), place.serve(&often));
    let mut chance = Chance::new(Chance::seed());
    open_accounts(&mut one.client());
    leave(&[&one, &two], &mut chance, TRANSFERS, "before");
    nothing_waits(&one);
    let done = [&one, &two].map(attempts);
    let (owner, other) = if done[0] > done[1] { (one, two) } else { (two, one) };
    let figures = [&owner, &other].map(attempts);
    assert_eq!(figures, [TRANSFERS, 0], "one does all, and nothing twice");
    // One looks at the ledger, and both say what it found.
    until("both say that the ledger adds up", || {
        [&owner, &other].iter().all(|server| metric(server, "daybook_ledger_ok") == Some(1))
    });

    owner.kill();
    let killed = verified_at(&other);
    leave(&[&other], &mut chance, TRANSFERS, "after");
    nothing_waits(&other);
    assert_eq!(attempts(&other), TRANSFERS, "who takes over does all that is left, once");
    until("the other one looks at the ledger", || verified_at(&other) > killed + 1);
    println!(
        "of {} transfers {figures:?} were tried by the two, then [0, {TRANSFERS}]",
        2 * TRANSFERS
    );
    other.stop();
    place.is_clean();
}
