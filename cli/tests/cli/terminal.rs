//! What stays on a real terminal, that of tmux: `cargo test -p tranship-cli --test cli -- --ignored`.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Workplace;

/// How long to wait for something to appear on the screen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a shell in it. It is closed when this is dropped.
struct Terminal {
    server: String,
}

impl Terminal {
    /// Opens the terminal `name` of `width` columns in which `script` runs.
    fn open(here: &Workplace, name: &str, width: u16, script: &str) -> Self {
        let terminal = Self {
            // A server that was told to end may still be there.
            server: here.path(&format!("tmux-{name}")).display().to_string(),
        };
        let binary = env!("CARGO_BIN_EXE_tranship");
        let script = format!(
            "cd '{}'; HOME=$PWD; tranship() {{ '{binary}' \"$@\"; }}; {script}; echo rc $?; sleep 600",
            here.path("").display()
        );
        let width = width.to_string();
        let opened = terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &width,
            "-y",
            "24",
            "sh",
            "-c",
            &script,
        ]);
        assert!(opened.status.success(), "{opened:?}");
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new("tmux");
        command.env("TERM", "xterm").args(["-S", &self.server]);
        command.args(arguments).output().expect("tmux")
    }

    /// The lines on the screen.
    fn lines(&self) -> Vec<String> {
        let screen = self.tmux(&["capture-pane", "-p"]).stdout;
        let screen = String::from_utf8_lossy(&screen);
        let lines = screen.lines().map(|line| line.trim_end().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }

    /// Waits until a line contains `text`, and returns the screen.
    fn wait_for(&self, text: &str) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let lines = self.lines();
            if lines.iter().any(|line| line.contains(text)) {
                return lines;
            }
            assert!(begin.elapsed() < PATIENCE, "no {text} in {lines:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// A file of 3 MiB that `cp` shows a bar for.
fn with_large_image(here: &Workplace) {
    let layer = vec![7; 3 << 20];
    std::fs::write(here.path("layer"), layer).expect("written");
    let layer = here.json(&["blob", "push", "oci:large", "layer"]);
    std::fs::write(here.path("config"), "{}").expect("written");
    let config = here.json(&["blob", "push", "oci:large", "config"]);
    let part = |media_type: &str, pushed: &serde_json::Value| {
        serde_json::json!({
            "mediaType": media_type,
            "digest": pushed["descriptor"]["digest"],
            "size": pushed["descriptor"]["size"],
        })
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("application/vnd.oci.image.config.v1+json", &config),
        "layers": [part("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    std::fs::write(here.path("manifest"), manifest.to_string()).expect("written");
    here.ok(&["manifest", "push", "oci:large:v1", "manifest"]);
}

#[test]
#[ignore = "needs tmux"]
fn a_copy_leaves_its_result_and_nothing_else() {
    let here = Workplace::new();
    with_large_image(&here);
    for width in [120, 60, 40] {
        let script = "tranship cp --durability relaxed oci:large:v1 oci-archive:out.tar";
        let terminal = Terminal::open(&here, &width.to_string(), width, script);
        let screen = terminal.wait_for("rc 0").concat();
        assert!(screen.starts_with("sha256:"), "{width}: {screen}");
        assert!(!screen.contains('─'), "{width}: {screen}");
        std::fs::remove_file(here.path("out.tar")).expect("copied");
    }
}

#[test]
#[ignore = "needs tmux"]
fn an_interrupted_wait_is_shown_and_leaves_a_word() {
    let here = Workplace::new();
    // A registry that accepts a connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound");
    for (command, width) in [("resolve", 80), ("cp", 80), ("cp", 60), ("cp", 40)] {
        let destination = if command == "cp" { "oci:out" } else { "" };
        let script = format!("trap : INT; tranship {command} {address}/app:v1 {destination}");
        let terminal = Terminal::open(&here, &format!("{command}{width}"), width, &script);
        let shown = "waiting for";
        terminal.wait_for(shown);
        terminal.tmux(&["send-keys", "C-c"]);
        let screen = terminal.wait_for("rc 130");
        assert!(
            screen.iter().any(|line| line == "interrupted"),
            "{screen:#?}"
        );
        assert!(!screen.concat().contains(shown), "{screen:#?}");
    }
}
