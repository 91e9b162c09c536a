//! Certificates for tests, made anew each time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// A certificate that signs itself, and its key.
pub struct Pair {
    pub certificate: CertificateDer<'static>,
    pub certificate_pem: String,
    pub key: KeyPair,
}

impl Pair {
    pub fn new() -> Self {
        Self::of(&rcgen::PKCS_ECDSA_P256_SHA256, [2024, 4024])
    }

    /// One that is good between these years.
    pub fn of(algorithm: &'static SignatureAlgorithm, [from, to]: [i32; 2]) -> Self {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let names = ["localhost", "books.example", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        let certificate_pem = certificate.pem();
        Self { certificate: certificate.der().clone(), certificate_pem, key }
    }

    /// Writes both files; gives their paths.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, &self.certificate_pem).expect("written");
        std::fs::write(&key, self.key.serialize_pem()).expect("written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, private).expect("permitted");
        (certificate, key)
    }

    /// A client that knows this certificate and no other.
    pub fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let config = config.expect("versions").with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
