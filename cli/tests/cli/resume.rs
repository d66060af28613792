//! Copies that are interrupted inside a large blob, and continued by another process.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::json;
use tranship_conformance::content::Item;
use tranship_conformance::http::{Fault, FaultProxy, Way};

use crate::registries::TestRegistry;
use crate::support::Workplace;

const SIZE: usize = 12_000_000;

/// After how many bytes a connection stalls.
const STALLS_AT: u64 = 9_000_000;

/// How much has to be stored for the rest to be visibly less than all.
const ENOUGH: u64 = 5_000_000;

/// Makes the layout `large`, whose `v1` has one layer that is large, and returns the layer's digest.
fn make_large(here: &Workplace) -> String {
    let layer = Item::noise(1, SIZE);
    here.write("layer", layer.bytes());
    here.write("config", "{}");
    let layer = here.ok(&["blob", "push", "oci:large", "layer"]);
    let config = here.ok(&["blob", "push", "oci:large", "config"]);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/octet-stream", "digest": layer, "size": SIZE}],
    });
    here.write("manifest.json", manifest.to_string());
    here.ok(&["manifest", "push", "oci:large:v1", "manifest.json"]);
    layer
}

/// Starts a copy that stalls, and sends it `signal` when `enough` has arrived.
fn interrupt(here: &Workplace, arguments: &[&str], signal: &str, enough: impl Fn() -> bool) {
    let mut command = here.command(arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child: Child = child.expect("started");
    while !enough() {
        assert_eq!(child.try_wait().expect("a look"), None, "it has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("sent").success());
    child.wait().expect("ended");
}

fn partial(here: &Workplace, layer: &str) -> PathBuf {
    let name = layer.replace(':', "-");
    here.path("back/.tranship/uploads").join(name)
}

fn sends(proxy: &FaultProxy, way: Way, run: impl FnOnce()) -> u64 {
    let passed = || match way {
        Way::Up => proxy.traffic().up,
        Way::Down => proxy.traffic().down,
    };
    let before = passed();
    run();
    passed() - before
}

#[test]
fn a_copy_from_a_registry_is_continued_inside_a_blob() {
    for signal in ["-KILL", "-INT"] {
        let here = Workplace::new();
        let layer = make_large(&here);
        let registry = TestRegistry::open();
        let to = format!("{}/app:v1", registry.host());
        here.ok(&["cp", "oci:large:v1", &to]);
        let proxy = registry.proxy();
        let copy = ["cp", &format!("{}/app:v1", proxy.host()), "oci:back"];

        proxy.set_faults([Fault::stall(Way::Down, STALLS_AT)]);
        let partial = partial(&here, &layer);
        let length = || fs::metadata(&partial).map_or(0, |file| file.len());
        interrupt(&here, &copy, signal, || length() >= ENOUGH);
        assert!(length() >= ENOUGH, "{signal}");

        proxy.set_faults([]);
        let sent = sends(&proxy, Way::Down, || drop(here.ok(&copy)));
        assert!(sent < SIZE as u64 - ENOUGH + 100_000, "{signal}: {sent}");
        assert_eq!(
            fs::read(here.blob("back", &layer)).expect("a blob"),
            here.read("layer")
        );
        assert!(!partial.exists());
    }
}

#[test]
fn a_copy_to_a_registry_is_continued_inside_a_blob() {
    for signal in ["-KILL", "-INT"] {
        let here = Workplace::new();
        let layer = make_large(&here);
        let registry = TestRegistry::open();
        let proxy = registry.proxy();
        let to = format!("{}/app", proxy.host());
        let copy = ["cp", "oci:large:v1", &to];

        proxy.set_faults([Fault::stall(Way::Up, STALLS_AT)]);
        interrupt(&here, &copy, signal, || proxy.traffic().up >= STALLS_AT);
        let notes = here.path("home/.local/state/tranship/uploads");
        assert_eq!(fs::read_dir(&notes).expect("notes").count(), 1, "{signal}");

        proxy.disconnect();
        proxy.set_faults([]);
        let sent = sends(&proxy, Way::Up, || drop(here.ok(&copy)));
        assert!(sent < SIZE as u64 - ENOUGH + 100_000, "{signal}: {sent}");
        assert_eq!(fs::read_dir(&notes).expect("notes").count(), 0);
        let from = format!("{}/app@{layer}", registry.host());
        here.ok(&["blob", "fetch", &from, "--output", "fetched"]);
        assert_eq!(here.read("fetched"), here.read("layer"));
    }
}

#[test]
fn nothing_is_kept_where_that_is_not_wanted() {
    let here = Workplace::new();
    let layer = make_large(&here);
    let registry = TestRegistry::open();
    let proxy = registry.proxy();
    let host = proxy.host();
    let to = format!("{host}/app:v1");
    let copy = ["cp", "--no-resume", "oci:large:v1", &to];
    proxy.set_faults([Fault::stall(Way::Up, STALLS_AT)]);
    interrupt(&here, &copy, "-INT", || proxy.traffic().up >= ENOUGH);
    assert!(!here.path("home").exists());

    proxy.set_faults([]);
    here.ok(&copy);
    proxy.set_faults([Fault::stall(Way::Down, STALLS_AT)]);
    let before = proxy.traffic().down;
    let copy = ["cp", "--no-resume", &to, "oci:back"];
    interrupt(&here, &copy, "-INT", || {
        proxy.traffic().down >= before + ENOUGH
    });
    assert!(!partial(&here, &layer).exists());
}
