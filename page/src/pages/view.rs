//! One file of an artifact, in place.

use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::{
    Descriptor, Digest, ManifestDocument, Repository, ResolveOptions, TagOrDigest, fetch_manifest,
};

use super::manifest::{crumbs, excerpt, title};
use crate::body::PageBody;
use crate::context::Context;
use crate::documents::{self, Document, Envelope, PackageList, SignedImage, Statement};
use crate::failure::Failure;
use crate::html::frame::{Crumb, frame};
use crate::html::parts;
use crate::html::text::{Text, shortened};
use crate::links;
use crate::response;

/// How many packages are shown.
const MAX_PACKAGES: usize = 1_000;

/// The longest name, version or licence of a package that is shown, in characters.
const MAX_FIELD: usize = 200;

/// Finds the descriptors of a manifest and of a blob that it lists.
///
/// # Errors
/// 404 if the manifest does not refer to the blob.
pub(super) async fn find(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    blob: &Digest,
) -> Result<(Descriptor, Descriptor), Failure> {
    let options = ResolveOptions::default();
    let (manifest, document) = fetch_manifest(repository, reference, &options).await?;
    let is_blob = |it: &&Descriptor| it.digest() == blob && !it.media_type().is_manifest();
    let found = match &document {
        ManifestDocument::Index(_) => None,
        document => document.iter_successors().find(is_blob).cloned(),
    };
    Ok((manifest, found.ok_or_else(Failure::not_found)?))
}

pub(super) async fn show(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
    blob: &Digest,
) -> Result<Response<PageBody>, Failure> {
    let (manifest, file) = find(repository, reference, blob).await?;
    let limit = context.state.options.max_document_size;
    let document = match file.size() <= limit {
        true => Some(read(context, repository, &file).await?),
        false => None,
    };
    let name = file.annotation("org.opencontainers.image.title");
    let name = name.map_or_else(|| title(&(*blob).into()), str::to_owned);
    let download = links::blob_content(repository.name(), manifest.digest(), blob);
    let rows = [
        ("Digest", html! { code.whole { (blob) } }),
        ("Type", html! { (Text(file.media_type().as_str())) }),
        ("Size", parts::size(file.size())),
    ];
    let content = html! {
        div.head {
            h1 { (Text(&name)) }
            div.actions { a.button href=(download) download { "Download" } }
        }
        (parts::properties("File", rows.into_iter()))
        @match &document {
            Some(shown) => section { h2 { "Content" } (self::document(context, shown)) },
            None => p.note {
                "The file has more than " (parts::size(limit)) ", so it is not shown here. Download it."
            },
        }
    };
    let [repositories, tags] = crumbs(repository);
    let above = Crumb::new(
        title(reference),
        links::manifest(repository.name(), reference),
    );
    let page = frame(context, &name, &[repositories, tags, above], content);
    Ok(response::html(StatusCode::OK, page))
}

/// Reads a document that is within the limit.
pub(super) async fn read(
    context: &Context<'_>,
    repository: &dyn Repository,
    file: &Descriptor,
) -> Result<Document, Failure> {
    let content = repository.fetch(file).await?;
    let content = content
        .bytes(context.state.options.max_document_size)
        .await?;
    Ok(documents::read(content).await?)
}

/// Shows a document.
pub(super) fn document(context: &Context<'_>, document: &Document) -> Markup {
    match document {
        Document::Packages(list) => packages(context, list),
        Document::Statement(it) => statement(context, it),
        Document::Envelope(it) => envelope(context, it),
        Document::SignedImage(it) => signed_image(it),
        Document::Text(text) => excerpt(text),
        Document::Binary => html! { p.quiet { "The content is not text." } },
    }
}

fn packages(context: &Context<'_>, list: &PackageList) -> Markup {
    let query = context.parameter("package").trim().to_lowercase();
    let found = list.packages.iter();
    let found = found.filter(|package| package.name.to_lowercase().contains(&query));
    let found: Vec<_> = found.collect();
    let field = |text: &str| shortened(text, MAX_FIELD);
    html! {
        p.lead {
            (parts::counted(list.packages.len(), "package"))
            @if list.cut { ", and more" }
            span.quiet {
                " · " (Text(&list.format))
                @if let Some(name) = &list.name { " · " (Text(&field(name))) }
            }
        }
        form.search role="search" method="get" data-live {
            label.hidden for="package" { "Search packages" }
            input #package name="package" type="search" value=(Text(&query)) placeholder="Search packages"
                autocomplete="off" spellcheck="false";
            button type="submit" { "Search" }
        }
        div #results aria-live="polite" {
            @if found.is_empty() {
                p.quiet { "No package is found." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Packages" { table {
                    caption.hidden { "Packages" }
                    thead { tr {
                        th scope="col" { "Package" }
                        th scope="col" { "Version" }
                        th scope="col" { "Kind" }
                        th scope="col" { "Licence" }
                    } }
                    tbody {
                        @for package in found.iter().take(MAX_PACKAGES) {
                            tr {
                                th scope="row" { (Text(&field(&package.name))) }
                                td { (Text(&field(&package.version))) }
                                td { (Text(&field(&package.kind))) }
                                td { (Text(&field(&package.licence))) }
                            }
                        }
                    }
                } }
                @if found.len() > MAX_PACKAGES {
                    p.note { "The first " (MAX_PACKAGES) " of " (found.len()) " are shown. Search for others." }
                }
            }
        }
    }
}

fn statement(context: &Context<'_>, statement: &Statement) -> Markup {
    html! {
        (parts::properties("Statement", [
            ("Predicate type", html! { (Text(&statement.predicate_type)) }),
            ("Subjects", html! {
                ul.plain { @for subject in &statement.subjects {
                    li {
                        @if let Some(name) = &subject.name { (Text(&shortened(name, MAX_FIELD))) " " }
                        @for (algorithm, digest) in &subject.digest {
                            code.whole { (Text(algorithm)) ":" (Text(digest)) } " "
                        }
                    }
                } }
            }),
        ].into_iter()))
        h3 { "Predicate" }
        (document(context, &statement.predicate))
    }
}

fn envelope(context: &Context<'_>, envelope: &Envelope) -> Markup {
    html! {
        p.note { "The signature is not verified here. Verify it with the tool that has made it, such as cosign." }
        (parts::properties("Envelope", [
            ("Payload type", html! { (Text(&envelope.payload_type)) }),
            ("Signatures", html! {
                (envelope.keys.len())
                @for key in envelope.keys.iter().filter(|key| !key.is_empty()) { " " code { (Text(key)) } }
            }),
        ].into_iter()))
        (document(context, &envelope.payload))
    }
}

fn signed_image(signed: &SignedImage) -> Markup {
    let added = signed.annotations.iter();
    let added = added.map(|(key, value)| (key.as_str(), html! { (Text(value)) }));
    let rows = [
        ("Image", html! { code.whole { (Text(&signed.digest)) } }),
        ("Reference", html! { (Text(&signed.reference)) }),
        ("Kind", html! { (Text(&signed.kind)) }),
    ];
    html! {
        p.note { "The signature is not verified here. Verify it with cosign." }
        (parts::properties("Signed payload", rows.into_iter().chain(added)))
    }
}
