//! `complete-location`, which the scripts of `completion` call: what a location may continue with.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _};
use tranship::{ListOptions, Listing};
use tranship_backends::{Location, OpenOptions, RegistryLocation};

use crate::args::CompleteLocation;
use crate::command_error::Outcome;
use crate::help;
use crate::output;

/// More candidates help nobody.
const MOST: usize = 1000;

/// How the values of arguments are named that are locations.
const LOCATIONS: [&str; 8] = [
    "LOCATION",
    "REF",
    "SRC",
    "DST",
    "IMAGE",
    "OTHER",
    "REGISTRY[/PREFIX]",
    "SUBJECT",
];

const SCHEMES: [&str; 4] = ["oci:", "layouts:", "oci-archive:", "docker-archive:"];

/// Prints what the last word may continue with, one a line, if it is a location. What cannot be read has no candidates.
pub(super) async fn run(args: CompleteLocation, location_options: &OpenOptions) -> Outcome {
    let Some((word, before)) = args.words.split_last() else {
        return Ok(());
    };
    if !is_location(before) {
        return Ok(());
    }
    let mut found = candidates(word, location_options).await;
    found.sort();
    let lines: String = found.iter().map(|word| format!("{word}\n")).collect();
    output::write(lines.as_bytes()).await
}

/// Whether a location can follow these words, of which the first is the name of the program.
fn is_location(before: &[String]) -> bool {
    let root = help::command();
    let mut command = &root;
    let mut positions = 0;
    let mut words = before.iter().skip(1).peekable();
    while let Some(word) = words.next() {
        if let Some(name) = word.strip_prefix('-') {
            let option = option(command, name).or_else(|| option(&root, name));
            let takes_value = !word.contains('=')
                && option.is_some_and(|option| option.get_action().takes_values());
            if takes_value && words.next().is_none() {
                return option.is_some_and(names_location);
            }
        } else if let Some(below) = command.find_subcommand(word) {
            (command, positions) = (below, 0);
        } else {
            positions += 1;
        }
    }
    let arguments: Vec<_> = command.get_positionals().collect();
    let argument = arguments.get(positions).or_else(|| {
        // The last one may be repeated.
        let last = arguments.last()?;
        last.get_num_args()
            .is_some_and(|count| count.max_values() > 1)
            .then_some(last)
    });
    argument.is_some_and(|argument| names_location(argument))
}

fn option<'a>(command: &'a clap::Command, name: &str) -> Option<&'a clap::Arg> {
    command
        .get_arguments()
        .find(|option| match name.strip_prefix('-') {
            Some(long) => option.get_long() == Some(long),
            None => option
                .get_short()
                .is_some_and(|short| name.ends_with(short)),
        })
}

fn names_location(argument: &clap::Arg) -> bool {
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().any(|name| LOCATIONS.contains(&name.as_str()))
}

async fn candidates(word: &str, options: &OpenOptions) -> Vec<String> {
    let Some((scheme, rest)) = word.split_once(':') else {
        let schemes = SCHEMES
            .into_iter()
            .filter(|scheme| scheme.starts_with(word));
        return schemes.map(str::to_owned).collect();
    };
    if rest.contains("://") {
        // An object store is not asked while somebody types.
        return Vec::new();
    }
    let scheme = format!("{scheme}:");
    match scheme.as_str() {
        "oci:" => {
            if let Some(tags) = tags_of(&scheme, rest, options).await {
                return tags;
            }
            paths(&scheme, rest, |path| {
                path.is_dir()
                    .then(|| if is_layout(path) { ":" } else { "/" })
            })
        }
        "layouts:" => match rest.split_once("//") {
            Some((root, name)) => match tags_of(&scheme, rest, options).await {
                Some(tags) => tags,
                None => repositories(root, name, options).await,
            },
            None => paths(&scheme, rest, |path| path.is_dir().then_some("/")),
        },
        "oci-archive:" | "docker-archive:" => {
            if let Some(tags) = tags_of(&scheme, rest, options).await {
                return tags;
            }
            paths(&scheme, rest, |path| match path.is_dir() {
                true => Some("/"),
                false => is_archive(path).then_some(":"),
            })
        }
        _ => Vec::new(),
    }
}

fn is_layout(path: &Path) -> bool {
    path.join("oci-layout").is_file()
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".tar", ".tar.gz", ".tgz", ".tar.zst"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The paths that begin with `rest`, each with what `end` returns for it.
fn paths(scheme: &str, rest: &str, end: impl Fn(&Path) -> Option<&'static str>) -> Vec<String> {
    let (parent, start) = match rest.rsplit_once('/') {
        Some((parent, start)) => (format!("{parent}/"), start),
        None => (String::new(), rest),
    };
    let directory = if parent.is_empty() {
        PathBuf::from(".")
    } else {
        PathBuf::from(&parent)
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        if name.chars().any(char::is_control) {
            return None;
        }
        let is_meant =
            name.starts_with(start) && (start.starts_with('.') || !name.starts_with('.'));
        let end = is_meant.then(|| end(&entry.path())).flatten()?;
        Some(format!("{scheme}{parent}{name}{end}"))
    });
    found.take(MOST).collect()
}

/// The tags that follow the last colon, if what is before it exists.
async fn tags_of(scheme: &str, rest: &str, options: &OpenOptions) -> Option<Vec<String>> {
    let (path, start) = rest.rsplit_once(':')?;
    let location: Location = format!("{scheme}{path}").parse().ok()?;
    let options = options.clone().with_must_exist(true);
    let repository = tranship_backends::open_with(&location, &options)
        .await
        .ok()?;
    let tags = collect(repository.tags(ListOptions::default())).await;
    let tags = tags.into_iter().filter(|tag| tag.starts_with(start));
    Some(tags.map(|tag| format!("{scheme}{path}:{tag}")).collect())
}

/// The repositories of the directory `root` that begin with `start`.
async fn repositories(root: &str, start: &str, options: &OpenOptions) -> Vec<String> {
    let Ok(registry) = format!("layouts:{root}").parse::<RegistryLocation>() else {
        return Vec::new();
    };
    let options = options.clone().with_must_exist(true);
    let Ok(registry) = tranship_backends::open_registry_with(&registry, &options).await else {
        return Vec::new();
    };
    let names = collect(registry.repositories(ListOptions::default())).await;
    let names = names.into_iter().filter(|name| name.starts_with(start));
    names
        .map(|name| format!("layouts:{root}//{name}:"))
        .collect()
}

async fn collect<T: ToString>(names: Listing<'_, T>) -> Vec<String> {
    let names = names.take(MOST).map_ok(|name| name.to_string());
    names.try_collect().await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_follows_where_an_argument_is_one() {
        for (line, expected) in [
            ("tranship cp", true),
            ("tranship cp oci:a:v1", true),
            ("tranship cp oci:a:v1 oci:b", false),
            ("tranship cp --tag v1", true),
            ("tranship cp --tag", false),
            ("tranship -q cp --recursive oci:a:v1", true),
            ("tranship", false),
            ("tranship manifest", false),
            ("tranship manifest fetch", true),
            ("tranship untag oci:a:v1 oci:a:v2", true),
            ("tranship fsck oci:a --repair-from", true),
            ("tranship fs cat", true),
            ("tranship fs cat oci:a:v1", false),
            ("tranship inspect --format", false),
            ("tranship inspect --format json", true),
            ("tranship login", false),
            ("tranship unknown", false),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_location(&words), expected, "{line}");
        }
    }
}
