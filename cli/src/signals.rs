//! Signals that ask the program to stop.

use crate::exit::Status;

/// Waits until the user or the system asks to stop.
#[cfg(unix)]
pub(crate) async fn stop_signal() -> Status {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        // Without handlers the signals end the process at once.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Status::Interrupted,
        _ = terminate.recv() => Status::Terminated,
    }
}

/// Waits until the user asks to stop.
#[cfg(not(unix))]
pub(crate) async fn stop_signal() -> Status {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Status::Interrupted,
        Err(_) => std::future::pending().await,
    }
}
