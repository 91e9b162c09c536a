//! The real router over a real store in a temporary file. The modules mirror the URL tree.

mod auth;
mod batch;
mod conventions;
mod docs;
mod list;
mod operations;
mod search;
mod serving;
mod statistics;
mod support;
mod sync;
mod transactions;
