//! What is sent: items of all kinds, their changes, and movements of money.

use super::Known;
use crate::chance::Chance;
use crate::ledger::history;
use crate::support::{Books, Fallible, user};
use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::sample::{Sampler, Users};
use daybook_core::{Patch, Rejection, Submission, Timestamp};

pub const USERS: [&str; 3] = ["ana", "bob", "eve"];

/// Names that are alike, that other alphabets write, and that are no words at all.
const MERCHANTS: [&str; 20] = [
    "Starbucks",
    "Starbuck's Coffee",
    "Market",
    "Marketing",
    "Market Hall",
    "Café Zoë",
    "CAFE ZOE 24",
    "Straße & Söhne",
    "İstanbul Kebap",
    "東京 ラーメン",
    "O'Neill-Smith",
    "a.b_c:d",
    "café\u{301} déjà vu",
    "100% & <b>",
    "'; drop table users; --",
    "   ",
    "null\u{0}byte",
    "back\\slash \"quoted\" C:\\",
    "a:* & !b | (c) <-> d",
    "go go go gone \u{1F600} 12345678901234567890123456789012345678901234567890",
];

const BODIES: [&str; 9] = [
    r#""transaction_type":"card","metadata":{"merchant_name":"$M","card_last_four":"5678"}"#,
    r#""transaction_type":"card","metadata":{"merchant_name":"$M","n":$N,"tags":["x","y$N"]}"#,
    r#""transaction_type":"card","status":"pending","metadata":{"merchant_name":"$M"}"#,
    r#""transaction_type":"card","status":"failed","currency":"EUR","metadata":{"note":"$M $N"}"#,
    r#""transaction_type":"p2p","metadata":{"direction":"received","peer_name":"$M"}"#,
    r#""transaction_type":"p2p","metadata":{"direction":"sent","peer_name":"Bob $N","geo":{"city":"$M","lat":50.0$N}}"#,
    r#""transaction_type":"withdrawal","currency":"JPY","metadata":{"n":-$N.50,"ok":true,"nothing":null}"#,
    r#""transaction_type":"top_up","currency":"KWD","metadata":{"n":1e$N,"long":"$M $M $M $M $M"}"#,
    r#""transaction_type":"earnings","product":"Earnings","metadata":{"z":1,"a":{"b":[[$N],{"c":"$M"}]},"b":0.10}"#,
];

/// Few moments, so that many items share a second or the very moment.
const MOMENTS: [&str; 6] = [
    "2024-05-01T23:59:59.999999Z",
    "2024-05-02T00:00:00Z",
    "2024-05-02T00:00:00.000001Z",
    "2024-02-29T12:00:00+14:00",
    "1935-06-01T23:45:00Z",
    "2023-12-31T23:30:00-01:00",
];

const PATCHES: [&str; 11] = [
    r#"{"status":"completed"}"#,
    r#"{"status":"cancelled"}"#,
    r#"{"status":"failed"}"#,
    r#"{"amount":"7.25"}"#,
    r#"{"created_at":"2023-05-01T10:00:00Z"}"#,
    r#"{"metadata":{"merchant_name":"Changed","n":null}}"#,
    r#"{"metadata":{"geo":{"city":"Kraków"}}}"#,
    r#"{"metadata":{"direction":"received"}}"#,
    r#"{"side":"credit"}"#,
    r#"{"side":null}"#,
    r#"{}"#,
];

/// Makes everyday items.
pub fn sampler(seed: u64) -> Fallible<Sampler> {
    let [first, others @ ..] = USERS.map(user);
    let now = Timestamp::from_micros(1_720_000_000_000_000);
    Ok(Sampler::new(seed, Users::new(first, others.into()), now))
}

fn text(of: &str) -> String {
    let quoted = serde_json::Value::from(of).to_string();
    let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

fn record(books: &Books, chance: &mut Chance, sampler: &mut Sampler) -> Fallible<Action> {
    if chance.one_in(3) {
        let ago = chance.below(400 * 86_400) as i64 * 1_000_000;
        let at = Timestamp::from_micros(1_720_000_000_000_000 - ago);
        return Ok(Action::Record(sampler.item(at)));
    }
    let fields = chance.of(&BODIES).replace("$M", &text(chance.of(&MERCHANTS)));
    let mut fields = fields.replace("$N", &chance.below(4).to_string());
    if chance.one_in(2) {
        fields += &format!(r#","created_at":"{}""#, chance.of(&MOMENTS));
    }
    if chance.one_in(4) {
        fields += &format!(r#","source":"pos","external_id":"{}""#, chance.below(30));
    }
    if chance.one_in(4) {
        let id = uuid::Uuid::from_u128(0xc0de << 64 | u128::from(chance.below(30)) << 8);
        fields += &format!(r#","id":"{id}""#);
    }
    if chance.one_in(4) {
        let marks = [
            r#""source_version":1"#,
            r#""source_version":2"#,
            r#""side":"credit""#,
            r#""source_updated_at":"2024-01-01T00:00:00Z""#,
            r#""source_updated_at":"2024-01-02""#,
        ];
        fields += &format!(",{}", chance.of(&marks));
    }
    let body = format!(
        r#"{{"user_id":"{}","amount":"{}",{fields}}}"#,
        chance.of(&USERS),
        chance.of(&["1", "10", "0.50", "2000", "99999999999999", "7"]),
    );
    Ok(match books.parse(&body) {
        Ok(new) => Action::Record(new),
        // Some amounts have more digits than their currency.
        Err(error) => Action::Refused(*error.downcast::<Rejection>()?),
    })
}

fn action(
    books: &Books,
    chance: &mut Chance,
    sampler: &mut Sampler,
    known: &Known,
) -> Fallible<Action> {
    if chance.one_in(2) {
        return history::action(books, chance, &known.transfers);
    }
    if known.items.is_empty() || !chance.one_in(3) {
        return record(books, chance, sampler);
    }
    let id = chance.of(&known.items);
    let owner = chance.one_in(8).then(|| user("bob").into());
    let version = chance.one_in(8).then(|| 1 + chance.below(2) as u32);
    if chance.one_in(3) {
        return Ok(Action::Erase { id, owner, version });
    }
    Ok(Action::Amend { id, owner, version, patch: Patch::parse(chance.of(&PATCHES))? })
}

/// Submissions to be sent at the same time: alone and in batches, with keys and without, some of
/// them again.
pub fn some(
    books: &Books,
    chance: &mut Chance,
    sampler: &mut Sampler,
    known: &mut Known,
) -> Fallible<Vec<Submission>> {
    let mut sent = Vec::new();
    for _ in 0..1 + chance.below(6) {
        if chance.one_in(8) && !known.keyed.is_empty() {
            let place = chance.below(known.keyed.len() as u64) as usize;
            let mut again = known.keyed[place].clone();
            if let (true, Some(key)) = (chance.one_in(4), &mut again.key) {
                key.fingerprint += 1;
            }
            sent.push(again);
            continue;
        }
        let size = if chance.one_in(3) { 1 + chance.below(12) } else { 1 };
        let actions = (0..size).map(|_| action(books, chance, sampler, known));
        let actions = actions.collect::<Fallible<Vec<_>>>()?;
        let scope = chance.below(u64::MAX).into();
        let key = chance.one_in(3).then_some(IdempotencyKey { scope, fingerprint: 1 });
        let submission = Submission { at: books.now(), key, atomic: chance.one_in(4), actions };
        known.keyed.extend(key.map(|_| submission.clone()));
        sent.push(submission);
    }
    Ok(sent)
}
