//! `fuzz TARGET SECONDS [SEED]` mutates input for one parser (`all`: for each in turn), `fuzz corpus` runs the hostile
//! corpus and prints its figures, `fuzz write FOLDER` writes its cases as files for other programs to read, `fuzz list`
//! prints the targets.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use harness::{
    fuzz::{self, TARGETS, Target},
    hostile,
};

fn main() -> anyhow::Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => TARGETS.iter().for_each(|target| println!("{}", target.name)),
        ["corpus"] => return corpus(),
        ["write", folder] => write(Path::new(folder))?,
        [name, secs] => return run(name, secs, "1"),
        [name, secs, seed] => return run(name, secs, seed),
        _ => bail!("usage: fuzz TARGET|all SECONDS [SEED] | fuzz corpus | fuzz write FOLDER | fuzz list"),
    }
    Ok(ExitCode::SUCCESS)
}

fn run(name: &str, secs: &str, seed: &str) -> anyhow::Result<ExitCode> {
    let time = Duration::from_secs_f64(secs.parse().context("SECONDS is a number")?);
    let seed: u64 = seed.parse().context("SEED is a number")?;
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|t| name == "all" || t.name == name)
        .collect();
    if chosen.is_empty() {
        bail!("no target is called {name}; `fuzz list` names them");
    }
    for target in chosen {
        match fuzz::run(target, seed, time) {
            Ok(report) => println!(
                "{}: {} runs, {} kinds of answers, slowest {:?}",
                target.name, report.runs, report.answers, report.slowest
            ),
            Err(failure) => {
                let file = std::env::temp_dir().join(format!("fuzz-{}-{seed}.bin", target.name));
                std::fs::write(&file, &failure.input)?;
                println!(
                    "{}: {}\ninput ({}): {}",
                    target.name,
                    failure.what,
                    file.display(),
                    failure.input.escape_ascii()
                );
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `0042-refused.torrent` and so on; `cases.txt` says what each is.
fn write(folder: &Path) -> anyhow::Result<()> {
    let mut names = String::new();
    for (number, case) in hostile::all().enumerate() {
        let expect = format!("{:?}", case.expect).to_lowercase();
        let file = format!("{number:04}-{expect}.torrent");
        std::fs::write(folder.join(&file), case.bytes())?;
        names.push_str(&format!("{file} {}\n", case.name));
    }
    std::fs::write(folder.join("cases.txt"), names)?;
    Ok(())
}

/// Processor time of this thread: the machine may be busy with other things.
fn busy() -> anyhow::Result<Duration> {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").context("this runs on Linux")?;
    let nanos = figures.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(
        nanos.parse().context("the first figure is nanoseconds")?,
    ))
}

/// One line of figures that the test reads: a process of its own, so that its peak of memory is the corpus's.
fn corpus() -> anyhow::Result<ExitCode> {
    let (mut cases, mut wrong, mut slowest) = (0, 0, (Duration::ZERO, String::new()));
    for case in hostile::all() {
        let bytes = case.bytes();
        let start = busy()?;
        let read = proto::metainfo::verdict(&bytes);
        let took = busy()?.saturating_sub(start);
        drop(read);
        let result = case.check(&bytes);
        cases += 1;
        if took > slowest.0 {
            slowest = (took, case.name.clone());
        }
        if let Err(what) = result {
            wrong += 1;
            println!("{}: {what}", case.name);
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").context("this runs on Linux")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("unknown")
        .trim();
    println!(
        "{cases} cases, {wrong} wrong, slowest {} ms ({}), peak memory {peak}",
        slowest.0.as_millis(),
        slowest.1
    );
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
