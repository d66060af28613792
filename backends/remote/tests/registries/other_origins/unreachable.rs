//! Hosts of another origin that cannot be reached.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tranship::*;
use tranship_remote::{RemoteOptions, RemoteRegistry, RemoteRepository, RetryPolicy};

use super::{fetching, with_secrets};
use crate::fake::{Fake, Reply, name};

/// A host that closes each connection, and counts them.
struct Down {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Down {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Registries that need the host `other`: for the blob, and for a token.
async fn registries_that_need(other: &Down) -> [Fake; 2] {
    let (storage, realm) = (other.address, other.address);
    [
        Fake::start(move |_| Reply::redirect(format!("http://{storage}/blob"))).await,
        Fake::start(move |_| {
            let challenge = format!("Bearer realm=\"http://{realm}/token\"");
            Reply::new(401).header("www-authenticate", challenge)
        })
        .await,
    ]
}

fn repository(registry: &Fake, pause: Duration) -> RemoteRepository {
    let options = with_secrets(&registry.host()).with_other_host_pause(pause);
    registry.client(options).open(&name())
}

#[tokio::test]
async fn an_error_tells_the_host_unless_it_is_the_registry() {
    let down = Down::start().await;
    for registry in registries_that_need(&down).await {
        let failed = fetching(&repository(&registry, Duration::ZERO)).await;
        let error = failed.expect_err("down");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert_eq!(error.other_host(), Some(&*down.address.to_string()));
        assert!(error.to_string().contains(&down.address.to_string()));
    }
    let host = down.address.to_string().parse().expect("a name");
    let retry = RetryPolicy::default().with_max_retries(0);
    let options = RemoteOptions::default().with_retry(retry);
    let registry = RemoteRegistry::with_options(&host, options).expect("a client");
    let error = fetching(&registry.open(&name())).await;
    let error = error.expect_err("the registry is down");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(error.other_host(), None);
}

#[tokio::test]
async fn another_host_that_is_down_is_left_alone() {
    for (pause, is_left_alone) in [(Duration::from_secs(600), true), (Duration::ZERO, false)] {
        let down = Down::start().await;
        for registry in registries_that_need(&down).await {
            let repository = repository(&registry, pause);
            fetching(&repository).await.expect_err("down");
            let (tried, asked) = (down.connections(), registry.seen().len());
            let error = fetching(&repository).await.expect_err("down");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert_eq!(error.retry_after().is_some(), is_left_alone);
            assert_eq!(down.connections() == tried, is_left_alone);
            // The registry is not.
            assert!(registry.seen().len() > asked);
        }
    }
}
