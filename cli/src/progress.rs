//! Progress bars on standard error, where that is a terminal.

use std::collections::HashMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use indicatif::{
    BinaryBytes, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState,
    ProgressStyle, style::ProgressTracker,
};
use tranship::{
    Body, CopyAction, CopyEvent, CopyHooks, Descriptor, Digest, OpenAt, Result, Source,
};

use tranship_backends::layout::FsckOptions;

use crate::output::{Output, plain};
use crate::terminal::hide_control_characters;

/// Smaller content comes and goes faster than a bar can be read.
const WORTH_A_BAR: u64 = 1 << 20;
const MOST_BARS: usize = 5;
const REDRAW: Duration = Duration::from_millis(200);

fn target(output: Output) -> ProgressDrawTarget {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if output.quiet || output.no_progress || dumb || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        hide_control_characters();
        ProgressDrawTarget::stderr()
    }
}

/// How many columns the terminal has.
type Columns = fn() -> u16;

fn columns() -> u16 {
    console::Term::stderr().size().1
}

/// What a line tells beside the prefix, the bar and the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Rate,
    RateAndTime,
}

/// How many columns a terminal must have for each part of a line to be shown, so that no line wraps: one that does
/// cannot be redrawn in place.
const FOR_TIME: u16 = 90;
const FOR_RATE: u16 = 72;
const FOR_TOTAL: u16 = 56;
const FOR_BYTES: u16 = 32;

/// How long nothing may move before a line shows a wait.
const WAIT: Duration = Duration::from_secs(1);

/// A prefix, the bar in what room there is, and how far it is.
fn style(rest: Rest, columns: Columns) -> ProgressStyle {
    style_with_wait(rest, columns, WAIT)
}

fn style_with_wait(rest: Rest, columns: Columns, shown_from: Duration) -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>14} {wide_bar:.cyan}{amount}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
        .with_key(
            "amount",
            Amount {
                rest,
                columns,
                shown_from,
                moved: None,
            },
        )
}

/// Writes what follows the bar: the amount and the rate or, while nothing moves, for how long.
#[derive(Clone)]
struct Amount {
    rest: Rest,
    columns: Columns,
    shown_from: Duration,
    moved: Option<Moved>,
}

/// The last state that differed from the one before it.
#[derive(Clone, Copy)]
struct Moved {
    position: u64,
    length: Option<u64>,
    at: Instant,
    now: Instant,
}

impl Amount {
    /// How long nothing has moved, if that is long enough to be shown.
    fn wait(&self) -> Option<Duration> {
        let moved = self.moved?;
        let wait = moved.now.duration_since(moved.at);
        // One line is enough to show it.
        (self.rest == Rest::RateAndTime && wait >= self.shown_from).then_some(wait)
    }
}

impl ProgressTracker for Amount {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, state: &ProgressState, now: Instant) {
        let (position, length) = (state.pos(), state.len());
        let at = match self.moved {
            Some(moved) if (moved.position, moved.length) == (position, length) => moved.at,
            _ => now,
        };
        self.moved = Some(Moved {
            position,
            length,
            at,
            now,
        });
    }

    fn reset(&mut self, _: &ProgressState, _: Instant) {
        self.moved = None;
    }

    fn write(&self, state: &ProgressState, out: &mut dyn fmt::Write) {
        let (columns, wait) = ((self.columns)(), self.wait());
        if columns < FOR_BYTES {
            return;
        }
        // Where the room is short, a wait takes the place of the amount.
        if wait.is_none() || columns >= FOR_RATE {
            let bytes = BinaryBytes(state.pos()).to_string();
            let _ = write!(out, " {bytes:>11}");
            if columns >= FOR_TOTAL {
                let total = BinaryBytes(state.len().unwrap_or_default()).to_string();
                let _ = write!(out, " of {total:<11}");
            }
        }
        match wait {
            Some(wait) => {
                let _ = write!(out, " waiting for {:#}", HumanDuration(wait));
            }
            None if columns >= FOR_RATE => {
                write_rate(state, out);
                if self.rest == Rest::RateAndTime && columns >= FOR_TIME {
                    write_time(state, out);
                }
            }
            None => {}
        }
    }
}

/// A store that links or clones files reads nothing, and some read without telling: then there is no
/// rate to speak of, and no way to say how long it will take.
fn has_rate(state: &ProgressState) -> bool {
    state.per_sec() >= 1024.0
}

fn write_rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    if has_rate(state) {
        let _ = write!(out, " {}/s", BinaryBytes(state.per_sec() as u64));
    }
}

fn write_time(state: &ProgressState, out: &mut dyn fmt::Write) {
    if has_rate(state) {
        let _ = write!(out, ", {:#} left", HumanDuration(state.eta()));
    }
}

/// A bar that is first drawn in its place. Otherwise it would be drawn below the other bars, and leave a line there.
fn undrawn(size: u64) -> ProgressBar {
    ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::hidden())
}

/// Says that a command takes longer than a second and does something, where nothing else says so.
///
/// There is one per process, as there is one terminal: whatever writes to that, or shows bars, takes it away first.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting::NotYet);

enum Waiting {
    NotYet,
    Shown(ProgressBar),
    /// Something else is on the screen.
    Never,
}

/// Shows that the program waits, after a second, unless [`stop_waiting`] was called before. Never returns.
pub(crate) async fn show_waiting(output: Output) -> std::convert::Infallible {
    tokio::time::sleep(Duration::from_secs(1)).await;
    {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*waiting, Waiting::NotYet) {
            let bar = ProgressBar::with_draw_target(None, target(output));
            let style = ProgressStyle::with_template("{spinner} waiting for {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(REDRAW);
            *waiting = Waiting::Shown(bar);
        }
    }
    std::future::pending().await
}

/// Takes away what [`show_waiting`] shows, for good.
pub(crate) fn stop_waiting() {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Waiting::Shown(bar) = std::mem::replace(&mut *waiting, Waiting::Never) {
        bar.finish_and_clear();
    }
}

/// The bars of a copy: one for all of it, and above it some for what is under way, from its first
/// byte on. They vanish when this is dropped.
pub(crate) struct CopyProgress {
    bars: MultiProgress,
    total: ProgressBar,
    columns: Columns,
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
        stop_waiting();
        Self::drawn_on(target(output), columns, WAIT)
    }

    fn drawn_on(target: ProgressDrawTarget, columns: Columns, shown_from: Duration) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        let style = style_with_wait(Rest::RateAndTime, columns, shown_from);
        let total = bars.add(undrawn(0).with_style(style));
        total.set_prefix("copying");
        if !total.is_hidden() {
            total.enable_steady_tick(REDRAW);
        }
        Self {
            bars,
            total,
            columns,
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
        let bar = undrawn(node.size()).with_style(style(Rest::Rate, self.columns));
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

    /// What an earlier copy has read counts as read, and not for how fast this one is.
    fn continued(&self, node: &Descriptor, offset: u64) {
        self.read(node, offset);
        self.total.reset_eta();
        let state = self.state();
        let under_way = state.under_way.get(node.digest());
        if let Some(bar) = under_way.and_then(|under_way| under_way.bar.as_ref()) {
            bar.reset_eta();
        }
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
            CopyEvent::Continued(node, offset) => self.continued(node, offset),
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

/// The end of a name, which tells more than its beginning.
fn last_letters(name: &str) -> String {
    const MOST: usize = 14;
    let count = name.chars().count();
    if count <= MOST {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count - MOST + 1).collect();
    format!("…{end}")
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::InMemoryTerm;
    use tranship::MediaType;

    const MIB: u64 = 1 << 20;

    fn screen() -> (CopyProgress, InMemoryTerm) {
        narrow_screen(100, || 100, Duration::MAX)
    }

    fn narrow_screen(
        width: u16,
        columns: Columns,
        shown_from: Duration,
    ) -> (CopyProgress, InMemoryTerm) {
        let term = InMemoryTerm::new(10, width);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        (CopyProgress::drawn_on(target, columns, shown_from), term)
    }

    const WIDTHS: [(u16, Columns); 8] = [
        (120, || 120),
        (89, || 89),
        (80, || 80),
        (71, || 71),
        (60, || 60),
        (55, || 55),
        (40, || 40),
        (20, || 20),
    ];

    #[test]
    fn a_wait_is_shown_on_narrow_screens_and_does_not_wrap() {
        for (width, columns) in WIDTHS.into_iter().filter(|(width, _)| *width >= 40) {
            let (progress, term) = narrow_screen(width, columns, Duration::ZERO);
            let line = last_line(&progress, &term);
            assert!(line.contains("waiting for 0s"), "{width}: {line}");
            assert_eq!(term.contents().lines().count(), 1, "{width}: {line}");
            let node = blob(b"a", 1023 * MIB);
            progress.on_event(CopyEvent::Found(&node));
            progress.on_event(CopyEvent::Started(&node));
            progress.on_event(CopyEvent::Bytes(&node, 1000 * MIB));
            let line = last_line(&progress, &term);
            assert!(line.contains("waiting for 0s"), "{width}: {line}");
            assert_eq!(term.contents().lines().count(), 2, "{width}: {line}");
        }
    }

    #[test]
    fn what_moves_is_no_wait() {
        let mut amount = Amount {
            rest: Rest::RateAndTime,
            columns: || 80,
            shown_from: WAIT,
            moved: None,
        };
        let begin = Instant::now();
        let moved = |position, at, now| Moved {
            position,
            length: Some(2),
            at: begin + Duration::from_secs(at),
            now: begin + Duration::from_secs(now),
        };
        amount.moved = Some(moved(1, 5, 5));
        assert_eq!(amount.wait(), None);
        amount.moved = Some(moved(1, 5, 8));
        assert_eq!(amount.wait(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn lines_do_not_wrap_on_narrow_screens() {
        for (width, columns) in WIDTHS {
            let (progress, term) = narrow_screen(width, columns, Duration::MAX);
            let node = blob(b"a", 1023 * MIB);
            progress.on_event(CopyEvent::Found(&node));
            progress.on_event(CopyEvent::Started(&node));
            progress.on_event(CopyEvent::Bytes(&node, 1000 * MIB));
            let total = last_line(&progress, &term);
            assert_eq!(
                term.contents().lines().count(),
                2,
                "{width}: {}",
                term.contents()
            );
            assert!(total.contains("0 of 1"), "{width}: {total}");
        }
    }

    fn blob(name: &[u8], size: u64) -> Descriptor {
        Descriptor::new(MediaType::OCTET_STREAM, Digest::of(name), size)
    }

    fn last_line(progress: &CopyProgress, term: &InMemoryTerm) -> String {
        progress.total.force_draw();
        let contents = term.contents();
        contents.lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_large_blob_has_a_bar_above_the_total() {
        let (progress, term) = screen();
        let (large, small) = (blob(b"a", 3 * MIB), blob(b"b", MIB - 1));
        for node in [&large, &small] {
            progress.on_event(CopyEvent::Found(node));
            progress.on_event(CopyEvent::Started(node));
        }
        progress.on_event(CopyEvent::Bytes(&large, MIB));
        let total = last_line(&progress, &term);
        assert!(total.contains("0 of 2"), "{total}");
        assert!(total.contains("1.00 MiB of 4.00 MiB"), "{total}");
        let lines = term.contents();
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(lines.contains(&short(&large)), "{lines}");
        assert!(lines.contains("1.00 MiB of 3.00 MiB"), "{lines}");
    }

    #[test]
    fn what_is_linked_counts_and_what_is_there_already_does_not() {
        let (progress, term) = screen();
        let (linked, skipped) = (blob(b"a", 3 * MIB), blob(b"b", 5 * MIB));
        for node in [&linked, &skipped] {
            progress.on_event(CopyEvent::Found(node));
        }
        progress.on_event(CopyEvent::Started(&linked));
        progress.on_event(CopyEvent::Done(&linked, CopyAction::Copied));
        progress.on_event(CopyEvent::Done(&skipped, CopyAction::Skipped));
        let total = last_line(&progress, &term);
        assert!(total.contains("2 of 2"), "{total}");
        assert!(total.contains("3.00 MiB of 3.00 MiB"), "{total}");
    }

    #[test]
    fn what_is_read_twice_is_not_twice_done() {
        let (progress, term) = screen();
        let node = blob(b"a", 2 * MIB);
        progress.on_event(CopyEvent::Found(&node));
        for _ in 0..2 {
            progress.on_event(CopyEvent::Started(&node));
            progress.on_event(CopyEvent::Bytes(&node, 2 * MIB));
        }
        let total = last_line(&progress, &term);
        assert!(total.contains("2.00 MiB of 2.00 MiB"), "{total}");
    }

    #[test]
    fn what_an_earlier_copy_has_read_counts_as_read() {
        let (progress, term) = screen();
        let node = blob(b"a", 3 * MIB);
        progress.on_event(CopyEvent::Found(&node));
        progress.on_event(CopyEvent::Started(&node));
        progress.on_event(CopyEvent::Continued(&node, 2 * MIB));
        let total = last_line(&progress, &term);
        assert!(total.contains("2.00 MiB of 3.00 MiB"), "{total}");
        progress.on_event(CopyEvent::Bytes(&node, MIB));
        let total = last_line(&progress, &term);
        assert!(total.contains("3.00 MiB of 3.00 MiB"), "{total}");
    }

    #[test]
    fn at_most_a_handful_of_bars_are_shown() {
        let (progress, term) = screen();
        let nodes: Vec<Descriptor> = (0..9).map(|n| blob(&[n], MIB)).collect();
        for node in &nodes {
            progress.on_event(CopyEvent::Found(node));
            progress.on_event(CopyEvent::Started(node));
            progress.on_event(CopyEvent::Bytes(node, 1));
        }
        last_line(&progress, &term);
        assert_eq!(term.contents().lines().count(), MOST_BARS + 1);
        for node in &nodes {
            progress.on_event(CopyEvent::Done(node, CopyAction::Copied));
        }
        last_line(&progress, &term);
        assert_eq!(term.contents().lines().count(), 1);
    }

    #[test]
    fn nothing_stays_on_the_screen() {
        let (progress, term) = screen();
        let node = blob(b"a", 2 * MIB);
        progress.on_event(CopyEvent::Found(&node));
        progress.on_event(CopyEvent::Started(&node));
        last_line(&progress, &term);
        drop(progress);
        assert_eq!(term.contents(), "");
    }
}
