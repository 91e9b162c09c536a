//! The program as a user types it: every test runs the real binary in a folder of its own.

#![cfg(test)]

#[path = "../../crates/server/tests/api/certificates.rs"]
mod certificates;
mod folder;
#[path = "../stores/mod.rs"]
mod stores;

mod api_keys;
mod beside;
mod beside_bad_days;
mod checkpoint;
mod config;
mod copy;
mod database;
mod events;
mod export;
mod help;
mod import;
mod import_csv;
mod import_files;
mod import_ledger;
mod keys;
mod ledger;
mod sealed;
mod secrets;
mod serve;
mod store;
mod tls;
