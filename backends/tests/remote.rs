//! Every scenario of the conformance kit over a registry of somebody else, which
//! `tests/interop/registries.sh` starts and describes in the environment:
//!
//! | Variable | |
//! |---|---|
//! | `TRANSHIP_TEST_REGISTRY` | host and port |
//! | `TRANSHIP_TEST_NAME` | what the suite is called |
//! | `TRANSHIP_TEST_CA` | the certificate of its authority, in PEM, where it speaks TLS |
//! | `TRANSHIP_TEST_CONFIG` | a file with its credentials, where it asks for them |
//! | `TRANSHIP_TEST_GAPS` | the scenarios that it cannot pass: lines of a name, a tab and the reason, which begins with "at times" where it is a matter of timing |

use std::process::ExitCode;
use std::sync::Arc;

use tranship_backends::remote::{
    CredentialFiles, Environment, RemoteOptions, RemoteRegistry, TlsOptions,
};
use tranship_backends::tranship;
use tranship_conformance::{Fixture, Gap, Suite};

fn main() -> ExitCode {
    // Said at once, and not by each of hundreds of trials.
    connect().expect("a registry");
    let name = variable("TRANSHIP_TEST_NAME").unwrap_or_else(|| "registry".to_owned());
    let mut suite = Suite::new(name, || async {
        Ok(Fixture::registry(Arc::new(connect()?)).with_peer_registry(Arc::new(connect()?)))
    });
    for line in variable("TRANSHIP_TEST_GAPS").unwrap_or_default().lines() {
        let (scenario, reason) = line.split_once('\t').expect("a name, a tab and a reason");
        let gap = Gap::new(scenario, reason);
        suite = suite.with_gap(match reason.starts_with("at times ") {
            true => gap.at_times(),
            false => gap,
        });
    }
    tranship_conformance::main([suite])
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn connect() -> tranship::Result<RemoteRegistry> {
    let host = variable("TRANSHIP_TEST_REGISTRY").expect("TRANSHIP_TEST_REGISTRY is set");
    let mut options = RemoteOptions::default();
    if let Some(path) = variable("TRANSHIP_TEST_CA") {
        let pem = std::fs::read(path).expect("the certificate is there");
        options = options.with_tls(TlsOptions::default().with_roots(pem));
    }
    if let Some(path) = variable("TRANSHIP_TEST_CONFIG") {
        let files = CredentialFiles::at(path, &Environment::default());
        options = options.with_credentials(Arc::new(files));
    }
    RemoteRegistry::with_options(&host.parse()?, options)
}
