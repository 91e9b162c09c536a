//! The words of titles and subtitles that stand beside values. Searches find an item by these words without an
//! entry of the index: a label says of which facts its words follow.

use std::borrow::Cow;

use crate::transaction::Side;

/// Words that people read about items of a type, and the facts of the items that show them.
#[derive(Clone, Debug)]
pub struct Label {
    text: Cow<'static, str>,
    conditions: Vec<Condition>,
}

/// A fact that the index knows.
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    /// A metadata field has this text, in any case.
    Is(&'static str, &'static str),
    IsNot(&'static str, &'static str),
    /// Any of these metadata fields is there.
    Has(&'static [&'static str]),
    HasNot(&'static str),
    Side(Side),
}

impl Label {
    /// The value that stands before or behind the words.
    pub const VALUE: char = '…';

    /// The words, with [`Label::VALUE`] where a value joins them. Without a condition every item
    /// of the type has the label.
    #[must_use]
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), conditions: Vec::new() }
    }

    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}
