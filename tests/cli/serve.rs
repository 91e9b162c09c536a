use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::folder::Folder;
use crate::stores::{On, every_store};

every_store! {
    a_server_answers_until_it_is_told_to_end,
    a_token_of_the_command_line_opens_the_server,
}

/// A running server; killed when the test is over.
pub struct Server {
    child: Child,
    pub address: String,
    /// How it says that it is reached.
    pub scheme: String,
}

impl Server {
    /// Starts a server on a free port and waits until it says where it listens.
    pub fn start(folder: &Folder, words: &[&str]) -> Self {
        let all = [&["serve", "--listen", "127.0.0.1:0"], words].concat();
        Self::wait(folder.command(&all))
    }

    pub fn wait(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::wait_logging(command)
    }

    /// The same for a server whose log the test wants.
    pub fn wait_logging(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("://")).unwrap().unwrap();
        let (before, address) = line.split_once("://").unwrap();
        let scheme = before.rsplit(' ').next().unwrap().to_owned();
        let end = address.find([';', '/', ' ']).unwrap_or(address.len());
        let address = address.get(..end).unwrap().to_owned();
        // What is printed later must not fail for want of a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, scheme }
    }

    pub fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    pub fn post(&self, path: &str, body: &str) -> String {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    pub fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_public_address_needs_a_secret() {
    let folder = Folder::new();
    let serve = ["serve", "--listen", "0.0.0.0:0"];
    let refused = "refusing to listen on 0.0.0.0:0 without a secret";
    folder.run(&serve).fails(2, refused);
    let short = [("DAYBOOK_SECRET", "short")];
    let refused = "refusing to listen on 0.0.0.0:0 with a secret of 5 bytes";
    folder.run_with(&serve, &short).fails(2, refused);
    assert!(!folder.has("daybook.db"));

    let mut command = folder.command(&serve);
    command.env("DAYBOOK_SECRET", "0123456789abcdef0123456789abcdef");
    drop(Server::wait(command));
    drop(Server::wait(folder.command(&["serve", "--listen", "0.0.0.0:0", "--insecure"])));
}

fn a_server_answers_until_it_is_told_to_end(on: On) {
    let folder = Folder::on(on);
    let server = Server::start(&folder, &[]);
    assert!(server.get("/health").starts_with("HTTP/1.1 200"));
    assert!(server.get("/docs").starts_with("HTTP/1.1"));
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":1.25}"#;
    let answer = server.post("/api/v1/transactions", body);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(folder.ok(&["export", "--user", "ann"]).lines().count(), 1);
    folder.ok(&["verify"]);
}

#[test]
fn a_backup_is_made_while_a_server_writes() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":1.25}"#;
    for _ in 0..20 {
        assert!(server.post("/api/v1/transactions", body).starts_with("HTTP/1.1 201"));
    }
    folder.ok(&["backup", "copy.db"]);
    let verified = folder.json(&["verify", "--store", "sqlite:copy.db", "--json"]);
    assert_eq!((&verified["items"], &verified["events"]), (&20.into(), &20.into()));
    folder.run(&["backup", "copy.db"]).fails(1, "'copy.db' is there already");
}

fn a_token_of_the_command_line_opens_the_server(on: On) {
    let folder = Folder::on(on);
    let secret = "0123456789abcdef0123456789abcdef";
    folder.write("daybook.toml", format!("secret = \"{secret}\"\n"));
    let server = Server::start(&folder, &[]);
    let token = folder.ok(&["token", "--user", "ann"]);
    let me = |token: &str| {
        server.send(&format!(
            "GET /api/v1/auth/me HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: Bearer {}\r\n\r\n",
            token.trim()
        ))
    };
    let answer = me(&token);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"ann\""), "{answer}");
    let other = [("DAYBOOK_SECRET", "another secret of thirty-two bytes")];
    let other = folder.run_with(&["token", "--user", "ann"], &other).stdout;
    assert!(me(&other).starts_with("HTTP/1.1 401"));
    let json =
        folder.json(&["token", "--service", "--scope", "feed:read", "--ttl", "60", "--json"]);
    assert_eq!((&json["token_type"], &json["expires_in"]), (&"bearer".into(), &60.into()));
}

#[test]
fn a_token_needs_a_secret_a_subject_and_known_scopes() {
    let folder = Folder::new();
    folder.run(&["token", "--user", "ann"]).fails(2, "there is no secret to sign with");
    assert_eq!(folder.run(&["token"]).code, Some(2));
    folder.write("daybook.toml", "secret = \"0123456789abcdef0123456789abcdef\"\n");
    let scope = ["token", "--service", "--scope", "everything"];
    let known = "feed:read, feed:write, ledger:read, ledger:write, ops, admin";
    folder.run(&scope).fails(2, &format!("--scope: 'everything' is none of {known}"));
    folder.run(&["token", "--user", ""]).fails(2, "--user: the user id is empty");
}

#[test]
fn a_demo_fills_a_store_and_says_where_to_look() {
    let folder = Folder::new();
    let words = ["demo", "--listen", "127.0.0.1:0", "--dir", "demo"];
    let demo = Server::wait(folder.command(&words));
    let feed = demo.get("/api/v1/transactions?user_id=test_user_123&page_size=1");
    assert!(feed.starts_with("HTTP/1.1 200"), "{feed}");
    assert!(!feed.contains("\"total\":0"), "{feed}");
    let account = demo.get("/api/v1/accounts/1001");
    assert!(account.contains("\"balance\":\"2389.20\""), "{account}");
    assert!(account.contains("\"available\":\"2344.20\""), "{account}");
    let held = demo.get("/api/v1/transfers?account_id=1001&status=pending");
    assert!(held.contains("\"reference\":\"weekend-trip\""), "{held}");
    assert_eq!(demo.terminate(), Some(0));
    assert!(folder.has("demo/daybook.db"));
    let store = ["--store", "sqlite:demo/daybook.db"];
    let listed = folder.ok(&[&store[..], &["transfers", "list", "--json"]].concat());
    let count = |status| {
        let status = format!("\"status\":\"{status}\"");
        listed.lines().filter(|line| line.contains(&status)).count()
    };
    // Six opening balances, four instant ones, one of a part, and the opposite of a rollback.
    assert_eq!([count("complete"), count("pending"), count("rollback")], [12, 2, 2]);
    folder.ok(&[&store[..], &["verify"]].concat());
}
