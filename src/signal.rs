//! What a person or a supervisor wishes: that the program end, or read its certificate again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT (Ctrl-C) or SIGTERM.
pub struct Terminate {
    interrupt: Signal,
    terminate: Signal,
}

impl Terminate {
    /// Takes the signals over from the system, which would end the program at once.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// SIGHUP, which asks a server to read again what may have changed.
pub struct Hangup(Signal);

impl Hangup {
    /// Takes the signal over from the system, which would end the program.
    pub fn new() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next one; `None` when there will be none.
    pub async fn recv(&mut self) -> Option<()> {
        self.0.recv().await
    }
}
