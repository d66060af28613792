//! Pushes to a registry that are interrupted, and continued by another client.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tranship::*;
use tranship_conformance::content::Item;
use tranship_memory::MemoryRegistry;
use tranship_remote::{
    RemoteOptions, RemoteRegistry, RemoteRepository, RequestKind, RetryPolicy, UploadMode,
};
use tranship_server::{ServerOptions, TestServer, router};

const SIZE: usize = 3_000_000;
const PIECE: usize = 50_000;

struct Place {
    server: TestServer,
    records: tempfile::TempDir,
}

impl Place {
    async fn start() -> Self {
        let service = router(Arc::new(MemoryRegistry::new()), ServerOptions::default());
        Self {
            server: TestServer::serve(service).await.expect("a server"),
            records: tempfile::tempdir().expect("a directory"),
        }
    }

    /// A client as another process would have it.
    fn client(&self) -> RemoteRegistry {
        self.client_with(RemoteOptions::default())
    }

    fn client_with(&self, options: RemoteOptions) -> RemoteRegistry {
        let options = options
            .with_upload_records(Some(self.directory()))
            .with_retry(RetryPolicy::default().with_max_retries(0));
        let host = self.server.host().parse().expect("a name");
        RemoteRegistry::with_options(&host, options).expect("a client")
    }

    fn directory(&self) -> PathBuf {
        self.records.path().join("state/uploads")
    }

    fn notes(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory()).into_iter().flatten();
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }
}

fn repository(client: &RemoteRegistry) -> RemoteRepository {
    client.open(&"library/app".parse().expect("a name"))
}

/// Content in pieces, which notes where it is opened, and breaks off or stalls after so many bytes.
struct Origin {
    content: Bytes,
    end: Option<(usize, End)>,
    opened_at: Mutex<Vec<u64>>,
}

#[derive(Clone, Copy)]
enum End {
    Breaks,
    Stalls,
}

impl Origin {
    fn whole(content: &Bytes) -> Self {
        Self {
            content: content.clone(),
            end: None,
            opened_at: Mutex::default(),
        }
    }

    fn ending(content: &Bytes, at: usize, end: End) -> Self {
        Self {
            end: Some((at, end)),
            ..Self::whole(content)
        }
    }

    fn opened_at(&self) -> Vec<u64> {
        self.opened_at.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl OpenAt for Origin {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        self.opened_at.lock().expect("not poisoned").push(offset);
        let start = usize::try_from(offset).expect("in memory");
        let end = self.end.map_or(self.content.len(), |(at, _)| at.max(start));
        let content = self.content.slice(start..end);
        let pieces = (0..content.len()).step_by(PIECE).map(move |start| {
            let end = (start + PIECE).min(content.len());
            Ok(content.slice(start..end))
        });
        let pieces = stream::iter(pieces.collect::<Vec<_>>());
        let broken = Error::new(ErrorKind::Aborted, "the source broke off");
        Ok(match self.end {
            Some((_, End::Breaks)) => Body::from_stream(pieces.chain(stream::iter([Err(broken)]))),
            Some((_, End::Stalls)) => Body::from_stream(pieces.chain(stream::pending())),
            None => Body::from_stream(pieces),
        })
    }
}

async fn push(client: &RemoteRegistry, target: &Descriptor, origin: &Origin) -> Result<()> {
    let options = PushOptions::default().with_resumable(true);
    let repository = repository(client);
    let source = Source::open_at(origin);
    let pushed = repository.blobs().push_with(target, source, &options).await;
    pushed.map(|_| ())
}

/// Pushes a part of `content` as the blob of `item`, and leaves the upload open.
async fn push_part(place: &Place, item: &Item, content: &Bytes) {
    let origin = Origin::ending(content, 2_000_000, End::Breaks);
    push(&place.client(), item.descriptor(), &origin)
        .await
        .expect_err("it breaks");
}

async fn check_stored(place: &Place, item: &Item) {
    let content = repository(&place.client()).fetch(item.descriptor()).await;
    let content = content.expect("stored").bytes(u64::MAX).await;
    assert_eq!(content.expect("whole"), item.bytes());
    assert_eq!(place.notes(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_upload_that_broke_is_continued_by_another_client() {
    let place = Place::start().await;
    let item = Item::noise(1, SIZE);
    push_part(&place, &item, item.bytes()).await;
    assert_eq!(place.notes().len(), 1);

    let client = place.client();
    let origin = Origin::whole(item.bytes());
    push(&client, item.descriptor(), &origin)
        .await
        .expect("pushed");

    let opened_at = origin.opened_at();
    assert!(opened_at[0] > 1_000_000, "{opened_at:?}");
    let counts = client.request_counts();
    assert_eq!(counts.of(RequestKind::UploadStart), 0);
    assert_eq!(counts.of(RequestKind::UploadStatus), 1);
    check_stored(&place, &item).await;
}

#[tokio::test]
async fn an_upload_that_was_dropped_is_continued_too() {
    let place = Place::start().await;
    let item = Item::noise(1, SIZE);
    let options = RemoteOptions::default()
        .with_upload(UploadMode::Chunked)
        .with_chunk_size(500_000);
    let client = place.client_with(options);
    let stalling = Origin::ending(item.bytes(), 1_700_000, End::Stalls);
    let mut pushed = Box::pin(push(&client, item.descriptor(), &stalling));
    // Until the fourth chunk stalls.
    while stalling.opened_at().len() < 4 {
        assert!((&mut pushed).now_or_never().is_none(), "it stalls");
        tokio::task::yield_now().await;
    }
    drop(pushed);

    let origin = Origin::whole(item.bytes());
    push(&place.client(), item.descriptor(), &origin)
        .await
        .expect("pushed");
    assert!(
        origin.opened_at()[0] >= 1_500_000,
        "{:?}",
        origin.opened_at()
    );
    check_stored(&place, &item).await;
}

#[tokio::test]
async fn an_upload_that_the_registry_has_forgotten_is_begun_anew() {
    let place = Place::start().await;
    let item = Item::noise(1, SIZE);
    push_part(&place, &item, item.bytes()).await;
    for note in place.notes() {
        let text = std::fs::read_to_string(&note).expect("a note");
        let path = text.split("/uploads/").nth(1).expect("a URL");
        let id: String = path
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let text = text.replace(&id, &id.chars().rev().collect::<String>());
        std::fs::write(&note, text).expect("written");
    }

    let origin = Origin::whole(item.bytes());
    push(&place.client(), item.descriptor(), &origin)
        .await
        .expect("pushed");
    assert_eq!(origin.opened_at(), [0]);
    check_stored(&place, &item).await;
}

#[tokio::test]
async fn what_is_not_the_beginning_of_the_blob_is_sent_anew() {
    let place = Place::start().await;
    let (item, other) = (Item::noise(1, SIZE), Item::noise(2, SIZE));
    push_part(&place, &item, other.bytes()).await;

    let origin = Origin::whole(item.bytes());
    push(&place.client(), item.descriptor(), &origin)
        .await
        .expect("pushed");
    assert_eq!(origin.opened_at().last(), Some(&0));
    check_stored(&place, &item).await;
}

#[tokio::test]
async fn a_note_that_makes_no_sense_is_ignored() {
    let place = Place::start().await;
    let item = Item::noise(1, SIZE);
    let another = "{\"repository\":\"http://elsewhere/app\",\"digest\":\"sha256:\",\"url\":\"\"}";
    for text in ["", "torn", another] {
        push_part(&place, &item, item.bytes()).await;
        for note in place.notes() {
            std::fs::write(note, text).expect("written");
        }
        let origin = Origin::whole(item.bytes());
        push(&place.client(), item.descriptor(), &origin)
            .await
            .expect("pushed");
        assert_eq!(origin.opened_at(), [0]);
        check_stored(&place, &item).await;
        let repository = repository(&place.client());
        repository.delete(item.descriptor()).await.expect("deleted");
    }
}

#[tokio::test]
async fn a_note_does_not_lead_to_another_host() {
    let place = Place::start().await;
    let elsewhere = Place::start().await;
    let item = Item::noise(1, SIZE);
    push_part(&place, &item, item.bytes()).await;
    let (own, other) = (place.server.host(), elsewhere.server.host());
    for note in place.notes() {
        let text = std::fs::read_to_string(&note).expect("a note");
        let url = format!("\"url\":\"http://{other}");
        let text = text.replace(&format!("\"url\":\"http://{own}"), &url);
        assert!(text.contains(&other), "{text}");
        std::fs::write(&note, text).expect("written");
    }
    // A request would fail there.
    drop(elsewhere);
    let origin = Origin::whole(item.bytes());
    push(&place.client(), item.descriptor(), &origin)
        .await
        .expect("pushed");
    check_stored(&place, &item).await;
}

#[tokio::test]
async fn two_pushes_of_one_blob_do_not_share_an_upload() {
    let place = Place::start().await;
    let item = Item::noise(1, SIZE);
    let client = place.client();
    let stalling = Origin::ending(item.bytes(), 2_000_000, End::Stalls);
    let mut first = Box::pin(push(&client, item.descriptor(), &stalling));
    while stalling.opened_at().is_empty() {
        assert!((&mut first).now_or_never().is_none(), "it stalls");
        tokio::task::yield_now().await;
    }

    let origin = Origin::whole(item.bytes());
    let other = place.client();
    let second = push(&other, item.descriptor(), &origin);
    tokio::select! {
        _ = &mut first => unreachable!("it stalls"),
        outcome = second => outcome.expect("pushed"),
    }
    assert_eq!(origin.opened_at(), [0]);
    drop(first);
    // The part that the first one has left cannot be used.
    push(&place.client(), item.descriptor(), &origin)
        .await
        .expect("there");
    check_stored(&place, &item).await;
}

#[tokio::test]
async fn an_upload_is_cancelled_where_it_is_not_to_be_continued() {
    let place = Place::start().await;
    let item = Item::noise(1, SIZE);
    let client = place.client();
    let origin = Origin::ending(item.bytes(), 2_000_000, End::Breaks);
    let repository = repository(&client);
    let pushed = repository.push(item.descriptor(), Source::open_at(&origin));
    pushed.await.expect_err("it breaks");
    assert_eq!(place.notes(), Vec::<PathBuf>::new());
    // A background task sends the cancellation.
    while client.request_counts().of(RequestKind::UploadCancel) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_user_can_read_the_notes() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::start().await;
    let item = Item::noise(1, SIZE);
    push_part(&place, &item, item.bytes()).await;
    let mode = |path: &Path| {
        let metadata = std::fs::metadata(path).expect("there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&place.directory()), 0o700);
    assert_eq!(mode(&place.notes()[0]), 0o600);
}

#[tokio::test]
async fn notes_of_uploads_that_have_expired_are_removed() {
    let place = Place::start().await;
    let (old, new) = (Item::noise(1, SIZE), Item::noise(2, SIZE));
    push_part(&place, &old, old.bytes()).await;
    let eight_days_ago = SystemTime::now() - Duration::from_secs(8 * 24 * 60 * 60);
    let note = place.notes().remove(0);
    let file = std::fs::File::options().write(true).open(&note);
    file.expect("a note")
        .set_modified(eight_days_ago)
        .expect("set");
    push_part(&place, &new, new.bytes()).await;
    assert_eq!(place.notes().len(), 1);
    assert!(!note.exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_does_not_stop_a_push() {
    let place = Place::start().await;
    std::fs::write(place.records.path().join("state"), "a file").expect("written");
    let item = Item::noise(1, SIZE);
    let origin = Origin::whole(item.bytes());
    push(&place.client(), item.descriptor(), &origin)
        .await
        .expect("pushed");
    check_stored(&place, &item).await;
}
