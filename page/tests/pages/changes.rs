//! Deleting and untagging.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tranship::TagOrDigest;
use tranship_memory::MemoryRegistry;
use tranship_page::PageOptions;
use tranship_server::{
    AuditOperation, AuditOptions, AuditRecord, AuditResult, AuditSink, AuditState, Event,
    EventAction, EventCause, EventSink, Permission, ServerOptions, router,
};

use crate::support::{Site, attach, push_image, tags, users};

async fn exists(site: &Site, reference: &str) -> bool {
    let repository = site.repository("app").await;
    let reference: TagOrDigest = reference.parse().expect("a reference");
    repository.resolve(&reference).await.is_ok()
}

#[tokio::test]
async fn the_question_says_which_tags_and_referrers_fall() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1", "stable"]).await;
    attach(&*repository, &image, "application/vnd.example.sbom", "x").await;
    let page = format!("/ui/repositories/app/-/manifests/{}/delete", image.digest());
    let question = site.get(&page).await;
    assert_eq!(question.status, 200);
    for expected in ["stable", "v1", "application/vnd.example.sbom"] {
        assert!(question.body.contains(expected), "{expected}");
    }
    assert!(exists(&site, "v1").await, "nothing has happened yet");
    let form = format!("token={}", question.token());
    let reply = site.submit("", &page, &form).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    for reference in ["v1", "stable", &image.digest().to_string()] {
        assert!(!exists(&site, reference).await, "{reference}");
    }
}

/// The actions that a server has reported.
#[derive(Debug, Default)]
struct Reported(Mutex<Vec<EventAction>>);

impl EventSink for Reported {
    fn record(&self, _: &EventCause, events: Vec<Event>) {
        let mut reported = self.0.lock().expect("not poisoned");
        reported.extend(events.iter().map(|event| event.action));
    }
}

#[tokio::test]
async fn changes_on_pages_are_events() {
    let reported = Arc::new(Reported::default());
    let sink: Arc<dyn EventSink> = reported.clone();
    let options = ServerOptions::default().with_events(sink);
    let site = Site::with(options, PageOptions::default()).await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let delete = format!("/ui/repositories/app/-/manifests/{}/delete", image.digest());
    for page in ["/ui/repositories/app/-/tags/v1/untag", &delete] {
        let form = format!("token={}", site.get(page).await.token());
        assert_eq!(site.submit("", page, &form).await.status, 303);
    }
    let reported = reported.0.lock().expect("not poisoned");
    assert_eq!(*reported, [EventAction::Untag, EventAction::Delete]);
}

/// The records of an audit log.
#[derive(Debug, Default)]
pub(crate) struct Recorded(pub(crate) Mutex<Vec<AuditRecord>>);

impl AuditSink for Recorded {
    fn record(&self, record: AuditRecord) {
        self.0.lock().expect("not poisoned").push(record);
    }

    fn is_available(&self) -> bool {
        // A third login stops changes.
        let records = self.0.lock().expect("not poisoned");
        let logins = records.iter();
        logins
            .filter(|record| record.operation == AuditOperation::Login)
            .count()
            < 3
    }

    fn state(&self) -> AuditState {
        AuditState::default()
    }
}

#[tokio::test]
async fn changes_and_logins_are_in_the_audit_log() {
    let (_directory, access) = users().await;
    let all = || "**".parse().expect("a pattern");
    let access = access
        .with_grant("ann", all(), Permission::Write)
        .with_grant("bob", all(), Permission::Read);
    let recorded = Arc::new(Recorded::default());
    let options = ServerOptions::default()
        .with_access(access)
        .with_audit(AuditOptions::new(recorded.clone()));
    let site = Site::with(options, PageOptions::default()).await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    site.submit("", "/ui/login", "user=ann&password=guess")
        .await;
    let bob = site.log_in("bob", "bob").await;
    let untag = "/ui/repositories/app/-/tags/v1/untag";
    let form = format!("token={}", site.get_as(&bob, "/ui/").await.token());
    assert_eq!(site.submit(&bob, untag, &form).await.status, 403);
    let ann = site.log_in("ann", "nna").await;
    let form = format!("token={}", site.get_as(&ann, untag).await.token());
    assert_eq!(site.submit(&ann, untag, &form).await.status, 303);
    site.log_in("ann", "nna").await;
    let delete = format!("/ui/repositories/app/-/manifests/{}/delete", image.digest());
    assert_eq!(site.submit(&ann, &delete, &form).await.status, 503);
    assert!(exists(&site, &image.digest().to_string()).await);
    let records = recorded.0.lock().expect("not poisoned");
    let seen: Vec<_> = records
        .iter()
        .map(|record| {
            let user = record.user.as_deref().unwrap_or_default();
            (record.operation.as_str(), user, record.result)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("login-failed", "ann", AuditResult::Refused),
            ("login", "bob", AuditResult::Success),
            ("delete-tag", "bob", AuditResult::Refused),
            ("login", "ann", AuditResult::Success),
            ("delete-tag", "ann", AuditResult::Success),
            ("login", "ann", AuditResult::Success),
            ("delete-manifest", "ann", AuditResult::Failure),
        ]
    );
    assert_eq!(records[4].tags[0].old_digest, Some(*image.digest()));
}

#[tokio::test]
async fn a_tag_is_removed_and_its_manifest_stays() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1", "v2"]).await;
    let page = "/ui/repositories/app/-/tags/v1/untag";
    let question = site.get(page).await;
    let form = format!("token={}", question.token());
    assert_eq!(site.submit("", page, &form).await.status, 303);
    assert!(!exists(&site, "v1").await);
    assert!(exists(&site, "v2").await);
    assert!(exists(&site, &image.digest().to_string()).await);
}

#[tokio::test]
async fn a_tag_is_removed_only_while_no_request_changes_it() {
    let registry = Arc::new(MemoryRegistry::new());
    let service = router(registry.clone(), ServerOptions::default());
    let site = Site::around(service.clone(), registry, PageOptions::default()).await;
    let repository = site.repository("app").await;
    push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let page = "/ui/repositories/app/-/tags/v1/untag";
    let form = format!("token={}", site.get(page).await.token());
    let changing = service.lock_tags(repository.name(), &tags(&["v1"])).await;
    let mut removing = pin!(site.submit("", page, &form));
    // Many turns of this thread, which serves the request too.
    let turns = async {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut removing => panic!("the tag is locked"),
        () = turns => {}
    }
    assert!(exists(&site, "v1").await);
    drop(changing);
    assert_eq!(removing.await.status, 303);
    assert!(!exists(&site, "v1").await);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let site = Site::start().await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let page = format!("/ui/repositories/app/-/manifests/{}/delete", image.digest());
    let form = format!("token={}", site.get(&page).await.token());
    let own = format!("http://{}", site.host());
    let content_type = ("content-type", "application/x-www-form-urlencoded");
    for headers in [
        &[content_type][..],
        &[content_type, ("origin", "http://evil.example")],
        &[content_type, ("origin", "null")],
        &[
            content_type,
            ("origin", &own),
            ("sec-fetch-site", "cross-site"),
        ],
    ] {
        let reply = site.send("POST", &page, headers, &form).await;
        assert_eq!(reply.status, 403, "{headers:?}");
    }
    for form in ["", "token=", "token=guess"] {
        assert_eq!(site.submit("", &page, form).await.status, 403, "{form}");
    }
    let other = [("content-type", "text/plain"), ("origin", &*own)];
    assert_eq!(site.send("POST", &page, &other, &form).await.status, 400);
    let large = "x".repeat(20_000);
    assert_eq!(site.submit("", &page, &large).await.status, 400);
    assert!(exists(&site, "v1").await);
}

#[tokio::test]
async fn users_who_may_only_read_change_nothing() {
    let (_directory, access) = users().await;
    let all = || "**".parse().expect("a pattern");
    let access = access
        .with_grant("ann", all(), Permission::Write)
        .with_grant("bob", all(), Permission::Read);
    let options = ServerOptions::default().with_access(access);
    let site = Site::with(options, PageOptions::default()).await;
    let repository = site.repository("app").await;
    let image = push_image(&*repository, &[("a", "1")], json!({}), &["v1"]).await;
    let page = format!("/ui/repositories/app/-/manifests/{}", image.digest());
    let bob = site.log_in("bob", "bob").await;
    let shown = site.get_as(&bob, &page).await;
    assert!(!shown.body.contains("/delete"), "no link");
    let form = format!("token={}", shown.token());
    let delete = format!("{page}/delete");
    assert_eq!(site.get_as(&bob, &delete).await.status, 403);
    assert_eq!(site.submit(&bob, &delete, &form).await.status, 403);
    let untag = "/ui/repositories/app/-/tags/v1/untag";
    assert_eq!(site.submit(&bob, untag, &form).await.status, 403);
    let ann = site.log_in("ann", "nna").await;
    assert_eq!(
        site.submit(&ann, &delete, &form).await.status,
        403,
        "the token of another session"
    );
    assert!(exists(&site, "v1").await);
    let token = site.get_as(&ann, &delete).await.token();
    let form = format!("token={token}");
    assert_eq!(site.submit(&ann, &delete, &form).await.status, 303);
    assert!(!exists(&site, "v1").await);
}
