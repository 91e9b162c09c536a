//! The program on its bad days: killed, without disk space, overrun, told to stop. Every test runs
//! the real binary and speaks HTTP with it.

#![cfg(test)]

mod chance;
mod client;
mod ledger;
mod server;
#[path = "../stores/mod.rs"]
mod stores;

mod disk;
mod followers;
mod kill;
mod overload;
mod queued;
mod rotation;
mod second;
mod shared;
mod stop;
mod transfers;
