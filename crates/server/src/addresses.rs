//! How many connections each address has, so that nobody has all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::app::App;
use crate::http::address::{Proxies, network};

/// The addresses that have connections; there are no more than there are connections.
pub(crate) struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
    each_max: usize,
    proxies: Option<Proxies>,
}

impl Addresses {
    pub fn new(app: &App) -> Self {
        let settings = app.settings();
        let (each_max, proxies) = (settings.connections_each_max, settings.proxies.clone());
        Self { open: Mutex::default(), each_max, proxies }
    }

    /// Counts a connection; `None` when its address has as many as one may have. Proxies have those of
    /// all who come by way of them.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Share> {
        let (peer, address) = (peer.to_canonical(), network(peer));
        let is_proxy = self.proxies.as_ref().is_some_and(|proxies| proxies.is_trusted(peer));
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= self.each_max && !is_proxy {
            return None;
        }
        *count += 1;
        Some(Share { addresses: Arc::clone(self), address })
    }
}

/// One connection of an address; given back when dropped.
pub(crate) struct Share {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}
