//! One sample item: a draft of what happened, by kind, with the metadata that real clients send.

use super::chance::Chance;
use super::merchants::TRADES;
use super::people::Person;
use super::places::{Coin, Country, Market};
use crate::json::Json;
use crate::kind::check::iban_remainder;
use crate::money::{Amount, Currency};
use crate::time::Timestamp;
use crate::transaction::TransactionType;

/// What happened, before it has an id, a user and a status.
#[derive(Clone, Debug)]
pub struct Draft {
    pub transaction_type: TransactionType,
    pub currency: Currency,
    pub amount: Amount,
    pub metadata: Json,
}

/// How often each kind happens, of a hundred.
pub const KINDS: &[(u64, Option<TransactionType>)] = &[
    (61, Some(TransactionType::Card)),
    (14, Some(TransactionType::P2p)),
    (6, Some(TransactionType::Crypto)),
    (5, Some(TransactionType::TopUp)),
    (4, Some(TransactionType::Withdrawal)),
    (4, Some(TransactionType::BillPayment)),
    (3, Some(TransactionType::Earnings)),
    (3, Some(TransactionType::Other)),
];

#[rustfmt::skip]
const NOTES: &[&str] = &[
    "Dinner on Friday", "Rent share", "Concert tickets 🎵", "Thanks!", "Lunch",
    "Birthday gift 🎁",
    "Groceries", "Taxi home", "Weekend trip", "Pizza 🍕", "Electricity share", "Coffee ☕",
    "Feliz cumpleaños", "Für das Geschenk", "Cinéma samedi", "Football tickets", "Gas money",
];
#[rustfmt::skip]
const FEES: &[(&str, &str, u64)] = &[
    ("Monthly account fee", "fees", 400), ("Foreign transaction fee", "fees", 180),
    ("Card replacement", "fees", 900), ("Balance adjustment", "adjustment", 1_250),
    ("ATM fee", "fees", 300), ("Chargeback", "refund", 4_500),
    ("Promotion credit", "refund", 1_000),
    ("Round-up savings", "savings", 90), ("Tax payment", "taxes", 21_000),
];
#[rustfmt::skip]
const BILLS: &[(&str, u64, [&[&str]; 3])] = &[
    ("electricity", 7_800, [&["Con Edison", "PG&E", "Duke Energy"], &["Iberdrola", "E.ON", "EDF"],
        &["British Gas", "Octopus Energy"]]),
    ("water", 3_900, [&["City Water Department"],
        &["Canal de Isabel II", "Berliner Wasserbetriebe"],
        &["Thames Water"]]),
    ("internet", 5_500, [&["Comcast", "Spectrum", "AT&T"],
        &["Deutsche Telekom", "Orange", "Movistar"],
        &["BT", "Virgin Media", "Sky UK"]]),
    ("insurance", 9_400, [&["GEICO", "State Farm", "Allstate"], &["Allianz", "AXA", "Mapfre"],
        &["Aviva", "Direct Line"]]),
    ("taxes", 14_000, [&["County Tax Collector"], &["Finanzamt", "Agencia Tributaria"],
        &["Council Tax"]]),
    ("credit_card", 32_000, [&["American Express", "Capital One"], &["Barclaycard"],
        &["Barclaycard"]]),
];
const PHONES: [&[&str]; 3] = [
    &["Verizon", "T-Mobile", "AT&T"],
    &["Vodafone", "Orange", "Movistar"],
    &["O2 UK", "Three", "EE"],
];
const VIDEO: &[(&str, u64)] =
    &[("Netflix", 1_549), ("Disney+", 1_099), ("HBO Max", 999), ("Amazon Prime", 899)];
const MUSIC: &[(&str, u64)] =
    &[("Spotify", 1_099), ("YouTube Premium", 1_299), ("Apple", 1_099), ("Deezer", 1_199)];
const HEX: &[char] =
    &['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// What a person does every month; a payment of it is due on the same day each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    Salary,
    Rent,
    Video,
    Phone,
    Music,
    Power,
}

impl Habit {
    /// All of them, the most important first.
    pub const ALL: &[Habit] =
        &[Self::Salary, Self::Rent, Self::Video, Self::Phone, Self::Music, Self::Power];
}

/// Metadata in the making.
struct Fields(Vec<(String, Json)>);

impl Fields {
    fn new() -> Self {
        Self(Vec::with_capacity(7))
    }

    fn with(mut self, name: &str, text: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), Json::String(text.into())));
        self
    }

    fn with_if(self, present: bool, name: &str, text: impl FnOnce() -> String) -> Self {
        if present { self.with(name, text()) } else { self }
    }
}

/// Draws what happens to one person.
pub struct Drawing<'a> {
    pub person: &'a Person,
    pub chance: &'a mut Chance,
    pub at: Timestamp,
}

impl Drawing<'_> {
    /// Something of a kind.
    pub fn draft(mut self, transaction_type: TransactionType) -> Draft {
        match transaction_type {
            TransactionType::Card => self.card(),
            TransactionType::P2p => self.p2p(),
            TransactionType::Crypto => self.crypto(),
            TransactionType::TopUp => self.top_up(),
            TransactionType::Withdrawal => self.withdrawal(),
            TransactionType::BillPayment => self.bill(),
            TransactionType::Earnings => self.earnings(),
            TransactionType::Other => self.other(),
        }
    }

    /// This month's payment of a habit.
    pub fn habit(mut self, habit: Habit) -> Draft {
        let person = self.person;
        let mut own = Chance::new(person.habits);
        let [video, music] = [own.pick(VIDEO), own.pick(MUSIC)];
        match habit {
            Habit::Salary => {
                let fields = Fields::new()
                    .with("earnings_type", "salary")
                    .with("employer", person.employer)
                    .with("period", self.month());
                self.at_home(TransactionType::Earnings, person.salary_cents, fields)
            }
            Habit::Rent => {
                let fields = Fields::new()
                    .with("biller_name", person.landlord)
                    .with("bill_category", "rent")
                    .with("reference", format!("RENT-{}", self.month()));
                self.at_home(TransactionType::BillPayment, person.rent_cents, fields)
            }
            Habit::Video => self.subscription(video),
            Habit::Music => self.subscription(music),
            Habit::Phone => {
                let provider = own.pick(of_market(&PHONES, person.home.market));
                let cents = own.near(3_500);
                self.bill_of(provider, "phone", cents)
            }
            Habit::Power => {
                let (category, cents, billers) = own.pick(BILLS);
                let biller = own.pick(of_market(&billers, person.home.market));
                let cents = self.chance.between(cents * 9 / 10, cents * 11 / 10);
                self.bill_of(biller, category, cents)
            }
        }
    }

    fn card(&mut self) -> Draft {
        let away = self.chance.happens(110);
        let country = if away { self.chance.pick(&self.person.abroad) } else { self.person.home };
        let mut trade = self.chance.weighted(TRADES);
        if away && !trade.in_person {
            trade = self.chance.weighted(TRADES);
        }
        let merchant = trade.merchant(country.market, self.chance);
        let cents = self.chance.around(trade.cents);
        let cents = self.ending(cents);
        let city = match self.chance.below(5) {
            _ if away => self.chance.pick(country.cities),
            0 => self.chance.pick(country.cities),
            _ => self.person.city,
        };
        let with_code = self.chance.happens(350);
        let fields = Fields::new()
            .with("merchant_name", self.printed(merchant))
            .with("merchant_category", trade.category)
            .with("card_last_four", self.person.card(self.chance))
            .with_if(trade.in_person, "location", || city.to_owned())
            .with_if(away, "merchant_country", || country.code.to_owned())
            .with_if(with_code, "mcc", || trade.mcc.to_owned());
        draft(TransactionType::Card, &country, cents, fields)
    }

    fn subscription(&mut self, (merchant, cents): (&str, u64)) -> Draft {
        let fields = Fields::new()
            .with("merchant_name", merchant)
            .with("merchant_category", "Subscriptions")
            .with("card_last_four", format!("{:04}", self.person.cards[0]));
        self.at_home(TransactionType::Card, cents, fields)
    }

    fn p2p(&mut self) -> Draft {
        let friend = self.person.friend(self.chance);
        let sent = self.chance.happens(560);
        let noted = self.chance.happens(700);
        let note = self.chance.pick(NOTES);
        let cents = self.chance.around(3_200);
        let cents = if self.chance.happens(600) { cents / 500 * 500 } else { cents }.max(100);
        let fields = Fields::new()
            .with("direction", if sent { "sent" } else { "received" })
            .with("peer_name", friend.name())
            .with_if(friend.mail, "peer_email", || friend.email())
            .with_if(!friend.mail, "peer_phone", || friend.phone())
            .with_if(noted, "note", || note.to_owned());
        self.at_home(TransactionType::P2p, cents, fields)
    }

    fn crypto(&mut self) -> Draft {
        let coin = self.chance.pick(&self.person.coins);
        let operation = self.chance.weighted(&[
            (38, "buy"),
            (18, "sell"),
            (12, "send"),
            (12, "receive"),
            (8, "swap"),
            (12, "reward"),
        ]);
        let cents = self.chance.around(if operation == "reward" { 350 } else { 16_000 });
        // The price wanders by a few per cent.
        let price = coin.cents * self.chance.between(940, 1_060) / 1_000;
        let (currency, quantity) = coins(&coin, cents, price.max(1));
        let fields = Fields::new().with("operation", operation).with("asset", coin.code);
        if matches!(operation, "buy" | "sell") {
            let home = self.person.home;
            let fields = fields
                .with("quantity", quantity.to_text(currency))
                .with("price", decimal(home.price(price.max(1)), home.digits))
                .with("exchange", self.chance.pick(&["Coinbase", "Kraken", "Bitstamp"]));
            return draft(TransactionType::Crypto, &home, cents, fields);
        }
        let moved = matches!(operation, "send" | "receive");
        let other = if coin.code == "ETH" { "BTC" } else { "ETH" };
        let wallet = format!("0x{}", self.chance.word(HEX, 40));
        let hash = format!("0x{}", self.chance.word(HEX, 64));
        let fields = fields
            .with_if(operation == "swap", "to_asset", || other.to_owned())
            .with("network", coin.network)
            .with_if(moved, "wallet_address", || wallet)
            .with_if(moved, "tx_hash", || hash);
        Draft {
            transaction_type: TransactionType::Crypto,
            currency,
            amount: quantity,
            metadata: Json::Object(fields.0),
        }
    }

    fn top_up(&mut self) -> Draft {
        let cents = self.chance.pick(&[2_000, 5_000, 10_000, 10_000, 20_000, 50_000, 100_000]);
        let method = self.chance.weighted(&[
            (55, "bank_transfer"),
            (32, "card"),
            (8, "apple_pay"),
            (5, "cash"),
        ]);
        let fields = Fields::new()
            .with("method", method)
            .with_if(method == "bank_transfer", "bank_name", || self.person.bank.to_owned())
            .with_if(method == "card", "card_last_four", || self.person.card(self.chance))
            .with_if(method == "cash", "location", || self.person.city.to_owned());
        self.at_home(TransactionType::TopUp, cents, fields)
    }

    fn withdrawal(&mut self) -> Draft {
        let machine = self.chance.happens(600);
        if machine {
            let cents = self.chance.between(1, 10) * 2_000;
            let fields = Fields::new()
                .with("method", "atm")
                .with("bank_name", self.chance.pick(self.person.home.banks))
                .with("atm_location", self.person.city)
                .with("card_last_four", self.person.card(self.chance));
            return self.at_home(TransactionType::Withdrawal, cents, fields);
        }
        let cents = self.chance.around(28_000) / 1_000 * 1_000 + 1_000;
        let fields =
            Fields::new().with("method", "bank_transfer").with("bank_name", self.person.bank);
        let fields = match self.person.home.market {
            Market::Us | Market::World => fields.with("account_last_four", self.chance.digits(4)),
            Market::Eu => fields.with("iban", iban("DE", self.chance.digits(18))),
            Market::Uk => {
                fields.with("iban", iban("GB", format!("NWBK{}", self.chance.digits(14))))
            }
        };
        self.at_home(TransactionType::Withdrawal, cents, fields)
    }

    fn bill(&mut self) -> Draft {
        let (category, cents, billers) = self.chance.pick(BILLS);
        let biller = self.chance.pick(of_market(&billers, self.person.home.market));
        let cents = self.chance.near(cents);
        self.bill_of(biller, category, cents)
    }

    fn bill_of(&mut self, biller: &str, category: &str, cents: u64) -> Draft {
        let later = i64::try_from(self.chance.between(1, 12)).unwrap_or_default();
        let due = Timestamp::from_micros(self.at.micros() + later * crate::time::US_PER_DAY);
        let mut due = due.to_string();
        due.truncate("2024-01-15".len());
        let account = Chance::new(self.person.habits).digits(8);
        let fields = Fields::new()
            .with("biller_name", biller)
            .with("bill_category", category)
            .with("account_number", account)
            .with("due_date", due);
        self.at_home(TransactionType::BillPayment, cents, fields)
    }

    fn earnings(&mut self) -> Draft {
        let (what, cents) = self.chance.weighted(&[
            (34, ("interest", 620)),
            (34, ("cashback", 410)),
            (10, ("referral_bonus", 2_000)),
            (12, ("dividend", 2_800)),
            (10, ("freelance", 64_000)),
        ]);
        let cents = self.chance.around(cents);
        let rate = self.chance.between(150, 525);
        let fields = Fields::new()
            .with("earnings_type", what)
            .with_if(what != "referral_bonus", "period", || self.month())
            .with_if(what == "interest", "rate", || decimal(rate, 2))
            .with_if(what == "dividend", "payer", || "Vanguard".to_owned());
        self.at_home(TransactionType::Earnings, cents, fields)
    }

    fn other(&mut self) -> Draft {
        let (description, category, cents) = self.chance.pick(FEES);
        let cents = self.chance.near(cents);
        let fields = Fields::new()
            .with("description", description)
            .with("category", category)
            .with_if(category == "refund", "direction", || "in".to_owned());
        self.at_home(TransactionType::Other, cents, fields)
    }

    fn at_home(&self, transaction_type: TransactionType, cents: u64, fields: Fields) -> Draft {
        draft(transaction_type, &self.person.home, cents, fields)
    }

    /// Prices like to end in 99, 95, 50 or 00.
    fn ending(&mut self, cents: u64) -> u64 {
        let whole = cents / 100 * 100;
        match self.chance.below(10) {
            0..3 => whole + 99,
            3 => whole + 95,
            4 => whole + 50,
            5 => whole + 100,
            _ => cents,
        }
    }

    /// The merchant as it stands on the receipt: mostly clean, sometimes as terminals print it.
    fn printed(&mut self, merchant: &str) -> String {
        match self.chance.below(20) {
            0 => format!("{} #{}", merchant.to_uppercase(), self.chance.between(100, 9_999)),
            1 => format!("SQ *{}", merchant.to_uppercase()),
            2 => merchant.to_uppercase(),
            3 if merchant == "Amazon" => {
                format!("AMZN Mktp US*{}", self.chance.digits(9))
            }
            _ => merchant.to_owned(),
        }
    }

    /// The month in which it happens: `2024-01`.
    fn month(&self) -> String {
        let mut month = self.at.to_string();
        month.truncate("2024-01".len());
        month
    }
}

/// The purchase, paid back.
pub fn refund(mut purchase: Draft) -> Draft {
    if let Json::Object(entries) = &mut purchase.metadata {
        entries.push(("operation".to_owned(), Json::String("refund".to_owned())));
    }
    purchase
}

fn draft(
    transaction_type: TransactionType,
    country: &Country,
    cents: u64,
    fields: Fields,
) -> Draft {
    let currency = Currency::new(country.currency, country.digits).unwrap_or(Currency::USD);
    let amount = Amount::from_minor(i128::from(country.price(cents)), currency);
    Draft {
        transaction_type,
        currency,
        amount: amount.unwrap_or_default(),
        metadata: Json::Object(fields.0),
    }
}

/// How much of a coin so many cents are, to at most eight digits.
fn coins(coin: &Coin, cents: u64, price_cents: u64) -> (Currency, Amount) {
    let currency = Currency::new(coin.code, coin.digits).unwrap_or(Currency::USD);
    let digits = u32::from(currency.digits());
    let shown = digits.min(8);
    let quantity = i128::from(cents) * 10_i128.pow(shown) / i128::from(price_cents);
    let minor = quantity.max(1) * 10_i128.pow(digits - shown);
    (currency, Amount::from_minor(minor, currency).unwrap_or_default())
}

/// A whole number of the last digit, as a decimal number.
fn decimal(number: u64, digits: u8) -> String {
    let scale = 10_u64.pow(digits.into());
    match usize::from(digits) {
        0 => number.to_string(),
        width => format!("{}.{:0width$}", number / scale, number % scale),
    }
}

/// An IBAN with the right check digits (ISO 13616).
fn iban(country: &str, account: String) -> String {
    let remainder = iban_remainder([&account, country, "00"]).unwrap_or_default();
    format!("{country}{:02}{account}", 98 - remainder)
}

fn of_market(lists: &[&'static [&'static str]; 3], market: Market) -> &'static [&'static str] {
    let [us, eu, uk] = lists;
    match market {
        Market::Us | Market::World => us,
        Market::Eu => eu,
        Market::Uk => uk,
    }
}
