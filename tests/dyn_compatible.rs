//! Every trait works behind `dyn`, and everything can cross threads.

use std::sync::Arc;

use tranship::*;

fn crosses_threads<T: Send + Sync + ?Sized>() {}
fn is_sent<T: Send>(_: &T) {}

#[test]
fn every_trait_can_be_a_shared_trait_object() {
    crosses_threads::<Arc<dyn Fetcher>>();
    crosses_threads::<Arc<dyn Pusher>>();
    crosses_threads::<Arc<dyn ReadOnlyStorage>>();
    crosses_threads::<Arc<dyn Storage>>();
    crosses_threads::<Arc<dyn Deleter>>();
    crosses_threads::<Arc<dyn Resolver>>();
    crosses_threads::<Arc<dyn Tagger>>();
    crosses_threads::<Arc<dyn TagResolver>>();
    crosses_threads::<Arc<dyn Untagger>>();
    crosses_threads::<Arc<dyn PredecessorFinder>>();
    crosses_threads::<Arc<dyn ReferenceFetcher>>();
    crosses_threads::<Arc<dyn ReferencePusher>>();
    crosses_threads::<Arc<dyn ReferrerLister>>();
    crosses_threads::<Arc<dyn TagLister>>();
    crosses_threads::<Arc<dyn Mounter>>();
    crosses_threads::<Arc<dyn Uploader>>();
    crosses_threads::<Arc<dyn BlobStore>>();
    crosses_threads::<Arc<dyn ManifestStore>>();
    crosses_threads::<Arc<dyn Repository>>();
    crosses_threads::<Arc<dyn Registry>>();
    crosses_threads::<Arc<dyn Backend>>();
    crosses_threads::<Box<dyn Batch>>();
    crosses_threads::<Arc<dyn CopyHooks>>();
    crosses_threads::<Error>();
    crosses_threads::<CopyOptions>();
    crosses_threads::<Source<'_>>();
}

#[test]
fn a_repository_stands_for_each_of_its_abilities() {
    let repository = tranship_memory::MemoryRepository::new();
    let repository: &dyn Repository = &repository;
    let _: &dyn Backend = repository;
    let _: &dyn Fetcher = repository;
    let _: &dyn Mounter = repository;
    let _: &dyn Storage = repository;
    let _: &dyn Deleter = repository;
    let _: &dyn TagResolver = repository;
    let _: &dyn Untagger = repository;
    let _: &dyn PredecessorFinder = repository;
    let _: &dyn ReferenceFetcher = repository;
    let _: &dyn ReferencePusher = repository;
    let _: &dyn ReferrerLister = repository;
    let _: &dyn TagLister = repository;
    let _: &dyn Storage = &*repository.blobs();
    let _: &dyn Tagger = &*repository.manifests();
}

#[test]
fn a_copy_can_be_spawned() {
    let repository = tranship_memory::MemoryRepository::new();
    let reference: TagOrDigest = "v1".parse().expect("a tag");
    let options = CopyOptions::default();
    is_sent(&copy(&repository, &reference, &repository, &[], &options));
    let options = ExtendedCopyOptions::default();
    is_sent(&extended_copy(
        &repository,
        &reference,
        &repository,
        &[],
        &options,
    ));
}
