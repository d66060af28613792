//! SBOMs: SPDX 2 and CycloneDX, as JSON.

use serde::{Deserialize, Deserializer};

/// How many packages are read.
const MAX_PACKAGES: usize = 20_000;

/// The packages of an SBOM.
#[derive(Debug)]
pub(crate) struct PackageList {
    /// The format and its version, such as `SPDX-2.3`.
    pub(crate) format: String,
    /// What the SBOM is about, if it says so.
    pub(crate) name: Option<String>,
    pub(crate) packages: Vec<Package>,
    /// Whether there are more packages than were read.
    pub(crate) cut: bool,
}

/// A package. Texts that the SBOM does not have are empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
    /// The kind of package, such as `deb`, or what else tells it from others with the name.
    pub(crate) kind: String,
}

pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

pub(super) fn list(
    format: String,
    name: Option<String>,
    mut packages: Vec<Package>,
) -> PackageList {
    // By name first.
    packages.sort();
    packages.dedup();
    let cut = packages.len() > MAX_PACKAGES;
    packages.truncate(MAX_PACKAGES);
    PackageList {
        format,
        name: name.filter(|name| !name.is_empty()),
        packages,
        cut,
    }
}

/// Returns the type in a package URL: `deb` of `pkg:deb/debian/curl@7.88`.
pub(super) fn purl_type(purl: &str) -> Option<&str> {
    purl.strip_prefix("pkg:")?.split('/').next()
}

/// Returns whether the text of a licence in SPDX names one.
pub(super) fn is_licence(text: &str) -> bool {
    !matches!(text, "" | "NOASSERTION" | "NONE")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spdx {
    spdx_version: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    packages: Vec<SpdxPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxPackage {
    #[serde(default, deserialize_with = "null_as_default")]
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    version_info: String,
    #[serde(default, deserialize_with = "null_as_default")]
    license_concluded: String,
    #[serde(default, deserialize_with = "null_as_default")]
    license_declared: String,
    #[serde(default, deserialize_with = "null_as_default")]
    external_refs: Vec<SpdxReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxReference {
    #[serde(default, deserialize_with = "null_as_default")]
    reference_type: String,
    #[serde(default, deserialize_with = "null_as_default")]
    reference_locator: String,
}

/// Reads an SPDX document of version 2.
pub(super) fn from_spdx(content: &[u8]) -> Option<PackageList> {
    let document: Spdx = serde_json::from_slice(content).ok()?;
    let packages = document.packages.into_iter().map(|package| {
        let licences = [package.license_concluded, package.license_declared];
        let mut references = package.external_refs.iter();
        let purl = references.find(|it| it.reference_type == "purl");
        let kind = purl.and_then(|purl| purl_type(&purl.reference_locator));
        Package {
            kind: kind.unwrap_or_default().to_owned(),
            name: package.name,
            version: package.version_info,
            licence: licences
                .into_iter()
                .find(|it| is_licence(it))
                .unwrap_or_default(),
        }
    });
    Some(list(
        document.spdx_version,
        document.name,
        packages.collect(),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CycloneDx {
    #[serde(default, deserialize_with = "null_as_default")]
    spec_version: String,
    #[serde(default, deserialize_with = "null_as_default")]
    metadata: CycloneDxMetadata,
    #[serde(default, deserialize_with = "null_as_default")]
    components: Vec<Component>,
}

#[derive(Default, Deserialize)]
struct CycloneDxMetadata {
    #[serde(default)]
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default, rename = "type", deserialize_with = "null_as_default")]
    kind: String,
    #[serde(default, deserialize_with = "null_as_default")]
    group: String,
    #[serde(default, deserialize_with = "null_as_default")]
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    version: String,
    #[serde(default, deserialize_with = "null_as_default")]
    purl: String,
    #[serde(default, deserialize_with = "null_as_default")]
    licenses: Vec<LicenceChoice>,
    #[serde(default, deserialize_with = "null_as_default")]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct LicenceChoice {
    #[serde(default)]
    expression: Option<String>,
    #[serde(default)]
    license: Option<Licence>,
}

#[derive(Deserialize)]
struct Licence {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

impl LicenceChoice {
    fn into_text(self) -> Option<String> {
        let named = self.license.and_then(|licence| licence.id.or(licence.name));
        self.expression.or(named)
    }
}

/// Reads a CycloneDX document.
pub(super) fn from_cyclonedx(content: &[u8]) -> Option<PackageList> {
    let document: CycloneDx = serde_json::from_slice(content).ok()?;
    let mut packages = Vec::new();
    // serde_json bounds how deep components are inside each other.
    let mut waiting = document.components;
    while let Some(component) = waiting.pop() {
        let licences = component.licenses.into_iter();
        let licences: Vec<String> = licences.filter_map(LicenceChoice::into_text).collect();
        let kind = purl_type(&component.purl).unwrap_or(&component.kind);
        packages.push(Package {
            kind: kind.to_owned(),
            name: match component.group.as_str() {
                "" => component.name,
                group => format!("{group}/{}", component.name),
            },
            version: component.version,
            licence: licences.join(", "),
        });
        waiting.extend(component.components);
    }
    let format = format!("CycloneDX {}", document.spec_version);
    let about = document.metadata.component;
    Some(list(format, about.map(|about| about.name), packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(list: &PackageList) -> Vec<String> {
        let packages = list.packages.iter();
        packages
            .map(|it| format!("{} {} {} {}", it.kind, it.name, it.version, it.licence))
            .collect()
    }

    #[test]
    fn packages_of_spdx_have_versions_and_licences() {
        let json = br#"{"spdxVersion":"SPDX-2.3","name":"app","packages":[
            {"name":"zlib","versionInfo":"1.3","licenseConcluded":"NOASSERTION","licenseDeclared":"Zlib",
             "externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:apk/alpine/zlib@1.3"}]},
            {"name":"app","versionInfo":null,"externalRefs":null}]}"#;
        let list = from_spdx(json).expect("a document");
        assert_eq!(
            (list.format.as_str(), list.name.as_deref()),
            ("SPDX-2.3", Some("app"))
        );
        assert_eq!(lines(&list), [" app  ", "apk zlib 1.3 Zlib"]);
    }

    #[test]
    fn components_of_cyclonedx_may_contain_others() {
        let json = br#"{"bomFormat":"CycloneDX","specVersion":"1.5","components":[
            {"type":"library","group":"org.a","name":"b","version":"2","licenses":[{"license":{"id":"MIT"}},{"expression":"A OR B"}],
             "components":[{"type":"library","name":"c","purl":"pkg:npm/c@1"}]}]}"#;
        let list = from_cyclonedx(json).expect("a document");
        assert_eq!(list.format, "CycloneDX 1.5");
        assert_eq!(lines(&list), ["npm c  ", "library org.a/b 2 MIT, A OR B"]);
    }

    #[test]
    fn what_is_not_an_sbom_is_not_read() {
        assert!(from_spdx(b"{}").is_none());
        assert!(from_spdx(br#"{"spdxVersion":"SPDX-2.3","packages":[1]}"#).is_none());
        assert!(from_cyclonedx(b"1").is_none());
    }
}
