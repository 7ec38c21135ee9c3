//! `ocap man`.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man as Page;

use crate::failure::Failure;
use crate::output::{self, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command [default: ocap itself]
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    dir: Option<PathBuf>,
}

impl Man {
    /// Prints a manual page, or writes all of them.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let mut root = crate::help::definition();
        root.build();
        if let Some(dir) = self.dir {
            std::fs::create_dir_all(&dir)?;
            let count = write_all(&root, "ocap", &dir)?;
            say(&format!("Wrote {count} pages to {}.", dir.display()));
            return Ok(());
        }
        let mut command = &root;
        let mut name = "ocap".to_owned();
        for word in &self.words {
            let known = command.get_subcommands();
            let found = command.find_subcommand(word).filter(|command| !command.is_hide_set());
            command = found.ok_or_else(|| {
                let names = known.filter(|c| !c.is_hide_set()).map(Command::get_name);
                let meant = crate::suggestion::did_you_mean(word, names);
                Failure::new(format!("`{name}` has no command {word}{meant}"))
            })?;
            name = format!("{name} {}", command.get_name());
        }
        Ok(output::bytes(&page(command)?)?)
    }
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let source = concat!("ocap ", env!("CARGO_PKG_VERSION"));
    Page::new(command.clone()).source(source).render(&mut page)?;
    Ok(page)
}

/// The page of a command and those of its own commands.
fn write_all(command: &Command, name: &str, dir: &Path) -> Result<usize, Failure> {
    std::fs::write(dir.join(format!("{name}.1")), page(command)?)?;
    let mut count = 1;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        if inner.get_name() != "help" {
            count += write_all(inner, &format!("{name}-{}", inner.get_name()), dir)?;
        }
    }
    Ok(count)
}
