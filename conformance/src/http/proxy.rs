//! A proxy of bytes between a client and a server, in which connections fail where a test wants it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// In which direction bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client to the server: requests.
    Up,
    /// From the server to the client: responses.
    Down,
}

/// What goes wrong in a connection, and where.
///
/// ```
/// use tranship_conformance::http::{Fault, Way};
///
/// // The first two connections break after a megabyte of responses.
/// let fault = Fault::reset(Way::Down, 1_000_000).on(0..2);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing until a proxy has it"]
pub struct Fault {
    kind: Kind,
    first: u64,
    end: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    At { way: Way, byte: u64, what: Break },
    SlowStart(Duration),
    Answer(StatusCode),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    Reset,
    Close,
    Stall,
    Flip,
}

impl Fault {
    /// A connection is reset instead of carrying the byte `byte` of its `way`, counted from 0.
    pub const fn reset(way: Way, byte: u64) -> Self {
        Self::at(way, byte, Break::Reset)
    }

    /// A connection is closed in good order before the byte `byte`, so that what it carried is cut off.
    pub const fn close(way: Way, byte: u64) -> Self {
        Self::at(way, byte, Break::Close)
    }

    /// From the byte `byte` on nothing more is sent, and the connection stays open.
    pub const fn stall(way: Way, byte: u64) -> Self {
        Self::at(way, byte, Break::Stall)
    }

    /// The lowest bit of the byte `byte` is flipped. TCP's own checksum would miss one in many.
    pub const fn flip(way: Way, byte: u64) -> Self {
        Self::at(way, byte, Break::Flip)
    }

    /// The first byte of the responses of a connection is late.
    pub const fn slow_start(delay: Duration) -> Self {
        Self::new(Kind::SlowStart(delay))
    }

    /// The first request of a connection gets the response `status` without a body, and does not reach the
    /// server: a burst of 429 or 503, [on](Self::on) several connections in a row.
    pub const fn answer(status: StatusCode) -> Self {
        Self::new(Kind::Answer(status))
    }

    const fn at(way: Way, byte: u64, what: Break) -> Self {
        Self::new(Kind::At { way, byte, what })
    }

    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            first: 0,
            end: u64::MAX,
        }
    }

    /// Only on these connections, counted from 0 in the order in which they are made; on all of them
    /// unless set.
    pub const fn on(mut self, connections: std::ops::Range<u64>) -> Self {
        self.first = connections.start;
        self.end = connections.end;
        self
    }

    fn is_on(&self, connection: u64) -> bool {
        (self.first..self.end).contains(&connection)
    }
}

/// What has gone through a [`FaultProxy`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Connections that were made.
    pub connections: u64,
    /// Bytes that were handed on to the server.
    pub up: u64,
    /// Bytes that were handed on to the client.
    pub down: u64,
}

/// A proxy on a free port of this machine, in front of one server. It knows nothing of HTTP, except
/// for [`Fault::answer`]. Dropping it ends all of its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Mutex<Vec<Fault>>,
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    disconnect: Notify,
}

impl FaultProxy {
    /// Stands before `server`, with no faults yet.
    ///
    /// # Errors
    /// What the system refuses a port with.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, server, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Lets connections that are made from now on have `faults`, instead of those before.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut current = self
            .shared
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *current = faults.into_iter().collect();
    }

    /// Ends all connections that there are, as when the client dies. A stalled connection does not notice
    /// that by itself.
    pub fn disconnect(&self) {
        self.shared.disconnect.notify_waiters();
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as the host of a URL or a reference: `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What has gone through so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            connections: self.shared.connections.load(Ordering::Relaxed),
            up: self.shared.up.load(Ordering::Relaxed),
            down: self.shared.down.load(Ordering::Relaxed),
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    // They end with the task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        let faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let faults = faults.iter().filter(|fault| fault.is_on(number));
        let faults: Vec<Kind> = faults.map(|fault| fault.kind).collect();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // However a connection ends, both of its sides see it.
            tokio::select! {
                _ = connect(client, server, &faults, &shared) => {}
                () = shared.disconnect.notified() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// How one direction of a connection came to its end.
enum Ended {
    /// As its sender wanted.
    Well,
    Reset,
    Closed,
}

async fn connect(
    mut client: TcpStream,
    server: SocketAddr,
    faults: &[Kind],
    shared: &Shared,
) -> io::Result<()> {
    for fault in faults {
        if let Kind::Answer(status) = fault {
            return answer(client, *status).await;
        }
    }
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pass(from_client, to_server, plan(faults, Way::Up), &shared.up);
        let down = pass(
            from_server,
            to_client,
            plan(faults, Way::Down),
            &shared.down,
        );
        both(up, down).await?
    };
    if let Ended::Reset = ended {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// Waits until both directions have ended well, or one has not.
async fn both(
    up: impl Future<Output = io::Result<Ended>>,
    down: impl Future<Output = io::Result<Ended>>,
) -> io::Result<Ended> {
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        ended = &mut up => match ended? {
            Ended::Well => down.await,
            ended => Ok(ended),
        },
        ended = &mut down => match ended? {
            Ended::Well => up.await,
            ended => Ok(ended),
        },
    }
}

/// The breaks of one direction, in the order of their bytes, and how late it begins.
struct Plan {
    breaks: Vec<(u64, Break)>,
    delay: Duration,
}

fn plan(faults: &[Kind], wanted: Way) -> Plan {
    let mut plan = Plan {
        breaks: Vec::new(),
        delay: Duration::ZERO,
    };
    for fault in faults {
        match *fault {
            Kind::At { way, byte, what } if way == wanted => plan.breaks.push((byte, what)),
            Kind::SlowStart(delay) if wanted == Way::Down => plan.delay = delay,
            _ => {}
        }
    }
    plan.breaks.sort_by_key(|(byte, _)| *byte);
    plan
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    plan: Plan,
    counter: &AtomicU64,
) -> io::Result<Ended> {
    let mut breaks = plan.breaks.into_iter().peekable();
    let mut delay = Some(plan.delay);
    let mut buffer = vec![0; 64 * 1024];
    let mut passed: u64 = 0;
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            to.shutdown().await?;
            return Ok(Ended::Well);
        }
        if let Some(delay) = delay.take() {
            tokio::time::sleep(delay).await;
        }
        let piece = &mut buffer[..length];
        let mut ending = None;
        let mut kept = length;
        while let Some((byte, what)) = breaks.next_if(|(byte, _)| *byte < passed + length as u64) {
            // It lies in this piece, so it fits.
            let at = usize::try_from(byte - passed).unwrap_or(0);
            match what {
                Break::Flip => piece[at] ^= 1,
                other => {
                    kept = at;
                    ending = Some(other);
                    break;
                }
            }
        }
        to.write_all(&piece[..kept]).await?;
        passed += kept as u64;
        counter.fetch_add(kept as u64, Ordering::Relaxed);
        match ending {
            None => {}
            Some(Break::Stall) => std::future::pending().await,
            Some(Break::Reset) => return Ok(Ended::Reset),
            Some(_) => return Ok(Ended::Closed),
        }
    }
}

/// Reads the head of a request, sends a response, and reads and discards the rest.
async fn answer(mut client: TcpStream, status: StatusCode) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 * 1024 {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(()),
        }
    }
    let text = format!(
        "HTTP/1.1 {} by a fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        status.as_u16()
    );
    client.write_all(text.as_bytes()).await?;
    client.shutdown().await?;
    let mut rest = [0; 4096];
    while client.read(&mut rest).await? > 0 {}
    Ok(())
}
