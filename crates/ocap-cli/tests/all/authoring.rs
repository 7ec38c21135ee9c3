//! Writing vats from source: TypeScript, packages, templates, and what is said of mistakes.

use std::path::Path;

use serde_json::json;

use crate::rig::{Home, repository};

/// Writes files below a folder beside the home.
pub(crate) fn write(home: &Home, folder: &str, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = home.beside(folder).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Gives a file other text, as editors do it: another file takes the place of the old one.
pub(crate) fn replace(home: &Home, file: &str, text: &str) {
    let draft = home.beside(&format!("{file}.new"));
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, home.beside(file)).unwrap();
}

/// The root of the cluster that `ocap launch` has just launched.
#[track_caller]
fn launch(home: &Home, file: &str) -> String {
    let launched = home.ok(&["launch", file]);
    let launched: serde_json::Value = serde_json::from_str(&launched).unwrap();
    launched["rootKref"].as_str().unwrap().to_owned()
}

#[test]
fn new_makes_a_cluster_that_can_be_checked_and_run() {
    let home = Home::new();
    home.start();
    for (name, flags) in [("ts", &[][..]), ("js", &["--js"])] {
        home.ok(&[&["new", name], flags].concat());
        let file = format!("{name}/cluster.json");
        home.ok(&["check", &file]);
        let root = launch(&home, &file);
        let greeting = "#\"Hello, Ann! You are visitor 1.\"";
        assert_eq!(home.ask(&root, "greet", json!(["Ann"])), greeting);
        assert!(home.beside(name).join("types/ocap.d.ts").is_file());
        let said = home.ocap(&["new", name]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("exists already"), "{said:?}");
    }
}

#[test]
fn vats_of_typescript_import_each_other_json_and_packages() {
    let home = Home::new();
    home.start();
    write(
        &home,
        "c",
        &[
            (
                "cluster.json",
                r#"{"bootstrap": "main", "vats": {"main": {"sourceSpec": "./src/main.ts"}}}"#,
            ),
            (
                "src/main.ts",
                "\
import { Far } from '@endo/far';
import { type Unit, double } from './double.js';
import data from '../data.json' with { type: 'json' };
import { greet } from 'greeter/en';
enum Level { Low = 1, High }
class Counter { constructor(private count: number) {} next(): number { return ++this.count; } }
export function buildRootObject(_p: Ocap.VatPowers, _q: unknown, baggage: Ocap.Baggage) {
  const counter = new Counter(Level.High as number);
  return Far('main', {
    bootstrap() {},
    all: (name: string): unknown[] => harden([double(counter.next()! as Unit), data, greet(name)]),
  });
}
",
            ),
            (
                "src/double.ts",
                "export type Unit = number;\nexport const double = (x: Unit): Unit => 2 * x;\n",
            ),
            ("data.json", r#"{"a": [1, "x"]}"#),
            (
                "node_modules/greeter/package.json",
                r#"{"type": "module", "exports": {"./*": {"require": "./no.cjs", "import": "./lib/*.js"}}}"#,
            ),
            (
                "node_modules/greeter/lib/en.js",
                "import { hi } from 'words';\nexport const greet = n => hi + n;\n",
            ),
            ("node_modules/words/package.json", r#"{"module": "w.js"}"#),
            ("node_modules/words/w.js", "export const hi = 'hi ';\n"),
            // Ours wins: with this one the vat's root would be nothing to hand out.
            ("node_modules/@endo/far/package.json", r#"{"type": "module", "exports": "./far.js"}"#),
            ("node_modules/@endo/far/far.js", "export const Far = () => 1;\n"),
        ],
    );
    let root = launch(&home, "c/cluster.json");
    assert_eq!(home.ask(&root, "all", json!(["you"])), r#"#[6,{"a":[1,"x"]},"hi you"]"#);
    // What was read is stored: the files are not looked at again.
    std::fs::remove_dir_all(home.beside("c")).unwrap();
    home.kill();
    home.start();
    assert_eq!(home.ask(&root, "all", json!(["you"])), r#"#[6,{"a":[1,"x"]},"hi you"]"#);
}

#[test]
fn check_tells_of_every_vat_what_is_wrong_and_where() {
    let home = Home::new();
    write(
        &home,
        "c",
        &[
            (
                "cluster.json",
                r#"{"bootstrap": "good", "vats": {
            "good": {"sourceSpec": "./good.ts"},
            "syntax": {"sourceSpec": "./syntax.ts"},
            "import": {"sourceSpec": "./import.ts"},
            "common": {"sourceSpec": "./common.js"},
            "decorated": {"sourceSpec": "./decorated.ts"},
            "deep": {"sourceSpec": "./deep.ts"},
            "json": {"sourceSpec": "./json.js"},
            "gone": {"sourceSpec": "./gone.ts"},
            "outside": {"sourceSpec": "./outside.ts"},
            "misnamed": {"sourceSpec": "./misnamed.ts"},
            "builtin": {"sourceSpec": "./builtin.js"},
            "rootless": {"sourceSpec": "./rootless.js"},
            "throwing": {"sourceSpec": "./throwing.js"},
            "bundle": {"bundleSpec": "./bad.bundle"},
            "fine": {"bundleSpec": "./fine.bundle"}
        }}"#,
            ),
            ("good.ts", "export const buildRootObject = (): unknown => 1;"),
            ("syntax.ts", "const x: number = 1;\n  let y: = 2;\n"),
            ("import.ts", "import { x } from './lib/none';\nx;"),
            ("common.js", "import x from 'common'; x;"),
            ("node_modules/common/package.json", "{}"),
            ("node_modules/common/index.js", "module.exports = 1;"),
            ("decorated.ts", "class A {\n  @d m() {}\n}"),
            ("deep.ts", &"(".repeat(2_000_000)),
            ("json.js", "import './data.json';"),
            ("data.json", "{\"a\":\n x}"),
            ("outside.ts", "import '../secret.js';"),
            ("../secret.js", "1"),
            ("misnamed.ts", "import { lost } from './good';\nexport const buildRootObject = lost;"),
            (
                "builtin.js",
                "import { Fur } from '@endo/far'; export const buildRootObject = () => Fur();",
            ),
            ("rootless.js", "export const root = 1;"),
            // Nothing of it runs.
            (
                "throwing.js",
                "import { Far } from '@endo/far'; import * as d from '@ocap/discovery';
                import './ocap-stop';
                export const buildRootObject = () => Far('x', d); throw Error('it ran');",
            ),
            ("ocap-stop", "throw Error('it ran');"),
            ("bad.bundle", "{\"moduleFormat\": \"iife\", \"code\": \"var x = \\n ;\"}"),
            ("fine.bundle", "{\"moduleFormat\": \"iife\", \"code\": \"var __vatExports__ = {};\"}"),
        ],
    );
    let said = home.ocap(&["check", "c/cluster.json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for wanted in [
        "vat good: ok",
        "vat syntax: syntax.ts:2:10: ",
        "vat import: import \"./lib/none\" in import.ts: there is no file lib/none",
        "vat common: import \"common\" in common.js: node_modules/common/index.js is a CommonJS module",
        "vat decorated: decorated.ts:2:3: decorators are not supported",
        "vat deep: the code loader failed: ",
        "vat json: data.json:2:2: ",
        "vat gone: cannot read ",
        "vat outside: import \"../secret.js\" in outside.ts leads outside ",
        "vat bundle: bundle.js:2:",
        "vat misnamed: SyntaxError: Could not find export 'lost' in module 'good.ts'",
        "vat builtin: SyntaxError: Could not find export 'Fur' in module '@endo/far'",
        "vat rootless: SyntaxError: Could not find export 'buildRootObject' in module 'rootless.js'",
        "vat throwing: ok",
        "vat fine: ok",
        "c/cluster.json: 12 problems",
    ] {
        assert!(said.stderr.contains(wanted), "{wanted}\n{}", said.stderr);
    }
}

#[test]
fn stacks_name_the_lines_of_the_source() {
    let home = Home::new();
    home.start();
    write(
        &home,
        "c",
        &[
            ("cluster.json", r#"{"bootstrap": "v", "vats": {"v": {"sourceSpec": "./v.ts"}}}"#),
            (
                "v.ts",
                "\
import { fail } from './fail.ts';
interface Unused {
  a: number;
}
export const buildRootObject = (): object => fail<object>('here' as string);
const x: Unused = { a: fail('at module level') };
",
            ),
            (
                "fail.ts",
                "type T = 1;\n\nexport const fail = <T>(a: string): T => {\n  throw Error(a);\n};\n",
            ),
        ],
    );
    let said = home.ocap(&["launch", "c/cluster.json"]);
    assert!(said.stderr.contains("at module level"), "{said:?}");
    let log = home.log();
    assert!(log.contains("fail.ts:4:") && log.contains("v.ts:6:"), "{log}");
}

#[test]
fn the_example_in_typescript_runs() {
    let home = Home::new();
    home.start();
    let file = repository().join("examples/auction/cluster.json");
    assert!(Path::new(&file).is_file());
    home.ok(&["check", file.to_str().unwrap()]);
    let root = launch(&home, file.to_str().unwrap());
    assert_eq!(home.ask(&root, "bid", json!(["Ann", 5])), "#true");
    assert_eq!(home.ask(&root, "bid", json!(["Bob", 4])), "#false");
    home.kill();
    home.start();
    assert_eq!(home.ask(&root, "bid", json!(["Bob", 6])), "#true");
    assert_eq!(home.ask(&root, "leader", json!([])), r#"#{"amount":6,"bidder":"Bob"}"#);
}
