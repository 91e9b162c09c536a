//! Where a request comes from: its connection's address, or, behind proxies that the configuration
//! names, the one that the last of them heard from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Proxies that one request may have passed; what stands further away is not looked at.
const HOPS_MAX: usize = 16;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses with the same first bits, as in `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// Why a text names no network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address or a network such as 10.0.0.0/8 is expected")]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        if address != address.to_canonical() {
            return Err(NoNetwork); // An IPv4 address is known by its own form only.
        }
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(text) => text.parse().ok().filter(|prefix| *prefix <= bits).ok_or(NoNetwork)?,
            None => bits,
        };
        let network = Self { address, prefix };
        // 10.0.0.1/8 is a slip of the pen, and whoever made it meant something else.
        let host_bits = bits_of(address).1.checked_shl(prefix).unwrap_or(0);
        if host_bits == 0 { Ok(network) } else { Err(NoNetwork) }
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let ((width, own), (other_width, other)) = (bits_of(self.address), bits_of(address));
        let differs = (own ^ other).checked_shr(128 - self.prefix).unwrap_or(0);
        width == other_width && differs == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// How many bits an address has, and these bits from the top on.
fn bits_of(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    }
}

/// The first address of what counts as one: of IPv6 a network of 64 bits, which one customer has
/// (RFC 6177) with any address in it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

/// Where the proxies of a deployment say whom they heard from. Only one header is looked at: the
/// other may be the client's own, passed on unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// The proxies that are believed.
#[derive(Clone, Debug)]
pub struct Proxies {
    pub trusted: Vec<Network>,
    pub header: ProxyHeader,
}

impl Proxies {
    /// The address that a request counts for, when its connection comes from `peer`: the nearest
    /// one that is no trusted proxy's.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.is_trusted(client) {
            return client;
        }
        let name = match self.header {
            ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
            ProxyHeader::Forwarded => FORWARDED,
        };
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        // Each proxy adds to the end. No address has a comma inside, so a quote that a client
        // opened before cannot reach over what a proxy added.
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for hop in hops.take(HOPS_MAX) {
            let hop = std::str::from_utf8(hop).ok().and_then(|hop| self.read(hop.trim()));
            let Some(hop) = hop else { break };
            client = hop;
            if !self.is_trusted(client) {
                break;
            }
        }
        client
    }

    /// Whether an address is a trusted proxy's.
    pub(crate) fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Reads whom one proxy heard from; it may have hidden that.
    fn read(&self, hop: &str) -> Option<IpAddr> {
        let node = match self.header {
            ProxyHeader::XForwardedFor => hop,
            ProxyHeader::Forwarded => hop.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
            })?,
        };
        let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
        let address = bare.parse().or_else(|_| node.parse().map(|at: SocketAddr| at.ip()));
        address.ok().map(|address: IpAddr| address.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8", "192.0.2.1"];
        Proxies { trusted: trusted.map(|text| text.parse().expect(text)).to_vec(), header }
    }

    fn client(header: ProxyHeader, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header"));
        }
        proxies(header).client(peer.parse().expect(peer), &headers).to_string()
    }

    #[test]
    fn a_network_holds_the_addresses_with_its_first_bits() {
        for (network, address, is_inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let network: Network = network.parse().expect(network);
            assert_eq!(network.contains(address.parse().expect(address)), is_inside, "{network}");
        }
        for text in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "fd00::1/8",
            "10.0.0.0/-1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_who_calls() {
        use ProxyHeader::{Forwarded, XForwardedFor};
        const XFF: &str = "x-forwarded-for";
        for (header, peer, lines, expected) in [
            // From anybody else it is nothing.
            (XForwardedFor, "203.0.113.9", &[(XFF, "198.51.100.1")][..], "203.0.113.9"),
            (XForwardedFor, "10.0.0.1", &[], "10.0.0.1"),
            (XForwardedFor, "10.0.0.1", &[(XFF, "198.51.100.1")], "198.51.100.1"),
            (XForwardedFor, "::ffff:10.0.0.1", &[(XFF, "::ffff:198.51.100.1")], "198.51.100.1"),
            // What a client wrote before it stands to the left.
            (XForwardedFor, "10.0.0.1", &[(XFF, "6.6.6.6, 198.51.100.1")], "198.51.100.1"),
            (XForwardedFor, "10.0.0.1", &[(XFF, "6.6.6.6"), (XFF, "198.51.100.1")], "198.51.100.1"),
            (
                XForwardedFor,
                "10.0.0.1",
                &[(XFF, "198.51.100.1, 10.9.9.9,192.0.2.1")],
                "198.51.100.1",
            ),
            (XForwardedFor, "10.0.0.1", &[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            (XForwardedFor, "10.0.0.1", &[(XFF, "6.6.6.6, unknown")], "10.0.0.1"),
            (XForwardedFor, "10.0.0.1", &[(XFF, "6.6.6.6, , 10.0.0.2")], "10.0.0.2"),
            (XForwardedFor, "10.0.0.1", &[(XFF, "198.51.100.1:4711")], "198.51.100.1"),
            (XForwardedFor, "fd00::1", &[(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
            (XForwardedFor, "fd00::1", &[(XFF, "2001:db8::1")], "2001:db8::1"),
            // The header that the proxies do not write is the client's.
            (XForwardedFor, "10.0.0.1", &[("forwarded", "for=6.6.6.6")], "10.0.0.1"),
            (Forwarded, "10.0.0.1", &[(XFF, "6.6.6.6")], "10.0.0.1"),
            (
                Forwarded,
                "10.0.0.1",
                &[("forwarded", "for=198.51.100.1;proto=https")],
                "198.51.100.1",
            ),
            (
                Forwarded,
                "10.0.0.1",
                &[("forwarded", "proto=https; For=\"[2001:db8::1]:80\"")],
                "2001:db8::1",
            ),
            (
                Forwarded,
                "10.0.0.1",
                &[("forwarded", "for=\"6.6.6.6, for=198.51.100.1")],
                "198.51.100.1",
            ),
            (Forwarded, "10.0.0.1", &[("forwarded", "for=6.6.6.6, for=_hidden")], "10.0.0.1"),
            (Forwarded, "10.0.0.1", &[("forwarded", "for=6.6.6.6, by=10.0.0.1")], "10.0.0.1"),
        ] {
            assert_eq!(client(header, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_list_without_end_is_not_followed() {
        let many = vec!["10.0.0.2"; 1_000].join(",");
        let list = format!("6.6.6.6,{many}");
        assert_eq!(
            client(ProxyHeader::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", &list)]),
            "10.0.0.2"
        );
    }
}
