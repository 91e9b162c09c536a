//! Makes texts that clients sent fit for a screen: without what cannot be seen or turns the order of
//! letters around, on one line, and not longer than a line of an app.

use unicode_normalization::char::is_combining_mark;

use super::{Display, SEPARATOR};
use crate::json::Json;
use crate::limits::DISPLAY_CHARS_MAX;
use crate::transaction::Transaction;

const ELLIPSIS: char = '…';
const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';

impl Transaction {
    /// The texts for people about the item. A text of which nothing can be seen is left out.
    #[must_use]
    pub fn display(&self) -> Display {
        let Display { title, subtitle, category, merchant, card } = self.kind().display(self);
        let some = |text: String| Some(cleaned(text)).filter(|text| !text.is_empty());
        let title = some(title).unwrap_or_else(|| {
            let bare = Self { metadata: Json::Object(Vec::new()), ..self.clone() };
            bare.kind().display(&bare).title
        });
        let subtitle = subtitle.and_then(|text| {
            if is_clean(&text) {
                return Some(text);
            }
            let parts: Vec<String> = text.split(SEPARATOR).map(visible).collect();
            let parts: Vec<Option<&str>> = parts.iter().map(|part| Some(part.as_str())).collect();
            super::join(&parts)
        });
        Display {
            title,
            subtitle: subtitle.and_then(some),
            category,
            merchant: merchant.and_then(some),
            card: card.and_then(some),
        }
    }
}

/// One line of visible letters, cut where it is too long.
fn cleaned(text: String) -> String {
    if is_clean(&text) { text } else { cut(visible(&text)) }
}

/// Tells whether a text can be shown as it is, as most can.
fn is_clean(text: &str) -> bool {
    let is_plain = |c: char| match c {
        ' '..='~' => true,
        _ => !is_hidden(c) && !is_joiner(c) && !is_blank(c),
    };
    text.len() <= DISPLAY_CHARS_MAX
        && text.chars().all(is_plain)
        && !text.contains("  ")
        && !text.starts_with(' ')
        && !text.ends_with(' ')
}

/// The visible letters of a text, with one blank wherever there were some.
fn visible(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_blank(c) {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if matches!(c, ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER) {
            // They join pictures and shape Persian and Indic letters; elsewhere they only hide.
            if line.chars().next_back().is_some_and(|last| !last.is_ascii() && !is_joiner(last)) {
                line.push(c);
            }
        } else if !is_hidden(c) {
            line.push(c);
        }
    }
    let end = line.trim_end_matches(|c| c == ' ' || is_joiner(c)).len();
    line.truncate(end);
    line
}

fn is_joiner(c: char) -> bool {
    matches!(c, ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER)
}

fn is_blank(c: char) -> bool {
    // Separators of lines and paragraphs are among the blanks.
    c.is_whitespace()
}

/// Control characters, what turns the order of letters around, and what has no width.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Tells whether a character belongs to the one before it, so that a text is not cut between them.
fn goes_on(c: char) -> bool {
    is_combining_mark(c)
        || is_joiner(c)
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// The beginning of a text that is too long, with an ellipsis.
fn cut(line: String) -> String {
    if line.chars().count() <= DISPLAY_CHARS_MAX {
        return line;
    }
    let chars: Vec<char> = line.chars().collect();
    let mut end = DISPLAY_CHARS_MAX - 1;
    let splits = |end: usize| {
        let (before, behind) = (end.checked_sub(1).and_then(|at| chars.get(at)), chars.get(end));
        behind.is_some_and(|c| goes_on(*c)) || before.is_some_and(|c| is_joiner(*c))
    };
    while end > 0 && splits(end) {
        end -= 1;
    }
    // A letter with more marks than a line has room for is cut all the same.
    let end = if end == 0 { DISPLAY_CHARS_MAX - 1 } else { end };
    let head: String = chars.iter().take(end).collect();
    format!("{}{ELLIPSIS}", head.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::{EventSeq, TransactionId, UserId};
    use crate::kind::KINDS;
    use crate::time::Timestamp;
    use crate::transaction::{NewTransaction, Vocabulary};

    #[test]
    fn what_cannot_be_seen_comes_off() {
        for (text, expected) in [
            ("Blue Bottle", "Blue Bottle"),
            ("  Blue\t\r\n Bottle ", "Blue Bottle"),
            ("a\u{0}b\u{7}c\u{85}d\u{9f}", "abc d"),
            ("\u{202e}gpj.exe\u{202c}", "gpj.exe"),
            ("pay\u{200b}pal\u{feff}\u{2066}x\u{2069}", "paypalx"),
            ("a\u{200d}b", "ab"),
            ("line\u{2028}line", "line line"),
            ("👩\u{200d}👩\u{200d}👧", "👩\u{200d}👩\u{200d}👧"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("שלום עולם", "שלום עולם"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("\u{202e}\u{0}", ""),
        ] {
            assert_eq!(cleaned(text.to_owned()), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_letters() {
        let most = "x".repeat(DISPLAY_CHARS_MAX);
        assert_eq!(cleaned(most.clone()), most);
        let kept = DISPLAY_CHARS_MAX - 1;
        assert_eq!(cleaned(format!("{most}y")), format!("{}…", "x".repeat(kept)));
        // Neither before an accent nor after a joiner.
        let accent = format!("{}e\u{301}{most}", "x".repeat(kept - 1));
        assert_eq!(cleaned(accent), format!("{}…", "x".repeat(kept - 1)));
        let joined = format!("{}👩\u{200d}👧{most}", "x".repeat(kept - 2));
        assert_eq!(cleaned(joined), format!("{}…", "x".repeat(kept - 2)));
        let marks = format!("e{}", "\u{301}".repeat(5_000));
        assert_eq!(cleaned(marks).chars().count(), DISPLAY_CHARS_MAX);
    }

    /// The names of metadata that kinds look at, and of some that none does.
    fn names() -> Vec<String> {
        let mut names: Vec<String> = [
            "title",
            "description",
            "name",
            "reason",
            "note",
            "memo",
            "message",
            "reference",
            "peer_name",
            "peer_id",
            "biller",
            "payee",
            "bill_type",
            "category",
            "due_date",
            "asset",
            "symbol",
            "to_asset",
            "quantity",
            "network",
            "exchange",
            "earnings_type",
            "payer",
            "employer",
            "period",
            "rate",
            "bank_name",
            "method",
            "location",
            "merchant_name",
            "merchant_category",
            "merchant_city",
        ]
        .map(str::to_owned)
        .to_vec();
        for kind in KINDS {
            let example = Json::parse(kind.example(), usize::MAX).expect("an example");
            if let Some(Json::Object(entries)) = example.get("metadata") {
                names.extend(entries.iter().map(|(name, _)| name.clone()));
            }
        }
        names
    }

    fn hostile() -> impl Strategy<Value = String> {
        let letter = prop_oneof![
            3 => any::<char>(),
            3 => prop::sample::select(vec!['a', 'Z', '7', ' ', '·', '*', '#', '-', '/']),
            3 => prop::sample::select(vec![
                '\u{0}', '\u{1b}', '\u{7f}', '\u{85}', '\u{202e}', '\u{2066}', '\u{200b}',
                '\u{200d}', '\u{301}', '\u{feff}', '\u{2028}', '\u{e0041}', '\t', '👩',
            ]),
        ];
        let text = prop::collection::vec(letter, 0..40);
        (text, prop_oneof![4 => Just(1_usize), 1 => Just(200)])
            .prop_map(|(text, times)| text.into_iter().collect::<String>().repeat(times))
    }

    proptest! {
        #[test]
        fn people_read_one_short_line_whatever_is_sent(
            values in prop::collection::vec((prop::sample::select(names()), hostile()), 0..12),
        ) {
            for kind in KINDS {
                let id = TransactionId(uuid::Uuid::nil());
                let user = UserId::parse("ann").expect("a user");
                let new = NewTransaction::parse(
                    kind.example(), id, Some(&user), &Vocabulary::default(),
                );
                let mut item = new.expect("an example").record(Timestamp::default(), EventSeq(1));
                let metadata = values.iter().map(|(name, text)| {
                    (name.clone(), Json::String(text.clone()))
                });
                item.metadata = Json::Object(metadata.collect());
                let Display { title, subtitle, merchant, card, .. } = item.display();
                prop_assert!(!title.is_empty());
                for text in [Some(title), subtitle, merchant, card].into_iter().flatten() {
                    prop_assert!(!text.is_empty() && text.chars().count() <= DISPLAY_CHARS_MAX);
                    prop_assert!(!text.chars().any(|c| is_hidden(c) && !is_joiner(c)), "{text:?}");
                    prop_assert!(!text.chars().any(|c| c != ' ' && is_blank(c)), "{text:?}");
                    prop_assert!(!text.contains("  ") && text.trim() == text, "{text:?}");
                    prop_assert_eq!(cleaned(text.clone()), text);
                }
            }
        }
    }
}
