//! Every layer passes the conformance suite with the capabilities that it declares: alone around a registry and a
//! repository, and around every other layer.

use std::process::ExitCode;
use std::sync::Arc;

use tranship::layers::ReadOnly;
use tranship::{Registry, Repository};
use tranship_conformance::{Fixture, Suite};
use tranship_memory::{MemoryRegistry, MemoryRepository};

/// A layer, as a name and what it makes of a registry and of a repository, unless it takes only one of them.
struct Layer {
    name: &'static str,
    registry: Option<fn(Arc<dyn Registry>) -> Arc<dyn Registry>>,
    repository: Option<fn(Arc<dyn Repository>) -> Arc<dyn Repository>>,
}

const LAYERS: &[Layer] = &[Layer {
    name: "read-only",
    registry: Some(|inner| Arc::new(ReadOnly::new(inner))),
    repository: Some(|inner| Arc::new(ReadOnly::new(inner))),
}];

fn main() -> ExitCode {
    let mut suites = Vec::new();
    for layer in LAYERS {
        if let Some(wrap) = layer.registry {
            suites.push(registry(layer.name.to_owned(), wrap));
        }
        if let Some(wrap) = layer.repository {
            let name = format!("repository-{}", layer.name);
            suites.push(Suite::new(name, move || async move {
                Ok(Fixture::repository(wrap(Arc::new(MemoryRepository::new()))))
            }));
        }
        for below in LAYERS {
            if let (Some(wrap), Some(wrap_below)) = (layer.registry, below.registry)
                && layer.name != below.name
            {
                let name = format!("{}-around-{}", layer.name, below.name);
                suites.push(registry(name, move |inner| wrap(wrap_below(inner))));
            }
        }
    }
    tranship_conformance::main(suites)
}

/// The layers around a registry that two handles share.
fn registry(
    name: String,
    wrap: impl Fn(Arc<dyn Registry>) -> Arc<dyn Registry> + Copy + Send + Sync + 'static,
) -> Suite {
    Suite::new(name, move || async move {
        Ok(Fixture::registry(wrap(Arc::new(MemoryRegistry::new()))))
    })
}
