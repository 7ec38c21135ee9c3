//! `ocap run --watch`: code that changes while a cluster lives, and crashes in the middle of that.

use rustix::process::Signal;
use serde_json::json;

use crate::authoring::{replace, write};
use crate::rig::Home;

const CLUSTER: &str = r#"{"bootstrap": "v", "vats": {"v": {"sourceSpec": "./v.ts"}}}"#;

/// A vat that counts, and says which version of it does.
fn version(number: u32) -> String {
    format!(
        "import {{ Far }} from '@endo/far';
import {{ add }} from './lib/add';
export function buildRootObject(_p: unknown, _q: unknown, baggage: Ocap.Baggage) {{
  if (!baggage.has('count')) baggage.init('count', 0);
  return Far('v', {{
    bootstrap() {{}},
    version: (): number => {number},
    count(): number {{
      baggage.set('count', add(baggage.get('count')));
      return baggage.get('count');
    }},
  }});
}}
"
    )
}

fn set_version(home: &Home, text: &str) {
    replace(home, "c/v.ts", text);
}

fn begin(home: &Home) {
    write(
        home,
        "c",
        &[
            ("cluster.json", CLUSTER),
            ("v.ts", &version(1)),
            ("lib/add.ts", "export const add = (x: number): number => x + 1;"),
        ],
    );
}

/// The root that `ocap run` has named.
fn root_in(line: &str) -> String {
    line.rsplit("root ").next().unwrap().trim_end_matches('.').to_owned()
}

#[test]
fn a_vat_runs_its_new_code_and_keeps_its_state() {
    let home = Home::new();
    begin(&home);
    let mut running = home.run(&home.beside("c/cluster.json"), &["--watch"], &[]);
    let root = root_in(&running.tells("Launched"));
    running.tells("Ctrl-C stops");
    assert_eq!(home.ask(&root, "count", json!([])), "#1");
    set_version(&home, &version(2));
    running.tells("runs its new code");
    assert_eq!(home.ask(&root, "version", json!([])), "#2");
    assert_eq!(home.ask(&root, "count", json!([])), "#2");
    // What it imports counts too, also in a folder that was not there before.
    write(&home, "c", &[("lib/deep/by.ts", "export const by = 10;")]);
    write(
        &home,
        "c",
        &[(
            "lib/add.ts",
            "import { by } from './deep/by';\nexport const add = (x: number): number => x + by;",
        )],
    );
    running.tells("runs its new code");
    assert_eq!(home.ask(&root, "count", json!([])), "#12");
    write(&home, "c", &[("lib/deep/by.ts", "export const by = 100;")]);
    running.tells("runs its new code");
    assert_eq!(home.ask(&root, "count", json!([])), "#112");
    // What cannot be read, or cannot start, leaves it as it is.
    set_version(&home, "export const x: = 1;");
    running.tells("Not reloaded: Failed to load the code of vat v: v.ts:1:17: ");
    assert_eq!(home.ask(&root, "count", json!([])), "#212");
    set_version(&home, "throw Error('at module level');");
    let told = running.tells("at module level");
    assert!(told.contains("goes on with the code it had"), "{told}");
    assert_eq!(home.ask(&root, "version", json!([])), "#2");
    assert_eq!(home.ask(&root, "count", json!([])), "#312");
    // A stored cluster whose code has changed is resumed with the new one.
    running.signal(Signal::KILL);
    running.ends();
    set_version(&home, &version(3));
    let said = home.ocap(&["run", "c/cluster.json"]);
    assert!(said.stderr.contains("--update"), "{said:?}");
    let mut running = home.run(&home.beside("c/cluster.json"), &["--update"], &[]);
    running.tells("runs its new code");
    running.tells("Ctrl-C stops");
    assert_eq!(home.ask(&root, "version", json!([])), "#3");
    assert_eq!(home.ask(&root, "count", json!([])), "#412");
}

/// Dies around each of its first commits while it gives a vat other code: good code, and code that
/// cannot start. The vat has the old code or the new one when it is back, and its state.
#[test]
fn a_kill_in_the_middle_gives_the_old_code_or_the_new() {
    let home = Home::new();
    begin(&home);
    let file = home.beside("c/cluster.json");
    let mut running = home.run(&file, &[], &[]);
    let root = root_in(&running.tells("Launched"));
    running.signal(Signal::INT);
    running.ends();
    let (mut now, mut counted, mut changed, mut kept) = (1, 0, 0, 0);
    for nth in 1..=5 {
        for (point, good) in
            [("before-commit", true), ("after-commit", false), ("after-commit", true)]
        {
            let next = now + 1;
            let bad = "throw Error('cannot start');".to_owned();
            set_version(&home, &if good { version(next) } else { bad });
            let armed = format!("{point}:{nth}");
            let mut running = home.run(&file, &["--update"], &[("OCAP_FAILPOINT", &armed)]);
            running.end_input();
            // It may have got through all of it.
            running.tells_or_ends("Ctrl-C stops");
            running.signal(Signal::KILL);
            running.ends();
            home.start();
            let found: u32 = home.ask(&root, "version", json!([]))[1..].parse().unwrap();
            assert!(found == now || (good && found == next), "{armed}: {found}, was {now}");
            counted += 1;
            assert_eq!(home.ask(&root, "count", json!([])), format!("#{counted}"), "{armed}");
            home.stop();
            home.assert_sound();
            changed += u32::from(found == next);
            kept += u32::from(good && found == now);
            now = found;
        }
    }
    // Both have been seen.
    assert!(changed > 0 && kept > 0, "{changed} {kept}");
}
