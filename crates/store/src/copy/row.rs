//! A row between two stores.

use daybook_core::UserId;
use daybook_core::money::I256;
use daybook_core::search::Document;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::table::{Column, Kind};
use crate::Result;
use crate::codec::{self, Columns, ITEM_COLUMNS, corrupt};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
    // Neither is part of a key, and only keys are kept as JSON.
    #[serde(skip)]
    Atto(I256),
    #[serde(skip)]
    Flag(bool),
}

#[derive(Clone, Debug)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// Reads a row of a driver.
    pub fn read(row: &impl Columns, columns: &[Column]) -> Result<Self> {
        let values = columns.iter().enumerate().map(|(at, (name, kind))| {
            Ok(match kind {
                Kind::Number => row.maybe_number(at, name)?.map(Value::Number),
                Kind::Text | Kind::Json => row.maybe_string(at, name)?.map(Value::Text),
                Kind::Bytes => row.maybe_bytes(at, name)?.map(|b| Value::Bytes(b.to_vec())),
                Kind::Uuid => row.maybe_uuid(at, name)?.map(Value::Uuid),
                Kind::Amount | Kind::Money => row.maybe_wide(at, name)?.map(Value::Atto),
                Kind::Flag => Some(Value::Flag(row.flag(at, name)?)),
            }
            .unwrap_or(Value::Null))
        });
        values.collect::<Result<Vec<_>>>().map(Self)
    }

    /// The number of the user of an item, and what the index is given for it.
    pub fn document(&self) -> Result<(i64, Document)> {
        // The words are the same whosever they are; the index tells users apart by their numbers.
        let somebody = UserId::parse("somebody").map_err(|_| corrupt("user"))?;
        let item = codec::item(self, &somebody)?;
        Ok((self.number(ITEM_COLUMNS, "user")?, Document::of(&item)))
    }

    fn value(&self, at: usize, what: &str) -> Result<&Value> {
        self.0.get(at).ok_or_else(|| corrupt(what))
    }
}

macro_rules! maybe {
    ($row:ident, $at:ident, $what:ident, $kind:ident($value:ident) => $read:expr) => {
        match $row.value($at, $what)? {
            Value::$kind($value) => Ok(Some($read)),
            Value::Null => Ok(None),
            _ => Err(corrupt($what)),
        }
    };
}

impl Columns for Row {
    fn maybe_text(&self, at: usize, what: &str) -> Result<Option<&str>> {
        maybe!(self, at, what, Text(text) => text)
    }

    fn maybe_number(&self, at: usize, what: &str) -> Result<Option<i64>> {
        maybe!(self, at, what, Number(number) => *number)
    }

    fn maybe_bytes(&self, at: usize, what: &str) -> Result<Option<&[u8]>> {
        maybe!(self, at, what, Bytes(bytes) => bytes)
    }

    fn maybe_uuid(&self, at: usize, what: &str) -> Result<Option<Uuid>> {
        maybe!(self, at, what, Uuid(uuid) => *uuid)
    }

    fn maybe_wide(&self, at: usize, what: &str) -> Result<Option<I256>> {
        maybe!(self, at, what, Atto(atto) => *atto)
    }

    fn flag(&self, at: usize, what: &str) -> Result<bool> {
        match self.value(at, what)? {
            Value::Flag(flag) => Ok(*flag),
            _ => Err(corrupt(what)),
        }
    }
}
