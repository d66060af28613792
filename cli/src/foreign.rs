//! The commands and options of other tools, and what they are called here.

use std::ffi::OsString;

use tranship::Error;
use tranship_backends::Location;

/// Words that are not commands, and what does the job of each.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["config", "raw", "head"],
        "`tranship inspect REF` describes an image; --raw prints its manifest, --config its config, and `tranship resolve REF` its digest",
    ),
    (
        &["list"],
        "`tranship ls LOCATION` lists the repositories of a registry, or the tags of a repository",
    ),
    (
        &["catalog", "repos", "repositories", "images"],
        "`tranship repo ls REGISTRY` lists the repositories of a registry",
    ),
    (
        &["referrer"],
        "`tranship discover REF` shows what refers to a manifest",
    ),
    (
        &["del"],
        "`tranship rm REF` deletes a manifest, and `tranship untag REF` removes a tag alone",
    ),
    (
        &["download"],
        "`tranship cp HOST/NAME:TAG oci:DIR` copies an image to a directory, and oci-archive:FILE or docker-archive:FILE name archives",
    ),
    (
        &["upload"],
        "`tranship cp oci:DIR:TAG HOST/NAME:TAG` copies an image to a registry, and oci-archive:FILE or docker-archive:FILE name archives",
    ),
    (
        &["export"],
        "`tranship fs export IMAGE` writes the files of an image as a tar, and `tranship cp HOST/NAME:TAG docker-archive:FILE` an archive that `docker load` reads",
    ),
    (
        &["save"],
        "`tranship cp HOST/NAME:TAG docker-archive:FILE` writes an archive that `docker load` reads, and oci-archive:FILE names one of an image layout",
    ),
    (
        &["load", "import"],
        "`tranship cp docker-archive:FILE HOST/NAME:TAG` copies an image from an archive to a registry, and oci-archive:FILE names one of an image layout",
    ),
    (
        &["image"],
        "`tranship inspect REF` describes an image, `tranship fs` reads its files, and `tranship cp` copies it",
    ),
    (
        &["artifact"],
        "`tranship push LOCATION FILE` stores files, `tranship pull LOCATION` gets them, and `tranship discover REF` shows what is attached",
    ),
    (
        &["mutate"],
        "`tranship annotate LOCATION KEY=VALUE` changes annotations",
    ),
    (
        &["append"],
        "`tranship index add LOCATION SRC` adds manifests to an index",
    ),
    (
        &["tag-list"],
        "`tranship tags LOCATION` lists the tags of a repository",
    ),
    (
        &["layout", "layouts", "oci"],
        "every command takes image layouts: `tranship repo tags oci:DIR` lists the tags of one, and `tranship fsck oci:DIR` checks it",
    ),
    (
        &["registry"],
        "`tranship serve` serves a registry, and `tranship login HOST` keeps credentials for one",
    ),
    (
        &["auth"],
        "`tranship login HOST` and `tranship logout HOST` keep and remove credentials",
    ),
    (
        &["validate", "check"],
        "`tranship verify REF` checks an image or an artifact, and `tranship fsck LOCATION` image layouts",
    ),
    (
        &["prune"],
        "`tranship gc LOCATION` removes from image layouts what nothing refers to",
    ),
];

/// Returns what does the job of the unknown command `name`.
pub(crate) fn hint(name: &str) -> Option<&'static str> {
    let mut commands = COMMANDS.iter();
    commands
        .find(|(names, _)| names.contains(&name))
        .map(|(_, hint)| *hint)
}

/// Returns what does the job of the unknown option `name` on the command line `arguments`.
pub(crate) fn option_hint(name: &str, arguments: &[OsString]) -> Option<&'static str> {
    let is_copy = arguments
        .iter()
        .any(|argument| argument == "cp" || argument == "copy");
    let is_all = ["--all", "--all-platforms", "--multi-arch"].contains(&name);
    if is_copy && is_all {
        return Some("all platforms are copied unless --platform chooses one");
    }
    let mut options = OPTIONS.iter();
    options
        .find(|(names, _)| names.contains(&name))
        .map(|(_, hint)| *hint)
}

/// Options of other tools, and what is meant by each.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &[
            "--oci-layout",
            "--from-oci-layout",
            "--to-oci-layout",
            "--oci-layout-path",
        ],
        "write the location of an image layout as oci:DIR:TAG",
    ),
    (
        &["--referrers", "--include-referrers", "--with-referrers"],
        "-r includes what refers to the artifact",
    ),
    (
        &["--digest-tags"],
        "-r includes what is attached by tags such as sha256-HEX.sig, too",
    ),
    (
        &[
            "--override-os",
            "--override-arch",
            "--override-variant",
            "--os",
            "--arch",
        ],
        "--platform OS/ARCH chooses the platform",
    ),
    (
        &[
            "--tls-verify",
            "--src-tls-verify",
            "--dest-tls-verify",
            "--skip-tls-verify",
        ],
        "--insecure accepts any certificate, and --plain-http speaks http; in cp there are --from- and --to- forms of both",
    ),
    (
        &[
            "--creds",
            "--src-creds",
            "--dest-creds",
            "--username",
            "-u",
            "--password",
            "-p",
            "--password-stdin",
        ],
        "`tranship login HOST` keeps credentials; in cp there are --from-username and --to-username, with --from-password-stdin and --to-password-stdin",
    ),
    (
        &["--jobs", "-j", "--parallel"],
        "--concurrency sets how much is transferred at the same time",
    ),
    (&["--include", "--filter"], "--match GLOB chooses by name"),
    (&["--exclude"], "--match '!GLOB' excludes by name"),
    (
        &["-n", "--max", "--page-size"],
        "--limit sets how many are listed",
    ),
    (&["--force", "-f"], "--yes deletes without a question"),
    (
        &["--ref"],
        "the references are arguments, without an option",
    ),
];

/// Commands of other tools below a command, and what does the job of each.
const SUBCOMMANDS: &[(&str, &[&str], &str)] = &[
    (
        "manifest",
        &["fetch-config"],
        "`tranship inspect --config REF` prints the config",
    ),
    (
        "manifest",
        &["index", "list", "ls"],
        "`tranship index` makes, changes and shows indexes",
    ),
    (
        "manifest",
        &["digest", "head"],
        "`tranship resolve REF` prints the digest",
    ),
    (
        "manifest",
        &["put", "upload"],
        "`tranship manifest push LOCATION FILE` stores a manifest",
    ),
    (
        "index",
        &["list", "fetch", "inspect", "get"],
        "`tranship index show REF` lists the entries",
    ),
    (
        "index",
        &["update", "append"],
        "`tranship index add LOCATION SRC` and `tranship index remove LOCATION` change an index",
    ),
    (
        "fs",
        &["stat", "tree", "find"],
        "`tranship fs ls -R IMAGE` lists all files",
    ),
    (
        "fs",
        &["extract", "pull"],
        "`tranship fs cp IMAGE PATH DIR` copies files out of an image",
    ),
    (
        "blob",
        &["head"],
        "`tranship resolve` is for manifests; `tranship blob fetch REF` reads a blob",
    ),
];

/// Returns what does the job of the unknown command `name` below the command `parent`.
pub(crate) fn subcommand_hint(parent: &str, name: &str) -> Option<&'static str> {
    let mut commands = SUBCOMMANDS.iter();
    commands
        .find(|(above, names, _)| *above == parent && names.contains(&name))
        .map(|(_, _, hint)| *hint)
}

/// Reads a location that is written to.
///
/// # Errors
/// Those of [`Location`], with hints about how to write where another tool reads.
pub(crate) fn parse_written(text: &str) -> Result<Location, Error> {
    text.parse().map_err(|error: Error| {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        // Without a hint it is a host that has such a name.
        match (error.hint(), scheme) {
            (Some(_), "docker-daemon" | "docker-engine") => error.with_hint(
                "write docker-archive:FILE, and give it to Docker with `docker load -i FILE`",
            ),
            (Some(_), "containers-storage") => error.with_hint(
                "write oci-archive:FILE, and give it to podman with `podman load -i FILE`",
            ),
            (Some(_), "dir" | "ostree" | "sif" | "atomic") => error.with_hint(format!(
                "write oci:DIR:TAG, and convert it with `skopeo copy oci:DIR:TAG {scheme}:...`"
            )),
            _ => error,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::Cli;

    #[test]
    fn words_of_other_tools_are_no_commands_and_met_once() {
        let words: Vec<_> = COMMANDS.iter().flat_map(|(names, _)| *names).collect();
        for (place, word) in words.iter().enumerate() {
            let command = Cli::command();
            assert!(command.find_subcommand(word).is_none(), "{word}");
            assert!(!words[..place].contains(word), "{word}");
        }
        for alias in ["tree", "digest", "copy"] {
            assert!(Cli::command().find_subcommand(alias).is_some(), "{alias}");
        }
    }

    /// The commands of tranship in a hint.
    fn commands(hint: &str) -> impl Iterator<Item = &str> {
        let quoted = hint.split('`').skip(1).step_by(2);
        quoted.filter(|command| command.starts_with("tranship "))
    }

    #[test]
    fn each_hint_leads_to_a_command_that_exists() {
        for (names, hint) in COMMANDS {
            assert!(commands(hint).count() > 0, "{names:?}");
            for command in commands(hint) {
                // Those without arguments only name the command.
                let is_whole = command.contains(|letter: char| letter.is_ascii_uppercase());
                let filled = command
                    .replace("HOST/NAME:TAG", "registry.example/app:v1")
                    .replace("IMAGE", "registry.example/app:v1")
                    .replace("LOCATION", "oci:dir")
                    .replace("REGISTRY", "registry.example")
                    .replace("HOST", "registry.example")
                    .replace("REF", "registry.example/app:v1")
                    .replace("SRC", "registry.example/app:v1")
                    .replace("DST", "oci:dir")
                    .replace("TAG", "v1");
                match Cli::try_parse_from(filled.split(' ')) {
                    Ok(_) => assert!(is_whole || command == "tranship serve", "{command}"),
                    Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion => {}
                    Err(error) => {
                        assert!(!is_whole, "{command}: {error}");
                        let missing = clap::error::ErrorKind::MissingRequiredArgument;
                        let on_missing =
                            clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
                        assert!([missing, on_missing].contains(&error.kind()), "{command}");
                    }
                }
            }
        }
    }

    #[test]
    fn all_platforms_are_copied_without_an_option() {
        let of = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(OsString::from).collect();
            option_hint("--all", &words)
        };
        assert!(
            of(&["tranship", "cp", "--all"]).is_some_and(|hint| hint.contains("all platforms"))
        );
        assert_eq!(of(&["tranship", "resolve", "--all"]), None);
    }

    #[test]
    fn a_destination_of_another_tool_is_met_with_how_to_write_there() {
        for (text, expected) in [
            ("docker-daemon:a:v", "docker load"),
            ("docker-daemon:localhost/a:v", "docker load"),
            ("containers-storage:a:v", "podman load"),
            ("dir:/some/path", "skopeo copy oci:DIR:TAG dir:"),
            ("ocidir:a:v", "oci:a:v"),
        ] {
            let error = parse_written(text).expect_err(text);
            let hint = error.hint().unwrap_or_default();
            assert!(hint.contains(expected), "{text}: {hint}");
            assert!(!hint.contains("save"), "{text}: {hint}");
        }
        parse_written("dir:5000/app:v1").expect("a registry");
    }

    #[test]
    fn each_word_of_a_copy_leads_from_and_to_the_right_place() {
        for (words, expected) in [
            (["download"].as_slice(), "tranship cp HOST/NAME:TAG oci:DIR"),
            (&["upload"], "tranship cp oci:DIR:TAG HOST/NAME:TAG"),
            (&["save"], "tranship cp HOST/NAME:TAG docker-archive:FILE"),
            (
                &["load", "import"],
                "tranship cp docker-archive:FILE HOST/NAME:TAG",
            ),
            (&["export"], "tranship fs export IMAGE"),
            (&["layout"], "tranship repo tags oci:DIR"),
            (&["del"], "tranship rm REF"),
            (&["list"], "tranship ls LOCATION"),
            (&["catalog", "images"], "tranship repo ls REGISTRY"),
            (&["config", "raw"], "tranship inspect REF"),
            (&["referrer"], "tranship discover REF"),
            (&["auth"], "tranship login HOST"),
            (&["validate"], "tranship verify REF"),
            (&["prune"], "tranship gc LOCATION"),
        ] {
            for word in words {
                let hint = hint(word).unwrap_or_default();
                assert_eq!(commands(hint).next(), Some(expected), "{word}: {hint}");
            }
        }
    }
}
