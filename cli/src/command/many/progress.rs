//! What a terminal shows while many images are copied.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tranship::{CopyEvent, CopyHooks as _, CopySide};
use tranship_mirror::jobs::{ImageReport, Observer, Outcome};

use crate::output::Output;
use crate::progress::{CopyProgress, CountProgress};
use crate::report::Report;

/// A bar for the images that are looked at, then the bars of a copy. Failures are told when they happen.
pub(super) struct ManyProgress {
    output: Output,
    dry_run: bool,
    stage: Mutex<Stage>,
}

enum Stage {
    Waiting,
    Planning(CountProgress),
    Copying(CopyProgress),
}

impl ManyProgress {
    pub(super) fn new(output: Output, dry_run: bool) -> Self {
        Self {
            output,
            dry_run,
            stage: Mutex::new(Stage::Waiting),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the bars.
    pub(super) fn finish(&self) {
        *self.lock() = Stage::Waiting;
    }
}

impl Observer for ManyProgress {
    fn planned(&self, done: usize, total: usize) {
        let mut stage = self.lock();
        if !matches!(*stage, Stage::Planning(_)) {
            *stage = Stage::Planning(CountProgress::new(self.output, "comparing", total as u64));
        }
        if let Stage::Planning(bar) = &*stage {
            bar.set(done as u64);
        }
    }

    fn progressed(&self, event: CopyEvent<'_>) {
        if self.dry_run {
            return;
        }
        let mut stage = self.lock();
        if !matches!(*stage, Stage::Copying(_)) {
            *stage = Stage::Copying(CopyProgress::new(self.output));
        }
        if let Stage::Copying(bars) = &*stage {
            bars.on_event(event);
        }
    }

    fn finished(&self, report: &ImageReport) {
        let Outcome::Failed(error) = &report.outcome else {
            return;
        };
        if self.output.is_json() {
            return;
        }
        let image = &report.image;
        let place = match error.copy_side() {
            Some(CopySide::Destination) => {
                format!("{} to {}", image.source_name(), image.destination_name())
            }
            _ => image.source_name(),
        };
        let line = Report::new(error).at(Some(&place));
        let line = line.line();
        match &*self.lock() {
            Stage::Copying(bars) => bars.print_above(|| self.output.failure(&line)),
            Stage::Planning(bar) => bar.print_above(|| self.output.failure(&line)),
            Stage::Waiting => self.output.failure(&line),
        }
    }
}
