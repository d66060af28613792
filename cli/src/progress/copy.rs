//! The bars of a copy.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use tranship::{CopyAction, CopyEvent, CopyHooks, Descriptor, Digest};

use super::bar::{Columns, REDRAW, Rest, WAIT, columns, style, style_with_wait, target, undrawn};
use crate::output::Output;
use crate::waiting::stop_waiting;

/// Smaller content is copied faster than a bar can be read, in bytes.
const WORTH_A_BAR: u64 = 1 << 20;
const MOST_BARS: usize = 5;

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
    /// Removes the bars while `print` writes lines to the terminal.
    pub(crate) fn print_above(&self, print: impl FnOnce()) {
        self.bars.suspend(print);
    }

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
