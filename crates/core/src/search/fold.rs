//! Texts as they are compared: whatever their case, accents and compatibility forms.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The accent that capitals write as a letter of its own (`ᾳ` is `ΑΙ`).
const IOTA_BELOW: char = '\u{345}';

/// Folds a text: without case, without accents, compatibility forms made plain. Each letter
/// becomes the small form of its capital, so that all small forms of one capital are the same
/// (`σ` and `ς`, `s` and `ſ`).
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| *c == IOTA_BELOW || !is_combining_mark(*c)) {
        for small in c.to_uppercase().flat_map(char::to_lowercase) {
            // Letters that Unicode does not take apart, but people type as plain ones.
            match small {
                'ß' => folded.push_str("ss"),
                'æ' => folded.push_str("ae"),
                'œ' => folded.push_str("oe"),
                'ø' => folded.push('o'),
                'ł' => folded.push('l'),
                'đ' | 'ð' => folded.push('d'),
                'ħ' => folded.push('h'),
                'ı' => folded.push('i'),
                'þ' => folded.push_str("th"),
                small => folded.push(small),
            }
        }
    }
    folded.nfkd().filter(|c| !is_combining_mark(*c)).collect()
}

/// The text as versions folded it to which the iota below a letter was an accent as any other: without
/// it. `None` when there is none.
#[must_use]
pub fn without_iota_below(text: &str) -> Option<String> {
    let has_iota = |c: char| !c.is_ascii() && [c].into_iter().nfkd().any(|c| c == IOTA_BELOW);
    text.contains(has_iota).then(|| {
        let mut plain = String::with_capacity(text.len());
        for c in text.chars() {
            if has_iota(c) {
                plain.extend([c].into_iter().nfkd().filter(|c| *c != IOTA_BELOW));
            } else {
                plain.push(c);
            }
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_and_small_letters_of_all_of_unicode_fold_alike() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let mut texts = vec![text.clone()];
            if text.to_uppercase() != text || text.to_lowercase() != text {
                // Beside another letter too, where a small form may depend on its place.
                texts.extend([format!("α{text}"), format!("{text}α")]);
            }
            for text in texts {
                let folded = fold(&text);
                assert_eq!(fold(&text.to_uppercase()), folded, "{text} {}", c.escape_unicode());
                assert_eq!(fold(&text.to_lowercase()), folded, "{text} {}", c.escape_unicode());
                assert_eq!(fold(&folded), folded, "{text} {}", c.escape_unicode());
            }
        }
    }

    #[test]
    fn only_iotas_below_letters_are_left_out() {
        assert_eq!(without_iota_below("φως ΑΙ ι"), None);
        let plain = without_iota_below("τῷ ᾳ α\u{345} ς é ＂").unwrap_or_default();
        assert_eq!(fold(&plain), "τω α α σ e \"");
        assert!(plain.contains('＂'), "what is no letter stays as it is");
    }

    #[test]
    fn letters_become_what_people_type() {
        for (text, folded) in [
            ("ΦΩΣ", "φωσ"),
            ("φως", "φωσ"),
            ("ΟΔΟΣ Οδός", "οδοσ οδοσ"),
            ("STRASSE Straße STRAẞE", "strasse strasse strasse"),
            ("Łódź İstanbul ısı", "lodz istanbul isi"),
            ("ᾳ ΑΙ", "αι αι"),
            ("ﬁne №5 ²", "fine no5 2"),
            ("Æsir Œuvre Þór", "aesir oeuvre thor"),
        ] {
            assert_eq!(fold(text), folded);
        }
    }
}
