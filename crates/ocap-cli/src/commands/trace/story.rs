//! What the events of a trace mean together: a tree for each message from outside, of what came of
//! it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use ocap_daemon::Home;
use ocap_types::KRef;
use serde::Deserialize;
use serde_json::Value;

use super::clock;
use crate::failure::Failure;
use crate::limits;
use crate::output::printable;
use crate::quantity;
use crate::status::{self, items, text};
use crate::table::cut_styled;
use crate::terminal::{BAD, FAINT, HEADING, REFERENCE, UNSETTLED, styled};

/// An event, as the kernel tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    at_us: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
enum What {
    Sent {
        by: By,
        target: KRef,
        result: Option<KRef>,
        method: String,
    },
    Began {
        delivery: u64,
        vat: String,
        #[serde(flatten)]
        about: About,
    },
    #[serde(rename_all = "camelCase")]
    Ended {
        delivery: u64,
        cpu_us: u64,
    },
    Failed {
        delivery: u64,
        fault: String,
    },
    Settled {
        by: By,
        promise: KRef,
        rejected: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "camelCase")]
enum By {
    Host,
    Delivery(u64),
    Kernel,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "about", rename_all = "camelCase")]
enum About {
    Start,
    Message { target: KRef, result: Option<KRef> },
    Notify { promise: KRef },
    Collection,
}

/// A message.
#[derive(Debug)]
struct Message {
    at_us: u64,
    by: By,
    target: KRef,
    result: Option<KRef>,
    method: String,
    delivery: Option<u64>,
}

/// A delivery.
#[derive(Debug)]
struct Delivery {
    vat: String,
    about: About,
    began_us: u64,
    ended_us: Option<u64>,
    cpu_us: u64,
    fault: Option<String>,
    /// Messages it sent.
    sent: Vec<usize>,
    /// Promises it settled.
    settled: Vec<KRef>,
}

/// How a promise has settled.
#[derive(Clone, Copy, Debug)]
struct Settlement {
    at_us: u64,
    rejected: bool,
}

/// A trace, put in order.
#[derive(Debug, Default)]
pub(super) struct Story {
    messages: Vec<Message>,
    deliveries: BTreeMap<u64, Delivery>,
    settlements: BTreeMap<KRef, Settlement>,
    /// Deliveries of the news that a promise has settled.
    told: BTreeMap<KRef, Vec<u64>>,
}

impl Story {
    /// Of a list of events.
    pub(super) fn read(events: &Value) -> Result<Story, Failure> {
        let mut story = Story::default();
        let mut by_result: BTreeMap<KRef, usize> = BTreeMap::new();
        // Those without a result are told apart by their order.
        let mut without: BTreeMap<KRef, VecDeque<usize>> = BTreeMap::new();
        for event in events.as_array().into_iter().flatten() {
            let Event { at_us, what } = Event::deserialize(event)?;
            match what {
                What::Sent { by, target, result, method } => {
                    let place = story.messages.len();
                    match result {
                        Some(result) => {
                            by_result.insert(result, place);
                        }
                        None => without.entry(target).or_default().push_back(place),
                    }
                    if let By::Delivery(id) = by
                        && let Some(delivery) = story.deliveries.get_mut(&id)
                    {
                        delivery.sent.push(place);
                    }
                    let delivery = None;
                    story.messages.push(Message { at_us, by, target, result, method, delivery });
                }
                What::Began { delivery: id, vat, about } => {
                    let message = match about {
                        About::Message { result: Some(result), .. } => {
                            by_result.get(&result).copied()
                        }
                        About::Message { target, .. } => {
                            without.get_mut(&target).and_then(VecDeque::pop_front)
                        }
                        About::Notify { promise } => {
                            story.told.entry(promise).or_default().push(id);
                            None
                        }
                        About::Start | About::Collection => None,
                    };
                    if let Some(message) = message {
                        story.messages[message].delivery = Some(id);
                    }
                    let (ended_us, cpu_us, fault) = (None, 0, None);
                    let (sent, settled) = (Vec::new(), Vec::new());
                    let began_us = at_us;
                    let delivery =
                        Delivery { vat, about, began_us, ended_us, cpu_us, fault, sent, settled };
                    story.deliveries.insert(id, delivery);
                }
                What::Ended { delivery, cpu_us } => {
                    if let Some(delivery) = story.deliveries.get_mut(&delivery) {
                        (delivery.ended_us, delivery.cpu_us) = (Some(at_us), cpu_us);
                    }
                }
                What::Failed { delivery, fault } => {
                    if let Some(delivery) = story.deliveries.get_mut(&delivery) {
                        (delivery.ended_us, delivery.fault) = (Some(at_us), Some(fault));
                    }
                }
                What::Settled { by, promise, rejected } => {
                    story.settlements.insert(promise, Settlement { at_us, rejected });
                    if let By::Delivery(id) = by
                        && let Some(delivery) = story.deliveries.get_mut(&id)
                    {
                        delivery.settled.push(promise);
                    }
                }
            }
        }
        Ok(story)
    }

    /// The latest trees, or those of them that have to do with a reference.
    pub(super) fn tell(
        &self,
        about: Option<KRef>,
        last: usize,
        names: &Names,
        width: Option<usize>,
    ) -> String {
        let roots: Vec<usize> =
            (0..self.messages.len()).filter(|&place| self.is_root(place)).collect();
        let wanted = |place: &usize| about.is_none_or(|kref| self.has_to_do(*place, kref));
        let mut latest: Vec<usize> = roots.into_iter().rev().filter(wanted).take(last).collect();
        latest.reverse();
        let mut text = String::new();
        for root in latest {
            let message = &self.messages[root];
            let from = match message.by {
                By::Host => "from outside",
                By::Kernel => "from the kernel",
                By::Delivery(id) => match self.deliveries.get(&id).map(|d| d.about) {
                    Some(About::Start) => "from the start of a vat, or the launch of its cluster",
                    Some(About::Collection) => "from a collection",
                    _ => "from what the trace does not have any more",
                },
            };
            let _ = writeln!(text, "{}  {}", clock(message.at_us), styled(FAINT, from));
            let seen = BTreeSet::new();
            let mut teller = Teller { story: self, names, about, seen, width, text };
            teller.message(root, "", true, 0);
            text = teller.text;
            text.push('\n');
        }
        text
    }

    /// Whether nothing that is known brought a message about.
    fn is_root(&self, place: usize) -> bool {
        match self.messages[place].by {
            By::Host | By::Kernel => true,
            By::Delivery(id) => !self.deliveries.get(&id).is_some_and(|delivery| {
                // A delivery that itself has no known cause is no place in a tree.
                match delivery.about {
                    About::Message { .. } => self.messages.iter().any(|m| m.delivery == Some(id)),
                    About::Notify { promise } => self.settled_by(promise).is_some(),
                    About::Start | About::Collection => false,
                }
            }),
        }
    }

    fn settled_by(&self, promise: KRef) -> Option<u64> {
        let mut settled = self.deliveries.iter().filter(|(_, d)| d.settled.contains(&promise));
        settled.next().map(|(id, _)| *id)
    }

    /// Whether a tree mentions a reference.
    fn has_to_do(&self, root: usize, kref: KRef) -> bool {
        let mut rest = vec![root];
        let mut seen = BTreeSet::new();
        while let Some(place) = rest.pop() {
            if !seen.insert(place) {
                continue;
            }
            let message = &self.messages[place];
            if message.target == kref || message.result == Some(kref) {
                return true;
            }
            let mut deliveries: Vec<u64> = message.delivery.into_iter().collect();
            let mut passed = BTreeSet::new();
            while let Some(id) = deliveries.pop() {
                let Some(delivery) = self.deliveries.get(&id).filter(|_| passed.insert(id)) else {
                    continue;
                };
                if delivery.settled.contains(&kref) {
                    return true;
                }
                rest.extend(&delivery.sent);
                let told = delivery.settled.iter().filter_map(|promise| self.told.get(promise));
                deliveries.extend(told.flatten());
            }
        }
        false
    }
}

/// Writes a tree.
struct Teller<'a> {
    story: &'a Story,
    names: &'a Names,
    about: Option<KRef>,
    /// Deliveries that have been told.
    seen: BTreeSet<u64>,
    /// Columns there are.
    width: Option<usize>,
    text: String,
}

/// What comes of a delivery.
enum Child {
    Message(usize),
    Told(u64),
}

impl Teller<'_> {
    fn message(&mut self, place: usize, lead: &str, last: bool, depth: usize) {
        let message = &self.story.messages[place];
        let method = styled(HEADING, &printable(&message.method));
        let mut line = format!("{method} to {}", self.reference(message.target));
        if let Some(delivery) = message.delivery.and_then(|id| self.story.deliveries.get(&id)) {
            let _ = write!(line, " in {}", self.names.of_vat(&delivery.vat));
        }
        if let Some(result) = message.result {
            let how = match self.story.settlements.get(&result) {
                None => styled(UNSETTLED, "not settled"),
                Some(settlement) => {
                    let took = quantity::time(settlement.at_us.saturating_sub(message.at_us));
                    if settlement.rejected {
                        format!("{} after {took}", styled(BAD, "rejected"))
                    } else {
                        format!("fulfilled after {took}")
                    }
                }
            };
            let _ = write!(line, ", {} {how}", self.reference(result));
        }
        let delivery = message.delivery;
        match delivery.and_then(|id| self.story.deliveries.get(&id)) {
            Some(delivery) => line.push_str(&ran(delivery)),
            None => line.push_str(", not delivered"),
        }
        self.line(lead, last, depth, &line);
        if let Some(id) = delivery {
            self.children(id, lead, last, depth);
        }
    }

    fn told(&mut self, id: u64, lead: &str, last: bool, depth: usize) {
        let Some(delivery) = self.story.deliveries.get(&id) else { return };
        let About::Notify { promise } = delivery.about else { return };
        let vat = self.names.of_vat(&delivery.vat);
        let line = format!("{vat} is told of {}{}", self.reference(promise), ran(delivery));
        self.line(lead, last, depth, &line);
        self.children(id, lead, last, depth);
    }

    fn children(&mut self, id: u64, lead: &str, last: bool, depth: usize) {
        let Some(delivery) = self.story.deliveries.get(&id) else { return };
        if !self.seen.insert(id) {
            return;
        }
        let sent = delivery.sent.iter().map(|place| Child::Message(*place));
        let told = delivery.settled.iter().filter_map(|promise| self.story.told.get(promise));
        let told = told.flatten().map(|id| Child::Told(*id));
        let children: Vec<Child> = sent.chain(told).collect();
        let lead = match (depth, last) {
            (0, _) => String::new(),
            (_, true) => format!("{lead}   "),
            (_, false) => format!("{lead}│  "),
        };
        if depth >= limits::TRACE_DEPTH_MAX {
            if !children.is_empty() {
                self.line(&lead, true, depth + 1, &styled(FAINT, "and more, too deep to show"));
            }
            return;
        }
        let count = children.len();
        for (place, child) in children.into_iter().enumerate() {
            let last = place + 1 == count;
            match child {
                Child::Message(place) => self.message(place, &lead, last, depth + 1),
                Child::Told(id) => self.told(id, &lead, last, depth + 1),
            }
        }
    }

    fn line(&mut self, lead: &str, last: bool, depth: usize, line: &str) {
        let branch = match (depth, last) {
            (0, _) => "",
            (_, true) => "└─ ",
            (_, false) => "├─ ",
        };
        let line = format!("{lead}{branch}{line}");
        let line = self.width.map_or(line.clone(), |width| cut_styled(&line, width));
        let _ = writeln!(self.text, "{line}");
    }

    fn reference(&self, kref: KRef) -> String {
        let style = if self.about == Some(kref) { REFERENCE.bold() } else { REFERENCE };
        styled(style, &kref.to_string())
    }
}

/// How long a delivery took, or that it did not go well.
fn ran(delivery: &Delivery) -> String {
    let took =
        delivery.ended_us.map(|ended| quantity::time(ended.saturating_sub(delivery.began_us)));
    match (&delivery.fault, took) {
        (Some(fault), _) => format!(", {}", styled(BAD, &printable(fault))),
        (None, None) => format!(", {}", styled(UNSETTLED, "under way")),
        (None, Some(took)) => {
            let cpu = quantity::time(delivery.cpu_us);
            styled(FAINT, &format!(", ran {took} (CPU {cpu})"))
        }
    }
}

/// What vats are called.
#[derive(Debug, Default)]
pub(super) struct Names {
    vats: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn fetch(home: &Home) -> Result<Names, Failure> {
        Ok(Names::read(&status::fetch(home)?))
    }

    fn read(status: &Value) -> Names {
        let vats = items(status, "vats").iter().map(|vat| (text(vat, "id"), text(vat, "name")));
        Names { vats: vats.collect() }
    }

    fn of_vat(&self, id: &str) -> String {
        match self.vats.get(id) {
            Some(name) => format!("{} {name}", printable(id)),
            None => printable(id),
        }
    }
}

/// One event by itself.
pub(super) fn line(event: &Value, names: &mut Names, home: &Home) -> String {
    let Ok(Event { at_us, what }) = Event::deserialize(event) else {
        return printable(&event.to_string());
    };
    let mut vat_of = |id: &str| {
        if !names.vats.contains_key(id)
            && let Ok(fresh) = Names::fetch(home)
        {
            *names = fresh;
        }
        names.of_vat(id)
    };
    let by = |by: By| match by {
        By::Host => "outside".to_owned(),
        By::Kernel => "the kernel".to_owned(),
        By::Delivery(id) => format!("d{id}"),
    };
    let reference = |kref: KRef| styled(REFERENCE, &kref.to_string());
    let what = match what {
        What::Sent { by: sender, target, result, method } => {
            let result = result.map(|kref| format!(", result {}", reference(kref)));
            let method = styled(HEADING, &printable(&method));
            let result = result.unwrap_or_default();
            format!("{} sends {method} to {}{result}", by(sender), reference(target))
        }
        What::Began { delivery, vat, about } => {
            let about = match about {
                About::Start => "starts".to_owned(),
                About::Collection => "collects garbage".to_owned(),
                About::Message { target, result: None } => {
                    format!("gets a message for {}", reference(target))
                }
                About::Message { target, result: Some(result) } => {
                    format!("gets {} for {}", reference(result), reference(target))
                }
                About::Notify { promise } => format!("is told of {}", reference(promise)),
            };
            format!("{} {about} (d{delivery})", vat_of(&vat))
        }
        What::Ended { delivery, cpu_us } => {
            styled(FAINT, &format!("d{delivery} done, CPU {}", quantity::time(cpu_us)))
        }
        What::Failed { delivery, fault } => {
            format!("d{delivery} {}", styled(BAD, &printable(&fault)))
        }
        What::Settled { by: settler, promise, rejected } => {
            let how = if rejected { styled(BAD, "rejects") } else { "fulfils".to_owned() };
            format!("{} {how} {}", by(settler), reference(promise))
        }
    };
    format!("{}  {what}", clock(at_us))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        let at = |ms: u64| 1_767_225_600_000_000 + ms * 1_000;
        json!([
            {"number": 1, "atUs": at(0), "event": "sent", "by": {"type": "host"}, "target": "ko4",
             "result": "kp1", "method": "put"},
            {"number": 2, "atUs": at(1), "event": "began", "delivery": 1, "vat": "v1",
             "about": "message", "target": "ko4", "result": "kp1"},
            {"number": 3, "atUs": at(2), "event": "sent", "by": {"type": "delivery", "id": 1},
             "target": "ko5", "result": "kp2", "method": "pass"},
            {"number": 4, "atUs": at(2), "event": "sent", "by": {"type": "delivery", "id": 1},
             "target": "ko5", "method": "note"},
            {"number": 5, "atUs": at(2), "event": "ended", "delivery": 1, "cpuUs": 400},
            {"number": 6, "atUs": at(3), "event": "began", "delivery": 2, "vat": "v2",
             "about": "message", "target": "ko5", "result": "kp2"},
            {"number": 7, "atUs": at(3), "event": "began", "delivery": 3, "vat": "v2",
             "about": "message", "target": "ko5"},
            {"number": 8, "atUs": at(4), "event": "settled", "by": {"type": "delivery", "id": 2},
             "promise": "kp2", "rejected": true},
            {"number": 9, "atUs": at(4), "event": "ended", "delivery": 2, "cpuUs": 40},
            {"number": 10, "atUs": at(5), "event": "failed", "delivery": 3, "fault": "overrun"},
            {"number": 11, "atUs": at(6), "event": "began", "delivery": 4, "vat": "v1",
             "about": "notify", "promise": "kp2"},
            {"number": 12, "atUs": at(7), "event": "settled", "by": {"type": "delivery", "id": 4},
             "promise": "kp1", "rejected": false},
            {"number": 13, "atUs": at(7), "event": "ended", "delivery": 4, "cpuUs": 10},
            {"number": 14, "atUs": at(8), "event": "sent", "by": {"type": "host"}, "target": "ko9",
             "result": "kp3", "method": "wait"},
            {"number": 15, "atUs": at(9), "event": "began", "delivery": 5, "vat": "v3",
             "about": "message", "target": "ko9", "result": "kp3"},
        ])
    }

    fn names() -> Names {
        Names::read(&json!({
            "vats": [{"id": "v1", "name": "front"}, {"id": "v2", "name": "back"}],
        }))
    }

    fn told(about: Option<&str>, last: usize) -> String {
        let about = about.map(|kref| kref.parse().unwrap());
        let told = Story::read(&sample()).unwrap().tell(about, last, &names(), None);
        anstream::adapter::strip_str(&told).to_string()
    }

    #[test]
    fn a_message_is_told_with_all_that_came_of_it() {
        insta::assert_snapshot!(told(None, 20));
    }

    #[test]
    fn what_has_to_do_with_a_reference_is_told_whole() {
        let whole = told(None, 20);
        for about in ["ko5", "kp2", "ko4"] {
            let told = told(Some(about), 20);
            assert!(whole.starts_with(&told) && told.contains("put to ko4"), "{about}: {told}");
        }
        assert!(whole.ends_with(&told(Some("kp3"), 20)));
        assert_eq!(told(Some("ko77"), 20), "");
        assert_eq!(told(None, 1), told(Some("ko9"), 20));
    }

    #[test]
    fn a_trace_whose_beginning_is_gone_and_a_long_chain_are_told() {
        let events = sample();
        for from in 0..events.as_array().unwrap().len() {
            let rest = Value::from(&events.as_array().unwrap()[from..]);
            Story::read(&rest).unwrap().tell(None, 20, &names(), None);
        }
        let chain: Vec<Value> = (0..5_000_u64)
            .flat_map(|n| {
                let by = if n == 0 {
                    json!({"type": "host"})
                } else {
                    json!({"type": "delivery", "id": n})
                };
                let result = format!("kp{}", n + 1);
                [
                    json!({"number": 1, "atUs": 0, "event": "sent", "by": by, "target": "ko4",
                        "result": result, "method": "m"}),
                    json!({"number": 1, "atUs": 0, "event": "began", "delivery": n + 1, "vat": "v1",
                        "about": "message", "target": "ko4", "result": result}),
                ]
            })
            .collect();
        let told = Story::read(&Value::from(chain)).unwrap().tell(None, 20, &names(), None);
        assert!(told.contains("too deep to show"), "{told}");
    }
}
