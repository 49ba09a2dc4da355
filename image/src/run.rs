//! Foreign programs: started with a deadline, and what they said is told when they do not end well.

use std::{
    ffi::OsStr,
    process::{Command, Output},
};

use anyhow::{Context, Result, bail};

/// Longer than any step of a build takes on two busy cores.
const DEADLINE_SECS: u32 = 3600;
/// Of what a program complained, the end.
const TOLD_MAX: usize = 2000;

/// A command that is ended when it takes for ever. The time zone is fixed because FAT keeps local time, the language because
/// messages are compared.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", &DEADLINE_SECS.to_string()]).arg(program);
    command
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        // mkfs.vfat, sfdisk and mke2fs live there, and an ordinary user's PATH leaves it out.
        .env("PATH", SEARCH);
    command
}

const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs it to its end; gives what it printed.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .output()
        .with_context(|| format!("start {}", shown(command)))?;
    judge(command, &output)?;
    Ok(output.stdout)
}

/// What it printed, as text.
pub fn text(command: &mut Command) -> Result<String> {
    let bytes = run(command)?;
    String::from_utf8(bytes).with_context(|| format!("{} printed no text", shown(command)))
}

/// Runs it with its words going to the terminal, because it takes long.
pub fn watch(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!(
            "{} ended with {status}; what it said stands above",
            shown(command)
        );
    }
    Ok(())
}

fn judge(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let from = said
        .char_indices()
        .rev()
        .nth(TOLD_MAX)
        .map_or(0, |(index, _)| index);
    // 127: `timeout` did not find the program.
    if output.status.code() == Some(127) {
        bail!(
            "{} is not on this machine; `tests/setup.sh image` installs what building a card needs",
            name(command)
        );
    }
    bail!(
        "{} ended with {}: {}",
        shown(command),
        output.status,
        said[from..].trim()
    )
}

/// The program behind `timeout -k 5 SECS`.
fn name(command: &Command) -> String {
    let word = command.get_args().nth(3).unwrap_or(command.get_program());
    word.to_string_lossy().into_owned()
}

fn shown(command: &Command) -> String {
    let words = command.get_args().skip(3).take(6);
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_complained_of_is_told() {
        let err = run(command("sh").args(["-c", "echo no room >&2; exit 3"])).expect_err("it exits 3");
        assert!(err.to_string().contains("no room"), "{err}");
    }

    #[test]
    fn a_missing_program_names_what_installs_it() {
        let err = run(&mut command("granary-no-such-program")).expect_err("it is not there");
        assert!(err.to_string().contains("tests/setup.sh image"), "{err}");
    }
}
