//! Signals that ask the program to stop.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Status;

/// Signals by which the user or the system asks to stop. From [`listen`](Self::listen) on they do not end the process.
#[cfg(unix)]
pub(crate) struct StopSignals(Option<(Signal, Signal)>);

#[cfg(unix)]
impl StopSignals {
    /// Begins to listen, in a runtime.
    pub(crate) fn listen() -> Self {
        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        Self(interrupt.ok().zip(terminate.ok()))
    }

    /// Waits for the next signal. Dropping the future does not lose one.
    pub(crate) async fn next(&mut self) -> Status {
        let Some((interrupt, terminate)) = &mut self.0 else {
            // Without handlers the signals end the process at once.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => Status::Interrupted,
            _ = terminate.recv() => Status::Terminated,
        }
    }
}

/// Signals by which the user asks to stop.
#[cfg(not(unix))]
pub(crate) struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    /// Begins to listen, in a runtime.
    pub(crate) fn listen() -> Self {
        Self
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Status {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Status::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Waits until the user or the system asks to stop.
pub(crate) async fn stop_signal() -> Status {
    StopSignals::listen().next().await
}
