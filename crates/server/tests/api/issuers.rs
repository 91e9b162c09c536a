//! Tokens of other issuers: their keys in files, and key sets that are fetched.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_server::app::{Auth, Settings};
use daybook_server::auth::{Algorithm, KeySet, PublicKey, Trust};
use futures_util::stream;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Theirs, EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{Api, SECRET, user_token};

const RSA: &str = include_str!("../data/rsa-private.pem");
const RSA_PUBLIC: &str = include_str!("../data/rsa-public.pem");
const EC: &str = include_str!("../data/ec-private.pem");
const EC_PUBLIC: &str = include_str!("../data/ec-public.pem");
const ED: &str = include_str!("../data/ed-private.pem");
const ED_PUBLIC: &str = include_str!("../data/ed-public.pem");
/// The end of time, as far as these tests are concerned.
const NEVER: u64 = u64::MAX / 4;

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(RSA.as_bytes()).expect("a key")
}

fn ec() -> EncodingKey {
    EncodingKey::from_ec_pem(EC.as_bytes()).expect("a key")
}

fn ed() -> EncodingKey {
    EncodingKey::from_ed_pem(ED.as_bytes()).expect("a key")
}

fn sign(algorithm: Theirs, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).expect("signed")
}

fn ann() -> Value {
    json!({"sub": "ann", "exp": NEVER})
}

async fn trusting(trust: Trust) -> Api {
    Api::with(Settings { auth: Auth::Trust(Box::new(trust)), ..Settings::default() }).await
}

fn public_keys() -> Trust {
    let keys = [RSA_PUBLIC, EC_PUBLIC, ED_PUBLIC].map(PublicKey::from_pem);
    Trust { keys: keys.into_iter().map(|key| key.expect("a key")).collect(), ..Trust::default() }
}

/// What `/auth/me` says to a token: the status, and the code of a problem.
async fn me(api: &Api, token: &str) -> (u16, String) {
    let answer = api.get("/auth/me").token(token).send().await;
    let code = answer.json()["code"].as_str().unwrap_or("").to_owned();
    (answer.status.as_u16(), code)
}

#[tokio::test]
async fn each_key_accepts_what_its_owner_signs() {
    let api = trusting(public_keys()).await;
    for (algorithm, key) in [(Theirs::RS256, rsa()), (Theirs::ES256, ec()), (Theirs::EdDSA, ed())] {
        for id in [None, Some("any")] {
            let token = sign(algorithm, id, &key, &ann());
            assert_eq!(me(&api, &token).await, (200, String::new()), "{algorithm:?}");
        }
    }
    api.post("/auth/token", r#"{"user_id":"ann"}"#).expect(403).await;
}

/// A token whose head names an extension as critical (RFC 7515, 4.1.11).
fn critical() -> String {
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Theirs::RS256) };
    jsonwebtoken::encode(&header, &ann(), &rsa()).expect("signed")
}

#[tokio::test]
async fn what_looks_like_a_token_is_none() {
    let api = trusting(public_keys()).await;
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.".to_owned();
    let good = sign(Theirs::RS256, None, &rsa(), &ann());
    let (head, signature) = good.rsplit_once('.').expect("three parts");
    let (header, _) = head.split_once('.').expect("three parts");
    let other = sign(Theirs::RS256, None, &rsa(), &json!({"sub": "bob", "exp": NEVER}));
    let body = other.split('.').nth(1).expect("three parts");
    for (what, token) in [
        ("unsigned", unsigned),
        ("another body under a good signature", format!("{header}.{body}.{signature}")),
        ("no signature", format!("{head}.")),
        // The public key is known to all; it must never count as a shared secret.
        (
            "confused: the public key as a secret",
            sign(Theirs::HS256, None, &EncodingKey::from_secret(RSA_PUBLIC.as_bytes()), &ann()),
        ),
        ("another algorithm of the same key", sign(Theirs::RS512, None, &rsa(), &ann())),
        ("a stranger's secret", sign(Theirs::HS256, None, &EncodingKey::from_secret(b""), &ann())),
        ("something must be understood that is not", critical()),
        ("too long", format!("{good}{}", "A".repeat(20_000))),
    ] {
        assert_eq!(me(&api, &token).await, (401, "INVALID_TOKEN".to_owned()), "{what}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret_where_there_is_one_too() {
    let api = trusting(Trust { secret: Some(SECRET.to_vec()), ..public_keys() }).await;
    let shared =
        |secret: &[u8]| sign(Theirs::HS256, None, &EncodingKey::from_secret(secret), &ann());
    let own = [(Theirs::RS256, rsa()), (Theirs::ES256, ec()), (Theirs::EdDSA, ed())];
    let own = own.map(|(algorithm, key)| sign(algorithm, None, &key, &ann()));
    for token in own.into_iter().chain([shared(SECRET)]) {
        assert_eq!(me(&api, &token).await, (200, String::new()));
    }
    for pem in [RSA_PUBLIC, EC_PUBLIC, ED_PUBLIC] {
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(&text).expect("base64");
        for secret in [pem.as_bytes(), pem.trim().as_bytes(), text.as_bytes(), der.as_slice()] {
            let refused = (401, "INVALID_TOKEN".to_owned());
            assert_eq!(me(&api, &shared(secret)).await, refused, "{pem}");
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_on_the_list_is_refused() {
    let trust = Trust { algorithms: vec![Algorithm::EdDsa], ..public_keys() };
    let api = trusting(trust).await;
    assert_eq!(me(&api, &sign(Theirs::EdDSA, None, &ed(), &ann())).await.0, 200);
    assert_eq!(me(&api, &sign(Theirs::RS256, None, &rsa(), &ann())).await.0, 401);
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let issuer = Some("https://issuer.example".to_owned());
    let trust = Trust { issuer, audience: Some("daybook".to_owned()), ..public_keys() };
    let api = trusting(trust).await;
    let with = |more: Value| {
        let mut claims = json!({
            "sub": "ann", "exp": NEVER, "iss": "https://issuer.example", "aud": "daybook",
        });
        for (name, value) in more.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        sign(Theirs::EdDSA, None, &ed(), &claims)
    };
    for (more, status) in [
        (json!({}), 200),
        (json!({"aud": ["other", "daybook"]}), 200),
        (json!({"aud": "other"}), 401),
        (json!({"aud": null}), 401),
        (json!({"iss": "https://other.example"}), 401),
        (json!({"iss": null}), 401),
        (json!({"exp": 1}), 401),
        (json!({"exp": null}), 401),
        (json!({"nbf": NEVER}), 401),
    ] {
        assert_eq!(me(&api, &with(more.clone())).await.0, status, "{more}");
    }
    let bare = sign(Theirs::EdDSA, None, &ed(), &ann());
    assert_eq!(me(&api, &bare).await.0, 401, "neither issuer nor audience");
}

#[tokio::test]
async fn claims_have_the_names_that_the_issuer_gives_them() {
    let trust = Trust {
        user_claims: vec!["https://issuer.example/user".to_owned()],
        scope_claims: vec!["permissions".to_owned()],
        ..public_keys()
    };
    let api = trusting(trust).await;
    let ask = |claims: Value| sign(Theirs::EdDSA, None, &ed(), &claims);
    let user = ask(json!({"https://issuer.example/user": "ann", "sub": "x|1", "exp": NEVER}));
    let found = api.get("/auth/me").token(&user).expect(200).await.json();
    assert_eq!(found["user_id"], "ann");
    let service = ask(json!({"sub": "x", "permissions": ["feed:read", "else"], "exp": NEVER}));
    let found = api.get("/auth/me").token(&service).expect(200).await.json();
    assert_eq!(found, json!({"user_id": null, "scopes": ["feed:read"]}));
    assert_eq!(me(&api, &ask(json!({"sub": "ann", "exp": NEVER}))).await.0, 401);
    let number = ask(json!({"https://issuer.example/user": 7, "exp": NEVER}));
    assert_eq!(me(&api, &number).await.0, 401);
}

#[tokio::test]
async fn a_token_for_something_else_opens_nothing_here() {
    let api = trusting(public_keys()).await;
    for (scope, status) in [
        (None, 200),
        (Some(json!("feed:read")), 200),
        (Some(json!("openid feed:read")), 200),
        (Some(json!("openid profile")), 403),
        (Some(json!("feed:write")), 403),
        (Some(json!("")), 403),
        (Some(json!([])), 403),
        (Some(json!(["feed:read"])), 200),
    ] {
        let mut claims = ann();
        if let Some(scope) = &scope {
            claims["scope"] = scope.clone();
        }
        let token = sign(Theirs::EdDSA, None, &ed(), &claims);
        let answer = api.get("/transactions").token(&token).send().await;
        assert_eq!(answer.status.as_u16(), status, "{scope:?}");
    }
}

#[test]
fn only_public_keys_are_taken_from_files() {
    for (text, said) in [
        (RSA, "it holds a private key; the public one is wanted"),
        (EC, "it holds a private key; the public one is wanted"),
        ("", "it is no public key in PEM: RSA, P-256 and Ed25519 are known"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "it is no public key in"),
    ] {
        let refused = PublicKey::from_pem(text).err().expect("no key").to_string();
        assert!(refused.starts_with(said), "{refused}");
    }
}

/// How a server of key sets behaves.
#[derive(Clone)]
enum Behaviour {
    Keys(Value),
    Text(String),
    Fails,
    Hangs,
    /// Sends good keys, and then a space every now and then for ever.
    Drips(Value),
    Sends(String),
}

/// A server of key sets on this machine, and how often it was asked.
struct Issuer {
    behaviour: Arc<Mutex<Behaviour>>,
    asked: Arc<AtomicUsize>,
    url: String,
}

impl Issuer {
    async fn start(behaviour: Behaviour) -> Self {
        let (behaviour, asked) = (Arc::new(Mutex::new(behaviour)), Arc::new(AtomicUsize::new(0)));
        let (how, count) = (Arc::clone(&behaviour), Arc::clone(&asked));
        let answer = move || {
            let (how, count) = (Arc::clone(&how), Arc::clone(&count));
            async move {
                count.fetch_add(1, Ordering::Relaxed);
                let how = how.lock().clone();
                respond(how).await
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let router = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { behaviour, asked, url }
    }

    fn becomes(&self, behaviour: Behaviour) {
        *self.behaviour.lock() = behaviour;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// A server of ours that trusts it and asks again at once.
    async fn trusted(&self) -> Api {
        self.trusted_with(Duration::ZERO).await
    }

    async fn trusted_with(&self, pause: Duration) -> Api {
        let key_set = KeySet { pause, ..KeySet::at(self.url.parse().expect("a URL")) };
        trusting(Trust { key_set: Some(key_set), ..Trust::default() }).await
    }
}

async fn respond(how: Behaviour) -> Response {
    match how {
        Behaviour::Keys(keys) => axum::Json(json!({ "keys": keys })).into_response(),
        Behaviour::Text(text) => text.into_response(),
        Behaviour::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Behaviour::Hangs => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::OK.into_response()
        }
        Behaviour::Drips(keys) => {
            let set = json!({ "keys": keys }).to_string();
            let parts = stream::unfold(Some(set), |set: Option<String>| async move {
                let part = match set {
                    Some(set) => set,
                    None => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        " ".to_owned()
                    }
                };
                Some((Ok::<_, Infallible>(part), None))
            });
            Body::from_stream(parts).into_response()
        }
        Behaviour::Sends(elsewhere) => {
            (StatusCode::FOUND, [(header::LOCATION, elsewhere)]).into_response()
        }
    }
}

/// A good key set, made larger by so many bytes that say nothing.
fn padded(keys: &Value, bytes: usize) -> Behaviour {
    let text = json!({ "keys": keys, "padding": "x".repeat(bytes) });
    Behaviour::Text(text.to_string())
}

/// A public key as it stands in a key set.
fn jwk(id: &str, algorithm: Theirs, key: &EncodingKey) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).expect("a key");
    jwk.common.key_id = Some(id.to_owned());
    serde_json::to_value(jwk).expect("JSON")
}

#[tokio::test]
async fn a_key_set_is_fetched_once_and_again_for_a_key_that_is_new() {
    let issuer = Issuer::start(Behaviour::Keys(json!([jwk("one", Theirs::RS256, &rsa())]))).await;
    let one = sign(Theirs::RS256, Some("one"), &rsa(), &ann());
    // Many at once cause one fetch, and all of them wait for it.
    let patient = issuer.trusted_with(Duration::from_secs(10)).await;
    let calls = futures_util::future::join_all((0..20).map(|_| me(&patient, &one))).await;
    assert!(calls.iter().all(|(status, _)| *status == 200), "{calls:?}");
    assert_eq!(issuer.asked(), 1);
    let api = issuer.trusted().await;
    assert_eq!(me(&api, &one).await.0, 200);
    // The issuer changes its key.
    let two = sign(Theirs::ES256, Some("two"), &ec(), &ann());
    assert_eq!(me(&api, &two).await.0, 401);
    issuer.becomes(Behaviour::Keys(json!([jwk("two", Theirs::ES256, &ec())])));
    assert_eq!(me(&api, &two).await.0, 200);
    assert_eq!(me(&api, &one).await.0, 401, "it is withdrawn");
    // The name of the key does not make the token good.
    let forged = sign(Theirs::ES256, Some("one"), &ec(), &ann());
    assert_eq!(me(&api, &forged).await.0, 401);
}

#[tokio::test]
async fn made_up_key_names_cause_no_load() {
    let issuer = Issuer::start(Behaviour::Keys(json!([jwk("one", Theirs::RS256, &rsa())]))).await;
    let api = issuer.trusted_with(Duration::from_secs(3_600)).await;
    for number in 0..50 {
        let id = format!("made-up-{number}");
        assert_eq!(me(&api, &sign(Theirs::RS256, Some(&id), &rsa(), &ann())).await.0, 401);
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(me(&api, &sign(Theirs::RS256, Some("one"), &rsa(), &ann())).await.0, 200);
}

#[tokio::test]
async fn an_issuer_that_misbehaves_changes_nothing() {
    let keys = Behaviour::Keys(json!([jwk("one", Theirs::EdDSA, &ed())]));
    let issuer = Issuer::start(keys.clone()).await;
    let other = Issuer::start(Behaviour::Keys(json!([jwk("two", Theirs::RS256, &rsa())]))).await;
    let api = issuer.trusted().await;
    let one = sign(Theirs::EdDSA, Some("one"), &ed(), &ann());
    let two = sign(Theirs::RS256, Some("two"), &rsa(), &ann());
    assert_eq!(me(&api, &one).await.0, 200);
    let good = json!([jwk("two", Theirs::RS256, &rsa())]);
    let secret = json!({"kty": "oct", "kid": "two", "k": "c2VjcmV0", "alg": "HS256"});
    let mut encrypts = jwk("two", Theirs::RS256, &rsa());
    encrypts["use"] = json!("enc");
    for (what, behaviour) in [
        ("fails", Behaviour::Fails),
        ("is no key set", Behaviour::Text("<html>".to_owned())),
        ("is empty", Behaviour::Keys(json!([]))),
        ("is huge", padded(&good, 256 * 1024)),
        ("lies about a secret", Behaviour::Keys(json!([secret]))),
        ("has a key for something else", Behaviour::Keys(json!([encrypts]))),
        ("sends elsewhere", Behaviour::Sends(other.url.clone())),
    ] {
        issuer.becomes(behaviour);
        let before = issuer.asked();
        assert_eq!(me(&api, &two).await.0, 401, "{what}");
        assert_eq!(issuer.asked(), before + 1, "{what}");
        assert_eq!(me(&api, &one).await.0, 200, "{what}: the last good set counts");
    }
    assert_eq!(other.asked(), 0);
    // With less padding the same keys are taken.
    issuer.becomes(padded(&good, 200 * 1024));
    assert_eq!(me(&api, &two).await.0, 200);
}

#[tokio::test]
async fn an_issuer_that_was_never_there_is_no_fault_of_the_token() {
    let issuer = Issuer::start(Behaviour::Fails).await;
    let api = issuer.trusted().await;
    let one = sign(Theirs::EdDSA, Some("one"), &ed(), &ann());
    let answer = api.get("/auth/me").token(&one).expect(503).await;
    assert_eq!(answer.code(), "ISSUER_AWAY");
    assert!(answer.header("retry-after").is_some());
    issuer.becomes(Behaviour::Keys(json!([jwk("one", Theirs::EdDSA, &ed())])));
    assert_eq!(me(&api, &one).await.0, 200);
}

#[tokio::test]
async fn an_issuer_that_hangs_keeps_nobody_waiting_for_long() {
    let issuer = Issuer::start(Behaviour::Keys(json!([jwk("one", Theirs::EdDSA, &ed())]))).await;
    let key_set = KeySet {
        pause: Duration::ZERO,
        age_max: Duration::ZERO,
        ..KeySet::at(issuer.url.parse().expect("a URL"))
    };
    let api = trusting(Trust { key_set: Some(key_set), ..Trust::default() }).await;
    let one = sign(Theirs::EdDSA, Some("one"), &ed(), &ann());
    assert_eq!(me(&api, &one).await.0, 200);
    issuer.becomes(Behaviour::Hangs);
    // The set is old, so it is fetched again, but not by those who need no new key.
    let asked = tokio::time::timeout(Duration::from_secs(3), async {
        for _ in 0..20 {
            assert_eq!(me(&api, &one).await.0, 200);
        }
    });
    asked.await.expect("nobody waits");
    // Who needs a new one does not wait as long as the issuer may take.
    let two = sign(Theirs::RS256, Some("two"), &rsa(), &ann());
    let waited = tokio::time::timeout(Duration::from_secs(4), me(&api, &two)).await;
    assert_eq!(waited.expect("an answer"), (503, "ISSUER_AWAY".to_owned()));
}

#[tokio::test]
async fn a_key_set_that_never_ends_is_cut_by_the_time_limit() {
    let issuer = Issuer::start(Behaviour::Keys(json!([jwk("one", Theirs::EdDSA, &ed())]))).await;
    let api = issuer.trusted().await;
    let one = sign(Theirs::EdDSA, Some("one"), &ed(), &ann());
    assert_eq!(me(&api, &one).await.0, 200);
    issuer.becomes(Behaviour::Drips(json!([jwk("two", Theirs::RS256, &rsa())])));
    let two = sign(Theirs::RS256, Some("two"), &rsa(), &ann());
    // While it drips nobody knows whether the key is in it. Afterwards the last good set counts, or it is
    // asked for once more.
    let cut = async {
        loop {
            let (status, _) = me(&api, &two).await;
            if status == 401 || issuer.asked() > 2 {
                break;
            }
            assert_eq!(status, 503);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cut).await.expect("it is cut");
    assert_eq!(me(&api, &one).await.0, 200, "the last good set counts");
}

#[tokio::test]
async fn an_issuer_that_refuses_connections_is_away_for_its_own_tokens_only() {
    // What is bound and does not listen refuses, and nobody else gets its port.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let url = format!("http://{}/keys", socket.local_addr().expect("an address"));
    let key_set = KeySet { pause: Duration::ZERO, ..KeySet::at(url.parse().expect("a URL")) };
    let trust = Trust { key_set: Some(key_set), ..Trust::secret(SECRET) };
    let api = trusting(trust).await;
    let one = sign(Theirs::EdDSA, Some("one"), &ed(), &ann());
    for _ in 0..2 {
        let asked = api.get("/auth/me").token(&one).expect(503);
        let answer = tokio::time::timeout(Duration::from_secs(3), asked).await.expect("at once");
        assert_eq!(answer.code(), "ISSUER_AWAY");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(me(&api, &user_token("ann")).await.0, 200);
    drop(socket);
}
