//! `ocap trace`: who sent what to whom because of which delivery.

mod story;

use clap::Args;
use ocap_daemon::Home;
use ocap_types::KRef;
use serde_json::{Value, json};

use crate::background::call_running;
use crate::failure::Failure;
use crate::limits;
use crate::output::{self, say};
use crate::target;
use crate::terminal::{self, FAINT, styled};

use story::{Names, Story};

/// The arguments.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "options of a command line")]
pub(crate) struct Trace {
    /// Only what has to do with this object, promise or message (the promise for its result)
    #[arg(value_name = "KREF")]
    about: Option<String>,
    /// Messages from outside to show, with all that came of them; the latest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    last: usize,
    /// Show what happens from now on, as it happens
    #[arg(short, long, conflicts_with = "last")]
    follow: bool,
    /// Print the events as JSON, a line for each
    #[arg(long)]
    json: bool,
    /// Have the kernel note what happens, as it does when it starts
    #[arg(long, exclusive = true)]
    on: bool,
    /// Have the kernel note nothing
    #[arg(long, exclusive = true)]
    off: bool,
}

impl Trace {
    /// Shows what has happened lately.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        if self.on || self.off {
            call_running(home, "setTracing", &json!({ "on": self.on }), None)?;
            say(if self.on { "Tracing is on." } else { "Tracing is off." });
            return Ok(());
        }
        let about = self.about.as_deref().map(|text| target::resolve(home, text)).transpose()?;
        if self.follow {
            return follow(home, about, self.json);
        }
        let page = call_running(home, "trace", &json!({}), None)?;
        tell_if_off(&page);
        if self.json {
            for event in crate::status::items(&page, "events") {
                if about.is_none_or(|kref| mentions(event, kref)) {
                    output::result(&event.to_string())?;
                }
            }
            return Ok(());
        }
        let story = Story::read(&page["events"])?;
        let shown = story.tell(about, self.last, &Names::fetch(home)?, terminal::width());
        if shown.is_empty() {
            let about =
                about.map(|kref| format!(" that has to do with {kref}")).unwrap_or_default();
            return Ok(output::result(&format!("Nothing{about} is in the trace."))?);
        }
        Ok(output::result(shown.trim_end())?)
    }
}

fn tell_if_off(page: &Value) {
    if page["on"] == false {
        say("Tracing is off; `ocap trace --on` turns it on.");
    }
}

/// Whether an event names a reference.
fn mentions(event: &Value, kref: KRef) -> bool {
    let kref = kref.to_string();
    ["target", "result", "promise"].iter().any(|key| event[*key] == kref.as_str())
}

fn follow(home: &Home, about: Option<KRef>, as_json: bool) -> Result<(), Failure> {
    let mut names = Names::fetch(home)?;
    let beginning = call_running(home, "trace", &json!({"limit": 0, "after": u64::MAX}), None)?;
    tell_if_off(&beginning);
    let mut last = beginning["last"].as_u64().unwrap_or(0);
    loop {
        let page = call_running(home, "trace", &json!({ "after": last }), None)?;
        let first = page["first"].as_u64().unwrap_or(0);
        if first > last + 1 {
            say(&format!("{} events came too fast to be shown.", first - last - 1));
        }
        last = page["last"].as_u64().unwrap_or(last);
        for event in crate::status::items(&page, "events") {
            if about.is_some_and(|kref| !mentions(event, kref)) {
                continue;
            }
            let line =
                if as_json { event.to_string() } else { story::line(event, &mut names, home) };
            if !output::line(&line)? {
                return Ok(());
            }
        }
        std::thread::sleep(limits::TRACE_POLL);
    }
}

/// A time in microseconds since 1970, as a time of day.
fn clock(at_us: u64) -> String {
    let of_day = at_us / 1_000 % 86_400_000;
    let (hours, minutes) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (seconds, millis) = (of_day / 1_000 % 60, of_day % 1_000);
    styled(FAINT, &format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"))
}
