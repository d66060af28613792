//! Text from a registry: escaped, with its control characters shown.

use std::fmt::Write as _;

use maud::{Markup, Render, html};
use tranship::escape_controls;
use url::Url;

/// Text on one line.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Render for Text<'_> {
    fn render_to(&self, buffer: &mut String) {
        escape_controls(self.0).as_ref().render_to(buffer);
    }
}

/// Text on several lines, as in a file. It keeps line breaks and tabs.
pub(crate) struct Block<'a>(pub(crate) &'a str);

impl Render for Block<'_> {
    fn render_to(&self, buffer: &mut String) {
        for (number, line) in self.0.lines().enumerate() {
            if number > 0 {
                buffer.push('\n');
            }
            for (column, part) in line.split('\t').enumerate() {
                if column > 0 {
                    buffer.push('\t');
                }
                Text(part).render_to(buffer);
            }
        }
    }
}

/// Text that may be the address of a page elsewhere, which becomes a link if it is one.
pub(crate) fn linked(text: &str) -> Markup {
    match web_address(text) {
        Some(address) => html! {
            a href=(address) rel="noopener noreferrer" { (Text(text)) }
        },
        None => html! { (Text(text)) },
    }
}

/// Returns the address, if it leads to a web server and does not carry a password.
fn web_address(text: &str) -> Option<String> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return None;
    }
    let address = Url::parse(text).ok()?;
    let is_plain = address.username().is_empty() && address.password().is_none();
    (is_plain && matches!(address.scheme(), "http" | "https")).then(|| address.to_string())
}

/// Returns the start of `text`, if it has more than `limit` characters.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => {
            let mut short = String::with_capacity(end + 3);
            // Writing to text does not fail.
            let _ = write!(short, "{}…", &text[..end]);
            short
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(it: impl Render) -> String {
        it.render().into_string()
    }

    #[test]
    fn foreign_text_is_neither_markup_nor_changes_direction() {
        assert_eq!(
            rendered(Text("<b>\u{202e}\"a\"\n&")),
            "&lt;b&gt;\\u{202e}&quot;a&quot;\\n&amp;"
        );
        assert_eq!(
            rendered(Block("a\tb\n<c>\r\n\u{1b}[1m")),
            "a\tb\n&lt;c&gt;\n\\u{1b}[1m"
        );
    }

    #[test]
    fn only_addresses_of_web_servers_become_links() {
        let link = rendered(linked("https://example.com/a?b=1&c=2"));
        assert_eq!(
            link,
            "<a href=\"https://example.com/a?b=1&amp;c=2\" rel=\"noopener noreferrer\">\
             https://example.com/a?b=1&amp;c=2</a>"
        );
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.com",
            "https://user:password@example.com/",
            "https://",
            "see https://example.com",
        ] {
            assert!(!rendered(linked(text)).contains("<a"), "{text}");
        }
    }
}
