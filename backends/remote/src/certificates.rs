//! The certificates that Docker and the tools of containers keep for each registry.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tranship::{Error, ErrorKind, RegistryName, Result};

use crate::credentials::Environment;
use crate::tls_options::TlsOptions;

/// Far more than a chain of certificates or a key has, in bytes.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// Directories with a subdirectory for each registry, called `HOST` or `HOST:PORT`, as Docker, podman and
/// skopeo read them. In it, each file `*.crt` holds authorities that are trusted, in PEM, and a pair of
/// `*.cert` and `*.key` the certificate of the client. Of several directories, the first that has one for the
/// registry counts.
///
/// ```
/// use tranship_remote::{CertificateDirectories, Environment};
///
/// let environment = Environment::new([("HOME", "/home/me")]);
/// let directories = CertificateDirectories::new(&environment);
/// # #[cfg(unix)]
/// assert_eq!(
///     directories.paths().next(),
///     Some(std::path::Path::new("/home/me/.config/containers/certs.d"))
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateDirectories {
    paths: Vec<PathBuf>,
}

impl CertificateDirectories {
    /// The directories of containers and Docker, in this order:
    ///
    /// 1. `$XDG_CONFIG_HOME/containers/certs.d`, where `~/.config` is the default
    /// 2. `/etc/containers/certs.d`
    /// 3. `$XDG_CONFIG_HOME/docker/certs.d`, of a daemon without root
    /// 4. `~/.docker/certs.d`, of Docker Desktop
    /// 5. `/etc/docker/certs.d`
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        let home = environment
            .path("HOME")
            .or_else(|| environment.path("USERPROFILE"));
        let config = environment
            .path("XDG_CONFIG_HOME")
            .or_else(|| home.as_ref().map(|home| home.join(".config")));
        let in_config = |of: &str| {
            config
                .as_ref()
                .map(|config| config.join(of).join("certs.d"))
        };
        let paths = [
            in_config("containers"),
            Some(PathBuf::from("/etc/containers/certs.d")),
            in_config("docker"),
            home.map(|home| home.join(".docker").join("certs.d")),
            Some(PathBuf::from("/etc/docker/certs.d")),
        ];
        Self {
            paths: paths.into_iter().flatten().collect(),
        }
    }

    /// The directory at `path` and no other. It need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            paths: vec![path.into()],
        }
    }

    /// The directories, in the order in which they are searched. Not all need exist.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// Adds what is kept for `registry` to `tls`. A certificate of the client that `tls` has already stays.
    /// This blocks.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`] if a file does not hold what its name says, or one of a pair is missing.
    /// - As the file system. A directory that may not be read is passed over.
    pub(crate) fn add_to(
        &self,
        mut tls: TlsOptions,
        registry: &RegistryName,
    ) -> Result<TlsOptions> {
        let Some(files) = self.files_for(registry)? else {
            return Ok(tls);
        };
        let named = |extension: &str| {
            let has_extension =
                move |path: &&PathBuf| path.extension().is_some_and(|found| found == extension);
            files.iter().filter(has_extension).collect::<Vec<_>>()
        };
        for path in named("crt") {
            tls = tls.with_roots(read_certificates(path)?);
        }
        for path in named("key") {
            let certificate = path.with_extension("cert");
            if !files.contains(&certificate) {
                return Err(incomplete(path, "the certificate", &certificate));
            }
        }
        for path in named("cert") {
            let key = path.with_extension("key");
            if !files.contains(&key) {
                let error = incomplete(path, "the private key", &key);
                return Err(
                    error.with_hint("the name of an authority's certificate ends with .crt")
                );
            }
            if tls.identity.is_none() {
                tls = tls.with_identity(&read_certificates(path)?, &read(&key)?);
            }
        }
        Ok(tls)
    }

    /// The files for `registry` in the order of their names; `None` if no directory has some.
    fn files_for(&self, registry: &RegistryName) -> Result<Option<Vec<PathBuf>>> {
        let mut name = registry.as_str().to_owned();
        if cfg!(windows) {
            name.retain(|character| character != ':');
        }
        for directory in self.paths.iter().map(|path| path.join(&name)) {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if is_to_be_passed_over(&error) => continue,
                Err(error) => return Err(unreadable(&directory, error)),
            };
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            let paths: io::Result<Vec<PathBuf>> = paths.collect();
            let mut paths = paths.map_err(|error| unreadable(&directory, error))?;
            paths.sort();
            tracing::debug!(directory = %directory.display(), "certificates are read");
            return Ok(Some(paths));
        }
        Ok(None)
    }
}

fn is_to_be_passed_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    )
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let read = file.take(LARGEST_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        let message = format!("the file has more than {LARGEST_FILE} bytes");
        return Err(Error::new(ErrorKind::SizeExceedsLimit, message).with_subject(path.display()));
    }
    Ok(bytes)
}

fn read_certificates(path: &Path) -> Result<Vec<u8>> {
    let pem = read(path)?;
    let mut found = CertificateDer::pem_slice_iter(&pem).peekable();
    if found.peek().is_some() && found.all(|certificate| certificate.is_ok()) {
        return Ok(pem);
    }
    let message = "the file does not hold certificates in PEM";
    let error = Error::new(ErrorKind::InvalidInput, message).with_operation("read");
    Err(error.with_subject(path.display()))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let error = Error::io("cannot be read", error).with_operation("read");
    error.with_subject(path.display())
}

fn incomplete(path: &Path, what: &str, missing: &Path) -> Error {
    let message = format!(
        "{what} that belongs to it is missing: {}",
        missing.display()
    );
    Error::new(ErrorKind::InvalidInput, message).with_subject(path.display())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;

    const REGISTRY: &str = "registry.example:5000";

    /// A directory with files for [`REGISTRY`].
    fn directory(files: &[(&str, &[u8])]) -> TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let own = directory.path().join(REGISTRY);
        fs::create_dir(&own).expect("created");
        for (name, content) in files {
            fs::write(own.join(name), content).expect("written");
        }
        directory
    }

    fn pem() -> (Vec<u8>, Vec<u8>) {
        let certified = rcgen::generate_simple_self_signed(["registry.example".to_owned()]);
        let certified = certified.expect("a certificate");
        let key = certified.signing_key.serialize_pem();
        (certified.cert.pem().into_bytes(), key.into_bytes())
    }

    fn found(directories: &[&Path]) -> Result<TlsOptions> {
        let directories = CertificateDirectories {
            paths: directories.iter().map(|path| path.to_path_buf()).collect(),
        };
        let registry = REGISTRY.parse().expect("a name");
        directories.add_to(TlsOptions::default(), &registry)
    }

    #[test]
    fn authorities_and_the_pair_of_the_client_are_taken() {
        let (certificate, key) = pem();
        let directory = directory(&[
            ("ca.crt", &certificate),
            ("other.crt", &certificate),
            ("client.cert", &certificate),
            ("client.key", &key),
            ("README", b"not a certificate"),
        ]);
        let tls = found(&[directory.path()]).expect("read");
        assert_eq!(tls.roots.len(), 2);
        let own = TlsOptions::default().with_identity(&certificate, &key);
        assert_eq!(tls.identity, own.identity);
    }

    #[test]
    fn the_first_directory_that_has_the_registry_counts() {
        let (certificate, _) = pem();
        let (one, two) = (
            directory(&[]),
            directory(&[("ca.crt", certificate.as_slice())]),
        );
        let missing = one.path().join("missing");
        let tls = found(&[&missing, two.path(), one.path()]).expect("read");
        assert_eq!(tls.roots.len(), 1);
        let tls = found(&[&missing, one.path(), two.path()]).expect("read");
        assert_eq!(tls, TlsOptions::default());
    }

    #[test]
    fn a_registry_has_its_port_in_the_name_and_no_other_counts() {
        let (certificate, _) = pem();
        let directory = directory(&[("ca.crt", &certificate)]);
        let directories = CertificateDirectories::at(directory.path());
        for other in ["registry.example", "registry.example:5001"] {
            let registry = other.parse().expect("a name");
            let tls = directories.add_to(TlsOptions::default(), &registry);
            assert_eq!(tls.expect("read"), TlsOptions::default(), "{other}");
        }
    }

    #[test]
    fn a_file_that_does_not_hold_what_it_should_is_named() {
        let (certificate, key) = pem();
        for (files, named) in [
            (&[("ca.crt", b"nothing".as_slice())][..], "ca.crt"),
            (&[("client.cert", &certificate)], "client.key"),
            (&[("client.key", &key)], "client.cert"),
        ] {
            let directory = directory(files);
            let error = found(&[directory.path()]).expect_err(named);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
