//! The canonical form of a JSON text: two texts that mean the same have the same bytes, however they order
//! members, write numbers, escape letters or use whitespace; two that do not never have.
//!
//! | value | bytes |
//! |---|---|
//! | `null`, `true`, `false` | `n`, `t`, `f` |
//! | a number | `#`, `-` when it is below zero, its digits without zeros around, `e`, the exponent, `;` |
//! | a number whose exponent is beyond all measure | `~`, its text, `;` |
//! | a text | `"`, its length as four bytes, its letters |
//! | an array | `[`, its items, `]` |
//! | an object | `{`, its members, sorted, `}` |
//! | what is no JSON, as one of several items | `!`, its length as eight bytes, its text |

/// The deepest nesting that is read; every body that is accepted is nested less.
const DEPTH_MAX: usize = 32;
/// The most digits of an exponent that is counted with.
const EXPONENT_DIGITS_MAX: usize = 15;

/// The meaning of a JSON text; `None` when it is no JSON or nested deeper than anything that is accepted.
#[must_use]
pub fn canonical(text: &str) -> Option<Vec<u8>> {
    let mut writer = Writer::new(text, Vec::with_capacity(text.len()));
    writer.whole()?;
    Some(writer.out)
}

/// The meaning of several JSON texts as items of one array. A text that is no JSON stands for itself.
#[must_use]
pub fn canonical_items<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut out = vec![b'['];
    for text in texts {
        let start = out.len();
        let mut writer = Writer::new(text, out);
        let is_json = writer.whole().is_some();
        out = writer.out;
        if !is_json {
            out.truncate(start);
            out.push(b'!');
            out.extend_from_slice(&(text.len() as u64).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.push(b']');
    out
}

/// Reads a text once, from its beginning to its end, and writes what it means.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: Vec<u8>,
    /// The beginnings and ends in `out` of the members of each open object, the innermost last.
    members: Vec<(usize, usize)>,
}

impl<'a> Writer<'a> {
    fn new(text: &'a str, out: Vec<u8>) -> Self {
        Self { text, at: 0, out, members: Vec::new() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over a byte that must be next.
    fn eat(&mut self, byte: u8) -> Option<()> {
        self.eats(byte).then_some(())
    }

    fn eats(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn whole(&mut self) -> Option<()> {
        self.space();
        self.value(DEPTH_MAX)?;
        self.space();
        self.peek().is_none().then_some(())
    }

    fn value(&mut self, depth_left: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth_left.checked_sub(1)?),
            b'[' => self.array(depth_left.checked_sub(1)?),
            b'"' => self.string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let first = word.as_bytes().first()?;
        if !rest.starts_with(word) {
            return None;
        }
        self.at += word.len();
        self.out.push(*first);
        Some(())
    }

    fn array(&mut self, depth_left: usize) -> Option<()> {
        self.eat(b'[')?;
        self.out.push(b'[');
        self.space();
        if !self.eats(b']') {
            loop {
                self.space();
                self.value(depth_left)?;
                self.space();
                if !self.eats(b',') {
                    break self.eat(b']')?;
                }
            }
        }
        self.out.push(b']');
        Some(())
    }

    fn object(&mut self, depth_left: usize) -> Option<()> {
        self.eat(b'{')?;
        self.out.push(b'{');
        let (first, start) = (self.members.len(), self.out.len());
        self.space();
        if !self.eats(b'}') {
            loop {
                self.space();
                let begin = self.out.len();
                self.string()?;
                self.space();
                self.eat(b':')?;
                self.space();
                self.value(depth_left)?;
                self.members.push((begin, self.out.len()));
                self.space();
                if !self.eats(b',') {
                    break self.eat(b'}')?;
                }
            }
        }
        self.sort(first, start)?;
        self.out.push(b'}');
        Some(())
    }

    /// Puts the members of an object in the order of their bytes.
    fn sort(&mut self, first: usize, start: usize) -> Option<()> {
        let (members, out) = (self.members.get_mut(first..)?, &mut self.out);
        let bytes = |&(begin, end): &(usize, usize)| out.get(begin..end).unwrap_or_default();
        if !members.is_sorted_by_key(bytes) {
            members.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
            let end = out.len();
            for &mut (begin, end) in members {
                out.extend_from_within(begin..end);
            }
            out.copy_within(end.., start);
            out.truncate(end);
        }
        self.members.truncate(first);
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.eat(b'"')?;
        self.out.push(b'"');
        let length_at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        let start = self.out.len();
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            self.out.extend_from_slice(rest.get(..plain)?);
            self.at += plain + 1;
            match rest.get(plain)? {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
        let length = u32::try_from(self.out.len() - start).ok()?;
        self.out.get_mut(length_at..start)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        let letter = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return None,
        };
        self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    fn code_point(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.eat(b'\\')?;
        self.eat(b'u')?;
        let second = self.four_digits()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)
    }

    fn number(&mut self) -> Option<()> {
        let text_start = self.at;
        let start = self.out.len();
        self.out.push(b'#');
        let is_negative = self.eats(b'-');
        let digits_start = self.out.len();
        let leads_with_zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if leads_with_zero && whole > 1 {
            return None;
        }
        let fraction = if self.eats(b'.') { self.digits()? } else { 0 };
        let exponent = if self.eats(b'e') || self.eats(b'E') { self.exponent()? } else { Some(0) };
        let digits = self.out.get(digits_start..)?;
        let Some(leading) = digits.iter().position(|digit| *digit != b'0') else {
            self.out.truncate(digits_start);
            self.out.push(b';');
            return Some(());
        };
        let trailing = digits.iter().rev().position(|digit| *digit != b'0')?;
        let Some(exponent) = exponent else {
            let text = self.text.get(text_start..self.at)?;
            self.out.truncate(start);
            self.out.push(b'~');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b';');
            return Some(());
        };
        self.out.truncate(self.out.len() - trailing);
        self.out.drain(digits_start..digits_start + leading);
        if is_negative {
            self.out.insert(digits_start, b'-');
        }
        let exponent = exponent - i64::try_from(fraction).ok()? + i64::try_from(trailing).ok()?;
        self.out.push(b'e');
        if exponent != 0 {
            self.out.extend_from_slice(exponent.to_string().as_bytes());
        }
        self.out.push(b';');
        Some(())
    }

    /// Copies one digit or more; says how many.
    fn digits(&mut self) -> Option<usize> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.out.extend_from_slice(rest.get(..count)?);
        self.at += count;
        (count > 0).then_some(count)
    }

    /// Reads an exponent; `Some(None)` is one that is too large to count with.
    #[expect(clippy::option_option, reason = "no number, and one beyond all measure")]
    fn exponent(&mut self) -> Option<Option<i64>> {
        let is_negative = self.eats(b'-');
        if !is_negative {
            self.eats(b'+');
        }
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = self.text.get(start..self.at).filter(|digits| !digits.is_empty())?;
        let digits = digits.trim_start_matches('0');
        if digits.len() > EXPONENT_DIGITS_MAX {
            return Some(None);
        }
        let exponent: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        Some(Some(if is_negative { -exponent } else { exponent }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        for group in [
            &["4.5", "4.50", " 45e-1 ", "0.45E+1", "4500e-3", "4.5e0", "4.5e-00"][..],
            &["0", "-0", "0.000", "0e5", "-0.0e-7", "0e99999999999999999999"],
            &["100", "1e2", "1E+02", "100.0", "0.1e3"],
            &["-100", "-1e2"],
            &["\"café\"", "\"caf\\u00e9\"", "\"caf\\u00E9\"", "\"\\u0063af\\u00e9\""],
            &["\"😀\"", "\"\\ud83d\\ude00\""],
            &["\"a/b\\n\"", "\"a\\/b\\u000a\""],
            &[
                "{\"a\":1,\"b\":{\"c\":2,\"d\":3}}",
                "{ \"b\" : {\"d\":3.0,\n\"c\":2}, \"\\u0061\":1 }",
            ],
            &["[]", "[ ]", "\t[\r\n]"],
            &["{}", "{ }"],
            &["1e9999999999999999999", "1e9999999999999999999 "],
        ] {
            let first = canonical(group[0]).expect(group[0]);
            for text in group {
                assert_eq!(canonical(text).as_ref(), Some(&first), "{text}");
            }
        }
    }

    #[test]
    fn what_means_another_thing_is_another() {
        let texts = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "10",
            "1e1000",
            "1e1001",
            "4.5",
            "\"4.5\"",
            "\"\"",
            "\"a\"",
            "\"null\"",
            "[]",
            "[[]]",
            "[1,2]",
            "[2,1]",
            "[12]",
            "[null]",
            "{}",
            "[{}]",
            "{\"a\":1}",
            "{\"a\":\"1\"}",
            "{\"a\":null}",
            "{\"a\":[1]}",
            "{\"a\":1,\"b\":2}",
            "{\"a\":2,\"b\":1}",
            "{\"a\":{\"b\":1}}",
            "{\"a\":{},\"b\":1}",
            "{\"\":1}",
            "[\"a\",\"b\"]",
            "[\"a\\\",\\\"b\"]",
            "[\"ab\"]",
            "1e99999999999999999999",
            "2e99999999999999999999",
            "1e-99999999999999999999",
        ];
        for (at, a) in texts.iter().enumerate() {
            for b in texts.iter().skip(at + 1) {
                assert_ne!(canonical(a).expect(a), canonical(b).expect(b), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_no_json_means_nothing() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "1 2",
            "[1,]",
            "[,1]",
            "[1",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1",
            "{1:2}",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\u00g0\"",
            "\"\\u+123\"",
            "\"\n\"",
            "'a'",
            "NaN",
            "Infinity",
            "\u{feff}1",
            "1//",
            "\u{a0}1",
        ] {
            assert_eq!(canonical(text), None, "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(canonical(&deep(DEPTH_MAX)).is_some());
        assert_eq!(canonical(&deep(DEPTH_MAX + 1)), None);
    }

    #[test]
    fn items_stand_for_themselves_where_they_are_no_json() {
        let array = canonical("[{\"a\":1.0},2]").expect("JSON");
        assert_eq!(canonical_items(["{\"a\": 1}", " 2.0"]), array);
        assert_ne!(canonical_items(["2", "{\"a\":1}"]), array);
        assert_ne!(canonical_items(["{a"]), canonical_items(["{b"]));
        assert_ne!(canonical_items(["{a", "1"]), canonical_items(["{a1"]));
    }
}
