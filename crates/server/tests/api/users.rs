//! Ids of users: long ones, and such with blanks, wherever a user is named.

use serde_json::{Value, json};

use crate::support::{Api, ann_and_bob, card, ids, user_token};

fn encoded(user: &str) -> String {
    user.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn any_text_of_up_to_255_characters_is_a_user() {
    let api = Api::new().await;
    let long = "é".repeat(255);
    for user in ["Ann Lee", "ann  lee", "o'neill & söhne / 7%", "a+b", "用户 1", &long] {
        let mut body = card();
        body["user_id"] = json!(format!("  {user}\u{a0}"));
        let item = api.record(body).await;
        assert_eq!(item["user_id"], user);
        let id = item["id"].as_str().expect("an id").to_owned();
        for query in [encoded(user), format!("%20{}%20", encoded(user))] {
            for filters in ["", "&search_query=starbucks", "&merchant_name=Starbucks&limit=5"] {
                let page = api.get(&format!("/transactions?user_id={query}{filters}")).expect(200);
                assert_eq!(ids(&page.await.json()), [id.as_str()], "{user} {filters}");
            }
            let path = format!("/users/{query}/statistics");
            let found = api.get(&path).expect(200).await.json();
            assert_eq!(
                (&found["user_id"], found["currencies"].as_array().map(Vec::len)),
                (&json!(user), Some(1))
            );
            let sync = api.get(&format!("/transactions/sync?user_id={query}")).expect(200).await;
            assert_eq!(sync.json()["added"].as_array().map(Vec::len), Some(1));
            api.get(&format!("/transactions/{id}?user_id={query}")).expect(200).await;
        }
        let account = json!({"user_id": format!(" {user}"), "initial_balance": "1"}).to_string();
        let account = api.post("/accounts", account).expect(201).await.json();
        assert_eq!(account["user_id"], user);
        let listed = api.get(&format!("/accounts?user_id={}", encoded(user))).expect(200).await;
        assert_eq!(listed.json()["items"][0]["account_id"], account["account_id"]);
    }
    let too_long = format!("{long}x");
    for user in ["", "   ", "a\nb", "a\u{0}b", "a\tb", "a\u{7f}b", &too_long] {
        let mut body = card();
        body["user_id"] = json!(user);
        let answer = api.post("/transactions", body.to_string()).expect(422).await;
        assert_eq!(answer.faults(), [("/user_id".to_owned(), "USER_ID".to_owned())], "{user:?}");
    }
}

#[tokio::test]
async fn users_with_blanks_have_tokens_and_are_not_each_other() {
    let api = Api::guarded().await;
    let (with_blank, without) = (user_token("ann lee"), user_token("annlee"));
    let mut body = card();
    body.as_object_mut().expect("an object").remove("user_id");
    let own = api.post("/transactions", body.to_string()).token(&with_blank).expect(201).await;
    assert_eq!(own.json()["user_id"], "ann lee");
    let path = format!("/transactions/{}", own.json()["id"].as_str().expect("an id"));
    api.get(&path).token(&without).expect(403).await;
    api.get(&path).token(&with_blank).expect(200).await;
    let me = api.get("/auth/me").token(&with_blank).expect(200).await.json();
    assert_eq!(me["user_id"], "ann lee");
}

#[tokio::test]
async fn transfers_between_such_users_stand_in_both_feeds() {
    let api = ann_and_bob().await;
    api.open(7, Some("Eva Green"), "10").await;
    api.open(8, Some("Ben 2"), "0").await;
    let body = json!({"source_account_id": 7, "destination_account_id": 8, "amount": "1"});
    api.post("/transfers", body.to_string()).expect(201).await;
    for (user, title) in [("Eva%20Green", "To Ben 2"), ("Ben+2", "From Eva Green")] {
        let page = api.get(&format!("/transactions?user_id={user}")).expect(200).await.json();
        let titles: Vec<&Value> = page["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| &item["display"]["title"])
            .collect();
        assert_eq!(titles, [title]);
    }
    api.prove().await;
}
