//! `ocap matcher`: the matcher of a home, of which there is one.
//!
//! Its code comes with this binary. It is written into the home when the matcher is launched, because
//! the kernel reads code from files; from then on the kernel has a copy of its own.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Instant;

use clap::{Args, Subcommand};
use ocap_daemon::Home;
use serde_json::{Value, json};

use crate::args::Cage;
use crate::background::{call_running, ensure_running};
use crate::failure::Failure;
use crate::limits;
use crate::output::{self, printable, say};

/// The name of its cluster.
const NAME: &str = "matcher";

/// Where a bridge to a language model finds it, in the home.
pub(crate) const SOCKET: &str = "matcher-llm.sock";

/// The code, by file.
const SOURCES: &[(&str, &str)] = &[
    ("bridge.js", include_str!("../../../../vats/matcher/bridge.js")),
    ("caretaker.js", include_str!("../../../../vats/matcher/caretaker.js")),
    (ENTRY, include_str!("../../../../vats/matcher/matcher.js")),
    ("rank.js", include_str!("../../../../vats/matcher/rank.js")),
    ("registrar.js", include_str!("../../../../vats/matcher/registrar.js")),
    ("registry.js", include_str!("../../../../vats/matcher/registry.js")),
    ("time.js", include_str!("../../../../vats/matcher/time.js")),
];
const ENTRY: &str = "matcher.js";

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Matcher {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Launch it, or find the one there is, and print its URL; starts the kernel if needed
    Start,
    /// Show how it is: its URL, how many services it knows, and whether a bridge is connected
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End it for good, with its registry and its URL
    Stop {
        /// Really
        #[arg(long)]
        force: bool,
    },
}

/// The matcher's cluster, as the kernel knows it.
struct Found {
    id: String,
    root: String,
    /// What keeps it from answering, if something does, and what to do about it.
    trouble: Option<String>,
}

impl Matcher {
    /// Does it.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        match self.command {
            Command::Start => start(home),
            Command::Status { json } => status(home, json),
            Command::Stop { force } => stop(home, force),
        }
    }
}

fn start(home: &Home) -> Result<(), Failure> {
    ensure_running(home, Cage::default())?;
    let found = match find(home)? {
        Some(found) => {
            say(&format!("The matcher is {} already.", found.id));
            found
        }
        None => launch(home)?,
    };
    // Somebody else may be launching it at this moment.
    let deadline = Instant::now() + limits::MATCHER_TIME_MAX;
    loop {
        let url = ask(home, &found, "getMatcherUrl")?;
        if let Some(url) = url.as_str().filter(|url| url.starts_with("ocap:")) {
            return Ok(output::result(url)?);
        }
        if Instant::now() >= deadline {
            let problem = "the matcher has no URL yet: it is being launched; try again in a moment";
            return Err(Failure::new(problem));
        }
        sleep(limits::START_POLL);
    }
}

fn status(home: &Home, json: bool) -> Result<(), Failure> {
    let found = find(home)?.ok_or_else(absent)?;
    let url = ask(home, &found, "getMatcherUrl")?;
    let state = ask(home, &found, "getStatus")?;
    let socket = home.root().join(SOCKET);
    if json {
        let shown = json!({
            "subclusterId": found.id, "rootKref": found.root, "matcherUrl": url,
            "services": state["services"], "bridge": state["bridge"], "socket": socket,
        });
        return Ok(output::json(&shown)?);
    }
    let bridge = match state["bridge"].as_str() {
        Some("ready") => "connected",
        Some("telling") => "connected, and being told of the services",
        _ => "not connected; services are found by comparing words (see `ocap llm-bridge`)",
    };
    output::result(&format!("matcher   {} (root {})", found.id, found.root))?;
    output::result(&format!("URL       {}", printable(url.as_str().unwrap_or("none yet"))))?;
    output::result(&format!("services  {}", state["services"]))?;
    output::result(&format!("bridge    {bridge}"))?;
    Ok(output::result(&format!("socket    {}", socket.display()))?)
}

fn stop(home: &Home, force: bool) -> Result<(), Failure> {
    let found = find(home)?.ok_or_else(absent)?;
    if !force {
        return Err(Failure::new(
            "this ends the matcher for good, with its registry and its URL; add --force. \
             (`ocap daemon stop` keeps both.)",
        ));
    }
    call_running(home, "terminateSubcluster", &json!({ "id": found.id }), None)?;
    say("The matcher has ended.");
    Ok(())
}

fn absent() -> Failure {
    Failure::new("there is no matcher; `ocap matcher start` launches one")
}

fn find(home: &Home) -> Result<Option<Found>, Failure> {
    let status = call_running(home, "getStatus", &json!([]), None)?;
    let list = |key: &str| status[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let matcher = |cluster: &Value| {
        let is_system = cluster["system"].as_bool().unwrap_or(false);
        !is_system && cluster["name"] == NAME
    };
    let Some(cluster) = list("subclusters").into_iter().find(matcher) else { return Ok(None) };
    let id = text(&cluster["id"]);
    let trouble = list("vats")
        .into_iter()
        .filter(|vat| vat["subclusterId"] == cluster["id"])
        .find(|vat| matches!(vat["state"].as_str(), Some("failed" | "suspended")))
        .map(|vat| {
            let state = if vat["state"] == "failed" { "has failed" } else { "is suspended" };
            let (id, reason) = (text(&vat["id"]), text(&vat["reason"]));
            format!(
                "vat {id} {state}: {reason}\nIts state is kept; `ocap daemon exec restartVat \
                 '{{\"id\":\"{id}\"}}'` starts it again."
            )
        });
    Ok(Some(Found { id, root: text(&cluster["rootKref"]), trouble }))
}

/// A message to the root of the matcher.
fn ask(home: &Home, found: &Found, method: &str) -> Result<Value, Failure> {
    if let Some(trouble) = &found.trouble {
        let trouble = printable(trouble);
        return Err(Failure::new(format!("the matcher does not run: {trouble}")));
    }
    let params = json!([found.root, method, []]);
    let answer = call_running(home, "queueMessage", &params, Some(limits::MATCHER_TIME_MAX))?;
    let body = answer["body"].as_str().and_then(|body| body.strip_prefix('#')).unwrap_or("null");
    serde_json::from_str(body)
        .map_err(|error| Failure::new(format!("the matcher's answer is not understood: {error}")))
}

fn launch(home: &Home) -> Result<Found, Failure> {
    let entry = write_sources(&home.shipped().join(NAME))?;
    let config = json!({
        "name": NAME,
        "bootstrap": NAME,
        "services": ["ocapURLIssuerService", "ocapURLRedemptionService", "timer"],
        "io": {"llm": {"type": "socket", "path": SOCKET, "clients": "many"}},
        "vats": {NAME: {
            "sourceSpec": entry,
            "globals": ["crypto", "setTimeout", "clearTimeout"],
        }},
    });
    say("Launching the matcher...");
    let launched = call_running(home, "launchSubcluster", &json!({ "config": config }), None);
    // Somebody else may have been faster, and then theirs is as good as ours.
    match (launched, find(home)?) {
        (_, Some(found)) => Ok(found),
        (Err(failure), None) => Err(failure),
        (Ok(_), None) => Err(absent()),
    }
}

/// Writes the code into a folder; the path of the entry.
fn write_sources(folder: &Path) -> Result<PathBuf, Failure> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for (name, text) in SOURCES {
        // Renamed into place, so that nobody ever reads half a file.
        let path = folder.join(name);
        let beside = folder.join(format!(".{name}.{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&beside, &path)?;
    }
    Ok(folder.join(ENTRY))
}
