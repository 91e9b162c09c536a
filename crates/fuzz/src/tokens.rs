//! Tokens that anybody can send.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_server::app;
use daybook_server::auth::{Checker, Identity, Subject, Trust};
use serde_json::{Map, Value};

use crate::books::wait;

const SECRET: &[u8] = b"only for made-up tokens, and nowhere else";

static CHECKER: LazyLock<Checker> =
    LazyLock::new(|| Checker::new(&Trust::secret(SECRET)).expect("a checker"));

/// Nobody gets in without the secret; and whoever has it gets in only as whom the token names, while
/// it lasts. The first byte says whether the rest is a token, or the head and claims of one (a line
/// each) that is signed.
pub fn tokens(data: &[u8]) {
    match data.split_first() {
        Some((0, token)) => {
            let token = String::from_utf8_lossy(token);
            let checked = wait(CHECKER.check(&token));
            assert!(checked.is_err(), "let in with {token}");
        }
        Some((_, parts)) => {
            let cut = parts.iter().position(|byte| *byte == b'\n').unwrap_or(parts.len());
            let (head, claims) = parts.split_at(cut);
            signed(head, claims.get(1..).unwrap_or_default());
        }
        None => {}
    }
}

fn signed(head: &[u8], claims: &[u8]) {
    let both = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, both.as_bytes()));
    if let Ok(identity) = wait(CHECKER.check(&format!("{both}.{signature}"))) {
        let read = |part| serde_json::from_slice::<Map<String, Value>>(part).expect("an object");
        deserves(&identity, &read(head), &read(claims));
    }
}

fn deserves(identity: &Identity, head: &Map<String, Value>, claims: &Map<String, Value>) {
    assert_eq!(head.get("alg").and_then(Value::as_str), Some("HS256"));
    let seconds = |name| claims.get(name).and_then(Value::as_f64);
    let (now, leeway) = (app::now().seconds(), 31);
    let bound = |at: i64| u32::try_from(at).map(f64::from).expect("this century");
    assert!(seconds("exp").is_some_and(|exp| exp >= bound(now - leeway)), "over: {claims:?}");
    let begun = |nbf: &Value| nbf.as_f64().is_none_or(|nbf| nbf <= bound(now + leeway));
    assert!(claims.get("nbf").is_none_or(begun), "not yet: {claims:?}");
    let named = ["sub", "user_id"].iter().find_map(|name| claims.get(*name));
    match &identity.subject {
        Subject::User(user) => assert_eq!(named.and_then(Value::as_str), Some(user.as_str())),
        Subject::Service(scopes) => {
            assert!(named.is_none() && !scopes.is_empty(), "nobody: {claims:?}");
        }
    }
}
