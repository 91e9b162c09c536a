//! The merchants of sample payments, by trade.

use super::chance::Chance;
use super::places::Market;

/// A line of business and who is in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trade {
    /// What the merchant category says.
    pub category: &'static str,
    /// The merchant category code (ISO 18245).
    pub mcc: &'static str,
    /// What people typically pay, in US cents.
    pub cents: u64,
    /// Whether people are there in person, so that the payment has a place.
    pub in_person: bool,
    everywhere: &'static [&'static str],
    us: &'static [&'static str],
    eu: &'static [&'static str],
    uk: &'static [&'static str],
}

impl Trade {
    /// A merchant that has branches in the market.
    pub fn merchant(&self, market: Market, chance: &mut Chance) -> &'static str {
        let local = match market {
            Market::Us => self.us,
            Market::Eu => self.eu,
            Market::Uk => self.uk,
            Market::World => &[],
        };
        let length = |list: &[&str]| u64::try_from(list.len()).unwrap_or_default();
        let chosen = chance.below(length(self.everywhere) + length(local));
        let list = if chosen < length(local) { local } else { self.everywhere };
        chance.pick(list)
    }
}

const fn trade(
    (category, mcc, cents): (&'static str, &'static str, u64),
    in_person: bool,
    everywhere: &'static [&'static str],
    [us, eu, uk]: [&'static [&'static str]; 3],
) -> Trade {
    Trade { category, mcc, cents, in_person, everywhere, us, eu, uk }
}

/// The trades, each with how often people pay there.
#[rustfmt::skip]
pub const TRADES: &[(u64, Trade)] = &[
    (
        120,
        trade(
            ("Food & Beverage", "5814", 620),
            true,
            &["Starbucks", "McDonald's", "Burger King", "Subway", "KFC", "Five Guys"],
            [
                &[
                    "Blue Bottle Coffee", "Dunkin'", "Peet's Coffee", "Chipotle", "Sweetgreen",
                    "Shake Shack", "Panera Bread", "Taco Bell", "Philz Coffee", "Bagel Corner",
                ],
                &[
                    "Caffè Nero", "Café de Flore", "Bäckerei Müller", "Panadería Pérez",
                    "Café Einstein", "Boulangerie Lefèvre", "Döner Palast", "Gelateria Bellini",
                    "Granier", "Le Pain Quotidien", "Churrería San Ginés",
                ],
                &["Costa Coffee", "Greggs", "Pret A Manger", "Leon", "Gail's Bakery"],
            ],
        ),
    ),
    (
        90,
        trade(
            ("Restaurants", "5812", 3_400),
            true,
            &["Vapiano", "Hard Rock Cafe", "TGI Fridays", "Sushi Zen", "Thai Orchid"],
            [
                &[
                    "Olive Garden", "The Cheesecake Factory", "Joe's Pizza", "Golden Dragon",
                    "El Camino Taqueria", "Oak & Ember Grill", "Harbor Oyster Bar", "IHOP",
                    "Maria's Tacos", "Little Saigon Kitchen",
                ],
                &[
                    "Trattoria da Luigi", "Brasserie Montmartre", "Gasthaus zum Löwen",
                    "La Tagliatella", "Taberna El Sur", "Casa Lucía", "Chez Amélie",
                    "Osteria Nonna", "Restaurant Käfer", "Bodega Núñez",
                ],
                &["Nando's", "Wagamama", "Dishoom", "The Red Lion", "Pizza Express", "The Ivy"],
            ],
        ),
    ),
    (
        40,
        trade(
            ("Food Delivery", "5814", 2_600),
            false,
            &["Uber Eats"],
            [&["DoorDash", "Grubhub"], &["Glovo", "Lieferando", "Wolt"],
                &["Deliveroo", "Just Eat"]],
        ),
    ),
    (
        170,
        trade(
            ("Groceries", "5411", 4_300),
            true,
            &["Aldi", "Lidl", "7-Eleven"],
            [
                &[
                    "Whole Foods Market", "Trader Joe's", "Walmart", "Costco", "Kroger", "Safeway",
                    "Publix", "H-E-B", "Wegmans", "Corner Market",
                ],
                &[
                    "Carrefour", "Mercadona", "Rewe", "Edeka", "Albert Heijn", "Monoprix", "Auchan",
                    "Kaufland", "Esselunga", "Conad", "Supermercados Día", "Biocoop",
                ],
                &["Tesco", "Sainsbury's", "Waitrose", "Asda", "Morrisons", "Ocado", "Co-op Food"],
            ],
        ),
    ),
    (
        110,
        trade(
            ("Online Shopping", "5399", 3_800),
            false,
            &["Amazon", "Amazon", "Amazon", "eBay", "Etsy", "AliExpress", "Temu", "SHEIN"],
            [&["Wayfair", "Chewy"], &["Zalando", "Otto", "Bol.com"], &["ASOS", "Argos"]],
        ),
    ),
    (
        45,
        trade(
            ("Clothing", "5651", 5_600),
            true,
            &["H&M", "Zara", "Uniqlo", "Nike", "Adidas", "Levi's", "Foot Locker"],
            [
                &["Gap", "Old Navy", "Macy's", "Nordstrom", "TJ Maxx"],
                &["Mango", "Bershka", "C&A", "Galeries Lafayette", "El Corte Inglés"],
                &["Primark", "Marks & Spencer", "Next", "John Lewis"],
            ],
        ),
    ),
    (
        25,
        trade(
            ("Electronics", "5732", 14_900),
            true,
            &["Apple Store", "Samsung"],
            [&["Best Buy", "Micro Center"], &["MediaMarkt", "FNAC", "Saturn"], &["Currys"]],
        ),
    ),
    (
        30,
        trade(
            ("Home Improvement", "5200", 6_700),
            true,
            &["IKEA"],
            [
                &["Home Depot", "Lowe's", "Ace Hardware"],
                &["Leroy Merlin", "Hornbach", "OBI", "Castorama"],
                &["B&Q", "Screwfix", "Homebase"],
            ],
        ),
    ),
    (
        70,
        trade(
            ("Ride Share", "4121", 1_700),
            false,
            &["Uber", "Uber"],
            [&["Lyft", "Yellow Cab"], &["Bolt", "Cabify", "FREE NOW"], &["Bolt", "Addison Lee"]],
        ),
    ),
    (
        55,
        trade(
            ("Public Transport", "4111", 450),
            true,
            &["City Metro"],
            [
                &["MTA", "BART", "Caltrain", "Metro Transit", "CTA Ventra"],
                &["BVG", "Renfe Cercanías", "RATP", "ATM Milano", "GVB", "Metro de Madrid", "MVG"],
                &["TfL", "TfL", "Arriva Bus", "Northern Rail"],
            ],
        ),
    ),
    (
        45,
        trade(
            ("Fuel", "5541", 4_600),
            true,
            &["Shell", "BP"],
            [
                &["Chevron", "ExxonMobil", "Circle K", "Sunoco", "Wawa"],
                &["Repsol", "Aral", "TotalEnergies", "Esso", "Eni"],
                &["Esso", "Texaco", "Applegreen"],
            ],
        ),
    ),
    (
        12,
        trade(
            ("Parking", "7523", 900),
            true,
            &["Q-Park", "APCOA Parking"],
            [&["ParkMobile", "SP+ Parking"], &["EasyPark", "Indigo"], &["RingGo", "NCP"]],
        ),
    ),
    (
        14,
        trade(
            ("Airlines", "4511", 21_000),
            false,
            &["Emirates", "Turkish Airlines"],
            [
                &["Delta Air Lines", "United Airlines", "Southwest Airlines", "JetBlue"],
                &["Lufthansa", "Iberia", "Vueling", "Air France", "KLM", "Ryanair"],
                &["British Airways", "easyJet", "Ryanair"],
            ],
        ),
    ),
    (
        12,
        trade(
            ("Hotels", "7011", 18_500),
            true,
            &["Marriott", "Hilton", "Hyatt", "Ibis", "Holiday Inn"],
            [
                &["Best Western", "The Standard"],
                &["NH Hoteles", "Hôtel du Nord", "Meininger"],
                &["Premier Inn", "Travelodge"],
            ],
        ),
    ),
    (
        10,
        trade(
            ("Travel", "4722", 16_000),
            false,
            &["Airbnb", "Booking.com", "Expedia", "Hostelworld"],
            [&["Amtrak"], &["Deutsche Bahn", "SNCF", "Trenitalia", "Renfe"],
                &["Trainline", "Eurostar"]],
        ),
    ),
    (
        28,
        trade(
            ("Entertainment", "7832", 1_900),
            true,
            &["Ticketmaster", "Eventbrite"],
            [
                &["AMC Theatres", "Regal Cinemas", "Dave & Buster's"],
                &["Cinesa", "UGC Ciné Cité", "CinemaxX", "Museo del Prado", "Pathé"],
                &["Odeon Cinemas", "Cineworld", "Vue Cinema"],
            ],
        ),
    ),
    (
        25,
        trade(
            ("Games", "5816", 2_100),
            false,
            &["Steam", "PlayStation", "Nintendo", "Xbox", "Epic Games", "Roblox"],
            [&[], &[], &[]],
        ),
    ),
    (
        32,
        trade(
            ("Subscriptions", "5968", 1_100),
            false,
            &[
                "Apple", "iCloud", "Google One", "Microsoft", "Dropbox", "GitHub", "Adobe",
                "New York Times", "Audible", "Canva", "Duolingo", "Patreon",
            ],
            [&["Hulu"], &["DAZN", "Filmin", "Deezer"], &["The Guardian", "BBC Shop"]],
        ),
    ),
    (
        38,
        trade(
            ("Pharmacy", "5912", 1_800),
            true,
            &["Central Pharmacy"],
            [
                &["CVS Pharmacy", "Walgreens", "Rite Aid"],
                &["dm-drogerie markt", "Rossmann", "Farmacia Gómez", "Pharmacie Centrale"],
                &["Boots", "Superdrug"],
            ],
        ),
    ),
    (
        12,
        trade(
            ("Medical", "8011", 9_500),
            true,
            &["City Dental", "Vision Center"],
            [
                &["Kaiser Permanente", "Quest Diagnostics"],
                &["Zahnarzt Dr. Schäfer", "Clínica Ruiz", "Centre Médical Opéra"],
                &["Specsavers", "Bupa Dental"],
            ],
        ),
    ),
    (
        14,
        trade(
            ("Fitness", "7997", 3_200),
            true,
            &["Anytime Fitness", "Yoga Loft", "Peloton"],
            [&["Planet Fitness", "Equinox"], &["McFIT", "Basic-Fit"],
                &["PureGym", "The Gym Group"]],
        ),
    ),
    (
        16,
        trade(
            ("Personal Care", "7230", 3_900),
            true,
            &["Sephora", "The Body Shop", "Barber Brothers"],
            [
                &["Great Clips", "Supercuts"],
                &["Peluquería Ana", "Salon Chloé", "Friseur Jäger"],
                &["Toni & Guy", "Headmasters"],
            ],
        ),
    ),
    (
        12,
        trade(
            ("Books", "5942", 2_200),
            true,
            &["Kindle", "City Books"],
            [
                &["Barnes & Noble", "Powell's Books"],
                &["Thalia", "Casa del Libro", "Librairie Gibert"],
                &["Waterstones", "WHSmith"],
            ],
        ),
    ),
    (
        8,
        trade(
            ("Education", "8299", 7_900),
            false,
            &["Coursera", "Udemy", "edX", "MasterClass", "Babbel"],
            [&["Chegg"], &["Volkshochschule", "UNED"], &["Open University"]],
        ),
    ),
    (
        10,
        trade(
            ("Pet Store", "5995", 3_600),
            true,
            &["Happy Paws"],
            [
                &["Petco", "PetSmart"],
                &["Fressnapf", "Kiwoko", "Maxi Zoo"],
                &["Pets at Home", "Jollyes"],
            ],
        ),
    ),
    (
        5,
        trade(
            ("Charity", "8398", 2_500),
            false,
            &["Red Cross", "UNICEF", "Wikimedia Foundation", "Médecins Sans Frontières"],
            [&["St. Jude"], &["Cáritas", "Brot für die Welt"], &["Oxfam", "Cancer Research UK"]],
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::{Category, merchant};

    #[test]
    fn every_trade_is_everywhere_and_has_a_category() {
        for (weight, trade) in TRADES {
            assert!(*weight > 0 && !trade.everywhere.is_empty(), "{}", trade.category);
            let by_text = Category::of_text(trade.category);
            assert!(by_text.is_some_and(|category| category != Category::Other), "{by_text:?}");
            assert!(Category::of_code(trade.mcc).is_some(), "{}", trade.mcc);
        }
    }

    #[test]
    fn there_are_hundreds_of_merchants_and_their_names_are_clean() {
        let mut count = 0;
        for (_, trade) in TRADES {
            for name in [trade.everywhere, trade.us, trade.eu, trade.uk].concat() {
                count += 1;
                let shown = merchant(name);
                assert!(shown == name || Category::of_merchant(&shown).is_some(), "{name} {shown}");
                let printed = format!("SQ *{} #123", name.to_uppercase());
                let again = merchant(&printed);
                assert_eq!(again.to_lowercase(), merchant(name).to_lowercase(), "{printed}");
            }
        }
        assert!(count > 300, "{count}");
    }
}
