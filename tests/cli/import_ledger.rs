use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::import::{counts, killed_and_run_again};

fn shipped(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn balance(folder: &Folder, id: i64) -> String {
    let account = folder.json(&["accounts", "show", &id.to_string(), "--json"]);
    account["balance"].as_str().unwrap().to_owned()
}

/// The line and the code of each reject; of a broken field, the field and its code.
fn rejects(folder: &Folder, file: &str) -> Vec<(u64, String)> {
    let rejects = lines(&folder.read(&format!("{file}.rejects.ndjson")));
    let mut found: Vec<(u64, String)> = rejects
        .iter()
        .map(|reject| {
            let error = &reject["errors"][0];
            let code = match error["pointer"].as_str() {
                Some(pointer) => format!("{pointer} {}", error["code"].as_str().unwrap()),
                None => reject["code"].as_str().unwrap().to_owned(),
            };
            (reject["line"].as_u64().unwrap(), code)
        })
        .collect();
    found.sort_unstable();
    found
}

const MAPPING: &str = r#"
[file]
records = "transfers"
[columns]
source_account_id = "from"
destination_account_id = "to"
amount = "sum"
reference = "id"
created_at = "day"
"metadata.note" = "note"
[accounts]
currency = "EUR"
owner_prefix = "user-"
overdraft_limit = "10.00"
house = [900]
"#;

/// The check of an accountant: every running balance is the one that the bank's file names.
#[test]
fn the_file_of_a_bank_becomes_movements_whose_balances_are_the_banks() {
    let folder = Folder::new();
    folder.write("bank.asc", std::fs::read(shipped("tests/data/bank.asc")).unwrap());
    let mapping = shipped("mappings/berka-ledger.toml");
    let import = ["import", "--mapping", &mapping, "bank.asc", "--json"];
    let summary = folder.json(&import);
    assert_eq!(counts(&summary), [30, 30, 0, 0, 0]);
    assert_eq!(summary["opened"], 4);
    let before = folder.ok(&["transfers", "list", "--json"]);
    let summary = folder.json(&import);
    assert_eq!(counts(&summary), [30, 0, 0, 30, 0]);
    assert_eq!(summary["opened"], 0);
    assert_eq!(folder.ok(&["transfers", "list", "--json"]), before);

    let mut compared = 0;
    for account in ["11", "12", "13"] {
        let statement = folder.ok(&["accounts", "statement", account, "--json"]);
        for entry in lines(&statement) {
            let file: f64 = entry["metadata"]["balance"].as_f64().unwrap();
            assert_eq!(entry["balance"].as_str().unwrap(), format!("{file:.2}"), "{entry}");
            compared += 1;
        }
    }
    assert_eq!(compared, 30);

    let account = folder.json(&["accounts", "show", "12", "--json"]);
    assert_eq!((&account["user_id"], &account["currency"]), (&json!("berka-12"), &json!("CZK")));
    let house = folder.json(&["accounts", "show", "1000000", "--json"]);
    assert_eq!((&house["user_id"], &house["overdraft_limit"]), (&Value::Null, &json!("unlimited")));
    assert_eq!(house["balance"], "-19661.80");
    let fee = ["transfers", "list", "--reference", "900015", "--json"];
    let fee = folder.json(&fee);
    assert_eq!((&fee["source_account_id"], &fee["amount"]), (&json!(13), &json!("14.60")));
    assert_eq!(fee["posted_at"], "1993-01-31T00:00:00.000000Z");
    assert_eq!(fee["metadata"]["description"], "statement fee");
    // The bank's own account belongs to nobody, so no feed shows its movements.
    assert_eq!(folder.ok(&["export"]), "");
    folder.ok(&["verify"]);
}

#[test]
fn lines_say_by_their_fields_what_they_are() {
    let folder = Folder::new();
    let file = [
        r#"{"account_id":1,"user_id":"ann","initial_balance":"100.00"}"#,
        r#"{"account_id":2,"user_id":"bob","name":"Bob's"}"#,
        r#"{"user_id":"ann","transaction_type":"card","amount":1,"source":"s","external_id":"1"}"#,
        r#"{"source_account_id":1,"destination_account_id":2,"amount":"30","reference":"rent"}"#,
        r#"{"source_account_id":2,"destination_account_id":1,"amount":"10","reference":"back","pending":true}"#,
        r#"{"source_account_id":2,"destination_account_id":1,"amount":"30","reference":"more"}"#,
        r#"{"source_account_id":2,"destination_account_id":2,"amount":"0","reference":"self"}"#,
        r#"{"source_account_id":1,"destination_account_id":2,"amount":"31","reference":"rent"}"#,
        r#"{"account_id":1,"user_id":"ann","initial_balance":"100.01"}"#,
        r#"{"account_id":3,"initial_balance":"-1"}"#,
    ]
    .join("\n");
    folder.write("all.ndjson", &file);
    let import = ["import", "all.ndjson", "--json"];
    let summary = folder.json(&import);
    assert_eq!(counts(&summary), [10, 5, 0, 0, 5]);
    assert_eq!(summary["unnamed"], 0);
    let expected = [
        (6, "INSUFFICIENT_FUNDS"),
        (7, "/amount NOT_POSITIVE"),
        (8, "/reference REPEATED_ID"),
        (9, "ACCOUNT_EXISTS"),
        (10, "/initial_balance AMOUNT"),
    ];
    assert_eq!(
        rejects(&folder, "all.ndjson"),
        expected.map(|(line, code)| (line, code.to_owned()))
    );
    assert_eq!(balance(&folder, 1), "70.00");
    // Again: what stands is left as it stands.
    assert_eq!(counts(&folder.json(&import)), [10, 0, 0, 5, 5]);
    assert_eq!(balance(&folder, 1), "70.00");
    folder.ok(&["verify"]);
}

#[test]
fn rows_without_a_name_are_counted() {
    let folder = Folder::new();
    folder.write(
        "all.ndjson",
        "{\"account_id\":1,\"overdraft_limit\":\"unlimited\"}\n{\"initial_balance\":\"5\"}\n\
         {\"source_account_id\":1,\"destination_account_id\":2,\"amount\":1}\n",
    );
    let ran = folder.run(&["import", "all.ndjson"]);
    assert_eq!(ran.stdout, "3 rows: 3 created, 0 updated, 0 unchanged, 0 rejected\n");
    assert!(ran.stderr.contains("2 rows have no source and external_id, reference or account_id"));
}

#[test]
fn accounts_are_opened_before_their_first_movement_as_the_mapping_says() {
    let folder = Folder::new();
    folder.write("map.toml", MAPPING);
    folder.ok(&["accounts", "open", "--id", "5", "--user", "eve", "--currency", "EUR"]);
    folder.ok(&["accounts", "open", "--id", "6", "--currency", "USD"]);
    folder.write(
        "moves.csv",
        "id,day,from,to,sum,note\n\
         a,2024-01-01,900,1,50.00,pay\n\
         b,2024-01-02,1,5,60.00,as far as it goes\n\
         c,2024-01-03,5,2,60.01,too much\n\
         d,2024-01-01,900,2,1,the same day\n\
         e,2024-01-04,900,6,1,dollars\n\
         f,2024-01-04,900,,1,nowhere\n\
         g,2024-01-04,900,x,1.005,nothing\n\
         h,soon,900,1,1,never\n\
         i,2023-12-31,900,1,1,too late\n",
    );
    let import = ["import", "--mapping", "map.toml", "moves.csv", "--json"];
    let dry = folder.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!((&dry["rejected"], &dry["opened"]), (&json!(3), &json!(0)));
    let summary = folder.json(&import);
    assert_eq!(counts(&summary), [9, 3, 0, 0, 6]);
    assert_eq!(summary["opened"], 3);
    let expected = [
        (4, "INSUFFICIENT_FUNDS"),
        (6, "CURRENCIES_DIFFER"),
        (7, "/destination_account_id REQUIRED"),
        (8, "/destination_account_id ACCOUNT_ID"),
        (9, "/created_at TIME"),
        (10, "OUT_OF_ORDER"),
    ];
    assert_eq!(rejects(&folder, "moves.csv"), expected.map(|(line, code)| (line, code.to_owned())));
    let shown = |id: &str| {
        let account = folder.json(&["accounts", "show", id, "--json"]);
        ["user_id", "overdraft_limit", "balance"].map(|name| account[name].clone())
    };
    assert_eq!(shown("1"), ["user-1", "10.00", "-10.00"]);
    assert_eq!(shown("5"), ["eve", "0.00", "60.00"]);
    assert_eq!(shown("900"), [Value::Null, json!("unlimited"), json!("-51.00")]);
    // Both have owners, so both see it.
    let feed = folder.ok(&["export", "--user", "user-1"]);
    assert!(feed.contains("\"reference\":\"b\""), "{feed}");
    folder.ok(&["verify"]);
}

#[test]
fn without_a_section_of_accounts_unknown_ones_are_rejected() {
    let folder = Folder::new();
    let (mapping, _) = MAPPING.split_once("[accounts]").unwrap();
    folder.write("map.toml", mapping);
    folder.write("moves.csv", "id,day,from,to,sum,note\na,2024-01-01,900,1,50.00,pay\n");
    let ran = folder.run(&["import", "--mapping", "map.toml", "moves.csv", "--json"]);
    assert_eq!(ran.code, Some(1), "no row is taken: {ran:?}");
    let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((counts(&summary), &summary["opened"]), ([1, 0, 0, 0, 1], &json!(0)));
    assert_eq!(rejects(&folder, "moves.csv"), [(2, "ACCOUNT_NOT_FOUND".to_owned())]);
}

/// Two movements of one reference are not one movement, and the second must not be lost without a
/// word; the first may have been refused, and then the second is taken.
#[test]
fn a_reference_that_repeats_in_a_file_names_both_lines() {
    let folder = Folder::new();
    let transfer = |from: u32, amount: u32, day: &str, reference: &str| {
        json!({ "source_account_id": from, "destination_account_id": 3, "amount": amount.to_string(),
                "reference": reference, "created_at": format!("2024-03-{day}") })
        .to_string()
    };
    let open =
        |id: u32, limit: &str| json!({ "account_id": id, "overdraft_limit": limit }).to_string();
    let file = [
        open(1, "unlimited"),
        open(2, "5"),
        open(3, "0"),
        transfer(1, 7, "01", "a"),
        // The same again, the same amount on another day, another amount.
        transfer(1, 7, "01", "a"),
        transfer(1, 7, "02", "a"),
        transfer(1, 8, "01", "a"),
        // Another account's reference, and a row that the ledger refuses.
        transfer(2, 5, "02", "a"),
        transfer(2, 6, "02", "b"),
    ]
    .join("\n");
    folder.write("all.ndjson", file);
    for batch in ["100", "1"] {
        let import = ["import", "all.ndjson", "--json", "--batch", batch];
        folder.json(&import);
        let found: Vec<(u64, String)> = rejects(&folder, "all.ndjson");
        let repeated: Vec<u64> = found
            .iter()
            .filter(|(_, code)| code == "/reference REPEATED_ID")
            .map(|(line, _)| *line)
            .collect();
        assert_eq!(repeated, [6, 7], "{found:?}");
    }
    let text = folder.read("all.ndjson.rejects.ndjson");
    assert!(
        text.contains("lines 4 and 6 have the same reference 'a' from account 1 and"),
        "{text}"
    );
    assert_eq!((balance(&folder, 1), balance(&folder, 2)), ("-7.00".into(), "-5.00".into()));
    // The first was refused, so the reference is free.
    let rows = [transfer(2, 9, "04", "d"), transfer(1, 9, "04", "e"), transfer(2, 9, "05", "d")];
    folder.write("later.ndjson", rows.join("\n"));
    folder.json(&["import", "later.ndjson", "--json"]);
    let insufficient = "INSUFFICIENT_FUNDS".to_owned();
    assert_eq!(rejects(&folder, "later.ndjson"), [(1, insufficient.clone()), (3, insufficient)]);
}

#[test]
fn a_wrong_section_of_accounts_is_a_clear_sentence() {
    let folder = Folder::new();
    folder.write("moves.csv", "id,day,from,to,sum,note\n");
    for (old, new, sentence) in [
        ("[900]", "[0]", "`accounts.house`: 0 is no number of an account"),
        ("[900]", "[\"a\"]", "line 15: invalid type: string \"a\", expected i64"),
        ("\"EUR\"", "\"XXQ\"", "`[accounts]`: the currency is neither"),
        ("\"user-\"", "\"a\\tb\"", "`[accounts]`: the user id contains control"),
        ("\"10.00\"", "\"10.005\"", "`[accounts]`: the amount has more than the 2 fraction"),
        ("owner_prefix", "owner", "line 13: unknown field `owner`"),
    ] {
        folder.write("map.toml", MAPPING.replace(old, new));
        let ran = folder.run(&["import", "--mapping", "map.toml", "moves.csv"]);
        ran.fails(2, &format!("the mapping 'map.toml' is wrong: {sentence}"));
    }
}

#[test]
fn a_killed_import_of_movements_pays_nothing_twice() {
    let folder = Folder::new();
    // Without references: only the place and the batch keys tell what has moved.
    folder.write("map.toml", MAPPING.replace("reference = \"id\"\n", ""));
    let mut text = String::from("id,day,from,to,sum,note\n");
    for number in 0..6_000 {
        writeln!(text, "{number},2024-01-01,900,{},1.00,row {number}", 1 + number % 300).unwrap();
    }
    folder.write("moves.csv", text);
    let import = ["import", "--mapping", "map.toml", "moves.csv", "--json", "--batch", "100"];
    let summary = killed_and_run_again(&folder, &import, "moves.csv");
    assert_eq!(counts(&summary), [6_000, 6_000, 0, 0, 0]);
    assert_eq!(balance(&folder, 900), "-6000.00");
    for account in lines(&folder.ok(&["accounts", "list", "--json"])) {
        let expected = if account["account_id"] == 900 { "-6000.00" } else { "20.00" };
        assert_eq!(account["balance"], expected, "{account}");
    }
    folder.ok(&["verify"]);
}
