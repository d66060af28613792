//! Options that hold for one end of a copy, where both ends are reached in different ways.

use std::path::PathBuf;

use clap::Args;
use tranship::{Error, ErrorKind, RegistryName, Result};
use tranship_backends::Location;
use tranship_backends::remote::{Credential, StaticCredentials};

use super::Registries;
use super::values::{AllowArg, HeaderArg, ResolveArg, Which};
use crate::location::StoreOption;

/// How one end of a copy is opened, beside the options for all locations.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// How the options of this end begin, for messages.
    prefix: &'static str,
    pub(crate) username: Option<String>,
    pub(crate) password_stdin: bool,
    pub(crate) identity_token_stdin: bool,
    pub(crate) store_options: Vec<StoreOption>,
    registry_config: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    plain_http: bool,
    insecure: bool,
    headers: Vec<HeaderArg>,
    allow: Vec<AllowArg>,
    resolve: Vec<ResolveArg>,
}

/// Declares the options of one end. `clap` cannot put a prefix before the options of a struct.
macro_rules! end_options {
    ($name:ident, $prefix:literal, $heading:literal, $end:literal) => {
        #[derive(Debug, Clone, Args)]
        #[command(next_help_heading = $heading)]
        pub(crate) struct $name {
            #[arg(id = concat!($prefix, "-username"), long = concat!($prefix, "-username"), value_name = "NAME",
                hide_short_help = true,
                help = concat!("The user name for the registry of ", $end, "; --", $prefix, "-password-stdin is needed, too"),
                requires = concat!($prefix, "-password-stdin"))]
            username: Option<String>,
            #[arg(id = concat!($prefix, "-password-stdin"), long = concat!($prefix, "-password-stdin"), hide_short_help = true,
                help = "Read the password from standard input. It is used for this copy alone, and not kept",
                requires = concat!($prefix, "-username"))]
            password_stdin: bool,
            #[arg(id = concat!($prefix, "-identity-token-stdin"), long = concat!($prefix, "-identity-token-stdin"), hide_short_help = true,
                help = "Read an identity token from standard input, instead of a name and a password",
                conflicts_with = concat!($prefix, "-password-stdin"))]
            identity_token_stdin: bool,
            #[arg(id = concat!($prefix, "-registry-config"), long = concat!($prefix, "-registry-config"), value_name = "FILE", hide_short_help = true,
                help = "As --registry-config")]
            registry_config: Option<PathBuf>,
            #[arg(id = concat!($prefix, "-ca-file"), long = concat!($prefix, "-ca-file"), value_name = "FILE", hide_short_help = true,
                help = "As --ca-file")]
            ca_file: Option<PathBuf>,
            #[arg(id = concat!($prefix, "-cert"), long = concat!($prefix, "-cert"), value_name = "FILE", hide_short_help = true,
                help = "As --cert", requires = concat!($prefix, "-key"))]
            cert: Option<PathBuf>,
            #[arg(id = concat!($prefix, "-key"), long = concat!($prefix, "-key"), value_name = "FILE", hide_short_help = true,
                help = "As --key", requires = concat!($prefix, "-cert"))]
            key: Option<PathBuf>,
            #[arg(id = concat!($prefix, "-plain-http"), long = concat!($prefix, "-plain-http"), hide_short_help = true,
                help = "As --plain-http")]
            plain_http: bool,
            #[arg(id = concat!($prefix, "-insecure"), long = concat!($prefix, "-insecure"), hide_short_help = true,
                help = "As --insecure", conflicts_with = concat!($prefix, "-plain-http"))]
            insecure: bool,
            #[arg(id = concat!($prefix, "-header"), long = concat!($prefix, "-header"), value_name = "NAME: VALUE", hide_short_help = true,
                help = "As --header; may be repeated")]
            headers: Vec<HeaderArg>,
            #[arg(id = concat!($prefix, "-allow"), long = concat!($prefix, "-allow"), value_name = "RULE", hide_short_help = true,
                help = "As --allow; may be repeated")]
            allow: Vec<AllowArg>,
            #[arg(id = concat!($prefix, "-resolve"), long = concat!($prefix, "-resolve"), value_name = "HOST:PORT:ADDRESS", hide_short_help = true,
                help = "As --resolve; may be repeated")]
            resolve: Vec<ResolveArg>,
            #[arg(id = concat!($prefix, "-store-option"), long = concat!($prefix, "-store-option"), value_name = "KEY=VALUE", hide_short_help = true,
                help = "As --store-option; may be repeated")]
            store_options: Vec<StoreOption>,
        }

        impl From<$name> for End {
            fn from(options: $name) -> Self {
                Self {
                    prefix: $prefix,
                    username: options.username,
                    password_stdin: options.password_stdin,
                    identity_token_stdin: options.identity_token_stdin,
                    store_options: options.store_options,
                    registry_config: options.registry_config,
                    ca_file: options.ca_file,
                    cert: options.cert,
                    key: options.key,
                    plain_http: options.plain_http,
                    insecure: options.insecure,
                    headers: options.headers,
                    allow: options.allow,
                    resolve: options.resolve,
                }
            }
        }
    };
}

end_options!(FromOptions, "from", "Options for SRC", "SRC");
end_options!(ToOptions, "to", "Options for DST", "DST");

impl End {
    /// Whether the secret of this end is read from standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.password_stdin || self.identity_token_stdin
    }

    /// Whether no option is given for this end.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_about_registries() && self.store_options.is_empty()
    }

    fn is_about_registries(&self) -> bool {
        self.username.is_some()
            || self.reads_stdin()
            || self.plain_http
            || self.insecure
            || [&self.registry_config, &self.ca_file, &self.cert, &self.key]
                .into_iter()
                .any(Option::is_some)
            || !self.headers.is_empty()
            || !self.allow.is_empty()
            || !self.resolve.is_empty()
    }

    /// The registry of this end, if an option needs one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the location is not in a registry.
    pub(crate) fn registry<'a>(&self, location: &'a Location) -> Result<Option<&'a RegistryName>> {
        match location {
            Location::Remote(reference) => Ok(Some(reference.registry())),
            other => self.expect_no_registry(other).map(|()| None),
        }
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] if an option needs a registry, which `place` is not.
    pub(crate) fn expect_no_registry(&self, place: &dyn std::fmt::Display) -> Result<()> {
        if !self.is_about_registries() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "options that begin with --{}- are for a registry, and this is not one",
                self.prefix
            ),
        )
        .with_subject(place))
    }
}

impl Registries {
    /// Returns the options with those of one end of a copy added. What the end says takes precedence.
    pub(crate) fn for_end(
        &self,
        end: &End,
        registry: &RegistryName,
        credential: Option<Credential>,
    ) -> Self {
        let mut all = self.clone();
        let this_one = || Which(Some(registry.clone()));
        if end.plain_http || end.insecure {
            all.plain_http
                .retain(|which| which.0.as_ref() != Some(registry));
            all.insecure
                .retain(|which| which.0.as_ref() != Some(registry));
        }
        if end.plain_http {
            all.plain_http.push(this_one());
        }
        if end.insecure {
            all.insecure.push(this_one());
        }
        if end.ca_file.is_some() {
            all.ca_file.clone_from(&end.ca_file);
        }
        if end.cert.is_some() {
            all.cert.clone_from(&end.cert);
            all.key.clone_from(&end.key);
        }
        if end.registry_config.is_some() {
            all.registry_config.clone_from(&end.registry_config);
        }
        let replaced = |name: &HeaderArg| end.headers.iter().any(|header| header.0 == name.0);
        all.headers.retain(|header| !replaced(header));
        all.headers.extend(end.headers.iter().cloned());
        all.allow.extend(end.allow.iter().cloned());
        all.resolve.extend(end.resolve.iter().cloned());
        all.credential = credential.map(|given| StaticCredentials::new(registry.clone(), given));
        all
    }
}
