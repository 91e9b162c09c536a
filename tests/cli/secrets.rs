//! What no line of output may hold, however much is logged.

use std::fs::File;

use crate::folder::Folder;
use crate::serve::Server;

const SECRET: &str = "hush-hush-hush-hush-hush-hush-hush";
const PASSWORD: &str = "pst-pst-pst";
const PRIVATE: &str = "Privatissimo";

/// Records an item over HTTP/2, whose library logs a lot.
fn record_by_http_2(server: &Server, token: &str, body: &'static str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post("http://localhost/api/v1/transactions")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let mut client = client.ready().await.unwrap();
        let (answer, mut sending) = client.send_request(request, false).unwrap();
        sending.send_data(bytes::Bytes::from_static(body.as_bytes()), true).unwrap();
        answer.await.unwrap().status().as_u16()
    })
}

#[test]
fn a_log_of_everything_holds_no_secret_token_or_body() {
    let folder = Folder::new();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--log", "trace"];
    let mut command = folder.command(&serve);
    command.env("DAYBOOK_SECRET", SECRET).stderr(File::create(folder.path("log")).unwrap());
    let server = Server::wait_logging(command);
    let token = folder.run_with(&["token", "--user", "ann"], &[("DAYBOOK_SECRET", SECRET)]).stdout;
    let token = token.trim();
    let broken = format!("{}x", token.get(..token.len() - 8).unwrap());
    let body =
        r#"{"transaction_type":"card","amount":1,"metadata":{"merchant_name":"Privatissimo"}}"#;
    let send = |credential: &str, body: &str| {
        server.send(&format!(
            "POST /api/v1/transactions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: {credential}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let bearer = |token: &str| format!("Bearer {token}");
    assert!(send(&bearer(token), body).starts_with("HTTP/1.1 201"));
    assert!(send(&bearer(token), &format!("{{\"{PRIVATE}")).starts_with("HTTP/1.1 400"));
    assert!(send(&bearer(token), &format!("{{\"{PRIVATE}\": 1}}")).starts_with("HTTP/1.1 422"));
    assert!(send(&bearer(&broken), body).starts_with("HTTP/1.1 401"));
    assert!(send(&format!("Basic {token}"), body).starts_with("HTTP/1.1 401"));
    assert_eq!(record_by_http_2(&server, token, body), 201);
    assert_eq!(record_by_http_2(&server, &broken, body), 401);
    assert_eq!(server.terminate(), Some(0));

    let log = folder.read("log");
    assert_eq!(log.matches("daybook::request").count(), 7, "{log}");
    assert!(log.contains("TRACE") && log.contains("h2::"), "everything is logged: {log}");
    let signature = token.rsplit('.').next().unwrap();
    for secret in [SECRET, token, signature, &broken, PRIVATE] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn a_password_in_the_url_of_a_store_is_told_to_nobody() {
    let folder = Folder::new();
    let store = format!("postgres://ann:{PASSWORD}@127.0.0.1:1/books");
    let replica = format!("postgres://ann:{PASSWORD}@127.0.0.1:2/books");
    let set = [
        ("DAYBOOK_STORE", store.as_str()),
        ("DAYBOOK_REPLICA", &replica),
        ("DAYBOOK_SECRET", SECRET),
        ("DAYBOOK_LOG_LEVEL", "trace"),
    ];
    for (words, code) in [
        (&["config"][..], 0),
        (&["serve", "--listen", "127.0.0.1:0"], 1),
        (&["migrate"], 1),
        (&["verify"], 1),
        (&["export"], 1),
        (&["clean", "--user", "ann"], 1),
        (&["backup", "copy.db"], 1),
        (&["accounts", "list"], 1),
    ] {
        let ran = folder.run_with(words, &set);
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.is_empty(), "{words:?}");
        assert!(!said.contains(PASSWORD) && !said.contains(SECRET), "{words:?}: {said}");
    }
    // Nor where the URL is wrong, or the value stands in the wrong place.
    for (name, value) in [
        ("DAYBOOK_STORE", format!("postgres://ann:{PASSWORD}?x@h/d")),
        ("DAYBOOK_STORE", format!("postgres://ann:{PASSWORD}@h:port/d")),
        ("DAYBOOK_STORE", format!("mysql://ann:{PASSWORD}@h/d")),
        ("DAYBOOK_BUS", format!("kafka://ann:{PASSWORD}@h")),
        ("DAYBOOK_CACHE", format!("redis://:{PASSWORD}@h")),
    ] {
        let ran = folder.run_with(&["migrate"], &[(name, &value)]);
        assert!(matches!(ran.code, Some(1 | 2)), "{value}: {ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(PASSWORD), "{said}");
    }
}
