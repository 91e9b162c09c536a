//! Files as banks, exchanges and Daybook itself write them.

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::import::{counts, killed_and_run_again};
use crate::stores::{On, every_store};

every_store! {
    an_id_that_repeats_in_a_file_names_both_lines_and_replaces_nothing,
    a_repeat_is_found_also_when_the_import_was_interrupted_between_the_two,
    the_same_row_twice_and_a_pending_record_that_moves_on_are_no_repeats,
    of_an_id_that_repeats_the_newest_row_stays_where_rows_say_how_new_they_are,
    a_csv_of_an_export_brings_every_text_back,
    an_exported_line_keeps_its_id_whatever_computed_fields_it_has,
    lines_that_mean_the_same_are_no_repeats,
    a_line_is_no_repeat_of_one_that_the_store_refused,
    an_id_that_was_deleted_or_is_anothers_is_not_taken,
    a_name_decides_whatever_id_its_row_has,
}

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Amount and side of each item, oldest first.
fn amounts(folder: &Folder, words: &[&str]) -> Vec<String> {
    let exported = folder.ok(&[&["export"], words].concat());
    let digits = |line: &str| {
        let (_, rest) = line.split_once(r#""amount":"#).unwrap();
        rest.split_once(',').unwrap().0.to_owned()
    };
    let mut found: Vec<(String, String)> = exported
        .lines()
        .map(|line| (serde_json::from_str::<Value>(line).unwrap(), digits(line)))
        .map(|(item, digits)| {
            let side = item["side"].as_str().unwrap();
            (item["created_at"].to_string(), format!("{side} {digits}"))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, amount)| amount).collect()
}

/// The line, the code and the sentence of each reject.
fn rejects(folder: &Folder, file: &str) -> Vec<(u64, String, String)> {
    let rejects = lines(&folder.read(&format!("{file}.rejects.ndjson")));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rejects = rejects.iter().map(|reject| {
        let said = reject["errors"].get(0).unwrap_or(reject);
        (reject["line"].as_u64().unwrap(), text(&said["code"]), text(&said["detail"]))
    });
    rejects.collect()
}

const GERMAN: &str = r#"
[file]
delimiter = ";"
[columns]
created_at = "Tag"
amount = "Betrag"
"metadata.note" = "Wofür"
[constants]
transaction_type = "other"
currency = "EUR"
[dates]
formats = ["%d.%m.%Y"]
[amounts]
decimal = ","
thousands = "."
negative = "debit"
"#;

const AMERICAN: &str = r#"
[columns]
created_at = "Day"
amount = "Amount"
[constants]
transaction_type = "other"
[amounts]
thousands = ","
negative = "debit"
"#;

#[test]
fn an_amount_with_a_sign_in_the_wrong_place_is_refused_and_never_another_amount() {
    let folder = Folder::new();
    for (file, mapping, taken, refused) in [
        ("separators-de.csv", GERMAN, &["debit 2480.00", "credit 4000.00"][..], &[4, 5, 6][..]),
        ("separators-us.csv", AMERICAN, &["credit 31500.00"], &[3, 4, 5]),
    ] {
        folder.write(file, data(file));
        folder.write("map.toml", mapping);
        let store = format!("sqlite:{file}.db");
        let import = ["import", "--mapping", "map.toml", "--user", "ann", "--store", &store, file];
        folder.ok(&import);
        assert_eq!(amounts(&folder, &["--store", &store]), taken, "{file}");
        let rejects = rejects(&folder, file);
        assert_eq!(rejects.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), refused, "{file}");
        for (_, code, detail) in rejects {
            assert_eq!(code, "AMOUNT");
            assert!(detail.contains("[amounts] in the mapping"), "{detail}");
        }
    }
}

#[test]
fn a_zero_in_the_column_of_the_other_side_is_no_amount() {
    let folder = Folder::new();
    folder.write("bank.csv", data("zero-fill.csv"));
    folder.write(
        "map.toml",
        r#"
        [columns]
        created_at = "Date"
        amount = [{ column = "Debit", side = "debit" }, { column = "Credit", side = "credit" }]
        [constants]
        transaction_type = "other"
        currency = "INR"
        [dates]
        formats = ["%d/%m/%y"]
        "#,
    );
    let import = ["import", "--mapping", "map.toml", "--user", "ann", "bank.csv"];
    let shown = folder.ok(&[&import[..], &["--dry-run"]].concat());
    let shown: Vec<&str> = shown.split_whitespace().collect();
    for row in [["debit", "750.00"], ["credit", "31500.00"]] {
        assert!(shown.windows(2).any(|cells| cells == row), "{shown:?}");
    }
    folder.ok(&import);
    assert_eq!(amounts(&folder, &[]), ["debit 750.00", "credit 31500.00"]);
}

#[test]
fn a_dry_run_shows_the_first_rows_as_they_would_be_recorded() {
    let folder = Folder::new();
    folder.write("german.csv", data("separators-de.csv"));
    folder.write("map.toml", GERMAN);
    let dry = ["import", "--mapping", "map.toml", "--user", "ann", "german.csv", "--dry-run"];
    let shown = folder.ok(&dry);
    let rows: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[1],
        [
            "2",
            "ann",
            "other",
            "debit",
            "2480.00",
            "EUR",
            "completed",
            "2024-03-05T00:00:00.000000Z"
        ]
    );
    assert_eq!(rows[2][..5], ["3", "ann", "other", "credit", "4000.00"]);
    assert_eq!(rows[3].join(" "), "5 rows: 2 good, 3 would be rejected");
    let summary = folder.json(&[&dry[..], &["--json"]].concat());
    let first = &summary["first_rows"][0];
    assert_eq!(
        first,
        &json!({
            "line": 2, "user_id": "ann", "transaction_type": "other", "product": "Account",
            "status": "completed", "side": "debit", "currency": "EUR", "amount": "2480.00",
            "source": null, "external_id": null, "source_version": null,
            "source_updated_at": null, "created_at": "2024-03-05T00:00:00.000000Z",
            "metadata": { "note": "Strom" }
        })
    );
    assert_eq!(summary["first_rows"].as_array().map(Vec::len), Some(2));
    assert!(!folder.has("daybook.db"));
}

const EXCHANGE: &str = r#"
[columns]
created_at = "time"
amount = "amount"
currency = "unit"
external_id = ["trade", "transfer"]
"metadata.kind" = "kind"
[constants]
transaction_type = "crypto"
source = "exchange"
[amounts]
negative = "debit"
"#;

fn an_id_that_repeats_in_a_file_names_both_lines_and_replaces_nothing(on: On) {
    let folder = Folder::on(on);
    folder.write("trades.csv", data("shared-id.csv"));
    folder.write("map.toml", EXCHANGE);
    // Repeats are found in one batch and over several.
    for (number, batch) in ["5000", "1", "2"].into_iter().enumerate() {
        let user = format!("user-{number}");
        let import = ["import", "--mapping", "map.toml", "trades.csv", "--json", "--user"];
        let summary = folder.json(&[&import[..], &[&user, "--batch", batch]].concat());
        assert_eq!(counts(&summary), [7, 3, 0, 0, 4], "{summary}");
        let rejects = rejects(&folder, "trades.csv");
        for ((line, code, detail), (expected, earlier)) in
            rejects.iter().zip([(3, 2), (4, 2), (6, 5), (7, 5)])
        {
            assert_eq!((*line, code.as_str()), (expected, "REPEATED_ID"));
            let both = format!("lines {earlier} and {line} have the same external_id '900");
            assert!(detail.starts_with(&both), "{detail}");
        }
        let found = amounts(&folder, &["--user", &user]);
        assert_eq!(found, ["debit 2000.00", "debit 800.00", "debit 90.00"]);
    }
    // As the refusal says: an id of more columns names each row.
    let joined = "external_id = [{ join = [\"trade\", \"kind\", \"unit\"] }, \"transfer\"]";
    folder.write("map.toml", EXCHANGE.replace("external_id = [\"trade\", \"transfer\"]", joined));
    let import = ["import", "--mapping", "map.toml", "trades.csv", "--json", "--user", "eve"];
    assert_eq!(counts(&folder.json(&import)), [7, 7, 0, 0, 0]);
    assert_eq!(counts(&folder.json(&import)), [7, 0, 0, 7, 0]);
}

fn the_same_row_twice_and_a_pending_record_that_moves_on_are_no_repeats(on: On) {
    let folder = Folder::on(on);
    let body = |id: &str, amount: &str, status: &str| {
        format!(
            r#"{{"user_id":"ann","transaction_type":"card","amount":{amount},"status":"{status}","source":"bank","external_id":"{id}","created_at":"2024-01-15T10:30:00Z"}}"#
        )
    };
    let rows = [
        body("1", "5.00", "completed"),
        body("2", "6.00", "pending"),
        // The same in other words.
        body("1", "\"5.0\"", "completed"),
        body("2", "6.50", "completed"),
        body("2", "6.50", "completed"),
        body("2", "7.00", "completed"),
        body("1", "5.00", "failed"),
    ];
    folder.write("items.ndjson", rows.join("\n"));
    let summary = folder.json(&["import", "items.ndjson", "--json"]);
    assert_eq!(counts(&summary), [7, 2, 1, 2, 2], "{summary}");
    for ((line, _, detail), both) in
        rejects(&folder, "items.ndjson").iter().zip(["lines 4 and 6 have", "lines 1 and 7 have"])
    {
        assert!(detail.starts_with(both), "{line}: {detail}");
    }
    assert_eq!(amounts(&folder, &[]), ["debit 5.00", "debit 6.50"]);
}

fn a_repeat_is_found_also_when_the_import_was_interrupted_between_the_two(on: On) {
    let folder = Folder::on(on);
    let body = |id: u32, amount: u32| {
        let body = json!({ "user_id": "ann", "transaction_type": "card", "amount": amount,
                           "source": "bank", "external_id": id.to_string() });
        format!("{body}\n")
    };
    // Each id comes twice, 2 000 lines apart.
    let rows = (0..2_000).map(|id| body(id, 1)).chain((0..2_000).map(|id| body(id, 2)));
    folder.write("items.ndjson", rows.collect::<String>());
    let import = ["import", "items.ndjson", "--json", "--batch", "100"];
    let summary = killed_and_run_again(&folder, &import, "items.ndjson");
    assert!(summary["resumed_after_line"].as_u64().unwrap() > 0);
    assert_eq!(counts(&summary), [4_000, 2_000, 0, 0, 2_000]);
    for (line, code, detail) in rejects(&folder, "items.ndjson") {
        let both = format!("lines {} and {line} have the same", line - 2_000);
        assert!(code == "REPEATED_ID" && detail.starts_with(&both), "{detail}");
    }
    assert!(lines(&folder.ok(&["export"])).iter().all(|item| item["amount"] == json!(1.0)));
}

#[test]
fn a_moment_with_a_z_is_utc_whatever_the_zone_of_the_file() {
    let folder = Folder::new();
    folder.write("map.toml", "[columns]\ncreated_at = \"d\"\namount = \"a\"\n[constants]\n\
        transaction_type = \"card\"\n[dates]\nformats = [\"%Y-%m-%dT%H:%M:%SZ\", \"%Y-%m-%d %H:%M:%S\"]\n\
        tz = \"Europe/Madrid\"\n");
    folder.write(
        "d.csv",
        "d,a\n2024-07-05T10:00:00Z,1\n2024-07-05 10:00:00,2\n2024-03-31 02:30:00,3\n31/02/2024,4\n",
    );
    folder.ok(&["import", "--mapping", "map.toml", "--user", "ann", "d.csv"]);
    let times: Vec<Value> =
        lines(&folder.ok(&["export"])).into_iter().map(|i| i["created_at"].clone()).collect();
    assert_eq!(times, ["2024-07-05T10:00:00.000000Z", "2024-07-05T08:00:00.000000Z"]);
    let rejects = rejects(&folder, "d.csv");
    assert_eq!(
        rejects[0].2,
        "'2024-03-31 02:30:00' does not exist in Europe/Madrid, where the clocks went forward; correct the row, or `dates.tz` in the mapping"
    );
    assert!(rejects[1].2.starts_with("'31/02/2024' does not fit %Y-%m-%dT%H:%M:%SZ or "));
}

#[test]
fn an_import_of_which_no_row_is_taken_exits_with_1() {
    let folder = Folder::new();
    folder.write("bad.ndjson", "{\"amount\":1}\n{\"amount\":2}\n");
    for words in [&["import", "bad.ndjson"][..], &["import", "bad.ndjson", "--dry-run"]] {
        let ran = folder.run(words);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.starts_with("2 rows: 0 "), "{ran:?}");
        assert!(ran.stderr.contains("no row was good; look at the reasons"), "{ran:?}");
    }
    let ran = folder.run(&["import", "bad.ndjson", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["rejected"], 2);
    // One good row, or none at all, is no failure.
    folder.write(
        "some.ndjson",
        "{\"amount\":1}\n{\"user_id\":\"a\",\"transaction_type\":\"card\",\"amount\":2}\n",
    );
    folder.ok(&["import", "some.ndjson"]);
    folder.write("none.ndjson", "\n");
    folder.ok(&["import", "none.ndjson"]);
}

#[test]
fn a_file_of_another_kind_is_named_in_one_sentence_and_nothing_is_recorded() {
    let folder = Folder::new();
    folder.write("map.toml", "[columns]\namount = \"a\"\n");
    for (name, bytes, kind) in [
        ("statement.ofx", data("statement.ofx"), "is an OFX statement, which is not read; "),
        ("statement.xml", data("statement.xml"), "is an XML statement (camt.053), which is not"),
        ("statement.sta", b":20:START\r\n:25:1/2\r\n:60F:C240305EUR1,\r\n".to_vec(), "is an MT940"),
        ("money.qif", b"!Type:Bank\nD05/03/24\nT-9.50\n^\n".to_vec(), "is a QIF file, which is"),
        (
            "book.xlsx",
            b"PK\x03\x04\x14\0\x06\0[Content_Types].xml\0".to_vec(),
            "is a spreadsheet (X",
        ),
        ("book.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0".to_vec(), "is a spreadsheet (XLS)"),
        (
            "book.ods",
            b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet".to_vec(),
            "is a spreadsheet (ODS)",
        ),
    ] {
        folder.write(name, bytes);
        let sentence = format!("'{name}' {kind}");
        folder.run(&["import", name]).fails(2, &sentence);
        folder.run(&["import", name, "--mapping", "map.toml"]).fails(2, &sentence);
        assert!(!folder.has("daybook.db") && !folder.has(&format!("{name}.rejects.ndjson")));
    }
    folder.write("bank.csv", "Date,Amount\n2024-03-05,9.50\n");
    folder
        .run(&["import", "bank.csv"])
        .fails(2, "'bank.csv' begins as CSV does; say with --mapping");
    folder.run_on(&["import", "-"], "OFXHEADER:100\n").fails(2, "'-' is an OFX statement");
}

fn a_csv_of_an_export_brings_every_text_back(on: On) {
    let folder = Folder::on(on);
    let texts = [
        "=HYPERLINK(\"http://x\")",
        "+1",
        "-1",
        "@A1",
        "'=1",
        "''-2",
        "'",
        "'x",
        "a,b;\"c\"",
        " x ",
        "＝1",
        "ü→",
    ];
    let mut file = String::new();
    for (number, text) in texts.iter().enumerate() {
        let item = json!({
            "user_id": format!("={number}"), "transaction_type": "card", "amount": "1.50",
            "source": text, "external_id": format!("-{number}"), "side": "credit",
            "source_version": number, "source_updated_at": "2024-03-05T10:00:00.25Z", "created_at": "2024-03-05T10:00:00Z",
            "metadata": { "merchant_name": text, "more": format!("\t{text}\r\n{text}\0"), "n": 1.50 }
        });
        file.push_str(&format!("{item}\n"));
        let item = json!({ "user_id": "ann", "transaction_type": "p2p", "amount": 7, "metadata": { "note": text, "direction": "sent" } });
        file.push_str(&format!("{item}\n"));
    }
    folder.write("items.ndjson", file);
    let count = texts.len() as u64 * 2;
    assert_eq!(folder.json(&["import", "items.ndjson", "--json"])["created"], count);
    folder.ok(&["export", "--format", "csv", "-o", "all.csv"]);
    // No cell begins as a formula does, the amounts are numbers.
    let mut reader = csv::Reader::from_path(folder.path("all.csv")).unwrap();
    for row in reader.records() {
        let row = row.unwrap();
        for cell in &row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
        }
        assert!(["1.50", "7.00"].contains(&&row[7]), "{row:?}");
    }
    // Into the same store nothing changes, into another one all comes back as it was.
    let again = folder.json(&["import", "all.csv", "--json"]);
    assert_eq!((&again["unchanged"], &again["unnamed"]), (&json!(count), &json!(0)), "{again}");
    let copy = ["--store", "sqlite:copy.db"];
    let summary =
        folder.json(&[&copy[..], &["import", "all.csv", "--json", "--batch", "3"]].concat());
    assert_eq!(summary["created"], count, "{summary}");
    let own = |text: &str| {
        let mut items = lines(text);
        for item in &mut items {
            item.as_object_mut().unwrap().remove("recorded_at");
        }
        items
    };
    let copied = folder.ok(&[&copy[..], &["export"]].concat());
    assert_eq!(own(&copied), own(&folder.ok(&["export"])));
    // It is also what a file that is piped in says.
    let piped =
        folder.run_on(&["import", "-", "--store", "sqlite:piped.db"], &folder.read("all.csv"));
    assert!(piped.stdout.contains(&format!("{count} created")), "{piped:?}");
}

fn an_exported_line_keeps_its_id_whatever_computed_fields_it_has(on: On) {
    let folder = Folder::on(on);
    let item = |more: Value| {
        let mut item = json!({ "user_id": "ann", "transaction_type": "card", "amount": "3.00",
                               "created_at": "2024-03-05T10:00:00Z" });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("{item}\n")
    };
    let id = |number: u32| format!("0190a5b2-0000-7000-8000-00000000000{number}");
    let given = [
        json!({ "id": id(1) }),
        json!({ "id": id(2), "version": 3, "recorded_at": "2024-03-05T10:00:01Z" }),
        json!({ "id": id(3), "display": { "title": "x" }, "updated_at": null, "transfer_id": null }),
        json!({ "id": id(4), "source": "bank", "external_id": "1", "version": 1, "source_version": 5 }),
        json!({ "version": 2, "display": {}, "recorded_at": "2024-03-05T10:00:01Z" }),
        json!({ "id": null, "transfer_id": null, "updated_at": "2024-03-05T10:00:01Z" }),
    ];
    folder.write("items.ndjson", given.iter().map(|more| item(more.clone())).collect::<String>());
    let summary = folder.json(&["import", "items.ndjson", "--json"]);
    assert_eq!((&summary["created"], &summary["unnamed"]), (&json!(6), &json!(2)), "{summary}");
    let items = lines(&folder.ok(&["export"]));
    for number in 1..=4 {
        let found = items.iter().filter(|item| item["id"] == json!(id(number)));
        assert_eq!(found.count(), 1, "{number}");
    }
    // An id that is here: the same is unchanged, an earlier version is, other content is refused.
    let rows = [
        item(json!({ "id": id(1) })),
        item(json!({ "id": id(2), "amount": "9.00" })),
        item(json!({ "id": id(3), "user_id": "bob" })),
        item(json!({ "id": "txn_7" })),
        item(json!({ "id": id(5) })),
        item(json!({ "id": id(5), "amount": "9.00" })),
    ];
    folder.write("items.ndjson", rows.concat());
    let summary = folder.json(&["import", "items.ndjson", "--json"]);
    assert_eq!(counts(&summary), [6, 1, 0, 1, 4], "{summary}");
    let mut codes: Vec<(u64, String)> =
        rejects(&folder, "items.ndjson").into_iter().map(|(line, code, _)| (line, code)).collect();
    codes.sort();
    let codes: Vec<(u64, &str)> = codes.iter().map(|(line, code)| (*line, code.as_str())).collect();
    assert_eq!(codes, [(2, "RECORD_CONFLICT"), (3, "ID_TAKEN"), (4, "UUID"), (6, "REPEATED_ID")]);
    // The exported line of an item that has gone on since changes nothing.
    folder.ok(&["export", "-o", "before.ndjson"]);
    let newer = [
        item(
            json!({ "source": "bank", "external_id": "1", "amount": "4.00", "source_version": 6 }),
        ),
        item(json!({ "id": id(1), "amount": "5.00", "source_version": 1 })),
    ];
    folder.write("newer.ndjson", newer.concat());
    assert_eq!(counts(&folder.json(&["import", "newer.ndjson", "--json"])), [2, 0, 2, 0, 0]);
    let after = folder.ok(&["export"]);
    let again = folder.json(&["import", "before.ndjson", "--json"]);
    assert_eq!((counts(&again), &again["ignored"]), ([7, 0, 0, 6, 0], &json!(1)), "{again}");
    assert_eq!(folder.ok(&["export"]), after);
}

fn of_an_id_that_repeats_the_newest_row_stays_where_rows_say_how_new_they_are(on: On) {
    let row = |id: &str, amount: u32, mark: Value| {
        let mut row = json!({ "user_id": "ann", "transaction_type": "card", "amount": amount,
                              "source": "bank", "external_id": id, "created_at": format!("2024-01-0{id}") });
        row.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        format!("{row}\n")
    };
    let version = |version: u32| json!({ "source_version": version });
    let at = |at: &str| json!({ "source_updated_at": at });
    let rows = [
        row("1", 10, version(1)),
        row("1", 11, version(3)),
        row("1", 12, version(2)),
        row("1", 13, version(2)),
        row("1", 14, json!({})),
        row("2", 20, json!({})),
        row("2", 21, version(0)),
        row("3", 30, at("2024-02-01T10:00:00Z")),
        row("3", 31, at("2024-02-01T10:00:00.5Z")),
        row("3", 31, at("2024-02-01T10:00:00.5Z")),
    ];
    for batch in ["100", "1"] {
        let folder = Folder::on(on);
        folder.write("items.ndjson", rows.concat());
        let import = ["import", "items.ndjson", "--json", "--batch", batch];
        let summary = folder.json(&import);
        let refused: Vec<(u64, String)> = rejects(&folder, "items.ndjson")
            .into_iter()
            .map(|(line, code, _)| (line, code))
            .collect();
        assert_eq!(
            refused,
            [(4, "REPEATED_ID".to_owned()), (5, "REPEATED_ID".to_owned())],
            "{summary}"
        );
        assert_eq!((counts(&summary), &summary["ignored"]), ([10, 3, 3, 1, 2], &json!(1)));
        assert_eq!(amounts(&folder, &[]), ["debit 11.00", "debit 21.00", "debit 31.00"]);
    }
}

#[test]
fn fernet_opens_a_column_before_its_value_map_applies() {
    let folder = Folder::new();
    folder.write("fernet.keys", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
    // "ann@example.org", with that key.
    let token = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD_xeX7ux-BWgZQjMw3mkhN-WiYf5yiVyOQHr4lX9X3OD9jTs3v5PWe_EEy2JGbu5vg==";
    folder.write(
        "map.toml",
        r#"
        [columns]
        user_id = { column = "who", prefix = "u-" }
        transaction_type = { column = "kind", values = { "ann@example.org" = "earnings" }, otherwise = "withdrawal" }
        amount = "sum"
        "metadata.peer" = "peer"
        "#,
    );
    let other = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODzZ0e5nPB9xQguqol_4GlWnUAbszvNSgVt3YLEGFmlDRjvCZZg5O6viJWqtbdJWYPiSGgxrAGRKY-IenvrYPwIA=";
    folder.write(
        "sealed.csv",
        format!("who,kind,sum,peer\n{token},{token},5,{token}\nx,{other},6,\nx,salary,7,\n"),
    );
    let words = |fields: &[&'static str]| {
        let mut words = vec![
            "import",
            "--mapping",
            "map.toml",
            "sealed.csv",
            "--fernet-key-file",
            "fernet.keys",
        ];
        for field in fields {
            words.extend(["--fernet-field", field]);
        }
        words
    };
    let typo = folder.run(&words(&["knid"]));
    typo.fails(
        2,
        "--fernet-field 'knid': the mapping fills no such field and reads no such column",
    );
    let shown = folder.json(&[&words(&["kind"])[..], &["--dry-run", "--json"]].concat());
    let first = &shown["first_rows"][0];
    assert_eq!(
        (&first["transaction_type"], &first["metadata"]),
        (&json!("earnings"), &Value::Null)
    );
    for field in ["kind", "transaction_type"] {
        folder.ok(&words(&[field, "metadata.peer"]));
        let rejects = rejects(&folder, "sealed.csv");
        let codes: Vec<(u64, &str)> =
            rejects.iter().map(|(line, code, _)| (*line, code.as_str())).collect();
        assert_eq!(codes, [(3, "FERNET"), (4, "FERNET")], "{field}");
    }
    let item = &lines(&folder.ok(&["export"]))[0];
    assert_eq!(item["user_id"], "u-ann@example.org");
    assert_eq!((&item["transaction_type"], &item["side"]), (&json!("earnings"), &json!("credit")));
    assert_eq!(item["metadata"]["peer"], "ann@example.org");
}

/// An item of ann with more fields, or others.
fn item_with(more: &Value) -> String {
    let mut item = json!({ "user_id": "ann", "transaction_type": "card", "amount": "3.00" });
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("{item}\n")
}

fn uuid(number: u32) -> String {
    format!("0190a5b2-0000-7000-8000-{number:012}")
}

/// The lines that are rejected and why, in order.
fn rejected(folder: &Folder, file: &str) -> Vec<(u64, String)> {
    let mut found: Vec<(u64, String)> =
        rejects(folder, file).into_iter().map(|(line, code, _)| (line, code)).collect();
    found.sort();
    found
}

fn lines_that_mean_the_same_are_no_repeats(on: On) {
    let names =
        [r#""source":"bank","external_id":"1""#.to_owned(), format!(r#""id":"{}""#, uuid(1))];
    let row = |name: &str, rest: &str| {
        format!(r#"{{"user_id":"ann","transaction_type":"card","amount":"3.00",{name},{rest}}}"#)
    };
    for batch in ["100", "1"] {
        let folder = Folder::on(on);
        let mut file = Vec::new();
        for name in &names {
            file.extend([
                row(
                    name,
                    r#""created_at":"2024-03-05T10:00:00Z","metadata":{"a":1,"b":{"x":1.50,"y":[2]}}"#,
                ),
                row(
                    name,
                    r#""metadata":{"b":{"y":[2.0],"x":15e-1},"a":1.0},"created_at":"2024-03-05T11:00:00+01:00""#,
                ),
                row(name, r#""metadata":{"b":{"y":[2],"x":1.5},"a":1}"#),
                row(name, r#""metadata":{"b":{"y":[3],"x":1.5},"a":1}"#),
                row(
                    name,
                    r#""created_at":"2024-03-05T10:00:01Z","metadata":{"a":1,"b":{"x":1.5,"y":[2]}}"#,
                ),
            ]);
        }
        folder.write("items.ndjson", file.join("\n"));
        let summary = folder.json(&["import", "items.ndjson", "--json", "--batch", batch]);
        assert_eq!(counts(&summary), [10, 2, 0, 4, 4], "{summary}");
        let repeated = [4, 5, 9, 10].map(|line| (line, "REPEATED_ID".to_owned()));
        assert_eq!(rejected(&folder, "items.ndjson"), repeated);
        // Transfers too.
        let transfer = |rest: &str| {
            format!(
                r#"{{"source_account_id":1,"destination_account_id":2,"amount":"1","reference":"r",{rest}}}"#
            )
        };
        let file = [
            r#"{"account_id":1,"user_id":"ann","overdraft_limit":"unlimited"}"#.to_owned(),
            r#"{"account_id":2,"user_id":"bob"}"#.to_owned(),
            transfer(r#""created_at":"2024-03-05T10:00:00Z","metadata":{"a":1,"b":2}"#),
            transfer(r#""metadata":{"b":2.0,"a":1}"#),
            transfer(r#""metadata":{"b":3,"a":1}"#),
        ];
        folder.write("ledger.ndjson", file.join("\n"));
        let summary = folder.json(&["import", "ledger.ndjson", "--json", "--batch", batch]);
        assert_eq!(counts(&summary), [5, 3, 0, 1, 1], "{summary}");
        assert_eq!(rejected(&folder, "ledger.ndjson"), [(5, "REPEATED_ID".to_owned())]);
    }
}

fn a_line_is_no_repeat_of_one_that_the_store_refused(on: On) {
    let time = "2024-03-05T10:00:00Z";
    for name in [json!({ "source": "bank", "external_id": "1" }), json!({ "id": uuid(1) })] {
        let row = |amount: &str| {
            let mut row = json!({ "amount": amount, "created_at": time });
            row.as_object_mut().unwrap().extend(name.as_object().unwrap().clone());
            item_with(&row)
        };
        for batch in ["100", "1"] {
            let folder = Folder::on(on);
            folder.write("first.ndjson", row("3.00"));
            folder.ok(&["import", "first.ndjson"]);
            folder.write("second.ndjson", [row("4.00"), row("3.00")].concat());
            let summary = folder.json(&["import", "second.ndjson", "--json", "--batch", batch]);
            assert_eq!(counts(&summary), [2, 0, 0, 1, 1], "{summary}");
            assert_eq!(rejected(&folder, "second.ndjson"), [(1, "RECORD_CONFLICT".to_owned())]);
        }
    }
    let folder = Folder::on(on);
    let accounts = concat!(
        "{\"account_id\":1,\"user_id\":\"ann\",\"overdraft_limit\":\"unlimited\"}\n",
        "{\"account_id\":2,\"user_id\":\"bob\"}\n",
    );
    let transfer = |amount: &str| {
        let transfer = json!({ "source_account_id": 1, "destination_account_id": 2,
                               "amount": amount, "reference": "r" });
        format!("{transfer}\n")
    };
    folder.write("first.ndjson", [accounts.to_owned(), transfer("3")].concat());
    folder.ok(&["import", "first.ndjson"]);
    folder.write("second.ndjson", [transfer("4"), transfer("3")].concat());
    let summary = folder.json(&["import", "second.ndjson", "--json"]);
    assert_eq!(counts(&summary), [2, 0, 0, 1, 1], "{summary}");
    assert_eq!(rejected(&folder, "second.ndjson"), [(1, "DUPLICATE_REFERENCE".to_owned())]);
}

fn an_id_that_was_deleted_or_is_anothers_is_not_taken(on: On) {
    let folder = Folder::on(on);
    let named = json!({ "id": uuid(3), "source": "bank", "external_id": "3" });
    let rows = [
        json!({ "id": uuid(1) }),
        json!({ "id": uuid(2), "user_id": "bob" }),
        named.clone(),
        // Another's within the same file.
        json!({ "id": uuid(2) }),
    ];
    folder.write("items.ndjson", rows.iter().map(item_with).collect::<String>());
    let summary = folder.json(&["import", "items.ndjson", "--json"]);
    assert_eq!(counts(&summary), [4, 3, 0, 0, 1], "{summary}");
    assert_eq!(rejected(&folder, "items.ndjson"), [(4, "ID_TAKEN".to_owned())]);
    let before = folder.ok(&["export", "--user", "bob"]);
    folder.ok(&["export", "--user", "ann", "-o", "ann.ndjson"]);
    folder.ok(&["clean", "--user", "ann", "--yes"]);

    let rows = [
        json!({ "id": uuid(1) }),
        json!({ "id": uuid(1), "user_id": "bob" }),
        json!({ "id": uuid(2) }),
        json!({ "id": uuid(3), "user_id": "bob", "source": "bank", "external_id": "3" }),
    ];
    folder.write("items.ndjson", rows.iter().map(item_with).collect::<String>());
    let ran = folder.run(&["import", "items.ndjson", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let codes = ["TRANSACTION_DELETED", "ID_TAKEN", "ID_TAKEN", "ID_TAKEN"];
    let codes: Vec<(u64, String)> = (1..).zip(codes.map(str::to_owned)).collect();
    assert_eq!(rejected(&folder, "items.ndjson"), codes);
    assert_eq!(folder.ok(&["export"]), before);
    // So is what was exported before; what has another name is recorded under another id.
    assert_eq!(counts(&folder.json(&["import", "ann.ndjson", "--json"])), [2, 1, 0, 0, 1]);
    assert_eq!(counts(&folder.json(&["import", "ann.ndjson", "--json"])), [2, 0, 0, 1, 1]);
    let items = lines(&folder.ok(&["export", "--user", "ann"]));
    assert_eq!((items.len(), &items[0]["external_id"]), (1, &json!("3")));
    assert_ne!(items[0]["id"], json!(uuid(3)));
    // Without its id a row is recorded anew.
    folder.write("items.ndjson", item_with(&json!({})));
    assert_eq!(counts(&folder.json(&["import", "items.ndjson", "--json"])), [1, 1, 0, 0, 0]);
    folder.ok(&["verify"]);
}

fn a_name_decides_whatever_id_its_row_has(on: On) {
    let folder = Folder::on(on);
    let row = |id: Option<u32>, name: &str, more: Value| {
        let mut row = json!({ "id": id.map(uuid), "source": "bank", "external_id": name,
                              "created_at": "2024-03-05T10:00:00Z" });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item_with(&row)
    };
    let none = || json!({});
    folder.write(
        "first.ndjson",
        [row(None, "1", none()), row(None, "2", none()), row(Some(3), "3", none())].concat(),
    );
    folder.ok(&["import", "first.ndjson"]);
    let ids = |folder: &Folder| {
        let items = lines(&folder.ok(&["export"])).into_iter();
        let mut ids: Vec<_> =
            items.map(|item| (item["external_id"].to_string(), item["id"].clone())).collect();
        ids.sort_by(|a, b| a.0.cmp(&b.0));
        ids
    };
    let before = ids(&folder);
    let rows = [
        row(Some(11), "1", none()),
        row(Some(12), "2", json!({ "source_version": 2, "amount": "4.00" })),
        row(Some(13), "3", json!({ "amount": "5.00" })),
        row(Some(14), "4", none()),
        // The id is that of another record.
        row(Some(3), "5", none()),
        row(Some(12), "6", none()),
    ];
    folder.write("second.ndjson", rows.concat());
    let import = ["import", "second.ndjson", "--json"];
    let summary = folder.json(&import);
    assert_eq!(counts(&summary), [6, 2, 1, 1, 2], "{summary}");
    let conflicts = [3, 5].map(|line| (line, "RECORD_CONFLICT".to_owned()));
    assert_eq!(rejected(&folder, "second.ndjson"), conflicts);
    let after = ids(&folder);
    assert_eq!(after[..3], before);
    let new = [("\"4\"", 14), ("\"6\"", 12)];
    assert_eq!(after[3..], new.map(|(name, id)| (name.to_owned(), json!(uuid(id)))));
    // The sentence is about the content, not about the id.
    let (_, _, sentence) = &rejects(&folder, "second.ndjson")[0];
    assert!(sentence.starts_with("this record is known with another `amount`"), "{sentence}");
    assert_eq!(counts(&folder.json(&import)), [6, 0, 0, 4, 2]);
}

#[test]
fn two_imports_of_the_same_ids_at_once_record_each_once() {
    if crate::stores::server().is_none() {
        return;
    }
    let folder = Folder::on(On::Postgres);
    folder.ok(&["export"]);
    let rows = |name: &str| {
        let more =
            (0..2_000).map(|number| json!({ "id": uuid(number), "created_at": "2024-03-05" }));
        folder.write(name, more.map(|more| item_with(&more)).collect::<String>());
    };
    let begin = |name: &str| {
        rows(name);
        folder.command(&["import", name, "--json", "--batch", "50"]).spawn().unwrap()
    };
    let mut created = 0;
    for child in ["a.ndjson", "b.ndjson"].map(begin) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        let [rows, new, _, unchanged, _] = counts(&summary);
        assert_eq!((rows, new + unchanged), (2_000, 2_000), "{summary}");
        created += new;
    }
    assert_eq!(created, 2_000);
}
