//! Merchants that everybody knows: the ways terminals write them, their name, their category.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::category::Category::{
    self, Education, Entertainment, Fees, FoodAndDrink, Groceries, Health, Insurance, Services,
    Shopping, Subscriptions, Transfers, Transport, Travel, Utilities,
};
use super::merchant::Folded;

#[derive(Clone, Copy, Debug)]
pub struct Brand {
    pub name: &'static str,
    pub category: Category,
    /// Whether the name is so distinctive that whatever follows it says nothing.
    distinctive: bool,
}

/// Distinctive names, each with other spellings after `=`: a text that begins with one of them
/// is this brand, whatever stands behind it.
const DISTINCTIVE: &[(Category, &str)] = &[
    (
        FoodAndDrink,
        "Starbucks=sbux; McDonald's=mcdonalds=mc donalds=mcd; Burger King; KFC; Taco Bell; \
        Chipotle=chipotle mexican grill; Domino's=dominos=dominos pizza; Pizza Hut; \
        Papa Johns=papa johns pizza; Chick-fil-A; Dunkin'=dunkin=dunkin donuts; Tim Hortons; \
        Costa Coffee; Caffè Nero=caffe nero; Pret A Manger; Panera Bread=panera; Five Guys; \
        Shake Shack; Wendy's=wendys; Nando's=nandos; Wagamama; Sweetgreen; Blue Bottle Coffee; \
        Peet's Coffee=peets; Krispy Kreme; Baskin-Robbins; Dairy Queen; Popeyes; In-N-Out Burger; \
        Uber Eats=ubereats; DoorDash=dd doordash; Grubhub; Deliveroo; Just Eat; Glovo; Foodora; \
        Olive Garden; Applebee's=applebees; TGI Fridays; IHOP; Waffle House; Greggs; Vapiano; \
        Jamba Juice; Panda Express; Wingstop; Jack in the Box; Chili's=chilis; Denny's=dennys",
    ),
    (
        Groceries,
        "Walmart=wal mart=wm supercenter=wmt; Costco=costco whse; \
        Whole Foods=wholefds=whole foods market; Trader Joe's=trader joe; Kroger; Safeway; \
        Publix; Albertsons; Aldi; Lidl; Tesco; Sainsbury's=sainsburys; Asda; Waitrose; Morrisons; \
        Carrefour; Mercadona; Auchan; Rewe; Edeka; Kaufland; Albert Heijn; Wegmans; H-E-B=heb; \
        Meijer; Food Lion; Instacart; 7-Eleven=7eleven; FamilyMart=family mart; Amazon Fresh; \
        Ocado; Monoprix; Intermarché=intermarche; Esselunga; Conad; Penny Markt; Billa; Migros; \
        Woolworths",
    ),
    (
        Shopping,
        "Amazon=amzn=amzn mktp=amazon com; IKEA; H&M=h & m; Zara; Uniqlo; Nike; Adidas; Best Buy; \
        Home Depot=the home depot; Lowe's=lowes; Macy's=macys; Nordstrom; Sephora; eBay; Etsy; \
        AliExpress; Zalando; ASOS; Primark; Decathlon; MediaMarkt=media markt; \
        Apple Store=apple com us; Microsoft Store; GameStop; Walgreens Photo; Barnes & Noble; \
        TJ Maxx=tjx; Marshalls; Ross Dress for Less; Old Navy; Foot Locker; Wayfair; PetSmart; \
        Petco; Office Depot; Dollar General; Dollar Tree; John Lewis; Argos; Marks & Spencer=m&s; \
        El Corte Inglés=el corte ingles; Leroy Merlin; FNAC; Temu; SHEIN; Lululemon; \
        Levi's=levis; Mango Fashion; Bershka; Galeries Lafayette; Otto Versand",
    ),
    (
        Transport,
        "Uber=uber trip; Lyft=lyft ride; Bolt Ride=bolt eu; Cabify; FREE NOW=freenow; \
        ExxonMobil=exxon=exxonmobil; Chevron; Texaco; Sunoco; Circle K; Esso; Repsol; Aral; \
        TotalEnergies=total energies; Valero; Conoco; Wawa; ChargePoint; Electrify America; \
        Tesla Supercharger; TfL=tfl travel=transport for london; MTA=mta nyct=mta vending; \
        BART=bart clipper=clipper bart; Deutsche Bahn=db vertrieb=db bahn; SNCF; Renfe; \
        Trenitalia; Trainline=thetrainline; Amtrak; Caltrain; E-ZPass=ezpass; ParkMobile; \
        Lime Ride; Zipcar; Hertz; Avis; Enterprise Rent-A-Car=enterprise rent; Sixt; Europcar; \
        FlixBus; Jiffy Lube; AutoZone; Blablacar; Tier Mobility",
    ),
    (
        Travel,
        "Airbnb; Booking.com; Expedia; Hotels.com=hotels com; Marriott; Hilton; Hyatt; \
        Holiday Inn; Best Western; Delta Air Lines=delta air; United Airlines; \
        American Airlines=aa com; Southwest Airlines=southwes; JetBlue; Ryanair; easyJet; \
        British Airways; Lufthansa; Air France; KLM; Iberia; Vueling; Qatar Airways; \
        Turkish Airlines; Tripadvisor; Vrbo; Hostelworld; Eurostar; Wizz Air; Ibis Hotel; Accor",
    ),
    (
        Entertainment,
        "Ticketmaster; AMC Theatres=amc; Regal Cinemas; Cineworld; Odeon Cinemas; Nintendo; \
        PlayStation=playstation network=sony playstation; Xbox=microsoft xbox; \
        Steam=steampowered=steamgames=steam games=steam purchase; Eventbrite; Fandango; StubHub; \
        Twitch; Roblox; Epic Games; Dave & Buster's=dave & busters; Topgolf; Vue Cinema",
    ),
    (
        Subscriptions,
        "Netflix; Spotify; Disney+=disney plus=disneyplus; Hulu; HBO Max; \
        YouTube Premium=google youtube=google youtubepremium=youtube=youtubepremium; \
        Apple=apple com bill; iCloud; Amazon Prime=amzn prime=prime video=amazon video; Audible; \
        Google One=google storage=google one; Google Play=google play; Google=google; \
        Google Cloud; Amazon Web Services=aws; Microsoft=msft=microsoft 365=microsoft; \
        Adobe Systems=adobe creative=adobe inc; Dropbox; GitHub; OpenAI=openai chatgpt=chatgpt; \
        Zoom=zoom us; Slack=slack technologies; Notion=notion labs; Figma; Canva; LinkedIn; \
        Patreon; New York Times=nytimes=ny times; Wall Street Journal=wsj; The Economist; \
        The Guardian; Paramount+=paramount plus; Peacock TV; DAZN; Crunchyroll; Deezer; \
        Tidal Music; NordVPN; 1Password; GoDaddy=dnh godaddy; DigitalOcean; Duolingo; Kindle",
    ),
    (
        Health,
        "CVS Pharmacy=cvs; Walgreens; Rite Aid; Boots Pharmacy=boots chemist; Superdrug; \
        Planet Fitness; LA Fitness; 24 Hour Fitness; PureGym; Gold's Gym=golds gym; ClassPass; \
        Kaiser Permanente; Quest Diagnostics; Labcorp; Specsavers; Peloton; McFIT; Basic-Fit; \
        Anytime Fitness; dm-drogerie markt=dm drogerie; Rossmann",
    ),
    (
        Utilities,
        "AT&T=att; Verizon=vzwrlss; T-Mobile; Comcast=comcast xfinity; Xfinity; Vodafone; \
        O2=o2 uk=o2 de; Telefónica=telefonica=movistar; Orange Telecom; British Gas; \
        EDF Energy=edf; E.ON=eon energie; Con Edison=coned=conedison; PG&E=pge=pacific gas; \
        Duke Energy; National Grid; Thames Water; Octopus Energy; Iberdrola; Endesa; \
        Enel Energia; Vattenfall; Deutsche Telekom=telekom deutschland; Virgin Media; BT Group; \
        Sky UK=sky digital; Southern California Edison=sce; Spectrum Internet; Google Fi; \
        Giffgaff; Swisscom",
    ),
    (
        Insurance,
        "GEICO; State Farm; Progressive Insurance; Allstate; AXA; Allianz; Aviva; \
        Lemonade Insurance; MetLife; Liberty Mutual; Blue Cross=blue cross blue shield; Cigna; \
        Aetna; UnitedHealthcare; Direct Line; Admiral Insurance; Generali; Mapfre; HUK-COBURG",
    ),
    (
        Education,
        "Coursera; Udemy; edX; Khan Academy; Pearson Education; Chegg; Skillshare; MasterClass; \
        Codecademy; Pluralsight; Babbel; Sallie Mae; Navient",
    ),
    (
        Transfers,
        "PayPal; Venmo; Zelle; Cash App; TransferWise; Revolut; Western Union; MoneyGram; \
        Remitly; Monzo; N26",
    ),
    (
        Services,
        "FedEx; UPS Store=the ups store; USPS; DHL; Royal Mail; TaskRabbit; Upwork; Fiverr; \
        Mailchimp; Shopify; Squarespace; Deutsche Post; H&R Block=h & r block; Hermes Parcel",
    ),
    (Fees, "Foreign Transaction Fee=intl transaction fee; Overdraft Fee; ATM Fee=non atm fee"),
];

/// Ordinary words that are brands only when nothing else is left of the text.
const ORDINARY: &[(Category, &str)] = &[
    (FoodAndDrink, "Subway; Sonic=sonic drive in; Leon; Wolt; Paul"),
    (
        Groceries,
        "Target=target store; Spar; Coop; Giant; Sprouts; Dia; Iceland; Metro; Netto; Coles",
    ),
    (
        Shopping,
        "Gap; Next; Mango; Otto; Kohl's=kohls; Ross; Boss; Guess; Apple=apple store; Staples; \
        Chewy; Patagonia",
    ),
    (
        Transport,
        "Shell=shell oil=shell service station; BP=bp gas; Bolt; Lime; Total; Mobil; Speedway",
    ),
    (Travel, "Delta; United; Southwest; Iberia; Emirates; Ibis"),
    (Entertainment, "Steam; Sony; AMC; Regal; Vue; Odeon"),
    (
        Subscriptions,
        "Medium; Substack; Max; Tidal; Calm; Headspace; Adobe; Zoom; Slack; Notion; Peacock",
    ),
    (Health, "Boots; Equinox"),
    (Utilities, "Orange; Three; EE; BT; Sky; Sprint; Spectrum; Enel"),
    (Insurance, "Progressive; Lemonade; Admiral"),
    (Services, "UPS; Square; Stripe"),
    (Transfers, "Wise"),
];

/// The spellings that begin with a word, the longest first: one look finds all that may match.
static BRANDS: LazyLock<HashMap<String, Vec<(String, Brand)>>> = LazyLock::new(|| {
    let mut brands: HashMap<String, Vec<(String, Brand)>> = HashMap::new();
    for (table, distinctive) in [(ORDINARY, false), (DISTINCTIVE, true)] {
        for (category, entries) in table {
            for entry in entries.split(';') {
                let name = entry.split('=').next().unwrap_or_default().trim();
                let brand = Brand { name, category: *category, distinctive };
                for alias in entry.split('=').map(|alias| Folded::of(alias).text().to_owned()) {
                    let word = first_word(&alias).to_owned();
                    let known = brands.entry(word).or_default();
                    // The first to claim an alias keeps it: what is ordinary is not distinctive.
                    if !known.iter().any(|(other, _)| *other == alias) {
                        known.push((alias, brand));
                    }
                }
            }
        }
    }
    for known in brands.values_mut() {
        known.sort_by_key(|(alias, _)| std::cmp::Reverse(alias.len()));
    }
    brands
});

/// The brand that the whole text names.
pub fn whole(text: &Folded) -> Option<Brand> {
    find(text, |rest, _| rest.is_empty())
}

/// The distinctive brand that the text begins with; the longest wins.
pub fn beginning(text: &Folded) -> Option<Brand> {
    let at_word = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    find(text, |rest, brand| brand.distinctive && at_word(rest))
}

/// The first brand that fits together with what the text has after its name.
fn find(text: &Folded, fits: impl Fn(&str, &Brand) -> bool) -> Option<Brand> {
    let text = text.text();
    let known = BRANDS.get(first_word(text))?;
    let found = known.iter().find(|(alias, brand)| {
        text.strip_prefix(alias.as_str()).is_some_and(|rest| fits(rest, brand))
    });
    found.map(|(_, brand)| *brand)
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found() {
        let all: Vec<&(String, Brand)> = BRANDS.values().flatten().collect();
        assert!(all.len() > 400);
        for (alias, brand) in all {
            assert!(!alias.is_empty(), "{brand:?}");
            assert_eq!(whole(&Folded::of(alias)).map(|found| found.name), Some(brand.name));
        }
    }

    #[test]
    fn ordinary_words_are_brands_only_by_themselves() {
        assert!(beginning(&Folded::of("Target Practice")).is_none());
        assert!(beginning(&Folded::of("Shell Beach Cafe")).is_none());
        assert_eq!(beginning(&Folded::of("Starbucks Reserve")).map(|b| b.name), Some("Starbucks"));
        assert_eq!(beginning(&Folded::of("Uber Eats")).map(|b| b.name), Some("Uber Eats"));
    }
}
