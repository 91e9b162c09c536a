//! Values that another system encrypted with Fernet: opened before they are recorded, so that the
//! store seals what they say and not the tokens. The form of tokens is
//! <https://github.com/fernet/spec>.

use std::path::Path;

use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use daybook_core::json::{Fields, Json};
use daybook_core::limits::METADATA_DEPTH_MAX;
use daybook_core::{FieldError, Rejection};

use super::convert::object;
use crate::output::usage;

/// The first byte of every token.
const VERSION: u8 = 0x80;
/// How every token begins: the version and a time before the year 2106.
const BEGINNING: &str = "gAAAAA";
/// Version, time, initialization vector and authentication code; the ciphertext has its own blocks.
const IV_AT: usize = 9;
const CIPHERTEXT_AT: usize = 25;
const MAC_BYTES: usize = 32;

/// One key: half of it signs, half of it encrypts.
struct Key {
    signing: hmac::Key,
    encryption: [u8; 16],
}

/// Opens the tokens of metadata, or with a mapping those of its columns.
pub struct Fernet {
    keys: Vec<Key>,
    /// The metadata fields, and with a mapping the columns or fields, that must be tokens.
    fields: Vec<String>,
}

impl Fernet {
    /// Reads a file of keys, one a line, and takes the fields whose values must be tokens.
    ///
    /// # Errors
    /// When the file cannot be read or a line of it is no key. The line is never shown.
    pub fn read(path: &Path, fields: Vec<String>) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| usage(format!("'{shown}' cannot be read: {error}")))?;
        let mut keys = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = || usage(format!("line {} of '{shown}' is no Fernet key", index + 1));
            keys.push(Key::parse(line).ok_or_else(bad)?);
        }
        if keys.is_empty() {
            return Err(usage(format!("there is no Fernet key in '{shown}'")));
        }
        Ok(Self { keys, fields })
    }

    /// The body with the tokens of its metadata opened.
    ///
    /// # Errors
    /// When a field that must be a token is none, or none that the keys open.
    pub fn open_body(&self, body: String) -> Result<String, Rejection> {
        if !body.contains("\"metadata\"") {
            return Ok(body);
        }
        let fields = Fields::parse(&body)?;
        let Some((_, raw)) = fields.0.iter().find(|(name, _)| name == "metadata") else {
            return Ok(body);
        };
        // What is no JSON of the allowed depth is refused by the checks that follow.
        let Ok(mut metadata) = Json::parse(raw.get(), METADATA_DEPTH_MAX) else {
            return Ok(body);
        };
        let mut errors = Vec::new();
        let changed = self.open_under(&mut metadata, "", &mut errors);
        if !errors.is_empty() {
            return Err(Rejection::Invalid(errors));
        }
        if !changed {
            return Ok(body);
        }
        let metadata = metadata.to_string();
        let opened: Vec<(&str, &str)> = fields
            .0
            .iter()
            .map(|(name, raw)| match name.as_str() {
                "metadata" => ("metadata", metadata.as_str()),
                other => (other, raw.get()),
            })
            .collect();
        Ok(object(&opened))
    }

    /// Opens every token of a value; answers whether there was one.
    fn open_under(&self, value: &mut Json, path: &str, errors: &mut Vec<FieldError>) -> bool {
        let is_named = self.fields.iter().any(|field| field == path);
        match value {
            Json::String(text) => {
                let opened = self.open_text(text);
                let found = opened.is_some();
                match opened {
                    Some(plain) => *text = plain,
                    None if is_named => errors.push(unopened(path)),
                    None => {}
                }
                found
            }
            Json::Object(entries) => {
                let mut changed = false;
                for (key, value) in entries {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    changed |= self.open_under(value, &path, errors);
                }
                changed
            }
            Json::Array(items) => {
                let mut changed = false;
                for item in items {
                    changed |= self.open_under(item, path, errors);
                }
                changed
            }
            Json::Null => false,
            Json::Bool(_) | Json::Number(_) => {
                if is_named {
                    errors.push(unopened(path));
                }
                false
            }
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(String::as_str)
    }

    /// The text of a token; `None` when the text is none, or no key opens it.
    pub fn open_text(&self, text: &str) -> Option<String> {
        text.starts_with(BEGINNING).then(|| self.open(text)).flatten()
    }

    /// The text of a token; `None` when no key opens it.
    fn open(&self, token: &str) -> Option<String> {
        let bytes = URL_SAFE.decode(token).ok()?;
        let plain = self.keys.iter().find_map(|key| key.open(&bytes))?;
        String::from_utf8(plain).ok()
    }
}

fn unopened(path: &str) -> FieldError {
    let pointer = format!("/metadata/{}", path.replace('.', "/"));
    FieldError::new(&pointer, "FERNET", "no Fernet key that was given opens this value".to_owned())
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text).ok()?;
        let (signing, encryption) = bytes.split_first_chunk::<16>()?;
        let signing = hmac::Key::new(hmac::HMAC_SHA256, signing);
        Some(Self { signing, encryption: encryption.try_into().ok()? })
    }

    /// What a token holds. Its time is not looked at: tokens at rest do not expire.
    fn open(&self, token: &[u8]) -> Option<Vec<u8>> {
        let (signed, mac) = token.split_last_chunk::<MAC_BYTES>()?;
        // Compares in constant time.
        hmac::verify(&self.signing, signed, mac).ok()?;
        if *signed.first()? != VERSION {
            return None;
        }
        let iv: [u8; 16] = signed.get(IV_AT..CIPHERTEXT_AT)?.try_into().ok()?;
        let mut text = signed.get(CIPHERTEXT_AT..)?.to_vec();
        let key = UnboundCipherKey::new(&AES_128, &self.encryption).ok()?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        Some(key.decrypt(&mut text, context).ok()?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const SPEC_TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER_KEY: &str = "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f4CBgoM=";
    /// Made with Python's `cryptography` with `KEY`.
    const MADE: [(&str, &str); 4] = [
        (
            "",
            "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD7eteCFsVWnW2hqrh_bbxWG2kgARxHn5BD1_8db41B-9AjTeFsfNLWkqNE3aSOKVfQ==",
        ),
        (
            "ann@example.org",
            "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD_xeX7ux-BWgZQjMw3mkhN-WiYf5yiVyOQHr4lX9X3OD9jTs3v5PWe_EEy2JGbu5vg==",
        ),
        (
            "sixteen bytes ok",
            "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD2VkXc8Co6KPUH8sACHuCkJ29fQMHN__ZUoJy5DOKrk_djw1-43q1aBMqwxskybWgxcOW6mPa456VCKoIc96vQk=",
        ),
        (
            "Zoë — straße",
            "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD6ZB-1oKLSiViA26PXunT7a71iBYbdvReY0jsVKBAdIbHRUKDMdRHJ1RbaKGa1H3LJCBFPM5JmRMgMeMYUgWj6w=",
        ),
    ];
    /// "4111111111111111" with `OTHER_KEY`.
    const OTHERS: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODzZ0e5nPB9xQguqol_4GlWnUAbszvNSgVt3YLEGFmlDRjvCZZg5O6viJWqtbdJWYPiSGgxrAGRKY-IenvrYPwIA=";
    /// Two bytes that are no UTF-8.
    const NO_TEXT: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD1tEsnZo_FktR0NGksaDJUZqobzzuXMsYtC8L1G40KIxvEkWp2bRaKfSo-Oe_L0G-g==";

    fn fernet(keys: &[&str], fields: &[&str]) -> Fernet {
        Fernet {
            keys: keys.iter().map(|key| Key::parse(key).expect("a key")).collect(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        }
    }

    #[test]
    fn tokens_of_the_specification_and_of_another_program_open() {
        assert_eq!(fernet(&[SPEC_KEY], &[]).open(SPEC_TOKEN).as_deref(), Some("hello"));
        let both = fernet(&[OTHER_KEY, KEY], &[]);
        for (plain, token) in MADE {
            assert_eq!(both.open(token).as_deref(), Some(plain));
            assert_eq!(fernet(&[OTHER_KEY], &[]).open(token), None);
        }
        assert_eq!(both.open(OTHERS).as_deref(), Some("4111111111111111"));
        assert_eq!(both.open(NO_TEXT), None);
    }

    #[test]
    fn a_changed_token_does_not_open() {
        let spec = fernet(&[SPEC_KEY], &[]);
        let whole = URL_SAFE.decode(SPEC_TOKEN).expect("base64");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(spec.open(&URL_SAFE.encode(&changed)), None, "byte {at}");
            assert_eq!(spec.open(&URL_SAFE.encode(&whole[..at])), None, "{at} bytes");
        }
        for bad in [
            "",
            "short",
            KEY.get(1..).unwrap_or_default(),
            "not base64 at all, but long enough to be",
        ] {
            assert!(Key::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tokens_of_metadata_are_opened_and_the_rest_stays() {
        let (_, token) = MADE[1];
        let fernet = fernet(&[KEY], &["peer_email"]);
        let body = |metadata: &str| format!(r#"{{"amount":1.50,"metadata":{metadata}}}"#);
        let open = |metadata: &str| fernet.open_body(body(metadata));
        let plain = open(&format!(
            r#"{{"peer_email":"{token}","deep":[{{"x":"{token}"}}],"other":"gAAAAAno","n":1.0}}"#
        ));
        let expected = body(
            r#"{"peer_email":"ann@example.org","deep":[{"x":"ann@example.org"}],"other":"gAAAAAno","n":1.0}"#,
        );
        assert_eq!(plain.expect("opened"), expected);
        let untouched = open(r#"{ "note" : "x" }"#).expect("as it is");
        assert_eq!(untouched, body(r#"{ "note" : "x" }"#));
        for bad in [r#""ann@example.org""#, "7", &format!("\"{OTHERS}\"")] {
            let refused = open(&format!(r#"{{"peer_email":{bad}}}"#)).expect_err("no token");
            let Rejection::Invalid(errors) = &refused else { panic!("{refused}") };
            assert_eq!(errors[0].pointer, "/metadata/peer_email");
            assert_eq!(errors[0].code, "FERNET");
        }
    }
}
