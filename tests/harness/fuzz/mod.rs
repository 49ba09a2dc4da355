//! Seeded mutation of good and hostile input against every parser of ours, on the stable compiler.
//!
//! libFuzzer needs nightly instrumentation; this does without: a mutant that makes a parser answer in a way not seen
//! before (another message, another shape of value) joins the corpus, which leads the search nearly as well through
//! parsers whose every branch has its own error. A panic, a broken promise or an answer later than [`HANG`] ends the
//! run and leaves the input in a file.
//!
//! Reading order: this file, `targets` (one line per parser; add yours there), `mutate`.

mod mutate;
mod targets;

use std::{
    collections::HashSet,
    fmt::{self, Debug, Write},
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub use targets::TARGETS;

/// An input may keep a parser busy for this long; unoptimised builds on a loaded machine included.
pub const HANG: Duration = Duration::from_secs(5);

/// Most inputs remembered because they were answered in a new way.
const CORPUS_MAX: usize = 4_096;

/// One parser and the input to begin with.
pub struct Target {
    pub name: &'static str,
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Runs the parser, panics when it breaks a promise, and says what came out; see [`seen`].
    pub run: fn(&[u8]) -> u64,
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    pub runs: u64,
    /// Different answers seen.
    pub answers: usize,
    pub slowest: Duration,
}

/// What went wrong, and the input that shows it.
#[derive(Debug)]
pub struct Failure {
    pub what: String,
    pub input: Vec<u8>,
}

/// The shape of a parser's answer: the beginning of what `Debug` writes, with only the names of types and variants and
/// the marks between them, so that two addresses with other letters count as the same answer.
pub fn seen(answer: &impl Debug) -> u64 {
    let mut shape = Shape {
        hasher: DefaultHasher::new(),
        left: 96,
        before: ' ',
        kept: false,
        quoted: false,
        escaped: false,
    };
    // An error only says that the beginning is complete.
    let _ = write!(shape, "{answer:?}");
    shape.hasher.finish()
}

struct Shape {
    hasher: DefaultHasher,
    left: usize,
    before: char,
    /// The word being read began with a capital.
    kept: bool,
    quoted: bool,
    escaped: bool,
}

impl Write for Shape {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            self.quoted ^= letter == '"' && !self.escaped;
            self.escaped = letter == '\\' && !self.escaped;
            if !self.before.is_alphanumeric() {
                self.kept = letter.is_ascii_uppercase();
            }
            self.before = letter;
            if self.quoted {
                continue;
            }
            if self.kept && letter.is_alphanumeric() || "([{,".contains(letter) {
                letter.hash(&mut self.hasher);
                self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            }
        }
        Ok(())
    }
}

/// Runs `target` for `time`. The same seed gives the same mutants.
pub fn run(target: &Target, seed: u64, time: Duration) -> Result<Report, Failure> {
    let watch = Watch::start(target.name);
    let mut corpus = (target.seeds)();
    let mut mutate = mutate::Mutator::new(seed);
    let (mut answers, mut runs, mut slowest) = (HashSet::new(), 0, Duration::ZERO);
    for input in &corpus {
        answers.insert(once(target, input, &watch)?.0);
    }
    let start = Instant::now();
    while start.elapsed() < time {
        let input = mutate.mutant(&corpus);
        let (answer, took) = once(target, &input, &watch)?;
        slowest = slowest.max(took);
        runs += 1;
        if answers.insert(answer) && corpus.len() < CORPUS_MAX {
            corpus.push(input);
        }
    }
    Ok(Report {
        runs,
        answers: answers.len(),
        slowest,
    })
}

fn once(target: &Target, input: &[u8], watch: &Watch) -> Result<(u64, Duration), Failure> {
    let start = Instant::now();
    watch.set(Some((start, input.to_vec())));
    let answer = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    watch.set(None);
    let took = start.elapsed();
    let failed = |what| Failure {
        what,
        input: input.to_vec(),
    };
    match answer {
        Ok(_) if took > HANG => Err(failed(format!("took {took:?}"))),
        Ok(answer) => Ok((answer, took)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            Err(failed(format!("panicked: {}", text.unwrap_or_default())))
        }
    }
}

/// The input being run and since when.
type Current = Option<(Instant, Vec<u8>)>;

/// Ends the process with the input printed when an answer never comes, which no code on the same thread could.
struct Watch {
    current: Arc<Mutex<Current>>,
    done: Arc<AtomicBool>,
}

impl Watch {
    fn start(name: &'static str) -> Self {
        let watch = Watch {
            current: Arc::default(),
            done: Arc::default(),
        };
        let (current, done) = (watch.current.clone(), watch.done.clone());
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(HANG / 5);
                let held = current.lock().expect("nobody panics while holding it");
                if let Some((since, input)) = held.as_ref().filter(|(since, _)| since.elapsed() > HANG * 2) {
                    let shown = input.escape_ascii();
                    eprintln!("{name} has not answered for {:?}: {shown}", since.elapsed());
                    std::process::exit(1);
                }
            }
        });
        watch
    }

    fn set(&self, current: Current) {
        *self.current.lock().expect("nobody panics while holding it") = current;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}
