//! Two texts have the same canonical bytes exactly when they mean the same.

#![cfg(test)]

use std::collections::BTreeMap;

use daybook_core::canonical::canonical;
use proptest::prelude::*;

/// What a JSON text may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    Null,
    Bool(bool),
    /// A sign, digits that do not end with a zero, and the power of ten that they are multiplied by.
    Number(bool, u64, i32),
    Text(String),
    List(Vec<Meaning>),
    Object(BTreeMap<String, Meaning>),
}

/// Few values, so that two are often the same.
fn meaning() -> impl Strategy<Value = Meaning> {
    let leaf = prop_oneof![
        Just(Meaning::Null),
        any::<bool>().prop_map(Meaning::Bool),
        (any::<bool>(), prop_oneof![0..40_u64, any::<u64>()], -25..25_i32).prop_map(number),
        text().prop_map(Meaning::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Meaning::List),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(Meaning::Object),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "", "a", "b", "ab", "1", "null", "é", "😀", "\"", "\\", "\n", "/"
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

fn number((sign, mut digits, mut power): (bool, u64, i32)) -> Meaning {
    if digits == 0 {
        return Meaning::Number(false, 0, 0);
    }
    while digits % 10 == 0 {
        (digits, power) = (digits / 10, power + 1);
    }
    Meaning::Number(sign, digits, power)
}

/// Makes the choices that a writer of JSON has.
struct Style(u64);

impl Style {
    fn choose(&mut self, ways: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % ways
    }

    fn space(&mut self, out: &mut String) {
        for _ in 0..self.choose(3) {
            let blank = [' ', '\t', '\n', '\r'];
            out.push(blank[usize::try_from(self.choose(4)).expect("small")]);
        }
    }

    fn write(&mut self, meaning: &Meaning, out: &mut String) {
        self.space(out);
        match meaning {
            Meaning::Null => out.push_str("null"),
            Meaning::Bool(value) => out.push_str(&value.to_string()),
            Meaning::Number(sign, digits, power) => self.number(*sign, *digits, *power, out),
            Meaning::Text(text) => self.text(text, out),
            Meaning::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    self.write(item, out);
                }
                self.space(out);
                out.push(']');
            }
            Meaning::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                for at in 0..members.len() {
                    let other = self.choose(members.len() as u64);
                    members.swap(at, usize::try_from(other).expect("small"));
                }
                out.push('{');
                for (at, (name, value)) in members.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    self.space(out);
                    self.text(name, out);
                    self.space(out);
                    out.push(':');
                    self.write(value, out);
                }
                self.space(out);
                out.push('}');
            }
        }
        self.space(out);
    }

    /// The digits with zeros around and a point somewhere, and the exponent that makes up for it.
    fn number(&mut self, sign: bool, digits: u64, power: i32, out: &mut String) {
        let sign = sign || (digits == 0 && self.choose(2) == 0);
        let more = usize::try_from(self.choose(4)).expect("small");
        let text = format!("{digits}{}", "0".repeat(more));
        let after = usize::try_from(self.choose(text.len() as u64 + 3)).expect("small");
        let text = format!("{}{text}", "0".repeat((after + 1).saturating_sub(text.len())));
        let (whole, fraction) = text.split_at(text.len() - after);
        let whole = whole.trim_start_matches('0');
        out.push_str(if sign { "-" } else { "" });
        out.push_str(if whole.is_empty() { "0" } else { whole });
        if after > 0 {
            out.push('.');
            out.push_str(fraction);
        }
        let exponent =
            power - i32::try_from(more).expect("small") + i32::try_from(after).expect("small");
        if exponent != 0 || self.choose(2) == 0 {
            out.push(if self.choose(2) == 0 { 'e' } else { 'E' });
            let plus = if self.choose(2) == 0 { "+" } else { "" };
            out.push_str(if exponent < 0 { "-" } else { plus });
            out.push_str(&"0".repeat(usize::try_from(self.choose(3)).expect("small")));
            out.push_str(&exponent.unsigned_abs().to_string());
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for letter in text.chars() {
            let must = matches!(letter, '"' | '\\' | '\0'..'\u{20}');
            if must || self.choose(3) == 0 {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let escape = match self.choose(2) {
                        0 => format!("\\u{unit:04x}"),
                        _ => format!("\\u{unit:04X}"),
                    };
                    out.push_str(&escape);
                }
            } else {
                out.push(letter);
            }
        }
        out.push('"');
    }
}

fn written(meaning: &Meaning, style: u64) -> String {
    let mut out = String::new();
    Style(style).write(meaning, &mut out);
    out
}

/// The meaning with one part of it changed.
fn changed(meaning: &Meaning, style: &mut Style) -> Meaning {
    match meaning {
        Meaning::Null => Meaning::Bool(false),
        Meaning::Bool(value) => Meaning::Bool(!value),
        Meaning::Number(sign, digits, power) => match style.choose(3) {
            0 => number((*sign, digits.wrapping_add(1), *power)),
            1 if *digits > 0 => Meaning::Number(!sign, *digits, *power),
            _ if *digits > 0 => Meaning::Number(*sign, *digits, power + 1),
            _ => Meaning::Text("0".to_owned()),
        },
        Meaning::Text(text) => Meaning::Text(format!("{text}0")),
        Meaning::List(items) => {
            let mut items = items.clone();
            let at = usize::try_from(style.choose(items.len() as u64 + 1)).expect("small");
            match items.get_mut(at) {
                Some(item) if style.choose(2) == 0 => *item = changed(item, style),
                Some(_) => drop(items.remove(at)),
                None => items.push(Meaning::Null),
            }
            Meaning::List(items)
        }
        Meaning::Object(members) => {
            let mut members = members.clone();
            let at = usize::try_from(style.choose(members.len() as u64 + 1)).expect("small");
            let name = members.keys().nth(at).cloned();
            match name {
                Some(name) if style.choose(2) == 0 => {
                    let value = members.remove(&name).expect("there");
                    members.insert(name, changed(&value, style));
                }
                Some(name) => drop(members.remove(&name)),
                None => drop(members.insert(format!("new {}", members.len()), Meaning::Null)),
            }
            Meaning::Object(members)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_same_written_otherwise_is_the_same(
        meaning in meaning(), one in any::<u64>(), another in any::<u64>(),
    ) {
        let (one, another) = (written(&meaning, one), written(&meaning, another));
        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&one).is_ok(), "{}", one);
        let found = canonical(&one);
        prop_assert!(found.is_some(), "{}", one);
        prop_assert_eq!(found, canonical(&another), "{} {}", one, another);
    }

    #[test]
    fn any_change_of_meaning_is_another(
        meaning in meaning(), style in any::<u64>(), one in any::<u64>(), another in any::<u64>(),
    ) {
        let other = changed(&meaning, &mut Style(style));
        prop_assume!(other != meaning);
        let (one, another) = (written(&meaning, one), written(&other, another));
        prop_assert_ne!(canonical(&one), canonical(&another), "{} {}", one, another);
    }

    #[test]
    fn two_are_the_same_only_when_they_mean_the_same(
        a in meaning(), b in meaning(), one in any::<u64>(), another in any::<u64>(),
    ) {
        let same = canonical(&written(&a, one)) == canonical(&written(&b, another));
        prop_assert_eq!(same, a == b);
    }

    /// What is read here is JSON for everybody else too.
    #[test]
    fn only_json_has_a_meaning(
        meaning in meaning(), style in any::<u64>(), at in any::<prop::sample::Index>(),
        with in prop::sample::select(vec!["", "0", "-", ".", "e", ",", ":", "\"", "\\", "{", "]", " ", "u"]),
    ) {
        let text = written(&meaning, style);
        let at = (0..=at.index(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at));
        let (before, after) = text.split_at(at.unwrap_or(0));
        let cut: String = after.chars().skip(1).collect();
        for broken in [format!("{before}{with}{after}"), format!("{before}{with}{cut}")] {
            if canonical(&broken).is_some() {
                let read = serde_json::from_str::<&serde_json::value::RawValue>(&broken);
                prop_assert!(read.is_ok(), "{}", broken);
            }
        }
    }
}
