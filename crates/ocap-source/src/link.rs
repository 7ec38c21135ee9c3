//! One script made of ES modules: a bundle's `code`, which declares `__vatExports__`.
//!
//! Each module becomes a generator function that runs to its end in two steps. The first one makes
//! what the module exports visible, as getters of one object per module; function declarations
//! are hoisted by then, so that modules can import each other in a circle. The second one is the
//! module's own code, where every imported name is read from the object it comes from. The order
//! is that of ES modules: imports before those who import them.
//!
//! What a hardened realm refuses to evaluate does not get in: comments (which may contain the text
//! of a dynamic import) and dynamic imports.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::module::{self, Names, Rewritten};

/// One module, and what its imports mean.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text, JavaScript.
    pub source: &'a str,
    /// Import specifiers as written, to names of modules.
    pub imports: &'a BTreeMap<String, String>,
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The script.
    pub code: String,
    /// What the entry exports, sorted.
    pub exports: Vec<String>,
    /// What its author should know, each with its place.
    pub warnings: Vec<String>,
}

/// Specifiers that are answered here when no package answers them.
const SHIMS: [(&str, &str); 2] = [
    ("@endo/eventual-send", include_str!("shims/eventual-send.js")),
    ("@endo/far", include_str!("shims/far.js")),
];

/// A module for bundles whose author has not installed a package of this name: the text.
pub fn shim(specifier: &str) -> Option<&'static str> {
    SHIMS.iter().find(|(name, _)| *name == specifier).map(|(_, text)| *text)
}

/// Makes one script of modules. `entry` names the one whose exports become the script's.
///
/// # Errors
/// If a module cannot be parsed, imports what another does not export, or uses what a script
/// cannot do; the text says where.
pub fn link(entry: &str, units: &[Unit<'_>]) -> Result<Linked, String> {
    let index: BTreeMap<&str, usize> =
        units.iter().enumerate().map(|(at, unit)| (unit.name, at)).collect();
    let names = Names { prefix: unused_prefix(units), index: &index };
    let modules: Vec<Rewritten> =
        units.iter().map(|unit| module::rewrite(unit, &names)).collect::<Result<_, _>>()?;
    let exports = exports_of(&modules);
    check_imports(units, &modules, &exports)?;
    let entry = *index.get(entry).ok_or_else(|| format!("there is no module {entry}"))?;
    let warnings = modules.iter().flat_map(|module| module.warnings.iter().cloned()).collect();
    let code = write(&names, entry, &modules, &exports);
    Ok(Linked { code, exports: exports[entry].keys().cloned().collect(), warnings })
}

/// A beginning for our own names that no module uses.
fn unused_prefix(units: &[Unit<'_>]) -> String {
    let mut prefix = "__".to_owned();
    let used = |prefix: &str| {
        ["m", "d"].iter().any(|kind| {
            let name = format!("{prefix}{kind}");
            units.iter().any(|unit| unit.source.contains(&name))
        })
    };
    while used(&prefix) {
        prefix.push('_');
    }
    prefix
}

/// What each module exports, with the expression for it; what others export through it included.
fn exports_of(modules: &[Rewritten]) -> Vec<BTreeMap<String, String>> {
    let mut exports: Vec<BTreeMap<String, String>> =
        modules.iter().map(|module| module.exports.clone()).collect();
    loop {
        let mut changed = false;
        for (at, module) in modules.iter().enumerate() {
            for star in &module.stars {
                let names: Vec<String> = exports[star.module].keys().cloned().collect();
                for name in names.into_iter().filter(|name| name != "default") {
                    let read = format!("{}[{}]", star.object, quoted(&name));
                    if let Entry::Vacant(entry) = exports[at].entry(name) {
                        entry.insert(read);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            return exports;
        }
    }
}

fn check_imports(
    units: &[Unit<'_>],
    modules: &[Rewritten],
    exports: &[BTreeMap<String, String>],
) -> Result<(), String> {
    for (unit, module) in units.iter().zip(modules) {
        for want in &module.wants {
            if !exports[want.module].contains_key(&want.name) {
                let problem = format!("{} does not export {}", units[want.module].name, want.name);
                return Err(crate::place::told(unit.name, unit.source, want.offset, &problem));
            }
        }
    }
    Ok(())
}

/// The modules below `entry` and it, every one after those it imports (but for circles).
fn order(entry: usize, modules: &[Rewritten]) -> Vec<usize> {
    let mut seen = BTreeSet::from([entry]);
    let mut order = Vec::new();
    let mut path = vec![(entry, modules[entry].requests.iter())];
    while let Some((at, rest)) = path.last_mut() {
        match rest.next() {
            Some(&next) if seen.insert(next) => path.push((next, modules[next].requests.iter())),
            Some(_) => {}
            None => {
                order.push(*at);
                path.pop();
            }
        }
    }
    order
}

fn write(
    names: &Names<'_>,
    entry: usize,
    modules: &[Rewritten],
    exports: &[BTreeMap<String, String>],
) -> String {
    let order = order(entry, modules);
    let prefix = &names.prefix;
    let mut code = String::from("var __vatExports__ = (function (exports) {\n\"use strict\";\n");
    for at in &order {
        let _ = writeln!(
            code,
            "const {} = Object.create(null, {{ [Symbol.toStringTag]: {{ value: \"Module\" }} }});",
            names.object(*at)
        );
    }
    let _ = writeln!(code, "const {prefix}ms = [");
    for at in &order {
        let object = names.object(*at);
        let _ = writeln!(code, "(function* () {{");
        if !exports[*at].is_empty() {
            let _ = write!(
                code,
                "Object.defineProperties({object}, Object.getOwnPropertyDescriptors({{"
            );
            for (name, read) in &exports[*at] {
                let _ = write!(code, " get [{}]() {{ return {read}; }},", quoted(name));
            }
            let _ = writeln!(code, " }}));");
        }
        let _ = writeln!(code, "yield;\n{}\n}})(),", modules[*at].code.trim());
    }
    let _ = writeln!(code, "];");
    // Twice: first all export, then all run.
    for _ in 0..2 {
        let _ = writeln!(code, "for (const {prefix}m of {prefix}ms) {prefix}m.next();");
    }
    let object = names.object(entry);
    for name in exports[entry].keys() {
        let name = quoted(name);
        let _ = writeln!(code, "exports[{name}] = {object}[{name}];");
    }
    code.push_str("return exports;\n})({});\n");
    code
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
