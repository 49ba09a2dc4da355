//! `granary man` and `granary completions`: made from the same definitions as `--help`.

use std::io::{self, Write};

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::fault::Fault;

#[derive(clap::Args)]
pub struct CompletionArgs {
    /// The shell that completes
    #[arg(value_enum)]
    shell: Shell,
}

/// One page: the program, then each command's own page below it.
pub fn man() -> Result<(), Fault> {
    let render = || -> io::Result<Vec<u8>> {
        let mut page = Vec::new();
        let mut root = super::Cli::command();
        root.build();
        clap_mangen::Man::new(root.clone()).render(&mut page)?;
        for command in root.get_subcommands() {
            let mut part = Vec::new();
            clap_mangen::Man::new(command.clone()).render(&mut part)?;
            page.extend_from_slice(&part);
        }
        Ok(page)
    };
    let page = render().map_err(|err| Fault::refused(format!("render the man page: {err}")))?;
    print(&page)
}

pub fn completions(args: CompletionArgs) -> Result<(), Fault> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "granary", &mut text);
    debug_assert!(Shell::value_variants().contains(&args.shell));
    print(&text)
}

/// A closed pipe (`granary man | head`) is not our fault.
pub fn print(bytes: &[u8]) -> Result<(), Fault> {
    match io::stdout().write_all(bytes) {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => Err(Fault::refused(format!("print: {err}"))),
        _ => Ok(()),
    }
}
