//! The journal: the last lines of the log, in memory, for the Log page. Nothing of it is written to a disk by us.
//!
//! Whatever strangers sent stands in it as one line of visible characters. Must not know: any room.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde::Serialize;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// Lines kept. More: a longer look back, and memory. Fewer: a night's trouble is gone by the morning.
const LINES_MAX: usize = 1000;
/// All lines together; the oldest go first.
const BYTES_MAX: usize = 256 << 10;
/// A longer line is cut.
const LINE_BYTES_MAX: usize = 600;
/// From this length on, letters and digits without a break may be a key or a token: only their beginning is kept.
const SECRET_CHARS: usize = 43;
const SECRET_CHARS_SHOWN: usize = 8;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Line {
    /// Unix seconds.
    pub at: u64,
    /// `error`, `warn` or `info`.
    pub level: &'static str,
    /// Which room spoke.
    pub room: String,
    pub text: String,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Journal {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// Oldest first.
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Journal {
    /// The one that logging writes to.
    pub fn global() -> Journal {
        static GLOBAL: OnceLock<Journal> = OnceLock::new();
        GLOBAL.get_or_init(Journal::default).clone()
    }

    /// Newest first, at most `max`.
    pub fn lines(&self, max: usize) -> Vec<Line> {
        self.lock().lines.iter().rev().take(max).cloned().collect()
    }

    /// What writes to it: our own lines at info and above, whatever the filter of the log lets through. `now`: Unix seconds.
    pub fn layer<S>(&self, now: impl Fn() -> u64 + Send + Sync + 'static) -> impl Layer<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        Writer {
            journal: self.clone(),
            now,
        }
        .with_filter(Ours)
    }

    fn push(&self, line: Line) {
        let mut kept = self.lock();
        kept.bytes += line.text.len();
        kept.lines.push_back(line);
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else {
                return;
            };
            kept.bytes -= oldest.text.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only what we say ourselves: the fetch engine names what the household opens.
struct Ours;

impl<S> Filter<S> for Ours {
    fn enabled(&self, meta: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        ours(meta)
    }

    // Asked once per line of the source, so that what is not kept costs nothing.
    fn callsite_enabled(&self, meta: &'static Metadata<'static>) -> Interest {
        match ours(meta) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

fn ours(meta: &Metadata<'_>) -> bool {
    meta.is_event() && *meta.level() <= Level::INFO && meta.target().starts_with("granary")
}

struct Writer<N> {
    journal: Journal,
    now: N,
}

impl<S: Subscriber, N: Fn() -> u64 + Send + Sync + 'static> Layer<S> for Writer<N> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let mut words = Words::default();
        event.record(&mut words);
        let room = words.room.unwrap_or_else(|| room_of(meta.target()).into());
        let mut text = Text::default();
        // Writing to our own text never fails; what does not fit is left out.
        let _ = write!(text, "{}{}", words.message, words.fields);
        self.journal.push(Line {
            at: (self.now)(),
            level: match *meta.level() {
                Level::ERROR => "error",
                Level::WARN => "warn",
                _ => "info",
            },
            room,
            text: text.end(),
        });
    }
}

/// `granary::swarm::find` → `swarm`; `granary_store::scrub` → `store`.
fn room_of(target: &str) -> &str {
    let mut parts = target.split("::");
    let krate = parts.next().unwrap_or_default();
    match krate.strip_prefix("granary_") {
        Some(room) => room,
        None => parts.next().unwrap_or("house"),
    }
}

/// What an event says: its message, then its fields as `name=value`. Bounded while it is written.
#[derive(Default)]
struct Words {
    message: Bounded,
    fields: Bounded,
    room: Option<String>,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => drop(write!(self.message, "{value}")),
            "room" => {
                let mut room = Text::default();
                let _ = room.write_str(value);
                self.room = Some(room.end());
            }
            SECRET => {}
            name => drop(write!(self.fields, " {name}={value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => drop(write!(self.message, "{value:?}")),
            SECRET => {}
            name => drop(write!(self.fields, " {name}={value:?}")),
        }
    }
}

/// The claim's number is for who stands before the box, not for a page.
const SECRET: &str = "pin";

/// Takes what fits and says no to the rest, so that a long value is not formatted to its end.
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_BYTES_MAX.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of visible characters.
#[derive(Default)]
struct Text {
    line: String,
    /// Where the present run of letters and digits began.
    run: usize,
}

impl Text {
    fn end(mut self) -> String {
        self.close_run();
        let whole = self.line.len();
        self.line.truncate(self.line.floor_char_boundary(LINE_BYTES_MAX));
        if self.line.len() < whole {
            self.line.push('…');
        }
        self.line
    }

    fn close_run(&mut self) {
        if self.line.len() - self.run >= SECRET_CHARS {
            self.line.truncate(self.run + SECRET_CHARS_SHOWN);
            self.line.push('…');
        }
        self.run = self.line.len();
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+') && self.run < self.line.len() {
                self.line.push(c);
                continue;
            }
            self.close_run();
            match c {
                c if c.is_control() => self.line.extend(c.escape_default()),
                // They turn the reading direction of what follows, or hide: a file name could lie with them.
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                    self.line.extend(c.escape_unicode());
                }
                c => self.line.push(c),
            }
            self.run = self.line.len();
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
