use serde_json::{Value, json};

use crate::folder::{Folder, bodies};
use crate::stores::{On, every_store};

every_store! {
    an_export_can_be_imported_again,
    an_item_that_shows_a_transfer_is_never_imported_as_an_item,
    filters_and_users_narrow_an_export,
    a_csv_has_one_row_an_item,
}

fn an_export_can_be_imported_again(on: On) {
    let folder = Folder::on(on);
    let nameless = r#"{"user_id":"bob","transaction_type":"p2p","amount":"1.10","status":"pending","metadata":{"direction":"sent","n":1.10}}"#;
    folder.write("items.ndjson", format!("{}{nameless}\n", bodies("ann", 0..30)));
    folder.ok(&["import", "items.ndjson"]);
    folder.ok(&["export", "-o", "all.ndjson"]);
    let again = folder.json(&["import", "all.ndjson", "--json"]);
    assert_eq!((&again["unchanged"], &again["unnamed"]), (&json!(31), &json!(0)));

    let copy = ["--store", "sqlite:copy.db"];
    let imported = folder.json(&[&copy[..], &["import", "all.ndjson", "--json"]].concat());
    assert_eq!(imported["created"], 31, "{imported}");
    let own = |text: &str| -> Vec<Value> {
        let mut items: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for item in &mut items {
            item.as_object_mut().unwrap().remove("recorded_at");
        }
        items
    };
    let copied = folder.ok(&[&copy[..], &["export"]].concat());
    assert_eq!(own(&copied), own(&folder.read("all.ndjson")));
}

fn an_item_that_shows_a_transfer_is_never_imported_as_an_item(on: On) {
    let folder = Folder::on(on);
    folder.write("items.ndjson", bodies("ann", 0..1));
    folder.ok(&["import", "items.ndjson"]);
    folder.ok(&["accounts", "open", "--id", "1", "--user", "ann", "--initial-balance", "5"]);
    folder.ok(&["accounts", "open", "--id", "2", "--user", "bob"]);
    let send = ["transfers", "send", "--from", "1", "--to", "2", "--amount", "3", "--json"];
    let transfer = folder.json(&send);
    folder.ok(&["export", "-o", "all.ndjson"]);
    // Where the transfer is, nothing changes.
    let again = folder.json(&["import", "all.ndjson", "--json"]);
    assert_eq!((&again["rows"], &again["unchanged"]), (&json!(3), &json!(3)), "{again}");
    // Elsewhere, an item must not say that money moved which did not.
    let copy = ["--store", "sqlite:copy.db"];
    let elsewhere = folder.json(&[&copy[..], &["import", "all.ndjson", "--json"]].concat());
    assert_eq!((&elsewhere["created"], &elsewhere["rejected"]), (&json!(1), &json!(2)));
    let rejects = folder.read("all.ndjson.rejects.ndjson");
    for line in rejects.lines() {
        let reject: Value = serde_json::from_str(line).unwrap();
        assert_eq!(reject["code"], "BELONGS_TO_TRANSFER");
        assert!(reject["detail"].as_str().unwrap().contains(transfer["id"].as_str().unwrap()));
    }
    let csv = folder.ok(&["export", "--format", "csv", "--user", "bob"]);
    assert!(csv.lines().nth(1).unwrap().contains(transfer["id"].as_str().unwrap()), "{csv}");
}

fn filters_and_users_narrow_an_export(on: On) {
    let folder = Folder::on(on);
    folder
        .write("items.ndjson", bodies("ann", 0..10) + &bodies("bob", 0..10) + &bodies("eve", 0..1));
    folder.ok(&["import", "items.ndjson"]);
    let lines = |words: &[&str]| folder.ok(&[&["export"], words].concat()).lines().count();
    assert_eq!(lines(&[]), 21);
    assert_eq!(lines(&["--user", "ann"]), 10);
    assert_eq!(lines(&["--user", "ann", "--user", "bob"]), 20);
    assert_eq!(lines(&["--filter", "min_amount=8"]), 4);
    assert_eq!(lines(&["--user", "ann", "--filter", "merchant_name=Shop 7"]), 1);
    assert_eq!(lines(&["--filter", "search_query=shop", "--filter", "max_amount=0.25"]), 3);
    assert_eq!(lines(&["--user", "nobody"]), 0);
}

fn a_csv_has_one_row_an_item(on: On) {
    let folder = Folder::on(on);
    folder.write("items.ndjson", bodies("ann", 3..4));
    folder.ok(&["import", "items.ndjson"]);
    let csv = folder.ok(&["export", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let names = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let [row] = rows.as_slice() else { panic!("{csv}") };
    let value = |name| &row[names.iter().position(|n| n == name).unwrap()];
    assert_eq!((value("user_id"), value("amount"), value("currency")), ("ann", "3.25", "USD"));
    assert_eq!(value("metadata"), r#"{"merchant_name":"Shop 3"}"#);
}

#[test]
fn a_filter_that_cannot_be_is_exit_code_2() {
    let folder = Folder::new();
    for (filter, sentence) in [
        ("colour=red", "--filter: there is no parameter 'colour' here"),
        ("status=open", "--filter: `status` is one of"),
        ("page=2", "--filter 'page': an export has all pages, newest first"),
        ("status", "--filter 'status': write it as name=value"),
    ] {
        folder.run(&["export", "--filter", filter]).fails(2, sentence);
    }
    folder.run(&["export"]).fails(2, "there is no store at 'daybook.db'");
    assert!(!folder.has("daybook.db"));
}
