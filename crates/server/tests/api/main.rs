//! The real router over a real store in a temporary file. The modules mirror the URL tree.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "tests may be blunt"
)]

mod auth;
mod batch;
mod conventions;
mod docs;
mod idempotency;
mod item;
mod list;
mod logs;
mod operations;
mod search;
mod serving;
mod statistics;
mod support;
mod sync;
mod transactions;
