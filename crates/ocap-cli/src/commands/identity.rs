//! `ocap identity`: who this kernel is to others, and how that is backed up.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ocap_daemon::Home;
use ocap_daemon::home::display;
use ocap_identity::Words;
use ocap_kernel::{ErrorKind, Identity, KernelError};
use ocap_types::Secret;
use zeroize::Zeroizing;

use crate::background::call_running;
use crate::failure::Failure;
use crate::limits;
use crate::output::{self, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct IdentityCommand {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print its peer id
    Show,
    /// Make one for a kernel that has not run yet, and print the words to write down
    New,
    /// Take one over from its words, or from the seed of one, for a kernel that has not run yet
    Import {
        /// Where the words are [default: standard input]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the words, or the seed if there are none; whoever has them is this kernel
    Export {
        /// Really
        #[arg(long)]
        force: bool,
        /// Print the seed in any case
        #[arg(long)]
        seed: bool,
    },
}

impl IdentityCommand {
    /// Does it; without a word, shows the identity.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        match self.command.unwrap_or(Command::Show) {
            Command::Show => show(home),
            Command::New => new(home),
            Command::Import { file } => import(home, file.as_deref()),
            Command::Export { force, seed } => export(home, force, seed),
        }
    }
}

fn show(home: &Home) -> Result<(), Failure> {
    let peer_id = if home.is_held() {
        let status = call_running(home, "getStatus", &serde_json::json!([]), None)?;
        status["remoteComms"]["peerId"].as_str().map(str::to_owned)
    } else {
        stored(home)?.map(|identity| identity.peer_id)
    };
    let peer_id = peer_id.ok_or_else(|| missing(home))?;
    Ok(output::result(&peer_id)?)
}

fn new(home: &Home) -> Result<(), Failure> {
    let words = Words::new().map_err(|error| Failure::new(error.to_string()))?;
    let identity = ocap_kernel::identity_of_words(&words);
    adopt(home, &identity)?;
    say(&format!("{} is {} from now on.", display(home.root()), identity.peer_id));
    say("These words are it. Write them down, and show them to nobody:");
    Ok(output::result(&words.text())?)
}

fn import(home: &Home, file: Option<&Path>) -> Result<(), Failure> {
    let mut text = Zeroizing::new(String::new());
    let max = limits::WORDS_BYTES_MAX;
    match file {
        Some(path) => std::fs::File::open(path)
            .and_then(|file| file.take(max).read_to_string(&mut text))
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
        None => std::io::stdin().lock().take(max).read_to_string(&mut text)?,
    };
    // Files and terminals end lines.
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        let place = file.map_or("standard input".to_owned(), |path| path.display().to_string());
        return Err(Failure::new(format!("there are no words in {place}")));
    }
    let identity = if let Some(seed) = Secret::from_hex(text) {
        ocap_kernel::identity_of_seed(seed).map_err(of_kernel)?
    } else {
        let words = Words::parse(text).map_err(|error| Failure::new(error.to_string()))?;
        ocap_kernel::identity_of_words(&words)
    };
    adopt(home, &identity)?;
    say(&format!("{} is {} from now on.", display(home.root()), identity.peer_id));
    Ok(())
}

fn export(home: &Home, force: bool, seed: bool) -> Result<(), Failure> {
    if !force {
        let message = "whoever sees what this prints can be this kernel to others; add --force";
        return Err(Failure::new(message));
    }
    let identity = stored(home)?.ok_or_else(|| missing(home))?;
    match &identity.entropy {
        Some(entropy) if !seed => {
            let words = Words::from_entropy(entropy);
            let words = words.map_err(|error| Failure::new(error.to_string()))?;
            Ok(output::result(&words.text())?)
        }
        _ => Ok(output::result(&identity.seed.expose_hex())?),
    }
}

/// The identity on disk.
fn stored(home: &Home) -> Result<Option<Identity>, Failure> {
    if !home.database().exists() {
        return Ok(None);
    }
    ocap_kernel::identity_of(&home.database()).map_err(of_kernel)
}

fn adopt(home: &Home, identity: &Identity) -> Result<(), Failure> {
    home.prepare()?;
    let _lock = home.lock()?;
    ocap_kernel::adopt_identity(&home.database(), identity).map_err(|error| match error.kind {
        ErrorKind::Invalid => Failure::new(format!(
            "Cannot use mnemonic: kernel identity already exists in {}. What other kernels know \
             would mean somebody else; `ocap daemon purge` deletes it with all state",
            display(home.root())
        )),
        _ => of_kernel(error),
    })
}

fn missing(home: &Home) -> Failure {
    Failure::new(format!(
        "{} has no identity yet: its kernel makes one when it first starts, or `ocap identity new` \
         now",
        display(home.root())
    ))
}

fn of_kernel(error: KernelError) -> Failure {
    match error.kind {
        ErrorKind::Busy => Failure::new(format!("{} (`ocap daemon stop` ends it)", error.message)),
        _ => Failure::new(error.message),
    }
}
