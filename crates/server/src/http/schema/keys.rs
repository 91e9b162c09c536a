//! API keys in the OpenAPI document.

use utoipa::{IntoParams, IntoResponses, ToSchema};

/// What an API key is to be.
#[derive(ToSchema)]
#[schema(as = NewKey)]
pub struct NewKeyBody {
    /// What people call it.
    #[schema(example = "billing", min_length = 1, max_length = 100)]
    name: String,
    /// What it may do: feed:read, feed:write, ledger:read, ledger:write, ops or admin.
    #[schema(example = json!(["feed:read"]), min_items = 1)]
    scopes: Vec<String>,
    /// Narrows it to the rows of these users.
    users: Option<Vec<String>>,
    /// Narrows it to these accounts.
    accounts: Option<Vec<i64>>,
    /// When it ends; never without it.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// An API key, without its secret.
#[derive(ToSchema)]
#[schema(as = Key)]
pub struct KeyBody {
    #[schema(example = "00f3c2a1b4d5e6f7")]
    key_id: String,
    /// What the key begins with.
    #[schema(example = "dbk_00f3c2a1b4d5e6f7")]
    prefix: String,
    name: String,
    scopes: Vec<String>,
    users: Vec<String>,
    accounts: Vec<i64>,
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    version: u32,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required, format = DateTime)]
    rotated_at: Option<String>,
    #[schema(required, format = DateTime)]
    revoked_at: Option<String>,
    /// When it was last seen, to about a minute.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
}

/// An API key with its secret, which no later answer has.
#[derive(ToSchema)]
#[schema(as = KeyWithSecret)]
pub struct KeyWithSecretBody {
    #[serde(flatten)]
    key: KeyBody,
    /// What the service sends behind `Bearer`; missing where a request is repeated.
    #[schema(example = "dbk_00f3c2a1b4d5e6f7_…")]
    secret: Option<String>,
}

/// How a key gets another secret.
#[derive(ToSchema)]
#[schema(as = RotateKey)]
pub struct RotateKeyBody {
    /// How long the secret that it has opens too, in seconds; 0 without it.
    #[schema(maximum = 604_800)]
    grace_seconds: Option<u64>,
}

/// A page of API keys.
#[derive(ToSchema)]
pub struct KeyPage {
    items: Vec<KeyBody>,
    /// Where the next page begins; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
    limit: u32,
}

/// The key, with its secret.
#[derive(IntoResponses)]
#[response(status = 201, headers(
    ("Location" = String, description = "The path of the key."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct KeyCreated(KeyWithSecretBody);

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct KeyParam {
    /// The key: sixteen hexadecimal digits.
    id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Where the page begins: `next_cursor` of the one before.
    cursor: Option<String>,
    /// How many keys a page has.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}
