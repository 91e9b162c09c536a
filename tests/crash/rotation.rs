//! Power is gone while all keys of users are wrapped by a new master key.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::chance::Chance;
use crate::client::Request;
use crate::server::{Place, Server, item, text};
use crate::stores::{On, every_store};

every_store! {
    no_value_is_lost_when_rotations_are_killed_again_and_again,
}

const USERS: u64 = 200;
const KEYRING: &str = "/api/v1/keyring";
/// How long a rotation takes until all but its many steps is done.
const BEGINNING_MS: u64 = 100;

/// How often somebody dies; a database takes longer to come back to.
fn rounds(on: On) -> u32 {
    match on {
        On::Sqlite => 9,
        On::Postgres => 6,
    }
}

fn no_value_is_lost_when_rotations_are_killed_again_and_again(on: On) {
    let place = Place::of(on);
    let keys = give_master_key(&place);
    let mut chance = Chance::new(Chance::seed());
    let mut server = place.serve(&[]);
    record(&server);
    let mut half_done = 0;
    for round in 0..rounds(on) {
        let (old, _) = current(&keyring(&server));
        let mut rotation = rotate(&place, &server);
        if round % 3 == 2 {
            // Before the file, while it is written, or before the server has read it.
            thread::sleep(Duration::from_millis(chance.below(BEGINNING_MS)));
        } else {
            wait_for(&server, &mut rotation, &old, chance.below(USERS));
        }
        if chance.one_in(2) {
            server.kill();
            rotation.wait().unwrap();
        } else {
            rotation.kill().unwrap();
            rotation.wait().unwrap();
            every_value_is_there(&server);
            server.stop();
        }
        place.rest();
        server = place.serve(&[]);
        every_value_is_there(&server);
        let (_, wrapped) = current(&keyring(&server));
        half_done += u32::from((1..USERS).contains(&wrapped));
        // Otherwise the next rotation finds what this one has left.
        if chance.one_in(2) {
            finish(&place, &server);
        }
    }
    finish(&place, &server);
    server.stop();
    println!("{half_done} of {} rotations were half done", rounds(on));
    assert!(half_done > 0, "too little happened for this to mean anything");

    // Whatever became of the older master keys, none of them is needed now.
    let all = fs::read_to_string(&keys).unwrap();
    assert!(all.lines().count() > 1, "no rotation has written a key");
    fs::write(&keys, all.lines().next().unwrap()).unwrap();
    let server = place.serve(&[]);
    every_value_is_there(&server);
    server.stop();
    place.is_clean();
}

/// Configures a master key, which every command and server at this place reads; answers where its
/// file is.
fn give_master_key(place: &Place) -> PathBuf {
    let folder = place.command(&[]).get_current_dir().unwrap().to_owned();
    let keys = folder.join("master.keys");
    fs::write(&keys, place.run(&["keys", "generate"]).stdout).unwrap();
    let configured = "[encryption]\nkey_file = \"master.keys\"\n";
    fs::write(folder.join("daybook.toml"), configured).unwrap();
    keys
}

fn user(number: u64) -> String {
    format!("user-{number}")
}

/// What is sealed of a user.
fn card_number(number: u64) -> String {
    format!("4000 0000 0000 {number:04}")
}

/// Records an item of every user.
fn record(server: &Server) {
    let item = |number| {
        let mut item = item(&user(number), "completed", &user(number));
        item["metadata"]["card_number"] = card_number(number).into();
        item
    };
    let items: Vec<Value> = (0..USERS).map(item).collect();
    let answer = server.client().ask(&Request::batch(&items));
    assert_eq!(answer.status, 200, "{answer:?}");
    every_value_is_there(server);
    assert_eq!(current(&keyring(server)).1, USERS, "every user has a key");
}

fn every_value_is_there(server: &Server) {
    let mut client = server.client();
    for number in 0..USERS {
        let feed = client.feed(&user(number));
        assert_eq!(feed.len(), 1, "{feed:?}");
        assert_eq!(feed[0]["metadata"]["card_number"], card_number(number));
    }
}

fn keyring(server: &Server) -> Value {
    server.client().ask(&Request::get(KEYRING)).json()
}

/// The current master key, and how many keys it wraps.
fn current(keyring: &Value) -> (String, u64) {
    let masters = keyring["masters"].as_array().unwrap_or_else(|| panic!("no ring: {keyring}"));
    let master = masters.iter().find(|master| master["is_current"] == true).unwrap();
    (text(&master["id"]), master["keys"].as_u64().unwrap())
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// Begins a rotation that takes a step for every key.
fn rotate(place: &Place, server: &Server) -> Child {
    let words = ["keys", "rotate", "--step", "1", "--server", &url(server)];
    place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until another master key than the old one wraps so many keys.
fn wait_for(server: &Server, rotation: &mut Child, old: &str, keys: u64) {
    let mut client = server.client();
    loop {
        let ended = rotation.try_wait().unwrap();
        let (master, wrapped) = current(&client.ask(&Request::get(KEYRING)).json());
        if master != old && wrapped >= keys {
            return;
        }
        assert!(ended.is_none(), "a rotation ended too soon: {ended:?}");
    }
}

/// Wraps what is left, as somebody does whose rotation was interrupted.
fn finish(place: &Place, server: &Server) {
    let rewrapped = place.run(&["keys", "rewrap", "--server", &url(server)]);
    assert!(rewrapped.status.success(), "{rewrapped:?}");
    let listed = place.run(&["keys", "list", "--json", "--server", &url(server)]);
    let keyring: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(current(&keyring).1, USERS, "{keyring}");
    let masters = keyring["masters"].as_array().map(Vec::len);
    assert_eq!(masters, Some(1), "older master keys wrap something: {keyring}");
}
