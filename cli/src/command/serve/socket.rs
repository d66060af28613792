//! The socket of a server.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tranship::{Error, Result};
use tranship_server::{Server, Tls};

use crate::args::Settings;
use crate::command_error::{At as _, Outcome};

/// Listens on the address.
pub(super) async fn listen(address: &str) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| {
        let error = Error::io("cannot listen on the address", error);
        explain_address(error, address)
    });
    listener.at(address)
}

/// Checks that the server could listen on the address, at some port.
///
/// # Errors
/// The error of the address.
pub(super) async fn check(address: &str) -> Result<()> {
    let checked = async {
        for mut address in tokio::net::lookup_host(address).await? {
            // The port may be in use by the server that the settings are for.
            address.set_port(0);
            TcpListener::bind(address).await?;
        }
        Ok(())
    };
    let checked: std::io::Result<()> = checked.await;
    checked.map_err(|error| {
        let error = Error::io("cannot listen on the address", error);
        explain_address(error, address).with_subject(address)
    })
}

/// Returns the address, with the port that the system has chosen.
pub(super) fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    let address = listener.local_addr();
    address.map_err(|error| Error::io("the address of the socket is not known", error))
}

/// Returns `server` with the limits and the certificates of the settings.
pub(super) fn configured<S>(server: Server<S>, settings: &Settings, tls: Option<Tls>) -> Server<S> {
    let server = server
        .with_max_connections(settings.max_connections())
        .with_write_timeout(settings.timeout())
        .with_grace(settings.grace());
    match tls {
        Some(tls) => server.with_tls(tls),
        None => server,
    }
}

/// Adds how to write an address if only the port is given.
fn explain_address(error: Error, address: &str) -> Error {
    let port = address.strip_prefix(':').unwrap_or(address);
    match port.parse::<u16>() {
        Ok(port) => error.with_hint(format!(
            "write 127.0.0.1:{port} for this machine alone, or 0.0.0.0:{port} for all its networks"
        )),
        Err(_)
            if address
                .rsplit(']')
                .next()
                .is_some_and(|end| !end.contains(':')) =>
        {
            error.with_hint(format!("add a port, as in {address}:5000"))
        }
        Err(_) => error,
    }
}
