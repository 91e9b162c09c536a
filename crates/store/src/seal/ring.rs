//! The ring: the keys of users, each wrapped by a master key. What it holds, whichever store.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use daybook_core::Secrets;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::data_key::DataKey;
use super::known::Moment;
use super::master::Masters;
use super::{Keys, Seal, cipher};
use crate::codec::{Columns, corrupt};
use crate::{Error, Result};

/// How the ring is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingStatus {
    pub ring: Uuid,
    pub masters: Vec<MasterStatus>,
    /// Keys that were destroyed.
    pub shredded: u64,
    /// All keys that there ever were.
    pub total: u64,
}

/// What books say of how they are sealed.
pub struct Named {
    pub ring: Uuid,
    /// The fields that deployments have added so far.
    pub secrets: Secrets,
}

impl Named {
    /// Reads the one row that says it.
    pub fn read(row: &impl Columns) -> Result<Self> {
        let ring = Uuid::from_slice(row.bytes(0, "ring")?).map_err(|_| corrupt("ring"))?;
        let names: Vec<String> =
            serde_json::from_str(row.text(1, "fields")?).map_err(|_| corrupt("fields"))?;
        Ok(Self { ring, secrets: Secrets::with(&names).map_err(|_| corrupt("fields"))? })
    }
}

/// The names of the fields that deployments added, as books keep them.
pub fn fields(secrets: &Secrets) -> String {
    serde_json::Value::from_iter(secrets.names()).to_string()
}

/// How many keys a master key wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterStatus {
    pub id: String,
    pub keys: u64,
    pub is_current: bool,
}

impl RingStatus {
    /// From how many keys each master wraps, and how many were destroyed.
    pub fn of(ring: Uuid, wrapped: Vec<(String, u64)>, shredded: u64, masters: &Masters) -> Self {
        let total = shredded + wrapped.iter().map(|(_, keys)| keys).sum::<u64>();
        let current = masters.current.id();
        let status = |(id, keys): (String, u64)| {
            let is_current = id == current;
            MasterStatus { id, keys, is_current }
        };
        let mut masters: Vec<_> = wrapped.into_iter().map(status).collect();
        if !masters.iter().any(|master| master.is_current) {
            masters.push(status((current.to_owned(), 0)));
        }
        Self { ring, masters, shredded, total }
    }
}

/// A key as the ring keeps it.
pub struct RingKey {
    pub number: i64,
    pub owner: String,
    pub master: String,
    /// `None` when it was destroyed.
    pub wrapped: Option<Vec<u8>>,
}

/// A key that is about to be kept.
pub struct NewKey {
    pub owner: String,
    pub master: String,
    pub wrapped: Vec<u8>,
}

impl Seal {
    /// A new key for a user, under the current master key.
    pub fn make_key(&self, owner: &str) -> Result<NewKey> {
        let masters = self.masters();
        let key = Zeroizing::new(cipher::random()?);
        let wrapped = masters.current.wrap(&key, owner)?;
        Ok(NewKey { owner: owner.to_owned(), master: masters.current.id().to_owned(), wrapped })
    }

    /// A key that was read from the ring at a moment, ready for use; `None` when it was destroyed.
    pub fn data_key(&self, kept: &RingKey, read: Moment) -> Result<Option<Arc<DataKey>>> {
        if let Some(key) = self.known.same(kept) {
            return Ok(Some(key));
        }
        let Some(key) = self.unwrapped(kept)? else {
            self.known.drop(kept.number);
            return Ok(None);
        };
        let key = Arc::new(DataKey::try_new(kept.number, &key)?);
        self.known.keep(kept, &key, read);
        Ok(Some(key))
    }

    /// What the ring keeps wrapped; `None` when it was destroyed.
    fn unwrapped(&self, kept: &RingKey) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let Some(wrapped) = &kept.wrapped else { return Ok(None) };
        let masters = self.masters();
        let master = masters.by_id(&kept.master);
        let master = master.ok_or_else(|| unknown_masters([kept.master.clone()]))?;
        let key = master.unwrap_key(wrapped, &kept.owner).ok_or_else(|| Error::Corrupt {
            what: format!("the key {} in the ring does not unwrap", kept.number),
        })?;
        Ok(Some(key))
    }

    /// Keys that were read from the ring at a moment, ready for use.
    pub fn keys(&self, kept: impl IntoIterator<Item = RingKey>, read: Moment) -> Result<Keys> {
        let ready = kept.into_iter().map(|kept| Ok((kept.number, self.data_key(&kept, read)?)));
        Ok(Keys(ready.collect::<Result<_>>()?))
    }

    /// A key wrapped by the current master key instead of the one that wraps it now.
    pub fn rewrapped(&self, kept: &RingKey) -> Result<Option<NewKey>> {
        let Some(key) = self.unwrapped(kept)? else { return Ok(None) };
        let masters = self.masters();
        let wrapped = masters.current.wrap(&key, &kept.owner)?;
        let master = masters.current.id().to_owned();
        Ok(Some(NewKey { owner: kept.owner.clone(), master, wrapped }))
    }
}

/// Refuses master keys that do not unwrap all that is wrapped.
pub fn require_masters(masters: &Masters, used: impl IntoIterator<Item = String>) -> Result<()> {
    let unknown: BTreeSet<String> =
        used.into_iter().filter(|id| masters.by_id(id).is_none()).collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown_masters(unknown)) }
}

fn unknown_masters(ids: impl IntoIterator<Item = String>) -> Error {
    Error::UnknownMasters { ids: ids.into_iter().collect::<Vec<_>>().join(", ") }
}

/// Compares the ring that the books name with the one that is there; answers whether the books
/// are still to name it.
pub fn require_same(
    name: &dyn fmt::Display,
    named: Option<Uuid>,
    found: Option<Uuid>,
) -> Result<()> {
    match (named, found) {
        (None, _) => Ok(()),
        (Some(named), Some(found)) if named == found => Ok(()),
        (Some(_), Some(_)) => Err(Error::ForeignRing { name: name.to_string() }),
        (Some(_), None) => Err(Error::NoRing { name: name.to_string() }),
    }
}
