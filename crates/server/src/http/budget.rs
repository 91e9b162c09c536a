//! Rate limits: what a request pays, from which budgets, and what its answer says about them.
//!
//! Every request but the probes pays with its address before anything is done for it, and with its
//! caller as soon as the caller is known. A batch pays for its first item like that, and for the
//! others when they are counted. The answer tells about the budget that has less left.
//!
//! The fields `RateLimit` and `RateLimit-Policy` follow draft-ietf-httpapi-ratelimit-headers-11.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use metrics::Counter;
use parking_lot::Mutex;

use super::address::network;
use super::caller::Caller;
use super::error::{Error, Result};
use crate::auth::{Identity, Subject};
use crate::metrics::Metrics;
use crate::rate::{Budget, Charge, Key, Party, Quota, Rate, Standing, Table};

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(super) const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(super) const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// All budgets of a server.
pub(crate) struct Limits {
    rate: Rate,
    policies: Vec<Policy>,
    table: Table,
    seed: RandomState,
}

/// A kind of budget that some party has.
struct Policy {
    party: Party,
    budget: Budget,
    quota: Quota,
    /// As the header says it.
    header: HeaderValue,
    refused: Counter,
}

impl Limits {
    pub fn new(rate: Rate, metrics: &Metrics) -> Self {
        let window_s = rate.window.as_secs();
        let policy = |party: Party, budget: Budget| {
            let quota = rate.quota(party, budget)?;
            let name = format!("{}-{}", party.name(), budget.name());
            let header = format!("\"{name}\";q={};w={window_s}", quota.units);
            let header = HeaderValue::try_from(header).ok()?;
            Some(Policy { party, budget, quota, header, refused: metrics.rate_limited(name) })
        };
        let of = |party| Budget::ALL.into_iter().filter_map(move |budget| policy(party, budget));
        let policies = Party::ALL.into_iter().flat_map(of).collect();
        let table = Table::new(rate.budgets_max, metrics.budgets_forgotten());
        Self { rate, policies, table, seed: RandomState::new() }
    }

    fn policy(&self, party: Party, budget: Budget) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.party == party && policy.budget == budget)
    }

    fn key(&self, party: Party, budget: Budget, name: [&[u8]; 2]) -> Key {
        Key::new(self.seed.hash_one((party, budget, name))).unwrap_or(Key::MIN)
    }

    /// The address that a request comes from. One without any shares a budget with its like.
    pub fn address(&self, request: &Request) -> Option<IpAddr> {
        let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        Some(self.rate.proxies.client(peer.ip(), request.headers()))
    }
}

/// What a request uses.
fn budget_of(method: &Method, route: Option<&str>) -> Budget {
    if method.is_safe() {
        return Budget::Reads;
    }
    match route {
        Some("/api/v1/auth/token") => Budget::Tokens,
        Some(route) if route.ends_with("/batch") => Budget::BatchItems,
        Some(_) | None => Budget::Writes,
    }
}

/// What one request has paid.
pub(crate) struct Meter {
    limits: Arc<Limits>,
    budget: Budget,
    paid: Mutex<Paid>,
}

#[derive(Default)]
struct Paid {
    address: Option<Account>,
    caller: Option<Account>,
    /// Whose budget had too little, and how long it takes until the request can be paid.
    refused: Option<(Party, u32)>,
}

/// One budget, as it stands after the request paid.
#[derive(Clone, Copy)]
struct Account {
    party: Party,
    key: Key,
    standing: Standing,
}

impl Meter {
    /// Lets the request pay with its address, and puts the meter where the extractors find it.
    pub fn begin(limits: &Arc<Limits>, route: Option<&str>, request: &mut Request) -> Arc<Self> {
        let budget = budget_of(request.method(), route);
        let limits = Arc::clone(limits);
        let meter = Arc::new(Self { limits, budget, paid: Mutex::default() });
        request.extensions_mut().insert(Arc::clone(&meter));
        meter
    }

    /// Pays with the address.
    ///
    /// # Errors
    /// When its budget is used up.
    pub fn pay_as_address(&self, request: &Request) -> Result<()> {
        match self.limits.address(request).map(network) {
            Some(IpAddr::V4(v4)) => self.pay(Party::Address, [b"4", &v4.octets()]),
            Some(IpAddr::V6(v6)) => self.pay(Party::Address, [b"6", &v6.octets()]),
            None => self.pay(Party::Address, [b"", b""]),
        }
    }

    /// Pays with the caller, once.
    ///
    /// # Errors
    /// When the caller's budget is used up.
    pub fn pay_as(&self, caller: &Caller) -> Result<()> {
        let party = match caller {
            Caller::Anyone => return Ok(()),
            Caller::Known(Identity { subject: Subject::User(_), .. }) => Party::User,
            Caller::Known(Identity { subject: Subject::Service(_), .. }) => Party::Service,
        };
        if self.paid.lock().caller.is_some() {
            return Ok(());
        }
        let (kind, name) = caller.key_space();
        self.pay(party, [kind, &name])
    }

    fn pay(&self, party: Party, name: [&[u8]; 2]) -> Result<()> {
        let Some(policy) = self.limits.policy(party, self.budget) else { return Ok(()) };
        let key = self.limits.key(party, self.budget, name);
        let (table, now_ns) = (&self.limits.table, self.limits.rate.clock.now_ns());
        let charge = table.charge(key, policy.quota, 1, now_ns);
        let mut paid = self.paid.lock();
        match charge {
            Charge::Paid(standing) => {
                paid.keep(Account { party, key, standing });
                Ok(())
            }
            Charge::Refused(standing) => {
                paid.keep(Account { party, key, standing });
                Err(self.refuse(&mut paid, party, 1))
            }
        }
    }

    /// Pays for the items of a batch; the first one is paid.
    ///
    /// # Errors
    /// When a budget has too little, or could never have so much.
    pub fn pay_for_items(&self, items: usize) -> Result<()> {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        let mut paid = self.paid.lock();
        let accounts = paid.accounts();
        let largest = accounts.clone().map(|account| account.standing.quota.units).min();
        if let Some(max) = largest.filter(|max| items > *max) {
            return Err(Error::BatchTooLong { max: usize::try_from(max).unwrap_or(usize::MAX) });
        }
        let others = items.saturating_sub(1);
        let (table, now_ns) = (&self.limits.table, self.limits.rate.clock.now_ns());
        for (index, account) in accounts.clone().enumerate() {
            let quota = account.standing.quota;
            match table.charge(account.key, quota, others, now_ns) {
                Charge::Paid(standing) => paid.keep(Account { standing, ..account }),
                Charge::Refused(standing) => {
                    paid.keep(Account { standing, ..account });
                    for payer in accounts.take(index) {
                        table.refund(payer.key, payer.standing.quota, others);
                        paid.keep(payer);
                    }
                    // Who comes again pays for the first item too.
                    return Err(self.refuse(&mut paid, account.party, items));
                }
            }
        }
        Ok(())
    }

    /// The answer to who has too little; `needed` is what the same request needs to succeed.
    fn refuse(&self, paid: &mut Paid, party: Party, needed: u32) -> Error {
        if let Some(policy) = self.limits.policy(party, self.budget) {
            policy.refused.increment(1);
        }
        let waits = paid.accounts().map(|account| account.standing.until(needed));
        let wait_s = seconds(waits.max().unwrap_or_default()).max(1);
        paid.refused = Some((party, wait_s));
        Error::RateLimited { party, budget: self.budget, wait_s }
    }

    /// Says in headers how the tighter budget stands.
    pub fn put(&self, headers: &mut HeaderMap) {
        let paid = self.paid.lock();
        let refused = paid.refused.map(|(party, _)| party);
        let order =
            |account: &Account| (Some(account.party) != refused, account.standing.remaining());
        let Some(Account { party, standing, .. }) = paid.accounts().min_by_key(order) else {
            return;
        };
        let Some(policy) = self.limits.policy(party, self.budget) else { return };
        let remaining = standing.remaining();
        // No client is told to come back earlier than `Retry-After` says.
        let pace_s = seconds(standing.pace()).max(1);
        let pace_s = paid.refused.map_or(pace_s, |(_, wait_s)| wait_s.min(pace_s));
        let (party, budget) = (party.name(), self.budget.name());
        let standing_now = format!("\"{party}-{budget}\";r={remaining};t={pace_s}");
        if let Ok(standing_now) = HeaderValue::try_from(standing_now) {
            headers.insert(RATE_LIMIT, standing_now);
        }
        headers.insert(RATE_LIMIT_POLICY, policy.header.clone());
        headers.insert(LIMIT, policy.quota.units.into());
        headers.insert(REMAINING, remaining.into());
        // A moment, as the feed before Daybook said it; `RateLimit` has spans.
        let full_at = self.limits.rate.clock.unix_time() + standing.until_full();
        headers.insert(RESET, seconds(full_at).into());
    }
}

impl Paid {
    fn keep(&mut self, account: Account) {
        match account.party {
            Party::Address => self.address = Some(account),
            Party::User | Party::Service => self.caller = Some(account),
        }
    }

    fn accounts(&self) -> impl Iterator<Item = Account> + Clone + use<> {
        [self.caller, self.address].into_iter().flatten()
    }
}

/// Whole seconds, of which the last has passed when the time has.
fn seconds(time: Duration) -> u32 {
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}
