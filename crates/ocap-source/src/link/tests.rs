use super::*;

/// Modules by name; specifiers are their names.
fn units(files: &[(&str, &str)]) -> Result<Linked, String> {
    let imports: BTreeMap<String, String> =
        files.iter().map(|(name, _)| (format!("./{name}"), (*name).to_owned())).collect();
    let all: Vec<_> =
        files.iter().map(|&(name, source)| Unit { name, source, imports: &imports }).collect();
    link(files[0].0, &all)
}

#[track_caller]
fn code(files: &[(&str, &str)]) -> String {
    units(files).unwrap_or_else(|error| panic!("{error}")).code
}

#[test]
fn imported_names_are_read_where_they_are_exported() {
    let code = code(&[
        (
            "a",
            "import d, { b as c, 'x y' as e } from './b'; import * as n from './b'\nlet o = { c }\n\
               c(d, e, n.b, o.c)\nc`t`; new c; { let c; c }\nexport { c as z }; export default 1;",
        ),
        (
            "b",
            "export const b = 1, { f, g: [h] } = {}; export { b as 'x y' }; export default class {}",
        ),
    ]);
    for wanted in [
        "let o = { c: __m1.b }",
        ";(0, __m1.b)(__m1.default, __m1[\"x y\"], __m1.b, o.c)",
        ";(0, __m1.b)`t`; new __m1.b; { let c; c }",
        "get [\"z\"]() { return __m1.b; }",
        "const __d = 1;",
        "get [\"f\"]() { return f; }, get [\"h\"]() { return h; }",
        "class __d {}",
        "exports[\"z\"] = __m0[\"z\"];",
    ] {
        assert!(code.contains(wanted), "{wanted}: {code}");
    }
}

#[test]
fn what_a_hardened_realm_refuses_does_not_get_in() {
    let linked = units(&[(
        "a",
        "// import('x')\nlet x = /* import(\n) */ import('y'), y = import(x);\
         if (process.env.NODE_ENV !== 'production') y;\nlet z = \"import (x)\";",
    )])
    .unwrap();
    assert!(linked.code.contains("let x = \n Promise.resolve({}), y = Promise.reject("));
    assert!(linked.code.contains("if (\"production\" !== 'production')"), "{}", linked.code);
    assert!(!linked.code.contains("//"), "{}", linked.code);
    assert!(linked.warnings[0].starts_with("a:3:"), "{:?}", linked.warnings);
    assert!(linked.warnings[1].contains("which SES refuses"), "{:?}", linked.warnings);
}

#[test]
fn everything_of_another_module_can_be_exported() {
    let linked = units(&[
        ("a", "export * from './b'; export * as n from './b'; export const x = 1;"),
        ("b", "export * from './c'; export * from './a'; export let x = 2, y; export default 3;"),
        ("c", "export let z = 4;"),
    ])
    .unwrap();
    assert_eq!(linked.exports, ["n", "x", "y", "z"]);
}

#[test]
fn what_cannot_be_linked_says_where() {
    for (files, wanted) in [
        (
            &[("a", "\n import { x } from './b';"), ("b", "export {}")][..],
            "a:2:11: b does not export x",
        ),
        (&[("a", "export { x } from './b';"), ("b", "")], "a:1:10: b does not export x"),
        (&[("a", "import './c';")], "a:1:8: there is no module ./c"),
        (&[("a", "let x = ;")], "a:1:9: "),
        (&[("a", "await 1;")], "a:1:1: a bundle is a script"),
        (
            &[("a", "import { x } from './b'; x = 1"), ("b", "export let x")],
            "a:1:26: x is imported",
        ),
    ] {
        let error = units(files).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn our_names_are_nobody_elses_and_the_same_each_time() {
    let files = [("a", "import { x } from './b'; x; let __m1, ___d;"), ("b", "export let x;")];
    assert!(code(&files).contains("____m1.x"), "{}", code(&files));
    assert_eq!(code(&files), code(&files));
}
