//! The commands of other tools, and what they are called here.

/// Returns what does the job of the unknown command `name`.
pub(crate) fn hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "inspect" | "config" | "raw" | "head" => {
            "`tranship manifest fetch --pretty REF` prints a manifest, and `tranship resolve REF` its digest"
        }
        "tags" | "ls" | "list" | "list-tags" | "taglist" => {
            "`tranship repo tags LOCATION` lists the tags of a repository"
        }
        "catalog" | "repos" | "repositories" | "images" => {
            "`tranship repo ls REGISTRY` lists the repositories of a registry"
        }
        "referrer" => "`tranship discover REF` shows what refers to a manifest",
        "version" => "`tranship --version` prints the version",
        "rm" | "rmi" | "del" | "delete" | "remove" => {
            "`tranship manifest delete REF` deletes a manifest, and `tranship untag REF` removes a tag alone"
        }
        "pull" | "download" | "import" | "load" | "backup" => {
            "`tranship cp HOST/NAME:TAG oci:DIR` copies an image to a directory, and oci-archive:FILE or docker-archive:FILE name archives"
        }
        "push" | "upload" | "export" | "save" | "restore" => {
            "`tranship cp oci:DIR:TAG HOST/NAME:TAG` copies an image to a registry, and oci-archive:FILE or docker-archive:FILE name archives"
        }
        "image" | "artifact" | "index" | "tag-list" => {
            "`tranship cp` copies, `tranship manifest fetch` prints, and `tranship repo tags` lists"
        }
        "sync" | "mirror" => "`tranship cp -r SRC DST` copies an artifact with what refers to it",
        "auth" | "registry" => {
            "`tranship login HOST` and `tranship logout HOST` keep and remove credentials"
        }
        "validate" | "verify" | "check" => "`tranship fsck LOCATION` checks image layouts",
        "prune" => "`tranship gc LOCATION` removes from image layouts what nothing refers to",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn commands_of_other_tools_are_known_by_a_hint_or_an_alias() {
        for name in [
            "inspect",
            "ls",
            "list-tags",
            "catalog",
            "tree",
            "digest",
            "version",
            "rm",
            "tags",
            "pull",
            "push",
        ] {
            let command = Cli::command();
            let is_alias = command.find_subcommand(name).is_some();
            assert!(is_alias != hint(name).is_some(), "{name}");
        }
    }
}
