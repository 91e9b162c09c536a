//! TLS as it is configured and as SIGHUP renews it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConnection, StreamOwned};

use crate::certificates::Pair;
use crate::folder::Folder;
use crate::serve::Server;

const CONFIGURED: &str = "[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n";

/// Asks a server by TLS as somebody who knows one certificate.
fn ask(server: &Server, known: &Pair) -> std::io::Result<String> {
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(known.client(&[&TLS13], &[]), name).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(&server.address)?);
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Waits until the log has this many lines with these words.
fn wait_for(folder: &Folder, words: &str, count: usize) {
    let begun = Instant::now();
    while folder.read("log").matches(words).count() < count {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", folder.read("log"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn sighup_takes_a_new_certificate_and_keeps_the_old_one_when_it_cannot() {
    let folder = Folder::new();
    let (old, new) = (Pair::new(), Pair::new());
    old.write(&folder.path(""));
    folder.write("daybook.toml", CONFIGURED);
    let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.stderr(File::create(folder.path("log")).unwrap());
    let server = Server::wait_logging(command);
    assert_eq!(server.scheme, "https");
    assert!(ask(&server, &old).unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask(&server, &new).is_err());
    assert!(server.get("/livez").contains("use https://"));

    new.write(&folder.path(""));
    server.signal("HUP");
    wait_for(&folder, "new connections get the certificate", 1);
    assert!(ask(&server, &new).unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask(&server, &old).is_err());

    folder.write("key.pem", "no key");
    server.signal("HUP");
    wait_for(&folder, "the certificate in use stays", 1);
    assert!(folder.read("log").contains("there is no private key in 'key.pem'"));
    assert!(ask(&server, &new).unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(server.terminate(), Some(0));
    // The only warning is that anybody may call.
    let warnings = folder.read("log").matches("warning:").count();
    assert_eq!(warnings, 1, "{}", folder.read("log"));
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_clear_sentence() {
    let folder = Folder::new();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    folder.write("daybook.toml", CONFIGURED);
    let missing = "the certificate 'chain.pem' (`tls.certificate`) cannot be read: No such file";
    folder.run(&serve).fails(2, missing);
    let (pair, other) = (Pair::new(), Pair::new());
    pair.write(&folder.path(""));
    folder.write("key.pem", other.key.serialize_pem());
    let mismatch = "the private key in 'key.pem' does not belong to the certificate in 'chain.pem'";
    folder.run(&serve).fails(2, mismatch);
    folder.write("daybook.toml", "[tls]\ncertificate = \"chain.pem\"\n");
    folder.run(&serve).fails(2, "`tls.key` must be a file, because `tls.certificate` is one");
    assert!(!folder.has("daybook.db"), "nothing was begun");
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    let folder = Folder::new();
    let pair = Pair::new();
    let (_, key) = pair.write(&folder.path(""));
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(key, readable).unwrap();
    folder.write("daybook.toml", CONFIGURED);
    let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.stderr(File::create(folder.path("log")).unwrap());
    let server = Server::wait_logging(command);
    assert!(ask(&server, &pair).unwrap().starts_with("HTTP/1.1 200"));
    let warning = "warning: everybody on this machine can read the private key 'key.pem'";
    assert!(folder.read("log").contains(warning), "{}", folder.read("log"));
}
