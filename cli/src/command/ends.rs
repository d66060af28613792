//! How the two ends of a copy are opened.

use tranship::{Error, ErrorKind};
use tranship_backends::OpenOptions;
use tranship_backends::remote::Credential;

use super::login::from_stdin;
use crate::args::{LocationOptions, OneCopy};
use crate::command_error::Outcome;
use crate::location::is_stream;
use crate::registries::End;

/// How the source and the destination of a copy are opened.
pub(super) struct Ends {
    pub(super) from: OpenOptions,
    pub(super) to: OpenOptions,
}

/// Returns how both ends are opened, and reads the secret of one of them from standard input if that is asked for.
pub(super) async fn open_options(
    args: &OneCopy,
    location_options: &LocationOptions,
) -> Outcome<Ends> {
    let (from, to) = (
        End::from(args.how.from.clone()),
        End::from(args.how.to.clone()),
    );
    if from.is_empty() && to.is_empty() {
        // Both ends use the same clients.
        let both = location_options.clone().open_options()?;
        return Ok(Ends {
            from: both.clone(),
            to: both,
        });
    }
    let readers = [
        from.reads_stdin(),
        to.reads_stdin(),
        is_stream(&args.source),
    ];
    if readers.into_iter().filter(|reads| *reads).count() > 1 {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "standard input is needed for two things",
        )
        .with_hint("use `tranship login` for one of the registries, with --registry-config FILE and --from-registry-config or --to-registry-config")
        .into());
    }
    // Before anything is read from standard input.
    from.registry(&args.source)?;
    to.registry(&args.destination)?;
    Ok(Ends {
        from: location_options.for_end(&from, &args.source, credential(&from).await?)?,
        to: location_options.for_end(&to, &args.destination, credential(&to).await?)?,
    })
}

async fn credential(end: &End) -> Outcome<Option<Credential>> {
    if !end.reads_stdin() {
        return Ok(None);
    }
    let secret = from_stdin().await?;
    Ok(Some(match &end.username {
        Some(username) => Credential::basic(username.clone(), secret),
        None => Credential::IdentityToken(secret.into()),
    }))
}
