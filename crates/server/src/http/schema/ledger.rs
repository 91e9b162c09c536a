//! Accounts, their statements, and transfers.

use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::{Amount, Side, TransferBatchBody};

#[derive(ToSchema, Serialize)]
#[schema(rename_all = "snake_case")]
pub enum AccountStatus {
    Open,
    Frozen,
    Closed,
}

#[derive(ToSchema, Serialize)]
#[schema(rename_all = "snake_case")]
pub enum TransferStatus {
    Pending,
    Complete,
    Failed,
    Rollback,
}

/// An account.
#[derive(ToSchema, Serialize)]
#[schema(as = Account)]
pub struct AccountBody {
    /// Positive; the equity account of a currency has a negative one.
    #[schema(example = 123)]
    account_id: i64,
    /// Whose it is; null belongs to the deployment itself.
    #[schema(required)]
    user_id: Option<String>,
    #[schema(required)]
    name: Option<String>,
    #[schema(example = "USD")]
    currency: String,
    status: AccountStatus,
    /// What was posted, in and out.
    #[schema(example = "100.00")]
    balance: String,
    /// The balance less what is held for others.
    #[schema(example = "75.00")]
    available: String,
    /// Held for this account, still on others.
    #[schema(example = "0.00")]
    pending_in: String,
    /// Held on this account, for others.
    #[schema(example = "25.00")]
    pending_out: String,
    /// How far below zero it may go: an amount, or `unlimited`.
    #[schema(example = "0.00")]
    overdraft_limit: String,
    /// As it was sent.
    #[schema(value_type = Object)]
    metadata: Value,
    /// Rises by one with every change of the account itself; transfers do not change it.
    version: u32,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required, format = DateTime)]
    updated_at: Option<String>,
}

/// What an account held at a moment.
#[derive(ToSchema, Serialize)]
pub struct PastBalance {
    account_id: i64,
    currency: String,
    #[schema(example = "100.00")]
    balance: String,
    #[schema(format = DateTime)]
    at: String,
}

/// The account, or with `at` its balance at that moment.
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
pub enum AccountAnswer {
    Account(Box<AccountBody>),
    Past(PastBalance),
}

/// An account to open.
#[derive(ToSchema)]
#[schema(as = NewAccount, example = json!({
    "account_id": 123, "initial_balance": "100.00", "currency": "USD", "user_id": "user123",
    "name": "Main account"
}))]
pub struct NewAccountBody {
    /// Any number from 1 to 2^63 - 1, as a number or a text; Daybook's own when left out.
    #[schema(minimum = 1)]
    account_id: Option<i64>,
    /// Moved from the equity account of the currency; zero when left out.
    initial_balance: Option<Amount>,
    /// USD when left out.
    currency: Option<String>,
    /// Nobody's when left out; the token's user with a user's token.
    #[schema(max_length = 255)]
    user_id: Option<String>,
    #[schema(max_length = 100)]
    name: Option<String>,
    /// How far below zero it may go: an amount, or `unlimited`; zero when left out.
    overdraft_limit: Option<Amount>,
    /// At most 64 keys, 16 KiB and 5 levels.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// What of an account changes.
#[derive(ToSchema)]
#[schema(as = AccountPatch, example = json!({"name": "Savings", "status": "frozen"}))]
pub struct AccountPatchBody {
    /// `null` removes it.
    #[schema(max_length = 100)]
    name: Option<String>,
    /// An amount, or `unlimited`.
    #[schema(nullable = false)]
    overdraft_limit: Option<Amount>,
    /// Merged: `null` removes a key.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// An open account may be frozen and opened again; an empty one may be closed, for good.
    #[schema(nullable = false)]
    status: Option<AccountStatus>,
}

/// One movement of an account's money.
#[derive(ToSchema)]
#[schema(as = Entry)]
pub struct EntryBody {
    #[schema(format = "uuid")]
    transfer_id: String,
    account_id: i64,
    /// Debit is money that went out, credit is money that came in.
    direction: Side,
    counterparty_account_id: i64,
    currency: String,
    #[schema(example = "25.00")]
    amount: String,
    /// The account's balance after it.
    #[schema(example = "75.00")]
    balance: String,
    #[schema(required)]
    reference: Option<String>,
    #[schema(value_type = Object)]
    metadata: Value,
    #[schema(format = DateTime)]
    posted_at: String,
}

/// A transfer between two accounts.
#[derive(ToSchema, Serialize)]
#[schema(as = Transfer)]
pub struct TransferBody {
    /// A UUID of version 7, but for opening balances.
    #[schema(format = "uuid")]
    id: String,
    /// Pending holds money or waits to be done; the others are what became of it.
    status: TransferStatus,
    #[schema(example = 123)]
    source_account_id: i64,
    #[schema(example = 456)]
    destination_account_id: i64,
    #[schema(example = "USD")]
    currency: String,
    /// What moves: after a part was posted, that part.
    #[schema(example = "25.00")]
    amount: String,
    /// What was to be held at first.
    #[schema(required)]
    held_amount: Option<String>,
    #[schema(required)]
    reference: Option<String>,
    #[schema(value_type = Object)]
    metadata: Value,
    /// The seconds that a hold lasts, from when it begins; null until somebody posts or voids it.
    /// Only holds have it.
    #[schema(nullable)]
    expires_in: Option<u64>,
    /// When the hold is over.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// When it is to be done.
    #[schema(required, format = DateTime)]
    execute_at: Option<String>,
    /// The transfer that this one undoes.
    #[schema(required, format = "uuid")]
    rolls_back: Option<String>,
    /// The transfer that undid this one.
    #[schema(required, format = "uuid")]
    rolled_back_by: Option<String>,
    /// Attempts that failed.
    retry_count: u32,
    /// Why the latest attempt failed.
    #[schema(required)]
    last_error: Option<TransferFailure>,
    #[schema(required, format = DateTime)]
    last_attempt: Option<String>,
    /// When it is tried (again); null where it does not wait for that.
    #[schema(required, format = DateTime)]
    next_attempt: Option<String>,
    /// Rises by one with every change.
    version: u32,
    #[schema(format = DateTime)]
    created_at: String,
    /// When the money moved.
    #[schema(required, format = DateTime)]
    posted_at: Option<String>,
    #[schema(required, format = DateTime)]
    updated_at: Option<String>,
}

/// Why an attempt failed.
#[derive(ToSchema, Serialize)]
pub struct TransferFailure {
    /// `temporary` and `unknown` ones are tried again, `permanent` ones are not.
    #[schema(example = "temporary")]
    kind: String,
    /// The code of the refusal.
    #[schema(example = "INSUFFICIENT_FUNDS")]
    code: String,
    detail: String,
}

/// A transfer to make.
#[derive(ToSchema)]
#[schema(as = NewTransfer, example = json!({
    "source_account_id": 123, "destination_account_id": 456, "amount": "25.00",
    "reference": "invoice-7"
}))]
pub struct NewTransferBody {
    /// A number, or the same as a text.
    source_account_id: i64,
    /// A number, or the same as a text.
    destination_account_id: i64,
    /// More than zero.
    amount: Amount,
    /// The currency that both accounts must have; theirs when left out.
    currency: Option<String>,
    /// Unique among the transfers of the source: what makes sending it again harmless.
    #[schema(max_length = 255)]
    reference: Option<String>,
    /// At most 64 keys, 16 KiB and 5 levels.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Holds the money instead of moving it, until somebody posts or voids it.
    pending: Option<bool>,
    /// Seconds after which a hold lets go by itself; at most 366 days.
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
    /// When a worker is to do it.
    #[schema(format = DateTime)]
    execute_at: Option<String>,
    /// When it happened, where that was before now; no earlier than the latest movement of either
    /// account.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

/// What to post of a hold; all of it when left out.
#[derive(ToSchema)]
#[schema(as = Capture, example = json!({"amount": "10.00"}))]
pub struct CaptureBody {
    amount: Option<Amount>,
}

/// A page of accounts.
#[derive(ToSchema)]
pub struct AccountPage {
    items: Vec<AccountBody>,
    /// Where the next page begins; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
    limit: u32,
}

/// A page of a statement.
#[derive(ToSchema)]
pub struct EntryPage {
    items: Vec<EntryBody>,
    /// Where the next page begins; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
    limit: u32,
}

/// A page of transfers.
#[derive(ToSchema)]
pub struct TransferPage {
    items: Vec<TransferBody>,
    /// Where the next page begins; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
    limit: u32,
}

/// What a look at the whole ledger found.
#[derive(ToSchema)]
#[schema(as = LedgerVerified)]
pub struct LedgerVerifiedBody {
    accounts: u64,
    transfers: u64,
    /// Whether there is no difference.
    ok: bool,
    differences: Vec<DifferenceBody>,
    #[schema(format = DateTime)]
    verified_at: String,
    /// How long it took.
    seconds: f64,
}

/// Something that is not as it should be.
#[derive(ToSchema)]
#[schema(as = Difference)]
pub struct DifferenceBody {
    #[schema(example = "ledger")]
    part: String,
    what: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct AccountParam {
    /// The account's number.
    id: i64,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TransferParam {
    /// The transfer.
    #[param(format = "uuid")]
    id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountsParams {
    /// Whose accounts; with a user's token the token's user wins.
    user_id: Option<String>,
    /// Only accounts in this currency.
    currency: Option<String>,
    /// Only accounts of this status.
    status: Option<AccountStatus>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Accounts on a page; 20 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AtParam {
    /// A past moment; a bare date is its midnight in UTC.
    at: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntriesParams {
    /// From this moment, or from the beginning of this UTC day, on.
    start_date: Option<String>,
    /// Until this moment, or until the end of this UTC day.
    end_date: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Entries on a page; 20 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TransfersParams {
    /// Only transfers from or to this account.
    account_id: Option<i64>,
    /// Whose transfers; with a user's token the token's user wins.
    user_id: Option<String>,
    /// Only transfers of this status.
    status: Option<TransferStatus>,
    /// Only transfers with this reference.
    reference: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Transfers on a page; 20 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct PreferHeader {
    /// `respond-async` leaves the work to a worker and answers 202 at once (RFC 7240). It is
    /// passed over where `created_at` says that the transfer has happened.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// Opened.
#[derive(IntoResponses)]
#[response(status = 201, headers(
    ("Location" = String, description = "Where the account is."),
    ("ETag" = String, description = "The version of the account's terms, in quotes; its balance does not change it."),
    ("X-Daybook-Result" = String, description = "`created`."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct AccountCreated(AccountBody);

/// The account as it stands after the request.
#[derive(IntoResponses)]
#[response(status = 200, headers(
    ("ETag" = String, description = "The version of the account's terms, in quotes; its balance does not change it."),
    ("X-Daybook-Result" = String, description = "`updated` or `unchanged`."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct AccountWritten(AccountBody);

/// Done, held, or waiting for its time.
#[derive(IntoResponses)]
#[response(status = 201, headers(
    ("Location" = String, description = "Where the transfer is."),
    ("ETag" = String, description = "The transfer's version, in quotes."),
    ("X-Daybook-Result" = String, description = "`created`."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct TransferCreated(TransferBody);

/// Left to the worker, as `Prefer: respond-async` asked; `Location` says how it goes on.
#[derive(IntoResponses)]
#[response(status = 202, headers(
    ("Location" = String, description = "Where the transfer is."),
    ("ETag" = String, description = "The transfer's version, in quotes."),
    ("Preference-Applied" = String, description = "`respond-async`"),
    ("X-Daybook-Result" = String, description = "`created`."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct TransferAccepted(TransferBody);

/// The transfer as it stands after the request.
#[derive(IntoResponses)]
#[response(status = 200, headers(
    ("ETag" = String, description = "The transfer's version, in quotes."),
    ("X-Daybook-Result" = String, description = "`updated` or `unchanged`."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct TransferWritten(TransferBody);

/// One result per transfer.
#[derive(IntoResponses)]
#[response(status = 200, headers(
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct TransferBatchDone(TransferBatchBody);
