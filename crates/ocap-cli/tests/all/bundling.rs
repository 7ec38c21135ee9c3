//! `ocap bundle`, `watch`, `serve` and `start`: bundles that we make run here and in the reference.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::authoring::write;
use crate::rig::{Home, PATIENCE, eventually, repository};

const VAT: &str = "\
// A vat; it does not import('x') anything.
import { E, Far } from '@endo/far';
import greet, * as words from './lib/words.js';
import { odd } from './lib/odd.js';

export const buildRootObject = (_powers: unknown, parameters: { name: string }): object => {
  const root = Far('root', {
    bootstrap: () => E(root).greet('you'),
    greet: (whom: string): string => `${greet(whom)} from ${parameters.name}, ${words.count}`,
    isOdd: (n: number): boolean => odd(n),
  });
  return root;
};
";

const FILES: [(&str, &str); 6] = [
    ("package.json", "{}"),
    ("vat.ts", VAT),
    (
        "lib/words.js",
        "export let count = 0;\nexport default function (x) { count += 1; return `hi ${x}`; }\n",
    ),
    // In a circle: function declarations are there before either has run.
    (
        "lib/odd.js",
        "import { even } from './even.js';\nexport function odd(n) { return n > 0 && even(n - 1); }\n",
    ),
    (
        "lib/even.js",
        "import { odd } from './odd.js';\nconst known = odd(1) === true;\n\
         export function even(n) { return n === 0 || (known !== 0 && odd(n - 1)); }\n",
    ),
    ("broken.ts", "import { nothing } from './lib/odd.js'; nothing;"),
];

fn read(home: &Home, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home.beside(name)).unwrap()).unwrap()
}

#[test]
fn a_bundle_of_typescript_runs_here() {
    let home = Home::new();
    home.start();
    write(&home, "b", &FILES);
    let said = home.ocap(&["bundle", "b/vat.ts"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let bytes = std::fs::read(home.beside("b/vat.bundle")).unwrap();
    assert!(
        said.stderr.contains(&format!("Wrote b/vat.bundle: {} bytes", bytes.len())),
        "{said:?}"
    );
    let bundle = read(&home, "b/vat.bundle");
    assert_eq!(bundle["moduleFormat"], "iife");
    assert_eq!(bundle["exports"], json!(["buildRootObject"]));
    assert_eq!(bundle["external"], json!([]));
    let code = bundle["code"].as_str().unwrap();
    assert!(!code.contains("import") && !code.contains("//"), "{code}");
    // The same each time.
    home.ok(&["bundle", "b/vat.ts"]);
    assert_eq!(std::fs::read(home.beside("b/vat.bundle")).unwrap(), bytes);
    let root = home.launch(&json!({"bootstrap": "v", "vats": {"v": {
        "bundleSpec": home.beside("b/vat.bundle"), "parameters": {"name": "v"},
    }}}));
    assert_eq!(home.ask(&root, "greet", json!(["Ann"])), "#\"hi Ann from v, 2\"");
    assert_eq!(home.ask(&root, "isOdd", json!([7])), "#true");
}

#[test]
fn a_folder_means_its_sources_and_one_that_fails_stops_no_other() {
    let home = Home::new();
    write(&home, "b", &FILES);
    write(&home, "b", &[("types.d.ts", "export type T = 1;"), ("plain.js", "export default 1;")]);
    let said = home.ocap(&["bundle", "b"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("b/broken.ts: broken.ts:1:10: lib/odd.js does not export nothing")
    );
    assert!(said.stderr.contains("1 of 3 bundles not made"), "{said:?}");
    let mut made: Vec<_> = std::fs::read_dir(home.beside("b"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("bundle"))
        .collect();
    made.sort();
    assert_eq!(made, ["plain.bundle", "vat.bundle"]);
}

/// Under SES in Node, by the steps of the reference's loader. Without the npm packages of
/// `fixtures/ses` this says so and passes, unless `OCAP_REQUIRE_FIXTURES=1`.
#[test]
fn a_bundle_of_typescript_runs_under_ses() {
    let fixture = repository().join("fixtures/ses");
    if !fixture.join("node_modules/ses/package.json").exists() {
        let required = std::env::var("OCAP_REQUIRE_FIXTURES").is_ok_and(|value| value == "1");
        assert!(!required, "run `npm ci` in fixtures/ses");
        eprintln!("skipped: no npm packages (npm ci in fixtures/ses)");
        return;
    }
    let home = Home::new();
    write(&home, "b", &FILES);
    home.ok(&["bundle", "b/vat.ts"]);
    let output = Command::new("node")
        .arg(fixture.join("load.mjs"))
        .arg(home.beside("b/vat.bundle"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), r#"["hi Ann from ses, 1",true,"remotable"]"#);
}

/// What a server answers to one request: the head, and the body.
fn get(address: &str, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

#[test]
fn start_keeps_bundles_as_their_sources_are_and_serves_them_and_nothing_else() {
    let home = Home::new();
    write(&home, "b", &FILES);
    write(&home, "b", &[("secret.txt", "secret")]);
    write(&home, ".", &[("outside.bundle", "{}")]);
    std::os::unix::fs::symlink("../outside.bundle", home.beside("b/link.bundle")).unwrap();
    let mut running = home.foreground(&["start", "b", "-p", "0"]);
    let serving = running.tells("Serving bundles of b at http://127.0.0.1:");
    let address = serving.rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
    running.tells("Wrote b/vat.bundle");
    let (head, body) = get(&address, "GET /vat.bundle");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, std::fs::read(home.beside("b/vat.bundle")).unwrap());
    for header in ["access-control-allow-origin: *", "cache-control: no-cache", "application/json"]
    {
        assert!(head.contains(header), "{header}: {head}");
    }
    for request in [
        "GET /",
        "GET /secret.txt",
        "GET /vat.ts",
        "GET /none.bundle",
        "GET /link.bundle",
        "GET /../outside.bundle",
        "GET /%2e%2e/outside.bundle",
        "GET //etc/x.bundle",
        "POST /vat.bundle",
    ] {
        let (head, _) = get(&address, request);
        assert!(head.starts_with("http/1.1 404"), "{request}: {head}");
    }
    // Others go on while one says nothing.
    let silent = TcpStream::connect(&address).unwrap();
    let changed = VAT.replace("'you'", "'them'");
    write(&home, "b", &[("vat.ts", &changed)]);
    running.tells("Wrote b/vat.bundle");
    let (_, body) = get(&address, "GET /vat.bundle");
    assert!(String::from_utf8(body).unwrap().contains("'them'"));
    drop(silent);
    std::fs::remove_file(home.beside("b/vat.ts")).unwrap();
    running.tells("Removed b/vat.bundle");
    eventually("the bundle is gone", || {
        get(&address, "GET /vat.bundle").0.starts_with("http/1.1 404")
    });
}
