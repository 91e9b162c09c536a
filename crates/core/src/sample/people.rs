//! Sample people: each user has a home, cards, a job, bills and friends that stay the same. All of
//! it follows from the seed and the user's number, so that nothing needs to be kept.

use super::chance::Chance;
use super::places::{ABROAD, COINS, Coin, Country, HOMES, Market};

/// How many friends a person sends money to.
const FRIENDS: u64 = 12;

#[rustfmt::skip]
const US_FIRST: &[&str] = &[
    "Alice", "James", "Maria", "Robert", "Linda", "Michael", "Emily", "David", "Jessica", "Daniel",
    "Ashley", "Kevin", "Grace", "Tyler", "Sofia", "Andrew", "Mei", "Carlos", "Priya", "Omar",
];
#[rustfmt::skip]
const US_LAST: &[&str] = &[
    "Smith", "Johnson", "Williams", "Brown", "Garcia", "Miller", "Davis", "Nguyen", "Martinez",
    "Lopez", "Wilson", "Anderson", "Lee", "O'Brien", "Chen", "Patel", "Kim", "Walker", "Doe",
];
#[rustfmt::skip]
const EU_FIRST: &[&str] = &[
    "José", "Lucía", "Zoë", "Jürgen", "Anaïs", "François", "Chloé", "Björn", "Sören", "Łukasz",
    "Begoña", "Giulia", "Marco", "Hélène", "Lena", "Jonas", "Inés", "Mathis", "Noémie", "Nuria",
    "Käthe", "Andrés", "Niccolò", "Femke", "Maëlys",
];
#[rustfmt::skip]
const EU_LAST: &[&str] = &[
    "Núñez", "García", "Müller", "Schäfer", "Weiß", "Lefèvre", "Dubois", "Rossi", "Ferrari",
    "de Vries", "van den Berg", "Peña", "Ibáñez", "Groß", "Jäger", "Björklund", "Kowalska",
    "Őszi", "Çelik", "Sánchez", "Moreau", "Fischer", "Bianchi",
];
#[rustfmt::skip]
const UK_FIRST: &[&str] = &[
    "Oliver", "Amelia", "Harry", "Isla", "George", "Poppy", "Siân", "Rhys", "Niamh", "Callum",
    "Freya", "Mohammed", "Aisha", "Zara", "Alfie", "Chloe", "Seán", "Eilidh",
];
#[rustfmt::skip]
const UK_LAST: &[&str] = &[
    "Taylor", "Evans", "Hughes", "Khan", "Wright", "Thompson", "Clarke", "Ó Briain", "MacDonald",
    "Singh", "Bennett", "Roberts", "Fitzgerald", "Ahmed", "Campbell", "Shaw",
];
#[rustfmt::skip]
const EMPLOYERS: &[&str] = &[
    "Acme Industries", "Globex", "Initech", "Umbrella Logistics", "Northwind Traders", "Contoso",
    "Fabrikam", "Blue Harbor Media", "Vertex Labs", "Nordlicht GmbH", "Luz del Sur S.A.",
    "Café Lumière SARL", "Stark Engineering", "Wayne Foundation", "Hooli", "Pied Piper",
    "City Hospital", "State University",
];
#[rustfmt::skip]
const LANDLORDS: &[&str] = &[
    "Greenfield Properties", "Hausverwaltung Nord", "Parkside Apartments", "Oakwood Lettings",
    "Inmobiliaria Sol", "Régie Saint-Martin", "Riverside Homes", "Keystone Realty",
];

/// One user, as payments show them.
#[derive(Clone, Debug)]
pub struct Person {
    pub home: Country,
    pub city: &'static str,
    pub bank: &'static str,
    /// The last four digits of the everyday card and of the other one.
    pub cards: [u64; 2],
    pub employer: &'static str,
    /// The salary of a month, in US cents.
    pub salary_cents: u64,
    pub landlord: &'static str,
    /// What the home costs a month, in US cents.
    pub rent_cents: u64,
    /// Where they travel.
    pub abroad: [Country; 2],
    /// The coins they hold.
    pub coins: [Coin; 2],
    /// Chooses the bills and subscriptions.
    pub habits: u64,
    seed: u64,
}

impl Person {
    pub fn of(seed: u64, number: u64) -> Self {
        let mut chance = Chance::of(seed, number);
        let home = chance.weighted(HOMES);
        let salary_cents = chance.near(410_000);
        Self {
            home,
            city: chance.pick(home.cities),
            bank: chance.pick(home.banks),
            cards: [chance.below(10_000), chance.below(10_000)],
            employer: chance.pick(EMPLOYERS),
            salary_cents,
            landlord: chance.pick(LANDLORDS),
            rent_cents: salary_cents * chance.between(22, 36) / 100,
            abroad: [chance.weighted(ABROAD), chance.weighted(ABROAD)],
            coins: [chance.weighted(COINS), chance.weighted(COINS)],
            habits: chance.bits(),
            seed: chance.bits(),
        }
    }

    /// The last four digits of a card; the everyday one is used more.
    pub fn card(&self, chance: &mut Chance) -> String {
        let [usual, other] = self.cards;
        format!("{:04}", if chance.happens(800) { usual } else { other })
    }

    /// One of the people that money is exchanged with.
    pub fn friend(&self, chance: &mut Chance) -> Friend {
        let mut own = Chance::of(self.seed, chance.below(FRIENDS));
        let (first, last) = match self.home.market {
            Market::Us | Market::World => (US_FIRST, US_LAST),
            Market::Eu => (EU_FIRST, EU_LAST),
            Market::Uk => (UK_FIRST, UK_LAST),
        };
        let (first, last) = (own.pick(first), own.pick(last));
        Friend { first, last, line: own.below(100), mail: own.happens(600) }
    }
}

/// Somebody else.
#[derive(Clone, Copy, Debug)]
pub struct Friend {
    first: &'static str,
    last: &'static str,
    line: u64,
    /// Whether they are known by their address or by their number.
    pub mail: bool,
}

impl Friend {
    pub fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    /// An address in a domain that is kept for examples (RFC 2606).
    pub fn email(&self) -> String {
        let mut address = crate::search::fold(self.first);
        address.push('.');
        let last = crate::search::fold(self.last);
        address.extend(last.chars().filter(char::is_ascii_alphanumeric));
        address.push_str("@example.com");
        address
    }

    /// A number of the range that is kept for fiction in North America.
    pub fn phone(&self) -> String {
        format!("+1202555{:04}", 100 + self.line)
    }
}
