//! What a second process on the same database costs or brings: the same load on one process, then
//! spread over two, each time on a database of its own. What the two made together is verified.

use anyhow::Result;

use crate::client::Client;
use crate::load::Happened;
use crate::report::{Check, Report, Row, Target, Unit, milliseconds, ratio};
use crate::server::Program;
use crate::{Plan, ledger, load, say};

/// What two processes do, measured by one.
const TWO: Option<Target> = Some(Target::AtLeast(1.0));

pub fn measure(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    let creates = load::bodies(3, plan.users, plan.create_bodies, Happened::Now)?;
    let transfers = load::transfers(4, 1, plan.accounts, plan.create_bodies);
    let mut alone = [None; 2];
    for processes in 1..=2 {
        let store = program.store(&format!("processes-{processes}"))?;
        let of = if processes == 1 { "process" } else { "processes" };
        let server = program.serve(&store)?;
        let second = (processes == 2).then(|| program.serve(&store)).transpose()?;
        let also = second.as_ref().map(|server| server.address);
        let client = Client { address: server.address, also, connections: plan.connections };
        ledger::open(&client, &load::accounts(1, plan.accounts, |_| None))?;
        let loads = [
            ("create", "/api/v1/transactions", &creates),
            ("transfer", ledger::TRANSFERS, &transfers),
        ];
        for ((name, path, bodies), alone) in loads.into_iter().zip(&mut alone) {
            let name = format!("{name}, {processes} {of}");
            let row = ledger::press(plan, &client, &name, path, bodies)?;
            let compared = ratio(row.per_second, *alone);
            *alone = alone.or(row.per_second);
            report.rows.push(row.times("one process", compared, TWO));
        }
        drop((server, second));
        say("verifying");
        let took = milliseconds(program.verify(&store)?);
        let verified = Row::fact(format!("verified, {processes} {of}"));
        report.rows.push(verified.check(Check::new(took, Unit::Ms, "without a difference", None)));
    }
    Ok(())
}
