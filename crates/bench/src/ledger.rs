//! How fast money moves: one transfer at a time beside single creates of the feed and transfers of
//! PostgreSQL itself, batches beside SQLite itself, and statements of accounts with few and with
//! very many entries.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::client::{self, Client, Measured, Until};
use crate::load::Happened;
use crate::report::{Report, Row, Target, grouped, ratio};
use crate::server::Program;
use crate::writes::{cycle, mean_batch, memory, size_of_batch};
use crate::{Plan, load, pgbench, raw_ledger, say, writes};

/// What a transfer does a second, measured by a create of the feed.
const SINGLE: Option<Target> = Some(Target::AtLeast(0.8));
/// What it does measured by a transfer of PostgreSQL itself.
const BESIDE_TPCB: Option<Target> = Some(Target::Aim(1.2, 3.0));
/// What transfers between two accounts or few do, measured by those among many.
const HOT: Option<Target> = Some(Target::AtLeast(0.8));
const HOT_ON_A_SERVER: Option<Target> = Some(Target::AtLeast(0.7));
const BATCH: Option<Target> = Some(Target::AtLeast(0.5));
/// How much more a question may cost about an account with very many entries.
const ENTRIES: Option<Target> = Some(Target::AtMost(2.0));

const ACCOUNTS: &str = "/api/v1/accounts";
pub const TRANSFERS: &str = "/api/v1/transfers";
const TRANSFER_BATCH: &str = "/api/v1/transfers/batch";
/// Transfers in a batch, and batches at the same time.
const BATCH_ROWS: usize = 8_000;
const BATCHES: usize = 2;
/// The first of the accounts that have owners.
const OWNED: u64 = 1_000_000;

/// Measures everything about accounts and transfers.
pub fn measure(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    singles(plan, program, report)?;
    batches(plan, program, report)?;
    statements(plan, program, report)
}

fn singles(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    let creates = load::bodies(3, plan.users, plan.create_bodies, Happened::Now)?;
    let store = program.store("beside")?;
    let server = program.serve(&store)?;
    let beside = Client { address: server.address, also: None, connections: plan.connections };
    let create =
        press(plan, &beside, "create, beside transfers", "/api/v1/transactions", &creates)?;
    drop((server, store, creates));
    let on_a_server = program.stores.are_on_a_server();
    let tpcb = if on_a_server {
        say("pgbench, TPC-B-like");
        Some(pgbench::transfers(program, plan.throughput)?)
    } else {
        None
    };

    let store = program.store("ledger")?;
    let server = program.serve(&store)?;
    let client = Client { address: server.address, also: None, connections: plan.connections };
    report.rows.push(open(&client, &load::accounts(1, plan.accounts, |_| None))?);
    let owned = plan.accounts / 10;
    let owner = |number: u64| Some(format!("user_{}", number - OWNED));
    open(&client, &load::accounts(OWNED, owned, owner))?;
    type Bodies = fn(u64, u64, u64, usize) -> Vec<String>;
    let row = |name, bodies: Bodies, first, accounts| {
        let bodies = bodies(4, first, accounts, plan.create_bodies);
        press(plan, &client, name, TRANSFERS, &bodies)
    };
    let many = row("transfer", load::transfers, 1, plan.accounts)?;
    let two = row("transfer, 2 accounts", load::transfers, 1, 2)?;
    let few = row("transfer, Zipf 2.0", load::transfers_of_few, 1, plan.accounts)?;
    let owned = row("transfer, owned accounts", load::transfers, OWNED, owned)?;

    let (many_a_second, create_a_second) = (many.per_second, create.per_second);
    let beside = |row: Row, target| {
        let compared = ratio(row.per_second, create_a_second);
        row.times("create", compared, target)
    };
    let hot = |row: Row| {
        let compared = ratio(row.per_second, many_a_second);
        row.times("transfer", compared, if on_a_server { HOT_ON_A_SERVER } else { HOT })
    };
    let itself = ratio(many_a_second, tpcb.as_ref().and_then(|row| row.per_second));
    report.rows.push(create);
    report.rows.extend(tpcb);
    report.rows.push(beside(many, SINGLE).times("pgbench", itself, BESIDE_TPCB));
    report.rows.extend([hot(two), hot(few), beside(owned, None)]);
    report.rows.push(memory(&server, "memory after transfers"));
    Ok(())
}

/// Opens accounts, all of them.
pub fn open(client: &Client, bodies: &[Vec<u8>]) -> Result<Row> {
    say(&format!("opening {} accounts", bodies.len()));
    let measured = all(writes::send(client, ACCOUNTS, bodies)?)?;
    Ok(Row::measured("open account", &measured, 1.0).connections(client.connections))
}

/// What was sent to prepare a measurement must not be refused.
fn all(measured: Measured) -> Result<Measured> {
    match &measured.first_refusal {
        Some(refusal) => bail!("the server refuses what is to be measured: {refusal}"),
        None => Ok(measured),
    }
}

/// Sends single requests for as long as a throughput is measured.
pub fn press(
    plan: &Plan,
    client: &Client,
    name: &str,
    path: &str,
    bodies: &[String],
) -> Result<Row> {
    say(name);
    let measured =
        client.measure(Until::Elapsed(plan.throughput), |number: u64, out: &mut Vec<u8>| {
            let body = cycle(bodies, number);
            body.inspect(|body| client::post(path, "", body.as_bytes(), out)).is_some()
        })?;
    Ok(Row::measured(name, &measured, 1.0).connections(client.connections))
}

fn batches(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    let bodies = load::transfers(5, 1, plan.accounts, plan.transfers);
    let size = size_of_batch(BATCH_ROWS);
    let base_rate =
        if program.stores.are_on_a_server() { None } else { raw(plan, program, report, &bodies)? };

    let store = program.store("transfers")?;
    let server = program.serve(&store)?;
    let many = Client { address: server.address, also: None, connections: plan.connections };
    open(&many, &load::accounts(1, plan.accounts, |_| None))?;
    say(&format!("batches of {BATCH_ROWS} transfers"));
    let client = Client { connections: BATCHES, ..many };
    let arrays = load::arrays(&bodies, BATCH_ROWS);
    writes::accepts(&client, TRANSFER_BATCH, &arrays)?;
    let measured = writes::send(&client, TRANSFER_BATCH, &arrays)?;
    let row = Row::measured("transfer batches", &measured, mean_batch(bodies.len(), &measured));
    let compared = ratio(row.per_second, base_rate);
    let row = row.size(size).connections(BATCHES);
    report.rows.push(row.times("SQLite itself", compared, BATCH));
    report.rows.push(memory(&server, "memory after transfer batches"));
    Ok(())
}

/// What SQLite itself does.
fn raw(
    plan: &Plan,
    program: &Program,
    report: &mut Report,
    bodies: &[String],
) -> Result<Option<f64>> {
    say(&format!("SQLite itself, {BATCH_ROWS} transfers a commit"));
    let decided = raw_ledger::decided(bodies, plan.accounts, BATCH_ROWS)?;
    let baseline = raw_ledger::insert(&program.file("raw-ledger.db"), &decided)?;
    let row =
        Row::measured("SQLite itself, transfers", &baseline, mean_batch(bodies.len(), &baseline));
    let base_rate = row.per_second;
    report.rows.push(row.size(size_of_batch(BATCH_ROWS)));
    Ok(base_rate)
}

/// An account that is asked about.
struct Subject {
    number: u64,
    entries: u64,
    /// When the first half of its entries was there.
    moment: String,
}

/// The account that all others are paid from.
const PAYER: u64 = 1;

type Path = fn(&Subject) -> String;

/// What is asked about every account.
const QUESTIONS: &[(&str, Path)] = &[
    ("statement page", |s| format!("{ACCOUNTS}/{}/entries?limit=10", s.number)),
    ("statement page, past", |s| {
        format!("{ACCOUNTS}/{}/entries?limit=5&end_date={}", s.number, s.moment)
    }),
    ("balance at a past moment", |s| format!("{ACCOUNTS}/{}?at={}", s.number, s.moment)),
];

fn statements(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    let store = program.store("statements")?;
    let server = program.serve(&store)?;
    let client = Client { address: server.address, also: None, connections: plan.connections };
    let mut subjects: Vec<Subject> = (PAYER + 1..)
        .zip(&plan.entries)
        .map(|(number, entries)| Subject { number, entries: *entries, moment: String::new() })
        .collect();
    open(&client, &load::accounts(PAYER, size_of_batch(subjects.len()) + 1, |_| None))?;
    for subject in &mut subjects {
        say(&format!("an account with {} entries", subject.entries));
        fill(&client, subject.number, subject.entries / 2)?;
        subject.moment = newest(&client, subject.number)?;
        fill(&client, subject.number, subject.entries - subject.entries / 2)?;
    }
    for (name, path) in QUESTIONS {
        say(name);
        ask(plan, &Client { connections: 1, ..client }, name, *path, &subjects, report)?;
        ask(plan, &client, name, *path, &subjects, report)?;
    }
    report.rows.push(memory(&server, "memory after statements"));
    Ok(())
}

/// Pays an account so many times.
fn fill(client: &Client, account: u64, entries: u64) -> Result<()> {
    let client = Client { connections: BATCHES, ..*client };
    let body = load::transfer(PAYER, account, 1);
    let full = usize::try_from(entries)? / BATCH_ROWS;
    let rest = vec![body.clone(); usize::try_from(entries)? % BATCH_ROWS];
    let path = format!("{TRANSFER_BATCH}?atomic=true");
    let batch = load::arrays(&vec![body; BATCH_ROWS], BATCH_ROWS).concat();
    let batches = [vec![batch; full], load::arrays(&rest, BATCH_ROWS)].concat();
    all(writes::send(&client, &path, &batches)?)?;
    Ok(())
}

/// When the newest entry of an account was posted, as a value of a query.
fn newest(client: &Client, account: u64) -> Result<String> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        posted_at: String,
    }
    let mut request = Vec::new();
    client::get(&format!("{ACCOUNTS}/{account}/entries?limit=1"), &mut request);
    let (status, body) = client.ask(&request)?;
    if status != 200 {
        bail!("the statement of the account {account}: {status} {body}");
    }
    let page: Page = serde_json::from_str(&body).context("reading a statement")?;
    let entry = page.items.first().context("an account has no entries")?;
    Ok(client::encode(&entry.posted_at))
}

/// Asks about every account: one connection compares how long it takes, many how much is answered.
fn ask(
    plan: &Plan,
    client: &Client,
    name: &str,
    path: Path,
    subjects: &[Subject],
    report: &mut Report,
) -> Result<()> {
    let mut smallest: Option<(u64, Option<f64>)> = None;
    for subject in subjects {
        let mut request = Vec::new();
        client::get(&path(subject), &mut request);
        let measured = client.measure(Until::Elapsed(plan.latency), |_, out: &mut Vec<u8>| {
            out.extend_from_slice(&request);
            true
        })?;
        let row = Row::measured(name, &measured, 1.0);
        let row = row.size(subject.entries).connections(client.connections);
        let (what, value, target) = match client.connections {
            1 => ("p50", row.p50_ms, ENTRIES),
            _ => ("rate", row.per_second, None),
        };
        let compared = smallest.and_then(|(_, base)| ratio(value, base));
        let (size, _) = *smallest.get_or_insert((subject.entries, value));
        report.rows.push(row.times(&format!("{what} at {}", grouped(size)), compared, target));
    }
    Ok(())
}
