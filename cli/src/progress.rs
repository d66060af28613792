//! Progress bars on standard error, where that is a terminal.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tranship::{
    Body, CopyAction, CopyEvent, CopyHooks, Descriptor, Digest, OpenAt, Result, Source,
};

use crate::output::{Output, plain};

/// Smaller content comes and goes faster than a bar can be read.
const WORTH_A_BAR: u64 = 1 << 20;
const MOST_BARS: usize = 5;
const REDRAW: Duration = Duration::from_millis(200);

fn target(output: Output) -> ProgressDrawTarget {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if output.quiet || output.no_progress || dumb || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

/// The bars of a copy: one for all of it, and above it some for what is under way. They vanish when
/// this is dropped.
pub(crate) struct CopyProgress {
    bars: MultiProgress,
    total: ProgressBar,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    found: usize,
    done: usize,
    under_way: HashMap<Digest, UnderWay>,
    bars: usize,
}

#[derive(Default)]
struct UnderWay {
    read: u64,
    bar: Option<ProgressBar>,
}

impl CopyProgress {
    pub(crate) fn new(output: Output) -> Self {
        let bars = MultiProgress::with_draw_target(target(output));
        let total = bars.add(ProgressBar::new(0).with_style(style(
            "{prefix:>14} {bar:30.cyan} {bytes:>11} of {total_bytes:<11} {bytes_per_sec:>13}  {eta:>4} left",
        )));
        total.set_prefix("copying");
        if !total.is_hidden() {
            total.enable_steady_tick(REDRAW);
        }
        Self {
            bars,
            total,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, node: &Descriptor) {
        let mut state = self.state();
        let state = &mut *state;
        let under_way = state.under_way.entry(*node.digest()).or_default();
        if under_way.bar.is_some() || node.size() < WORTH_A_BAR || state.bars >= MOST_BARS {
            return;
        }
        let bar = ProgressBar::new(node.size()).with_style(style(
            "{prefix:>14} {bar:30} {bytes:>11} of {total_bytes:<11} {bytes_per_sec:>13}",
        ));
        bar.set_prefix(short(node));
        under_way.bar = Some(self.bars.insert_before(&self.total, bar));
        state.bars += 1;
    }

    /// Never more than the content has: what is read twice is not twice done.
    fn read(&self, node: &Descriptor, bytes: u64) {
        let mut state = self.state();
        let Some(under_way) = state.under_way.get_mut(node.digest()) else {
            return;
        };
        let bytes = bytes.min(node.size().saturating_sub(under_way.read));
        under_way.read += bytes;
        if let Some(bar) = &under_way.bar {
            bar.set_position(under_way.read);
        }
        self.total.inc(bytes);
    }

    /// What was copied without being read, as it was linked, counts as read; what need not be copied
    /// counts as never wanted.
    fn done(&self, node: &Descriptor, action: CopyAction) {
        let mut state = self.state();
        let under_way = state.under_way.remove(node.digest()).unwrap_or_default();
        if let Some(bar) = under_way.bar {
            bar.finish_and_clear();
            self.bars.remove(&bar);
            state.bars -= 1;
        }
        let unread = node.size().saturating_sub(under_way.read);
        match action {
            CopyAction::Copied => self.total.inc(unread),
            _ => self.total.dec_length(unread),
        }
        state.done += 1;
        self.show_count(&state);
    }

    fn show_count(&self, state: &State) {
        self.total
            .set_prefix(format!("{} of {}", state.done, state.found));
    }
}

#[async_trait]
impl CopyHooks for CopyProgress {
    fn on_event(&self, event: CopyEvent<'_>) {
        match event {
            CopyEvent::Found(node) => {
                self.total.inc_length(node.size());
                let mut state = self.state();
                state.found += 1;
                self.show_count(&state);
            }
            CopyEvent::Started(node) => self.started(node),
            CopyEvent::Bytes(node, bytes) => self.read(node, bytes),
            CopyEvent::Done(node, action) => self.done(node, action),
            _ => {}
        }
    }
}

impl CopyProgress {
    /// Takes the bars away.
    pub(crate) fn finish(&self) {
        self.total.finish_and_clear();
        let _ = self.bars.clear();
    }
}

impl Drop for CopyProgress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The first digits of the digest, as much as tells one blob from another on a screen.
fn short(node: &Descriptor) -> String {
    node.digest().hex().chars().take(12).collect()
}

/// The bar of a single transfer. It vanishes when this is dropped.
pub(crate) struct TransferProgress {
    bar: ProgressBar,
}

impl TransferProgress {
    /// For `size` bytes of what is called `name`.
    pub(crate) fn new(output: Output, name: &str, size: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(size), target(output)).with_style(style(
            "{prefix} {bar:30.cyan} {bytes:>11} of {total_bytes:<11} {bytes_per_sec:>13}  {eta:>4} left",
        ));
        bar.set_prefix(plain(name).into_owned());
        Self { bar }
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

impl Drop for TransferProgress {
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
