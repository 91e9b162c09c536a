//! Reads an item back from its published JSON, as the event log keeps it.

use serde::de::DeserializeOwned;

use super::{Revision, Transaction};
use crate::id::{EventSeq, UserId};
use crate::json::{Fields, Json};
use crate::money::{Amount, Currency};

impl Transaction {
    /// The item that an event of the log says; `None` when the text is no published item.
    #[must_use]
    pub fn of_published(body: &str, seq: EventSeq) -> Option<Self> {
        let mut fields = Fields::parse(body).ok()?;
        // The digits of a currency are those that its amounts are written with.
        let amount = fields.take("amount")?.get();
        let digits = amount.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let currency: String = read(&mut fields, "currency")?;
        let currency = Currency::new(&currency, u8::try_from(digits).ok()?)?;
        Some(Self {
            id: read(&mut fields, "id")?,
            user_id: UserId::parse(&read::<String>(&mut fields, "user_id")?).ok()?,
            transaction_type: read(&mut fields, "transaction_type")?,
            product: read(&mut fields, "product")?,
            status: read(&mut fields, "status")?,
            side: read(&mut fields, "side")?,
            side_given: read(&mut fields, "side_given").unwrap_or(false),
            currency,
            amount: Amount::parse(amount, currency).ok()?,
            metadata: Json::from_raw(fields.take("metadata")?, usize::MAX).ok()?,
            source: read(&mut fields, "source"),
            external_id: read(&mut fields, "external_id"),
            revision: Revision {
                version: read(&mut fields, "source_version"),
                updated_at: read(&mut fields, "source_updated_at"),
            },
            transfer_id: read(&mut fields, "transfer_id"),
            version: read(&mut fields, "version")?,
            created_at: read(&mut fields, "created_at")?,
            recorded_at: read(&mut fields, "recorded_at")?,
            updated_at: read(&mut fields, "updated_at"),
            seq,
        })
    }
}

fn read<T: DeserializeOwned>(fields: &mut Fields, field: &str) -> Option<T> {
    serde_json::from_str(fields.take(field)?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{TransactionId, TransferId};
    use crate::kind::KINDS;
    use crate::time::Timestamp;
    use crate::transaction::{NewTransaction, Vocabulary};

    #[test]
    fn an_item_is_read_back_from_what_was_published() {
        let user = UserId::parse("ann").expect("a user");
        let id = TransactionId(uuid::Uuid::from_u128(7));
        for kind in KINDS {
            let new =
                NewTransaction::parse(kind.example(), id, Some(&user), &Vocabulary::default());
            let item = new.expect("an example").record(Timestamp::from_micros(9), EventSeq(3));
            let more = Transaction {
                source: Some("bank".to_owned()),
                external_id: Some("x".to_owned()),
                side_given: true,
                revision: Revision {
                    version: Some(7),
                    updated_at: Some(Timestamp::from_micros(11)),
                },
                transfer_id: Some(TransferId(uuid::Uuid::from_u128(8))),
                updated_at: Some(Timestamp::from_micros(10)),
                ..item.clone()
            };
            for item in [item, more] {
                assert_eq!(Transaction::of_published(&item.to_json(), item.seq), Some(item));
            }
        }
        assert_eq!(Transaction::of_published("{}", EventSeq(1)), None);
    }
}
