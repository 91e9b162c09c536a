//! What stores promise, on good days and on bad ones.

#![cfg(test)]

mod bad_days;
mod contract;
mod support;
