//! The stable categories, and how the many ways to write one lead to them: by text, by the
//! merchant category code of ISO 18245, or by who was paid.

use std::collections::HashMap;
use std::iter;
use std::sync::LazyLock;

use super::brands;
use super::merchant::Folded;

/// Declares the categories together with the texts that name them.
macro_rules! categories {
    ($($variant:ident = $name:literal: $texts:literal),+ $(,)?) => {
        /// What money was spent on, or where it came from. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Category { $($variant),+ }

        impl Category {
            pub const ALL: &[Category] = &[$(Category::$variant),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Words and phrases that name the category, in lower case.
            const fn texts(self) -> &'static str {
                match self { $(Self::$variant => $texts),+ }
            }
        }
    };
}

categories! {
    FoodAndDrink = "food_and_drink":
        "food and drink, food & drink, food & beverage, food and beverage, food, dining, \
            eating out, restaurant, fast food, cafe, coffee, coffee shop, bar, pub, bakery, \
            takeaway, take out, food delivery, food & dining, food and dining, pizza, beverage, \
            brewery, diner, catering, ice cream, tea, bistro, deli, snack",
    Groceries = "groceries":
        "groceries, grocery, supermarket, supermarkets and groceries, convenience, \
            convenience store, butcher, greengrocer, farmers market, food & grocery, \
            food and grocery, food store, grocery store, supermercado, supermarche, liquor, \
            wine",
    Shopping = "shopping":
        "shopping, shops, retail, merchandise, general merchandise, clothing, apparel, fashion, \
            shoes, electronics, department store, online shopping, marketplace, bookstore, \
            books, furniture, home improvement, hardware, home goods, household, jewelry, toys, \
            sporting goods, sports equipment, gifts, pets, pet food, pet store, \
            office supplies, computers, garden, e-commerce, ecommerce, store",
    Transport = "transport":
        "transport, transportation, taxi, ride share, rideshare, ride sharing, ride hailing, \
            public transport, public transportation, transit, train, bus, subway, metro, fuel, \
            gas station, service station, petrol, gasoline, parking, toll, tolls, car rental, \
            auto, automotive, car, car wash, ev charging, bike, bicycle, scooter, railway, \
            ferry, gas & fuel, gas and fuel, gas stations, auto & transport, commute",
    Travel = "travel":
        "travel, hotel, lodging, airline, flight, airfare, airport, vacation, accommodation, \
            travel agency, holiday, cruise, hostel, resort, trip, tourism, air travel, \
            vacation rental, motel",
    Entertainment = "entertainment":
        "entertainment, movie, movies, cinema, theater, theatre, concert, event, music, games, \
            gaming, game, sport, sports, recreation, arts, hobby, hobbies, leisure, nightlife, \
            museum, gambling, lottery, casino, video games, arts & entertainment, amusement, \
            betting, ticket",
    Health = "health":
        "health, healthcare, health care, medical, doctor, dentist, dental, pharmacy, \
            drugstore, drug store, hospital, fitness, gym, gym & fitness, wellness, optician, \
            vision, therapy, health & fitness, health & wellness, health and wellness, clinic, \
            veterinary, vet",
    PersonalCare = "personal_care":
        "personal care, beauty, hair, hairdresser, barber, salon, spa, cosmetics, nails, \
            laundry, dry cleaning, massage, beauty & wellness, health & beauty",
    Utilities = "utilities":
        "utilities, utility, electricity, electric, electric bill, energy, power, water, gas, \
            gas bill, gas & electric, gas and electric, internet, phone, mobile, mobile phone, \
            telecom, telecommunications, telephone, cable, broadband, heating, sewage, waste, \
            trash, bills & utilities, bills and utilities, cell phone, phone bill",
    Rent = "rent":
        "rent, rental income, mortgage, housing, landlord, home loan, rent & mortgage, hoa, \
            mortgage & rent, lease, real estate",
    Subscriptions = "subscriptions":
        "subscription, subscriptions, streaming, streaming service, software, saas, digital, \
            digital goods, digital services, cloud, cloud storage, membership, app, apps, \
            music streaming, video streaming, news, newspaper, magazine, hosting",
    Insurance = "insurance":
        "insurance, car insurance, home insurance, health insurance, life insurance, \
            auto insurance, travel insurance, assurance, insurance premium",
    Education = "education":
        "education, school, university, tuition, college, course, courses, online course, \
            training, student loan, kindergarten, childcare, books & education, learning, \
            tutoring",
    Transfers = "transfers":
        "transfer, transfers, bank transfer, p2p, wire, remittance, money transfer, \
            peer to peer, savings, top up, deposit",
    Crypto = "crypto":
        "crypto, cryptocurrency, bitcoin, ethereum, digital currency, blockchain, token",
    Income = "income":
        "income, salary, wages, payroll, paycheck, dividend, interest, cashback, refund, bonus, \
            earnings, investment income, referral, reward, pension, tax refund, freelance",
    Cash = "cash": "cash, atm, cash withdrawal, atm withdrawal, cash advance, cash & atm",
    Fees = "fees":
        "fee, fees, bank fee, bank fees, service fee, service charge, charge, charges, \
            fees & charges, late fee, penalty, fine, overdraft, interest charge, commission",
    Taxes = "taxes": "tax, taxes, government, council tax, property tax, income tax, vat, customs",
    Charity = "charity":
        "charity, donation, donations, gifts & donations, charities, nonprofit, non profit, \
            church, religion",
    Services = "services":
        "services, service, professional services, business services, legal, accounting, \
            consulting, advertising, marketing, shipping, postal, cleaning, home services, \
            financial services, financial, business, repair, contractor, delivery, courier",
    Bills = "bills": "bill, bills, bill payment, invoice",
    Other = "other":
        "other, misc, miscellaneous, uncategorized, uncategorised, unknown, general, none",
}

/// What each text says, looked up once per word or phrase.
static TEXTS: LazyLock<HashMap<String, Category>> = LazyLock::new(|| {
    let each = Category::ALL.iter().flat_map(|category| {
        category.texts().split(',').map(|text| (Folded::of(text).text().to_owned(), *category))
    });
    let names = Category::ALL.iter().map(|category| (category.name().replace('_', " "), *category));
    each.chain(names).collect()
});

/// Ranges of merchant category codes (ISO 18245), ascending: first, last, category. A code in a
/// gap says nothing.
const CODES: &[(u16, u16, Category)] = &[
    (742, 742, Category::Health),
    (763, 780, Category::Services),
    (1520, 1799, Category::Services),
    (2741, 2842, Category::Services),
    (3000, 3299, Category::Travel),
    (3351, 3441, Category::Transport),
    (3501, 3999, Category::Travel),
    (4011, 4131, Category::Transport),
    (4214, 4225, Category::Services),
    (4411, 4411, Category::Travel),
    (4457, 4468, Category::Entertainment),
    (4511, 4582, Category::Travel),
    (4722, 4723, Category::Travel),
    (4784, 4789, Category::Transport),
    (4812, 4816, Category::Utilities),
    (4821, 4829, Category::Transfers),
    (4899, 4900, Category::Utilities),
    (5013, 5199, Category::Shopping),
    (5200, 5399, Category::Shopping),
    (5411, 5411, Category::Groceries),
    (5422, 5451, Category::Groceries),
    (5462, 5462, Category::FoodAndDrink),
    (5499, 5499, Category::Groceries),
    (5511, 5533, Category::Transport),
    (5541, 5542, Category::Transport),
    (5551, 5571, Category::Transport),
    (5592, 5599, Category::Transport),
    (5611, 5699, Category::Shopping),
    (5712, 5735, Category::Shopping),
    (5811, 5814, Category::FoodAndDrink),
    (5815, 5818, Category::Subscriptions),
    (5912, 5912, Category::Health),
    (5921, 5921, Category::Groceries),
    (5931, 5961, Category::Shopping),
    (5962, 5962, Category::Travel),
    (5963, 5967, Category::Shopping),
    (5968, 5968, Category::Subscriptions),
    (5969, 5975, Category::Shopping),
    (5976, 5976, Category::Health),
    (5977, 5977, Category::PersonalCare),
    (5978, 5999, Category::Shopping),
    (6010, 6011, Category::Cash),
    (6012, 6012, Category::Transfers),
    (6051, 6051, Category::Crypto),
    (6211, 6211, Category::Transfers),
    (6300, 6399, Category::Insurance),
    (6513, 6513, Category::Rent),
    (6529, 6540, Category::Transfers),
    (7011, 7033, Category::Travel),
    (7210, 7299, Category::PersonalCare),
    (7311, 7399, Category::Services),
    (7512, 7549, Category::Transport),
    (7622, 7699, Category::Services),
    (7800, 7999, Category::Entertainment),
    (8011, 8099, Category::Health),
    (8111, 8111, Category::Services),
    (8211, 8351, Category::Education),
    (8398, 8398, Category::Charity),
    (8641, 8641, Category::Charity),
    (8651, 8661, Category::Charity),
    (8675, 8999, Category::Services),
    (9211, 9222, Category::Fees),
    (9311, 9311, Category::Taxes),
    (9399, 9399, Category::Taxes),
    (9402, 9405, Category::Services),
];

impl Category {
    /// The category that a text names: as a whole, by two of its words, or by one; the first wins.
    /// Four digits are a merchant category code.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::of_code(text);
        }
        let folded = Folded::of(text);
        let text = folded.text();
        if let Some(category) = Self::named(text) {
            return Some(category);
        }
        // Where the words begin, and where the word after each ends.
        let starts = iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
        let ends = text.match_indices(' ').skip(1).map(|(at, _)| at);
        let mut pairs =
            starts.zip(ends.chain([text.len()])).filter_map(|(from, to)| text.get(from..to));
        let pair = pairs.find_map(Self::named);
        pair.or_else(|| text.split(' ').find_map(Self::named))
    }

    /// The category of a merchant category code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        let code: u16 = code.parse().ok()?;
        let at = CODES.partition_point(|(_, last, _)| *last < code);
        CODES.get(at).filter(|(first, _, _)| *first <= code).map(|(_, _, category)| *category)
    }

    /// The category of a well-known merchant, by its normalised name.
    #[must_use]
    pub fn of_merchant(name: &str) -> Option<Self> {
        brands::whole(&Folded::of(name)).map(|brand| brand.category)
    }

    fn named(text: &str) -> Option<Self> {
        let found = TEXTS.get(text).or_else(|| TEXTS.get(text.strip_suffix('s')?));
        found.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_texts_lead_to_one_stable_name() {
        for (text, expected) in [
            ("Food & Beverage", "food_and_drink"),
            ("food_and_drink", "food_and_drink"),
            ("Restaurants", "food_and_drink"),
            ("Fast Food Restaurants", "food_and_drink"),
            ("Grocery Stores, Supermarkets", "groceries"),
            ("Gas Stations", "transport"),
            ("Gas & Electric", "utilities"),
            ("Gas", "utilities"),
            ("TRAVEL", "travel"),
            ("Health & Fitness", "health"),
            ("Online Shopping", "shopping"),
            ("Streaming Services", "subscriptions"),
            ("Peer-to-peer", "transfers"),
            ("5812", "food_and_drink"),
            ("Café", "food_and_drink"),
            ("Miscellaneous", "other"),
        ] {
            assert_eq!(Category::of_text(text).map(Category::name), Some(expected), "{text}");
        }
        for text in ["", "  ", "Qwertz", "0000", "&&&"] {
            assert_eq!(Category::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn merchant_codes_have_the_categories_of_their_ranges() {
        let ascending = CODES.windows(2).all(|pair| pair[0].1 < pair[1].0);
        assert!(ascending && CODES.iter().all(|(first, last, _)| first <= last));
        for (code, expected) in [
            ("5814", Some("food_and_drink")),
            ("5411", Some("groceries")),
            ("0742", Some("health")),
            ("3058", Some("travel")),
            ("4121", Some("transport")),
            ("4814", Some("utilities")),
            ("6011", Some("cash")),
            ("5815", Some("subscriptions")),
            ("9999", None),
            ("0001", None),
            ("x", None),
        ] {
            assert_eq!(Category::of_code(code).map(Category::name), expected, "{code}");
        }
    }

    #[test]
    fn every_category_is_named_by_its_own_name_and_by_no_text_twice() {
        let mut seen: HashMap<String, Category> = HashMap::new();
        for category in Category::ALL {
            assert_eq!(Category::of_text(category.name()), Some(*category));
            for text in category.texts().split(',') {
                let before = seen.insert(text.trim().to_owned(), *category);
                assert!(before.is_none_or(|before| before == *category), "{text}");
            }
        }
    }
}
