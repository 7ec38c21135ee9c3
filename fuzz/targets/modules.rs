//! Import specifiers, and modules that import each other.
#![no_main]

use std::path::Component;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use ocap_vat::engine::{ModuleSource, PreparedEngine};
use ocap_vat::quickjs::Prepared;

/// The files: what lies between the lines `---`, named `0.js` and so on.
struct Files(Vec<String>);

impl ModuleSource for Files {
    fn load(&self, referrer: &str, specifier: &str) -> Result<Option<(String, String)>, String> {
        let Some(path) = ocap_kernel::fuzzing::import(referrer, specifier) else {
            return Err("leads outside".into());
        };
        let parts: Vec<Component<'_>> = path.components().collect();
        assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
        let name = path.to_string_lossy().into_owned();
        let number: Option<usize> = name.strip_suffix(".js").and_then(|n| n.parse().ok());
        Ok(number.and_then(|n| self.0.get(n)).map(|text| (name, text.clone())))
    }
}

fuzz_target!(|text: &str| {
    let files = Files(text.split("---\n").map(str::to_owned).collect());
    for line in text.lines() {
        let (referrer, specifier) = line.split_once(' ').unwrap_or(("", line));
        let _ = files.load(referrer, specifier);
    }
    if let Ok(graph) = Box::new(Prepared::new().unwrap()).collect("0.js", Rc::new(files)) {
        // Every import leads to a module that is there.
        for module in graph.modules.values() {
            assert!(module.imports.values().all(|name| graph.modules.contains_key(name)));
        }
    }
});
