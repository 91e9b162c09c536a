//! Records that come again: every cell of the tables of `docs/records.md`, and any history of sends
//! against a model that knows nothing but those tables.

#![cfg(test)]

mod cells;
#[path = "../common/mod.rs"]
mod common;
mod history;
mod tables;
