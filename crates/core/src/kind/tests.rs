use std::fmt::Write as _;

use super::*;
use crate::id::{EventSeq, TransactionId, UserId};
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::transaction::{NewTransaction, Vocabulary};

fn parse(body: &str) -> Result<NewTransaction, Rejection> {
    let user = UserId::parse("user123").expect("a user id");
    NewTransaction::parse(
        body,
        TransactionId(uuid::Uuid::nil()),
        Some(&user),
        &Vocabulary::default(),
    )
}

fn body(transaction_type: TransactionType, metadata: &str) -> String {
    let name = transaction_type.name();
    format!(r#"{{"transaction_type":"{name}","amount":"1","metadata":{metadata}}}"#)
}

fn item(transaction_type: TransactionType, metadata: &str) -> Transaction {
    let new = parse(&body(transaction_type, metadata)).expect(metadata);
    new.record(Timestamp::from_micros(0), EventSeq(1))
}

/// The pointers and codes of what is refused.
fn refused(transaction_type: TransactionType, metadata: &str) -> Vec<(String, String)> {
    match parse(&body(transaction_type, metadata)) {
        Ok(_) => Vec::new(),
        Err(Rejection::Invalid(errors)) => {
            errors.into_iter().map(|error| (error.pointer, error.code)).collect()
        }
        Err(rejection) => panic!("{rejection:?}"),
    }
}

#[test]
fn kinds_stand_in_the_order_of_the_types() {
    let types: Vec<TransactionType> = KINDS.iter().map(|kind| kind.transaction_type()).collect();
    assert_eq!(types, TransactionType::ALL);
    for kind in KINDS {
        assert_eq!(of(kind.transaction_type()).transaction_type(), kind.transaction_type());
    }
}

#[test]
fn every_example_is_accepted_and_reads_well() {
    let mut shown = String::new();
    for kind in KINDS {
        let new = parse(kind.example()).expect("a valid example");
        assert_eq!(new.transaction_type, kind.transaction_type());
        let item = new.record(Timestamp::from_micros(0), EventSeq(1));
        let display = serde_json::to_string(&kind.display(&item)).expect("JSON");
        writeln!(shown, "{} {} {} {display}", item.transaction_type, item.product, item.side)
            .expect("a string takes everything");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn nothing_is_required_and_every_item_has_a_title() {
    for kind in KINDS {
        for metadata in ["{}", r#"{"unknown_field":[1,{"a":null}]}"#] {
            let display = kind.display(&item(kind.transaction_type(), metadata));
            assert!(!display.title.is_empty(), "{metadata}");
            assert_eq!(display.subtitle, None, "{metadata}");
        }
        assert!(!kind.secrets().is_empty());
    }
}

#[test]
fn nulls_count_as_absent_in_every_known_field() {
    for kind in KINDS {
        let example = Json::parse(kind.example(), 5).expect("JSON");
        let Some(Json::Object(entries)) = example.get("metadata") else {
            panic!("an example has metadata");
        };
        for (name, _) in entries {
            let metadata = format!(r#"{{"{name}":null}}"#);
            assert_eq!(refused(kind.transaction_type(), &metadata), [], "{metadata}");
        }
    }
}

#[test]
fn each_type_has_its_product() {
    use TransactionType::{BillPayment, Card, Crypto, Earnings, Other, P2p, TopUp, Withdrawal};
    for (transaction_type, product) in [
        (Card, "Card"),
        (P2p, "P2P"),
        (Crypto, "Crypto"),
        (TopUp, "Account"),
        (Withdrawal, "Account"),
        (BillPayment, "Account"),
        (Earnings, "Earnings"),
        (Other, "Account"),
    ] {
        assert_eq!(of(transaction_type).product(), product);
    }
}

#[test]
fn the_side_follows_from_the_type_and_its_metadata() {
    use Side::{Credit, Debit};
    use TransactionType::{BillPayment, Card, Crypto, Earnings, Other, P2p, TopUp, Withdrawal};
    for (transaction_type, metadata, side) in [
        (Card, "{}", Debit),
        (Card, r#"{"operation":"purchase"}"#, Debit),
        (Card, r#"{"operation":"Refund"}"#, Credit),
        (P2p, "{}", Debit),
        (P2p, r#"{"direction":"sent"}"#, Debit),
        (P2p, r#"{"direction":"received"}"#, Credit),
        (Crypto, "{}", Debit),
        (Crypto, r#"{"operation":"buy"}"#, Debit),
        (Crypto, r#"{"operation":"sell"}"#, Credit),
        (Crypto, r#"{"operation":"send"}"#, Debit),
        (Crypto, r#"{"operation":"receive"}"#, Credit),
        (Crypto, r#"{"operation":"stake"}"#, Debit),
        (Crypto, r#"{"operation":"staking_reward"}"#, Credit),
        (Crypto, r#"{"side":"sell"}"#, Credit),
        (Crypto, r#"{"side":"BUY"}"#, Debit),
        (Crypto, r#"{"operation":"transfer","side":"credit"}"#, Credit),
        (TopUp, "{}", Credit),
        (Withdrawal, "{}", Debit),
        (BillPayment, "{}", Debit),
        (Earnings, "{}", Credit),
        (Other, "{}", Debit),
        (Other, r#"{"direction":"in"}"#, Credit),
        (Other, r#"{"direction":"received"}"#, Credit),
        (Other, r#"{"direction":"credit"}"#, Credit),
        (Other, r#"{"direction":"out"}"#, Debit),
    ] {
        assert_eq!(item(transaction_type, metadata).side, side, "{transaction_type} {metadata}");
    }
}

#[test]
fn a_wrong_value_is_refused_where_it_stands() {
    use TransactionType::{BillPayment, Card, Crypto, Earnings, P2p, TopUp, Withdrawal};
    for (transaction_type, name, value, code) in [
        (Card, "merchant_name", "5", "TYPE"),
        (Card, "merchant_category", "[]", "TYPE"),
        (Card, "location", "true", "TYPE"),
        (Card, "card_last_four", "\"567\"", "LAST_FOUR"),
        (Card, "card_last_four", "\"56789\"", "LAST_FOUR"),
        (Card, "card_last_four", "\"56x8\"", "LAST_FOUR"),
        (Card, "card_last_four", "5678", "LAST_FOUR"),
        (Card, "operation", "\"steal\"", "ONE_OF"),
        (Card, "mcc", "\"58\"", "MCC"),
        (Card, "mcc", "58123", "MCC"),
        (P2p, "direction", "\"sideways\"", "ONE_OF"),
        (P2p, "direction", "1", "ONE_OF"),
        (P2p, "peer_name", "{}", "TYPE"),
        (P2p, "peer_email", "\"alice\"", "EMAIL"),
        (P2p, "peer_phone", "\"call me\"", "PHONE"),
        (P2p, "note", "7", "TYPE"),
        (P2p, "reference", "1.5", "TYPE"),
        (Crypto, "operation", "\"hodl\"", "ONE_OF"),
        (Crypto, "side", "\"up\"", "ONE_OF"),
        (Crypto, "asset", "\"\"", "COIN"),
        (Crypto, "coin", "\"B/T/C\"", "COIN"),
        (Crypto, "quantity", "\"a lot\"", "DECIMAL"),
        (Crypto, "price", "\"NaN\"", "DECIMAL"),
        (Crypto, "wallet_address", "\"0xnothex\"", "WALLET_ADDRESS"),
        (Crypto, "wallet_address", "12345", "WALLET_ADDRESS"),
        (Crypto, "tx_hash", "\"short\"", "TX_HASH"),
        (Crypto, "network", "1", "TYPE"),
        (TopUp, "method", "1", "TYPE"),
        (TopUp, "bank_name", "false", "TYPE"),
        (TopUp, "card_last_four", "\"12\"", "LAST_FOUR"),
        (TopUp, "iban", "\"DE00370400440532013000\"", "IBAN"),
        (Withdrawal, "account_last_four", "\"12345\"", "LAST_FOUR"),
        (Withdrawal, "iban", "\"GB29NWBK60161331926818\"", "IBAN"),
        (Withdrawal, "atm_location", "7", "TYPE"),
        (Withdrawal, "account_number", "\"§\"", "ACCOUNT_NUMBER"),
        (BillPayment, "biller_name", "7", "TYPE"),
        (BillPayment, "due_date", "\"2023-02-29\"", "DATE"),
        (BillPayment, "due_date", "20240201", "DATE"),
        (BillPayment, "account_number", "{}", "ACCOUNT_NUMBER"),
        (Earnings, "earnings_type", "1", "TYPE"),
        (Earnings, "rate", "\"high\"", "DECIMAL"),
        (Earnings, "period_start", "\"soon\"", "DATE"),
    ] {
        let expected = [(format!("/metadata/{name}"), code.to_owned())];
        let metadata = format!(r#"{{"{name}":{value}}}"#);
        // `GB29NWBK60161331926819` is the right one; one digit is off above.
        assert_eq!(refused(transaction_type, &metadata), expected, "{transaction_type} {metadata}");
    }
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let metadata = r#"{"merchant_name":1,"card_last_four":"x","mcc":"y","operation":"z"}"#;
    assert_eq!(refused(TransactionType::Card, metadata).len(), 4);
}

#[test]
fn values_are_accepted_as_different_systems_write_them() {
    use TransactionType::{BillPayment, Card, Crypto, Earnings, Other, P2p, TopUp, Withdrawal};
    for (transaction_type, metadata) in [
        (
            Card,
            r#"{"mcc":5814,"location":{"city":"Berlin","country":"DE"},"operation":"PURCHASE"}"#,
        ),
        (P2p, r#"{"direction":"Received","peer_phone":"(202) 555-0142","reference":123}"#),
        (Crypto, r#"{"quantity":0.25,"price":"64000","coin":"Bitcoin","crypto_type":"btc"}"#),
        (Crypto, r#"{"wallet_address":"0x742d...f44e","side":"buy","quantity":"1e-8"}"#),
        (TopUp, r#"{"method":"Apple Pay","last_four":"0042"}"#),
        (Withdrawal, r#"{"iban":"GB29 NWBK 6016 1331 9268 19","account_number":12345678}"#),
        (BillPayment, r#"{"due_date":"2024-02-01T00:00:00Z","account_number":"****1234"}"#),
        (Earnings, r#"{"rate":"4.5%","source":"cashback","period":2024}"#),
        (Other, r#"{"title":5,"anything":{"goes":[true]}}"#),
    ] {
        assert_eq!(refused(transaction_type, metadata), [], "{transaction_type} {metadata}");
    }
}

#[test]
fn titles_and_categories_follow_from_what_is_known() {
    use TransactionType::{BillPayment, Card, Crypto, Earnings, Other, P2p, TopUp, Withdrawal};
    let mut shown = String::new();
    for (transaction_type, metadata) in [
        (Card, "{}"),
        (Card, r#"{"operation":"refund"}"#),
        (Card, r#"{"merchant_name":"SQ *BLUE BOTTLE COFFEE","location":"Oakland, CA"}"#),
        (Card, r#"{"merchant_name":"AMZN Mktp US*2A3B4C5D6","operation":"refund"}"#),
        (Card, r#"{"merchant_name":"CORNER 99","mcc":"5411","card_last_four":"0001"}"#),
        (Card, r#"{"merchant_name":"Zzyx","merchant_category":"Misc","location":{"city":"Rome"}}"#),
        (P2p, "{}"),
        (P2p, r#"{"direction":"received","peer_name":"José Núñez","note":"Rent"}"#),
        (P2p, r#"{"peer_email":"a@example.com"}"#),
        (Crypto, "{}"),
        (Crypto, r#"{"side":"sell","coin":"ETH","quantity":1.5}"#),
        (Crypto, r#"{"operation":"swap","asset":"BTC","to_asset":"ETH"}"#),
        (Crypto, r#"{"operation":"reward","asset":"SOL","network":"Solana"}"#),
        (TopUp, "{}"),
        (TopUp, r#"{"method":"card","card_last_four":"4242"}"#),
        (TopUp, r#"{"source":"cash","location":"Main Street"}"#),
        (Withdrawal, "{}"),
        (Withdrawal, r#"{"method":"atm","atm_location":"Gran Vía 1","card_last_four":"4242"}"#),
        (
            Withdrawal,
            r#"{"method":"bank_transfer","bank_name":"Chase","account_last_four":"9876"}"#,
        ),
        (BillPayment, "{}"),
        (BillPayment, r#"{"bill_category":"water"}"#),
        (BillPayment, r#"{"biller_name":"VODAFONE 12345","due_date":"2024-02-01T10:00:00Z"}"#),
        (BillPayment, r#"{"biller_name":"Hausverwaltung Nord","bill_type":"rent"}"#),
        (Earnings, "{}"),
        (Earnings, r#"{"source":"referral_bonus"}"#),
        (Earnings, r#"{"earnings_type":"salary","employer":"Acme","period":"2024-01"}"#),
        (Other, "{}"),
        (Other, r#"{"merchant_name":"STARBUCKS #1"}"#),
        (Other, r#"{"title":"Tax refund","note":"2023"}"#),
    ] {
        let item = item(transaction_type, metadata);
        let display = item.kind().display(&item);
        let subtitle = display.subtitle.unwrap_or_default();
        writeln!(
            shown,
            "{transaction_type} | {} | {subtitle} | {}",
            display.title, display.category
        )
        .expect("a string takes everything");
    }
    insta::assert_snapshot!(shown);
}
