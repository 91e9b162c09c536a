//! Commands beside a server that dies, ends, is of another version or is asked by strangers.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::folder::{Folder, bodies};
use crate::serve::Server;

const SOCKET: &str = "daybook.db-socket";
const LOST: &str = "error: the server that holds 'daybook.db' ended before it";
const ROWS: u32 = 4_000;

/// Rows that nothing names: recorded again, each would be there twice.
fn unnamed(folder: &Folder) {
    let row = |amount: u32| {
        format!("{}\n", json!({"user_id": "ann", "transaction_type": "card", "amount": amount}))
    };
    folder.write("items.ndjson", (0..ROWS).map(row).collect::<String>());
}

fn importing(folder: &Folder) -> Child {
    let mut command = folder.command(&["import", "items.ndjson", "--batch", "50"]);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Waits until an import has recorded more; whether it goes on.
fn goes_on(folder: &Folder, import: &mut Child) -> bool {
    let place = || {
        let state = std::fs::read_to_string(folder.path("items.ndjson.import-state.json"));
        let state = state.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        state.and_then(|state| state["line"].as_u64()).unwrap_or(0)
    };
    let (before, begun) = (place(), Instant::now());
    while place() < before + 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the import stands still");
        if import.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Ends the server of an import again and again, and runs the same import until it is through.
/// Expects clear sentences, and each row once.
fn ended_and_run_again(end: impl Fn(Server)) {
    let folder = Folder::new();
    unnamed(&folder);
    let mut ended = 0;
    loop {
        let server = Server::start(&folder, &[]);
        let mut import = importing(&folder);
        if ended < 4 && goes_on(&folder, &mut import) {
            end(server);
            let Output { status, stderr, .. } = import.wait_with_output().unwrap();
            let said = String::from_utf8(stderr).unwrap();
            assert_eq!(status.code(), Some(1), "{said}");
            let sentence = said.lines().last().unwrap();
            assert!(sentence.starts_with(LOST), "{said}");
            ended += 1;
            continue;
        }
        let output = import.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        break;
    }
    assert!(ended > 0, "no server was ended under an import");
    let items = folder.ok(&["export"]);
    let amount = |line| serde_json::from_str::<Value>(line).unwrap()["amount"].to_string();
    let amount = |line| amount(line).trim_end_matches(".0").parse::<u32>().unwrap();
    let mut amounts: Vec<u32> = items.lines().map(amount).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, (0..ROWS).collect::<Vec<u32>>());
    folder.ok(&["verify"]);
}

#[test]
fn an_import_whose_server_is_killed_is_run_again_and_records_each_row_once() {
    // Killed when it is dropped.
    ended_and_run_again(drop);
}

#[test]
fn an_import_whose_server_ends_is_run_again_and_records_each_row_once() {
    ended_and_run_again(|server| assert_eq!(server.terminate(), Some(0)));
}

#[test]
fn an_import_goes_on_alone_where_a_killed_server_left_it() {
    let folder = Folder::new();
    unnamed(&folder);
    let server = Server::start(&folder, &[]);
    let mut import = importing(&folder);
    assert!(goes_on(&folder, &mut import));
    drop(server);
    assert_eq!(import.wait_with_output().unwrap().status.code(), Some(1));
    let ran = folder.run(&["import", "items.ndjson", "--batch", "50"]);
    assert!(ran.stderr.starts_with("going on after line "), "{ran:?}");
    assert!(ran.stdout.starts_with("4,000 rows: "), "{ran:?}");
    assert_eq!(folder.ok(&["export"]).lines().count(), 4_000);
    folder.ok(&["verify"]);
}

#[test]
fn a_socket_that_a_killed_server_left_does_no_harm() {
    let folder = Folder::new();
    drop(Server::start(&folder, &[]));
    assert!(folder.has(SOCKET));
    folder.ok(&["seed", "--count", "5", "--user", "ann"]);
    // What a server left that died while it made the socket.
    std::fs::create_dir(folder.path(&format!("{SOCKET}.new"))).unwrap();
    folder.write(&format!("{SOCKET}.new/socket"), "");
    let server = Server::start(&folder, &[]);
    assert!(!folder.has(&format!("{SOCKET}.new")));
    assert_eq!(folder.ok(&["export"]).lines().count(), 5);
    assert_eq!(server.terminate(), Some(0));
    assert!(!folder.has(SOCKET));

    // What is no socket at all is neither asked nor in the way.
    folder.write(SOCKET, "a text");
    folder.write(&format!("{SOCKET}.new"), "a text");
    assert_eq!(folder.ok(&["export"]).lines().count(), 5);
    let _server = Server::start(&folder, &[]);
    assert_eq!(folder.ok(&["export"]).lines().count(), 5);
}

#[test]
fn a_server_serves_where_no_socket_can_be_made() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path(SOCKET).join("in the way")).unwrap();
    let server = Server::start(&folder, &[]);
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    folder.run(&["export"]).fails(1, "'daybook.db' is already open in another Daybook process");
}

#[test]
fn long_and_relative_paths_are_reached() {
    let folder = Folder::new();
    let deep = ["a".repeat(100), "b".repeat(100)].join("/");
    std::fs::create_dir_all(folder.path(&deep)).unwrap();
    let long_name = format!("{}.db", "c".repeat(200));
    let absolute = |path: &str| folder.path(path).display().to_string();
    for (served, asked) in [
        (format!("{deep}/books.db"), absolute(&format!("{deep}/books.db"))),
        (absolute(&format!("{deep}/{long_name}")), format!("{deep}/{long_name}")),
        (long_name.clone(), absolute(&long_name)),
        ("./x.db".to_owned(), absolute("x.db")),
    ] {
        let (served, asked) = (format!("sqlite:{served}"), format!("sqlite:{asked}"));
        let server = Server::start(&folder, &["--store", &served]);
        for store in [&served, &asked] {
            folder.ok(&["seed", "--count", "3", "--user", "ann", "--store", store]);
        }
        assert_eq!(folder.ok(&["export", "--store", &asked]).lines().count(), 6, "{asked}");
        assert_eq!(server.terminate(), Some(0));
        let left = files(&folder.path("")).into_iter().find(|name| name.contains("-socket"));
        assert_eq!(left, None);
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(
            |path| if path.is_dir() { files(&path) } else { vec![path.display().to_string()] },
        )
        .collect()
}

#[test]
fn several_commands_at_once_record_all_that_they_have() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let users = ["ann", "bob", "carol", "dave"];
    let imports = users.map(|user| {
        let file = format!("{user}.ndjson");
        folder.write(&file, bodies(user, 0..400));
        folder.command(&["import", &file, "--batch", "20"]).spawn().unwrap()
    });
    for import in imports {
        let output = import.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("400 rows: 400 created"), "{output:?}");
    }
    let verified = folder.json(&["verify", "--json"]);
    assert_eq!((&verified["items"], &verified["events"]), (&json!(1_600), &json!(1_600)));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn who_may_not_write_to_the_file_may_not_connect() {
    let folder = Folder::new();
    folder.ok(&["migrate"]);
    let allow = |name: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(name), permissions).unwrap();
    };
    let found = |name: &str| std::fs::symlink_metadata(folder.path(name)).unwrap();
    for mode in [0o600, 0o640, 0o660, 0o644] {
        allow("daybook.db", mode);
        let server = Server::start(&folder, &[]);
        let (file, socket) = (found("daybook.db"), found(SOCKET));
        assert!(socket.file_type().is_socket());
        assert_eq!(socket.mode() & 0o777, mode, "{mode:o}");
        assert_eq!((socket.uid(), socket.gid()), (file.uid(), file.gid()));
        folder.ok(&["accounts", "list"]);
        if file.uid() == 0 {
            // A test of root's can be somebody else, whom neither folder nor lock keeps out.
            allow("", 0o755);
            allow("daybook.db-lock", 0o666);
            let mut command = folder.command(&["export"]);
            let output = command.uid(65_534).gid(65_534).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            let refused = "error: the server that holds 'daybook.db' cannot be reached: Permission";
            assert!(said.starts_with(refused), "{said}");
        }
        assert_eq!(server.terminate(), Some(0));
    }
}

#[test]
fn a_file_of_another_user_is_shared_with_its_user() {
    let folder = Folder::new();
    folder.ok(&["migrate"]);
    let owner = std::fs::metadata(folder.path("daybook.db")).unwrap().uid();
    if owner == 0 {
        std::os::unix::fs::chown(folder.path("daybook.db"), Some(65_534), Some(65_534)).unwrap();
    }
    let _server = Server::start(&folder, &[]);
    let [file, socket] =
        ["daybook.db", SOCKET].map(|name| std::fs::metadata(folder.path(name)).unwrap());
    assert_eq!((socket.uid(), socket.gid()), (file.uid(), file.gid()));
}

/// Answers one client on a store's socket with a greeting.
fn impostor(folder: &Folder, greeting: &'static str) -> std::thread::JoinHandle<()> {
    let listener = UnixListener::bind(folder.path(SOCKET)).unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(greeting.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        assert!(line.starts_with("daybook "), "{line}");
    })
}

#[test]
fn a_server_of_another_version_is_refused_with_a_sentence() {
    let own = concat!("and this is Daybook ", env!("CARGO_PKG_VERSION"));
    for (greeting, who) in [
        ("daybook 1 9.9.9 0123\n", "Daybook 9.9.9"),
        ("daybook 7 9.9.9 0123 and more\n", "Daybook 9.9.9"),
        (
            concat!("daybook 1 ", env!("CARGO_PKG_VERSION"), " 0123\n"),
            concat!("another build of Daybook ", env!("CARGO_PKG_VERSION")),
        ),
        ("220 mail.example.org ESMTP\n", "no Daybook that this one knows"),
    ] {
        let folder = Folder::new();
        folder.ok(&["migrate"]);
        let server = impostor(&folder, greeting);
        let sentence = format!("the server that holds 'daybook.db' is {who}, {own}; use");
        folder.run(&["export"]).fails(1, &sentence);
        server.join().unwrap();
    }
}

/// A connection to a server by the socket, with the greeting of the server.
fn connected(folder: &Folder) -> (UnixStream, String) {
    let stream = UnixStream::connect(folder.path(SOCKET)).unwrap();
    let mut greeting = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    reader.read_line(&mut greeting).unwrap();
    (stream, greeting)
}

/// All that comes until the server ends the connection.
fn all_of(mut stream: UnixStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A server that ends a connection with unread bytes in it resets it.
    drop(stream.read_to_end(&mut answer));
    answer
}

#[test]
fn a_client_of_another_version_is_told_and_left() {
    let folder = Folder::new();
    let _server = Server::start(&folder, &[]);
    let (mut stream, greeting) = connected(&folder);
    let version = format!(" {} ", env!("CARGO_PKG_VERSION"));
    assert!(greeting.starts_with("daybook ") && greeting.contains(&version), "{greeting}");
    stream.write_all(b"daybook 1 9.9.9 0\n\x01\x00\x00\x00\x0f").unwrap();
    assert_eq!(all_of(stream), b"");
}

#[test]
fn a_link_to_the_file_reaches_the_server_that_holds_it() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("daybook.db", folder.path("link.db")).unwrap();
    std::fs::create_dir(folder.path("other")).unwrap();
    std::os::unix::fs::symlink("../link.db", folder.path("other/far.db")).unwrap();
    let server = Server::start(&folder, &[]);
    for (place, link) in ["sqlite:link.db", "sqlite:other/far.db"].iter().enumerate() {
        let user = format!("user-{place}");
        folder.ok(&["seed", "--count", "20", "--user", &user, "--store", link]);
        let feed = server.get(&format!("/api/v1/transactions?user_id={user}&page_size=1"));
        assert!(feed.contains("\"total\":20"), "{feed}");
        let serve = ["serve", "--listen", "127.0.0.1:0", "--store", link];
        let ran = folder.run(&serve);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("daybook.db' is already open in another"), "{ran:?}");
    }
}

#[test]
fn garbage_hurts_nobody() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    folder.ok(&["seed", "--count", "20", "--user", "ann"]);
    for before in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4_096], b"\n", &[0xff; 300]] {
        let (mut stream, _) = connected(&folder);
        drop(stream.write_all(before));
        drop(stream.shutdown(std::net::Shutdown::Write));
        all_of(stream);
    }
    let large = 0x0fff_ffff_u32.to_le_bytes();
    // A list of commits of 4 billion actions, one JSON in another without end, and half a message.
    let commit = |tail: &[u8]| {
        let body = [&[0_u8][..], &[0; 8], &[0], &[0], tail].concat();
        [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
    };
    let mut messages: Vec<Vec<u8>> = vec![
        vec![0xff; 64],
        large.to_vec(),
        vec![0; 4],
        vec![1, 0, 0, 0, 99],
        vec![9, 0, 0, 0, 15, 0, 0],
        commit(&[0xff; 4]),
        commit(&[&[1, 0, 0, 0][..], &[0xff; 40]].concat()),
        commit(&[&100_000_u32.to_le_bytes()[..], &[0; 100]].concat()),
    ];
    // Of every kind of request, all ends and many changes of it.
    let mut seed = 1_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(seed >> 24).unwrap()
    };
    for kind in 0..=20 {
        for length in [1, 2, 9, 60] {
            let body: Vec<u8> =
                std::iter::once(kind).chain((1..length).map(|_| random())).collect();
            let length = u32::try_from(length).unwrap().to_le_bytes();
            messages.push([&length[..], &body].concat());
        }
    }
    for message in messages {
        let (mut stream, greeting) = connected(&folder);
        drop(stream.write_all(greeting.as_bytes()));
        drop(stream.write_all(&message));
        drop(stream.shutdown(std::net::Shutdown::Write));
        all_of(stream);
    }
    // Connections that say nothing keep nobody from commands.
    let _silent: Vec<_> = (0..20).map(|_| connected(&folder)).collect();
    assert_eq!(folder.ok(&["export", "--user", "ann"]).lines().count(), 20);
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert_eq!(server.terminate(), Some(0));
    folder.ok(&["verify"]);
}
