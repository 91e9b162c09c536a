//! Amounts as people and producers write them.

use daybook_core::search::Decimal;
use daybook_core::{Amount, Currencies, Currency};

/// An amount that is read says exactly what the text says, and is written so that it is read as
/// the same again. The first byte chooses the currency.
pub fn amounts(data: &[u8]) {
    let Some((chosen, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let currencies: Vec<Currency> = Currencies::default().iter().collect();
    let chosen = usize::from(*chosen) % currencies.len();
    let currency = *currencies.get(chosen).expect("one of them");
    let Ok(amount) = Amount::parse(text, currency) else {
        return;
    };
    let written = amount.to_text(currency);
    assert_eq!(Amount::parse(&written, currency), Ok(amount), "{text} as {written}");
    assert_eq!(Amount::parse_any(text), Ok(amount), "{text} in no currency");
    // Another reading of decimal numbers; it takes those of JSON only.
    if let Some(said) = Decimal::parse(text) {
        assert_eq!(Some(said), Decimal::parse(&written), "{text} as {written}");
    }
}
