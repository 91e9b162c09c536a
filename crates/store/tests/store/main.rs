//! What stores promise, on good days and on bad ones.

#![cfg(test)]

mod bad_days;
mod beside;
mod chain;
mod chance;
mod contract;
mod copy;
mod damaged_columns;
mod database;
mod differential;
mod followers;
mod ledger;
#[path = "../../../core/tests/common/mod.rs"]
mod memory;
mod pooler;
mod postgres;
mod postgres_bad_days;
mod postgres_damage;
mod postgres_plans;
mod records;
mod sealed_ledger;
mod sealing;
mod sealing_bad_days;
mod search;
mod statistics;
mod support;
