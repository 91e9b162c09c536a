//! Where sample people live, bank and travel, and what money is worth there. The rates are round
//! numbers that make amounts look right; nothing is ever converted with them.

/// A part of the world with merchants of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Market {
    #[default]
    Us,
    Eu,
    Uk,
    /// Anywhere else, where nobody of the sample lives.
    World,
}

/// A country, as far as payments show it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Country {
    pub market: Market,
    pub code: &'static str,
    pub currency: &'static str,
    /// The fraction digits of the currency.
    pub digits: u8,
    /// What one cent of the US dollar buys in the smallest unit of the currency, in thousandths.
    /// A euro and a pound buy as much as a dollar, so that round amounts stay round.
    pub rate: u64,
    /// Prices are multiples of so many of the smallest units.
    pub step: u64,
    pub cities: &'static [&'static str],
    pub banks: &'static [&'static str],
}

#[rustfmt::skip]
const US_CITIES: &[&str] = &[
    "New York, NY", "Brooklyn, NY", "Los Angeles, CA", "San Francisco, CA", "Oakland, CA",
    "San Diego, CA", "Seattle, WA", "Portland, OR", "Austin, TX", "Dallas, TX", "Houston, TX",
    "Chicago, IL", "Boston, MA", "Denver, CO", "Miami, FL", "Atlanta, GA", "Nashville, TN",
    "Philadelphia, PA", "Minneapolis, MN", "Phoenix, AZ",
];
#[rustfmt::skip]
const US_BANKS: &[&str] = &[
    "Chase", "Bank of America", "Wells Fargo", "Citibank", "Capital One", "U.S. Bank", "Ally Bank",
    "PNC Bank", "Charles Schwab Bank",
];
#[rustfmt::skip]
const UK_CITIES: &[&str] = &[
    "London", "Manchester", "Bristol", "Leeds", "Edinburgh", "Glasgow", "Liverpool", "Cardiff",
    "Brighton", "Cambridge",
];
const UK_BANKS: &[&str] = &[
    "Barclays",
    "HSBC",
    "Lloyds Bank",
    "NatWest",
    "Santander UK",
    "Nationwide",
    "Monzo",
    "Starling",
];

const US: Country = Country {
    market: Market::Us,
    code: "US",
    currency: "USD",
    digits: 2,
    rate: 1_000,
    step: 1,
    cities: US_CITIES,
    banks: US_BANKS,
};
const UK: Country = Country {
    market: Market::Uk,
    code: "GB",
    currency: "GBP",
    cities: UK_CITIES,
    banks: UK_BANKS,
    ..US
};

const fn euro(
    code: &'static str,
    cities: &'static [&'static str],
    banks: &'static [&'static str],
) -> Country {
    Country { market: Market::Eu, code, currency: "EUR", cities, banks, ..US }
}

const GERMANY: Country = euro(
    "DE",
    &["Berlin", "Hamburg", "München", "Köln", "Frankfurt am Main", "Leipzig", "Düsseldorf"],
    &["Deutsche Bank", "Commerzbank", "Sparkasse", "ING", "N26", "DKB"],
);
const SPAIN: Country = euro(
    "ES",
    &["Madrid", "Barcelona", "Valencia", "Sevilla", "Málaga", "Bilbao", "A Coruña"],
    &["Santander", "BBVA", "CaixaBank", "Banco Sabadell", "Bankinter"],
);
const FRANCE: Country = euro(
    "FR",
    &["Paris", "Lyon", "Marseille", "Bordeaux", "Nantes", "Saint-Étienne", "Nîmes"],
    &["BNP Paribas", "Société Générale", "Crédit Agricole", "La Banque Postale", "Boursorama"],
);
const ITALY: Country = euro(
    "IT",
    &["Roma", "Milano", "Torino", "Bologna", "Napoli", "Firenze"],
    &["Intesa Sanpaolo", "UniCredit", "Banco BPM", "Fineco"],
);
const NETHERLANDS: Country = euro(
    "NL",
    &["Amsterdam", "Rotterdam", "Utrecht", "Den Haag", "Eindhoven"],
    &["ING", "Rabobank", "ABN AMRO", "bunq"],
);

const fn abroad(
    code: &'static str,
    (currency, digits, rate, step): (&'static str, u8, u64, u64),
    cities: &'static [&'static str],
) -> Country {
    Country { market: Market::World, code, currency, digits, rate, step, cities, banks: US_BANKS }
}

/// Where people live, and how many of a hundred do.
pub const HOMES: &[(u64, Country)] =
    &[(55, US), (10, GERMANY), (7, SPAIN), (5, FRANCE), (3, ITALY), (3, NETHERLANDS), (17, UK)];

/// Where people pay when they are not at home.
pub const ABROAD: &[(u64, Country)] = &[
    (12, US),
    (6, GERMANY),
    (8, SPAIN),
    (8, FRANCE),
    (6, ITALY),
    (4, NETHERLANDS),
    (10, UK),
    (8, abroad("JP", ("JPY", 0, 1_500, 10), &["Tokyo", "Osaka", "Kyoto", "Fukuoka"])),
    (4, abroad("KW", ("KWD", 3, 3_070, 5), &["Kuwait City", "Salmiya", "Hawally"])),
    (5, abroad("CH", ("CHF", 2, 880, 5), &["Zürich", "Genève", "Basel", "Bern"])),
    (4, abroad("SE", ("SEK", 2, 10_500, 100), &["Stockholm", "Göteborg", "Malmö"])),
    (3, abroad("PL", ("PLN", 2, 4_000, 1), &["Warszawa", "Kraków", "Gdańsk", "Wrocław"])),
    (4, abroad("CA", ("CAD", 2, 1_360, 1), &["Toronto", "Montréal", "Vancouver"])),
    (4, abroad("MX", ("MXN", 2, 17_000, 50), &["Ciudad de México", "Cancún", "Mérida"])),
    (3, abroad("IN", ("INR", 2, 83_000, 100), &["Mumbai", "Bengaluru", "Delhi"])),
    (2, abroad("KR", ("KRW", 0, 13_500, 100), &["Seoul", "Busan"])),
    (2, abroad("BH", ("BHD", 3, 3_770, 5), &["Manama", "Muharraq"])),
    (3, abroad("AE", ("AED", 2, 3_670, 25), &["Dubai", "Abu Dhabi"])),
    (2, abroad("AU", ("AUD", 2, 1_520, 5), &["Sydney", "Melbourne", "Perth"])),
    (2, abroad("BR", ("BRL", 2, 5_000, 1), &["São Paulo", "Rio de Janeiro", "Brasília"])),
];

impl Country {
    /// So many US cents in the smallest unit of the country's currency, as a price.
    pub fn price(&self, cents: u64) -> u64 {
        let exact = cents.saturating_mul(self.rate) / 1_000;
        let step = self.step.max(1);
        (exact / step).max(1) * step
    }
}

/// A coin, as far as transactions show it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coin {
    pub code: &'static str,
    pub digits: u8,
    /// What one costs, in US cents.
    pub cents: u64,
    pub network: &'static str,
}

const fn coin(code: &'static str, digits: u8, cents: u64, network: &'static str) -> Coin {
    Coin { code, digits, cents, network }
}

pub const COINS: &[(u64, Coin)] = &[
    (40, coin("BTC", 8, 6_481_200, "Bitcoin")),
    (25, coin("ETH", 18, 342_500, "Ethereum")),
    (10, coin("SOL", 9, 14_880, "Solana")),
    (8, coin("USDC", 6, 100, "Ethereum")),
    (5, coin("USDT", 6, 100, "Tron")),
    (4, coin("ADA", 6, 45, "Cardano")),
    (4, coin("DOT", 10, 630, "Polkadot")),
    (2, coin("XRP", 6, 52, "XRP Ledger")),
    (2, coin("DOGE", 8, 12, "Dogecoin")),
];
