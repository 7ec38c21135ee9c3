//! What is printed while vats are written: `new`, `check`, `bundle`, `watch`, `serve` and `start`.

use std::net::TcpListener;

use crate::authoring::{replace, write};
use crate::picture::Picture;
use crate::rig::Home;

const GOOD: &str = "export const buildRootObject = () => 1;\n";

#[test]
fn a_cluster_is_made_and_checked() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    picture.ocap(&["new", "shop"]);
    picture.ocap(&["new", "js-shop", "--js"]);
    picture.ocap(&["new", "shop"]);
    picture.ocap(&["new", "none/shop"]);
    picture.ocap(&["new", ".."]);
    picture.ocap(&["check", "shop/cluster.json"]);
    write(
        &home,
        "c",
        &[
            (
                "cluster.json",
                r#"{"bootstrap": "fine", "vats": {
            "bundle": {"bundleSpec": "./bad.bundle"},
            "common": {"sourceSpec": "./common.js"},
            "fine": {"sourceSpec": "./fine.js"},
            "gone": {"sourceSpec": "./gone.ts"},
            "import": {"sourceSpec": "./import.ts"},
            "json": {"sourceSpec": "./json.js"},
            "outside": {"sourceSpec": "./outside.ts"},
            "syntax": {"sourceSpec": "./syntax.ts"},
            "types": {"sourceSpec": "./types.ts"}
        }}"#,
            ),
            ("bad.bundle", "{\"moduleFormat\": \"iife\", \"code\": \"var x = \\n ;\"}"),
            ("common.js", "import x from 'common'; x;"),
            ("node_modules/common/package.json", "{}"),
            ("node_modules/common/index.js", "module.exports = 1;"),
            ("fine.js", GOOD),
            ("import.ts", "\nimport { x } from './lib/none';\nx;"),
            ("json.js", "import './data.json';"),
            ("data.json", "{\"a\":\n x}"),
            ("outside.ts", "import '../secret.js';"),
            ("../secret.js", "1"),
            ("syntax.ts", "const x: number = 1;\n  let y: = 2;\n"),
            ("types.ts", "class A {\n  @d m() {}\n}"),
            ("one.json", r#"{"bootstrap": "fine", "vats": {"fine": {"sourceSpec": "./none.js"}}}"#),
            (
                "nobody.json",
                r#"{"bootstrap": "main", "vats": {"fine": {"sourceSpec": "./fine.js"}}}"#,
            ),
            ("text.json", "{\"bootstrap\":\n fine}"),
            ("shape.json", r#"{"bootstrap": "fine", "vats": {"fine": {"sourceSpec": 5}}}"#),
            ("empty.json", "{}"),
        ],
    );
    picture.then("a cluster in which most is wrong");
    picture.ocap(&["check", "c/cluster.json"]);
    picture.then("configs that are none");
    for file in ["one", "nobody", "text", "shape", "empty", "none"] {
        picture.ocap(&["check", &format!("c/{file}.json")]);
    }
    picture.ocap(&["check", "c"]);
    picture.is("new_and_check");
}

#[test]
fn bundles_are_made() {
    let home = Home::new();
    write(
        &home,
        "b",
        &[
            ("good.ts", GOOD),
            ("other.js", "import './good.ts';"),
            ("broken.ts", "import { none } from './good.ts'; none;"),
            ("empty/notes.txt", ""),
        ],
    );
    let mut picture = Picture::of(&home);
    picture.ocap(&["bundle", "b/good.ts", "b/other.js"]);
    picture.ocap(&["bundle", "b"]);
    picture.ocap(&["bundle", "b/broken.ts"]);
    picture.ocap(&["bundle", "b/empty"]);
    write(&home, "w", &[("said.js", "export const text = 'import(x)';"), ("made.bundle/x", "")]);
    std::fs::copy(home.beside("b/good.ts"), home.beside("w/made.ts")).unwrap();
    picture.ocap(&["bundle", "w"]);
    picture.ocap(&["bundle", "b/empty/notes.txt", "b/none.js"]);
    picture.is("bundle");
}

#[test]
fn bundles_are_kept_and_served() {
    let home = Home::new();
    write(&home, "b", &[("good.ts", GOOD)]);
    // The bundle is a change too, after which it may be looked at once more.
    let mut picture = Picture::of(&home).with(r"(! b/good\.ts: .*\n)+", "$1");
    picture.going(&["watch", "b"], |going| {
        going.tells("Wrote b/good.bundle", 1);
        replace(&home, "b/good.ts", "let x: = 1;");
        going.tells("b/good.ts: ", 1);
        replace(&home, "b/good.ts", "export const x = 2;");
        going.tells("Wrote b/good.bundle", 2);
        std::fs::remove_file(home.beside("b/good.ts")).unwrap();
        going.tells("Removed b/good.bundle", 1);
    });
    picture.ocap(&["watch", "none"]);
    write(&home, "b", &[("good.ts", GOOD)]);
    picture.going(&["serve", "b", "-p", "0"], |going| going.tells("Serving", 1));
    picture.ocap(&["serve", "none", "-p", "0"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    picture = picture.with(&format!(r"\b{port}\b"), "[port]");
    picture.ocap(&["serve", "b", "-p", &port]);
    picture.going(&["start", "b", "-p", "0"], |going| going.tells("Wrote b/good.bundle", 1));
    picture.ocap(&["start", "b", "-p", &port]);
    picture.ocap(&["start", "none"]);
    picture.is("watch_and_serve");
}
