//! `serve` with mirrors of other registries.

use std::time::{Duration, Instant};

use crate::serve::{Served, get};
use crate::support::{INDEX, Workplace};

/// Serves the layouts in `all`, which have an image `library/hello:v1`.
fn upstream(workplace: &Workplace) -> (Served, String) {
    workplace.ok(&["cp", "-r", "oci:hello:v1", "layouts:all//library/hello:v1"]);
    let mut served = Served::start(workplace, &["--root", "layouts:all"]);
    let host = served.host();
    (served, host)
}

#[test]
fn a_mirror_serves_an_image_after_its_registry_is_gone() {
    let workplace = Workplace::new();
    let (upstream, origin) = upstream(&workplace);
    workplace.write(
        "serve.yaml",
        format!(
            "root: ./cache\nmirror: ['docker.io=http://{origin}']\nmirror-fallback: docker.io\ncache-size: 1MiB\n"
        ),
    );
    let mut mirror = Served::start(&workplace, &["serve.yaml"]);
    let host = mirror.host();
    let image = format!("{host}/docker.io/library/hello:v1");
    workplace.ok(&["cp", "-r", &image, "oci:first:v1"]);
    upstream.stop();
    workplace.ok(&["cp", &image, "oci:second:v1"]);
    workplace.ok(&["cp", &format!("{host}/hello@{INDEX}"), "oci:third:v1"]);
    mirror.stop();
    let saved = workplace.read("cache/.tranship/cached-content.jsonl");
    let saved = String::from_utf8(saved).expect("text");
    assert!(saved.contains(INDEX), "{saved}");

    // The next process has less room, and knows the stored content.
    let settings = ["serve.yaml", "--cache-size", "1"];
    let mut mirror = Served::start(&workplace, &settings);
    let host = mirror.host();
    let target = "/v2/docker.io/library/hello/manifests/v1";
    let started = Instant::now();
    while !get(&host, target).starts_with("HTTP/1.1 503") {
        assert!(started.elapsed() < Duration::from_secs(60), "still stored");
    }
}

/// Makes the server whose settings are in `file` a mirror of the one at `origin`.
fn mirror_of(workplace: &Workplace, served: &mut Served, file: &str, origin: &str) {
    workplace.write(
        file,
        format!("mirror: ['docker.io=http://{origin}']\nmirror-fallback: docker.io\n"),
    );
    served.wait_for_log("reloaded");
}

#[test]
fn a_mirror_that_leads_back_to_its_server_is_refused() {
    let workplace = Workplace::new();
    workplace.write("one.yaml", "warning: one\n");
    workplace.write("two.yaml", "warning: two\n");
    let mut one = Served::start(&workplace, &["one.yaml"]);
    let mut two = Served::start(&workplace, &["two.yaml"]);
    let hosts = [one.host(), two.host()];
    mirror_of(&workplace, &mut one, "one.yaml", &hosts[0]);
    let target = "/v2/library/hello/manifests/v1";
    let message = "the mirror of docker.io leads back to this server";
    let reply = get(&hosts[0], target);
    assert!(reply.starts_with("HTTP/1.1 508"), "{reply}");
    assert!(reply.contains(message), "{reply}");

    // Through another server.
    mirror_of(&workplace, &mut one, "one.yaml", &hosts[1]);
    mirror_of(&workplace, &mut two, "two.yaml", &hosts[0]);
    let reply = get(&hosts[0], target);
    assert!(reply.starts_with("HTTP/1.1 508"), "{reply}");
}

#[test]
fn mirrors_are_reloaded_and_checked() {
    let workplace = Workplace::new();
    let (_upstream, origin) = upstream(&workplace);
    workplace.write("serve.yaml", "root: ./cache\n");
    let mut served = Served::start(&workplace, &["serve.yaml"]);
    let host = served.host();
    let target = "/v2/library/hello/manifests/v1?ns=docker.io";
    assert!(get(&host, target).starts_with("HTTP/1.1 404"));
    workplace.write(
        "serve.yaml",
        format!("root: ./cache\nmirror: ['docker.io=http://{origin}']\n"),
    );
    served.wait_for_log("reloaded");
    assert!(get(&host, target).starts_with("HTTP/1.1 200"));

    for (content, message) in [
        (
            "mirror: [ghcr.io=ftp://x]\n",
            "bad.yaml:1:10: mirror[0]: a mirror is reached over http or https",
        ),
        ("mirror: [a.io, a.io]\n", "a.io"),
        (
            "mirror: [a.io]\nmirror-fallback: b.io\n",
            "b.io: no mirror has this name",
        ),
        ("cache-size: 1GiB\n", "cache-size needs the setting mirror"),
        ("root: ghcr.io\nmirror: [a.io]\n", "cannot be used together"),
    ] {
        workplace.write("bad.yaml", content);
        let refused = workplace.run(&["serve", "bad.yaml", "--check-config"]);
        assert_ne!(refused.code, Some(0), "{content}");
        assert!(
            refused.stderr.contains(message),
            "{content} gives {}",
            refused.stderr
        );
    }
}
