//! Power is gone in the middle of everything, again and again.

use std::collections::{BTreeMap, HashMap};
use std::thread;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::client::{Answer, Client, Request};
use crate::server::{Place, Progress, Server, item, mark, text};
use crate::stores::{On, every_store};

every_store! {
    what_was_acknowledged_survives_kill_9_again_and_again,
}

const CLERKS: u64 = 8;
const USERS: u64 = 5;
const BATCH: usize = 50;

/// How often the server dies; a database takes longer to come back to.
fn rounds(on: On) -> u32 {
    match on {
        On::Sqlite => 20,
        On::Postgres => 6,
    }
}

fn what_was_acknowledged_survives_kill_9_again_and_again(on: On) {
    let place = Place::of(on);
    let seed = Chance::seed();
    let (mut chance, progress) = (Chance::new(seed), Progress::default());
    let mut clerks: Vec<Clerk> = (0..CLERKS).map(|n| Clerk::new(n, seed)).collect();
    for _ in 0..rounds(on) {
        let server = place.serve(&[]);
        thread::scope(|scope| {
            for clerk in &mut clerks {
                let (client, progress) = (server.client(), &progress);
                scope.spawn(move || clerk.work(client, progress));
            }
            progress.wait_for_work(&mut chance);
            server.kill();
        });
        place.rest();
    }
    let server = place.serve(&[]);
    for clerk in &mut clerks {
        clerk.send_again(&mut server.client()).unwrap();
    }
    let books = Books::read(&server);
    for clerk in &clerks {
        clerk.check(&books);
    }
    let sum = |count: fn(&Clerk) -> usize| clerks.iter().map(count).sum::<usize>();
    let acknowledged = sum(|clerk| clerk.acknowledged.len());
    println!(
        "{acknowledged} items acknowledged, {} in the books; of {} requests sent again {} were \
         done already",
        books.by_id.len(),
        sum(|clerk| clerk.sent_again),
        sum(|clerk| clerk.done_already),
    );
    assert!(acknowledged > 50, "too little happened for this to mean anything");
    server.stop();
    place.is_clean();
}

/// Sends one request after another and remembers what it was promised.
struct Clerk {
    number: u64,
    chance: Chance,
    requests: u64,
    /// The newest state of every item that the server acknowledged, by id.
    acknowledged: BTreeMap<String, Value>,
    /// Ids of acknowledged items that may still change.
    pending: Vec<String>,
    /// A request whose answer was lost and that may be sent again.
    lost: Option<Sent>,
    /// Changes that may have happened since the item was last acknowledged, by id.
    unsure: HashMap<String, u64>,
    /// The marks of batches that may have happened.
    unsure_batches: Vec<Vec<String>>,
    sent_again: usize,
    done_already: usize,
}

struct Sent {
    request: Request,
    /// The marks of the items that it records.
    marks: Vec<String>,
    /// The item that it changes.
    changes: Option<String>,
    /// Whether it names itself, so that it may be sent again.
    is_named: bool,
}

impl Clerk {
    fn new(number: u64, seed: u64) -> Self {
        Self {
            number,
            chance: Chance::new(seed.wrapping_add(number + 1)),
            requests: 0,
            acknowledged: BTreeMap::new(),
            pending: Vec::new(),
            lost: None,
            unsure: HashMap::new(),
            unsure_batches: Vec::new(),
            sent_again: 0,
            done_already: 0,
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
        let known = sent.changes.is_none() && sent.marks.len() == 1 && answer.status == 200;
        self.done_already += usize::from(replayed || known);
        self.lost = None;
        self.acknowledge(&answer);
        Ok(())
    }

    fn lose(&mut self, sent: Sent) {
        if sent.is_named {
            self.lost = Some(sent);
        } else if let Some(id) = sent.changes {
            *self.unsure.entry(id).or_default() += 1;
        } else if sent.marks.len() > 1 {
            self.unsure_batches.push(sent.marks);
        }
    }

    fn next(&mut self) -> Sent {
        self.requests += 1;
        let name = format!("clerk-{}-{}", self.number, self.requests);
        match self.chance.below(10) {
            0..=3 => self.create(&name),
            4 => self.batch(&name),
            _ if self.pending.is_empty() => self.create(&name),
            _ => self.change(&name),
        }
    }

    fn create(&mut self, name: &str) -> Sent {
        let (item, has_source) = self.item(name);
        let has_key = self.chance.one_in(3);
        let request = keyed(Request::create(&item), has_key.then_some(name));
        let marks = vec![name.to_owned()];
        Sent { request, marks, changes: None, is_named: has_key || has_source }
    }

    fn batch(&mut self, name: &str) -> Sent {
        let marks: Vec<String> = (0..BATCH).map(|n| format!("{name}-{n}")).collect();
        let items: Vec<Value> = marks.iter().map(|mark| self.item(mark).0).collect();
        let has_key = self.chance.one_in(2);
        let request = keyed(Request::batch(&items), has_key.then_some(name));
        Sent { request, marks, changes: None, is_named: has_key }
    }

    fn change(&mut self, name: &str) -> Sent {
        let place = self.chance.below(self.pending.len() as u64) as usize;
        let ends = self.chance.one_in(4);
        let (id, status) = match ends {
            true => (self.pending.swap_remove(place), "completed"),
            false => (self.pending[place].clone(), "pending"),
        };
        let amount = format!("{}.50", self.requests);
        let change = json!({ "status": status, "amount": amount, "metadata": { "note": name } });
        let has_key = self.chance.one_in(2);
        let request = keyed(Request::patch(&id, &change), has_key.then_some(name));
        Sent { request, marks: Vec::new(), changes: Some(id), is_named: has_key }
    }

    /// An item of anybody, and whether its source names it.
    fn item(&mut self, mark: &str) -> (Value, bool) {
        let user = format!("user-{}", self.chance.below(USERS));
        let status = ["pending", "completed"][self.chance.below(2) as usize];
        let mut item = item(&user, status, mark);
        let has_source = self.chance.one_in(3);
        if has_source {
            item["source"] = "bank".into();
            item["external_id"] = mark.into();
        }
        (item, has_source)
    }

    fn acknowledge(&mut self, answer: &Answer) {
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        let mut body = answer.json();
        let Some(results) = body.get_mut("results").and_then(Value::as_array_mut) else {
            return self.remember(body);
        };
        assert_eq!(results.len(), BATCH, "{answer:?}");
        for result in results {
            assert!(result["error"].is_null(), "{result}");
            self.remember(result["transaction"].take());
        }
    }

    fn remember(&mut self, item: Value) {
        let id = text(&item["id"]);
        self.unsure.remove(&id);
        let old = self.acknowledged.insert(id.clone(), item);
        let item = &self.acknowledged[&id];
        match old {
            None if item["status"] == "pending" => self.pending.push(id),
            None => {}
            Some(old) => assert!(version(&old) < version(item), "{old} became {item}"),
        }
    }

    fn check(&self, books: &Books) {
        for (id, promised) in &self.acknowledged {
            let kept = books.by_id.get(id).unwrap_or_else(|| panic!("lost: {promised}"));
            let unsure = self.unsure.get(id).copied().unwrap_or(0);
            let possible = version(promised)..=version(promised) + unsure;
            assert!(possible.contains(&version(kept)), "{promised} is {kept}");
            if version(kept) == version(promised) {
                assert_eq!(kept, promised);
            }
        }
        for marks in &self.unsure_batches {
            let there = marks.iter().filter(|mark| books.marks.contains_key(*mark)).count();
            assert!([0, marks.len()].contains(&there), "{there} items of one batch: {marks:?}");
        }
    }
}

fn keyed(request: Request, key: Option<&str>) -> Request {
    match key {
        Some(key) => request.keyed(key),
        None => request,
    }
}

fn version(item: &Value) -> u64 {
    item["version"].as_u64().unwrap_or_else(|| panic!("no version: {item}"))
}

/// All feeds as they are at the end.
struct Books {
    by_id: HashMap<String, Value>,
    /// The id of each mark's item.
    marks: HashMap<String, String>,
}

impl Books {
    /// Reads all feeds; nothing may stand there twice.
    fn read(server: &Server) -> Self {
        let mut client = server.client();
        let mut books = Self { by_id: HashMap::new(), marks: HashMap::new() };
        for user in (0..USERS).map(|n| format!("user-{n}")) {
            for item in client.feed(&user) {
                assert_eq!(item["user_id"], user.as_str());
                let id = text(&item["id"]);
                let twin = books.marks.insert(mark(&item), id.clone());
                assert!(twin.is_none(), "recorded twice: {item} and {twin:?}");
                let twin = books.by_id.insert(id, item);
                assert!(twin.is_none(), "in the feeds twice: {twin:?}");
            }
        }
        books
    }
}
