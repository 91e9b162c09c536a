//! How fast records go in: one by one, with and without idempotency keys, and in batches; beside
//! the database itself. Every side of a comparison begins with an empty store.

use anyhow::{Result, bail};
use daybook_core::UserId;

use crate::client::{self, Client, Measured, Until};
use crate::load::Happened;
use crate::report::{Check, Report, Row, Target, Unit, count, milliseconds, rate, ratio};
use crate::server::{Program, Server};
use crate::{Plan, load, pgbench, raw, say};

/// What a create costs, measured by a request that does nothing.
const CREATE: Target = Target::Aim(0.13, 0.22);
/// What a create does a second, measured by PostgreSQL itself inserting one row a transaction.
const BESIDE_ROWS: Target = Target::Aim(1.2, 2.0);
/// What a feed page costs, measured by the same.
pub const FEED: Target = Target::Aim(0.18, 0.3);
const BATCH: Target = Target::AtLeast(0.5);
/// In milliseconds.
const CREATE_P99: Target = Target::Below(50.0);
/// In megabytes.
const MEMORY: Target = Target::Below(300.0);

/// How many batches are sent at the same time, by their size.
const BATCHES: &[(usize, usize)] = &[(1_000, 4), (10_000, 2)];

/// Measures everything that writes to a small file.
pub fn measure(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    say("making records");
    let bodies = load::bodies(1, plan.users, plan.batch_rows, Happened::PastYear)?;
    for (size, connections) in BATCHES {
        batches(program, report, &bodies, *size, *connections)?;
    }
    let bodies = load::bodies(3, plan.users, 2 * plan.create_bodies, Happened::Now)?;
    singles(plan, program, report, &bodies)
}

fn batches(
    program: &Program,
    report: &mut Report,
    bodies: &[String],
    size: usize,
    connections: usize,
) -> Result<()> {
    let base_rate =
        if program.stores.are_on_a_server() { None } else { raw(program, report, bodies, size)? };
    say(&format!("batches of {size}"));
    let arrays = load::arrays(bodies, size);
    let store = program.store(&format!("batch-{size}"))?;
    let server = program.serve(&store)?;
    let client = Client { address: server.address, also: None, connections };
    let path = "/api/v1/transactions/batch";
    accepts(&client, path, &arrays)?;
    let measured = send(&client, path, &arrays)?;
    let row = Row::measured("batches", &measured, mean_batch(bodies.len(), &measured));
    let compared = ratio(row.per_second, base_rate);
    let row = row.size(size_of_batch(size)).connections(connections);
    report.rows.push(row.times("SQLite itself", compared, Some(BATCH)));
    report.rows.push(memory(&server, "memory after batches"));
    Ok(())
}

/// What SQLite itself does.
fn raw(
    program: &Program,
    report: &mut Report,
    bodies: &[String],
    size: usize,
) -> Result<Option<f64>> {
    say(&format!("SQLite itself, {size} rows a commit"));
    let rows = raw::rows(bodies)?;
    let baseline = raw::insert(&program.file(&format!("raw-{size}.db")), &rows, size)?;
    let batch = mean_batch(bodies.len(), &baseline);
    let base = Row::measured("SQLite itself", &baseline, batch).size(size_of_batch(size));
    let base_rate = base.per_second;
    report.rows.push(base);
    Ok(base_rate)
}

pub fn size_of_batch(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// How many rows a request stands for, the last and smaller one included.
pub fn mean_batch(rows: usize, measured: &Measured) -> f64 {
    ratio(Some(count(size_of_batch(rows))), Some(count(measured.requests))).unwrap_or(0.0)
}

/// A batch answers 200 whatever becomes of its items, so that all of one are asked for first.
pub fn accepts(client: &Client, path: &str, arrays: &[Vec<u8>]) -> Result<()> {
    let mut request = Vec::new();
    let first = arrays.first().map_or(&[][..], Vec::as_slice);
    client::post(&format!("{path}?atomic=true"), "", first, &mut request);
    let (status, body) = client.ask(&request)?;
    if !(200..300).contains(&status) {
        let start: String = body.chars().take(500).collect();
        bail!("the server refuses the records: {status} {start}");
    }
    Ok(())
}

/// Sends bodies, each once.
pub fn send(client: &Client, path: &str, bodies: &[Vec<u8>]) -> Result<Measured> {
    client.measure(Until::Exhausted, |number: u64, out: &mut Vec<u8>| {
        let body = usize::try_from(number).ok().and_then(|number| bodies.get(number));
        body.inspect(|body| client::post(path, "", body, out)).is_some()
    })
}

fn singles(plan: &Plan, program: &Program, report: &mut Report, bodies: &[String]) -> Result<()> {
    let (plain, keyed) = bodies.split_at(bodies.len() / 2);
    let rows = if program.stores.are_on_a_server() {
        say("pgbench, one item a transaction");
        let rows = pgbench::inserts(program, plain, plan.throughput)?;
        let per_second = rows.per_second;
        report.rows.push(rows);
        per_second
    } else {
        None
    };
    let store = program.store("single")?;
    let server = program.serve(&store)?;
    let client = Client { address: server.address, also: None, connections: plan.connections };
    let trivial = trivial(plan, &client, report)?;
    let row = create(plan, &client, "create", plain, false, trivial)?;
    let compared = ratio(row.per_second, rows);
    report.rows.push(row.times("pgbench", compared, Some(BESIDE_ROWS)));
    report.rows.push(create(plan, &client, "create with key", keyed, true, trivial)?);

    say("feed pages of many users");
    let users = load::users_of(bodies, usize::try_from(plan.users)?)?;
    let paths: Vec<String> = users.iter().map(|user: &UserId| load::feed_path(user)).collect();
    let measured =
        client.measure(Until::Elapsed(plan.throughput), |number: u64, out: &mut Vec<u8>| {
            let path = cycle(&paths, number);
            path.inspect(|path| client::get(path, out)).is_some()
        })?;
    let row = Row::measured("feed page, many users", &measured, 1.0);
    let compared = ratio(row.per_second, Some(trivial));
    let row = row.connections(plan.connections).times("livez", compared, Some(FEED));
    report.rows.push(row);
    report.rows.push(memory(&server, "memory after creates"));
    Ok(())
}

/// Measures the endpoint that does nothing and returns its rate.
pub fn trivial(plan: &Plan, client: &Client, report: &mut Report) -> Result<f64> {
    say("the trivial endpoint");
    let measured = client.measure(Until::Elapsed(plan.throughput), |_, out: &mut Vec<u8>| {
        client::get("/livez", out);
        true
    })?;
    report.rows.push(Row::measured("livez", &measured, 1.0).connections(client.connections));
    Ok(rate(&measured, 1.0))
}

/// Measures single creates beside the endpoint that does nothing.
pub fn create(
    plan: &Plan,
    client: &Client,
    name: &str,
    bodies: &[String],
    keyed: bool,
    trivial: f64,
) -> Result<Row> {
    say(name);
    let measured =
        client.measure(Until::Elapsed(plan.throughput), |number: u64, out: &mut Vec<u8>| {
            let key =
                if keyed { format!("idempotency-key: bench-{number}\r\n") } else { String::new() };
            let body = cycle(bodies, number);
            let write =
                |body: &&String| client::post("/api/v1/transactions", &key, body.as_bytes(), out);
            body.inspect(write).is_some()
        })?;
    let row = Row::measured(name, &measured, 1.0).connections(client.connections);
    let compared = ratio(row.per_second, Some(trivial));
    let p99 = row.p99_ms.map(|ms| Check::new(ms, Unit::Ms, "p99", Some(CREATE_P99)));
    let row = row.times("livez", compared, Some(CREATE));
    Ok(match p99 {
        Some(p99) => row.check(p99),
        None => row,
    })
}

pub fn cycle<T>(things: &[T], number: u64) -> Option<&T> {
    let place = usize::try_from(number).ok()?.checked_rem(things.len())?;
    things.get(place)
}

/// The most memory that a server took so far.
pub fn memory(server: &Server, name: &str) -> Row {
    let row = Row::fact(name);
    match server.memory() {
        Some(memory) => row
            .check(Check::new(
                crate::report::megabytes(memory.peak),
                Unit::Mb,
                "peak",
                Some(MEMORY),
            ))
            .check(Check::new(crate::report::megabytes(memory.now), Unit::Mb, "now", None)),
        None => row,
    }
}

/// How long a server took to be ready.
pub fn ready(server: &Server, target: Target) -> Row {
    let check = Check::new(milliseconds(server.ready), Unit::Ms, "to ready", Some(target));
    Row::fact("start").check(check)
}
