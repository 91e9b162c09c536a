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
        // The sentence names the digits of the currency, however small the number is.
        ("1e-19", "USD", "TooPrecise { digits: 2 }"),
        ("1e-400", "USD", "TooPrecise { digits: 2 }"),
        ("1e-400", "JPY", "TooPrecise { digits: 0 }"),
        ("1e-99999999999999999999", "USD", "TooPrecise { digits: 2 }"),
        ("-1e-400", "USD", "Negative"),
        (
            "0.00000000000000000000000000000000000000000000000000001",
            "USD",
            "TooPrecise { digits: 2 }",
        ),
        ("1.23456789012345678901234567890123456789012345", "USD", "TooPrecise { digits: 2 }"),
        ("1e99999999999", "USD", "TooLarge"),
        ("1e99999999999999999999", "USD", "TooLarge"),
        ("-1e20", "USD", "Negative"),
        ("-0.123", "USD", "Negative"),
        // Zero is zero with any exponent, and zeros at the end are no digits.
        ("0e-400", "USD", "0.00"),
        ("0e99999999999999999999", "USD", "0.00"),
        ("-0.00e-99999999999999999999", "USD", "0.00"),
        ("100000000000000000000000000000000000000000e-41", "USD", "1.00"),
        ("0.000000000000000000000000000000000000000001e42", "USD", "1.00"),
        ("99999999999999999999.99", "USD", "99999999999999999999.99"),
        ("1e19", "USD", "10000000000000000000.00"),
        ("1e20", "USD", "TooLarge"),
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

/// Filters have no currency, and say so.
#[test]
fn an_amount_without_a_currency_has_up_to_eighteen_fraction_digits() {
    assert_eq!(Amount::parse_any("1e-18"), Ok(Amount::from_atto(1)));
    for text in ["1e-19", "1e-400", "0.1234567890123456789"] {
        assert_eq!(Amount::parse_any(text), Err(AmountError::TooFine), "{text}");
    }
    assert_eq!(AmountError::TooFine.to_string(), "the amount has more than 18 fraction digits");
}

/// ISO 4217, list one of 2026-01-01: the currencies that have minor units.
#[test]
fn every_currency_in_use_is_known() {
    let known = Currencies::default();
    let in_use = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD \
        BTN BWP BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD \
        EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD \
        IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL \
        MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN \
        PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
        SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES \
        VND VUV WST XAD XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";
    let iso = known.iter().filter(|known| !CRYPTO.iter().any(|(code, _)| *code == known.code()));
    let iso: Vec<String> = iso.map(|known| known.code().to_owned()).collect();
    assert_eq!(iso, in_use.split_whitespace().collect::<Vec<_>>());
    assert_eq!(known.get("XAD").map(|currency| currency.digits()), Some(2));
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
