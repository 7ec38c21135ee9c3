//! Programs for the vat: what a message tells it to do (`fixtures/oracle/vat.js`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::rng::Rng;

const OBJECTS: [&str; 5] = ["a", "b", "c", "d", "e"];
const PROMISES: [&str; 6] = ["p", "q", "r", "s", "t", "u"];
const THINGS: [&str; 5] = ["v", "w", "x", "y", "z"];
const STORES: [&str; 3] = ["l", "m", "n"];
const WATCHERS: [&str; 2] = ["g", "h"];
const KEYS: [&str; 3] = ["k1", "k2", "k3"];
const DEPTH_MAX: usize = 2;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object.
    Object,
    /// An object that durable data may hold.
    Durable,
    /// A promise.
    Promise,
    /// Data.
    Data,
}

/// What the vat is thought to hold, so that programs are about something most of the time.
#[derive(Clone, Debug, Default)]
pub struct Held {
    objects: BTreeSet<&'static str>,
    promises: BTreeSet<&'static str>,
    open: BTreeSet<&'static str>,
    /// Instances of kinds, and whether they are durable.
    things: BTreeMap<&'static str, bool>,
    /// Collections: whether they are durable, weak, maps.
    stores: BTreeMap<&'static str, (bool, bool, bool)>,
    watchers: BTreeSet<&'static str>,
}

/// Settles all promises the vat can settle, and forgets everything.
pub fn settle_all() -> Vec<Value> {
    let resolve = PROMISES.iter().map(|name| json!(["resolve", name, ["data", 1]]));
    let all = [&OBJECTS[..], &PROMISES, &THINGS, &STORES, &WATCHERS];
    resolve.chain(all.concat().into_iter().map(|name| json!(["forget", name]))).collect()
}

/// Writes programs.
pub struct Writer<'a> {
    /// Chooses.
    pub rng: &'a mut Rng,
    /// What the vat holds.
    pub held: &'a mut Held,
    /// The kinds of the arguments.
    pub args: &'a [Kind],
    /// Whether programs may be about kinds, collections and watchers.
    pub has_kinds: bool,
}

impl Writer<'_> {
    /// A few steps.
    pub fn program(&mut self, depth: usize) -> Vec<Value> {
        let length = 1 + self.rng.below(if depth == 0 { 6 } else { 3 });
        (0..length).map(|_| self.step(depth)).collect()
    }

    fn inner<'a>(&'a mut self, args: &'a [Kind]) -> Writer<'a> {
        Writer { rng: self.rng, held: self.held, args, has_kinds: self.has_kinds }
    }

    fn arg(&mut self, wanted: &[Kind]) -> Option<Value> {
        let fitting: Vec<usize> =
            (0..self.args.len()).filter(|i| wanted.contains(&self.args[*i])).collect();
        self.rng.pick(&fitting).map(|i| json!(["arg", i]))
    }

    fn object(&mut self) -> Value {
        let mut held: Vec<&str> = self.held.objects.iter().copied().collect();
        held.extend(self.held.things.keys().chain(self.held.stores.keys()));
        match self.rng.below(8) {
            0 => json!(["new", "thing"]),
            1..=3 if !self.args.is_empty() => {
                self.arg(&[Kind::Object, Kind::Durable]).unwrap_or_else(|| json!(["new", "thing"]))
            }
            _ => match self.rng.pick(&held) {
                Some(name) => json!(["held", name]),
                None => json!(["new", "thing"]),
            },
        }
    }

    fn promise(&mut self, depth: usize) -> Value {
        let held: Vec<&str> = self.held.promises.iter().copied().collect();
        match self.rng.below(10) {
            0 => json!(["fulfilled", self.value(depth + 1)]),
            1 => json!(["rejected", self.value(depth + 1)]),
            2..=4 if !self.args.is_empty() => self
                .arg(&[Kind::Promise])
                .unwrap_or_else(|| json!(["fulfilled", ["data", self.rng.below(9)]])),
            _ => match self.rng.pick(&held) {
                Some(name) => json!(["held", name]),
                None => json!(["fulfilled", self.value(depth + 1)]),
            },
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        if depth >= DEPTH_MAX {
            return self.object();
        }
        match self.rng.below(14) {
            0..=3 => self.object(),
            4..=7 => self.promise(depth),
            8 => json!(["list", [self.value(depth + 1), self.value(depth + 1)]]),
            9 => json!(["record", { "f": self.value(depth + 1), "g": ["data", true] }]),
            10 => json!(["error", if self.rng.one_in(2) { "Error" } else { "TypeError" }, "oops"]),
            11 => json!(["undefined"]),
            12 => json!(["big", "12"]),
            _ => json!(["data", self.rng.below(100)]),
        }
    }

    fn values(&mut self, depth: usize) -> Vec<Value> {
        (0..self.rng.below(3)).map(|_| self.value(depth)).collect()
    }

    /// A value that baggage takes, most of the time.
    fn durable(&mut self) -> Value {
        match self.rng.below(7) {
            0 | 1 => self.arg(&[Kind::Durable]).unwrap_or_else(|| json!(["data", 7])),
            2 => json!(["baggage", self.rng.pick(&KEYS)]),
            3 => json!(["list", [self.durable(), ["big", "4"]]]),
            4 if self.rng.one_in(4) => self.object(),
            4 | 5 => {
                let things = self.held.things.iter().filter(|(_, durable)| **durable);
                let stores = self.held.stores.iter().filter(|(_, (durable, ..))| *durable);
                let names: Vec<&str> =
                    things.map(|(name, _)| *name).chain(stores.map(|(name, _)| *name)).collect();
                match self.rng.pick(&names) {
                    Some(name) => json!(["held", name]),
                    None => json!(["data", 8]),
                }
            }
            _ => json!(["data", self.rng.below(100)]),
        }
    }

    fn promise_name(&mut self) -> Value {
        if self.rng.one_in(4) {
            return Value::Null;
        }
        let name = self.rng.pick(&PROMISES).unwrap_or("p");
        self.held.promises.insert(name);
        json!(name)
    }

    fn target(&mut self) -> Value {
        if self.rng.one_in(3) { self.promise(1) } else { self.object() }
    }

    /// A step about kinds, collections, watchers, or what is known by weak keys.
    fn kinded(&mut self) -> Value {
        match self.rng.below(14) {
            0..=2 => self.make_thing(),
            3 | 4 => self.make_store(),
            5..=8 => self.use_store(),
            9 | 10 => {
                let names: Vec<&str> = self.held.things.keys().copied().collect();
                let name = self.rng.pick(&names).unwrap_or("v");
                let durable = self.held.things.get(name) == Some(&true);
                let what = json!(["held", name]);
                match self.rng.below(3) {
                    0 => json!(["local", what, "get", [], null]),
                    1 => json!(["local", what, "count", [], null]),
                    _ => json!(["local", what, "set", [self.content(durable)], null]),
                }
            }
            11 => {
                let method = self.rng.pick(&["set", "set", "get", "has", "delete"]);
                json!(["know", method, self.object(), self.object()])
            }
            12 => {
                let name = self.rng.pick(&WATCHERS).unwrap_or("g");
                self.held.watchers.insert(name);
                let target = self.arg(&[Kind::Durable]).unwrap_or_else(|| json!(["data", 3]));
                json!(["make", "watcher", target, name])
            }
            _ if self.rng.one_in(2) => {
                let told = self.arg(&[Kind::Durable]).unwrap_or_else(|| json!(["data", 4]));
                let args = if self.rng.one_in(2) { vec![told, self.durable()] } else { vec![told] };
                json!(["watch", self.promise(1), ["provided"], args])
            }
            _ => {
                let names: Vec<&str> = self.held.watchers.iter().copied().collect();
                match self.rng.pick(&names) {
                    Some(name) => {
                        let args = if self.rng.one_in(2) { vec![self.durable()] } else { vec![] };
                        json!(["watch", self.promise(1), ["held", name], args])
                    }
                    None => self.make_thing(),
                }
            }
        }
    }

    /// What an object or a collection holds.
    fn content(&mut self, durable: bool) -> Value {
        if durable { self.durable() } else { self.value(1) }
    }

    fn make_thing(&mut self) -> Value {
        let kinds = ["virtual", "virtualKit", "durable", "durableKit", "shaped"];
        let kind = self.rng.pick(&kinds).unwrap_or("virtual");
        let durable = !kind.starts_with("virtual");
        let content = self.content(durable);
        let name = self.rng.pick(&THINGS).unwrap_or("v");
        self.held.things.insert(name, durable);
        if !kind.ends_with("Kit") {
            return json!(["make", kind, content, name]);
        }
        let second = if self.rng.one_in(2) { None } else { self.rng.pick(&THINGS) };
        if let Some(second) = second {
            self.held.things.insert(second, durable);
        }
        json!(["make", kind, content, name, second])
    }

    fn make_store(&mut self) -> Value {
        let (durable, weak, map) = (self.rng.one_in(2), self.rng.one_in(2), self.rng.one_in(2));
        let name = self.rng.pick(&STORES).unwrap_or("l");
        self.held.stores.insert(name, (durable, weak, map));
        let kind = match (durable, weak, map) {
            (false, false, true) => "map",
            (false, true, true) => "weakMap",
            (false, false, false) => "set",
            (false, true, false) => "weakSet",
            (true, false, true) if self.rng.one_in(2) => "shapedMap",
            (true, false, true) => "durableMap",
            (true, true, true) => "durableWeakMap",
            (true, false, false) if self.rng.one_in(2) => "shapedSet",
            (true, false, false) => "durableSet",
            (true, true, false) => "durableWeakSet",
        };
        json!(["make", kind, ["undefined"], name])
    }

    fn use_store(&mut self) -> Value {
        let names: Vec<&str> = self.held.stores.keys().copied().collect();
        let Some(name) = self.rng.pick(&names) else { return self.make_store() };
        let Some(&(durable, weak, map)) = self.held.stores.get(name) else {
            return self.make_store();
        };
        let key = match self.rng.below(8) {
            0 => json!(["data", self.rng.below(4)]),
            1 => json!(["data", self.rng.pick(&KEYS)]),
            2 => json!(["big", "5"]),
            3..=5 if durable => self.durable(),
            _ => self.object(),
        };
        let (method, values) = match self.rng.below(if weak { 8 } else { 12 }) {
            0..=3 if map => ("init", vec![key, self.content(durable)]),
            0..=3 => ("add", vec![key]),
            4 if map => ("set", vec![key, self.content(durable)]),
            5 if map => ("get", vec![key]),
            4..=6 => ("has", vec![key]),
            7 => ("delete", vec![key]),
            8 => ("keys", vec![]),
            9 => ("values", vec![]),
            10 => ("getSize", vec![]),
            _ => ("clear", vec![]),
        };
        json!(["local", ["held", name], method, values, null])
    }

    fn step(&mut self, depth: usize) -> Value {
        if self.has_kinds && self.rng.one_in(2) {
            return self.kinded();
        }
        match self.rng.below(if depth >= DEPTH_MAX { 11 } else { 17 }) {
            0 | 1 => {
                if self.has_kinds && self.rng.one_in(4) {
                    // What an earlier incarnation may have left.
                    let name = self.rng.pick(&THINGS).unwrap_or("v");
                    self.held.things.insert(name, true);
                    return json!(["keep", name, ["baggage", self.rng.pick(&KEYS)]]);
                }
                let name = self.rng.pick(&OBJECTS).unwrap_or("a");
                let step = json!(["keep", name, self.object()]);
                self.held.objects.insert(name);
                step
            }
            2 => {
                let name = self.rng.pick(&PROMISES).unwrap_or("p");
                let step = json!(["keep", name, self.promise(1)]);
                self.held.promises.insert(name);
                step
            }
            3 => {
                let held = &self.held;
                let objects = held.objects.iter().chain(held.things.keys());
                let others = held.stores.keys().chain(&held.watchers).chain(&held.promises);
                let held: Vec<&str> = objects.chain(others).copied().collect();
                let name = self.rng.pick(&held).unwrap_or("a");
                self.held.objects.remove(name);
                self.held.promises.remove(name);
                self.held.open.remove(name);
                self.held.things.remove(name);
                self.held.stores.remove(name);
                self.held.watchers.remove(name);
                json!(["forget", name])
            }
            4 => {
                let name = self.rng.pick(&PROMISES).unwrap_or("p");
                self.held.promises.insert(name);
                self.held.open.insert(name);
                json!(["promise", name])
            }
            5 | 6 => {
                let open: Vec<&str> = self.held.open.iter().copied().collect();
                match self.rng.pick(&open) {
                    Some(name) => {
                        self.held.open.remove(name);
                        let how = if self.rng.one_in(4) { "reject" } else { "resolve" };
                        json!([how, name, self.value(0)])
                    }
                    None => json!(["return", self.value(0)]),
                }
            }
            7 => self.baggage(),
            8 => json!(["return", self.value(0)]),
            9 if self.rng.one_in(2) => json!(["throw", self.value(0)]),
            10 => {
                let (target, values) = (self.target(), self.values(0));
                json!(["call", target, values, self.promise_name()])
            }
            11 | 12 if depth < DEPTH_MAX => {
                let value = self.promise(1);
                let args = [Kind::Data];
                let mut inner = self.inner(&args);
                let (ok, bad) = (inner.program(depth + 1), inner.program(depth + 1));
                json!(["when", value, ok, bad, self.promise_name()])
            }
            _ => {
                let target = self.target();
                let (method, values) = match self.rng.below(5) {
                    0 => ("nothing", self.values(0)),
                    1 => ("fail", vec![self.value(0)]),
                    2 if depth < DEPTH_MAX => {
                        let args = [Kind::Object];
                        let mut inner = self.inner(&args);
                        let program = inner.program(depth + 1);
                        ("do", vec![json!(["data", program]), self.value(0)])
                    }
                    _ => ("echo", self.values(0)),
                };
                json!(["send", target, method, values, self.promise_name()])
            }
        }
    }

    fn baggage(&mut self) -> Value {
        let key = json!(["data", self.rng.pick(&KEYS)]);
        match self.rng.below(6) {
            0..=2 => json!(["baggage", "init", [key, self.durable()]]),
            3 => json!(["baggage", "set", [key, self.durable()]]),
            4 => json!(["baggage", "get", [key]]),
            _ => json!(["baggage", "delete", [key]]),
        }
    }
}
