//! The merchant's name as people know it. Terminals and payment processors wrap it in prefixes,
//! store numbers, phone numbers, places and capitals; here all that comes off again.
//!
//! This runs for every item of every page: no regular expressions, and no allocation but the
//! answer.

use super::brands;

/// Processors that put themselves and an asterisk before the merchant's name.
#[rustfmt::skip]
const PROCESSORS: &[&str] = &[
    "SQ", "TST", "PAYPAL", "PP", "SP", "IZ", "ZTL", "SUMUP", "CKO", "WL", "EB", "FS", "PY", "BT",
    "LS", "STRIPE", "ZETTLE_", "TOAST", "CLOVER", "GUM.CO", "DNH", "DD", "NYX", "EZI",
];
/// What banks print before the merchant's name; always in capitals.
#[rustfmt::skip]
const BANK_PREFIXES: &[&str] = &[
    "POS PURCHASE ", "POS DEBIT ", "POS ", "CHECKCARD ", "CHECK CARD ", "DEBIT CARD PURCHASE ",
    "PURCHASE AUTHORIZED ON ", "CARD PURCHASE ", "CARD PAYMENT TO ", "CONTACTLESS ",
    "RECURRING PAYMENT ", "VISA DEBIT ", "VISA ", "SP ",
];
/// Words that announce a store number and mean nothing without it, and legal forms.
const NUMBER_LABELS: &[&str] = &["STORE", "STR", "NO", "NO.", "UNIT", "LOC", "TERMINAL", "REF"];
const LEGAL_FORMS: &[&str] = &["INC", "INC.", "LLC", "LTD", "LTD.", "GMBH", "PLC", "LIMITED"];
/// The states of the USA, and countries, as terminals end a line with them.
const REGIONS: &str = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS \
    MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC US USA GB \
    GBR UK FR FRA DEU ES ESP IT ITA NL NLD IE IRL PT PRT";
/// Regions that are words as well: they come off only together with a city.
const AMBIGUOUS_REGIONS: &str = "CO DE HI ID IN LA ME OH OK OR MA PA AL IT ES IE US USA UK";
const CITIES: &str = "NEW YORK,BROOKLYN,LOS ANGELES,CHICAGO,HOUSTON,PHOENIX,PHILADELPHIA,\
    SAN ANTONIO,SAN DIEGO,DALLAS,SAN JOSE,AUSTIN,SAN FRANCISCO,SEATTLE,DENVER,WASHINGTON,BOSTON,\
    NASHVILLE,PORTLAND,LAS VEGAS,MIAMI,ATLANTA,OAKLAND,MINNEAPOLIS,TAMPA,ORLANDO,CLEVELAND,\
    PITTSBURGH,ST LOUIS,CUPERTINO,MOUNTAIN VIEW,PALO ALTO,BERKELEY,SACRAMENTO,SALT LAKE CITY,\
    KANSAS CITY,COLUMBUS,CHARLOTTE,INDIANAPOLIS,DETROIT,MEMPHIS,BALTIMORE,MILWAUKEE,NEW ORLEANS,\
    LONDON,MANCHESTER,BIRMINGHAM,EDINBURGH,GLASGOW,LEEDS,BRISTOL,LIVERPOOL,DUBLIN,PARIS,LYON,\
    BERLIN,HAMBURG,MUNICH,MUENCHEN,COLOGNE,FRANKFURT,MADRID,BARCELONA,VALENCIA,SEVILLA,LISBON,\
    LISBOA,PORTO,ROME,ROMA,MILAN,MILANO,AMSTERDAM,ROTTERDAM,BRUSSELS,VIENNA,LUXEMBOURG,SPRINGFIELD";
/// Short words without a name of their own; nothing ends with one.
const CONNECTORS: &[&str] = &["OF", "THE", "AND", "IN", "AT", "DE", "DU", "LA", "DI", "VON", "ON"];
/// What has a vowel and is still no word.
#[rustfmt::skip]
const ACRONYMS: &[&str] = &[
    "IBM", "USA", "UK", "ATM", "IKEA", "BP", "UPS", "AMC", "AWS", "IHOP", "MTA", "TGI", "AXA",
    "YMCA", "ASDA", "DIY", "AT&T", "NYC", "LA", "SF", "EU", "BBQ", "AAA", "EDF", "USPS", "NASA",
    "ESPN", "AMD", "AA", "AB", "SA", "AG", "IT", "OBI", "RATP", "UNED", "UNICEF", "ASOS",
];
/// What has no vowel and is a word cut short.
const SHORT_WORDS: &[&str] =
    &["ST", "ST.", "DR", "DR.", "MR", "MR.", "MRS", "MRS.", "MKT", "CTR", "RD"];
const SMALL_WORDS: &[&str] = &["OF", "THE", "AND", "AT", "DE", "DU", "DES", "VON", "DEL", "FOR"];

/// The longest text compared with the tables, in bytes; names are shorter.
const FOLDED_BYTES_MAX: usize = 64;

/// A text as the tables spell it: lower case, without accents, words apart by one space. It lives
/// on the stack.
pub struct Folded {
    bytes: [u8; FOLDED_BYTES_MAX],
    len: usize,
}

impl Folded {
    pub fn of(text: &str) -> Self {
        let mut folded = Self { bytes: [0; FOLDED_BYTES_MAX], len: 0 };
        if text.is_ascii() {
            folded.push_all(text.chars());
        } else {
            folded.push_all(crate::search::fold(text).chars());
        }
        folded
    }

    pub fn text(&self) -> &str {
        self.bytes.get(..self.len).and_then(|used| std::str::from_utf8(used).ok()).unwrap_or("")
    }

    fn push_all(&mut self, chars: impl Iterator<Item = char>) {
        let mut gap = false;
        for c in chars {
            match c {
                '\'' | '’' | '`' => {}
                '&' | '+' | '0'..='9' | 'a'..='z' => self.push(c, &mut gap),
                'A'..='Z' => self.push(c.to_ascii_lowercase(), &mut gap),
                c if c.is_alphanumeric() => self.push(c, &mut gap),
                _ => gap = true,
            }
        }
    }

    /// Adds a character, after a space when there was a gap; what does not fit is left out.
    fn push(&mut self, c: char, gap: &mut bool) {
        let space = usize::from(std::mem::take(gap) && self.len > 0);
        let end = self.len + space + c.len_utf8();
        if let Some(free) = self.bytes.get_mut(self.len + space..end) {
            c.encode_utf8(free);
            if space == 1
                && let Some(place) = self.bytes.get_mut(self.len)
            {
                *place = b' ';
            }
            self.len = end;
        }
    }
}

/// The merchant's name as people know it: `SQ *BLUE BOTTLE COFFEE #12` is Blue Bottle Coffee.
#[must_use]
pub fn merchant(raw: &str) -> String {
    let raw = raw.trim();
    let named = without_prefix(raw);
    let bare = without_tail(named);
    let folded = Folded::of(named);
    let known = brands::beginning(&folded).or_else(|| {
        let unchanged = bare.len() == named.len();
        if unchanged { brands::whole(&folded) } else { brands::whole(&Folded::of(bare)) }
    });
    match known {
        Some(brand) => brand.name.to_owned(),
        None if bare.is_empty() => raw.to_owned(),
        None => tidied(bare),
    }
}

/// The text after the processor's and the bank's own words.
fn without_prefix(raw: &str) -> &str {
    let mut text = raw;
    for prefix in BANK_PREFIXES {
        if let Some(rest) = text.strip_prefix(prefix) {
            // A date or a terminal number may follow.
            let numeric = |c: char| c.is_ascii_digit() || matches!(c, '/' | ' ' | '.' | '-');
            let rest = if *prefix == "SP " { rest } else { rest.trim_start_matches(numeric) };
            text = if rest.is_empty() { text } else { rest.trim_start() };
            break;
        }
    }
    match text.split_once('*') {
        Some((processor, name)) if listed(PROCESSORS, processor.trim()) => match name.trim() {
            "" => text,
            name => name,
        },
        Some(_) | None => text,
    }
}

/// The text before what terminals put behind a name.
fn without_tail(text: &str) -> &str {
    let mut rest = text;
    if let Some((before, _)) = rest.split_once('*').filter(|(before, _)| !before.trim().is_empty())
    {
        rest = before.trim_end();
    }
    if let Some(at) = rest.find('#').filter(|at| *at > 0) {
        let numbered =
            rest.get(at + 1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        rest = if numbered { rest.get(..at).unwrap_or(rest).trim_end() } else { rest };
    }
    let shouted = is_shouted(rest);
    let mut number_seen = rest.len() < text.len();
    while let Some((before, last)) = split_last(rest) {
        if is_number(last) || (shouted && is_domain(last)) {
            number_seen = true;
        } else if shouted && let Some(shorter) = without_place(before, last) {
            rest = shorter;
            continue;
        } else {
            let label = number_seen && listed(NUMBER_LABELS, last);
            if !label && !listed(LEGAL_FORMS, last) {
                break;
            }
        }
        rest = before.trim_end_matches([',', '-', ' ']);
    }
    rest
}

/// The last word and what stands before it.
fn split_last(text: &str) -> Option<(&str, &str)> {
    let (before, last) = text.trim_end().rsplit_once(char::is_whitespace)?;
    (!before.trim().is_empty()).then(|| (before.trim_end(), last))
}

/// What is left when the line ends with a region, and perhaps a city before it.
fn without_place<'a>(before: &'a str, last: &str) -> Option<&'a str> {
    if last.len() > 3 || !in_words(REGIONS, last) {
        return None;
    }
    let fits = |rest: &&str| {
        let end = rest.rsplit(char::is_whitespace).next().unwrap_or("");
        !rest.is_empty() && !CONNECTORS.contains(&end)
    };
    let before = before.trim_end_matches([',', ' ']);
    let without_city = CITIES.split(',').find_map(|city| {
        let rest = before.strip_suffix(city)?;
        rest.ends_with(char::is_whitespace).then(|| rest.trim_end())
    });
    without_city.filter(fits).or_else(|| {
        let certain = without_city.is_some() || !in_words(AMBIGUOUS_REGIONS, last);
        Some(before).filter(|_| certain).filter(fits)
    })
}

fn in_words(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

fn listed(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Whether a word is a store number, a phone number, a date or a reference.
fn is_number(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let only = |also: &[u8]| word.bytes().all(|b| b.is_ascii_digit() || also.contains(&b));
    let code = || word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'-');
    (digits >= 3 && only(b"-./()+x"))
        || (digits >= 1 && word.starts_with('#'))
        || (digits >= 3 && digits * 2 >= word.len() && word.len() >= 4 && code())
}

/// Whether a word of a shouted line is the merchant's address in the web, said a second time.
fn is_domain(word: &str) -> bool {
    let word = word.split('/').next().unwrap_or("");
    [".COM", ".NET", ".ORG", ".CO.UK", ".DE"]
        .iter()
        .any(|end| word.len() > end.len() && word.ends_with(end))
}

/// Whether a text has capitals and no small letters.
fn is_shouted(text: &str) -> bool {
    !text.contains(char::is_lowercase) && text.contains(char::is_uppercase)
}

/// Single spaces, and capitals only where a name has them.
fn tidied(text: &str) -> String {
    let shouted = is_shouted(text);
    let mut tidy = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        if !shouted {
            tidy.push_str(word);
        } else if !tidy.is_empty() && SMALL_WORDS.contains(&word) {
            tidy.extend(word.chars().flat_map(char::to_lowercase));
        } else if is_acronym(word) {
            tidy.push_str(word);
        } else {
            push_titled(word, &mut tidy);
        }
    }
    tidy
}

/// Whether capitals belong to a word: `KFC`, `H&M`, `3M`.
fn is_acronym(word: &str) -> bool {
    let vowel = |c: char| !c.is_ascii() || "AEIOUY".contains(c);
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    listed(ACRONYMS, word)
        || word.bytes().any(|b| b.is_ascii_digit())
        || (letters <= 4 && !word.contains(vowel) && !listed(SHORT_WORDS, word))
        || (letters <= 2 && word.contains('&'))
}

/// `O'REILLY` becomes `O'Reilly`, `JEAN-PAUL` `Jean-Paul`, `MARIA'S` `Maria's`.
fn push_titled(word: &str, titled: &mut String) {
    let mut initial = true;
    for (at, c) in word.chars().enumerate() {
        if initial {
            titled.push(c);
        } else {
            titled.extend(c.to_lowercase());
        }
        initial = match c {
            '\'' | '’' => at == 1,
            '-' | '/' | '.' | '&' | '(' => true,
            _ => false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_noise_comes_off_and_names_stay() {
        for (raw, expected) in [
            ("Starbucks", "Starbucks"),
            ("STARBUCKS STORE 12345 SEATTLE WA", "Starbucks"),
            ("starbucks #1234", "Starbucks"),
            ("SQ *BLUE BOTTLE COFFEE", "Blue Bottle Coffee"),
            ("TST* JOE'S PIZZA #12 BROOKLYN NY", "Joe's Pizza"),
            ("SQ *MARIA'S TACOS", "Maria's Tacos"),
            ("PAYPAL *NETFLIX.COM 402-935-7733", "Netflix"),
            ("PAYPAL *ACMEWIDGETS", "Acmewidgets"),
            ("PAYPAL INST XFER", "PayPal"),
            ("SP ALLBIRDS", "Allbirds"),
            ("AMZN Mktp US*2A3B4C5D6", "Amazon"),
            ("AMAZON.COM*MK1AB2CD3 AMZN.COM/BILL WA", "Amazon"),
            ("Amazon Web Services", "Amazon Web Services"),
            ("UBER   *EATS HELP.UBER.COM CA", "Uber Eats"),
            ("UBER *TRIP", "Uber"),
            ("MCDONALD'S F1234", "McDonald's"),
            ("WAL-MART #0456 AUSTIN TX", "Walmart"),
            ("TARGET T-1234", "Target"),
            ("Target Practice Range", "Target Practice Range"),
            ("7-ELEVEN 33012", "7-Eleven"),
            ("KFC", "KFC"),
            ("H&M 0123", "H&M"),
            ("IBM", "IBM"),
            ("APPLE.COM/BILL", "Apple"),
            ("GOOGLE *YouTubePremium", "YouTube Premium"),
            ("JOE'S DINER OAKLAND CA", "Joe's Diner"),
            ("THE BAKERY OF SAN FRANCISCO CA", "The Bakery of San Francisco"),
            ("ANCHOR COFFEE CO", "Anchor Coffee Co"),
            ("O'REILLY AUTO PARTS 1234", "O'Reilly Auto Parts"),
            ("CAFÉ  DE   FLORE", "Café de Flore"),
            ("BÄCKEREI MÜLLER", "Bäckerei Müller"),
            ("Acme Inc.", "Acme"),
            ("POS DEBIT 0412 CORNER MARKET", "Corner Market"),
            ("CHECKCARD 0412 GREEN LEAF LLC", "Green Leaf"),
            ("eBay", "eBay"),
            ("Alice's Café", "Alice's Café"),
            ("東京ラーメン", "東京ラーメン"),
            ("  Two   Spaces ", "Two Spaces"),
            ("24 HOUR LAUNDRY", "24 Hour Laundry"),
            ("#1234", "#1234"),
            ("SQ *", "SQ"),
            ("12345", "12345"),
            ("SEATTLE WA", "Seattle"),
            ("*", "*"),
        ] {
            assert_eq!(merchant(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_normalised_name_stays_as_it_is() {
        for raw in ["SQ *BLUE BOTTLE COFFEE", "KFC", "H&M 0123", "JOE'S DINER OAKLAND CA", "3M CO"]
        {
            let once = merchant(raw);
            assert_eq!(merchant(&once), once);
        }
    }

    #[test]
    fn a_folded_text_never_outgrows_its_buffer() {
        let long = "ÄÖÜ東京 ".repeat(40);
        assert!(Folded::of(&long).text().len() <= FOLDED_BYTES_MAX);
        assert_eq!(Folded::of("  McDonald’s -- 12 ").text(), "mcdonalds 12");
    }
}
