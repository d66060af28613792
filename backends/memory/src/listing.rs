//! Listings that hold no lock and copy no more than a page.

use futures_util::stream;
use tranship::{ListOptions, Listing};

const PAGE_SIZE: usize = 1000;

/// How many items to take at a time.
pub(crate) fn page_size(options: &ListOptions) -> usize {
    options.page_size.unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE)
}

/// The items of one page after the other, until one is empty. `next_page` is told the last item of
/// the page before.
pub(crate) fn paged<'a, T: Clone + Send + 'a>(
    mut next_page: impl FnMut(Option<&T>) -> Vec<T> + Send + 'a,
) -> Listing<'a, T> {
    let mut page = Vec::new().into_iter();
    let mut last = None;
    Box::pin(stream::iter(std::iter::from_fn(move || {
        if page.len() == 0 {
            page = next_page(last.as_ref()).into_iter();
        }
        last = page.next();
        last.clone().map(Ok)
    })))
}
