use serde_json::{Value, json};

use crate::folder::Folder;

fn shipped(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn items(folder: &Folder, words: &[&str]) -> Vec<Value> {
    let text = folder.ok(&[&["export"], words].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_file_of_a_bank_is_read_by_its_mapping() {
    let folder = Folder::new();
    folder.write("bank.asc", std::fs::read(shipped("tests/data/bank.asc")).unwrap());
    let mapping = shipped("mappings/berka.toml");
    let import = ["import", "--mapping", &mapping, "bank.asc", "--json"];
    let summary = folder.json(&import);
    assert_eq!((&summary["created"], &summary["rejected"]), (&json!(30), &json!(0)));
    let summary = folder.json(&import);
    assert_eq!((&summary["unchanged"], &summary["rows"]), (&json!(30), &json!(30)));

    let filter = ["--filter", "source=berka", "--filter", "external_id=900007"];
    let found = items(&folder, &filter);
    let [item] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(item["user_id"], "berka-12");
    assert_eq!(item["transaction_type"], "bill_payment");
    assert_eq!(item["side"], "debit");
    assert_eq!(item["currency"], "CZK");
    assert_eq!(item["created_at"], "1993-01-20T00:00:00.000000Z");
    assert_eq!(
        item["metadata"],
        json!({"account": "10000003", "balance": 6489.50, "bank": "UV",
               "description": "household payment",
               "k_symbol": "household payment", "operation": "remittance to another bank"})
    );
    let text = folder.ok(&[["export"].as_slice(), &filter].concat());
    assert!(
        text.contains(r#""amount":2130.50,"#) && text.contains(r#""balance":6489.50"#),
        "{text}"
    );

    // The purpose says more than the operation; a blank one says nothing.
    for (id, kind, side) in [
        ("900001", "top_up", "credit"),
        ("900003", "earnings", "credit"),
        ("900004", "other", "credit"),
        ("900005", "withdrawal", "debit"),
        ("900009", "bill_payment", "debit"),
        ("900011", "withdrawal", "debit"),
        ("900012", "earnings", "credit"),
        ("900015", "other", "debit"),
        ("900018", "withdrawal", "debit"),
        ("900022", "bill_payment", "debit"),
        ("900024", "other", "debit"),
    ] {
        let found = items(&folder, &["--filter", &format!("external_id={id}")]);
        assert_eq!(found[0]["transaction_type"], kind, "{id}");
        assert_eq!(found[0]["side"], side, "{id}");
    }
    let fees = items(&folder, &["--filter", "metadata.k_symbol=statement fee"]);
    assert_eq!(fees.len(), 3);
    folder.ok(&["verify"]);
}

#[test]
fn bad_rows_of_a_csv_are_rejected_with_their_line() {
    let folder = Folder::new();
    folder.write(
        "map.toml",
        "[file]\nencoding = \"windows-1250\"\n\
         [columns]\nexternal_id = \"id\"\namount = \"sum\"\ncreated_at = \"day\"\n\
         \"metadata.note\" = \"note\"\n\
         [constants]\nsource = \"shop\"\ntransaction_type = \"card\"\ncurrency = \"EUR\"\n\
         [dates]\nformats = [\"%d.%m.%Y\"]\n\
         [amounts]\ndecimal = \",\"\nnegative = \"debit\"\n",
    );
    let mut text = b"id,sum,day,note\r\n".to_vec();
    text.extend(b"1,\"-1,50\",01.02.2024,\"two\r\nlines, \x9elut\xfd\"\r\n");
    text.extend(b"2,\"1,505\",01.02.2024,x\r\n");
    text.extend(b"3,1,30.02.2024,x\r\n");
    text.extend(b"4,1\r\n");
    text.extend(b"5,1,01.02.2024,\"open\r\n");
    text.extend(b"6,7,01.02.2024,last\r\n");
    folder.write("shop.csv", text);
    let import = ["import", "--mapping", "map.toml", "--user", "ann", "shop.csv", "--json"];
    let summary = folder.json(&import);
    assert_eq!((&summary["created"], &summary["rejected"]), (&json!(2), &json!(4)));
    let rejects = folder.read("shop.csv.rejects.ndjson");
    let found: Vec<(u64, String)> = rejects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|r| (r["line"].as_u64().unwrap(), r["errors"][0]["code"].as_str().unwrap().to_owned()))
        .collect();
    let found: Vec<(u64, &str)> = found.iter().map(|(line, code)| (*line, code.as_str())).collect();
    assert_eq!(found, [(4, "AMOUNT"), (5, "TIME"), (6, "COLUMNS"), (7, "OPEN_QUOTE")]);
    let first = &items(&folder, &["--filter", "external_id=1"])[0];
    assert_eq!(first["metadata"]["note"], "two\nlines, žlutý");
    assert_eq!((&first["side"], &first["amount"]), (&json!("debit"), &json!(1.5)));
}

#[test]
fn a_column_that_the_file_does_not_have_is_a_clear_sentence() {
    let folder = Folder::new();
    folder.write("map.toml", "[columns]\namount = \"total\"\n");
    folder.write("shop.csv", "id,sum\n1,2\n");
    let import = ["import", "--mapping", "map.toml", "shop.csv"];
    folder.run(&import).fails(2, "the file has no column 'total', it has id, sum");
    folder.write("map.toml", "[columns]\ntotal = \"sum\"\n");
    folder.run(&import).fails(2, "the mapping 'map.toml' is wrong: there is no field `total`");
}
