//! Content codings of requests (RFC 9110, 8.4): bodies that come compressed. What a body decodes to
//! counts against its limit, so a small one that is large inside is refused as a large one is.

use std::io::{self, Read};

use axum::http::{HeaderMap, HeaderValue, header};
use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::StreamingDecoder;

use super::error::{Error, Result};

/// The codings that are read, as `Accept-Encoding` says it in a refusal (RFC 9110, 12.5.3).
pub const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");
/// The window that every decoder of zstd has (RFC 9659); a body that is sent in one piece has a window as
/// large as itself.
const ZSTD_WINDOW_BYTES: u64 = 8 * 1024 * 1024;
/// How much is decoded at once.
const PART_BYTES: usize = 16 * 1024;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    /// zlib (RFC 1950), or its inside alone (RFC 1951), which some clients send by this name.
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The coding that a request names; `None` is none.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>> {
        let mut found = None;
        for line in headers.get_all(header::CONTENT_ENCODING) {
            let line = line.to_str().map_err(|_| Error::UnsupportedEncoding)?;
            for name in line.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let coding = match name.to_ascii_lowercase().as_str() {
                    "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    "br" => Self::Brotli,
                    "zstd" => Self::Zstd,
                    _ => return Err(Error::UnsupportedEncoding),
                };
                // Nobody compresses twice but to hide how large a body is.
                if found.replace(coding).is_some() {
                    return Err(Error::UnsupportedEncoding);
                }
            }
        }
        Ok(found)
    }

    /// Decodes a whole body, to at most `max` bytes.
    pub fn decode(self, body: &[u8], max: usize) -> Result<Vec<u8>> {
        let decoded = match self {
            Self::Gzip => read(MultiGzDecoder::new(body), max),
            Self::Deflate => match inflate(body, true, max) {
                Err(_) => inflate(body, false, max),
                decoded => decoded,
            },
            Self::Brotli => unbrotli(body, max),
            Self::Zstd => unzstd(body, max),
        };
        match decoded {
            Ok(Some(decoded)) => Ok(decoded),
            Ok(None) => Err(Error::BodyTooLarge { max }),
            Err(error) => {
                tracing::debug!(%error, "a body cannot be decoded");
                Err(Error::BadEncoding { name: self.name() })
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// What was decoded; `None` when it would be more than is allowed.
type Decoded = io::Result<Option<Vec<u8>>>;

/// Reads to the end.
fn read(decoder: impl Read, max: usize) -> Decoded {
    let mut out = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut out)?;
    Ok(Some(out).filter(|out| out.len() <= max))
}

fn broken(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn inflate(body: &[u8], is_zlib: bool, max: usize) -> Decoded {
    let mut state = Decompress::new(is_zlib);
    let mut out = Vec::new();
    loop {
        let read = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
        let rest = body.get(read..).unwrap_or_default();
        out.reserve(PART_BYTES);
        let before = (state.total_in(), state.total_out());
        let status = state.decompress_vec(rest, &mut out, FlushDecompress::None)?;
        if out.len() > max {
            return Ok(None);
        }
        if status == Status::StreamEnd {
            let is_whole = state.total_in() == body.len() as u64;
            return if is_whole {
                Ok(Some(out))
            } else {
                Err(broken("there is more behind the end"))
            };
        }
        if before == (state.total_in(), state.total_out()) {
            return Err(broken("the end is missing"));
        }
    }
}

fn unbrotli(mut body: &[u8], max: usize) -> Decoded {
    let mut decoder = brotli::Decompressor::new(&mut body, PART_BYTES);
    let decoded = read(&mut decoder, max)?;
    // What the decoder took and did not need it tells when it is asked once more.
    if decoded.is_some() && decoder.read(&mut [0])? > 0 {
        return Err(broken("there is more behind the end"));
    }
    drop(decoder);
    if decoded.is_some() && !body.is_empty() {
        return Err(broken("there is more behind the end"));
    }
    Ok(decoded)
}

/// Reads frames until the body ends (RFC 8878, 3).
fn unzstd(mut body: &[u8], max: usize) -> Decoded {
    let window = ZSTD_WINDOW_BYTES.max(u64::try_from(max).unwrap_or(u64::MAX));
    let mut out = Vec::new();
    while !body.is_empty() {
        if let Some(frame) = skippable(body) {
            body = frame.ok_or_else(|| broken("the end is missing"))?;
            continue;
        }
        let decoder = StreamingDecoder::new_with_max_window_size(&mut body, window);
        let mut decoder = decoder.map_err(io::Error::other)?;
        let Some(mut part) = read(&mut decoder, max - out.len())? else { return Ok(None) };
        let frame = decoder.into_frame_decoder();
        let told = frame.get_checksum_from_data();
        if told.is_some() && told != frame.get_calculated_checksum() {
            return Err(broken("the checksum differs"));
        }
        out.append(&mut part);
    }
    Ok(Some(out))
}

/// What is behind a frame that decoders skip (RFC 8878, 3.1.2), when one is next; `Some(None)` when that is
/// cut.
fn skippable(body: &[u8]) -> Option<Option<&[u8]>> {
    let (magic, rest) = body.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*magic) & 0xffff_fff0 != 0x184d_2a50 {
        return None;
    }
    let behind = rest.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        rest.get(length..)
    });
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    /// Every form of a text that a coding has.
    fn encoded(coding: Coding, text: &[u8]) -> Vec<Vec<u8>> {
        let level = Compression::default();
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(text).expect("memory");
                vec![encoder.finish().expect("memory")]
            }
            Coding::Deflate => {
                let mut zlib = ZlibEncoder::new(Vec::new(), level);
                zlib.write_all(text).expect("memory");
                let mut raw = DeflateEncoder::new(Vec::new(), level);
                raw.write_all(text).expect("memory");
                vec![zlib.finish().expect("memory"), raw.finish().expect("memory")]
            }
            Coding::Brotli => {
                let mut out = Vec::new();
                let mut encoder = brotli::CompressorWriter::new(&mut out, 4_096, 9, 22);
                encoder.write_all(text).expect("memory");
                drop(encoder);
                vec![out]
            }
            Coding::Zstd => vec![
                compress_to_vec(text, CompressionLevel::Fastest),
                compress_to_vec(text, CompressionLevel::Uncompressed),
            ],
        }
    }

    #[test]
    fn every_coding_is_decoded() {
        let long = "Zażółć gęślą jaźń. ".repeat(20_000);
        for coding in CODINGS {
            for text in ["", "{}", &long] {
                for form in encoded(coding, text.as_bytes()) {
                    let decoded = coding.decode(&form, long.len()).expect("decoded");
                    assert!(decoded == text.as_bytes(), "{coding:?}: {} bytes", decoded.len());
                }
            }
        }
        // Several members, and several frames with one to be skipped.
        let (a, b) = ("{\"a\":", "1}");
        for coding in [Coding::Gzip, Coding::Zstd] {
            let mut body = encoded(coding, a.as_bytes()).swap_remove(0);
            if coding == Coding::Zstd {
                body.extend([0x51, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
            }
            body.extend(encoded(coding, b.as_bytes()).swap_remove(0));
            assert_eq!(coding.decode(&body, 100).expect("decoded"), b"{\"a\":1}", "{coding:?}");
        }
    }

    #[test]
    fn what_is_cut_damaged_or_followed_by_more_is_refused() {
        let text =
            "a text that is long enough to be cut anywhere, and then some more of it".repeat(9);
        for coding in CODINGS {
            for form in encoded(coding, text.as_bytes()) {
                for end in 0..form.len() {
                    let cut = coding.decode(&form[..end], 10_000);
                    // Nothing at all is no frame of zstd, and no text.
                    let is_nothing = coding == Coding::Zstd && end == 0;
                    assert_eq!(cut.is_err(), !is_nothing, "{coding:?} {end}");
                }
                let more = [&form[..], b"more"].concat();
                assert!(coding.decode(&more, 10_000).is_err(), "{coding:?}");
            }
            for body in ["{}", "\u{1f}\u{8b}", "plain text and nothing else"] {
                let decoded = coding.decode(body.as_bytes(), 10_000);
                assert!(matches!(decoded, Err(Error::BadEncoding { .. })), "{coding:?} {body}");
            }
        }
    }

    #[test]
    fn a_bomb_is_a_body_that_is_too_large() {
        let zeros = vec![b' '; 20 * 1024 * 1024];
        for coding in CODINGS {
            for form in encoded(coding, &zeros) {
                for max in [1_000, 1024 * 1024] {
                    let decoded = coding.decode(&form, max);
                    let error = decoded.expect_err("too large");
                    assert!(matches!(error, Error::BodyTooLarge { .. }), "{coding:?}: {error}");
                }
            }
            for form in encoded(coding, &zeros[..1_000]) {
                assert_eq!(coding.decode(&form, 1_000).expect("fits").len(), 1_000);
                assert!(coding.decode(&form, 999).is_err(), "{coding:?}");
            }
        }
        // A window of a gigabyte is refused before there is room for it.
        let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa0, 1, 0, 0];
        assert!(Coding::Zstd.decode(&greedy, 1_000).is_err());
    }

    #[test]
    fn a_coding_is_named_once() {
        for (lines, expected) in [
            (&[][..], Some(None)),
            (&["identity"], Some(None)),
            (&[""], Some(None)),
            (&["gzip"], Some(Some(Coding::Gzip))),
            (&["X-GZip"], Some(Some(Coding::Gzip))),
            (&["identity, BR"], Some(Some(Coding::Brotli))),
            (&["identity", "zstd"], Some(Some(Coding::Zstd))),
            (&["gzip, gzip"], None),
            (&["gzip", "br"], None),
            (&["compress"], None),
            (&["gzip;q=1"], None),
            (&["*"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(Coding::of(&headers).ok(), expected, "{lines:?}");
        }
    }
}
