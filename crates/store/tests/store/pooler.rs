//! PgBouncer in front of the PostgreSQL that tests may use: its clients share few connections, each
//! of which is theirs for one transaction only, and may not prepare statements.

use crate::database::{self, Database};

/// Names it; `scripts/services up` starts one and prints this.
const VARIABLE: &str = "TEST_PGBOUNCER_URL";

/// Its URL, where the server behind it is known too.
pub fn url() -> Option<String> {
    database::server().and_then(|_| database::needs::variable(VARIABLE))
}

/// The way to a database through it.
pub fn to(database: &Database) -> Option<String> {
    let (_, name) = database.url.split('?').next()?.rsplit_once('/')?;
    let url = database::at(&url()?, name);
    let sign = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{sign}statements=unnamed"))
}
