//! The commands, one module each.

mod annotate;
mod blob;
mod bundle;
mod changed;
mod complete;
mod completion;
mod copied;
mod cp;
mod cp_many;
mod delete;
mod discover;
mod ends;
mod files;
mod fs;
mod fsck;
mod gc;
mod help;
mod index;
mod inspect;
mod layouts;
mod listing;
mod login;
#[cfg(feature = "man")]
mod man;
mod manifest;
mod many;
mod mirror;
mod named;
mod referring;
mod repo;
mod resolve;
mod retention;
mod serve;
mod source;
mod stream;
mod tag;
mod tags;
mod token;
mod untag;
mod verify;
mod version;

use std::sync::Arc;

use tranship::{Registry, Repository};
use tranship_backends::OpenOptions;
use tranship_backends::{Location, RegistryLocation};

use crate::args::{Blob, Command, CopySource, LocationOptions, Manifest, OneCopy, Repo};
use crate::command_error::{At as _, Outcome};
use crate::output::Output;

pub(crate) async fn run(
    command: Command,
    location_options: LocationOptions,
    output: Output,
) -> Outcome {
    let registries = location_options.registries.clone();
    if let Command::Cp(args) = command {
        // Its two ends may be opened in different ways.
        return match (&args.source, args.many.is_given()) {
            (CopySource::One(source), false) => {
                let one = OneCopy {
                    source: source.clone(),
                    destination: args.destination.one()?,
                    how: args.how,
                };
                cp::run(one, &location_options, output).await
            }
            _ => {
                let mut location_options = location_options;
                location_options.registries.keep_rate_limits();
                cp_many::run(*args, &location_options, output).await
            }
        };
    }
    if let Command::Mirror(args) = command {
        // Its file has settings of registries.
        return mirror::run(*args, location_options, output).await;
    }
    if let Command::Bundle(args) = command {
        return bundle::run(args, &location_options, output).await;
    }
    if let Command::Backup(args) = command {
        return bundle::backup(*args, &location_options, output).await;
    }
    if let Command::Restore(args) = command {
        return bundle::apply(*args, &location_options, output).await;
    }
    if let Command::Serve(args) = command {
        // Its file has settings of mirrors.
        return serve::run(*args, location_options, output).await;
    }
    let location_options = &location_options.open_options()?;
    match command {
        Command::Cp(_)
        | Command::Mirror(_)
        | Command::Bundle(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Serve(_) => Ok(()),
        Command::Push(args) => files::push(*args, location_options, output).await,
        Command::Pull(args) => files::pull(args, location_options, output).await,
        Command::Attach(args) => files::attach(*args, location_options, output).await,
        Command::Resolve(args) => resolve::run(args, location_options, output).await,
        Command::Tag(args) => tag::run(args, location_options, output).await,
        Command::Untag(args) => untag::run(args, location_options, output).await,
        Command::Manifest(Manifest::Fetch(args)) => {
            manifest::fetch(args, location_options, output).await
        }
        Command::Manifest(Manifest::Push(args)) => {
            manifest::push(args, location_options, output).await
        }
        Command::Rm(args) | Command::Manifest(Manifest::Delete(args)) => {
            delete::manifests(args, location_options, output).await
        }
        Command::Index(args) => index::run(*args, location_options, output).await,
        Command::Annotate(args) => annotate::run(args, location_options, output).await,
        Command::Blob(Blob::Fetch(args)) => blob::fetch(args, location_options, output).await,
        Command::Blob(Blob::Push(args)) => blob::push(args, location_options, output).await,
        Command::Blob(Blob::Delete(args)) => delete::blobs(args, location_options, output).await,
        Command::Tags(args) | Command::Repo(Repo::Tags(args)) => {
            tags::run(*args, location_options, output).await
        }
        Command::Repo(Repo::Ls(args)) => repo::ls(args, location_options, output).await,
        Command::Ls(args) => repo::ls_either(args, location_options, output).await,
        Command::Discover(args) => discover::run(args, location_options, output).await,
        Command::Inspect(args) => inspect::run(args, location_options, output).await,
        Command::Fs(command) => fs::run(*command, location_options, output).await,
        Command::Verify(args) => verify::run(args, location_options, output).await,
        Command::Gc(args) => gc::run(args, location_options, output).await,
        Command::Fsck(args) => fsck::run(args, location_options, output).await,
        Command::Login(args) => login::login(args, &registries, output).await,
        Command::Logout(args) => login::logout(args, &registries, output).await,
        Command::Token(command) => token::run(command, output).await,
        Command::Completion(args) => completion::run(&args).await,
        Command::CompleteLocation(args) => complete::run(args, location_options).await,
        Command::Version(_) => version::run(output).await,
        Command::Help(args) => help::run(&args).await,
        #[cfg(feature = "man")]
        Command::Man(args) => man::run(args, output).await,
    }
}

/// Opens a repository that may come to be with the first push.
async fn open(location: &Location, location_options: &OpenOptions) -> Outcome<Arc<dyn Repository>> {
    // Where links are followed nothing is written.
    tranship_backends::open_with(location, &location_options.clone().with_follow_links(None))
        .await
        .within(location)
}

/// Opens a repository that must be there: one that is not is more likely a slip of the pen than an
/// empty one.
async fn open_existing(
    location: &Location,
    location_options: &OpenOptions,
) -> Outcome<Arc<dyn Repository>> {
    tranship_backends::open_with(location, &location_options.clone().with_must_exist(true))
        .await
        .within(location)
}

/// Opens a registry that must be there.
async fn open_registry(
    location: &RegistryLocation,
    location_options: &OpenOptions,
) -> Outcome<Arc<dyn Registry>> {
    tranship_backends::open_registry_with(location, &location_options.clone().with_must_exist(true))
        .await
        .at(location)
}
