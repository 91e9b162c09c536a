//! Rate limits: who pays what, and what answers say about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_server::app::{Auth, Settings};
use daybook_server::auth::{Scope, Trust};
use daybook_server::http::Names;
use daybook_server::http::address::{Proxies, ProxyHeader};
use daybook_server::rate::{Clock, Quotas, Rate};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Answer, Api, Call, SECRET, service_token, user_token};

const ANN: &str = "198.51.100.1";
const BOB: &str = "198.51.100.2";
const ITEM: &str = r#"{"user_id":"ann","transaction_type":"other","amount":1}"#;

/// A clock that a test moves.
pub struct Time(Arc<AtomicU64>);

impl Time {
    fn pass(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).expect("a short time");
        self.0.fetch_add(ns, Ordering::Relaxed);
    }

    /// Waits as long as the answer says.
    fn wait(&self, answer: &Answer) {
        self.pass(Duration::from_secs(number(answer, "retry-after")));
    }
}

/// No limits yet, and a clock that stands.
pub fn rate(window_s: u64) -> (Rate, Time) {
    let now_ns = Arc::new(AtomicU64::new(0));
    let rate = Rate {
        window: Duration::from_secs(window_s),
        address: Quotas::default(),
        user: Quotas::default(),
        service: Quotas::default(),
        budgets_max: 1_024,
        proxies: Proxies { trusted: Vec::new(), header: ProxyHeader::XForwardedFor },
        clock: Clock::Manual(Arc::clone(&now_ns)),
    };
    (rate, Time(now_ns))
}

/// A server that asks for tokens and limits what its callers may ask for in a minute.
async fn limited(limit: impl FnOnce(&mut Rate)) -> (Api, Time) {
    let (mut rate, time) = rate(60);
    limit(&mut rate);
    let auth = Auth::Trust(Box::new(Trust::secret(SECRET)));
    (Api::with(Settings { auth, rate: Some(rate), ..Settings::default() }).await, time)
}

/// The same in development mode.
async fn open(limit: impl FnOnce(&mut Rate)) -> (Api, Time) {
    let (mut rate, time) = rate(60);
    limit(&mut rate);
    // Who names proxies is called by way of them.
    let settings = Settings { rate: Some(rate), names: Names::Any, ..Settings::default() };
    (Api::with(settings).await, time)
}

fn number(answer: &Answer, header: &str) -> u64 {
    answer.header(header).and_then(|text| text.parse().ok()).expect(header)
}

/// How the budget stands, as all five headers say it, which must agree: what is left, and when it is full
/// by the clock, which begins at 0.
fn standing(answer: &Answer) -> (String, u64, u64) {
    let [limit, remaining] =
        ["limit", "remaining"].map(|name| number(answer, &format!("x-ratelimit-{name}")));
    let policy = answer.header("ratelimit-policy").expect("a policy");
    let (name, window) = policy.split_once(&format!(";q={limit};w=")).expect(policy);
    assert_eq!(window, "60");
    let now = answer.header("ratelimit").expect("a standing");
    let pace = now.strip_prefix(&format!("{name};r={remaining};t=")).expect(now);
    assert!(pace.parse::<u64>().is_ok_and(|pace| (1..=60).contains(&pace)), "{now}");
    (name.trim_matches('"').to_owned(), remaining, number(answer, "x-ratelimit-reset"))
}

fn is_unlimited(answer: &Answer) -> bool {
    answer.headers.keys().all(|name| !name.as_str().contains("ratelimit"))
}

#[tokio::test]
async fn a_server_without_limits_says_nothing_of_them() {
    let (limited, _) = open(|_| {}).await;
    for api in [Api::new().await, limited] {
        let answer = api.post("/transactions", ITEM).from(ANN).expect(201).await;
        assert!(is_unlimited(&answer), "{:?}", answer.headers);
    }
}

/// Uses a budget up, and looks at every answer on the way.
async fn use_up<'a>(api: &Api, budget: &str, quota: u64, status: u16, call: impl Fn() -> Call<'a>) {
    for used in 1..=quota {
        let answer = call().expect(status).await;
        let expected = (budget.to_owned(), quota - used, used * 60 / quota);
        assert_eq!(standing(&answer), expected);
        assert_eq!(answer.header("retry-after"), None);
    }
    let answer = call().expect(429).await;
    assert_eq!(answer.code(), "RATE_LIMITED");
    assert_eq!(standing(&answer), (budget.to_owned(), 0, 60));
    assert_eq!(number(&answer, "retry-after"), 60 / quota);
    let series = format!("daybook_rate_limited_total{{budget=\"{budget}\"}}");
    assert_eq!(api.metric(&series).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn each_budget_of_an_address_is_one_of_its_own() {
    let quotas = Quotas { reads: 4, writes: 3, batch_items: 5, tokens: 2 };
    let (api, _) = open(|rate| rate.address = quotas).await;
    let batch = format!("[{ITEM}]");
    use_up(&api, "address-reads", 4, 200, || api.get("/transactions?user_id=ann").from(ANN)).await;
    use_up(&api, "address-writes", 3, 201, || api.post("/transactions", ITEM).from(ANN)).await;
    let call = || api.post("/transactions/batch", batch.clone()).from(ANN);
    use_up(&api, "address-batch-items", 5, 200, call).await;
    let call = || api.post("/auth/token", r#"{"user_id":"ann"}"#).from(ANN);
    use_up(&api, "address-tokens", 2, 200, call).await;
    // Nobody else paid for any of it.
    let answer = api.get("/transactions?user_id=ann").from(BOB).expect(200).await;
    assert_eq!(standing(&answer).1, 3);
    assert_eq!(answer.json()["total"], 8);
}

#[tokio::test]
async fn each_budget_of_a_caller_is_one_of_its_own() {
    let (api, _) = limited(|rate| {
        rate.user = Quotas { reads: 4, writes: 3, batch_items: 5, tokens: 0 };
        rate.service = Quotas { reads: 6, writes: 2, batch_items: 1, tokens: 0 };
    })
    .await;
    let batch = format!("[{ITEM}]");
    let service = service_token(&[Scope::FeedRead, Scope::FeedWrite]);
    for (party, token, reads, writes, items) in
        [("user", user_token("ann"), 4, 3, 5), ("service", service, 6, 2, 1)]
    {
        let name = |budget| format!("{party}-{budget}");
        let call = || api.get("/transactions?user_id=ann").token(&token).from(ANN);
        use_up(&api, &name("reads"), reads, 200, call).await;
        let call = || api.post("/transactions", ITEM).token(&token).from(ANN);
        use_up(&api, &name("writes"), writes, 201, call).await;
        let call = || api.post("/transactions/batch", batch.clone()).token(&token).from(ANN);
        use_up(&api, &name("batch-items"), items, 200, call).await;
    }
    // A caller's budget is the same wherever the caller is, and each user's is the user's own.
    let answer = api.get("/transactions").token(&user_token("ann")).from(BOB).expect(429).await;
    assert!(answer.text().contains("This user has used up its reads for now"), "{}", answer.text());
    let answer = api.get("/transactions").token(&user_token("bob")).from(ANN).expect(200).await;
    assert_eq!(standing(&answer), ("user-reads".to_owned(), 3, 15));
}

#[tokio::test]
async fn the_tighter_budget_is_the_one_that_an_answer_tells_about() {
    let (api, time) = limited(|rate| {
        rate.address.reads = 4;
        rate.user.reads = 3;
    })
    .await;
    let read = |user| api.get("/transactions").token(&user_token(user)).from(ANN);
    let name = |answer: &Answer| standing(answer).0;
    assert_eq!(name(&read("ann").expect(200).await), "user-reads");
    assert_eq!(name(&read("ann").expect(200).await), "user-reads");
    let bob = read("bob").expect(200).await;
    assert_eq!(standing(&bob), ("address-reads".to_owned(), 1, 45));
    assert_eq!(name(&read("ann").expect(200).await), "user-reads");
    // Now both have nothing. One of the address is back after 15 seconds, one of ann after 20.
    let answer = read("ann").expect(429).await;
    assert_eq!((name(&answer).as_str(), number(&answer, "retry-after")), ("address-reads", 15));
    time.wait(&answer);
    let answer = read("ann").expect(429).await;
    assert_eq!((name(&answer).as_str(), number(&answer, "retry-after")), ("user-reads", 15));
    time.wait(&answer);
    read("ann").expect(200).await;
}

#[tokio::test]
async fn who_waits_as_long_as_told_succeeds_and_no_sooner() {
    let (api, time) = open(|rate| rate.address.writes = 7).await;
    let write = || api.post("/transactions", ITEM).from(ANN).header("idempotency-key", "k");
    for _ in 0..7 {
        api.post("/transactions", ITEM).from(ANN).expect(201).await;
    }
    // One comes back every 8.57 seconds; the fraction that has passed counts.
    for (passed_ms, wait_s) in [(0, 9), (570, 9), (7_000, 2), (990, 1)] {
        time.pass(Duration::from_millis(passed_ms));
        let refused = write().expect(429).await;
        assert_eq!(number(&refused, "retry-after"), wait_s, "after {passed_ms} ms more");
        assert_eq!(
            refused.header("ratelimit"),
            Some(&*format!("\"address-writes\";r=0;t={wait_s}"))
        );
    }
    time.pass(Duration::from_secs(1));
    let answer = write().expect(201).await;
    // A refusal is not the answer to a key, and left nothing.
    assert_eq!(answer.header("idempotent-replayed"), None);
    assert_eq!(api.get("/transactions?user_id=ann").expect(200).await.json()["total"], 8);
}

#[tokio::test]
async fn a_client_that_obeys_is_refused_once_a_round_for_ever() {
    let (api, time) = open(|rate| rate.address.reads = 11).await;
    let read = || api.get("/transactions?user_id=ann").from(ANN);
    for _ in 0..20 {
        let mut answer = read().send().await;
        while answer.status == 200 {
            answer = read().send().await;
        }
        time.wait(&answer);
        read().expect(200).await;
    }
}

#[tokio::test]
async fn a_batch_is_charged_by_its_items() {
    let (api, time) = limited(|rate| {
        rate.address.batch_items = 20;
        rate.user.batch_items = 10;
    })
    .await;
    let post = |user: &str, items: usize| {
        let item = json!({"transaction_type": "other", "amount": 1});
        let body = json!(vec![item; items]).to_string();
        api.post("/transactions/batch", body).token(&user_token(user)).from(ANN)
    };
    let answer = post("ann", 6).expect(200).await;
    assert_eq!(standing(&answer), ("user-batch-items".to_owned(), 4, 36));
    // What does not fit is refused as a whole, costs its first item, and can be paid later.
    let answer = post("ann", 5).expect(429).await;
    assert_eq!(standing(&answer), ("user-batch-items".to_owned(), 3, 42));
    assert_eq!(number(&answer, "retry-after"), 12);
    assert_eq!(post("ann", 1).expect(200).await.json()["created"], 1);
    let answer = post("ann", 5).expect(429).await;
    assert_eq!((standing(&answer).1, number(&answer, "retry-after")), (1, 24));
    time.wait(&answer);
    let answer = post("ann", 5).expect(200).await;
    assert_eq!(standing(&answer), ("user-batch-items".to_owned(), 0, 24 + 60));
    // The address has paid for 6, 1, 1, 1 and 5 items, and 8 have come back in time.
    let answer = post("bob", 10).expect(200).await;
    assert_eq!(standing(&answer), ("user-batch-items".to_owned(), 0, 24 + 60));
    let answer = post("cid", 9).expect(429).await;
    assert_eq!(standing(&answer), ("address-batch-items".to_owned(), 3, 24 + 51));
    assert_eq!(number(&answer, "retry-after"), 18);
    // What cid had paid already was given back.
    time.wait(&answer);
    assert_eq!(post("cid", 9).expect(200).await.json()["created"], 9);
    let total = api.get("/transactions").token(&user_token("ann")).expect(200).await;
    assert_eq!(total.json()["total"], 12);
}

#[tokio::test]
async fn a_batch_that_never_fits_is_told_so() {
    let (api, _) = limited(|rate| {
        rate.address.batch_items = 3;
        rate.service.batch_items = 4;
    })
    .await;
    let token = service_token(&[Scope::LedgerWrite]);
    let leg = json!({"source_account_id": 1, "destination_account_id": 2, "amount": "1"});
    let post = |items| {
        let body = json!(vec![leg.clone(); items]).to_string();
        api.post("/transfers/batch", body).token(&token).from(ANN)
    };
    let answer = post(4).expect(413).await;
    assert_eq!(answer.code(), "BATCH_TOO_LONG");
    assert!(answer.text().contains("more than 3 items"), "{}", answer.text());
    assert_eq!(answer.header("retry-after"), None);
    // An empty one, and one that is no JSON, pay for one item too.
    api.post("/transfers/batch", "[]").token(&token).from(ANN).expect(422).await;
    api.post("/transfers/batch", "[").token(&token).from(ANN).expect(400).await;
    let answer = post(1).expect(429).await;
    assert_eq!(standing(&answer), ("address-batch-items".to_owned(), 0, 60));
}

#[tokio::test]
async fn bad_tokens_and_unknown_paths_cost_their_address() {
    let (api, _) = limited(|rate| {
        rate.address.reads = 3;
        rate.user.reads = 100;
    })
    .await;
    api.get("/transactions").token("a.b.c").from(ANN).expect(401).await;
    let answer = api.get("/transactions").from(ANN).expect(401).await;
    assert_eq!(standing(&answer), ("address-reads".to_owned(), 1, 40));
    api.get("/nowhere").from(ANN).expect(404).await;
    // Nothing is done for more of them, and a good token does not help.
    api.get("/transactions").token("a.b.c").from(ANN).expect(429).await;
    api.get("^/docs/").from(ANN).expect(429).await;
    api.get("/transactions").token(&user_token("ann")).from(ANN).expect(429).await;
    let answer = api.get("/transactions").token(&user_token("ann")).from(BOB).expect(200).await;
    assert_eq!(standing(&answer), ("address-reads".to_owned(), 2, 20));
}

#[tokio::test]
async fn the_documentation_is_read_and_probes_are_free() {
    let (api, _) = open(|rate| rate.address.reads = 5).await;
    for path in ["^/", "/health", "^/health", "^/livez", "/readyz", "^/metrics", "/metrics"] {
        for _ in 0..6 {
            assert!(is_unlimited(&api.get(path).from(ANN).expect(200).await), "{path}");
        }
    }
    for (left, path) in (0..5).rev().zip(["/nothing", "/openapi.json", "/docs/", "/docs", "/redoc"])
    {
        let answer = api.get(&format!("^{path}")).from(ANN).send().await;
        assert_eq!(standing(&answer).1, left, "{path}");
    }
    api.get("^/openapi.json").from(ANN).expect(429).await;
    api.get("^/livez").from(ANN).expect(200).await;
}

#[tokio::test]
async fn nobody_talks_himself_into_another_address() {
    let (api, _) = open(|rate| rate.address.reads = 2).await;
    let call = || api.get("/nowhere").from(ANN);
    call().expect(404).await;
    call().header("x-forwarded-for", BOB).header("forwarded", "for=1.2.3.4").expect(404).await;
    call().header("x-forwarded-for", "203.0.113.9").expect(429).await;
    api.get("/nowhere").from(BOB).expect(404).await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_address() {
    let (api, _) = open(|rate| {
        rate.address.reads = 2;
        rate.proxies.trusted = vec!["10.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let call = |list: &str| api.get("/nowhere").from("10.1.1.1").header("x-forwarded-for", list);
    call(ANN).expect(404).await;
    // Another proxy on the way, and what the client itself made up.
    call(&format!("{ANN}, 10.2.2.2")).expect(404).await;
    call(&format!("6.6.6.6, {ANN}")).expect(429).await;
    call(BOB).expect(404).await;
    api.get("/nowhere").from(ANN).expect(429).await;
}

#[tokio::test]
async fn an_ipv6_network_of_64_bits_is_one_address() {
    let (api, _) = open(|rate| rate.address.reads = 2).await;
    api.get("/nowhere").from("2001:db8:1:2::1").expect(404).await;
    api.get("/nowhere").from("2001:db8:1:2:ffff:ffff:ffff:ffff").expect(404).await;
    api.get("/nowhere").from("2001:db8:1:2:3::").expect(429).await;
    api.get("/nowhere").from("2001:db8:1:3::1").expect(404).await;
    api.get("/nowhere").from("::ffff:198.51.100.1").expect(404).await;
    assert_eq!(standing(&api.get("/nowhere").from(ANN).expect(404).await).1, 0);
}

#[tokio::test]
async fn a_flood_of_addresses_frees_nobody_and_refuses_nobody() {
    let (api, time) = open(|rate| {
        rate.address.reads = 60;
        rate.budgets_max = 64;
    })
    .await;
    for _ in 0..60 {
        api.get("/nowhere").from(ANN).expect(404).await;
    }
    for number in 0_u32..1_000 {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
        api.get("/nowhere").from(&address).expect(404).await;
        if number % 100 == 0 {
            api.get("/nowhere").from(ANN).expect(429).await;
            api.get("/nowhere").from(BOB).expect(404).await;
        }
    }
    let forgotten = api.metric("daybook_rate_budgets_forgotten_total").await.expect("a count");
    assert!(forgotten.parse::<u32>().is_ok_and(|count| count > 900), "{forgotten}");
    time.pass(Duration::from_secs(1));
    api.get("/nowhere").from(ANN).expect(404).await;
    api.get("/nowhere").from(ANN).expect(429).await;
}

#[tokio::test]
async fn many_at_once_never_get_more_than_there_is() {
    let (api, _) = limited(|rate| {
        rate.address.writes = 40;
        rate.user.writes = 25;
    })
    .await;
    let token = user_token("ann");
    let body = r#"{"transaction_type":"other","amount":1}"#;
    let calls = (0..60).map(|_| api.post("/transactions", body).token(&token).from(ANN).send());
    let answers = join_all(calls).await;
    let count = |status: u16| answers.iter().filter(|a| a.status.as_u16() == status).count();
    assert_eq!((count(201), count(429)), (25, 35));
    let page = api.get("/transactions").token(&token).from(ANN).expect(200).await.json();
    assert_eq!(page["total"], 25);
}

#[tokio::test]
async fn requests_without_an_address_share_one() {
    let (api, _) = open(|rate| rate.address.reads = 1).await;
    api.get("/nowhere").expect(404).await;
    api.get("/nowhere").expect(429).await;
}

#[tokio::test]
async fn a_budget_is_full_at_a_moment_of_unix_time() {
    let (mut rate, _) = rate(60);
    rate.address.reads = 2;
    rate.clock = Clock::System(std::time::Instant::now());
    let settings = Settings { rate: Some(rate), names: Names::Any, ..Settings::default() };
    let api = Api::with(settings).await;
    let now =
        || u64::try_from(daybook_server::app::now().micros() / 1_000_000).expect("after 1970");
    let before = now();
    let answer = api.get("/nowhere").from(ANN).expect(404).await;
    let full_at = number(&answer, "x-ratelimit-reset");
    // One of two is used, and comes back in half of the window.
    assert!((before + 30..=now() + 31).contains(&full_at), "{before} {full_at}");
}
