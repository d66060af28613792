//! Every scenario of the conformance kit over a registry of somebody else, which
//! `tests/interop/registries.sh` starts and describes in the environment:
//!
//! | Variable | |
//! |---|---|
//! | `TRANSHIP_TEST_REGISTRY` | host and port |
//! | `TRANSHIP_TEST_NAME` | what the suite is called |
//! | `TRANSHIP_TEST_CA` | the certificate of its authority, in PEM, where it speaks TLS |
//! | `TRANSHIP_TEST_CONFIG` | a file with its credentials, where it asks for them |
//! | `TRANSHIP_TEST_GAPS` | the scenarios that it cannot pass: lines of a name, a tab and the reason |

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
    // What a suite and a gap are called lives as long as the program.
    let lasting = |text: String| -> &'static str { text.leak() };
    let name = lasting(variable("TRANSHIP_TEST_NAME").unwrap_or_else(|| "registry".to_owned()));
    let mut suite = Suite::new(name, || async {
        Ok(Fixture::registry(Arc::new(connect()?)).with_peer_registry(Arc::new(connect()?)))
    });
    for line in variable("TRANSHIP_TEST_GAPS").unwrap_or_default().lines() {
        let (scenario, reason) = line.split_once('\t').expect("a name, a tab and a reason");
        suite = suite.with_gap(Gap::new(
            lasting(scenario.to_owned()),
            lasting(reason.to_owned()),
        ));
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
