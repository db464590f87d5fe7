//! The signals that stop the process.

use std::io;

use http_api::Stop;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// Receives SIGTERM, SIGINT and SIGQUIT from its creation on, so that a signal between two waits is not lost. Without a
/// handler the first process of a container does not receive them at all.
#[cfg(unix)]
pub struct ShutdownSignal {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

#[cfg(unix)]
impl ShutdownSignal {
    /// Installs the handlers.
    ///
    /// # Errors
    /// If the system refuses them.
    pub fn new() -> io::Result<Self> {
        let [terminate, interrupt, quit] = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)?, quit: signal(quit)? })
    }

    /// Waits for a signal. Orchestrators send SIGTERM, terminals the others.
    pub async fn recv(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Graceful,
            _ = self.interrupt.recv() => Stop::Immediate,
            _ = self.quit.recv() => Stop::Immediate,
        }
    }
}

/// Receives Ctrl+C of a Windows terminal.
#[cfg(windows)]
pub struct ShutdownSignal(CtrlC);

#[cfg(windows)]
impl ShutdownSignal {
    /// Installs the handler.
    ///
    /// # Errors
    /// If the system refuses it.
    pub fn new() -> io::Result<Self> {
        ctrl_c().map(Self)
    }

    /// Waits for the signal.
    pub async fn recv(&mut self) -> Stop {
        self.0.recv().await;
        Stop::Immediate
    }
}
