//! `ocap top`: what vats do right now.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use clap::Args;
use ocap_daemon::Home;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use serde_json::Value;

use crate::failure::Failure;
use crate::output;
use crate::quantity;
use crate::status::{self, cluster_name, items, text};
use crate::table::{Cell, Table, cut, cut_styled};
use crate::terminal::{self, FAINT, HEADING, styled};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Look for one interval, print what was seen, and end
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "S", default_value = "1", value_parser = crate::args::seconds)]
    interval: Duration,
}

impl Top {
    /// Shows vats, the busiest first, until q is pressed.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let mut before = Look::at(home)?;
        if self.once {
            std::thread::sleep(self.interval);
            let now = Look::at(home)?;
            return Ok(output::result(view(&before, &now, terminal::size()).trim_end())?);
        }
        if terminal::size().is_none() || !std::io::stdin().is_terminal() {
            let text = "`ocap top` needs a terminal; `ocap top --once` prints one look";
            return Err(Failure::new(text));
        }
        let screen = Screen::open()?;
        let mut now = Look::at(home)?;
        loop {
            screen.show(&view(&before, &now, terminal::size()))?;
            if Screen::is_left_within(self.interval)? {
                return Ok(());
            }
            before = std::mem::replace(&mut now, Look::at(home)?);
        }
    }
}

/// What the kernel said at a moment.
struct Look {
    at: Instant,
    status: Value,
}

impl Look {
    fn at(home: &Home) -> Result<Look, Failure> {
        Ok(Look { status: status::fetch(home)?, at: Instant::now() })
    }
}

/// What a vat did between two looks, by the second where it is a rate.
struct Doings {
    row: [Cell; 10],
    cpu_us: u64,
    cranks: u64,
}

fn view(before: &Look, now: &Look, size: Option<(usize, usize)>) -> String {
    let passed = now.at.saturating_duration_since(before.at);
    let micros = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX).max(1);
    let earlier: BTreeMap<(String, String), &Value> =
        items(&before.status, "vats").iter().map(|vat| (life(vat), &vat["usage"])).collect();
    let mut doings: Vec<Doings> = items(&now.status, "vats")
        .iter()
        .map(|vat| doings(&now.status, vat, earlier.get(&life(vat)).copied(), micros))
        .collect();
    doings.sort_by_key(|doing| std::cmp::Reverse((doing.cpu_us, doing.cranks)));
    let sum = |of: fn(&Doings) -> u64| doings.iter().map(of).sum::<u64>();
    let plural = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    let head = format!(
        "{} in {}: {} cranks/s, CPU {}",
        plural(doings.len(), "vat"),
        plural(items(&now.status, "subclusters").len(), "cluster"),
        per_second(sum(|doing| doing.cranks), micros),
        share(sum(|doing| doing.cpu_us), micros),
    );
    let (width, lines) = size.unzip();
    let head = width.map_or(head.clone(), |width| cut(&head, width));
    let mut table = Table::new(&[
        "VAT", "NAME", "CLUSTER", "STATE", "CRANKS/S", "CPU", "HEAP", "QUEUE", "IN/S", "OUT/S",
    ]);
    // Besides the vats: the head, an empty line, headings, a remark, and the cursor.
    let room = lines.map_or(usize::MAX, |lines| lines.saturating_sub(5).max(1));
    let is_empty = doings.is_empty();
    let left_out = doings.len().saturating_sub(room);
    for doing in doings.into_iter().take(room) {
        table.row(doing.row);
    }
    let head = styled(HEADING, &head);
    if is_empty {
        return format!("{head}\n\n{}\n", super::vats::NONE);
    }
    let mut rows = table.render(width);
    if let Some(width) = width {
        // Where not even cut columns fit: a line that went on in the next would spoil the picture.
        rows = rows.lines().map(|line| cut_styled(line, width) + "\n").collect();
    }
    let mut text = format!("{head}\n\n{rows}");
    if left_out > 0 {
        text.push_str(&styled(FAINT, &format!("and {left_out} more, which did less")));
        text.push('\n');
    }
    text
}

/// A vat's counts begin anew with its kernel, not with its incarnation; a number that goes back is
/// another kernel's.
fn life(vat: &Value) -> (String, String) {
    (text(vat, "id"), text(vat, "name"))
}

fn doings(status: &Value, vat: &Value, earlier: Option<&Value>, micros: u64) -> Doings {
    let usage = &vat["usage"];
    let grown = |key: &str| {
        let now = usage[key].as_u64().unwrap_or(0);
        let before = earlier.and_then(|usage| usage[key].as_u64()).unwrap_or(now);
        now.checked_sub(before).unwrap_or(now)
    };
    let (cranks, cpu_us) = (grown("cranks"), grown("cpuUs"));
    let row = [
        text(vat, "id").into(),
        text(vat, "name").into(),
        cluster_name(status, &vat["subclusterId"]).into(),
        Cell::state(text(vat, "state")),
        Cell::number(per_second(cranks, micros)),
        Cell::number(share(cpu_us, micros)),
        Cell::number(quantity::bytes(usage["heapBytes"].as_u64().unwrap_or(0))),
        Cell::number(vat["queued"].as_u64().unwrap_or(0)),
        Cell::number(per_second(grown("messagesIn"), micros)),
        Cell::number(per_second(grown("messagesOut"), micros)),
    ];
    Doings { row, cpu_us, cranks }
}

fn per_second(count: u64, micros: u64) -> u64 {
    count.saturating_mul(1_000_000).saturating_add(micros / 2) / micros
}

fn share(cpu_us: u64, micros: u64) -> String {
    let tenths = cpu_us.saturating_mul(1_000) / micros;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// The terminal, with a picture of ours in place of what was there.
struct Screen {
    before: Termios,
}

impl Screen {
    fn open() -> Result<Screen, Failure> {
        let before = tcgetattr(std::io::stdin()).map_err(std::io::Error::from)?;
        let mut ours = before.clone();
        // Keys come one by one, unseen, Ctrl-C among them: what was there has to be put back.
        ours.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        ours.special_codes[SpecialCodeIndex::VMIN] = 0;
        ours.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(std::io::stdin(), OptionalActions::Now, &ours).map_err(std::io::Error::from)?;
        let screen = Screen { before };
        // Another page, and no cursor on it.
        screen.write("\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let Screen { before: _ } = self;
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Draws over the picture before, so that nothing flickers.
    fn show(&self, text: &str) -> std::io::Result<()> {
        let mut picture = String::from("\x1b[H");
        let plain =
            anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never;
        for line in text.lines() {
            if plain {
                picture.extend(anstream::adapter::strip_str(line));
            } else {
                picture.push_str(line);
            }
            picture.push_str("\x1b[K\r\n");
        }
        picture.push_str("\x1b[J");
        let hint = styled(FAINT, "q quits");
        if plain {
            picture.extend(anstream::adapter::strip_str(&hint));
        } else {
            picture.push_str(&hint);
        }
        self.write(&picture)
    }

    /// Waits; whether somebody pressed q, Ctrl-C, Ctrl-D or Escape meanwhile, or is gone.
    fn is_left_within(time: Duration) -> Result<bool, Failure> {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let mut stdin = std::io::stdin().lock();
            let mut asked = [PollFd::new(&stdin, PollFlags::IN)];
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut asked, Some(&timeout)) {
                // The window has another size.
                Err(rustix::io::Errno::INTR) | Ok(0) => return Ok(false),
                Err(error) => return Err(std::io::Error::from(error).into()),
                Ok(_) => {}
            }
            let mut keys = [0; 64];
            let count = stdin.read(&mut keys)?;
            let leaves = |key: &u8| matches!(key, b'q' | b'Q' | 3 | 4 | 27);
            if count == 0 || keys[..count].iter().any(leaves) {
                return Ok(true);
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.write("\x1b[?25h\x1b[?1049l");
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(at: Instant, vats: &[(&str, u64, u64)]) -> Look {
        let vats: Vec<Value> = vats
            .iter()
            .map(|(id, cranks, cpu)| {
                json!({"id": id, "name": "a", "subclusterId": "s1", "state": "running",
                    "queued": 3, "usage": {"cranks": cranks, "cpuUs": cpu, "heapBytes": 1_048_576,
                    "messagesIn": cranks, "messagesOut": 0}})
            })
            .collect();
        let status = json!({"vats": vats, "subclusters": [{"id": "s1", "name": "mine"}]});
        Look { at, status }
    }

    #[test]
    fn the_busiest_comes_first_and_rates_are_per_second() {
        let start = Instant::now();
        let before = look(start, &[("v1", 100, 5_000), ("v2", 0, 0)]);
        let later = start + Duration::from_secs(2);
        // v3 is new, and its past does not count.
        let now = look(later, &[("v1", 120, 6_000), ("v2", 3_000, 1_000_000), ("v3", 9, 9)]);
        let shown = view(&before, &now, None);
        insta::assert_snapshot!(anstream::adapter::strip_str(&shown).to_string());
    }

    #[test]
    fn a_small_window_shows_the_busiest() {
        let start = Instant::now();
        let vats: Vec<(String, u64)> = (1..=30).map(|n| (format!("v{n}"), n)).collect();
        let counts: Vec<(&str, u64, u64)> =
            vats.iter().map(|(id, n)| (id.as_str(), *n, *n)).collect();
        let none: Vec<(&str, u64, u64)> = vats.iter().map(|(id, _)| (id.as_str(), 0, 0)).collect();
        let (before, now) = (look(start, &none), look(start + Duration::from_secs(1), &counts));
        let shown = view(&before, &now, Some((80, 10)));
        let shown = anstream::adapter::strip_str(&shown).to_string();
        assert!(shown.lines().count() < 10, "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains("v30") && shown.contains("and 25 more"), "{shown}");
        let shown = view(&before, &now, Some((30, 10)));
        let shown = anstream::adapter::strip_str(&shown).to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= 30), "{shown}");
    }
}
