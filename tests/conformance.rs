//! Every scenario of the conformance kit, on every backend of this workspace.

use std::process::ExitCode;
use std::sync::Arc;

use tranship_conformance::{Fixture, Gap, Suite};
use tranship_memory::MemoryRegistry;

fn main() -> ExitCode {
    tranship_conformance::main([memory()])
}

fn memory() -> Suite {
    Suite::new("memory", || async {
        Ok(Fixture::registry(Arc::new(MemoryRegistry::new())))
    })
    .with_gap(Gap::new(
        "blobs::a_large_blob_is_not_gathered_in_memory",
        "memory is where this backend stores blobs",
    ))
}
