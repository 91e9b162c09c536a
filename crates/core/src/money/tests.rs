use super::*;

fn currency(code: &str) -> Currency {
    Currencies::default().get(code).expect("a known currency")
}

fn shown(text: &str, code: &str) -> String {
    match Amount::parse(text, currency(code)) {
        Ok(amount) => amount.to_text(currency(code)),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn amounts_are_read_from_their_digits() {
    for (text, code, expected) in [
        ("150.00", "USD", "150.00"),
        ("150", "USD", "150.00"),
        ("150.0", "JPY", "150"),
        ("0.1", "USD", "0.10"),
        ("1.5e2", "USD", "150.00"),
        ("150E-2", "USD", "1.50"),
        ("0", "USD", "0.00"),
        ("-0", "USD", "0.00"),
        ("0.000000000000000001", "ETH", "0.000000000000000001"),
        (
            "99999999999999999999.999999999999999999",
            "ETH",
            "99999999999999999999.999999999999999999",
        ),
        ("1234567890123456.789", "KWD", "1234567890123456.789"),
        ("0.123", "USD", "TooPrecise { digits: 2 }"),
        ("0.5", "JPY", "TooPrecise { digits: 0 }"),
        ("1e-19", "ETH", "TooPrecise { digits: 18 }"),
        ("1e400", "USD", "TooLarge"),
        ("1e-400", "USD", "TooPrecise { digits: 18 }"),
        ("1e99999999999", "USD", "TooLarge"),
        ("100000000000000000000", "USD", "TooLarge"),
        ("-1", "USD", "Negative"),
        ("NaN", "USD", "NotANumber"),
        ("Infinity", "USD", "NotANumber"),
        ("1.", "USD", "NotANumber"),
        (".5", "USD", "NotANumber"),
        ("+5", "USD", "NotANumber"),
        ("1,000", "USD", "NotANumber"),
        (" 1", "USD", "NotANumber"),
        ("0x10", "USD", "NotANumber"),
        ("", "USD", "NotANumber"),
    ] {
        assert_eq!(shown(text, code), expected, "{text} {code}");
    }
}

#[test]
fn nineteen_digits_lose_nothing() {
    assert_eq!(shown("1234567890123456789.01", "USD"), "1234567890123456789.01");
}

#[test]
fn averages_round_half_to_even_once() {
    let usd = currency("USD");
    let total = |text| Total::from(Amount::parse(text, usd).expect("an amount"));
    assert_eq!(total("0.05").average(2, usd).to_text(usd), "0.02");
    assert_eq!(total("0.15").average(2, usd).to_text(usd), "0.08");
    assert_eq!(total("10.00").average(3, usd).to_text(usd), "3.33");
    assert_eq!((Total::ZERO - total("0.05")).average(2, usd).to_text(usd), "-0.02");
    assert_eq!(Total::ZERO.average(0, usd).to_text(usd), "0.00");
}

#[test]
fn sums_of_the_largest_amounts_stay_exact() {
    let eth = currency("ETH");
    let most = Amount::parse("99999999999999999999.999999999999999999", eth).expect("fits");
    let sum: Total = std::iter::repeat_n(Total::from(most), 1_000).sum();
    assert_eq!(sum.to_text(eth), "99999999999999999999999.999999999999999000");
}
