//! Module graphs.

use std::collections::HashMap;

use super::*;
use crate::engine::ModuleSource;

/// Files by name; specifiers that start with a dot mean files beside the root.
struct Files(HashMap<String, String>);

impl Files {
    fn new(list: &[(&str, &str)]) -> Rc<Self> {
        Rc::new(Files(list.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect()))
    }
}

impl ModuleSource for Files {
    fn load(&self, referrer: &str, specifier: &str) -> Result<Option<(String, String)>, String> {
        if specifier == "./forbidden.js" {
            return Err(format!("{referrer} may not read {specifier}"));
        }
        let name = specifier.trim_start_matches("./");
        if !referrer.is_empty() && !specifier.starts_with('.') {
            return Ok(None);
        }
        Ok(self.0.get(name).map(|text| (name.to_owned(), text.clone())))
    }
}

fn collect(files: &[(&str, &str)]) -> Result<ModuleGraph, String> {
    Box::new(Prepared::new().unwrap()).collect("main.js", Files::new(files))
}

#[test]
fn a_graph_holds_what_is_imported() {
    let graph = collect(&[
        (
            "main.js",
            "import { a } from './a.js'; import * as b from './b.js'; import { Far } from '@endo/far';
             export { c } from './a.js'; throw Error('must not run'); export const d = a + b + Far;",
        ),
        ("a.js", "import './b.js'; import './main.js'; export const a = 1, c = 2;"),
        ("b.js", "export default 1;"),
        ("unused.js", "(("),
    ])
    .unwrap();
    assert_eq!(graph.entry, "main.js");
    assert_eq!(graph.modules.keys().collect::<Vec<_>>(), ["a.js", "b.js", "main.js"]);
    let imports: Vec<_> = graph.modules["main.js"].imports.iter().collect();
    let expected = [("./a.js".to_owned(), "a.js".to_owned()), ("./b.js".into(), "b.js".into())];
    assert_eq!(imports, expected.iter().map(|(k, v)| (k, v)).collect::<Vec<_>>());
}

#[test]
fn errors_name_file_and_line() {
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("main.js", "import './a.js';"), ("a.js", "\n  let x = ;")], "a.js:2:"),
        (
            &[("main.js", "import 'left-pad';")],
            "module 'left-pad' not found: imported by main.js; built-ins are: @endo/",
        ),
        (
            &[("main.js", "import './gone.js';")],
            "module './gone.js' not found: imported by main.js",
        ),
        (&[("main.js", "import './forbidden.js';")], "main.js may not read ./forbidden.js"),
        (&[("main.js", "import x from './a.js' with { type: 'css' };")], "import attributes"),
    ];
    for (files, text) in cases {
        let error = collect(files).unwrap_err();
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(collect(&[]).unwrap_err(), "module 'main.js' not found");
}

#[test]
fn long_chains_and_deep_nests_do_not_overflow() {
    let names: Vec<String> = (0..900).map(|i| format!("m{i}.js")).collect();
    let texts: Vec<String> = (1..=900).map(|i| format!("import './m{i}.js';")).collect();
    let mut files: Vec<(&str, &str)> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    files.push(("main.js", "import './m0.js';"));
    files.push(("m900.js", ""));
    let graph = collect(&files).unwrap();
    assert_eq!(graph.modules.len(), 902);
    // It also runs.
    let code = VatCode::Modules(graph);
    let (_, report) = Bench::start_with(Rc::default(), code, data("1", &[]));
    let text = "main.js does not export a buildRootObject() function";
    assert_eq!(report.error.as_deref(), Some(text));
    // A ring of that length is more than the engine's loader can do; it says so.
    files.pop();
    files.push(("m900.js", "import './main.js';"));
    let code = VatCode::Modules(collect(&files).unwrap());
    let (_, report) = Bench::start_with(Rc::default(), code, data("1", &[]));
    assert!(report.error.is_some());
    let nested = "[".repeat(200_000);
    let error = collect(&[("main.js", &nested)]).unwrap_err();
    assert!(error.contains("main.js"), "{error}");
}

#[test]
fn graphs_are_limited() {
    struct Endless;
    impl ModuleSource for Endless {
        fn load(&self, referrer: &str, _: &str) -> Result<Option<(String, String)>, String> {
            let name = format!("{referrer}x");
            Ok(Some((name, "import './more.js';".into())))
        }
    }
    let error =
        Box::new(Prepared::new().unwrap()).collect("main.js", Rc::new(Endless)).unwrap_err();
    assert!(error.contains("more than"), "{error}");
}
