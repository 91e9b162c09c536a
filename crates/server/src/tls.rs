//! TLS 1.2 and 1.3 with the certificate of the configuration, which may be replaced while the server
//! runs.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daybook_core::Timestamp;
use parking_lot::RwLock;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_cert::der::Decode;

/// What a connection may speak, best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The first byte of every TLS connection: a record that carries the handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// A certificate that ends sooner than this is worth a warning.
const SOON: Duration = Duration::from_secs(14 * 86_400);
/// What somebody hears who speaks HTTP without TLS.
const NOT_TLS: &str = "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\
    \"detail\":\"This port speaks TLS only; use https:// instead of http://.\",\
    \"code\":\"TLS_REQUIRED\"}";
/// How much of what such a client still sends is read, so that it hears the answer.
const FORGOTTEN_MAX: u64 = 64 * 1024;

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate and those that lead to one that clients know, in PEM.
    pub certificate: PathBuf,
    /// Its private key in PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the {what} '{}' (`{name}`) cannot be read: {reason}", path.display())]
    Unreadable { what: &'static str, name: &'static str, path: PathBuf, reason: String },
    #[error("there is no certificate in '{}' (`tls.certificate`); PEM is expected", path.display())]
    NoCertificate { path: PathBuf },
    #[error("the certificate in '{}' (`tls.certificate`) is damaged: {reason}", path.display())]
    BadCertificate { path: PathBuf, reason: String },
    #[error(
        "there is no private key in '{}' (`tls.key`); PEM is expected, without a password",
        path.display()
    )]
    NoKey { path: PathBuf },
    #[error("the private key in '{}' (`tls.key`) cannot be used: {reason}", path.display())]
    BadKey { path: PathBuf, reason: String },
    #[error(
        "the private key in '{}' does not belong to the certificate in '{}'",
        key.display(),
        certificate.display()
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the certificate in '{}' ended at {ended}", path.display())]
    Expired { path: PathBuf, ended: Timestamp },
    #[error("TLS cannot be set up: {reason}")]
    Internal { reason: String },
}

/// The certificate in use; a new one counts for the connections that begin after it.
pub struct Tls {
    files: Files,
    current: RwLock<Arc<ServerConfig>>,
}

/// What was read from the files.
struct Read {
    config: ServerConfig,
    expired: Option<Error>,
    warnings: Vec<String>,
}

impl Tls {
    /// Reads the files; also gives warnings to show, such as that the certificate ends soon. One
    /// that ended is warned of only, because it may be the clock that is wrong.
    ///
    /// # Errors
    /// Says which file cannot be used, and why.
    pub fn open(files: Files) -> Result<(Self, Vec<String>), Error> {
        let Read { config, expired, mut warnings } = read(&files)?;
        warnings.extend(expired.map(|expired| expired.to_string()));
        Ok((Self { files, current: RwLock::new(Arc::new(config)) }, warnings))
    }

    /// Reads the files again. When they cannot be used, what was read before stays in use.
    ///
    /// # Errors
    /// As [`Tls::open`], and when the certificate has ended.
    pub fn reload(&self) -> Result<Vec<String>, Error> {
        let Read { config, expired, warnings } = read(&self.files)?;
        if let Some(expired) = expired {
            return Err(expired);
        }
        *self.current.write() = Arc::new(config);
        Ok(warnings)
    }

    /// Begins a connection; `None` when there is nothing to be said on it.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first != [HANDSHAKE_RECORD] {
            if first.iter().all(u8::is_ascii_uppercase) {
                refuse_plain_http(stream).await?;
            }
            return Ok(None);
        }
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.read()));
        acceptor.accept(stream).await.map(Some)
    }
}

/// Tells a client that forgot the `s` of `https` what to do.
async fn refuse_plain_http(mut stream: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\n\r\n{NOT_TLS}",
        NOT_TLS.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // A connection that is closed with something unread is reset, and the answer may be lost.
    tokio::io::copy(&mut stream.take(FORGOTTEN_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

fn read(files: &Files) -> Result<Read, Error> {
    let Files { certificate, key } = files;
    let chain = read_chain(certificate)?;
    let (private, mode) = read_key(key)?;
    let mut warnings = Vec::new();
    if mode & 0o004 != 0 {
        let path = key.display();
        warnings.push(format!("everybody on this machine can read the private key '{path}'"));
    }
    let validity = validity(&chain, certificate)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certified =
        CertifiedKey::from_der(chain, private, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                Error::Mismatch { certificate: certificate.clone(), key: key.clone() }
            }
            rustls::Error::General(reason) => Error::BadKey { path: key.clone(), reason },
            error => Error::BadKey { path: key.clone(), reason: error.to_string() },
        })?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal { reason: error.to_string() })?;
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    let (expired, warning) = judge(validity, certificate);
    warnings.extend(warning);
    Ok(Read { config, expired, warnings })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let what = "certificate";
    let text = fs::read(path).map_err(|error| unreadable(what, "tls.certificate", path, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| Error::BadCertificate {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    if chain.is_empty() { Err(Error::NoCertificate { path: path.to_owned() }) } else { Ok(chain) }
}

/// Reads the key and the mode of its file.
fn read_key(path: &Path) -> Result<(PrivateKeyDer<'static>, u32), Error> {
    let cannot = |error: &io::Error| unreadable("private key", "tls.key", path, error);
    let text = fs::read(path).map_err(|error| cannot(&error))?;
    let mode = fs::metadata(path).map_err(|error| cannot(&error))?.permissions().mode();
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => Error::NoKey { path: path.to_owned() },
        error => Error::BadKey { path: path.to_owned(), reason: error.to_string() },
    })?;
    Ok((key, mode))
}

fn unreadable(what: &'static str, name: &'static str, path: &Path, error: &io::Error) -> Error {
    Error::Unreadable { what, name, path: path.to_owned(), reason: error.to_string() }
}

/// From when until when the first certificate, which is the server's own, is good.
fn validity(chain: &[CertificateDer<'_>], path: &Path) -> Result<[Timestamp; 2], Error> {
    let bad = |reason: String| Error::BadCertificate { path: path.to_owned(), reason };
    let own = chain.first().ok_or_else(|| Error::NoCertificate { path: path.to_owned() })?;
    let own = x509_cert::Certificate::from_der(own).map_err(|error| bad(error.to_string()))?;
    let validity = own.tbs_certificate.validity;
    Ok([validity.not_before, validity.not_after].map(|time| {
        let micros = time.to_unix_duration().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }))
}

/// Whether the certificate is past, and what else should be said of its time.
fn judge([from, to]: [Timestamp; 2], path: &Path) -> (Option<Error>, Option<String>) {
    let (now, shown) = (crate::app::now(), path.display());
    let soon = i64::try_from(SOON.as_micros()).unwrap_or(i64::MAX);
    if to <= now {
        (Some(Error::Expired { path: path.to_owned(), ended: to }), None)
    } else if from > now {
        (None, Some(format!("the certificate in '{shown}' is not good before {from}")))
    } else if to.micros().saturating_sub(soon) <= now.micros() {
        (None, Some(format!("the certificate in '{shown}' ends at {to}; renew it soon")))
    } else {
        (None, None)
    }
}
