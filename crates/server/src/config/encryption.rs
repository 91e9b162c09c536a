//! The section `[encryption]`: which values are sealed at rest, and where the master keys are.

use std::path::PathBuf;
use std::sync::Arc;

use daybook_core::Secrets;
use daybook_store::Sealing;
use serde::Deserialize;

use super::{Config, Error, Secret};
use crate::keyring::KeySource;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    pub key: Secret,
    /// Empty is none.
    pub key_file: PathBuf,
    /// Empty is none.
    pub key_command: Vec<String>,
    pub fields: Vec<String>,
    pub search: bool,
}

impl Encryption {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let given = [
            self.key.reveal().is_some(),
            !self.key_file.as_os_str().is_empty(),
            !self.key_command.is_empty(),
        ];
        if given.into_iter().filter(|given| *given).count() > 1 {
            let expected = "the only one of `key`, `key_file` and `key_command`";
            return Err(("encryption.key", expected.to_owned()));
        }
        let fields = Secrets::with(&self.fields);
        fields.map(drop).map_err(|bad| ("encryption.fields", format!("a list of fields; {bad}")))
    }
}

impl Config {
    /// Where the master keys are; `None` where nothing is sealed.
    #[must_use]
    pub fn key_source(&self) -> Option<KeySource> {
        let Encryption { key, key_file, key_command, .. } = &self.encryption;
        if key.reveal().is_some() {
            Some(KeySource::Text(key.clone()))
        } else if !key_file.as_os_str().is_empty() {
            Some(KeySource::File(key_file.clone()))
        } else if !key_command.is_empty() {
            Some(KeySource::Command(key_command.clone()))
        } else {
            None
        }
    }

    /// How the store seals; `None` where it does not. Reads the master keys.
    ///
    /// # Errors
    /// When the master keys cannot be read.
    pub fn sealing(&self) -> Result<Option<Sealing>, Error> {
        let Some(source) = self.key_source() else { return Ok(None) };
        let inconsistent = |reason: String| Error::Inconsistent { reason };
        let masters = source.read().map_err(Error::Keys)?;
        let secrets = Secrets::with(&self.encryption.fields);
        let secrets = Arc::new(secrets.map_err(|error| inconsistent(error.to_string()))?);
        Ok(Some(Sealing { masters, secrets, searched: self.encryption.search }))
    }
}
