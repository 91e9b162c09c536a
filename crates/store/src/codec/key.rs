//! API keys to columns and back.

use daybook_core::key::SecretHash;
use daybook_core::{ApiKey, EventSeq, KeyId};

use super::{Columns, corrupt};
use crate::Result;

/// The columns of a key, in the order in which [`key`] reads them.
pub const KEY: &str = "id, hash, previous, previous_until, body, seq, used_at";

/// Reads [`KEY`].
pub fn key(row: &impl Columns) -> Result<ApiKey> {
    let read: ApiKey =
        serde_json::from_str(row.text(4, "API key")?).map_err(|_| corrupt("API key"))?;
    let previous = row.maybe_bytes(2, "hash")?.map(hash).transpose()?;
    Ok(ApiKey {
        id: KeyId(row.number(0, "API key")?),
        hash: hash(row.bytes(1, "hash")?)?,
        previous: previous.zip(row.maybe_time(3, "time")?),
        seq: EventSeq(row.number(5, "event number")?),
        used_at: row.maybe_time(6, "time")?,
        ..read
    })
}

fn hash(bytes: &[u8]) -> Result<SecretHash> {
    bytes.try_into().map_err(|_| corrupt("hash"))
}
