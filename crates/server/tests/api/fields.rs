//! Every broken field is named in one answer: all at once, and each beside each other one.

use serde_json::{Map, Value, json};

use crate::support::{Answer, Api, ann_and_bob, card};

/// A call, a body that it accepts, and a broken value for each of its fields.
struct Case<'a> {
    method: &'a str,
    path: &'a str,
    good: Value,
    broken: Value,
}

impl Case<'_> {
    async fn send(&self, api: &Api, names: &[&String]) -> Answer {
        let mut body = self.good.as_object().expect("an object").clone();
        for name in names {
            body.insert((*name).clone(), self.broken[name.as_str()].clone());
        }
        let body = Value::Object(body).to_string();
        if self.path.ends_with("/batch") {
            return api.call(self.method, self.path).json(format!("[{body}]")).expect(200).await;
        }
        api.call(self.method, self.path).json(body).expect(422).await
    }

    /// The fields that an answer names: those under its pointers.
    fn named(&self, answer: &Answer) -> Vec<String> {
        let json = answer.json();
        let errors = if self.path.ends_with("/batch") {
            assert_eq!(json["results"][0]["status"], 422, "{json}");
            json["results"][0]["error"]["errors"].clone()
        } else {
            json["errors"].clone()
        };
        let field = |error: &Value| {
            let pointer = error["pointer"].as_str().expect("a pointer");
            pointer.split('/').nth(1).unwrap_or_default().to_owned()
        };
        let mut names: Vec<String> =
            errors.as_array().unwrap_or_else(|| panic!("{json}")).iter().map(field).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn check(&self, api: &Api) {
        let broken: &Map<String, Value> = self.broken.as_object().expect("an object");
        let all: Vec<&String> = broken.keys().collect();
        let mut sets = vec![all.clone()];
        for (place, first) in all.iter().enumerate() {
            sets.push(vec![*first]);
            sets.extend(all.iter().skip(place + 1).map(|second| vec![*first, *second]));
        }
        for names in sets {
            let answer = self.send(api, &names).await;
            let mut expected: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
            expected.sort_unstable();
            let (method, path) = (self.method, self.path);
            assert_eq!(self.named(&answer), expected, "{method} {path}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn of_an_item() {
    let api = Api::new().await;
    let broken = json!({"id": "x", "user_id": "", "transaction_type": "gift", "product": "Boat",
        "status": "done", "side": "left", "currency": "???", "amount": "1,5", "metadata": [],
        "source": "", "external_id": 7, "source_version": -1, "source_updated_at": "soon",
        "created_at": "never", "colour": "red"});
    for path in ["/transactions", "/transactions/batch"] {
        let good = card();
        let broken = broken.clone();
        Case { method: "POST", path, good, broken }.check(&api).await;
    }
    // What the type says about metadata, beside what is wrong elsewhere.
    let broken = json!({"metadata": {"card_last_four": "1", "merchant_name": 5}, "amount": "x",
        "currency": "???", "status": "done", "created_at": 1});
    Case { method: "POST", path: "/transactions", good: card(), broken }.check(&api).await;
}

#[tokio::test]
async fn of_a_change() {
    let api = Api::new().await;
    // A completed item: that a status cannot follow is said when the fields are right.
    let item = api.record(card()).await;
    let path = format!("/transactions/{}", item["id"].as_str().expect("an id"));
    let full =
        json!({"status": "pending", "amount": 1, "metadata": {}, "created_at": "2024-01-01"});
    for (method, good) in [("PATCH", json!({"status": "failed"})), ("PUT", full)] {
        for amount in [json!("x"), json!(-1), json!("1e30"), json!([])] {
            let broken =
                json!({"amount": amount, "side": "left", "created_at": "never", "colour": "red"});
            Case { method, path: &path, good: good.clone(), broken }.check(&api).await;
        }
        // What depends on the stored item is named once the syntax is right.
        let broken = json!({"amount": "1.005", "metadata": {"card_last_four": "1"},
            "currency": "EUR", "user_id": "bob", "external_id": "7"});
        Case { method, path: &path, good: good.clone(), broken }.check(&api).await;
        let answer = api.call(method, &path).json(good.to_string()).expect(409).await;
        assert_eq!(answer.code(), "ILLEGAL_STATUS_MOVE");
    }
}

#[tokio::test]
async fn of_a_transfer() {
    let api = ann_and_bob().await;
    let good = json!({"source_account_id": 1, "destination_account_id": 2, "amount": "1"});
    let broken = json!({"source_account_id": 0, "destination_account_id": "x", "amount": "-1",
        "currency": "???", "reference": "", "metadata": {"peer_email": "x"}, "pending": 1,
        "expires_in": 0, "execute_at": "soon", "created_at": 5, "colour": "red"});
    for path in ["/transfers", "/transfers/batch"] {
        let (good, broken) = (good.clone(), broken.clone());
        Case { method: "POST", path, good, broken }.check(&api).await;
    }
}

#[tokio::test]
async fn of_an_account() {
    let api = ann_and_bob().await;
    let broken = json!({"account_id": -1, "user_id": "", "currency": "???", "name": "",
        "metadata": 1, "initial_balance": "x", "overdraft_limit": "y", "colour": "red"});
    Case { method: "POST", path: "/accounts", good: json!({}), broken }.check(&api).await;
    let path = "/accounts/1";
    let broken = json!({"name": "", "metadata": 1, "overdraft_limit": "y", "status": "gone",
        "currency": "EUR", "colour": "red"});
    Case { method: "PATCH", path, good: json!({}), broken }.check(&api).await;
    // What depends on the account: the digits of its currency, and the size of all its metadata.
    let large = |key: &str| json!({"metadata": {key: "x".repeat(9_000)}}).to_string();
    api.call("PATCH", path).json(large("a")).expect(200).await;
    let broken = json!({"overdraft_limit": "0.001", "metadata": {"b": "x".repeat(9_000)}});
    Case { method: "PATCH", path, good: json!({"status": "closed"}), broken }.check(&api).await;
}
