//! Comparisons with what stands in an item's metadata.

use std::cmp::Ordering;

use crate::json::Json;
use crate::search::{Decimal, filter_keys, fold, value_key};

/// A comparison with a metadata value. Numbers compare by value, texts in the form in which they
/// are equal or not, by code point. Values of another type than the operand do not match, and what
/// has no order is only as much as its equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    pub path: String,
    pub op: CompareOp,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Gte,
    Gt,
    Lte,
    Lt,
}

impl Compare {
    /// Whether any value at the path compares as asked.
    #[must_use]
    pub fn matches(&self, metadata: &Json) -> bool {
        let mut found = false;
        metadata.visit(&mut |path, value| {
            if path == self.path && !found {
                let order = match value {
                    Json::Number(text) => Decimal::parse(text)
                        .zip(Decimal::parse(&self.value))
                        .map(|(a, b)| a.cmp(&b)),
                    Json::String(text) => Some(fold(text.trim()).cmp(&fold(self.value.trim()))),
                    Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
                        let equal = filter_keys(&self.value).contains(&value_key(value));
                        equal.then_some(Ordering::Equal)
                    }
                };
                found = order.is_some_and(|order| match self.op {
                    CompareOp::Gte => order.is_ge(),
                    CompareOp::Gt => order.is_gt(),
                    CompareOp::Lte => order.is_le(),
                    CompareOp::Lt => order.is_lt(),
                });
            }
        });
        found
    }
}
