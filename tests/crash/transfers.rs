//! Power is gone while money moves, again and again.

use std::collections::{BTreeMap, HashMap};
use std::thread;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::client::{Answer, Client, Request};
use crate::ledger::{Ledger, open_accounts, transfer, version};
use crate::server::{Place, Progress, text};
use crate::stores::{self, On, every_store};

every_store! {
    acknowledged_transfers_survive_kill_9_again_and_again_and_none_pays_twice,
}

const TELLERS: u64 = 8;
/// Answers that each teller hears before a server dies, of two.
const ANSWERS: u64 = 50;
const BATCH: usize = 20;
const PATH: &str = "/api/v1/transfers";

/// How often the server dies; a database takes longer to come back to.
fn rounds(on: On) -> u32 {
    match on {
        On::Sqlite => 20,
        On::Postgres => 6,
    }
}

fn acknowledged_transfers_survive_kill_9_again_and_again_and_none_pays_twice(on: On) {
    let place = Place::of(on);
    let seed = Chance::seed();
    let (mut chance, progress) = (Chance::new(seed), Progress::default());
    let mut tellers: Vec<Teller> = (0..TELLERS).map(|n| Teller::new(n, seed)).collect();
    let server = place.serve(&[]);
    open_accounts(&mut server.client());
    server.stop();
    for _ in 0..rounds(on) {
        let server = place.serve(&[]);
        let ledger = Ledger::read(&server);
        ledger.adds_up(&server);
        for teller in &tellers {
            teller.check(&ledger);
        }
        thread::scope(|scope| {
            for teller in &mut tellers {
                let (client, progress) = (server.client(), &progress);
                scope.spawn(move || teller.work(client, progress));
            }
            progress.wait_for_work(&mut chance);
            server.kill();
        });
        place.rest();
    }
    let server = place.serve(&[]);
    for teller in &mut tellers {
        teller.send_again(&mut server.client()).unwrap();
    }
    let ledger = Ledger::read(&server);
    ledger.adds_up(&server);
    for teller in &tellers {
        teller.check(&ledger);
    }
    let sum = |count: fn(&Teller) -> usize| tellers.iter().map(count).sum::<usize>();
    let acknowledged = sum(|teller| teller.acknowledged.len());
    println!(
        "{acknowledged} transfers acknowledged, {} refused, {} in the ledger; of {} requests sent \
         again {} were done already",
        sum(|teller| teller.refused),
        ledger.by_id.len(),
        sum(|teller| teller.sent_again),
        sum(|teller| teller.done_already),
    );
    assert!(acknowledged > 50, "too little happened for this to mean anything");
    server.stop();
    place.is_clean();
}

#[test]
fn of_two_servers_on_one_database_one_dies_and_nothing_is_lost_or_done_twice() {
    if stores::server().is_none() {
        return;
    }
    let place = Place::of(On::Postgres);
    let seed = Chance::seed();
    let mut tellers: Vec<Teller> = (0..TELLERS).map(|n| Teller::new(n, seed)).collect();
    // One for each teller.
    let progress: Vec<Progress> = tellers.iter().map(|_| Progress::default()).collect();
    let (first, second) = (place.serve(&[]), place.serve(&[]));
    open_accounts(&mut first.client());
    let at_first = |teller: &Teller| teller.number.is_multiple_of(2);
    thread::scope(|scope| {
        for (teller, progress) in tellers.iter_mut().zip(&progress) {
            let dying = at_first(teller).then(|| first.client());
            let living = second.client();
            scope.spawn(move || {
                // Who stands before a dead server goes to the other one.
                let clients = dying.into_iter().chain([living]);
                clients.for_each(|client| teller.work(client, progress));
            });
        }
        progress.iter().for_each(|teller| teller.wait_for(ANSWERS));
        first.kill();
        progress.iter().for_each(|teller| teller.wait_for(ANSWERS));
        second.kill();
    });
    place.rest();
    let server = place.serve(&[]);
    for teller in &mut tellers {
        teller.send_again(&mut server.client()).unwrap();
    }
    let ledger = Ledger::read(&server);
    ledger.adds_up(&server);
    for teller in &tellers {
        teller.check(&ledger);
        assert!(!teller.acknowledged.is_empty(), "too little happened for this to mean anything");
    }
    server.stop();
    place.is_clean();
}

/// Sends one request after another and remembers what it was promised.
struct Teller {
    number: u64,
    chance: Chance,
    requests: u64,
    /// The newest state of every transfer that the server acknowledged, by id.
    acknowledged: BTreeMap<String, Value>,
    /// Ids of acknowledged transfers that hold money, and of those that are complete.
    held: Vec<String>,
    complete: Vec<String>,
    /// A request whose answer was lost and that may be sent again.
    lost: Option<Sent>,
    /// Ids of transfers that may have changed since they were last acknowledged: a request that
    /// named itself by nothing was lost.
    unsure: HashMap<String, u64>,
    /// The marks of batches that may have happened, as a whole.
    unsure_batches: Vec<Vec<String>>,
    sent_again: usize,
    done_already: usize,
    refused: usize,
}

struct Sent {
    request: Request,
    /// The marks of the transfers that it makes.
    marks: Vec<String>,
    /// The transfer that it decides on.
    decides: Option<String>,
    /// Whether it names itself, so that it may be sent again.
    is_named: bool,
}

impl Teller {
    fn new(number: u64, seed: u64) -> Self {
        Self {
            number,
            chance: Chance::new(seed.wrapping_add(100 + number)),
            requests: 0,
            acknowledged: BTreeMap::new(),
            held: Vec::new(),
            complete: Vec::new(),
            lost: None,
            unsure: HashMap::new(),
            unsure_batches: Vec::new(),
            sent_again: 0,
            done_already: 0,
            refused: 0,
        }
    }

    /// Works until the server is gone.
    fn work(&mut self, mut client: Client, progress: &Progress) {
        if self.send_again(&mut client).is_err() {
            return;
        }
        loop {
            let sent = self.next();
            match client.send(&sent.request) {
                Ok(answer) => {
                    self.acknowledge(&answer);
                    progress.one_more();
                }
                Err(_gone) => return self.lose(sent),
            }
        }
    }

    fn send_again(&mut self, client: &mut Client) -> std::io::Result<()> {
        let Some(sent) = &self.lost else { return Ok(()) };
        let answer = client.send(&sent.request)?;
        self.sent_again += 1;
        let replayed = answer.header("idempotent-replayed") == Some("true");
        let known = sent.decides.is_none() && sent.marks.len() == 1 && answer.status == 200;
        self.done_already += usize::from(replayed || known);
        self.lost = None;
        self.acknowledge(&answer);
        Ok(())
    }

    fn lose(&mut self, sent: Sent) {
        if sent.is_named {
            self.lost = Some(sent);
        } else if let Some(id) = sent.decides {
            *self.unsure.entry(id).or_default() += 1;
        } else if sent.marks.len() > 1 {
            self.unsure_batches.push(sent.marks);
        }
    }

    fn next(&mut self) -> Sent {
        self.requests += 1;
        let name = format!("teller-{}-{}", self.number, self.requests);
        match self.chance.below(10) {
            0..=3 => self.pay(&name, false),
            4 => self.pay(&name, true),
            5 => self.batch(&name),
            6..=8 if !self.held.is_empty() => self.decide_on_hold(&name),
            9 if !self.complete.is_empty() => {
                let id = take(&mut self.chance, &mut self.complete);
                self.decide(&name, id, "rollback", &json!({}))
            }
            _ => self.pay(&name, true),
        }
    }

    fn pay(&mut self, name: &str, holds: bool) -> Sent {
        let mut transfer = transfer(&mut self.chance, name);
        if holds {
            transfer["pending"] = true.into();
        }
        let has_reference = self.chance.one_in(3);
        if has_reference {
            transfer["reference"] = name.into();
        }
        let has_key = self.chance.one_in(3);
        let request = keyed(Request::post(PATH, &transfer), has_key.then_some(name));
        let marks = vec![name.to_owned()];
        Sent { request, marks, decides: None, is_named: has_key || has_reference }
    }

    fn batch(&mut self, name: &str) -> Sent {
        let marks: Vec<String> = (0..BATCH).map(|n| format!("{name}-{n}")).collect();
        let transfers: Vec<Value> =
            marks.iter().map(|mark| transfer(&mut self.chance, mark)).collect();
        let atomic = ["true", "false"][self.chance.below(2) as usize];
        let path = format!("{PATH}/batch?atomic={atomic}");
        let has_key = self.chance.one_in(2);
        let request = Request::post(path, &Value::from(transfers));
        let request = keyed(request, has_key.then_some(name));
        Sent { request, marks, decides: None, is_named: has_key }
    }

    fn decide_on_hold(&mut self, name: &str) -> Sent {
        let id = take(&mut self.chance, &mut self.held);
        match self.chance.below(3) {
            0 => self.decide(name, id, "void", &json!({})),
            1 => self.decide(name, id, "post", &json!({})),
            _ => self.decide(name, id, "post", &json!({ "amount": "0.01" })),
        }
    }

    fn decide(&mut self, name: &str, id: String, what: &str, body: &Value) -> Sent {
        let has_key = self.chance.one_in(2);
        let request = Request::post(format!("{PATH}/{id}/{what}"), body);
        let request = keyed(request, has_key.then_some(name));
        Sent { request, marks: Vec::new(), decides: Some(id), is_named: has_key }
    }

    fn acknowledge(&mut self, answer: &Answer) {
        let mut body = answer.json();
        let Some(results) = body.get_mut("results").and_then(Value::as_array_mut) else {
            if answer.status == 422 {
                return self.refuse(&body);
            }
            assert!([200, 201].contains(&answer.status), "{answer:?}");
            return self.remember(body);
        };
        assert!([200, 422].contains(&answer.status), "{answer:?}");
        assert_eq!(results.len(), BATCH, "{answer:?}");
        for result in results {
            match result["error"].take() {
                Value::Null => self.remember(result["transfer"].take()),
                error => self.refuse(&error),
            }
        }
    }

    /// A limited account may have too little; nothing else is refused.
    fn refuse(&mut self, problem: &Value) {
        let code = problem["code"].as_str().unwrap_or("none");
        assert!(["INSUFFICIENT_FUNDS", "BATCH_REFUSED"].contains(&code), "{problem}");
        self.refused += 1;
    }

    fn remember(&mut self, transfer: Value) {
        let id = text(&transfer["id"]);
        let old = self.acknowledged.insert(id.clone(), transfer);
        let transfer = &self.acknowledged[&id];
        if let Some(old) = old {
            assert!(version(&old) < version(transfer), "{old} became {transfer}");
        }
        match transfer["status"].as_str() {
            Some("pending") => self.held.push(id),
            Some("complete") => self.complete.push(id),
            _ => {}
        }
    }

    fn check(&self, ledger: &Ledger) {
        for (id, promised) in &self.acknowledged {
            let kept = ledger.by_id.get(id).unwrap_or_else(|| panic!("lost: {promised}"));
            let lost = self.lost.as_ref().and_then(|sent| sent.decides.as_ref()) == Some(id);
            let unsure = self.unsure.get(id).copied().unwrap_or(0) + u64::from(lost);
            let possible = version(promised)..=version(promised) + unsure;
            assert!(possible.contains(&version(kept)), "{promised} is {kept}");
            if version(kept) == version(promised) {
                assert_eq!(kept, promised);
            }
            if let Some(by) = kept["rolled_back_by"].as_str() {
                assert_eq!(ledger.by_id[by]["rolls_back"], id.as_str());
            }
        }
        for marks in &self.unsure_batches {
            let there = marks.iter().filter(|mark| ledger.marks.contains_key(*mark)).count();
            assert!([0, marks.len()].contains(&there), "{there} transfers of one batch: {marks:?}");
        }
    }
}

fn take(chance: &mut Chance, ids: &mut Vec<String>) -> String {
    let place = chance.below(ids.len() as u64) as usize;
    ids.swap_remove(place)
}

fn keyed(request: Request, key: Option<&str>) -> Request {
    match key {
        Some(key) => request.keyed(key),
        None => request,
    }
}
