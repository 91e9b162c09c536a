//! `GET /transactions?search_query=`

use serde_json::{Value, json};

use crate::support::{Api, ids};

async fn filled() -> (Api, Vec<String>) {
    let api = Api::new().await;
    let mut recorded = Vec::new();
    for (n, (merchant, place)) in [
        ("Starbucks", "San Francisco, CA"),
        ("Café São Paulo", "Francisco San"),
        ("Amazon", "Seattle"),
    ]
    .into_iter()
    .enumerate()
    {
        let item: Value = api
            .record(json!({"user_id": "ann", "transaction_type": "card", "amount": 10 + n,
                "created_at": format!("2024-01-0{}", n + 1),
                "metadata": {"merchant_name": merchant, "location": place}}))
            .await;
        recorded.push(item["id"].as_str().expect("an id").to_owned());
    }
    api.record(json!({"user_id": "bob", "transaction_type": "card", "amount": 1,
                      "metadata": {"merchant_name": "Starbucks"}}))
        .await;
    (api, recorded)
}

#[tokio::test]
async fn words_match_by_beginning_typo_and_phrase() {
    let (api, recorded) = filled().await;
    for (text, expected) in [
        ("starbucks", vec![0]),
        ("Starbuks", vec![0]),
        ("STAR", vec![0]),
        ("cafe", vec![1]),
        ("sao+paulo", vec![1]),
        ("amazn+seattle", vec![2]),
        ("amazon+starbucks", vec![]),
        ("%22san+francisco%22", vec![0]),
        ("12.00", vec![2]),
        ("card", vec![2, 1, 0]),
    ] {
        let path = format!("/transactions?user_id=ann&search_query={text}");
        let page = api.get(&path).expect(200).await.json();
        let expected: Vec<_> = expected.into_iter().map(|n: usize| recorded[n].clone()).collect();
        assert_eq!(ids(&page), expected, "{text}");
        assert_eq!(page["total"], expected.len());
    }
}

#[tokio::test]
async fn searches_page_by_cursor_and_sort_by_time() {
    let (api, recorded) = filled().await;
    let base = "/transactions?user_id=ann&search_query=card&sort=-created_at&limit=2";
    let first = api.get(base).expect(200).await.json();
    assert_eq!(ids(&first), [recorded[2].clone(), recorded[1].clone()]);
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = api.get(&format!("{base}&cursor={cursor}")).expect(200).await.json();
    assert_eq!(ids(&second), [recorded[0].clone()]);
    api.get("/transactions?user_id=ann&search_query=card&sort=best").expect(200).await;
    api.get("/transactions?user_id=ann&sort=best").expect(422).await;
}

#[tokio::test]
async fn what_is_shown_is_found() {
    let api = Api::new().await;
    let mut recorded = Vec::new();
    for (kind, metadata) in [
        ("card", json!({"merchant_name": "Blue Bottle"})),
        ("p2p", json!({"direction": "received", "peer_name": "Ana"})),
        ("withdrawal", json!({"bank_name": "Chase", "iban": "DE89370400440532013000"})),
        ("bill_payment", json!({"bill_category": "electricity"})),
        ("other", json!({"reference": "INV2024001", "note": "ΦΩΣ"})),
    ] {
        let item = json!({"user_id": "ann", "transaction_type": kind, "amount": 1,
                          "metadata": metadata});
        recorded.push(api.record(item).await["id"].as_str().expect("an id").to_owned());
    }
    // An IBAN is sensitive: where it is sealed, no words of it are in the index.
    let is_sealed = std::env::var("TEST_SEALED").is_ok_and(|value| value == "1");
    let of_iban: &[usize] = if is_sealed { &[] } else { &[2] };
    for (text, expected) in [
        ("card+payment", &[0][..]),
        ("%22Card+payment%22", &[0]),
        ("payment", &[0, 3]),
        ("P2P+transfer", &[1]),
        ("transfer", &[1]),
        ("From+Ana", &[1]),
        ("%22from+ana%22", &[1]),
        ("Withdrawal+to+Chase", &[2]),
        ("%22withdrawal+to+chase%22", &[2]),
        ("3000", of_iban),
        ("inv", &[4]),
        ("de", of_iban),
        ("%CF%86%CF%89%CF%82", &[4]),
        ("%22bottl%22", &[]),
        ("%22Bottle%22", &[0]),
    ] {
        let path = format!("/transactions?user_id=ann&search_query={text}");
        let mut found = ids(&api.get(&path).expect(200).await.json());
        found.sort_unstable();
        let mut expected: Vec<_> = expected.iter().map(|n: &usize| recorded[*n].clone()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_complete_says_so() {
    let api = Api::new().await;
    let near = ('a'..='z')
        .flat_map(|c| [format!("{c}coupling"), format!("cou{c}pling"), format!("coupling{c}")]);
    let items: Vec<Value> = near
        .map(|word| {
            json!({"user_id": "ann", "transaction_type": "other", "amount": 1,
                           "metadata": {"x": word}})
        })
        .collect();
    api.post("/transactions/batch", Value::Array(items).to_string()).expect(200).await;
    for paged in ["page=1", "limit=5"] {
        let ask = async |text: &str| {
            let path = format!("/transactions?user_id=ann&search_query={text}&{paged}");
            api.get(&path).expect(200).await.json()
        };
        assert_eq!(ask("couplings").await["degraded"], json!(["search"]));
        assert_eq!(ask("%22couplings%22").await.get("degraded"), None);
    }
}
