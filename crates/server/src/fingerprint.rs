//! Hashes by which a repeat of a request is known. Whoever steals the books has them, so what they are
//! made from cannot be tried out: each has a key in it that was never stored.

use aws_lc_rs::digest::{Context, SHA256};

/// The first half of SHA-256 over texts, each as long as it says, so that no two lists are the same
/// bytes.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> u128 {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let half = hash.finish().as_ref().first_chunk().copied().unwrap_or_default();
    u128::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_text_ends_is_part_of_it() {
        assert_eq!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"ab", b"c"]));
        for other in [&[b"a".as_slice(), b"bc"][..], &[b"abc"], &[b"ab", b"c", b""]] {
            assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(other));
        }
    }
}
