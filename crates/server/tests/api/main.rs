//! The real router over a real store: in a temporary file, or in a database of the test's own when
//! TEST_STORE=postgres says so. With TEST_SEALED=1 every store seals what is sensitive. The modules
//! mirror the URL tree.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "tests may be blunt"
)]

mod accounts;
mod audit;
mod auth;
mod batch;
mod browser;
mod certificates;
mod conventions;
#[path = "../../../store/tests/store/database.rs"]
mod database;
mod docs;
mod failing_store;
mod fields;
mod idempotency;
mod issuers;
mod item;
mod keys;
mod ledger;
mod list;
mod logs;
mod matrix;
mod operations;
mod rate;
mod records;
mod sealing;
mod search;
mod serving;
mod statistics;
mod stolen;
mod support;
mod sync;
mod tls;
mod transactions;
mod transfers;
mod transfers_async;
mod transfers_moves;
mod transfers_rights;
mod users;
mod wire;
