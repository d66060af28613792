//! `man`: the manual pages.

use std::io;
use std::path::Path;

use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, roman};
use tranship::Error;

use crate::args::Man;
use crate::command_error::Outcome;
use crate::output::{self, Output};
use crate::{exit, help};

pub(super) async fn run(args: Man, output: Output) -> Outcome {
    let command = help::command();
    let Some(directory) = args.output else {
        let page =
            page(&command).map_err(|error| Error::io("the manual page cannot be made", error))?;
        return output::write(&page).await;
    };
    write_all(command, &directory).map_err(|error| {
        Error::io("the manual pages cannot be written", error).with_subject(directory.display())
    })?;
    output.note(format_args!("wrote the manual to {}", directory.display()));
    Ok(())
}

/// Writes the page of `command` and those of all that it has below it.
fn write_all(mut command: clap::Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    command.build();
    let mut commands = vec![command];
    while let Some(command) = commands.pop() {
        let file = Page::new(command.clone()).get_filename();
        std::fs::write(directory.join(file), page(&command)?)?;
        commands.extend(command.get_subcommands().cloned());
    }
    Ok(())
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let program = concat!("tranship ", env!("CARGO_PKG_VERSION"));
    let page = Page::new(command.clone())
        .source(program)
        .manual("Manual of tranship");
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    if let Some(examples) = help::examples_of(command) {
        Roff::new()
            .control("SH", ["EXAMPLES"])
            .control("nf", [])
            .text([roman(examples)])
            .control("fi", [])
            .to_writer(&mut text)?;
    }
    for (heading, help) in [("LOCATIONS", help::LOCATIONS), ("EXIT STATUS", exit::HELP)] {
        let (_, lines) = help.split_once('\n').unwrap_or_default();
        Roff::new()
            .control("SH", [heading])
            .control("nf", [])
            .text([roman(lines)])
            .control("fi", [])
            .to_writer(&mut text)?;
    }
    Ok(text)
}
