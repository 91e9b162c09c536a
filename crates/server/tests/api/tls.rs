//! TLS: what is spoken, with which certificate, and what those hear who speak something else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use daybook_server::Listener;
use daybook_server::app::Settings;
use daybook_server::tls::{Files, Tls};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::Pair;
use crate::serving::{BODY, Server, h2, post, read_all, serving};

struct Secured {
    server: Server,
    tls: Arc<Tls>,
    folder: TempDir,
}

async fn secured(pair: &Pair, settings: Settings) -> Secured {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = pair.write(folder.path());
    let (tls, warnings) = Tls::open(Files { certificate, key }).expect("good files");
    assert_eq!(warnings, [""; 0]);
    let tls = Arc::new(tls);
    let server = serving(settings, |tcp| Listener::with_tls(tcp, tls.clone())).await;
    Secured { server, tls, folder }
}

impl Secured {
    async fn connect(&self, client: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(client).connect(name, self.server.connect().await).await
    }

    async fn ask(&self, client: Arc<ClientConfig>, request: &str) -> String {
        let mut stream = self.connect(client).await.expect("TLS");
        stream.write_all(request.as_bytes()).await.expect("sent");
        read_all(&mut stream).await
    }
}

fn get(host: &str) -> String {
    format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_nothing_older() {
    let pair = Pair::new();
    let secured = secured(&pair, Settings::default()).await;
    for version in [&TLS12, &TLS13] {
        let client = pair.client(&[version], &[]);
        let mut stream = secured.connect(client).await.expect("TLS");
        let spoken = stream.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(version.version));
        stream.write_all(post(BODY, BODY.len()).as_bytes()).await.expect("sent");
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    }
    // A greeting that knows TLS 1.1 at best.
    let mut old = vec![22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 2];
    old.extend([7; 32]);
    old.extend([0, 0, 2, 0, 47, 1, 0, 0, 0]);
    let alert = secured.server.say(&old).await;
    assert_eq!(alert.as_bytes().first(), Some(&21), "an alert and the end");
    secured.server.end().await;
}

#[tokio::test]
async fn the_protocol_is_agreed_on_in_the_handshake() {
    let pair = Pair::new();
    let secured = secured(&pair, Settings::default()).await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = secured.connect(pair.client(&[&TLS13], offered)).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
    }
    assert!(secured.connect(pair.client(&[&TLS13], &["gopher"])).await.is_err());
    let stream = secured.connect(pair.client(&[&TLS13], &["h2"])).await.expect("TLS");
    let (client, _working) = h2(stream).await;
    let mut client = client.ready().await.expect("ready");
    let request = http::Request::get("https://localhost/livez").body(()).expect("a request");
    let (answer, _) = client.send_request(request, true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    secured.server.end().await;
}

#[tokio::test]
async fn only_tls_asks_browsers_for_tls() {
    let pair = Pair::new();
    let guarded = daybook_server::http::Names::Any;
    let secured = secured(&pair, Settings { names: guarded, ..Settings::default() }).await;
    let said = "strict-transport-security: max-age=31536000";
    let answer = secured.ask(pair.client(&[&TLS13], &[]), &get("books.example")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(said), "{answer}");
    let answer = secured.ask(pair.client(&[&TLS13], &[]), &get("localhost:8000")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("strict-transport"), "every port of localhost would be meant");
    let plain = serving(Settings { names: guarded, ..Settings::default() }, Listener::from).await;
    let answer = plain.say(get("books.example").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("strict-transport"), "{answer}");
    plain.end().await;
    secured.server.end().await;
}

#[tokio::test]
async fn those_who_speak_no_tls_hear_so_or_are_let_go() {
    let pair = Pair::new();
    let read_timeout = Duration::from_secs(1);
    let secured = secured(&pair, Settings { read_timeout, ..Settings::default() }).await;
    let answer = secured.server.say(post(BODY, BODY.len()).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("TLS_REQUIRED") && answer.contains("use https://"), "{answer}");
    // As large as a client that only listens once it has sent all; it is reset, but not waited for.
    let large = post(&" ".repeat(1_000_000), 1_000_000);
    let mut stream = secured.server.connect().await;
    let _sent_or_reset = stream.write_all(large.as_bytes()).await;
    for silent in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        assert_eq!(secured.server.say(silent).await, "", "{silent:?}");
    }
    for garbage in [&b"\x80\x81\x82 garbage"[..], b"lower case\r\n\r\n", b"\0\0\0\0"] {
        let begun = Instant::now();
        let mut stream = secured.server.connect().await;
        stream.write_all(garbage).await.expect("sent");
        // Closed with something unread, a connection may be reset.
        let mut answer = Vec::new();
        let _reset = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        assert!(answer.is_empty() && begun.elapsed() < Duration::from_secs(5), "{answer:?}");
    }
    let mut broken = vec![22, 3, 1, 0, 4];
    broken.extend(b"\x01\x00\x00\x00");
    let alert = secured.server.say(&broken).await;
    assert_eq!(alert.as_bytes().first(), Some(&21), "an alert and the end");
    let answer = secured.ask(pair.client(&[&TLS13], &[]), &get("localhost")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "others are served: {answer}");
    secured.server.end().await;
}

#[tokio::test]
async fn tls_to_a_plain_port_is_let_go() {
    let pair = Pair::new();
    let plain = serving(Settings::default(), Listener::from).await;
    let name = ServerName::try_from("localhost").expect("a name");
    let connecting =
        TlsConnector::from(pair.client(&[&TLS13], &[])).connect(name, plain.connect().await);
    let connected = tokio::time::timeout(Duration::from_secs(10), connecting).await;
    assert!(connected.expect("in time").is_err());
    plain.end().await;
}

#[tokio::test]
async fn hands_that_shake_slowly_hold_up_nobody() {
    let pair = Pair::new();
    let secured = secured(&pair, Settings::default()).await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = secured.server.connect().await;
        stream.write_all(&[22, 3, 1]).await.expect("sent");
        slow.push(stream);
    }
    let answer = secured.ask(pair.client(&[&TLS13], &[]), &get("localhost")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Nor the end, although they would have twenty seconds.
    let begun = Instant::now();
    secured.server.end().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_new_certificate_counts_for_new_connections() {
    let (old, new) = (Pair::new(), Pair::new());
    let secured = secured(&old, Settings::default()).await;
    let [knows_old, knows_new] = [&old, &new].map(|pair| pair.client(&[&TLS13], &[]));
    let mut standing = secured.connect(knows_old.clone()).await.expect("TLS");
    assert!(secured.connect(knows_new.clone()).await.is_err());

    new.write(secured.folder.path());
    secured.tls.reload().expect("good files");
    assert!(secured.connect(knows_old.clone()).await.is_err());
    let answer = secured.ask(knows_new.clone(), &get("localhost")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    standing.write_all(get("localhost").as_bytes()).await.expect("sent");
    let answer = read_all(&mut standing).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "what stood goes on: {answer}");

    // Half replaced, damaged, past, gone: what was read before stays.
    let past = Pair::of(&rcgen::PKCS_ECDSA_P256_SHA256, [2001, 2002]);
    let files = |path: &Path| (path.join("chain.pem"), path.join("key.pem"));
    let (chain, key) = files(secured.folder.path());
    fs::write(&chain, &old.certificate_pem).expect("written");
    let said = secured.tls.reload().expect_err("a mismatch").to_string();
    assert!(said.contains("does not belong to the certificate"), "{said}");
    past.write(secured.folder.path());
    let said = secured.tls.reload().expect_err("it is past").to_string();
    assert!(said.ends_with("ended at 2002-01-01T00:00:00.000000Z"), "{said}");
    fs::remove_file(&key).expect("removed");
    let said = secured.tls.reload().expect_err("no key").to_string();
    assert!(said.contains("(`tls.key`) cannot be read: No such file"), "{said}");
    let answer = secured.ask(knows_new, &get("localhost")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    secured.server.end().await;
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

/// What a key of PKCS #8 holds behind its version and algorithm.
fn inner(pair: &Pair, from: usize) -> Vec<u8> {
    let inner = pair.key.serialize_der()[from..].to_vec();
    assert_eq!(inner.first(), Some(&0x30), "a sequence");
    inner
}

fn open(folder: &Path) -> Result<Vec<String>, String> {
    let files = Files { certificate: folder.join("chain.pem"), key: folder.join("key.pem") };
    Tls::open(files).map(|(_, warnings)| warnings).map_err(|error| error.to_string())
}

#[test]
fn a_key_may_stand_in_any_usual_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = [2024, 4024];
    let (p256, rsa, ed) = (
        Pair::of(&rcgen::PKCS_ECDSA_P256_SHA256, ours),
        Pair::of(&rcgen::PKCS_RSA_SHA256, ours),
        Pair::of(&rcgen::PKCS_ED25519, ours),
    );
    for (pair, key) in [
        (&p256, p256.key.serialize_pem()),
        (&p256, pem("EC PRIVATE KEY", &inner(&p256, 29))),
        (&rsa, rsa.key.serialize_pem()),
        (&rsa, pem("RSA PRIVATE KEY", &inner(&rsa, 26))),
        (&ed, ed.key.serialize_pem()),
    ] {
        let (_, path) = pair.write(folder.path());
        fs::write(path, &key).expect("written");
        assert_eq!(open(folder.path()), Ok(Vec::new()), "{}", key.lines().next().unwrap_or(""));
    }
}

#[test]
fn files_that_cannot_be_used_are_told_apart() {
    let (pair, other) = (Pair::new(), Pair::new());
    let key = pair.key.serialize_pem();
    let locked = pem("ENCRYPTED PRIVATE KEY", b"x");
    let damaged = key.replace("MIG", "!!!");
    let der = pair.certificate.to_vec();
    let cut = pem("CERTIFICATE", &der[..der.len() / 2]);
    let certificate = pair.certificate_pem.as_str();
    for (chain, key, expected) in [
        (
            None,
            Some(key.as_str()),
            "the certificate 'chain.pem' (`tls.certificate`) cannot be read",
        ),
        (Some(certificate), None, "the private key 'key.pem' (`tls.key`) cannot be read: No such"),
        (Some(""), Some(&key), "there is no certificate in 'chain.pem' (`tls.certificate`); PEM"),
        (Some(&key), Some(&key), "there is no certificate in 'chain.pem'"),
        (Some(&cut), Some(&key), "the certificate in 'chain.pem' (`tls.certificate`) is damaged"),
        (Some(certificate), Some(certificate), "there is no private key in 'key.pem' (`tls.key`)"),
        (Some(certificate), Some(&locked), "there is no private key in 'key.pem' (`tls.key`); PEM"),
        (Some(certificate), Some(&damaged), "the private key in 'key.pem' (`tls.key`) cannot be"),
        (
            Some(certificate),
            Some(&other.key.serialize_pem()),
            "the private key in 'key.pem' does not belong to the certificate in 'chain.pem'",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: Option<&str>| {
            text.map(|text| fs::write(folder.path().join(name), text).expect("written"))
        };
        write("chain.pem", chain);
        write("key.pem", key);
        let said = open(folder.path()).expect_err(expected);
        let said = said.replace(&format!("{}/", folder.path().display()), "");
        assert!(said.starts_with(expected), "{said}");
        assert!(!said.contains("MIG"), "nothing of a key is told: {said}");
    }
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    let warnings = |pair: &Pair, mode: u32| {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, key) = pair.write(folder.path());
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).expect("permitted");
        let path = format!("{}/", folder.path().display());
        open(folder.path())
            .expect("usable")
            .iter()
            .map(|said| said.replace(&path, ""))
            .collect::<Vec<_>>()
    };
    let none: Vec<String> = Vec::new();
    let (good, past, future) =
        (Pair::new(), Pair::of(p256, [2001, 2002]), Pair::of(p256, [4000, 4001]));
    assert_eq!(warnings(&good, 0o600), none);
    assert_eq!(warnings(&good, 0o640), none);
    let readable = "everybody on this machine can read the private key 'key.pem'";
    assert_eq!(warnings(&good, 0o644), [readable]);
    let ended = "the certificate in 'chain.pem' ended at 2002-01-01T00:00:00.000000Z";
    assert_eq!(warnings(&past, 0o600), [ended]);
    let early = "the certificate in 'chain.pem' is not good before 4000-01-01T00:00:00.000000Z";
    assert_eq!(warnings(&future, 0o600), [early]);
}
