//! The program on its bad days: killed, without disk space, overrun, told to stop. Every test runs
//! the real binary and speaks HTTP with it.

#![cfg(test)]

mod chance;
mod client;
mod server;

mod disk;
mod kill;
mod overload;
mod second;
mod stop;
