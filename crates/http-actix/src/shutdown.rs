//! The signals that tell a process to stop.

use std::io;

use http_api::Stop;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// SIGTERM, SIGINT and SIGQUIT from the moment on that this exists: none is lost between two waits. Without a handler the
/// first process of a container does not even get them.
#[cfg(unix)]
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

#[cfg(unix)]
impl StopSignal {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn new() -> io::Result<Self> {
        let [terminate, interrupt, quit] = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)?, quit: signal(quit)? })
    }

    /// Waits for one of them: SIGTERM is how an orchestrator asks, the others are somebody at a terminal.
    pub async fn told(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Graceful,
            _ = self.interrupt.recv() => Stop::Immediate,
            _ = self.quit.recv() => Stop::Immediate,
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
    pub async fn told(&mut self) -> Stop {
        self.0.recv().await;
        Stop::Immediate
    }
}
