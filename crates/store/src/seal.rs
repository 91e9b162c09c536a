//! Sensitive values at rest. Each user whose items have some has a key of the user's own; it is
//! kept, wrapped by a master key, in the ring: a place outside of the books, so that no copy of
//! the books holds a key. To destroy a user's key is to destroy the user's sensitive values, in
//! the store and in every backup of it.

pub mod cipher;
mod data_key;
mod known;
pub mod mark;
mod master;
mod open;
pub mod ring;
mod write;

use std::fmt;
use std::sync::Arc;

use daybook_core::query::{Query, Term};
use daybook_core::secrets::Holder;
use daybook_core::stats::GroupBy;
use daybook_core::{Json, Secrets};
use parking_lot::RwLock;

pub use self::data_key::{DataKey, DataKeys};
pub use self::known::{Known, Moment};
pub use self::master::{BadMasterKey, MasterKey, Masters};
pub use self::open::{Keys, Sealed, sealed_paths};
pub use self::ring::{MasterStatus, Named, RingStatus};
pub use self::write::{Documents, Owners, Plan};

use crate::{Error, Result};

/// How sensitive values are sealed.
#[derive(Clone)]
pub struct Sealing {
    pub masters: Masters,
    pub secrets: Arc<Secrets>,
    /// Whether the words of sensitive values are searched for all the same, in an index that
    /// keeps them in the clear.
    pub searched: bool,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("masters", &self.masters).finish_non_exhaustive()
    }
}

/// What an open store knows about sealing.
pub struct Seal {
    masters: RwLock<Arc<Masters>>,
    secrets: Arc<Secrets>,
    searched: bool,
    pub known: Known,
}

impl Seal {
    /// Takes over how values are sealed; what books name as sealed stays so.
    pub fn new(sealing: Sealing, named: Option<&Named>) -> Self {
        let Sealing { masters, secrets, searched } = sealing;
        let secrets = match named {
            Some(named) => Arc::new(secrets.and(&named.secrets)),
            None => secrets,
        };
        let known = Known::default();
        Self { masters: RwLock::new(Arc::new(masters)), secrets, searched, known }
    }

    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub fn masters(&self) -> Arc<Masters> {
        Arc::clone(&self.masters.read())
    }

    /// Takes other master keys from now on.
    pub fn use_masters(&self, masters: Masters) {
        *self.masters.write() = Arc::new(masters);
    }

    fn has_any(&self, of: Holder, metadata: &Json) -> bool {
        self.secrets.has_any(of, metadata)
    }

    /// Whether a question asks for the value of a path that may be sealed.
    pub fn needs_key(&self, query: &Query) -> bool {
        let of_secret = |term: &Term| match term {
            Term::Value(path, _) => self.secrets.may_be_secret(path),
            Term::Whole(_) | Term::Beginning(_) => false,
        };
        query.any_of.iter().flatten().chain(&query.none_of).any(of_secret)
    }

    /// Lets a question find sealed values too. A plain value may stand at the same path of an
    /// item of another type, so both are looked for.
    pub fn blind(&self, query: &mut Query, key: &DataKey) {
        for terms in query.any_of.iter_mut().chain([&mut query.none_of]) {
            let more: Vec<Term> = terms.iter().filter_map(|term| self.blinded(term, key)).collect();
            terms.extend(more);
        }
    }

    fn blinded(&self, term: &Term, key: &DataKey) -> Option<Term> {
        match term {
            Term::Value(path, value) if self.secrets.may_be_secret(path) => {
                Some(Term::Whole(key.blind_term(path, value)))
            }
            Term::Value(..) | Term::Whole(_) | Term::Beginning(_) => None,
        }
    }

    /// Refuses a comparison that sealed values cannot answer.
    pub fn require_comparable(&self, query: &Query) -> Result<()> {
        query.compare.iter().try_for_each(|compare| self.require_plain(&compare.path))
    }

    /// Refuses groups by a value that is sealed.
    pub fn require_groups(&self, group_by: &GroupBy) -> Result<()> {
        match group_by {
            GroupBy::Metadata(path) => self.require_plain(path),
            GroupBy::None | GroupBy::Side | GroupBy::TransactionType | GroupBy::Product => Ok(()),
        }
    }

    fn require_plain(&self, path: &str) -> Result<()> {
        match self.secrets.may_be_secret(path) {
            true => Err(Error::Sealed { path: path.to_owned() }),
            false => Ok(()),
        }
    }
}
