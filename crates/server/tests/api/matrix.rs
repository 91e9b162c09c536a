//! Every route by every kind of caller: a new route without a rule here fails.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use daybook_core::{Action, NewKey, Submission, Timestamp};
use daybook_server::app::{Auth, Settings};
use daybook_server::auth::api_keys::Pepper;
use daybook_server::auth::{Scope, Trust};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Answer, Api, SECRET, service_token, user_token};

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Anybody, without a token too.
    Open,
    /// Nobody where tokens come from elsewhere.
    Off,
    /// Whoever has a token.
    Token,
    /// Whoever has the scope; a user among own rows only.
    Scope(Scope),
    /// Services with `ops`, never a user.
    Operators,
    /// Services with `admin`, never a user.
    Admins,
}

use Rule::{Admins, Off, Open, Operators, Token};

/// What API keys are hashed with.
const KEY_SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

const READ: Rule = Rule::Scope(Scope::FeedRead);
const WRITE: Rule = Rule::Scope(Scope::FeedWrite);
const READ_LEDGER: Rule = Rule::Scope(Scope::LedgerRead);
const WRITE_LEDGER: Rule = Rule::Scope(Scope::LedgerWrite);

const ITEM: &str =
    r#"{"user_id":"ann","transaction_type":"card","amount":1,"metadata":{"merchant_name":"Hush"}}"#;
const WHOLE: &str = r#"{"user_id":"ann","transaction_type":"card","amount":1,"status":"completed",
    "created_at":"2024-01-01T00:00:00Z","metadata":{"merchant_name":"Hush"}}"#;
const MONEY: &str = r#"{"source_account_id":1,"destination_account_id":2,"amount":"1.00"}"#;

/// The rule of each call, by its name, and a body that it takes.
fn rules() -> Vec<(&'static str, Rule, String)> {
    let none = String::new();
    vec![
        ("createTransaction", WRITE, ITEM.to_owned()),
        ("createTransactions", WRITE, format!("[{ITEM}]")),
        ("deleteTransaction", WRITE, none.clone()),
        ("patchTransaction", WRITE, r#"{"metadata":{"note":"x"}}"#.to_owned()),
        ("replaceTransaction", WRITE, WHOLE.to_owned()),
        ("getTransaction", READ, none.clone()),
        ("getTransactionHistory", READ, none.clone()),
        ("getStatistics", READ, none.clone()),
        ("getStatisticsSeries", READ, none.clone()),
        ("listTransactions", READ, none.clone()),
        ("syncTransactions", READ, none.clone()),
        ("openAccount", WRITE_LEDGER, r#"{"user_id":"ann"}"#.to_owned()),
        ("patchAccount", WRITE_LEDGER, r#"{"name":"Hush"}"#.to_owned()),
        ("createTransfer", WRITE_LEDGER, MONEY.to_owned()),
        ("createTransfers", WRITE_LEDGER, format!("[{MONEY}]")),
        ("postTransfer", WRITE_LEDGER, "{}".to_owned()),
        ("voidTransfer", WRITE_LEDGER, none.clone()),
        ("rollBackTransfer", WRITE_LEDGER, none.clone()),
        ("getAccount", READ_LEDGER, none.clone()),
        ("getTransfer", READ_LEDGER, none.clone()),
        ("listAccounts", READ_LEDGER, none.clone()),
        ("listEntries", READ_LEDGER, none.clone()),
        ("listTransfers", READ_LEDGER, none.clone()),
        ("verifyLedger", Operators, none.clone()),
        ("getCheckpoint", Operators, none.clone()),
        ("createKey", Admins, r#"{"name":"x","scopes":["feed:read"]}"#.to_owned()),
        ("listKeys", Admins, none.clone()),
        ("getKey", Admins, none.clone()),
        ("rotateKey", Admins, none.clone()),
        ("revokeKey", Admins, none.clone()),
        ("getKeyring", Admins, none.clone()),
        ("rotateKeyring", Admins, none.clone()),
        ("rewrapKeyring", Admins, none.clone()),
        ("shredUser", Admins, none.clone()),
        ("getMe", Token, none.clone()),
        ("issueToken", Off, r#"{"user_id":"ann"}"#.to_owned()),
        ("getHealth", Open, none.clone()),
        ("getLive", Open, none.clone()),
        ("getReady", Open, none.clone()),
        ("getMetrics", Open, none),
    ]
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nobody,
    /// With something that is no token.
    Stranger,
    /// Whose rows they are.
    Owner,
    /// The owner, with a token for one thing only.
    Narrowed(Scope),
    /// Another user.
    Other,
    Service(Scope),
    /// An API key.
    Key(Which),
}

/// API keys of all kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// For one thing only.
    Reads,
    /// For all, and for everybody.
    Admin,
    /// For all, and for the owner's rows.
    Owners,
    /// For all, and for the rows of two others.
    Others,
    /// For all, and for an account of another.
    Account,
    Revoked,
    Expired,
}

impl Which {
    const ALL: [Self; 7] = [
        Self::Reads,
        Self::Admin,
        Self::Owners,
        Self::Others,
        Self::Account,
        Self::Revoked,
        Self::Expired,
    ];

    fn body(self) -> Value {
        let of = |more: Value| {
            let mut body = json!({"name": format!("{self:?}"), "scopes": ["admin"]});
            for (name, value) in more.as_object().expect("an object") {
                body[name] = value.clone();
            }
            body
        };
        match self {
            Self::Reads => of(json!({"scopes": ["feed:read"]})),
            Self::Admin | Self::Revoked | Self::Expired => of(json!({})),
            Self::Owners => of(json!({"users": ["ann", "bob"]})),
            Self::Others => of(json!({"users": ["mallory", "eve"]})),
            Self::Account => of(json!({"accounts": [3]})),
        }
    }

    /// Makes a key, over HTTP as everybody would.
    async fn make(self, api: &Api) -> String {
        if self == Self::Expired {
            return expired(api).await;
        }
        let admin = service_token(&[Scope::Admin]);
        let made = api.post("/keys", self.body().to_string()).token(&admin).expect(201).await;
        let made = made.json();
        let id = made["key_id"].as_str().expect("an id");
        if self == Self::Revoked {
            api.call("DELETE", &format!("/keys/{id}")).token(&admin).expect(204).await;
        }
        made["secret"].as_str().expect("a secret").to_owned()
    }
}

/// A key that has expired; nobody may ask for one over HTTP.
async fn expired(api: &Api) -> String {
    let minted = Pepper::new(KEY_SECRET).mint();
    let new = NewKey {
        id: minted.id,
        name: "Expired".to_owned(),
        scopes: vec!["admin".to_owned()],
        users: Vec::new(),
        accounts: Vec::new(),
        expires_at: Some(Timestamp::from_micros(1)),
        hash: minted.hash,
    };
    let submission = Submission::one(Timestamp::from_micros(0), Action::Issue(new));
    api.app.store().commit(submission).await.expect("a store");
    minted.secret
}

/// The keys that callers of the matrix present.
struct Keys(Vec<(Which, String)>);

impl Keys {
    async fn make(api: &Api) -> Self {
        let mut keys = Vec::new();
        for which in Which::ALL {
            keys.push((which, which.make(api).await));
        }
        Self(keys)
    }

    fn secret(&self, wanted: Which) -> String {
        let found = self.0.iter().find(|(which, _)| *which == wanted);
        found.map(|(_, secret)| secret.clone()).expect("a key")
    }
}

impl Kind {
    fn all() -> Vec<Self> {
        let mut all = vec![Self::Nobody, Self::Stranger, Self::Owner, Self::Other];
        all.extend(Scope::ALL.iter().map(|scope| Self::Narrowed(*scope)));
        all.extend(Scope::ALL.iter().map(|scope| Self::Service(*scope)));
        all.extend(Which::ALL.map(Self::Key));
        all
    }

    fn token(self, owner: &str, keys: &Keys) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::Stranger => Some("not.a.token".to_owned()),
            Self::Owner => Some(user_token(owner)),
            Self::Other => Some(user_token("mallory")),
            Self::Service(scope) => Some(service_token(&[scope])),
            Self::Key(which) => Some(keys.secret(which)),
            Self::Narrowed(scope) => {
                let claims = json!({"sub": owner, "scope": scope.name(), "exp": u64::MAX / 4});
                let key = EncodingKey::from_secret(SECRET);
                Some(jsonwebtoken::encode(&Header::default(), &claims, &key).expect("signed"))
            }
        }
    }

    /// Whether it is a user, or narrowed as one is.
    fn is_user(self) -> bool {
        matches!(
            self,
            Self::Owner
                | Self::Narrowed(_)
                | Self::Other
                | Self::Key(Which::Owners | Which::Others | Which::Account)
        )
    }

    /// Whether it is somebody, who is not whose rows they are.
    fn is_other(self) -> bool {
        matches!(self, Self::Other | Self::Key(Which::Others | Which::Account))
    }

    fn is_known(self) -> bool {
        !matches!(self, Self::Nobody | Self::Stranger | Self::Key(Which::Revoked | Which::Expired))
    }

    fn has(self, wanted: Scope) -> bool {
        match self {
            Self::Nobody | Self::Stranger => false,
            Self::Owner | Self::Other => !matches!(wanted, Scope::Ops | Scope::Admin),
            Self::Key(Which::Reads) => wanted == Scope::FeedRead,
            Self::Key(_) => true,
            Self::Narrowed(scope) | Self::Service(scope) => {
                scope == wanted || scope == Scope::Admin
            }
        }
    }
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    WhoAreYou,
    No,
    /// Neither: it got past the question of who calls.
    Yes,
}

fn told(answer: &Answer) -> Told {
    match answer.status.as_u16() {
        401 => Told::WhoAreYou,
        403 => Told::No,
        _ => Told::Yes,
    }
}

fn expected(rule: Rule, kind: Kind) -> Told {
    let known = kind.is_known();
    match rule {
        Open => Told::Yes,
        Off => Told::No,
        _ if !known => Told::WhoAreYou,
        Token => Told::Yes,
        Operators if kind.is_user() || !kind.has(Scope::Ops) => Told::No,
        Admins if kind.is_user() || !kind.has(Scope::Admin) => Told::No,
        Rule::Scope(scope) if !kind.has(scope) => Told::No,
        Operators | Admins | Rule::Scope(_) => Told::Yes,
    }
}

/// A server with an item, a hold and an account of ann's; a hold is made for each call anew.
async fn books() -> Api {
    let trust = Auth::Trust(Box::new(Trust::secret(SECRET)));
    let keys = Some(Pepper::new(KEY_SECRET));
    let api = Api::with(Settings { auth: trust, keys, ..Settings::default() }).await;
    let admin = service_token(&[Scope::Admin]);
    let open = |body: Value| api.post("/accounts", body.to_string()).token(&admin);
    open(json!({"account_id": 1, "user_id": "ann", "initial_balance": "900.00"})).expect(201).await;
    open(json!({"account_id": 2, "user_id": "bob"})).expect(201).await;
    open(json!({"account_id": 3, "user_id": "eve"})).expect(201).await;
    api
}

/// The path of a call about ann's rows, which are new.
async fn path(api: &Api, template: &str) -> String {
    let admin = service_token(&[Scope::Admin]);
    let id = if template.contains("/accounts/") {
        "1".to_owned()
    } else if template.contains("/transfers/{id}") {
        let body = json!({"source_account_id": 1, "destination_account_id": 2, "amount": "0.01",
                          "pending": true});
        let made = api.post("/transfers", body.to_string()).token(&admin).expect(201).await;
        made.json()["id"].as_str().expect("an id").to_owned()
    } else if template.contains("/keys/") {
        let body = r#"{"name":"x","scopes":["ops"]}"#;
        let made = api.post("/keys", body).token(&admin).expect(201).await.json();
        made["key_id"].as_str().expect("an id").to_owned()
    } else {
        let made = api.post("/transactions", ITEM).token(&admin).expect(201).await;
        made.json()["id"].as_str().expect("an id").to_owned()
    };
    let path = template.replace("{id}", &id).replace("{user_id}", "ann");
    path.strip_prefix("/api/v1").unwrap_or(&path).to_owned()
}

#[tokio::test]
async fn every_route_has_a_rule_and_keeps_it() {
    let document = serde_json::to_value(daybook_server::http::openapi()).expect("JSON");
    let rules = rules();
    let (api, mut tried, mut surprises) = (books().await, 0, String::new());
    let keys = Keys::make(&api).await;
    let mut met = BTreeSet::new();
    for (template, calls) in document["paths"].as_object().expect("paths") {
        for (method, call) in calls.as_object().expect("calls") {
            let name = call["operationId"].as_str().expect("a name");
            let rule = rules.iter().find(|(known, ..)| *known == name);
            let Some((name, rule, body)) = rule else {
                panic!("{name} ({method} {template}) is a new call; who may make it?");
            };
            met.insert(*name);
            for kind in Kind::all() {
                let mut path = path(&api, template).await;
                // Who may see several users says whom.
                let lists = ["listAccounts", "listTransfers", "syncTransactions"];
                if kind == Kind::Key(Which::Owners) && lists.contains(name) {
                    path.push_str("?user_id=ann");
                }
                let mut request = api.call(&method.to_uppercase(), &path);
                // Who is to receive a hold may let it go, and undo what was received.
                let received = ["voidTransfer", "rollBackTransfer"].contains(name);
                if let Some(token) = kind.token(if received { "bob" } else { "ann" }, &keys) {
                    request = request.token(&token);
                }
                if !body.is_empty() {
                    request = request.json(body.clone());
                }
                let answer = request.send().await;
                tried += 1;
                // What is not one's own is not there, or not to be touched, or left out.
                let (found, wanted) = (told(&answer), expected(*rule, kind));
                let hidden = kind.is_other() && matches!(rule, Rule::Scope(_));
                let leaks = hidden && answer.text().contains("Hush");
                // What a body names as another's is refused as a whole; a batch says so for each.
                let named = ["createTransaction", "openAccount", "createTransfer"].contains(name);
                let wrong = match hidden {
                    true => named && found != Told::No,
                    false => found != wanted,
                };
                if wrong || leaks || answer.status.is_server_error() {
                    let status = answer.status;
                    writeln!(surprises, "{name} by {kind:?}: {status}, not {wanted:?}")
                        .expect("memory");
                }
            }
        }
    }
    let names: BTreeSet<_> = rules.iter().map(|(name, ..)| *name).collect();
    assert_eq!(met, names, "there are rules of calls that are gone");
    println!("{} calls x {} callers, {tried} tried", names.len(), Kind::all().len());
    assert_eq!(surprises, "");
}

#[tokio::test]
async fn another_users_rows_are_refused_and_stay_as_they_are() {
    let api = books().await;
    let document = serde_json::to_value(daybook_server::http::openapi()).expect("JSON");
    let (owner, other) = (user_token("ann"), user_token("mallory"));
    for (template, calls) in document["paths"].as_object().expect("paths") {
        if !template.contains('{') {
            continue;
        }
        for (method, call) in calls.as_object().expect("calls") {
            let rules = rules();
            let rule = rules.iter().find(|(name, ..)| call["operationId"] == *name);
            let (name, rule, body) = rule.expect("a rule");
            if !matches!(rule, Rule::Scope(_)) {
                continue;
            }
            let path = path(&api, template).await;
            let read = async || api.get(&path).token(&owner).send().await.text();
            let before = if *method == "post" { String::new() } else { read().await };
            let request = api.call(&method.to_uppercase(), &path).token(&other);
            let request = if body.is_empty() { request } else { request.json(body.clone()) };
            let answer = request.send().await;
            assert_eq!(answer.status.as_u16(), 403, "{name}: {}", answer.text());
            assert!(!answer.text().contains("Hush"), "{name}");
            if *method != "post" {
                assert_eq!(read().await, before, "{name}");
            }
        }
    }
}
