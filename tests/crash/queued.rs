//! Power is gone while transfers wait for the worker.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::chance::Chance;
use crate::client::{Client, Request};
use crate::ledger::{Ledger, open_accounts, transfer};
use crate::server::{Place, Progress, Server, text};
use crate::stores::{On, every_store};

every_store! {
    what_waits_is_done_exactly_once_whenever_the_power_goes,
}

const SENDERS: u64 = 6;
/// How far ahead transfers are scheduled at most.
const AHEAD_MS: u64 = 400;
/// How long the worker may take for what is left at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the server dies; a database takes longer to come back to.
fn rounds(on: On) -> u32 {
    match on {
        On::Sqlite => 8,
        On::Postgres => 4,
    }
}

fn what_waits_is_done_exactly_once_whenever_the_power_goes(on: On) {
    let place = Place::of(on);
    let seed = Chance::seed();
    let mut chance = Chance::new(seed);
    let mut senders: Vec<Sender> = (0..SENDERS).map(|n| Sender::new(n, seed)).collect();
    let server = place.serve(&[]);
    open_accounts(&mut server.client());
    server.stop();
    let (mut kills, progress) = (Vec::new(), Progress::default());
    for _ in 0..rounds(on) {
        let server = place.serve(&[]);
        thread::scope(|scope| {
            for sender in &mut senders {
                let (client, progress) = (server.client(), &progress);
                scope.spawn(move || sender.work(client, progress));
            }
            progress.wait_for_work(&mut chance);
            server.kill();
        });
        place.rest();
        kills.push(now());
    }
    let server = place.serve(&[]);
    for sender in &mut senders {
        sender.send_again(&mut server.client()).unwrap();
    }
    nothing_waits(&server);
    let ledger = Ledger::read(&server);
    ledger.adds_up(&server);
    let (mut acknowledged, mut survived) = (0, 0);
    for (id, accepted) in senders.iter().flat_map(|sender| &sender.accepted) {
        let kept = ledger.by_id.get(id).unwrap_or_else(|| panic!("lost: {accepted}"));
        assert_eq!(kept["status"], "complete", "{kept}");
        assert_eq!(kept["amount"], accepted["amount"]);
        assert_eq!(kept["retry_count"], 0, "{kept}");
        let [from, to] = ["created_at", "posted_at"].map(|name| time(&kept[name]));
        survived += u32::from(kills.iter().any(|kill| from < *kill && *kill < to));
        acknowledged += 1;
    }
    for (mark, id) in &ledger.marks {
        assert_eq!(ledger.by_id[id]["status"], "complete", "{mark}");
    }
    println!("{acknowledged} transfers accepted, {survived} of them waited while the power went");
    assert!(survived > 5, "too little waited for this to mean anything");
    server.stop();
    place.is_clean();
}

#[expect(clippy::disallowed_methods, reason = "the servers read the same clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn time(value: &Value) -> Timestamp {
    text(value).parse().unwrap_or_else(|_| panic!("no time: {value}"))
}

/// Waits until the worker has done all that is left.
pub fn nothing_waits(server: &Server) {
    let (mut client, begun) = (server.client(), Instant::now());
    let path = "/api/v1/transfers?status=pending&limit=1";
    loop {
        let answer = client.ask(&Request::get(path));
        assert_eq!(answer.status, 200, "{answer:?}");
        let waiting = answer.json();
        if waiting["items"].as_array().is_some_and(Vec::is_empty) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "still waiting: {waiting}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends transfers that are to be done later and remembers those that were accepted.
struct Sender {
    number: u64,
    chance: Chance,
    requests: u64,
    /// By id.
    accepted: HashMap<String, Value>,
    /// A request whose answer was lost; all of them name themselves.
    lost: Option<Request>,
}

impl Sender {
    fn new(number: u64, seed: u64) -> Self {
        let chance = Chance::new(seed.wrapping_add(200 + number));
        Self { number, chance, requests: 0, accepted: HashMap::new(), lost: None }
    }

    fn work(&mut self, mut client: Client, progress: &Progress) {
        if self.send_again(&mut client).is_err() {
            return;
        }
        loop {
            let request = self.next();
            if self.send(&mut client, &request).is_err() {
                self.lost = Some(request);
                return;
            }
            progress.one_more();
        }
    }

    fn send_again(&mut self, client: &mut Client) -> std::io::Result<()> {
        if let Some(request) = self.lost.clone() {
            self.send(client, &request)?;
            self.lost = None;
        }
        Ok(())
    }

    fn send(&mut self, client: &mut Client, request: &Request) -> std::io::Result<()> {
        let answer = client.send(request)?;
        assert!([200, 201, 202].contains(&answer.status), "{answer:?}");
        let transfer = answer.json();
        self.accepted.insert(text(&transfer["id"]), transfer);
        Ok(())
    }

    /// A transfer that is to be done as soon as may be, or a little later.
    fn next(&mut self) -> Request {
        self.requests += 1;
        let name = format!("sender-{}-{}", self.number, self.requests);
        let mut transfer = transfer(&mut self.chance, &name);
        let is_scheduled = self.chance.one_in(2);
        if is_scheduled {
            let ahead = Duration::from_millis(self.chance.below(AHEAD_MS));
            transfer["execute_at"] = (now() + ahead).to_string().into();
        }
        let has_key = self.chance.one_in(2);
        if !has_key {
            transfer["reference"] = name.as_str().into();
        }
        let request = Request::post("/api/v1/transfers", &transfer);
        let request = if is_scheduled { request } else { request.later() };
        if has_key { request.keyed(&name) } else { request }
    }
}
