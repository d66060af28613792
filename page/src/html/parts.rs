//! Small parts that many pages have.

use maud::{Markup, PreEscaped, html};
use tranship::{Digest, HumanSize};

use super::text::Text;
use crate::context::Context;
use crate::details::NoDetails;
use crate::form::TOKEN;

/// How many hexadecimal digits of a digest lists show.
const SHORT_DIGEST: usize = 12;

/// Shows a size in bytes with a unit, and the exact number as its title.
pub(crate) fn size(bytes: u64) -> Markup {
    html! { span.number title={ (bytes) " bytes" } { (HumanSize(bytes)) } }
}

/// Shows the start of a digest, and all of it as its title.
pub(crate) fn short_digest(digest: &Digest) -> Markup {
    let short: String = digest.hex().chars().take(SHORT_DIGEST).collect();
    html! { code title=(digest) { (short) } }
}

/// Shows the start of a digest as a link.
pub(crate) fn digest_link(digest: &Digest, address: &str) -> Markup {
    html! { a href=(address) { (short_digest(digest)) } }
}

/// Shows why a cell is empty.
pub(crate) fn no_details(reason: NoDetails) -> Markup {
    match reason {
        NoDetails::Late => {
            html! { span.quiet title="Collecting this takes longer than the page waits" { "…" } }
        }
        NoDetails::Failed => {
            html! { span.quiet title="The content is missing or damaged" { "unreadable" } }
        }
    }
}

/// Shows a bar for a part of a whole.
pub(crate) fn bar(part: u64, whole: u64) -> Markup {
    let width = if whole == 0 {
        0.0
    } else {
        // A layer that is not empty is visible.
        (part as f64 / whole as f64 * 100.0).max(if part == 0 { 0.0 } else { 0.5 })
    };
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect.track width="100" height="8" {}
            rect.fill width=(format!("{width:.1}")) height="8" {}
        }
    }
}

/// Shows names and values as a table of two columns.
pub(crate) fn properties<'a>(
    caption: &str,
    rows: impl Iterator<Item = (&'a str, Markup)>,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) { table.properties {
            caption.hidden { (caption) }
            tbody {
                @for (name, value) in rows {
                    tr { th scope="row" { (Text(name)) } td { (value) } }
                }
            }
        } }
    }
}

/// Returns the field with the secret of forms.
pub(crate) fn token_field(context: &Context<'_>) -> Markup {
    match context.viewer.form_token() {
        Some(token) => html! { input type="hidden" name=(TOKEN) value=(token); },
        None => PreEscaped(String::new()),
    }
}

/// Returns "1 tag" or "3 tags".
pub(crate) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Shows links to other pages of a list. Empty addresses are left out.
pub(crate) fn pager(first: Option<&str>, previous: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.or(previous).or(next).is_some() {
            nav.pager aria-label="Pages of the list" {
                @if let Some(address) = first { a href=(address) { "First page" } }
                @if let Some(address) = previous { a href=(address) rel="prev" { "Previous page" } }
                @if let Some(address) = next { a href=(address) rel="next" { "Next page" } }
            }
        }
    }
}
