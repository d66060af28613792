//! How registries are reached: the options for it, and what becomes of them.

mod ends;
mod values;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use http::HeaderMap;
use tranship::layers::CircuitBreakerOptions;
use tranship::{Error, ErrorKind, RegistryName, Result, escape_controls as plain};
use tranship_backends::OpenOptions;
use tranship_backends::remote::{
    CertificateDirectories, CredentialFiles, Credentials, Environment, EnvironmentCredentials,
    PrivateTargets, RateLimitWait, RemoteOptions, Scheme, Secret, SecurityPolicy,
    StaticCredentials, TlsOptions, Warning,
};
use tranship_mirror::rules::RegistrySettings;
use tranship_server::ServerName;

use crate::state;
use crate::waiting::stop_waiting;

pub(crate) use ends::{End, FromOptions, ToOptions};
use values::{AllowArg, HeaderArg, ResolveArg, Rule, Which};

/// How long a mirrored registry may send nothing before the request is repeated. Clients wait for a minute in all.
const MIRROR_SILENCE: Duration = Duration::from_secs(20);

/// How registries are reached. What names none holds for each that a command talks to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options for registries")]
pub(crate) struct Registries {
    /// Speak http, not https, with all registries or with this one; may be repeated. On localhost the scheme is
    /// found out
    #[arg(long, global = true, value_name = "REGISTRY", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    plain_http: Vec<Which>,
    /// Accept any certificate, of all registries or of this one; may be repeated. Whoever sits between can read
    /// and change everything, credentials too
    #[arg(long, global = true, value_name = "REGISTRY", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    insecure: Vec<Which>,
    /// Trust also the authorities, or the registry, whose certificates are in this file, in PEM, besides those of
    /// the system and in certs.d of containers and Docker
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Show the registry this certificate, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Send this header to the registry, and to nobody else; may be repeated
    #[arg(
        long = "header",
        short = 'H',
        global = true,
        value_name = "NAME: VALUE"
    )]
    headers: Vec<HeaderArg>,
    /// Send this header to this registry alone, in place of one of that name from --header; may be repeated
    #[arg(long, global = true, num_args = 2, value_names = ["REGISTRY", "NAME: VALUE"])]
    header_for: Vec<Secret>,
    /// Let all registries or this one lead where they may not by default: uploads to another host or scheme,
    /// without credentials (foreign-uploads), from https to http (downgrades), or from a public registry to a private
    /// address (private-targets). May be repeated
    #[arg(long, global = true, value_name = "RULE[=REGISTRY]")]
    allow: Vec<AllowArg>,
    /// Connect to ADDRESS for HOST, as curl does; it holds for all ports. May be repeated
    #[arg(long, global = true, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<ResolveArg>,
    /// Look for credentials in this file, and keep them there, instead of where docker and podman do
    #[arg(long, global = true, value_name = "FILE", alias = "authfile")]
    registry_config: Option<PathBuf>,
    /// The credential for one registry that a command was given.
    #[arg(skip)]
    credential: Option<StaticCredentials>,
    /// The settings of single registries in a file with rules.
    #[arg(skip)]
    settings: Vec<(RegistryName, RegistrySettings)>,
    /// The server that mirrors registries, if they are opened for that.
    #[arg(skip)]
    server: Option<ServerName>,
    /// Whether a registry that counts reads is waited for when none are left.
    #[arg(skip)]
    keeps_rate_limits: bool,
}

/// Returns a function that prints each text of a registry once, whichever repositories it is about.
fn tell_warning() -> impl Fn(&Warning) + Send + Sync {
    let told = Mutex::new(HashSet::new());
    move |warning| {
        let warned = (warning.registry.clone(), warning.text.clone());
        if told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(warned)
        {
            stop_waiting();
            eprintln!("warning: {}", plain(&warning.text));
        }
    }
}

/// Prints that requests wait for the limit of a registry.
fn tell_wait(wait: &RateLimitWait) {
    stop_waiting();
    eprintln!("{wait}");
}

impl Registries {
    /// Speaks http with `registry`.
    pub(crate) fn with_plain_http(mut self, registry: RegistryName) -> Self {
        self.plain_http.push(Which(Some(registry)));
        self
    }

    /// Opens registries for the mirrors of `server`, whose clients wait for them.
    pub(crate) fn for_mirrors_of(mut self, server: ServerName) -> Self {
        self.server = Some(server);
        self
    }

    /// Opens every registry as [`options`](Self::options) say.
    pub(crate) fn add_to(&self, options: OpenOptions) -> Result<OpenOptions> {
        let shared = self.shared()?;
        let headers = self.named_headers()?;
        let allowed = self.allow.iter().map(|allowed| &allowed.registry);
        let protected = self.plain_http.iter().chain(&self.insecure).chain(allowed);
        let protected = protected.filter_map(|which| which.0.as_ref());
        let settings = self.settings.iter().map(|(registry, _)| registry);
        let headed = headers.iter().map(|(registry, _)| registry);
        let mut named = protected.chain(headed).chain(settings);
        let others = options.with_remote(self.reach(&shared, &headers, None)?);
        named.try_fold(others, |options, registry| {
            let remote = self.reach(&shared, &headers, Some(registry))?;
            Ok(options.with_remote_for(registry.clone(), remote))
        })
    }

    /// How `registry` is reached.
    pub(crate) fn options(&self, registry: &RegistryName) -> Result<RemoteOptions> {
        self.reach(&self.shared()?, &self.named_headers()?, Some(registry))
    }

    /// What holds for all registries.
    fn shared(&self) -> Result<RemoteOptions> {
        let environment = Environment::from_environment();
        let given = Credentials::new();
        let given = match &self.credential {
            Some(credential) => given.or(credential.clone()),
            None => given,
        };
        let credentials = given
            .or(EnvironmentCredentials::new(&environment)?)
            .or(self.files(&environment));
        let options = RemoteOptions::default()
            .with_tls(self.tls()?)
            .with_certificates(CertificateDirectories::new(&environment))
            .with_headers(header_map(&self.headers))
            .with_credentials(Arc::new(credentials))
            .with_upload_records(state::uploads())
            .with_warnings(tell_warning())
            .with_rate_limit_waits(tell_wait);
        let options = match self.server.clone() {
            Some(server) => options
                .with_silence_timeout(MIRROR_SILENCE)
                .with_other_host_pause(CircuitBreakerOptions::default().pause)
                .with_repository_headers(move || server.request_headers()),
            None => options,
        };
        Ok(self
            .resolve
            .iter()
            .fold(options, |options, ResolveArg(host, address)| {
                options.with_resolve(host, *address)
            }))
    }

    /// `shared` as `registry` is reached, or any that no option names.
    fn reach(
        &self,
        shared: &RemoteOptions,
        headers_by_registry: &[(RegistryName, HeaderArg)],
        registry: Option<&RegistryName>,
    ) -> Result<RemoteOptions> {
        let (scheme, insecure) = self.protection(registry)?;
        let tls = shared.tls.clone().with_insecure(insecure);
        let own = headers_by_registry.iter();
        let own = own.filter(|(name, _)| Some(name) == registry);
        let mut headers = shared.headers.clone();
        // A map, unlike a sequence of pairs, replaces what has the same name.
        headers.extend(header_map(own.map(|(_, header)| header)));
        let options = shared.clone().with_scheme(scheme).with_tls(tls);
        let policy = self.policy(registry);
        let mut options = options.with_headers(headers).with_policy(policy);
        if self.keeps_rate_limits {
            options = options.with_rate_limit_reserve(Some(0));
        }
        let own = self
            .settings
            .iter()
            .filter(|(name, _)| Some(name) == registry);
        for (_, settings) in own {
            if let Some(count) = settings.concurrency {
                options = options.with_max_concurrent_requests(count.get());
            }
            if settings.requests_per_second.is_some() {
                options = options.with_requests_per_second(settings.requests_per_second);
            }
            if settings.rate_limit_reserve.is_some() {
                options = options.with_rate_limit_reserve(settings.rate_limit_reserve);
            }
        }
        Ok(options)
    }

    /// Waits for registries that count reads when none are left, as commands about many images do, where one about a single
    /// image fails.
    pub(crate) fn keep_rate_limits(&mut self) {
        self.keeps_rate_limits = true;
    }

    /// Adds the settings of single registries from a file with rules. Options of the command line take precedence.
    pub(crate) fn add_settings(&mut self, settings: &[(RegistryName, RegistrySettings)]) {
        for (registry, of) in settings {
            let this_one = || Which(Some(registry.clone()));
            let is_given = |given: &[Which]| given.iter().any(|which| *which == this_one());
            if is_given(&self.plain_http) || is_given(&self.insecure) {
                continue;
            }
            if of.plain_http == Some(true) {
                self.plain_http.push(this_one());
            } else if of.insecure == Some(true) {
                self.insecure.push(this_one());
            }
        }
        self.settings.extend(settings.iter().cloned());
    }

    /// Where `registry` may lead, or any that no option names.
    fn policy(&self, registry: Option<&RegistryName>) -> SecurityPolicy {
        let is_meant = |allowed: &&AllowArg| match &allowed.registry.0 {
            None => true,
            named => named.as_ref() == registry,
        };
        let allowed = self.allow.iter().filter(is_meant);
        allowed.fold(SecurityPolicy::default(), |policy, allowed| {
            match allowed.rule {
                Rule::ForeignUploads => policy.with_foreign_uploads(true),
                Rule::Downgrades => policy.with_downgrades(true),
                Rule::PrivateTargets => policy.with_private_targets(PrivateTargets::Allowed),
            }
        })
    }

    /// What `--header-for` says.
    fn named_headers(&self) -> Result<Vec<(RegistryName, HeaderArg)>> {
        let pairs = self.header_for.chunks_exact(2);
        let parsed = pairs.map(|pair| Ok((pair[0].expose().parse()?, pair[1].expose().parse()?)));
        parsed.collect()
    }

    /// The scheme, and whether any certificate is accepted. What names the registry goes before what names none.
    fn protection(&self, registry: Option<&RegistryName>) -> Result<(Scheme, bool)> {
        let has_files = self.ca_file.is_some() || self.cert.is_some();
        for named in [registry, None] {
            let is_meant = |given: &[Which]| given.iter().any(|which| which.0.as_ref() == named);
            match (is_meant(&self.plain_http), is_meant(&self.insecure)) {
                (true, false) if named.is_some() || !has_files => return Ok((Scheme::Http, false)),
                (true, _) => {
                    return Err(Error::new(
                        ErrorKind::InvalidInput,
                        "--plain-http and an option for TLS are given for the same registry",
                    )
                    .with_hint("name the one that speaks http, as in --plain-http=10.0.0.7:5000"));
                }
                (false, true) => return Ok((Scheme::Auto, true)),
                (false, false) => {}
            }
        }
        Ok((Scheme::Auto, false))
    }

    /// Where credentials are kept.
    pub(crate) fn files(&self, environment: &Environment) -> CredentialFiles {
        match &self.registry_config {
            Some(path) => CredentialFiles::at(path, environment),
            None => CredentialFiles::new(environment),
        }
    }

    fn tls(&self) -> Result<TlsOptions> {
        let mut tls = TlsOptions::default();
        if let Some(path) = &self.ca_file {
            tls = tls.with_roots(read_certificates(path)?);
        }
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            tls = tls.with_identity(&read(certificate)?, &read(key)?);
        }
        Ok(tls)
    }
}

fn read_certificates(path: &Path) -> Result<Vec<u8>> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let pem = read(path)?;
    match pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
        true => Ok(pem),
        false => Err(
            Error::new(ErrorKind::InvalidInput, "holds no certificate in PEM")
                .with_operation("read")
                .with_subject(path.display()),
        ),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::io("the file cannot be read", error)
            .with_operation("read")
            .with_subject(path.display())
    })
}

fn header_map<'a>(headers: impl IntoIterator<Item = &'a HeaderArg>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for HeaderArg(name, value) in headers {
        map.append(name, value.clone());
    }
    map
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    #[test]
    fn a_rule_is_loosened_for_all_registries_or_for_one() {
        let options = |allow: &[&str]| {
            let arguments = allow.iter().flat_map(|rule| ["--allow", rule]);
            let matches = Registries::augment_args(clap::Command::new("test"))
                .get_matches_from(std::iter::once("test").chain(arguments));
            Registries::from_arg_matches(&matches).expect("options")
        };
        let one: RegistryName = "a.example".parse().expect("a name");
        let other: RegistryName = "b.example".parse().expect("a name");
        let options = options(&["downgrades", "foreign-uploads=a.example"]);
        let strict = SecurityPolicy::default();
        assert_eq!(options.policy(None), strict.with_downgrades(true));
        assert_eq!(options.policy(Some(&other)), strict.with_downgrades(true));
        let both = strict.with_downgrades(true).with_foreign_uploads(true);
        assert_eq!(options.policy(Some(&one)), both);
        for text in ["", "everything", "foreign-uploads=A/b"] {
            assert!(text.parse::<AllowArg>().is_err(), "{text}");
        }
    }
}
