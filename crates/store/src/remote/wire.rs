//! Values as bytes, for two processes of the same program. Numbers have a fixed width, lists and
//! texts their length before them, choices a number. A value is written field by field from a list
//! of its fields, so that a new field does not compile until it is in the list.

use std::sync::Arc;
use std::time::Duration;

use daybook_core::money::{Balance, I256};
use daybook_core::{
    AccountId, AccountStatus, Amount, Currency, EventSeq, EventType, Json, KeyId, Rejection, Side,
    Status, Timestamp, TransactionId, TransactionType, TransferId, TransferStatus, UserId,
};
use parking_lot::Mutex;
use uuid::Uuid;

/// The most entries of one list: far more than any page or batch has.
const LIST_MAX: usize = 100_000;
/// The most names of parts of the store, and the longest, in bytes.
const NAMES_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 100;
/// The deepest JSON that is read: deeper than any that is recorded, and no danger for the stack.
const JSON_DEPTH_MAX: usize = 100;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("the message ends too early or too late")]
    Length,
    #[error("the message has no valid {what}")]
    Malformed { what: &'static str },
    #[error("a list has more than {LIST_MAX} entries")]
    TooLong,
    #[error("commands do not ask a server to {what}")]
    NotSent { what: &'static str },
}

pub type Result<T> = std::result::Result<T, WireError>;

/// A value that is written to and read from messages.
pub trait Wire: Sized {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;
    fn decode(input: &mut Input<'_>) -> Result<Self>;
}

/// What is left of a message that is being read.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads one value that is the whole message.
    pub fn whole<T: Wire>(message: &'a [u8]) -> Result<T> {
        let mut input = Self(message);
        let value = T::decode(&mut input)?;
        if input.0.is_empty() { Ok(value) } else { Err(WireError::Length) }
    }

    /// Reads the first value of a message; the answer has the place where the rest begins.
    pub fn first<T: Wire>(message: &'a [u8]) -> Result<(T, usize)> {
        let mut input = Self(message);
        let value = T::decode(&mut input)?;
        Ok((value, message.len() - input.0.len()))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(WireError::Length)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(WireError::Length)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(u32::decode(self)?).map_err(|_| WireError::Length)
    }

    fn text(&mut self) -> Result<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| malformed("text"))
    }
}

pub fn malformed(what: &'static str) -> WireError {
    WireError::Malformed { what }
}

fn put_length(length: usize, out: &mut Vec<u8>) -> Result<()> {
    u32::try_from(length).map_err(|_| WireError::Length)?.encode(out)
}

fn put_text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    put_length(text.len(), out)?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Wire for $number {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                out.extend_from_slice(&self.to_le_bytes());
                Ok(())
            }

            fn decode(input: &mut Input<'_>) -> Result<Self> {
                Ok(Self::from_le_bytes(input.array()?))
            }
        }
    )*};
}
numbers!(u8, u32, u64, i64, u128, i128, I256);

/// Values that are written as another one: there, and back.
macro_rules! as_other {
    ($($name:ty: $value:ident => $there:expr, $other:ident: $from:ty => $back:expr;)*) => {$(
        impl Wire for $name {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                let $value = self;
                $there.encode(out)
            }

            fn decode(input: &mut Input<'_>) -> Result<Self> {
                let $other = <$from>::decode(input)?;
                $back
            }
        }
    )*};
}
as_other! {
    bool: flag => u8::from(*flag), number: u8 => match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(malformed("flag")),
    };
    Uuid: id => id.as_u128(), number: u128 => Ok(Self::from_u128(number));
    TransactionId: id => id.0, id: Uuid => Ok(Self(id));
    TransferId: id => id.0, id: Uuid => Ok(Self(id));
    AccountId: id => id.0, number: i64 => Ok(Self(number));
    KeyId: id => id.0, number: i64 => Ok(Self(number));
    EventSeq: seq => seq.0, number: i64 => Ok(Self(number));
    Timestamp: at => at.micros(), number: i64 => Ok(Self::from_micros(number));
    Amount: amount => amount.atto(), number: i128 => Ok(Self::from_atto(number));
    Balance: balance => balance.atto(), number: I256 => Ok(Self::from_wide(number));
    Duration: time => u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        number: u64 => Ok(Self::from_nanos(number));
}

/// Values that are written as a text: there, and back where the text is one of them.
macro_rules! as_text {
    ($($name:ty: $value:ident => $there:expr, $text:ident => $back:expr;)*) => {$(
        impl Wire for $name {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                let $value = self;
                put_text($there, out)
            }

            fn decode(input: &mut Input<'_>) -> Result<Self> {
                let $text = input.text()?;
                $back.ok_or_else(|| malformed(stringify!($name)))
            }
        }
    )*};
}
as_text! {
    String: value => value, text => Some(text.to_owned());
    Arc<str>: value => value, text => Some(text.into());
    UserId: user => user.as_str(), text => Self::parse(text).ok();
    Json: json => &json.to_string(), text => Self::parse(text, JSON_DEPTH_MAX).ok();
    Rejection: refused => &serde_json::to_string(refused).map_err(|_| malformed("rejection"))?,
        text => serde_json::from_str(text).ok();
    TransactionType: value => value.name(), text => Self::from_name(text);
    Status: value => value.name(), text => Self::from_name(text);
    Side: value => value.name(), text => Self::from_name(text);
    AccountStatus: value => value.name(), text => Self::from_name(text);
    TransferStatus: value => value.name(), text => Self::from_name(text);
    daybook_core::transfer::FailureKind: value => value.name(), text => Self::from_name(text);
    EventType: value => value.name(), text => Self::from_name(text);
}

/// A currency has the digits with which it was configured.
impl Wire for Currency {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        put_text(self.code(), out)?;
        self.digits().encode(out)
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        let code = input.text()?;
        Self::new(code, u8::decode(input)?).ok_or_else(|| malformed("currency"))
    }
}

/// The name of a part of the store. Each name is kept once, for as long as the program runs.
impl Wire for &'static str {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        put_text(self, out)
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        static KNOWN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
        let name = input.text()?;
        let mut known = KNOWN.lock();
        if let Some(known) = known.iter().find(|known| **known == name) {
            return Ok(known);
        }
        if known.len() >= NAMES_MAX || name.len() > NAME_BYTES_MAX {
            return Err(malformed("name"));
        }
        let name: &'static str = name.to_owned().leak();
        known.push(name);
        Ok(name)
    }
}

impl Wire for () {
    fn encode(&self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn decode(_: &mut Input<'_>) -> Result<Self> {
        Ok(())
    }
}

impl Wire for [u8; 32] {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(self);
        Ok(())
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        input.array()
    }
}

impl<T: Wire> Wire for [T; 2] {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        self.iter().try_for_each(|value| value.encode(out))
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        Ok([T::decode(input)?, T::decode(input)?])
    }
}

impl<T: Wire> Wire for Arc<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        T::encode(self, out)
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        T::decode(input).map(Self::new)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        self.is_some().encode(out)?;
        self.as_ref().map_or(Ok(()), |value| value.encode(out))
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        if bool::decode(input)? { T::decode(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.len() > LIST_MAX {
            return Err(WireError::TooLong);
        }
        put_length(self.len(), out)?;
        self.iter().try_for_each(|value| value.encode(out))
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        let length = input.length()?;
        if length > LIST_MAX {
            return Err(WireError::TooLong);
        }
        (0..length).map(|_| T::decode(input)).collect()
    }
}

/// Writes and reads structures by the list of their fields, and choices by the numbers of their
/// variants. A variant after `never` is not sent. `LAYOUT` is the whole list as a text.
macro_rules! layout {
    (
        records { $($record:ident { $($field:ident),* $(,)? })* }
        choices { $($choice:ident {
            $($tag:literal = $variant:ident { $($at:tt: $bound:ident),* $(,)? })*
            $(never $what:literal { $($refused:ident)* })?
        })* }
    ) => {
        pub const LAYOUT: &str = concat!(
            $(stringify!($record { $($field)* }),)*
            $(stringify!($choice { $($tag $variant { $($at)* })* }),)*
        );

        $(impl Wire for $record {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                let Self { $($field),* } = self;
                $($field.encode(out)?;)*
                Ok(())
            }

            fn decode(input: &mut Input<'_>) -> Result<Self> {
                Ok(Self { $($field: Wire::decode(input)?),* })
            }
        })*

        $(impl Wire for $choice {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                match self {
                    $(Self::$variant { $($at: $bound),* } => {
                        u8::encode(&$tag, out)?;
                        $($bound.encode(out)?;)*
                    })*
                    $($(Self::$refused { .. } => {
                        return Err(WireError::NotSent { what: $what });
                    })*)?
                }
                Ok(())
            }

            fn decode(input: &mut Input<'_>) -> Result<Self> {
                Ok(match u8::decode(input)? {
                    $($tag => Self::$variant { $($at: Wire::decode(input)?),* },)*
                    _ => return Err(malformed(stringify!($choice))),
                })
            }
        })*
    };
}
pub(super) use layout;
