//! The first rows of a dry run, as they would be recorded.

use daybook_core::json::Json;
use daybook_core::limits::METADATA_DEPTH_MAX;
use daybook_core::{Amount, Currency};
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::json;
use serde_json::value::RawValue;

use super::check::Checked;
use super::convert::object;
use crate::output::{Column, say_table};

/// Rows that are shown.
pub const ROWS_MAX: usize = 5;

const ITEMS: &[Column] = &[
    Column::number("line", "line"),
    Column::text("user", "user_id"),
    Column::text("type", "transaction_type"),
    Column::text("side", "side"),
    Column::number("amount", "amount"),
    Column::text("currency", "currency"),
    Column::text("status", "status"),
    Column::text("created at", "created_at"),
    Column::text("source", "source"),
    Column::text("external id", "external_id"),
];
const TRANSFERS: &[Column] = &[
    Column::number("line", "line"),
    Column::number("from", "source_account_id"),
    Column::number("to", "destination_account_id"),
    Column::number("amount", "amount"),
    Column::text("currency", "currency"),
    Column::text("created at", "created_at"),
    Column::text("reference", "reference"),
];
const ACCOUNTS: &[Column] = &[
    Column::number("line", "line"),
    Column::number("account", "account_id"),
    Column::text("owner", "user_id"),
    Column::text("currency", "currency"),
    Column::number("opening balance", "initial_balance"),
];

/// A row as it would be recorded: JSON with its line.
pub struct Preview {
    columns: &'static [Column],
    json: String,
}

impl Preview {
    /// Metadata is left out where it may hold values that were encrypted in the file.
    pub fn of(line: u64, checked: &Checked, shows_metadata: bool) -> Self {
        let (columns, mut fields, metadata) = match checked {
            Checked::Item(new) | Checked::Exported { new, .. } => {
                let fields = vec![
                    ("user_id", json!(new.user_id)),
                    ("transaction_type", json!(new.transaction_type)),
                    ("product", json!(new.product)),
                    ("status", json!(new.status)),
                    ("side", json!(new.side)),
                    ("currency", json!(new.currency)),
                    ("amount", json!(new.amount.to_text(new.currency))),
                    ("source", json!(new.source)),
                    ("external_id", json!(new.external_id)),
                    ("source_version", json!(new.revision.version)),
                    ("source_updated_at", json!(new.revision.updated_at)),
                    ("created_at", json!(new.created_at)),
                ];
                (ITEMS, fields, Some(&new.metadata))
            }
            Checked::Shown { id, transfer } => {
                (ITEMS, vec![("id", json!(id)), ("transfer_id", json!(transfer))], None)
            }
            Checked::Transfer(new) => {
                let amount = match new.currency {
                    Some(currency) => new.amount.to_text(currency),
                    None => any_currency(new.amount),
                };
                let fields = vec![
                    ("source_account_id", json!(new.source)),
                    ("destination_account_id", json!(new.destination)),
                    ("amount", json!(amount)),
                    ("currency", json!(new.currency)),
                    ("reference", json!(new.reference)),
                    ("created_at", json!(new.created_at)),
                ];
                (TRANSFERS, fields, Some(&new.metadata))
            }
            Checked::Account(new) => {
                let fields = vec![
                    ("account_id", json!(new.id)),
                    ("user_id", json!(new.user_id)),
                    ("currency", json!(new.currency)),
                    ("initial_balance", json!(new.initial_balance.to_text(new.currency))),
                ];
                (ACCOUNTS, fields, Some(&new.metadata))
            }
        };
        fields.insert(0, ("line", json!(line)));
        let mut fields: Vec<(&str, String)> =
            fields.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        let metadata = metadata.filter(|_| shows_metadata);
        fields.extend(metadata.map(|metadata| ("metadata", metadata.to_string())));
        Self { columns, json: object(&fields) }
    }
}

/// An amount whose currency only the store knows.
fn any_currency(amount: Amount) -> String {
    let widest = Currency::new("XXX", 18).map_or(String::new(), |any| amount.to_text(any));
    widest.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Shows rows as tables, one for each kind of row.
pub fn say(previews: &[Preview]) -> anyhow::Result<()> {
    for columns in [ITEMS, TRANSFERS, ACCOUNTS] {
        let rows = previews.iter().filter(|row| std::ptr::eq(row.columns, columns));
        let rows = rows.map(|row| Json::parse(&row.json, METADATA_DEPTH_MAX + 2));
        let rows: Vec<Json> = rows.collect::<Result<_, _>>()?;
        if !rows.is_empty() {
            say_table(columns, &rows)?;
        }
    }
    Ok(())
}

impl Serialize for Preview {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.json).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}
