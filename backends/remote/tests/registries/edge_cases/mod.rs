//! Unusual responses that the spec allows or that registries send, and the requests that follow.

mod blobs;
mod chunks;
mod listings;
mod requests;
mod uploads;

use tranship::*;
use tranship_remote::RemoteRepository;

use crate::fake::{Fake, HELLO, Reply, Seen, blob};

const UPLOAD: &str = "/v2/library/app/blobs/uploads/1";

/// The requests so far, as method and path.
fn requests(fake: &Fake) -> Vec<String> {
    let seen = fake.seen();
    let lines = seen.iter().map(|seen| {
        let path = seen.target.split('?').next().unwrap_or_default();
        let short = path.strip_prefix("/v2/library/app/").unwrap_or(path);
        let short = short.split("sha256:").next().unwrap_or_default();
        format!("{} {short}", seen.method)
    });
    lines.collect()
}

async fn pushing(repository: &RemoteRepository) -> Result<()> {
    repository.push(&blob(HELLO), HELLO.into()).await.map(drop)
}

/// A registry that starts uploads, and responds to other requests by `handler`.
async fn starting_uploads(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |seen| match seen.method.as_str() {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("location", UPLOAD),
        _ => handler(seen),
    })
    .await
}
