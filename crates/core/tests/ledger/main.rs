//! The ledger's rules: as tables for people to read, and for any history.

#![cfg(test)]

mod actions;
mod books;
#[path = "../common/mod.rs"]
mod common;
mod lines;
mod random;
mod tables;
