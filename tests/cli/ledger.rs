use serde_json::{Value, json};

use crate::folder::Folder;
use crate::stores::{On, every_store};

every_store! {
    an_account_is_opened_shown_and_listed,
    without_json_there_are_tables,
    a_transfer_is_sent_once_by_its_reference,
    what_is_held_is_posted_voided_or_expires,
    a_rollback_is_a_new_opposite_transfer,
    a_statement_and_a_past_balance_tell_what_was_when,
    a_refusal_is_exit_code_1_with_its_code,
}

/// Two accounts of ann's and bob's, in euros; ann's has 100.
fn ledger(on: On) -> Folder {
    let folder = Folder::on(on);
    let ann = ["accounts", "open", "--id", "1", "--user", "ann", "--currency", "EUR"];
    folder.ok(&[&ann[..], &["--initial-balance", "100.00", "--name", "Everyday"]].concat());
    folder.ok(&["accounts", "open", "--id", "2", "--user", "bob", "--currency", "EUR"]);
    folder
}

fn send(amount: &str) -> [&str; 9] {
    ["transfers", "send", "--from", "1", "--to", "2", "--amount", amount, "--json"]
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn balances(folder: &Folder, id: &str) -> [String; 4] {
    let account = folder.json(&["accounts", "show", id, "--json"]);
    ["balance", "available", "pending_in", "pending_out"]
        .map(|name| account[name].as_str().unwrap().to_owned())
}

fn an_account_is_opened_shown_and_listed(on: On) {
    let folder = ledger(on);
    let opened = folder.json(&[
        "accounts",
        "open",
        "--currency",
        "eur",
        "--overdraft-limit",
        "unlimited",
        "--metadata",
        r#"{"branch": 3, "rate": 1.10}"#,
        "--json",
    ]);
    assert_eq!((&opened["account_id"], &opened["user_id"]), (&json!(3), &Value::Null));
    assert_eq!(opened["overdraft_limit"], "unlimited");
    let shown = folder.ok(&["accounts", "show", "3", "--json"]);
    assert!(shown.contains(r#""metadata":{"branch":3,"rate":1.10}"#), "{shown}");

    let ids = |words: &[&str]| -> Vec<i64> {
        let listed = folder.ok(&[&["accounts", "list", "--json"], words].concat());
        lines(&listed).iter().map(|account| account["account_id"].as_i64().unwrap()).collect()
    };
    let all = ids(&[]);
    assert_eq!(all[1..], [1, 2, 3]);
    assert!(all[0] < 0, "the equity account stands first");
    assert_eq!(ids(&["--limit", "2"]), all[..2]);
    assert_eq!(ids(&["--user", "bob"]), [2]);
    assert_eq!(ids(&["--currency", "usd"]), [0; 0]);
    assert_eq!(ids(&["--status", "frozen"]), [0; 0]);
    let equity = folder.json(&["accounts", "show", &all[0].to_string(), "--json"]);
    assert_eq!(equity["balance"], "-100.00");
}

fn without_json_there_are_tables(on: On) {
    let folder = ledger(on);
    let listed = folder.ok(&["accounts", "list", "--user", "ann"]);
    let expected = "\
account  owner  name      currency  balance  available  overdraft  status
      1  ann    Everyday  EUR        100.00     100.00       0.00  open
";
    assert_eq!(listed, expected);
    let shown = folder.ok(&["accounts", "show", "2"]);
    let first: Vec<&str> = shown.lines().take(3).collect();
    assert_eq!(first, ["account_id       2", "user_id          bob", "currency         EUR"]);
    folder.ok(&["transfers", "send", "--from", "1", "--to", "2", "--amount", "7.5"]);
    let statement = folder.ok(&["accounts", "statement", "2"]);
    let [header, row] = statement.lines().collect::<Vec<_>>()[..] else { panic!("{statement}") };
    assert!(header.starts_with("posted at  "), "{statement}");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[1..5], ["credit", "1", "7.50", "7.50"], "{statement}");
}

fn a_transfer_is_sent_once_by_its_reference(on: On) {
    let folder = ledger(on);
    let lunch = [&send("12.50")[..], &["--reference", "lunch", "--currency", "EUR"]].concat();
    let sent = folder.json(&lunch);
    assert_eq!((&sent["status"], &sent["amount"]), (&json!("complete"), &json!("12.50")));
    let again = folder.run(&lunch);
    assert_eq!(again.stderr, "it is so already; nothing was changed\n");
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again, sent);
    assert_eq!(balances(&folder, "1"), ["87.50", "87.50", "0.00", "0.00"]);
    let id = sent["id"].as_str().unwrap();
    assert_eq!(folder.json(&["transfers", "show", id, "--json"]), sent);
    let other = [&send("13")[..], &["--reference", "lunch"]].concat();
    folder.run(&other).fails(1, "the reference names another transfer from this account");
    // It is in both feeds.
    assert_eq!(folder.ok(&["export"]).lines().count(), 2);
    folder.ok(&["verify"]);
}

fn what_is_held_is_posted_voided_or_expires(on: On) {
    let folder = ledger(on);
    let hold = |amount| {
        let sent = folder.json(&[&send(amount)[..], &["--hold", "--expires-in", "3600"]].concat());
        assert_eq!(sent["status"], "pending");
        assert!(sent["expires_at"].is_string());
        sent["id"].as_str().unwrap().to_owned()
    };
    let (one, other) = (hold("60"), hold("40"));
    assert_eq!(balances(&folder, "1"), ["100.00", "0.00", "0.00", "100.00"]);
    assert_eq!(balances(&folder, "2"), ["0.00", "0.00", "100.00", "0.00"]);
    let refused =
        "the account 1 has 0.00 EUR to give, which is less than 0.01 (INSUFFICIENT_FUNDS)";
    folder.run(&send("0.01")).fails(1, refused);
    let more = ["transfers", "post", &one, "--amount", "60.01"];
    folder.run(&more).fails(1, "only 60.00 EUR are held; post that or less (MORE_THAN_HELD)");
    let posted = folder.json(&["transfers", "post", &one, "--amount", "45.10", "--json"]);
    assert_eq!((&posted["amount"], &posted["held_amount"]), (&json!("45.10"), &json!("60.00")));
    let voided = folder.json(&["transfers", "void", &other, "--json"]);
    assert_eq!(voided["status"], "rollback");
    assert_eq!(balances(&folder, "1"), ["54.90", "54.90", "0.00", "0.00"]);
    folder.run(&["transfers", "void", &other]).fails(1, "a rollback transfer cannot become");
    folder.ok(&["verify"]);
}

fn a_rollback_is_a_new_opposite_transfer(on: On) {
    let folder = ledger(on);
    let sent = folder.json(&send("30"));
    let id = sent["id"].as_str().unwrap();
    let undone = folder.json(&["transfers", "rollback", id, "--json"]);
    assert_eq!((&undone["id"], &undone["status"]), (&sent["id"], &json!("rollback")));
    let by = undone["rolled_back_by"].as_str().unwrap();
    let opposite = folder.json(&["transfers", "show", by, "--json"]);
    assert_eq!((&opposite["source_account_id"], &opposite["rolls_back"]), (&json!(2), &json!(id)));
    assert_eq!(balances(&folder, "1"), ["100.00", "100.00", "0.00", "0.00"]);
    let twice = "a rollback transfer cannot become rollback (ILLEGAL_STATUS_MOVE)";
    folder.run(&["transfers", "rollback", id]).fails(1, twice);
    let listed = |words: &[&str]| {
        let all = folder.ok(&[&["transfers", "list", "--json"], words].concat());
        lines(&all).iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--account", "2"]), [by, id]);
    assert_eq!(listed(&["--user", "bob", "--status", "rollback"]), [id]);
    assert_eq!(listed(&["--limit", "1"]), [by]);
    assert_eq!(listed(&["--reference", "none"]), [""; 0]);
}

fn a_statement_and_a_past_balance_tell_what_was_when(on: On) {
    let folder = Folder::on(on);
    folder.ok(&["accounts", "open", "--id", "1", "--overdraft-limit", "500"]);
    folder.ok(&["accounts", "open", "--id", "2"]);
    for (amount, at) in [("10", "2024-01-10"), ("20", "2024-02-10"), ("40", "2024-02-20T12:00:00Z")]
    {
        let past = ["--created-at", at, "--metadata", r#"{"n": 1.50}"#];
        folder.ok(&[&send(amount)[..], &past].concat());
    }
    let at =
        |time| folder.json(&["accounts", "show", "2", "--at", time, "--json"])["balance"].clone();
    assert_eq!(
        [at("2024-01-09"), at("2024-01-31"), at("2024-02-20T12:00:00Z")],
        ["0.00", "10.00", "70.00"]
    );
    // A bare date is the end of its day, as the end of a statement is.
    assert_eq!([at("2024-02-20"), at("2024-02-20T00:00:00Z")], ["70.00", "30.00"]);
    let statement = |words: &[&str]| {
        let shown = folder.ok(&[&["accounts", "statement", "2", "--json"], words].concat());
        lines(&shown).iter().map(|e| e["balance"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statement(&[]), ["70.00", "30.00", "10.00"]);
    assert_eq!(statement(&["--limit", "1"]), ["70.00"]);
    assert_eq!(
        statement(&["--start-date", "2024-01-10", "--end-date", "2024-02-10"]),
        ["30.00", "10.00"]
    );
    let earlier = [&send("1")[..], &["--created-at", "2024-02-01"]].concat();
    folder.run(&earlier).fails(1, "the account 1 has a later entry already");
    folder.run(&["accounts", "show", "2", "--at", "2199-01-01"]).fails(2, "--at: it lies in the");
}

fn a_refusal_is_exit_code_1_with_its_code(on: On) {
    let folder = ledger(on);
    for (words, sentence) in [
        (
            &["accounts", "show", "9"][..],
            "account not found: there is none with the number 9 (ACCOUNT_NOT_FOUND)",
        ),
        (
            &["accounts", "statement", "9"],
            "account not found: there is none with the number 9 (ACCOUNT_NOT_FOUND)",
        ),
        (
            &["transfers", "list", "--account", "9"],
            "account not found: there is none with the number 9 (ACCOUNT_NOT_FOUND)",
        ),
        (&["accounts", "open", "--id", "1"], "there is an account 1 already (ACCOUNT_EXISTS)"),
        (
            &["accounts", "open", "--initial-balance", "1.005"],
            "initial_balance: the amount has more than the 2 fraction digits of its currency (AMOUNT)",
        ),
        (
            &["accounts", "open", "--currency", "XXQ", "--user", ""],
            "user_id: the user id is empty (USER_ID); currency: the currency is neither",
        ),
        (
            &["transfers", "send", "--from", "1", "--to", "1", "--amount", "-3"],
            "amount: the amount of a transfer is more than zero (NOT_POSITIVE); \
             destination_account_id: the source and the destination are the same account",
        ),
        (
            &[
                "transfers",
                "send",
                "--from",
                "1",
                "--to",
                "2",
                "--amount",
                "1",
                "--expires-in",
                "9",
            ],
            "expires_in: only a hold expires; send `pending`: true with it (NOT_A_HOLD)",
        ),
        (
            &["transfers", "show", "01932f5e-0000-7000-8000-000000000000"],
            "transfer not found: there is none with the id 01932f5e-0000-7000-8000-000000000000 (TRANSFER_NOT_FOUND)",
        ),
    ] {
        folder.run(words).fails(1, sentence);
    }
}

#[test]
fn a_misuse_is_exit_code_2() {
    let folder = Folder::new();
    folder.run(&["accounts", "list"]).fails(2, "there is no store at 'daybook.db'");
    let send = ["transfers", "send", "--from", "1", "--to", "2", "--amount", "1"];
    folder.run(&send).fails(2, "there is no store at 'daybook.db'");
    assert!(!folder.has("daybook.db"));
    let metadata = [&send[..], &["--metadata", "{a}"]].concat();
    folder.run(&metadata).fails(2, "--metadata: this is no JSON");
    folder.run(&["accounts", "list", "--currency", "XXQ"]).fails(2, "--currency: 'XXQ' is no");
    folder.run(&["accounts", "list", "--user", "a\tb"]).fails(2, "--user: the user id contains");
    folder
        .run(&["accounts", "statement", "1", "--end-date", "soon"])
        .fails(2, "--end-date: 'soon'");
    for words in [
        &["accounts"][..],
        &["accounts", "show", "x"],
        &["accounts", "list", "--status", "odd"],
        &["transfers", "show", "1"],
        &["transfers", "list", "--account", "1", "--user", "ann"],
        &["transfers", "send", "--from", "1", "--amount", "1"],
    ] {
        assert_eq!(folder.run(words).code, Some(2), "{words:?}");
    }
}
