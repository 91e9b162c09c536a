//! Files of other kinds than an import reads, told by how they begin, so that one sentence names
//! the kind instead of one refusal for each of its lines.

/// How much of a file's beginning is looked at.
pub const BEGINNING_BYTES: usize = 4 * 1024;

const CONVERT: &str = "ask for the same data as CSV, or convert it, and import that with --mapping";

/// The sentence that names a file's kind; `None` where the lines may be what an import reads.
pub fn named(beginning: &[u8], is_mapped: bool) -> Option<String> {
    if let Some((kind, advice)) = binary(beginning) {
        return Some(format!("is {kind}; {advice}"));
    }
    let text = String::from_utf8_lossy(beginning);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if let Some(kind) = statement(text) {
        return Some(format!("is {kind}, which is not read; {CONVERT}"));
    }
    // Without a mapping every line is an object; blank files have no line to name.
    if is_mapped || text.is_empty() || text.starts_with('{') {
        return None;
    }
    if let Some(items) = text.strip_prefix('[') {
        let advice = "write one object a line (`jq -c '.[]' FILE`), and import that";
        return items.trim_start().starts_with('{').then(|| format!("is a JSON array; {advice}"));
    }
    let header = text.lines().next().unwrap_or_default();
    header.contains([',', ';', '\t']).then(|| {
        "begins as CSV does; say with --mapping FILE how its columns become transactions".to_owned()
    })
}

fn binary(beginning: &[u8]) -> Option<(&'static str, &'static str)> {
    const SHEET: &str = "save its sheet as CSV, and import that with --mapping";
    const UTF_8: &str = "save it as UTF-8 (`iconv -f UTF-16 -t UTF-8 FILE`), and import that";
    let has = |name: &[u8]| beginning.windows(name.len()).any(|part| part == name);
    Some(match beginning {
        [b'P', b'K', 3, 4, ..] if has(b"opendocument.spreadsheet") => {
            ("a spreadsheet (ODS)", SHEET)
        }
        [b'P', b'K', 3, 4, ..] if has(b"xl/") || has(b"[Content_Types].xml") => {
            ("a spreadsheet (XLSX)", SHEET)
        }
        [b'P', b'K', 3, 4, ..] => {
            ("a ZIP archive or a spreadsheet", "unpack it, or save its sheet as CSV")
        }
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => ("a spreadsheet (XLS)", SHEET),
        [0x1f, 0x8b, ..] => {
            ("compressed (gzip)", "unpack it on the way in: `zcat FILE | daybook import -`")
        }
        [b'%', b'P', b'D', b'F', ..] => ("a PDF", CONVERT),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("UTF-16 text", UTF_8),
        _ => return None,
    })
}

fn statement(text: &str) -> Option<&'static str> {
    let has = |name: &str| text.contains(name);
    let begins = |names: &[&str]| {
        names.iter().any(|name| {
            text.get(..name.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(name))
        })
    };
    if begins(&["OFXHEADER", "<OFX", "<?OFX"]) || (begins(&["<"]) && has("<?OFX")) {
        return Some("an OFX statement");
    }
    if begins(&["<?xml", "<Document"]) {
        let is_camt = has("camt.05") || has("BkToCstmr");
        return Some(if is_camt { "an XML statement (camt.053)" } else { "an XML file" });
    }
    if begins(&["<!doctype", "<html"]) {
        return Some("a web page (HTML)");
    }
    if begins(&["{1:F", ":20:"]) || (begins(&["\u{1}", "0000 "]) && has("\n:20:")) {
        return Some("an MT940 statement");
    }
    begins(&["!Type:", "!Account", "!Option:"]).then_some("a QIF file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_kind_is_named() {
        for (beginning, expected) in [
            (&b"OFXHEADER:100\r\nDATA:OFXSGML\r\n"[..], "is an OFX statement"),
            (b"<?xml version=\"1.0\"?>\n<?OFX OFXHEADER=\"200\"?><OFX>", "is an OFX statement"),
            (
                b"\xef\xbb\xbf<?xml version=\"1.0\"?><Document xmlns=\"urn:camt.053.001.02\">",
                "is an XML statement (camt.053)",
            ),
            (b"<?xml version=\"1.0\"?><rows/>", "is an XML file"),
            (b"\r\n:20:STARTUMS\r\n:25:1", "is an MT940 statement"),
            (b"{1:F01BANKDEFFAXXX0000000000}{2:I940}{4:\r\n:20:1", "is an MT940 statement"),
            (b"!Type:Bank\nD01/02/2024\n", "is a QIF file"),
            (b"PK\x03\x04\x14\0\x08\0[Content_Types].xml", "is a spreadsheet (XLSX)"),
            (
                b"PK\x03\x04\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
                "is a spreadsheet (ODS)",
            ),
            (b"PK\x03\x04\0\0photo.jpg", "is a ZIP archive"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "is a spreadsheet (XLS)"),
            (b"\x1f\x8b\x08\0", "is compressed (gzip)"),
            (b"%PDF-1.7", "is a PDF"),
            (b"\xff\xfea\0;\0", "is UTF-16 text"),
            (b"<!DOCTYPE html><html>", "is a web page"),
        ] {
            for is_mapped in [false, true] {
                let said = named(beginning, is_mapped).unwrap_or_default();
                assert!(said.starts_with(expected), "{expected}: {said}");
            }
        }
        for (beginning, expected) in [
            (&b"Date,Amount\n2024-01-01,5\n"[..], "begins as CSV does"),
            (b"[{\"amount\":1},\n{\"amount\":2}]", "is a JSON array"),
        ] {
            assert!(named(beginning, false).unwrap_or_default().starts_with(expected));
            assert_eq!(named(beginning, true), None, "{expected}");
        }
    }

    #[test]
    fn what_an_import_reads_is_not_named() {
        for text in [
            "",
            "\n\n",
            "{\"amount\":1}\n",
            "\u{feff}{\"note\":\"<?xml, OFXHEADER\"}\n",
            "not json\n",
            "[1\n",
        ] {
            assert_eq!(named(text.as_bytes(), false), None, "{text:?}");
        }
        for text in ["a;b\n1;2\n", "<a>;b\n", "Type,!Type:\n", "{x},y\n"] {
            assert_eq!(named(text.as_bytes(), true), None, "{text:?}");
        }
    }
}
