//! Commands to copy.

use maud::{Markup, html};

use super::text::Text;

/// A command of a program.
pub(crate) struct Command {
    pub(crate) program: &'static str,
    pub(crate) line: String,
}

/// Returns how programs pull the image `reference`.
pub(crate) fn for_image(reference: &str) -> Vec<Command> {
    let command = |program, line| Command { program, line };
    vec![
        command("docker", format!("docker pull {reference}")),
        command("podman", format!("podman pull {reference}")),
        command("crane", format!("crane pull {reference} image.tar")),
        command(
            "oras",
            format!("oras copy {reference} --to-oci-layout image"),
        ),
        command("tranship", format!("tranship cp {reference} oci:image")),
    ]
}

/// Returns how programs pull the files of the artifact `reference`.
pub(crate) fn for_artifact(reference: &str) -> Vec<Command> {
    let command = |program, line| Command { program, line };
    vec![
        command("oras", format!("oras pull {reference}")),
        command("crane", format!("crane manifest {reference}")),
        command("tranship", format!("tranship pull {reference}")),
    ]
}

/// Shows `commands` with a button for each that copies it.
pub(crate) fn list(commands: &[Command]) -> Markup {
    html! {
        ul.commands {
            @for command in commands {
                li {
                    span.program { (command.program) }
                    code { (Text(&command.line)) }
                    // The script shows it: without a script it could not copy.
                    button type="button" data-copy=(Text(&command.line)) hidden {
                        "Copy" span.hidden { " the command of " (command.program) }
                    }
                }
            }
        }
    }
}
