//! Listings that are made on blocking threads, a page at a time.

use futures_util::stream;
use tranship::{Result, blocking};

use crate::driver::Pages;

/// How many entries a page has.
pub(super) const PAGE: usize = 1000;

/// Goes on with `walk` for each page that is asked for. `next` blocks, and answers as many entries as it
/// is asked for; fewer only at the end.
pub(super) fn pages<W: Send + 'static, T: Send + 'static>(
    walk: W,
    next: fn(&mut W, usize) -> Result<Vec<T>>,
) -> Pages<'static, T> {
    Box::pin(stream::try_unfold(Some(walk), move |walk| async move {
        let Some(mut walk) = walk else {
            return Ok(None);
        };
        blocking::run(move || {
            let page = next(&mut walk, PAGE)?;
            let rest = (page.len() == PAGE).then_some(walk);
            Ok(Some((page, rest)))
        })
        .await
    }))
}
