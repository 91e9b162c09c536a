//! Followers of the event log of two servers, of which the one that owns the lease is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Request;
use crate::server::{Place, item};
use crate::stores::{self, On};

/// Longer than a lease and the pause before it is asked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that writes the log to us.
struct Follower {
    child: Child,
    seen: Arc<Mutex<Vec<i64>>>,
}

impl Follower {
    fn start(place: &Place, name: &str) -> Self {
        let mut command = place.command(&["events", "--follow", "--as", name]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (lines, into) = (BufReader::new(child.stdout.take().expect("a pipe")), seen.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                // The last line of one that was killed may be cut.
                let Ok(event) = serde_json::from_str::<Value>(&line) else { break };
                into.lock().unwrap().push(event["seq"].as_i64().expect("a number"));
            }
        });
        Self { child, seen }
    }

    fn seen(&self) -> Vec<i64> {
        self.seen.lock().unwrap().clone()
    }

    fn has_up_to(&self, seq: i64) -> bool {
        self.seen.lock().unwrap().last().is_some_and(|last| *last >= seq)
    }

    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have been killed already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "not yet: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_takes_over_from_a_follower_that_is_killed_misses_nothing() {
    if stores::server().is_none() {
        return;
    }
    let place = Place::of(On::Postgres);
    let servers = [place.serve(&[]), place.serve(&[])];
    let mut owner = Follower::start(&place, "audit");
    let each = [Follower::start(&place, "one"), Follower::start(&place, "two")];
    let write = |count: usize| {
        let newest = servers.each_ref().map(|server| {
            let mut client = server.client();
            std::thread::spawn(move || {
                (0..count)
                    .map(|n| {
                        let user = format!("user{}", n % 7);
                        let create = Request::create(&item(&user, "completed", "x"));
                        let answer = client.ask(&create);
                        assert_eq!(answer.status, 201);
                        answer.header("x-commit-seq").expect("a position").parse::<i64>().unwrap()
                    })
                    .max()
            })
        });
        newest.into_iter().filter_map(|thread| thread.join().expect("written")).max().unwrap_or(0)
    };
    let newest = write(150);
    until("the owner has all", || owner.has_up_to(newest));
    // Another one waits for the lease, and hears nothing yet.
    let heir = Follower::start(&place, "audit");
    write(150);
    owner.kill();
    let newest = write(150);
    until("the heir has all", || heir.has_up_to(newest));
    until("each has all", || each.iter().all(|follower| follower.has_up_to(newest)));
    let all: Vec<i64> = (1..=newest).collect();
    for follower in &each {
        assert_eq!(follower.seen(), all, "once and in order");
    }
    let (before, after) = (owner.seen(), heir.seen());
    assert_eq!(before, all[..before.len()], "once and in order");
    let first = usize::try_from(after[0]).expect("a position");
    assert!(first <= before.len() + 1, "{first} is missing between {} and it", before.len());
    assert_eq!(after, all[first - 1..], "once and in order");
    println!("{} events, {} seen by both owners", all.len(), before.len() + 1 - first);
    drop((owner, heir, each));
    for server in servers {
        server.stop();
    }
    place.is_clean();
}
