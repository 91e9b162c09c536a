//! A wire between a store and its server that is cut at a chosen moment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::Fallible;

/// The message by which a server says that a command is complete.
const COMPLETE: u8 = b'C';

#[derive(Default)]
struct Cut {
    /// The command after whose completion the wire is cut, once.
    command: Mutex<Option<String>>,
    cuts: AtomicU64,
}

pub struct Proxy {
    address: String,
    server: String,
    cut: Arc<Cut>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens in front of the server of a URL.
    pub async fn before(url: &str) -> Fallible<Self> {
        let server = url.split_once('@').ok_or("no user")?.1;
        let server = server.split('/').next().unwrap_or(server).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let cut = Arc::new(Cut::default());
        let accepting = tokio::spawn(accept(listener, server.clone(), Arc::clone(&cut)));
        Ok(Self { address, server, cut, accepting })
    }

    /// The URL with this wire in it. What is encrypted could not be read here.
    pub fn url(&self, url: &str) -> String {
        super::with(&url.replace(&self.server, &self.address), "sslmode=disable")
    }

    /// Cuts the next connection on which the server completes such a command; its client never
    /// hears of it.
    pub fn cut_after(&self, command: &str) {
        *self.cut.command.lock() = Some(command.to_owned());
    }

    /// How often the wire was cut.
    pub fn cuts(&self) -> u64 {
        self.cut.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: String, cut: Arc<Cut>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, cut) = (server.clone(), Arc::clone(&cut));
        // A connection that ends in an error has ended, which is all there is to it.
        tokio::spawn(async move { drop(carry(client, &server, &cut).await) });
    }
}

/// Carries bytes both ways until one side ends or the wire is cut; dropping both ends cuts it.
async fn carry(client: TcpStream, server: &str, cut: &Cut) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        ended = tokio::io::copy(&mut from_client, &mut to_server) => ended.map(drop),
        ended = answers(BufReader::new(from_server), to_client, cut) => ended,
    }
}

/// Passes on what the server says, message by message: a letter, a length, and as many bytes.
async fn answers(
    mut server: impl AsyncReadExt + Unpin,
    mut client: impl AsyncWriteExt + Unpin,
    cut: &Cut,
) -> io::Result<()> {
    loop {
        let mut message = vec![0; 5];
        server.read_exact(&mut message).await?;
        let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
        message.resize(1 + length as usize, 0);
        server.read_exact(&mut message[5..]).await?;
        if message[0] == COMPLETE {
            let mut armed = cut.command.lock();
            let said = &message[5..];
            if armed.as_ref().is_some_and(|command| said.starts_with(command.as_bytes())) {
                *armed = None;
                cut.cuts.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
        client.write_all(&message).await?;
    }
}
