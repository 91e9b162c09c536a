//! What must hold for any bytes at all, one function for each door that foreign text comes in by.
//! cargo-fuzz looks for bytes that break it (`scripts/fuzz`); what it found worth keeping is in
//! `corpus/`, and every test run replays that.

#![expect(clippy::expect_used, clippy::panic, reason = "whatever fails here is a finding")]

mod amounts;
mod books;
mod cursors;
mod filters;
mod import_rows;
mod search;
mod tokens;

pub use amounts::amounts;
pub use cursors::cursors;
pub use filters::filters;
pub use import_rows::import_rows;
pub use search::search;
pub use tokens::tokens;

/// A rule that panics when the bytes break it.
pub type Target = fn(&[u8]);

/// All rules, by the names of their programs and corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("amounts", amounts),
    ("cursors", cursors),
    ("filters", filters),
    ("import_rows", import_rows),
    ("search", search),
    ("tokens", tokens),
];
