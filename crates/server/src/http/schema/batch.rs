//! The results of batches.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Problem, TransactionBody, TransferBody};

/// One result per item, in the order of the items.
#[derive(ToSchema, Serialize)]
#[schema(as = BatchResults)]
pub struct BatchBody {
    results: Vec<BatchItem>,
    created: u32,
    updated: u32,
    /// Sent again with the same content.
    unchanged: u32,
    /// Sent again, older than what is stored or with too little to change it.
    ignored: u32,
    failed: u32,
}

/// What became of one item.
#[derive(ToSchema, Serialize)]
#[schema(as = BatchResult)]
pub struct BatchItem {
    index: u32,
    /// The status that the item alone would have had.
    #[schema(example = 201)]
    status: u16,
    /// `created`, `updated`, `unchanged` or `ignored`; not where there is an error.
    #[schema(nullable = false, example = "created")]
    result: Option<String>,
    #[schema(nullable = false)]
    transaction: Option<TransactionBody>,
    #[schema(nullable = false)]
    error: Option<Problem>,
}

/// One result per transfer, in their order.
#[derive(ToSchema, Serialize)]
#[schema(as = TransferBatchResults)]
pub struct TransferBatchBody {
    results: Vec<TransferBatchItem>,
    created: u32,
    updated: u32,
    unchanged: u32,
    /// Always 0: a transfer that is sent again is unchanged, or refused.
    ignored: u32,
    failed: u32,
}

/// What became of one transfer.
#[derive(ToSchema, Serialize)]
#[schema(as = TransferBatchResult)]
pub struct TransferBatchItem {
    index: u32,
    /// The status that the transfer alone would have had.
    #[schema(example = 201)]
    status: u16,
    /// `created` or `unchanged`; not where there is an error.
    #[schema(nullable = false, example = "created")]
    result: Option<String>,
    #[schema(nullable = false)]
    transfer: Option<TransferBody>,
    #[schema(nullable = false)]
    error: Option<Problem>,
}
