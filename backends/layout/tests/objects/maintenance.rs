//! The lease for the maintenance of a registry in a store.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use object_store::Error;
use tokio::time::{sleep, timeout};
use tranship::ErrorKind;
use tranship_layout::{LayoutOptions, LayoutRegistry, MaintenanceLease};

use crate::faulty::{Faulty, Op};

/// Longer than a lease is valid without a renewal.
const LONG: Duration = Duration::from_secs(65);

/// Two servers of one store.
async fn two(store: &Arc<Faulty>) -> [MaintenanceLease; 2] {
    [contender(store).await, contender(store).await]
}

async fn contender(store: &Arc<Faulty>) -> MaintenanceLease {
    let store: Arc<Faulty> = Arc::clone(store);
    let registry = LayoutRegistry::create_in(store, "all", LayoutOptions::default()).await;
    registry.expect("a registry").maintenance_lease()
}

async fn gets_it(lease: &MaintenanceLease) -> bool {
    let ran = lease.run(ready(())).await.expect("a store that works");
    ran.is_some()
}

#[tokio::test(start_paused = true)]
async fn only_one_server_has_the_lease_however_long_its_work_takes() {
    let store = Arc::new(Faulty::new());
    let [first, second] = two(&store).await;
    let attempts = async {
        sleep(Duration::from_secs(1)).await;
        for _ in 0..10 {
            assert!(!gets_it(&second).await);
            sleep(LONG).await;
        }
    };
    let ran = first.run(attempts).await;
    assert_eq!(ran.expect("renewed"), Some(()));
    assert!(gets_it(&second).await, "it was released");
    assert!(gets_it(&first).await);
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_server_that_died_is_taken_over() {
    let store = Arc::new(Faulty::new());
    let [first, second] = two(&store).await;
    let died = timeout(Duration::from_secs(1), first.run(pending::<()>())).await;
    died.expect_err("it works until it is dropped");
    assert!(!gets_it(&second).await);
    sleep(LONG / 2).await;
    assert!(!gets_it(&second).await);
    sleep(LONG / 2).await;
    assert!(gets_it(&second).await);
}

#[tokio::test(start_paused = true)]
async fn work_ends_when_the_lease_cannot_be_renewed() {
    let store = Arc::new(Faulty::new());
    let [first, second] = two(&store).await;
    let fail = async {
        store.fail(|op, key| {
            let refused = op == Op::Update && key.ends_with("lease-upkeep.json");
            refused.then(|| Error::Generic {
                store: "test",
                source: "no answer".into(),
            })
        });
        pending::<()>().await;
    };
    let error = first.run(fail).await.expect_err("the lease is lost");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.fail(|_, _| None);
    assert!(!gets_it(&second).await);
    sleep(LONG).await;
    assert!(gets_it(&second).await);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_response_is_lost_counts() {
    let store = Arc::new(Faulty::new());
    let lease = contender(&store).await;
    let work = async {
        store.fail_afterwards(|op, key| {
            let lost = op == Op::Update && key.ends_with("lease-upkeep.json");
            lost.then(|| Error::Precondition {
                path: key.to_owned(),
                source: "it was repeated".into(),
            })
        });
        sleep(LONG).await;
    };
    assert_eq!(lease.run(work).await.expect("renewed"), Some(()));
}

#[tokio::test]
async fn a_store_without_conditions_has_no_lease() {
    let store = Arc::new(Faulty::without_regard());
    let refused = contender(&store).await.run(ready(())).await;
    let error = refused.expect_err("no conditional PUT");
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    let options = LayoutOptions::default().with_unconditional_put(true);
    let registry = LayoutRegistry::create_in(store.clone(), "all", options).await;
    assert!(gets_it(&registry.expect("a registry").maintenance_lease()).await);
    assert_eq!(store.keys(), Vec::<String>::new());
}
