//! Being told to stop before there is a server that listens for it.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// SIGTERM and SIGINT from the moment on that this exists. Without a handler the first process of a container does not
/// even get them.
#[cfg(unix)]
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

#[cfg(unix)]
impl StopSignal {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

/// The same of a terminal of Windows.
#[cfg(windows)]
pub struct StopSignal(CtrlC);

#[cfg(windows)]
impl StopSignal {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn new() -> io::Result<Self> {
        ctrl_c().map(Self)
    }

    /// Waits for it.
    pub async fn told(&mut self) {
        self.0.recv().await;
    }
}
