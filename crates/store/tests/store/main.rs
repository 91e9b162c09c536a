//! What stores promise, on good days and on bad ones.

mod bad_days;
mod contract;
mod support;
