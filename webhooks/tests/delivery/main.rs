//! Deliveries to a receiver on this machine.

mod documents;
mod queue;
mod receiver;
mod retries;

use std::sync::Once;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tranship::{Descriptor, MediaType};
use tranship_server::{Event, EventAction, EventCause, EventSink as _};
use tranship_webhooks::{Endpoint, Notifier, NotifierOptions, RetryOptions};

/// Installs the TLS provider, which the client of webhooks needs even without TLS.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// An endpoint that is tried again almost at once.
fn endpoint(url: &str) -> Endpoint {
    let retry = RetryOptions::default()
        .with_min_delay(Duration::from_millis(1))
        .with_max_delay(Duration::from_millis(20));
    let endpoint = Endpoint::new(url).expect("a URL");
    endpoint.with_retry(retry)
}

async fn open(options: NotifierOptions) -> tranship::Result<Notifier> {
    install_tls_provider();
    Notifier::open(options).await
}

/// A notifier that runs until it is stopped.
struct Running {
    notifier: Notifier,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn new(options: NotifierOptions) -> Self {
        Self::of(open(options).await.expect("opened"))
    }

    fn of(notifier: Notifier) -> Self {
        let (stop, stopped) = oneshot::channel();
        let running = notifier.clone();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            running.run(stopped).await;
        });
        Self {
            notifier,
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.send(()).expect("running");
        self.task.await.expect("stopped");
    }
}

/// Records a push of a manifest for each of `tags`, each with its own request.
fn push(notifier: &Notifier, tags: &[&str]) {
    for tag in tags {
        let event = push_event(tag);
        notifier.record(&cause(), vec![event]);
    }
}

fn push_event(tag: &str) -> Event {
    let manifest = Descriptor::of(MediaType::IMAGE_MANIFEST, b"{}");
    let name = "team/app".parse().expect("a name");
    let tag = tag.parse().expect("a tag");
    let event = Event::new(EventAction::Push, name).with_content(&manifest);
    event.with_tag(Some(&tag))
}

fn cause() -> EventCause {
    EventCause::new(SystemTime::now(), http::Method::PUT)
}

/// Waits until the first receiver is in a state that `is_reached` accepts.
async fn wait_for(
    notifier: &Notifier,
    is_reached: impl Fn(&tranship_server::ReceiverState) -> bool,
) {
    let wait = async {
        while !notifier.receivers().first().is_some_and(&is_reached) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.unwrap_or_else(|_| panic!("not reached: {:?}", notifier.receivers()));
}
