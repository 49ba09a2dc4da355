//! Log: what the box did lately, in its own words. Held in memory only.

use maud::{Markup, html};

use super::{Answer, Visit};
use crate::{admin::look::words, journal::Line};

/// Lines of one page and characters of one line: together below 30 KB.
const LINES: usize = 100;
const LINE_MAX: usize = 300;
const BYTES_MAX: usize = 18_000;
/// Lines looked through for those of a level.
const READ: usize = 2_000;

pub async fn show(visit: Visit<'_>) -> Answer {
    let least = Least::read(visit.query.text("level").unwrap_or_default());
    Answer::page("Log", draw(&visit.handles.journal.lines(READ), least))
}

/// The mildest level shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    Info,
    Warn,
    Error,
}

const LEASTS: [(Least, &str, &str); 3] = [
    (Least::Info, "info", "everything"),
    (Least::Warn, "warn", "warnings and errors"),
    (Least::Error, "error", "errors"),
];

impl Least {
    fn read(text: &str) -> Self {
        LEASTS
            .iter()
            .find(|(_, word, _)| *word == text)
            .map_or(Least::Info, |(least, ..)| *least)
    }

    fn wants(self, level: &str) -> bool {
        match self {
            Least::Info => true,
            Least::Warn => level != "info",
            Least::Error => level == "error",
        }
    }
}

pub fn draw(lines: &[Line], least: Least) -> Markup {
    let mut room = BYTES_MAX;
    let fits = |line: &&Line| {
        let bytes = words::weight(&words::short(&line.text, LINE_MAX)) + words::weight(&line.room) + 130;
        let fits = room >= bytes;
        room = room.saturating_sub(bytes);
        fits
    };
    let shown: Vec<&Line> = lines
        .iter()
        .filter(|line| least.wants(line.level))
        .take(LINES)
        .take_while(fits)
        .collect();
    html! {
        h1 { "Log" }
        p.lead { "What the box did lately, newest first. It is kept in memory only and is gone after a restart; it never says which pages anybody read." }
        p.sort {
            span.soft { "Show" }
            @for (one, word, words) in LEASTS {
                @if one == least { strong { (words) } } @else { a href=(format!("/log?level={word}")) { (words) } }
            }
        }
        @if shown.is_empty() {
            p { @if least == Least::Info { "Nothing was noted yet." } @else { "Nothing of this kind was noted: good." } }
        } @else {
            table.stack {
                caption { (words::count(shown.len() as u64, "line", "lines")) }
                thead { tr { th scope="col" { "Time" } th scope="col" { "Kind" } th scope="col" { "What happened" } } }
                tbody { @for line in &shown { (row(line)) } }
            }
        }
    }
}

fn row(line: &Line) -> Markup {
    html! {
        tr {
            td { (words::day(line.at)) " " (words::time(line.at)) }
            td { @match line.level {
                "error" => span.ill { "error" },
                "warn" => span.late { "warning" },
                _ => "info",
            } }
            td { (words::short(&line.text, LINE_MAX)) " " span.soft { (words::short(&line.room, 40)) } }
        }
    }
}
