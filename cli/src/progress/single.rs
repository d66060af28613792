//! The bar of one transfer, or of a check.

use async_trait::async_trait;
use indicatif::ProgressBar;
use tranship::{Body, OpenAt, Result, Source, escape_controls as plain};
use tranship_artifact::image::VerifyOptions;
use tranship_backends::layout::FsckOptions;

use super::bar::{REDRAW, Rest, columns, last_letters, style, target, undrawn};
use crate::output::Output;
use crate::waiting::stop_waiting;

/// The bar of a single transfer. It vanishes when this is dropped.
pub(crate) struct TransferProgress {
    bar: ProgressBar,
}

impl TransferProgress {
    /// For `size` bytes of what is called `name`.
    pub(crate) fn new(output: Output, name: &str, size: u64) -> Self {
        stop_waiting();
        let bar = undrawn(size).with_style(style(Rest::RateAndTime, columns));
        bar.set_prefix(last_letters(&plain(name)));
        bar.set_draw_target(target(output));
        if !bar.is_hidden() {
            bar.enable_steady_tick(REDRAW);
        }
        Self { bar }
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Returns a function that does what [`add`](Self::add) does.
    pub(crate) fn counter(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let bar = self.bar.clone();
        move |bytes| bar.inc(bytes)
    }
}

impl Drop for TransferProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The bar of a check. It vanishes when this is dropped.
pub(crate) struct CheckProgress {
    bar: ProgressBar,
}

impl CheckProgress {
    pub(crate) fn new(output: Output) -> Self {
        stop_waiting();
        let bar = ProgressBar::with_draw_target(Some(0), target(output))
            .with_style(style(Rest::RateAndTime, columns));
        bar.set_prefix("checking");
        if !bar.is_hidden() {
            bar.enable_steady_tick(REDRAW);
        }
        Self { bar }
    }

    /// What a check tells the bar by.
    pub(crate) fn options(&self) -> FsckOptions {
        let bar = self.bar.clone();
        FsckOptions::default().with_progress(move |progress| {
            bar.set_length(progress.total_bytes);
            bar.set_position(progress.bytes);
            bar.set_prefix(format!("{} of {}", progress.blobs, progress.total_blobs));
        })
    }
}

impl CheckProgress {
    /// What a check of an image or artifact tells the bar by.
    pub(crate) fn verify_options(&self) -> VerifyOptions {
        let bar = self.bar.clone();
        VerifyOptions::default().with_progress(move |progress| {
            bar.set_length(progress.total_bytes);
            bar.set_position(progress.bytes);
            bar.set_prefix(format!("{} of {}", progress.count, progress.total_count));
        })
    }
}

impl Drop for CheckProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A source whose reading moves a bar.
pub(crate) struct Watched<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) progress: &'a TransferProgress,
}

#[async_trait]
impl OpenAt for Watched<'_> {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let bar = self.progress.bar.clone();
        bar.set_position(offset);
        let body = self.source.open(offset).await?;
        Ok(body.inspect(move |bytes| bar.inc(bytes)))
    }
}
