//! Daybook over HTTP: the application that handlers reach into, every route, and the loop that
//! serves them. Only this crate knows HTTP.

mod addresses;
pub mod app;
pub mod auth;
pub mod checkpoint;
pub mod client;
pub mod config;
pub mod fingerprint;
pub mod http;
pub mod keyring;
mod metrics;
mod pulse;
pub mod rate;
mod serve;
pub mod telemetry;
pub mod tls;
pub mod work;

pub use serve::{Listener, serve};
