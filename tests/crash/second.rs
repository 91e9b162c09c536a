//! Two servers and one file.

use crate::client::Request;
use crate::server::{Place, item};

#[test]
fn two_servers_on_one_file_the_second_refuses() {
    let place = Place::new();
    let first = place.serve(&[]);
    let create = Request::create(&item("ann", "completed", "one"));
    assert_eq!(first.client().ask(&create).status, 201);

    let second = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.starts_with("error: '"), "{said}");
    assert!(said.contains("books.db' is already open in another Daybook process"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(second.stdout.is_empty(), "{second:?}");

    // The first one has not noticed, and a lock does not outlive who held it.
    assert_eq!(first.client().ask(&create).status, 201);
    first.kill();
    let third = place.serve(&[]);
    assert_eq!(third.client().feed("ann").len(), 2);
    third.stop();
    place.is_clean();
}
