//! Coins bought, sold, sent, received, swapped and staked.

use super::Kind;
use super::check::Check;
use super::label::{Condition, Label};
use crate::display::{self, Category, Display};
use crate::json::Json;
use crate::rejection::FieldError;
use crate::transaction::{Side, Transaction, TransactionType};

pub struct Crypto;

/// What can be done with coins: the name, what a title says, and which way the money goes.
const OPERATIONS: &[(&str, &str, Side)] = &[
    ("buy", "Bought", Side::Debit),
    ("sell", "Sold", Side::Credit),
    ("send", "Sent", Side::Debit),
    ("receive", "Received", Side::Credit),
    ("swap", "Swapped", Side::Debit),
    ("convert", "Converted", Side::Debit),
    ("trade", "Traded", Side::Debit),
    ("transfer", "Transferred", Side::Debit),
    ("stake", "Staked", Side::Debit),
    ("unstake", "Unstaked", Side::Credit),
    ("reward", "Earned", Side::Credit),
    ("stake_reward", "Earned", Side::Credit),
    ("staking_reward", "Earned", Side::Credit),
    ("airdrop", "Earned", Side::Credit),
    ("mining", "Mined", Side::Credit),
    ("deposit", "Deposited", Side::Credit),
    ("withdraw", "Withdrew", Side::Debit),
    ("withdrawal", "Withdrew", Side::Debit),
    ("mint", "Minted", Side::Debit),
];
const SIDES: &[(&str, Side)] = &[
    ("buy", Side::Debit),
    ("sell", Side::Credit),
    ("debit", Side::Debit),
    ("credit", Side::Credit),
    ("send", Side::Debit),
    ("receive", Side::Credit),
    ("out", Side::Debit),
    ("in", Side::Credit),
];
/// The coin that was moved, by the names that systems give it.
const ASSET: &[&str] = &["asset", "coin", "symbol", "crypto_currency", "crypto_type", "token"];
const QUANTITY: &[&str] = &["quantity", "crypto_amount", "units"];
const TO_ASSET: &[&str] = &["to_asset", "to_coin"];

impl Kind for Crypto {
    fn transaction_type(&self) -> TransactionType {
        TransactionType::Crypto
    }

    fn product(&self) -> &'static str {
        "Crypto"
    }

    fn check(&self, metadata: &Json) -> Vec<FieldError> {
        Check::of(metadata)
            .one_of("operation", OPERATIONS.iter().map(|row| row.0))
            .one_of("side", SIDES.iter().map(|row| row.0))
            .coins(ASSET)
            .coins(TO_ASSET)
            .decimals(QUANTITY)
            .decimals(&["price", "price_per_unit", "exchange_rate", "fee", "network_fee"])
            .wallets(&["wallet_address", "from_address", "to_address"])
            .hashes(&["tx_hash", "transaction_hash"])
            .texts(&["network", "exchange", "wallet_name"])
            .finish()
    }

    fn display(&self, item: &Transaction) -> Display {
        let metadata = &item.metadata;
        let code = item.currency.code();
        // National currencies have at most four digits; the item itself may be in coins.
        let own = (item.currency.digits() > 4).then_some(code);
        let asset = display::first(metadata, ASSET).or(own);
        let shown = asset.unwrap_or("crypto");
        let title = match (verb(metadata), display::first(metadata, TO_ASSET)) {
            (Some(verb), Some(to)) => format!("{verb} {shown} for {to}"),
            (Some(verb), None) => format!("{verb} {shown}"),
            (None, _) => match asset {
                Some(asset) => format!("{asset} transaction"),
                None => "Crypto transaction".to_owned(),
            },
        };
        let quantity = display::first(metadata, QUANTITY);
        let quantity = quantity.zip(asset).map(|(quantity, asset)| format!("{quantity} {asset}"));
        let network = metadata.text("network").or_else(|| metadata.text("exchange"));
        Display {
            subtitle: display::join(&[quantity.as_deref(), network]),
            ..Display::titled(title, Category::Crypto)
        }
    }

    fn labels(&self) -> Vec<Label> {
        let mut labels = vec![Label::new("Crypto transaction"), Label::new("… transaction")];
        for (name, verb, _) in OPERATIONS {
            let swapped = Label::new(format!("{verb} crypto for …")).when(Condition::Has(TO_ASSET));
            let coinless = [Label::new(format!("{verb} crypto")), swapped];
            let coinless = coinless.map(|label| {
                ASSET.iter().fold(label, |label, asset| label.when(Condition::HasNot(asset)))
            });
            for label in [Label::new(format!("{verb} …"))].into_iter().chain(coinless) {
                labels.push(label.clone().when(Condition::Is("operation", name)));
                let by_side = label.when(Condition::Is("side", name));
                labels.push(by_side.when(Condition::HasNot("operation")));
            }
        }
        labels.push(Label::new("… for …").when(Condition::Has(TO_ASSET)));
        labels
    }

    fn side(&self, metadata: &Json) -> Side {
        let said = metadata.text("side").and_then(|text| {
            SIDES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, side)| *side)
        });
        said.or_else(|| operation(metadata.text("operation")?).map(|(_, _, side)| *side))
            .unwrap_or(Side::Debit)
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["wallet_address", "from_address", "to_address", "tx_hash", "transaction_hash"]
    }

    fn example(&self) -> &'static str {
        concat!(
            r#"{"transaction_type":"crypto","amount":1250.00,"currency":"USD","#,
            r#""metadata":{"operation":"buy","asset":"BTC","quantity":"0.01930000","#,
            r#""price":"64766.84","network":"Bitcoin","#,
            r#""wallet_address":"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"}}"#,
        )
    }
}

fn operation(text: &str) -> Option<&'static (&'static str, &'static str, Side)> {
    OPERATIONS.iter().find(|(name, _, _)| name.eq_ignore_ascii_case(text))
}

/// What was done, as a title says it: by the operation, or by the side where that says enough.
fn verb(metadata: &Json) -> Option<&'static str> {
    let said = |name| operation(metadata.text(name)?).map(|(_, verb, _)| *verb);
    said("operation").or_else(|| said("side"))
}
