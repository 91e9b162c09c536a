//! The server of the same configuration, for commands that need what it holds.

use daybook_server::client::{ClientError, Server};
use daybook_server::config::Config;

/// Where a server with this configuration is reached on this machine.
pub fn place(config: &Config) -> String {
    let listen = &config.listen;
    listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
}

/// A server with this configuration on this machine.
///
/// # Errors
/// As [`Server::at`].
pub fn own(config: &Config) -> Result<Server, ClientError> {
    let scheme = if config.tls_files().is_some() { "https" } else { "http" };
    Server::at(config, &format!("{scheme}://{}", place(config)))
}
