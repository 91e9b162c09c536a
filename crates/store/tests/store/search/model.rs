//! A naive reading of the rule of searches (`docs/search.md`), made without the code of the stores:
//! every word of every item is compared with every searched word.

use daybook_core::TransactionId;
use serde_json::Value;

/// An item as a search sees it.
#[derive(Debug)]
pub struct Item {
    pub id: TransactionId,
    created_at: String,
    /// The words of each value.
    pub fields: Vec<Vec<String>>,
    /// What people read, word by word.
    title: Vec<String>,
    labels: Vec<Label>,
}

/// Words that follow from what the item is; values may stand before and behind them.
#[derive(Debug)]
struct Label {
    words: Vec<String>,
    before: bool,
    behind: bool,
}

impl Item {
    /// Reads the published JSON of an item.
    pub fn of(id: TransactionId, text: &str) -> Self {
        let json: &Value = &serde_json::from_str(text).expect("JSON");
        // A number keeps its digits in the text only.
        let amount = text.split(r#""amount":"#).nth(1).and_then(|rest| rest.split(',').next());
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        let mut fields: Vec<Vec<String>> = vec![words(amount.unwrap_or_default())];
        values(&json["metadata"], &mut fields);
        let display = &json["display"];
        let shown = |name: &str| words(display[name].as_str().unwrap_or_default());
        let merchant = shown("merchant");
        if !merchant.iter().all(|word| fields.iter().flatten().any(|known| known == word)) {
            fields.push(merchant);
        }
        let title = [shown("title"), shown("subtitle")].concat();
        let mut labels = labels(json);
        let names = ["transaction_type", "status", "product", "currency"].map(text);
        labels.extend(names.map(label));
        let known = |word: &String| {
            let begins = |known: &String| known.starts_with(word.as_str());
            fields.iter().flatten().any(begins)
                || labels.iter().any(|label| label.words.contains(word))
        };
        fields.push(title.iter().filter(|word| !known(word)).cloned().collect());
        Self { id, created_at: text("created_at").to_owned(), fields, title, labels }
    }

    /// The words that people read, and those of the type.
    pub fn shown(&self) -> Vec<String> {
        let of_type = self.labels.iter().filter(|label| !label.before && !label.behind);
        let of_type = of_type.flat_map(|label| label.words.clone());
        self.title.iter().cloned().chain(of_type).collect()
    }

    /// Some words that few other items have.
    pub fn rarest(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.fields.iter().flatten().map(String::as_str).collect();
        words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
        words.truncate(3);
        words
    }

    fn tier_of_word(&self, typed: &str) -> Option<usize> {
        let of_labels = self.labels.iter().flat_map(|label| &label.words);
        let words = || self.fields.iter().flatten().chain(of_labels.clone());
        if words().any(|word| word == typed) {
            Some(0)
        } else if words().any(|word| word.starts_with(typed)) {
            Some(1)
        } else {
            words().any(|word| is_typo(typed, word)).then_some(2)
        }
    }

    fn has_in_order(&self, phrase: &[String]) -> bool {
        self.fields.iter().any(|field| field.windows(phrase.len()).any(|words| words == phrase))
    }

    fn has_phrase(&self, phrase: &[String]) -> bool {
        self.has_in_order(phrase) || self.labels.iter().any(|label| self.reads(label, phrase))
    }

    /// Whether the phrase is a part of the label, or goes on into the values beside it.
    fn reads(&self, Label { words, before, behind }: &Label, phrase: &[String]) -> bool {
        let mut cuts =
            (0..=phrase.len()).flat_map(|from| (from..=phrase.len()).map(move |to| (from, to)));
        cuts.any(|(from, to)| {
            let (left, own, right) = (&phrase[..from], &phrase[from..to], &phrase[to..]);
            let value = |part: &[String]| part.is_empty() || self.has_in_order(part);
            let fits_left = left.is_empty() || (*before && words.starts_with(own));
            let fits_right = right.is_empty() || (*behind && words.ends_with(own));
            let is_part = words.windows(own.len().max(1)).any(|part| part == own);
            !own.is_empty() && is_part && fits_left && fits_right && value(left) && value(right)
        })
    }
}

/// The items that a search finds: how well, the best and then the newest first.
pub fn search(items: &[Item], text: &str) -> Vec<(usize, TransactionId)> {
    let mut found = Vec::new();
    for item in items {
        let mut worst = Some(0);
        for (part, piece) in text.split('"').enumerate() {
            let typed = words(piece);
            if part % 2 == 1 {
                let has = typed.is_empty() || item.has_phrase(&typed);
                worst = worst.filter(|_| has);
            } else {
                for word in typed {
                    worst = worst.zip(item.tier_of_word(&word)).map(|(a, b)| a.max(b));
                }
            }
        }
        found.extend(worst.map(|tier| (tier, &item.created_at, item.id)));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(a.1)).then(b.2.cmp(&a.2)));
    found.into_iter().map(|(tier, _, id)| (tier, id)).collect()
}

/// A label as `docs/search.md` writes it.
fn label(text: &str) -> Label {
    Label { words: words(text), before: text.starts_with('…'), behind: text.ends_with('…') }
}

fn labels(json: &Value) -> Vec<Label> {
    let metadata = &json["metadata"];
    let is = |name: &str, text: &str| metadata[name] == text;
    let has = |name: &str| metadata.get(name).is_some();
    let mut texts: Vec<&str> = Vec::new();
    match json["transaction_type"].as_str().unwrap_or_default() {
        "card" => {
            texts.push("Card payment");
            texts.extend(is("operation", "refund").then_some("Card refund"));
        }
        "p2p" => {
            texts.extend(["P2P transfer", "Money"]);
            let sent = match metadata["direction"].as_str() {
                Some(direction) => direction == "sent",
                None => json["side"] == "debit",
            };
            texts.extend(if sent {
                ["Money sent", "To …"]
            } else {
                ["Money received", "From …"]
            });
        }
        "crypto" => {
            texts.extend(["Crypto transaction", "… transaction"]);
            let done = metadata.get("operation").or(metadata.get("side"));
            let verbs = [
                ("buy", "Bought …"),
                ("sell", "Sold …"),
                ("send", "Sent …"),
                ("receive", "Received …"),
                ("swap", "Swapped …"),
                ("convert", "Converted …"),
                ("trade", "Traded …"),
                ("transfer", "Transferred …"),
                ("stake", "Staked …"),
                ("unstake", "Unstaked …"),
                ("reward", "Earned …"),
                ("stake_reward", "Earned …"),
                ("staking_reward", "Earned …"),
                ("airdrop", "Earned …"),
                ("mining", "Mined …"),
                ("deposit", "Deposited …"),
                ("withdraw", "Withdrew …"),
                ("withdrawal", "Withdrew …"),
                ("mint", "Minted …"),
            ];
            let verb = verbs.iter().find(|(name, _)| done.is_some_and(|done| done == name));
            texts.extend(verb.map(|(_, verb)| *verb));
            texts.extend((has("to_asset") || has("to_coin")).then_some("… for …"));
        }
        "top_up" => {
            texts.push("Top-up");
            texts.extend(has("bank_name").then_some("Top-up from …"));
        }
        "withdrawal" => {
            texts.push("Withdrawal");
            texts.extend(has("bank_name").then_some("Withdrawal to …"));
            texts.extend((is("method", "atm") || has("atm_location")).then_some("ATM withdrawal"));
            texts.extend(is("method", "cash").then_some("Cash withdrawal"));
        }
        "bill_payment" => {
            texts.extend(["Bill payment", "… bill"]);
            texts.extend(has("due_date").then_some("due …"));
        }
        "earnings" => {
            texts.push("Earnings");
            let pays = ["payer", "employer", "company", "payer_name"];
            texts.extend(pays.iter().any(|name| has(name)).then_some("… from …"));
        }
        _ => texts.push("Other transaction"),
    }
    texts.into_iter().map(label).collect()
}

fn values(json: &Value, fields: &mut Vec<Vec<String>>) {
    match json {
        Value::String(text) => fields.push(words(text)),
        Value::Number(number) => fields.push(words(&number.to_string())),
        Value::Array(items) => items.iter().for_each(|item| values(item, fields)),
        Value::Object(entries) => entries.values().for_each(|value| values(value, fields)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn plain(c: char) -> String {
    let c = match c {
        'ß' => return "ss".to_owned(),
        'é' | 'ë' | 'è' | 'É' => 'e',
        'ö' | 'ó' => 'o',
        'ü' => 'u',
        'ά' => 'α',
        'ό' | 'Ό' => 'ο',
        'ώ' | 'Ώ' => 'ω',
        'ς' => 'σ',
        c => c,
    };
    c.to_lowercase().collect()
}

pub fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> =
        text.chars().flat_map(|c| plain(c).chars().collect::<Vec<_>>()).collect();
    let mut words = vec![String::new()];
    for (at, c) in chars.iter().enumerate() {
        let is_digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
        let is_point = *c == '.' && at > 0 && is_digit(at - 1) && is_digit(at + 1);
        match c.is_alphanumeric() || is_point {
            true => words.last_mut().expect("one").push(*c),
            false => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a word may be meant by a mistyped one: one typo from 4 characters on and two from 8
/// letters on, all of them in the letters before the first digit, of which there are 3 at least.
fn is_typo(typed: &str, word: &str) -> bool {
    let split = |text: &str| {
        let at = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (letters, rest) = text.split_at(at);
        (letters.chars().collect::<Vec<char>>(), rest.to_owned())
    };
    let ((typed, rest), (letters, other_rest)) = (split(typed), split(word));
    if rest != other_rest || typed.len() < 3 || (rest.is_empty() && typed.len() < 4) {
        return false;
    }
    let allowed = if typed.len() < 8 { 1 } else { 2 };
    (1..=allowed).contains(&distance(&typed, &letters))
}

/// Letters too many, too few, others, and swapped neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut costs = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            costs[i][j] = match (i, j) {
                (0, j) => j,
                (i, 0) => i,
                (i, j) => {
                    let other = usize::from(a[i - 1] != b[j - 1]);
                    let mut least = costs[i - 1][j - 1] + other;
                    least = least.min(costs[i - 1][j] + 1).min(costs[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        least = least.min(costs[i - 2][j - 2] + 1);
                    }
                    least
                }
            };
        }
    }
    costs[a.len()][b.len()]
}

/// A word of letters for a number.
pub fn letters(mut number: usize) -> String {
    let mut text = String::new();
    loop {
        text.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return text;
        }
    }
}
