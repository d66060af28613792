//! A receiver of webhooks, which responds with the statuses that a test sets.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver on a free port, until it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Received>>,
    statuses: Mutex<VecDeque<u16>>,
    arrived: Notify,
}

/// A request that has arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Receiver {
    /// Responds to the first requests with `statuses`, and to all others with 200.
    pub(crate) async fn start(statuses: impl IntoIterator<Item = u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Self::on(listener.expect("a port"), statuses)
    }

    /// Receives on `listener`, as [`start`](Self::start) does.
    pub(crate) fn on(listener: TcpListener, statuses: impl IntoIterator<Item = u16>) -> Self {
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            statuses: Mutex::new(statuses.into_iter().collect()),
            ..Shared::default()
        });
        let app = axum::Router::new().fallback(receive);
        let app = app.with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("served");
        });
        Self {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits for `count` requests, and returns all that have arrived.
    pub(crate) async fn requests(&self, count: usize) -> Vec<Received> {
        let wait = async {
            loop {
                let arrived = self.shared.arrived.notified();
                if lock(&self.shared.requests).len() >= count {
                    return;
                }
                arrived.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        let requests = lock(&self.shared.requests).clone();
        waited.unwrap_or_else(|_| panic!("{count} requests expected: {requests:?}"));
        requests
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let header = self.headers.get(name).expect(name);
        header.to_str().expect("a text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Returns the tag of the only event, in the format of distribution.
    pub(crate) fn tag(&self) -> String {
        let json = self.json();
        let tag = json["events"][0]["target"]["tag"].as_str();
        tag.expect("a tag").to_owned()
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    lock(&shared.requests).push(Received {
        path: uri.path().to_owned(),
        headers,
        body,
    });
    shared.arrived.notify_one();
    let status = lock(&shared.statuses).pop_front().unwrap_or(200);
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::LOCATION, "/elsewhere")])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("not poisoned")
}
