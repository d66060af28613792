//! What a program that runs for long tells of itself, on standard error.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::output::Output;

/// How many lines may wait for a reader of standard error. What comes when that many wait is lost: a
/// reader that stalls must not stall the program.
const WAITING: usize = 4096;

/// How much is written with one call, in bytes, if as much waits.
const AT_ONCE: usize = 64 * 1024;

/// How long the last lines are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Wants to know when everything before it is written.
    Mark(SyncSender<()>),
}

/// A layer for spans.
pub(crate) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The log. When it is dropped, what was said before is written.
#[must_use]
pub(crate) struct Log(SyncSender<Message>);

/// Begins to log, as one line for each event: text, or a JSON object where the format is JSON. Only what
/// is wrong is told if the user wants quiet; with traces, each request and response too. Spans go to `spans`.
pub(crate) fn begin(output: Output, spans: Option<SpanLayer>) -> Log {
    let level = if output.traces {
        LevelFilter::DEBUG
    } else if output.quiet {
        LevelFilter::WARN
    } else {
        LevelFilter::INFO
    };
    // Other libraries log details that do not help users, and spans repeat their events.
    let is_told = filter_fn(move |what| {
        let is_detail = *what.level() > LevelFilter::INFO;
        *what.level() <= level
            && what.is_event()
            && (!is_detail || what.target().starts_with("tranship"))
    })
    .with_max_level_hint(level);
    let (sender, receiver) = sync_channel(WAITING);
    // Ends with the process: the subscriber has a sender for good.
    thread::spawn(move || write_out(&receiver));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(Lines(sender.clone()))
        .with_ansi(false);
    let log = if output.is_json() {
        log.json().flatten_event(true).boxed()
    } else {
        log.with_target(!output.traces).boxed()
    };
    let subscriber = tracing_subscriber::registry()
        .with(spans)
        .with(log.with_filter(is_told));
    // Nothing else in the program begins a log, and if something did it would be the same one.
    let _ = set_global_default(subscriber);
    Log(sender)
}

/// Writes lines as they come; those that wait already with one call of the system.
fn write_out(messages: &Receiver<Message>) {
    let mut lines = Vec::new();
    while let Ok(first) = messages.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => lines.extend(line),
                Message::Mark(written) => {
                    flush(&mut lines);
                    let _ = written.send(());
                }
            }
            next = (lines.len() < AT_ONCE)
                .then(|| messages.try_recv().ok())
                .flatten();
        }
        flush(&mut lines);
    }
}

fn flush(lines: &mut Vec<u8>) {
    // A log that nobody can read is no reason to fail.
    let _ = io::stderr().write_all(lines);
    lines.clear();
}

impl Drop for Log {
    fn drop(&mut self) {
        let (written, wait) = sync_channel(1);
        if self.0.try_send(Message::Mark(written)).is_ok() {
            let _ = wait.recv_timeout(PATIENCE);
        }
    }
}

/// Makes lines for the thread that writes them.
struct Lines(SyncSender<Message>);

struct Line {
    sender: SyncSender<Message>,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            sender: self.0.clone(),
            text: Vec::new(),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self
            .sender
            .try_send(Message::Line(std::mem::take(&mut self.text)));
    }
}
