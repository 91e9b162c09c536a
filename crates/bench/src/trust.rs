//! What safety costs: one server that lets everybody in and keeps all in the clear beside one that
//! checks tokens, counts against limits and encrypts. Both are pressed in turns, so that a slow
//! moment of the machine meets both. The hash chain of the event log is on in either; nothing
//! turns it off.

use anyhow::{Context, Result};
use daybook_core::UserId;
use serde_json::{Map, Value, json};

use crate::client::{self, Client, Measured, Until};
use crate::load::Happened;
use crate::report::{Report, Row, Target, rate, ratio};
use crate::server::{Program, Server};
use crate::writes::cycle;
use crate::{Plan, load, say};

const CREATE: Target = Target::AtLeast(0.8);
const FEED: Target = Target::AtLeast(0.85);
/// How often each server has its turn. What counts is the middle of what they are to each other in
/// turns that follow one another.
const ROUNDS: usize = 5;
/// Signs the tokens. It guards nothing: the server ends with the measurement.
const SECRET: &str = "a secret that guards nothing and ends with the measurement";
/// 32 bytes in base64, which guard nothing either.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// More than a measurement asks for, so that every limit is counted and none is reached.
const NEVER_REACHED: &str = "1000000000";

/// A server and what must be sent to it with every request.
struct Side {
    name: &'static str,
    server: Server,
    headers: String,
}

/// Measures creates and feed pages with everything off and with everything on.
pub fn measure(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    let bodies = load::bodies(5, plan.users, ROUNDS * plan.create_bodies, Happened::Now)?;
    let bodies = bodies.iter().map(|body| with_secrets(body)).collect::<Result<Vec<_>>>()?;
    let users = load::users_of(&bodies, usize::try_from(plan.users)?)?;
    let paths: Vec<String> = users.iter().map(|user: &UserId| load::feed_path(user)).collect();
    let (bare, safe) = (program.store("bare")?, program.store("safe")?);
    let sides = [
        Side {
            name: "all off",
            server: program.serve_with(&bare, &[("DAYBOOK_RATE_LIMIT", "off")])?,
            headers: String::new(),
        },
        Side {
            name: "all on",
            server: program.serve_with(&safe, &safely())?,
            headers: format!("authorization: Bearer {}\r\n", token(program)?),
        },
    ];

    let press = |side: &Side, request: &dyn Fn(u64, &mut Vec<u8>) -> bool| {
        let (address, connections) = (side.server.address, plan.connections);
        let client = Client { address, also: None, connections };
        client.measure(Until::Elapsed(plan.throughput), request)
    };
    let mut creates = [Vec::new(), Vec::new()];
    for bodies in bodies.chunks(plan.create_bodies) {
        for (side, found) in sides.iter().zip(&mut creates) {
            say(&format!("creates, {}", side.name));
            found.push(press(side, &|number, out| {
                let body = cycle(bodies, number);
                let path = "/api/v1/transactions";
                body.inspect(|body| client::post(path, &side.headers, body.as_bytes(), out))
                    .is_some()
            })?);
        }
    }
    compare(plan, report, "create", creates, CREATE)?;
    let mut pages = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (side, found) in sides.iter().zip(&mut pages) {
            say(&format!("feed pages, {}", side.name));
            found.push(press(side, &|number, out| {
                let path = cycle(&paths, number);
                path.inspect(|path| client::get_with(path, &side.headers, out)).is_some()
            })?);
        }
    }
    compare(plan, report, "feed page", pages, FEED)
}

/// Puts the middle measurement of each side into the report, and how they compare.
fn compare(
    plan: &Plan,
    report: &mut Report,
    name: &str,
    [off, on]: [Vec<Measured>; 2],
    target: Target,
) -> Result<()> {
    let turns = off.iter().zip(&on).map(|(off, on)| (rate(off, 1.0), rate(on, 1.0)));
    let mut ratios: Vec<f64> = turns.filter_map(|(off, on)| ratio(Some(on), Some(off))).collect();
    ratios.sort_by(f64::total_cmp);
    let compared = ratios.get(ratios.len() / 2).copied();
    let off = Row::measured(format!("{name}, all off"), &middle(off)?, 1.0);
    let on = Row::measured(format!("{name}, all on"), &middle(on)?, 1.0);
    report.rows.push(off.connections(plan.connections));
    let on = on.connections(plan.connections);
    report.rows.push(on.times("all off", compared, Some(target)));
    Ok(())
}

/// The measurement with the middle rate, and the refusals of all.
fn middle(mut rounds: Vec<Measured>) -> Result<Measured> {
    let refused = rounds.iter().map(|round| round.refused).sum();
    let first_refusal = rounds.iter().find_map(|round| round.first_refusal.clone());
    rounds.sort_by(|a, b| rate(a, 1.0).total_cmp(&rate(b, 1.0)));
    let half = rounds.len() / 2;
    let middle = rounds.into_iter().nth(half).context("nothing was measured")?;
    Ok(Measured { refused, first_refusal, ..middle })
}

/// The environment of a server with everything on.
fn safely() -> Vec<(&'static str, &'static str)> {
    let limits = [
        "DAYBOOK_RATE_ADDRESS_READS",
        "DAYBOOK_RATE_ADDRESS_WRITES",
        "DAYBOOK_RATE_SERVICE_READS",
        "DAYBOOK_RATE_SERVICE_WRITES",
    ];
    let given =
        [("DAYBOOK_SECRET", SECRET), ("DAYBOOK_RATE_LIMIT", "on"), ("DAYBOOK_ENCRYPTION_KEY", KEY)];
    given.into_iter().chain(limits.map(|name| (name, NEVER_REACHED))).collect()
}

/// A service's token that may read and write items.
fn token(program: &Program) -> Result<String> {
    let words = ["--service", "--scope", "feed:read", "--scope", "feed:write"];
    program.says("token", &words, &[("DAYBOOK_SECRET", SECRET)])
}

/// The body as that of a card, with three values that are sensitive.
fn with_secrets(body: &str) -> Result<String> {
    let mut body: Map<String, Value> = serde_json::from_str(body).context("reading a body")?;
    let metadata = json!({
        "merchant_name": "Corner Coffee", "merchant_category": "Food & Beverage",
        "location": "San Francisco, CA", "card_last_four": "4242", "card_number": "4000002500004242",
        "cardholder_name": "Alice Doe",
    });
    body.insert("transaction_type".to_owned(), "card".into());
    body.insert("metadata".to_owned(), metadata);
    for name in ["product", "side"] {
        body.remove(name);
    }
    Ok(serde_json::to_string(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_three_secrets_and_are_accepted() {
        let bodies = load::bodies(7, 20, 50, Happened::Now).unwrap();
        let bodies: Vec<String> = bodies.iter().map(|body| with_secrets(body).unwrap()).collect();
        assert_eq!(crate::raw::rows(&bodies).unwrap().len(), 50);
        let secrets = daybook_core::kind::of(daybook_core::TransactionType::Card).secrets();
        let body: Value = serde_json::from_str(&bodies[0]).unwrap();
        let metadata = body["metadata"].as_object().unwrap();
        assert_eq!(secrets.iter().filter(|name| metadata.contains_key(**name)).count(), 3);
    }
}
