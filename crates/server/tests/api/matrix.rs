//! Every route by every kind of caller: a new route without a rule here fails. What was seen is
//! written to the file that MATRIX_TABLE names, as a table in Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use daybook_core::{Action, NewKey, Submission, Timestamp};
use daybook_server::app::{Auth, Settings};
use daybook_server::auth::api_keys::Pepper;
use daybook_server::auth::{Scope, Trust};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Answer, Api, SECRET, service_token, sums, user_token};

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

/// Stands in all of ann's rows, so an answer that says it shows one of them.
const TELLTALE: &str = "Hush";
const ITEM: &str = r#"{"user_id":"ann","transaction_type":"card","amount":1,
    "metadata":{"merchant_name":"Hush","card_last_four":"5678"}}"#;
const WHOLE: &str = r#"{"user_id":"ann","transaction_type":"card","amount":1,"status":"completed",
    "created_at":"2024-01-01T00:00:00Z","metadata":{"merchant_name":"Hush"}}"#;
const MONEY: &str = r#"{"source_account_id":1,"destination_account_id":2,"amount":"1.00",
    "metadata":{"note":"Hush"}}"#;

/// Calls that leave out what is not the caller's; who speaks for several users says whom it means.
const LISTS: [&str; 4] = ["listTransactions", "syncTransactions", "listAccounts", "listTransfers"];
/// Calls that judge each of their items by itself.
const BATCHES: [&str; 2] = ["createTransactions", "createTransfers"];

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
        ("getIndex", Open, none.clone()),
        ("getHealth", Open, none.clone()),
        ("getLive", Open, none.clone()),
        ("getReady", Open, none.clone()),
        ("getMetrics", Open, none),
    ]
}

/// A call of the document, with its rule.
struct Route {
    name: &'static str,
    method: String,
    template: String,
    rule: Rule,
    body: String,
}

/// Every call that the document knows; each must have a rule, and each rule its call.
fn routes() -> Vec<Route> {
    let document = serde_json::to_value(daybook_server::http::openapi()).expect("JSON");
    let rules = rules();
    let mut routes = Vec::new();
    for (template, calls) in document["paths"].as_object().expect("paths") {
        for (method, call) in calls.as_object().expect("calls") {
            let name = call["operationId"].as_str().expect("a name");
            let rule = rules.iter().find(|(known, ..)| *known == name);
            let Some((name, rule, body)) = rule.cloned() else {
                panic!("{name} ({method} {template}) is a new call; who may make it?");
            };
            let (method, template) = (method.to_uppercase(), template.clone());
            routes.push(Route { name, method, template, rule, body });
        }
    }
    let met: BTreeSet<_> = routes.iter().map(|route| route.name).collect();
    let known: BTreeSet<_> = rules.iter().map(|(name, ..)| *name).collect();
    assert_eq!(met, known, "there are rules of calls that are gone");
    routes
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nobody,
    /// With something that is no token.
    Stranger,
    /// Ann, whose rows they are.
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
    Owner,
    /// For all, and for the rows of the owner and of bob.
    Both,
    /// For all, and for the rows of another user.
    Other,
    /// For all, and for the rows of two others.
    Others,
    /// For all, and for an account of another.
    Account,
    Revoked,
    Expired,
}

impl Which {
    const ALL: [Self; 9] = [
        Self::Reads,
        Self::Admin,
        Self::Owner,
        Self::Both,
        Self::Other,
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
            Self::Owner => of(json!({"users": ["ann"]})),
            Self::Both => of(json!({"users": ["ann", "bob"]})),
            Self::Other => of(json!({"users": ["mallory"]})),
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

    fn token(self, keys: &Keys) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::Stranger => Some("not.a.token".to_owned()),
            Self::Owner => Some(user_token("ann")),
            Self::Other => Some(user_token("mallory")),
            Self::Service(scope) => Some(service_token(&[scope])),
            Self::Key(which) => Some(keys.secret(which)),
            Self::Narrowed(scope) => {
                let claims = json!({"sub": "ann", "scope": scope.name(), "exp": u64::MAX / 4});
                let key = EncodingKey::from_secret(SECRET);
                Some(jsonwebtoken::encode(&Header::default(), &claims, &key).expect("signed"))
            }
        }
    }

    /// Whether it is a user, or narrowed as one is.
    fn is_user(self) -> bool {
        let is_owner =
            matches!(self, Self::Owner | Self::Narrowed(_) | Self::Key(Which::Owner | Which::Both));
        is_owner || self.is_other()
    }

    /// Whether it is somebody, who is not whose rows they are.
    fn is_other(self) -> bool {
        self.is_one_other() || matches!(self, Self::Key(Which::Others | Which::Account))
    }

    /// Whether it speaks for one other user, whose rows are meant whomever it names.
    fn is_one_other(self) -> bool {
        matches!(self, Self::Other | Self::Key(Which::Other))
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
    Yes,
    /// That the call is not as it should be, or the server.
    Neither,
}

fn told(answer: &Answer) -> Told {
    match answer.status.as_u16() {
        401 => Told::WhoAreYou,
        403 => Told::No,
        200..=299 => Told::Yes,
        _ => Told::Neither,
    }
}

fn expected(route: &Route, kind: Kind) -> Told {
    match route.rule {
        Open => Told::Yes,
        Off => Told::No,
        _ if !kind.is_known() => Told::WhoAreYou,
        Token => Told::Yes,
        Operators if kind.is_user() || !kind.has(Scope::Ops) => Told::No,
        Admins if kind.is_user() || !kind.has(Scope::Admin) => Told::No,
        Rule::Scope(scope) if !kind.has(scope) => Told::No,
        Rule::Scope(_) if kind.is_other() => of_others_rows(route, kind),
        Operators | Admins | Rule::Scope(_) => Told::Yes,
    }
}

/// What is not one's own is refused, or left out where the call is about more than that.
fn of_others_rows(route: &Route, kind: Kind) -> Told {
    let leaves_out = LISTS.contains(&route.name) && kind.is_one_other();
    if leaves_out || BATCHES.contains(&route.name) { Told::Yes } else { Told::No }
}

/// Whether somebody was shown or could do what is not theirs.
fn leaks(route: &Route, kind: Kind, answer: &Answer) -> bool {
    let may_see = expected(route, kind) == Told::Yes && !kind.is_other();
    let is_batch = BATCHES.contains(&route.name) && answer.status.is_success();
    let did = kind.is_other() && is_batch && sums(&answer.json()) != [0, 0, 0, 1];
    did || (!may_see && answer.text().contains(TELLTALE))
}

/// A server that seals, with an account, an item and a transfer of ann's.
async fn books() -> Api {
    let trust = Auth::Trust(Box::new(Trust::secret(SECRET)));
    let keys = Some(Pepper::new(KEY_SECRET));
    let api = Api::sealed(Settings { auth: trust, keys, ..Settings::default() }).await;
    let admin = service_token(&[Scope::Admin]);
    for (id, user) in [(1, "ann"), (2, "bob"), (3, "eve")] {
        let body = json!({"account_id": id, "user_id": user, "name": TELLTALE,
                          "initial_balance": "900.00"});
        api.post("/accounts", body.to_string()).token(&admin).expect(201).await;
    }
    api.post("/transactions", ITEM).token(&admin).expect(201).await;
    api.post("/transfers", MONEY).token(&admin).expect(201).await;
    api
}

/// The path of a call about ann's rows, which are new.
async fn path(api: &Api, route: &Route) -> String {
    let admin = service_token(&[Scope::Admin]);
    let new = async |list: &str, body: String, id: &str| {
        let made = api.post(list, body).token(&admin).expect(201).await.json();
        made[id].as_str().expect("an id").to_owned()
    };
    let Some(template) = route.template.strip_prefix("/api/v1") else {
        return format!("^{}", route.template);
    };
    let id = if template.starts_with("/accounts/{id}") {
        "1".to_owned()
    } else if template.starts_with("/transfers/{id}") {
        // Who is to receive a hold may let it go, and undo what was received.
        let is_received = ["voidTransfer", "rollBackTransfer"].contains(&route.name);
        let (source, destination) = if is_received { (2, 1) } else { (1, 2) };
        let body = json!({"source_account_id": source, "destination_account_id": destination,
                          "amount": "0.01", "pending": route.name != "rollBackTransfer",
                          "metadata": {"note": TELLTALE}});
        new("/transfers", body.to_string(), "id").await
    } else if template.starts_with("/keys/{id}") {
        new("/keys", r#"{"name":"x","scopes":["ops"]}"#.to_owned(), "key_id").await
    } else if template.contains('{') {
        new("/transactions", ITEM.to_owned(), "id").await
    } else {
        String::new()
    };
    let path = template.replace("{id}", &id).replace("{user_id}", "ann");
    if LISTS.contains(&route.name) { format!("{path}?user_id=ann") } else { path }
}

async fn ask(api: &Api, route: &Route, path: &str, token: Option<String>) -> Answer {
    let mut call = api.call(&route.method, path);
    if let Some(token) = token {
        call = call.token(&token);
    }
    if !route.body.is_empty() {
        call = call.json(route.body.clone());
    }
    call.send().await
}

#[tokio::test]
async fn every_route_has_a_rule_and_keeps_it() {
    let (api, routes, kinds) = (books().await, routes(), Kind::all());
    let keys = Keys::make(&api).await;
    let names: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    let (mut tried, mut surprises) = (0, String::new());
    let mut table = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for route in &routes {
        let Route { name, method, template, .. } = route;
        let mut statuses = Vec::new();
        for kind in &kinds {
            let path = path(&api, route).await;
            let answer = ask(&api, route, &path, kind.token(&keys)).await;
            tried += 1;
            statuses.push(answer.status.as_u16().to_string());
            let wanted = expected(route, *kind);
            if told(&answer) != wanted || leaks(route, *kind, &answer) {
                let (status, text) = (answer.status, answer.text());
                writeln!(surprises, "{name} by {kind:?}: {status}, not {wanted:?}: {text}")
                    .expect("memory");
            }
        }
        writeln!(table, "| {method} {template} | {} |", statuses.join(" | ")).expect("memory");
    }
    println!("{} calls x {} callers, {tried} tried", routes.len(), kinds.len());
    if let Some(file) = std::env::var_os("MATRIX_TABLE") {
        std::fs::write(file, table).expect("a file that can be written");
    }
    assert_eq!(surprises, "");
}

#[tokio::test]
async fn another_users_rows_are_refused_and_stay_as_they_are() {
    let (api, owner) = (books().await, user_token("ann"));
    let keys = Keys::make(&api).await;
    let mut routes = routes();
    routes.retain(|route| route.template.contains('{') && matches!(route.rule, Rule::Scope(_)));
    for route in &routes {
        for kind in Kind::all().into_iter().filter(|kind| kind.is_other()) {
            let path = path(&api, route).await;
            // What is done to a row stands below the row's own path.
            let row = match route.method.as_str() {
                "POST" => path.rsplit_once('/').expect("a path").0,
                _ => path.as_str(),
            };
            let read = async || api.get(row).token(&owner).expect(200).await.text();
            let before = read().await;
            let answer = ask(&api, route, &path, kind.token(&keys)).await;
            let told = format!("{} by {kind:?}: {}", route.name, answer.text());
            assert_eq!(answer.status.as_u16(), 403, "{told}");
            answer.check_problem();
            assert!(!answer.text().contains(TELLTALE), "{told}");
            assert_eq!(read().await, before, "{told}");
        }
    }
}
