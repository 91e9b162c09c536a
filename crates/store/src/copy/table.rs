//! The tables that both kinds of store have, what they hold, and in which order they are read.

/// How a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Text,
    Json,
    Bytes,
    Uuid,
    /// An amount of an item, which sorts as it is kept.
    Amount,
    /// Any other amount or balance.
    Money,
    Flag,
}

/// A column: its name and how its values are kept.
pub type Column = (&'static str, Kind);

#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// What rows are ordered by where the store has no better order.
    pub key: &'static [Column],
}

use Kind::{Amount, Bytes, Flag, Json, Money, Number, Text, Uuid};

/// In the order in which they are copied.
pub const TABLES: &[Table] = &[
    Table { name: "users", columns: &[("user", Number), ("name", Text)], key: &[("user", Number)] },
    Table {
        name: "events",
        // In the order of `codec::event`; the user and the link behind them.
        columns: &[
            ("seq", Number),
            ("event_type", Text),
            ("at", Number),
            ("subject", Bytes),
            ("version", Number),
            ("previous", Number),
            ("body", Text),
            ("user", Number),
            ("link", Bytes),
        ],
        key: &[("seq", Number)],
    },
    Table {
        name: "transactions",
        // In the order of `codec::ITEM`; the user behind them.
        columns: &[
            ("id", Uuid),
            ("type", Text),
            ("product", Text),
            ("status", Text),
            ("side", Text),
            ("currency", Text),
            ("digits", Number),
            ("amount", Amount),
            ("metadata", Json),
            ("source", Text),
            ("external_id", Text),
            ("version", Number),
            ("created_at", Number),
            ("recorded_at", Number),
            ("updated_at", Number),
            ("seq", Number),
            ("transfer", Uuid),
            ("side_given", Flag),
            ("source_version", Number),
            ("source_updated_at", Number),
            ("user", Number),
        ],
        key: &[("id", Uuid)],
    },
    Table {
        name: "statistics",
        columns: &[
            ("user", Number),
            ("currency", Text),
            ("digits", Number),
            ("month", Number),
            ("day", Number),
            ("updated_at", Number),
            ("sums", Bytes),
            ("counts", Bytes),
            ("slots", Bytes),
        ],
        key: &[
            ("user", Number),
            ("currency", Text),
            ("digits", Number),
            ("month", Number),
            ("day", Number),
        ],
    },
    Table {
        name: "words",
        columns: &[("user", Number), ("word", Text)],
        key: &[("user", Number), ("word", Text)],
    },
    Table {
        name: "accounts",
        columns: &[
            ("account", Number),
            ("user", Number),
            ("currency", Text),
            ("digits", Number),
            ("name", Text),
            ("metadata", Json),
            ("status", Text),
            ("overdraft", Money),
            ("version", Number),
            ("created_at", Number),
            ("updated_at", Number),
            ("seq", Number),
        ],
        key: &[("account", Number)],
    },
    Table {
        name: "funds",
        columns: &[
            ("account", Number),
            ("balance", Money),
            ("pending_in", Money),
            ("pending_out", Money),
            ("posted_last", Number),
            ("posted_count", Number),
            ("posted_at", Number),
            ("listed_last", Number),
            ("listed_count", Number),
        ],
        key: &[("account", Number)],
    },
    Table {
        name: "transfers",
        columns: &[
            ("number", Number),
            ("id", Uuid),
            ("status", Text),
            ("source", Number),
            ("destination", Number),
            ("currency", Text),
            ("digits", Number),
            ("amount", Money),
            ("held", Money),
            ("reference", Text),
            ("metadata", Json),
            ("expires_in", Number),
            ("expires_at", Number),
            ("execute_at", Number),
            ("rolls_back", Uuid),
            ("rolled_back_by", Uuid),
            ("retry_count", Number),
            ("last_error", Text),
            ("last_attempt", Number),
            ("next_attempt", Number),
            ("posted_at", Number),
            ("source_balance", Money),
            ("source_previous", Number),
            ("destination_balance", Money),
            ("destination_previous", Number),
            ("is_shown", Flag),
            ("source_earlier", Number),
            ("destination_earlier", Number),
            ("version", Number),
            ("created_at", Number),
            ("updated_at", Number),
            ("seq", Number),
            ("due", Number),
        ],
        key: &[("number", Number)],
    },
    Table {
        name: "marks",
        columns: &[("account", Number), ("sequence", Number), ("key", Number), ("number", Number)],
        key: &[("account", Number), ("sequence", Number), ("key", Number), ("number", Number)],
    },
    Table {
        name: "replies",
        columns: &[("scope", Bytes), ("at", Number), ("body", Text)],
        // The embedded store numbers them in the order in which they are written.
        key: &[("at", Number), ("scope", Bytes)],
    },
    Table {
        name: "api_keys",
        columns: &[
            ("id", Number),
            ("hash", Bytes),
            ("previous", Bytes),
            ("previous_until", Number),
            ("body", Text),
            ("seq", Number),
            ("used_at", Number),
        ],
        key: &[("id", Number)],
    },
    Table {
        name: "followers",
        // Who follows the log is not copied, only how far: nobody has the copy open.
        columns: &[("name", Text), ("position", Number)],
        key: &[("name", Text)],
    },
    Table {
        name: "sealing",
        columns: &[("ring", Bytes), ("fields", Text)],
        key: &[("ring", Bytes)],
    },
];
