//! A directory with the fixtures, and the program run in it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What lies in the fixture `hello`.
pub(crate) const INDEX: &str =
    "sha256:8a4bd48f53bf6a6ce58b798a702cce4a99cf5466d060fcfd6e0bb46106776f82";
pub(crate) const AMD64: &str =
    "sha256:43f4639596b29df819103f5aa7ace11a44eb2595fba5f99dbbd74282f25a6a2f";
pub(crate) const SBOM: &str =
    "sha256:9a2c9cf7c49a0f7636f1a6422c2da8c6853727d1bc0944c7c3a848a694dccbcc";
pub(crate) const SIGNATURE: &str =
    "sha256:0eee4a67920277b04e6ffa10049a96e3b9ee2c2cf2b9887a7deb5966023bb402";
pub(crate) const ATTESTATION: &str =
    "sha256:a9d20cd638c9e14f1720c7379832cc6099377238996301fafe4f1cbebc70bc25";
/// `{}`, the config of its artifacts.
pub(crate) const EMPTY: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
/// `hello`.
pub(crate) const HELLO: &str =
    "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
/// What nothing has.
pub(crate) const NOTHING: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A directory that holds a copy of the fixture as the layout `hello`, which tests may change.
pub(crate) struct Workplace(TempDir);

/// Where the program would look for credentials, proxies and certificates of whoever runs the tests.
const PRIVATE: [&str; 19] = [
    "TRANSHIP_REGISTRY",
    "TRANSHIP_USERNAME",
    "TRANSHIP_PASSWORD",
    "TRANSHIP_TOKEN",
    "DOCKER_AUTH_CONFIG",
    "REGISTRY_AUTH_FILE",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What the program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command to its end, with something on its standard input.
    pub(crate) fn of(mut command: Command, input: &[u8]) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        // Who does not read its input may be gone before it is all written.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        let output = child.wait_with_output().expect("ended");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Workplace {
    pub(crate) fn new() -> Self {
        let workplace = Self(tempfile::tempdir().expect("a directory"));
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/hello");
        copy_directory(Path::new(fixture), &workplace.path("hello"));
        workplace
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect(name)
    }

    /// The names in the directory, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("listed");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("Unicode"))
            .collect();
        names.sort();
        names
    }

    /// Where a layout keeps the content of `digest`.
    pub(crate) fn blob(&self, layout: &str, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("sha256");
        self.path(layout).join("blobs/sha256").join(hex)
    }

    /// Replaces stored content, which may be read-only, by other bytes.
    pub(crate) fn damage(&self, layout: &str, digest: &str, bytes: &[u8]) {
        let path = self.blob(layout, digest);
        fs::remove_file(&path).expect("there");
        fs::write(&path, bytes).expect("written");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
        command.args(arguments).current_dir(self.0.path());
        for name in PRIVATE {
            command.env_remove(name);
        }
        command
            .env("HOME", self.path("home"))
            .env("DOCKER_CONFIG", self.path("docker"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// Runs the program with something on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        Ran::of(self.command(arguments), input)
    }

    /// Runs what must succeed, and answers its standard output without the line feed at the end.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran.stdout.trim_end_matches('\n').to_owned()
    }

    /// Runs what must succeed with `--format json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--format", "json"]].concat();
        serde_json::from_str(&self.ok(&arguments)).expect("one JSON document")
    }

    /// Runs what must fail with `code`, and answers its standard error. The first line is the
    /// error, the second one, if there is one, the hint, and nothing is on standard output.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        let mut lines = ran.stderr.lines();
        assert!(
            lines.next().is_some_and(|line| line.starts_with("error: ")),
            "{ran:?}"
        );
        assert!(
            lines.next().is_none_or(|line| line.starts_with("hint: ")),
            "{ran:?}"
        );
        assert_eq!(lines.next(), None, "{ran:?}");
        ran.stderr
    }

    /// The tags of a layout.
    /// Runs a command that ends with `code`, after it has perhaps printed a part of its results.
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        ran
    }

    pub(crate) fn tags(&self, location: &str) -> Vec<String> {
        let listed = self.ok(&["repo", "tags", location]);
        listed.lines().map(ToOwned::to_owned).collect()
    }
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir(to).expect("created");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
