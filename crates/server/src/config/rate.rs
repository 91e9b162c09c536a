//! The section `[rate]`: how much callers may ask for.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::http::address::{Network, Proxies, ProxyHeader};
use crate::rate;

/// The longest window, a day: no client waits longer for its next request.
const WINDOW_S_MAX: u64 = 86_400;
/// The most that a quota may be: with more, one unit would come back in less than a nanosecond.
const QUOTA_MAX: u32 = 1_000_000_000;
/// The largest table, of 1.6 GB: nobody means more.
const BUDGETS_MAX: usize = 100_000_000;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub limit: String,
    pub window_s: u64,
    pub address_reads: u32,
    pub address_writes: u32,
    pub address_batch_items: u32,
    pub address_tokens: u32,
    pub user_reads: u32,
    pub user_writes: u32,
    pub user_batch_items: u32,
    pub service_reads: u32,
    pub service_writes: u32,
    pub service_batch_items: u32,
    pub budgets: usize,
    pub proxies: Vec<String>,
    pub proxy_header: String,
}

impl Rate {
    /// The proxies in front of the server, also where nothing is limited.
    pub(super) fn proxies(&self) -> Proxies {
        Proxies {
            trusted: self.proxies.iter().filter_map(|text| text.parse().ok()).collect(),
            header: self.header().unwrap_or(ProxyHeader::XForwardedFor),
        }
    }

    /// The limits; `None` for a server that has none. `is_private` says that it is in development
    /// mode and only this machine reaches it.
    pub(super) fn settings(&self, is_private: bool) -> Option<rate::Rate> {
        let is_off = match self.limit.as_str() {
            "on" => false,
            "off" => true,
            _auto => is_private,
        };
        if is_off {
            return None;
        }
        Some(rate::Rate {
            window: Duration::from_secs(self.window_s),
            address: rate::Quotas {
                reads: self.address_reads,
                writes: self.address_writes,
                batch_items: self.address_batch_items,
                tokens: self.address_tokens,
            },
            user: rate::Quotas {
                reads: self.user_reads,
                writes: self.user_writes,
                batch_items: self.user_batch_items,
                tokens: 0,
            },
            service: rate::Quotas {
                reads: self.service_reads,
                writes: self.service_writes,
                batch_items: self.service_batch_items,
                tokens: 0,
            },
            budgets_max: self.budgets,
            proxies: self.proxies(),
            clock: rate::Clock::System(Instant::now()),
        })
    }

    fn header(&self) -> Option<ProxyHeader> {
        match self.proxy_header.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Some(ProxyHeader::XForwardedFor),
            "forwarded" => Some(ProxyHeader::Forwarded),
            _ => None,
        }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !["auto", "on", "off"].contains(&self.limit.as_str()) {
            return Err(("rate.limit", "auto, on or off".to_owned()));
        }
        if self.window_s > WINDOW_S_MAX {
            return Err(("rate.window_s", format!("at most {WINDOW_S_MAX}")));
        }
        for (key, quota) in [
            ("rate.address_reads", self.address_reads),
            ("rate.address_writes", self.address_writes),
            ("rate.address_batch_items", self.address_batch_items),
            ("rate.address_tokens", self.address_tokens),
            ("rate.user_reads", self.user_reads),
            ("rate.user_writes", self.user_writes),
            ("rate.user_batch_items", self.user_batch_items),
            ("rate.service_reads", self.service_reads),
            ("rate.service_writes", self.service_writes),
            ("rate.service_batch_items", self.service_batch_items),
        ] {
            if quota > QUOTA_MAX {
                return Err((key, format!("at most {QUOTA_MAX}, or 0 for no limit")));
            }
        }
        if self.budgets > BUDGETS_MAX {
            return Err(("rate.budgets", format!("at most {BUDGETS_MAX}")));
        }
        if self.proxies.iter().any(|text| text.parse::<Network>().is_err()) {
            let expected = "a list of addresses and networks, such as [\"10.0.0.0/8\", \"::1\"]";
            return Err(("rate.proxies", expected.to_owned()));
        }
        if self.header().is_none() {
            return Err(("rate.proxy_header", "x-forwarded-for or forwarded".to_owned()));
        }
        Ok(())
    }
}
