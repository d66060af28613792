//! SBOMs of SPDX 3, as JSON-LD: a list of elements that refer to each other by their ids.

use std::collections::HashMap;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::packages::{Package, PackageList, is_licence, list, null_as_default, purl_type};

/// How many elements about packages and licences are read.
const MAX_ELEMENTS: usize = 100_000;

/// Where the ids of listed licences begin.
const LISTED_LICENCES: &str = "https://spdx.org/licenses/";

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@graph")]
    graph: Graph,
}

/// What the elements say that a list of packages needs.
#[derive(Default)]
struct Graph {
    /// Whether there is an element of SPDX at all.
    is_spdx: bool,
    version: Option<String>,
    name: Option<String>,
    packages: Vec<Element>,
    /// The ids of licences, by the ids of packages.
    concluded: HashMap<String, String>,
    declared: HashMap<String, String>,
    /// The expressions of licences, by their ids.
    licences: HashMap<String, String>,
}

/// An element. Which fields it has depends on its type.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    #[serde(default, rename = "type", alias = "@type")]
    kind: String,
    #[serde(default, alias = "@id")]
    spdx_id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    spec_version: String,
    #[serde(
        default,
        rename = "software_packageVersion",
        deserialize_with = "null_as_default"
    )]
    package_version: String,
    #[serde(
        default,
        rename = "software_packageUrl",
        deserialize_with = "null_as_default"
    )]
    package_url: String,
    #[serde(default, deserialize_with = "null_as_default")]
    external_identifier: Vec<Identifier>,
    #[serde(default, deserialize_with = "null_as_default")]
    relationship_type: String,
    #[serde(default, deserialize_with = "null_as_default")]
    from: String,
    #[serde(default)]
    to: Targets,
    #[serde(
        default,
        rename = "simplelicensing_licenseExpression",
        deserialize_with = "null_as_default"
    )]
    licence_expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identifier {
    #[serde(default, deserialize_with = "null_as_default")]
    external_identifier_type: String,
    #[serde(default, deserialize_with = "null_as_default")]
    identifier: String,
}

/// JSON-LD allows a single value in place of a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Targets {
    One(String),
    Many(Vec<String>),
    Other(serde::de::IgnoredAny),
}

impl Default for Targets {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Targets {
    fn first(self) -> Option<String> {
        match self {
            Self::One(id) => Some(id),
            Self::Many(ids) => ids.into_iter().next(),
            Self::Other(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Graph {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = Graph;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of elements")
            }

            /// Skips most elements: files, and relationships between them.
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Graph, A::Error> {
                let mut graph = Graph::default();
                while let Some(element) = elements.next_element()? {
                    graph.add(element);
                }
                Ok(graph)
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}

impl Graph {
    fn add(&mut self, element: Element) {
        let kept =
            self.packages.len() + self.licences.len() + self.concluded.len() + self.declared.len();
        if kept >= MAX_ELEMENTS {
            return;
        }
        match element.kind.as_str() {
            "SpdxDocument" => {
                self.is_spdx = true;
                self.name = Some(element.name);
            }
            "CreationInfo" if !element.spec_version.is_empty() => {
                self.version = Some(element.spec_version);
            }
            "software_Package" => {
                self.is_spdx = true;
                self.packages.push(element);
            }
            "Relationship" => {
                let licences = match element.relationship_type.as_str() {
                    "hasConcludedLicense" => &mut self.concluded,
                    "hasDeclaredLicense" => &mut self.declared,
                    _ => return,
                };
                if let Some(licence) = element.to.first() {
                    licences.insert(element.from, licence);
                }
            }
            "simplelicensing_LicenseExpression" => {
                self.licences
                    .insert(element.spdx_id, element.licence_expression);
            }
            _ => {}
        }
    }

    /// Returns the licence of a package: the one that was concluded, or that its authors declare.
    fn licence(&self, package: &str) -> Option<String> {
        let ids = [&self.concluded, &self.declared].map(|licences| licences.get(package));
        let mut texts = ids.into_iter().flatten().filter_map(|id| {
            let expression = self.licences.get(id).map(String::as_str);
            expression.or_else(|| id.strip_prefix(LISTED_LICENCES))
        });
        texts.find(|text| is_licence(text)).map(str::to_owned)
    }
}

/// Reads an SPDX document of version 3.
pub(super) fn read(content: &[u8]) -> Option<PackageList> {
    let Document { mut graph } = serde_json::from_slice(content).ok()?;
    if !graph.is_spdx {
        return None;
    }
    let packages = std::mem::take(&mut graph.packages).into_iter();
    let packages = packages.map(|element| {
        let mut identifiers = element.external_identifier.iter();
        let identified = identifiers.find(|it| it.external_identifier_type == "packageUrl");
        let purl = match element.package_url.is_empty() {
            true => identified.map(|it| it.identifier.as_str()),
            false => Some(element.package_url.as_str()),
        };
        Package {
            kind: purl.and_then(purl_type).unwrap_or_default().to_owned(),
            licence: graph.licence(&element.spdx_id).unwrap_or_default(),
            name: element.name,
            version: element.package_version,
        }
    });
    let packages = packages.collect();
    let version = graph.version.as_deref().unwrap_or("3");
    Some(list(format!("SPDX-{version}"), graph.name.take(), packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SBOM: &str = r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[
        {"type":"CreationInfo","@id":"_:info","specVersion":"3.0.1","created":"2026-01-01T00:00:00Z"},
        {"type":"SpdxDocument","spdxId":"urn:doc","creationInfo":"_:info","name":"app","rootElement":["urn:sbom"]},
        {"type":"software_Package","spdxId":"urn:zlib","name":"zlib","software_packageVersion":"1.3",
         "software_packageUrl":"pkg:deb/debian/zlib@1.3"},
        {"type":"software_Package","spdxId":"urn:curl","name":"curl",
         "externalIdentifier":[{"type":"ExternalIdentifier","externalIdentifierType":"packageUrl","identifier":"pkg:apk/curl@8"}]},
        {"type":"software_Package","spdxId":"urn:bash","name":"bash","software_packageVersion":null},
        {"type":"software_File","spdxId":"urn:file","name":"/bin/bash"},
        {"type":"simplelicensing_LicenseExpression","spdxId":"urn:l1","simplelicensing_licenseExpression":"Zlib OR MIT"},
        {"type":"simplelicensing_LicenseExpression","spdxId":"urn:l2","simplelicensing_licenseExpression":"NOASSERTION"},
        {"type":"Relationship","from":"urn:zlib","relationshipType":"hasConcludedLicense","to":["urn:l2"]},
        {"type":"Relationship","from":"urn:zlib","relationshipType":"hasDeclaredLicense","to":"urn:l1"},
        {"type":"Relationship","from":"urn:curl","relationshipType":"hasDeclaredLicense","to":["https://spdx.org/licenses/curl"]},
        {"type":"Relationship","from":"urn:doc","relationshipType":"describes","to":["urn:zlib"]}]}"#;

    #[test]
    fn packages_and_their_licences_are_found_in_the_graph() {
        let list = read(SBOM.as_bytes()).expect("a document");
        assert_eq!(list.format, "SPDX-3.0.1");
        assert_eq!(list.name.as_deref(), Some("app"));
        let lines: Vec<String> = list
            .packages
            .iter()
            .map(|it| format!("{} {} {} {}", it.kind, it.name, it.version, it.licence))
            .collect();
        assert_eq!(
            lines,
            [" bash  ", "apk curl  curl", "deb zlib 1.3 Zlib OR MIT"]
        );
    }

    #[test]
    fn other_graphs_are_not_lists_of_packages() {
        for other in [
            r#"{"@graph":[]}"#,
            r#"{"@graph":[{"@type":"Person","name":"x"}]}"#,
            r#"{"@graph":{"type":"software_Package"}}"#,
            r#"{"@graph":[1]}"#,
        ] {
            assert!(read(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn the_number_of_elements_is_bounded() {
        let package = r#"{"type":"software_Package","name":"a"},"#;
        let many = package.repeat(MAX_ELEMENTS + 10);
        let document = format!(r#"{{"@graph":[{}]}}"#, many.trim_end_matches(','));
        let document: Document = serde_json::from_str(&document).expect("a document");
        assert_eq!(document.graph.packages.len(), MAX_ELEMENTS);
    }
}
