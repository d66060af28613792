//! Limits on the size of a request.

use tranship::*;
use tranship_remote::RemoteOptions;

use crate::fake::{Fake, Reply, blob, name};

use super::starting_uploads;

/// A registry whose proxy takes no more than `most` bytes with a request.
async fn with_a_limit(most: usize) -> Fake {
    starting_uploads(move |seen| match seen.method.as_str() {
        _ if seen.body.len() > most => Reply::new(413).body("<html>Too Large</html>"),
        "PATCH" => Reply::new(202),
        "PUT" => Reply::new(201),
        _ => Reply::new(204),
    })
    .await
}

/// How many bytes came with the requests of uploads.
fn lengths(fake: &Fake) -> Vec<(String, usize)> {
    let seen = fake.seen();
    let bodies = seen.into_iter().filter(|seen| seen.method.starts_with('P'));
    let bodies = bodies.filter(|seen| seen.method != "POST");
    bodies.map(|seen| (seen.method, seen.body.len())).collect()
}

#[tokio::test]
async fn chunks_are_halved_until_the_registry_accepts_them() {
    const MIB: usize = 1024 * 1024;
    let fake = with_a_limit(2 * MIB).await;
    let options = RemoteOptions::default().with_chunk_size(4 * MIB as u64);
    let repository = fake.client(options).open(&name());
    for (size, expected) in [
        // At once, in chunks of four, and in chunks of two.
        (
            5,
            &[
                ("PUT", 5),
                ("PATCH", 4),
                ("PATCH", 2),
                ("PATCH", 2),
                ("PATCH", 1),
                ("PUT", 0),
            ][..],
        ),
        // From then on it is known.
        (3, &[("PATCH", 2), ("PATCH", 1), ("PUT", 0)]),
        (2, &[("PUT", 2)]),
    ] {
        let before = lengths(&fake).len();
        let content = vec![size; usize::from(size) * MIB];
        let pushed = repository
            .push(&blob(&content), content.clone().into())
            .await;
        pushed.expect("pushed");
        let sent = lengths(&fake).split_off(before);
        let sent: Vec<_> = sent
            .iter()
            .map(|(method, length)| (method.as_str(), length / MIB))
            .collect();
        assert_eq!(sent, expected);
    }
}

#[tokio::test]
async fn a_limit_below_the_smallest_chunk_has_a_hint() {
    let fake = with_a_limit(100_000).await;
    let content = vec![1; 3 << 20];
    let repository = fake.repository();
    let pushed = repository
        .push(&blob(&content), content.clone().into())
        .await;
    let error = pushed.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    assert!(
        error
            .hint()
            .expect("a hint")
            .contains("client_max_body_size")
    );
    let sizes: Vec<_> = lengths(&fake)
        .into_iter()
        .map(|(_, length)| length)
        .collect();
    assert_eq!(sizes, [3 << 20, 3 << 20, 3 << 19, 1 << 20]);
}

#[tokio::test]
async fn too_large_pieces_of_a_caller_are_split() {
    let fake = with_a_limit(1 << 20).await;
    let repository = fake.repository();
    let uploader = repository.blobs();
    let content = vec![7; 5 << 19];
    let mut upload = uploader.start().await.expect("started");
    let written = upload.write(0, content.clone().into()).await;
    written.expect("written");
    upload.commit(&blob(&content)).await.expect("committed");
    let sizes: Vec<_> = lengths(&fake)
        .into_iter()
        .map(|(_, length)| length)
        .collect();
    // Two and a half, one and a quarter, and then what is taken.
    assert_eq!(sizes, [5 << 19, 5 << 18, 1 << 20, 1 << 20, 1 << 19, 0]);
}
