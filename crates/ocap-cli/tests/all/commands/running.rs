//! What `ocap run` and `ocap launch` say: of clusters that come, come back, change, and fail.

use rustix::process::Signal;
use serde_json::json;

use crate::authoring::{replace, write};
use crate::picture::{Going, Picture};
use crate::rig::{Home, eventually, vat};

const READY: &str = "Ctrl-C stops";

fn version(number: u32) -> String {
    format!(
        "import {{ Far }} from '@endo/far';\n\
         export const buildRootObject = () =>\n  \
         Far('root', {{ bootstrap() {{}}, version: () => {number} }});\n"
    )
}

#[test]
fn a_cluster_runs_comes_back_and_changes() {
    let home = Home::new();
    let cluster = r#"{"bootstrap": "v", "vats": {"v": {"sourceSpec": "./v.js"}},
        "io": {"line": {"type": "socket", "path": "line.sock"}, "desk": {"type": "console"}}}"#;
    let other = cluster.replace(r#", "desk": {"type": "console"}"#, "");
    write(
        &home,
        "shop",
        &[("cluster.json", cluster), ("other.json", &other), ("v.js", &version(1))],
    );
    let file = "shop/cluster.json";
    let ready = |going: &Going| going.tells(READY, 1);
    let mut picture = Picture::of(&home);
    picture.going(&["run", file], ready);
    picture.going(&["run", file], ready);
    picture.then("its socket is there, and another wants one in the same place");
    picture.ocap(&["run", "shop/other.json", "--name", "other"]);
    picture.then("its code changes");
    write(&home, "shop", &[("v.js", &version(2))]);
    picture.ocap(&["run", file]);
    picture.going(&["run", file, "--update"], ready);
    picture.then("it changes again, and while it is watched");
    write(&home, "shop", &[("v.js", &version(3))]);
    picture.going(&["run", file, "--watch"], |going| {
        going.tells(READY, 1);
        replace(&home, "shop/v.js", &version(4));
        going.tells("runs its new code", 2);
        replace(&home, "shop/v.js", "export const x: = 1;");
        going.tells("Not reloaded", 1);
        replace(&home, "shop/v.js", "throw Error('at module level');");
        going.tells("at module level", 1);
        replace(&home, "shop/cluster.json", &cluster.replace("desk", "table"));
        going.tells("Not reloaded", 2);
    });
    picture.then("its config has changed");
    write(&home, "shop", &[("v.js", &version(5))]);
    picture.ocap(&["run", file]);
    picture.ocap(&["run", file, "--update"]);
    picture.going(&["run", file, "--replace"], ready);
    picture.is("run");
    home.assert_sound();
}

#[test]
fn a_cluster_that_cannot_run_says_why() {
    let home = Home::new();
    let cluster = r#"{"bootstrap": "v", "vats": {"v": {"sourceSpec": "./v.js"}}}"#;
    let clock =
        r#"{"bootstrap": "v", "vats": {"v": {"sourceSpec": "./good.js", "globals": ["Date"]}}}"#;
    let line = json!({
        "bootstrap": "v", "vats": {"v": {"sourceSpec": "./good.js"}},
        "io": {"line": {"type": "socket", "path": home.beside("folder/line.sock")}},
    });
    write(
        &home,
        "shop",
        &[
            ("cluster.json", cluster),
            ("clock.json", clock),
            ("good.js", &version(1)),
            ("line.json", &line.to_string()),
            (
                "slow.json",
                r#"{"bootstrap": "slow", "vats": {"slow": {"sourceSpec": "./slow.js"}}}"#,
            ),
            (
                "slow.js",
                "import { Far } from '@endo/far';\nexport const buildRootObject = () =>\n  \
                 Far('slow', { bootstrap: () => new Promise(() => {}) });\n",
            ),
            ("v.js", "throw Error('at module level');"),
            ("nobody.json", &cluster.replace("\"v\", \"vats\"", "\"w\", \"vats\"")),
            ("none.json", &cluster.replace("v.js", "none.js")),
        ],
    );
    let mut picture = Picture::of(&home);
    for file in ["cluster", "nobody", "none", "no"] {
        picture.ocap(&["run", &format!("shop/{file}.json")]);
    }
    picture.then("a vat that may not have any more what it asks for");
    picture.going(&["run", "shop/clock.json"], |going| going.tells(READY, 1));
    std::fs::write(home.files.config(), "[vats]\nallowed_globals = [\"URL\"]\n").unwrap();
    picture.going(&["run", "shop/clock.json"], |going| going.tells(READY, 1));
    picture.then("a socket in a folder that has gone");
    std::fs::create_dir(home.beside("folder")).unwrap();
    picture.going(&["run", "shop/line.json", "--name", "line"], |going| going.tells(READY, 1));
    std::fs::remove_dir(home.beside("folder")).unwrap();
    picture.going(&["run", "shop/line.json", "--name", "line"], |going| going.tells(READY, 1));
    picture.then("a kernel that runs in the background");
    home.start();
    picture.ocap(&["run", "shop/clock.json"]);
    home.stop();
    picture.then("it is told to stop while its vat has not come to an answer");
    std::fs::remove_file(home.files.config()).unwrap();
    picture.going(&["run", "shop/slow.json", "--name", "slow"], |_| {
        eventually("its vat is there", || {
            let status = home.rpc("getStatus", json!([])).unwrap_or_default();
            status["vats"]
                .as_array()
                .is_some_and(|vats| vats.iter().any(|vat| vat["name"] == "slow"))
        });
    });
    picture.then("settings that cannot be used");
    std::fs::write(home.files.config(), "[vats]\nallowed_globals = [\"Clock\"]\n").unwrap();
    picture.ocap(&["run", "shop/clock.json"]);
    picture.is("run_in_vain");
}

#[test]
fn clusters_are_launched_in_the_background() {
    let home = Home::new();
    let config = json!({
        "bootstrap": "a", "vats": {"a": {"sourceSpec": vat("counter.js"), "parameters": 5},
        "b": {"sourceSpec": vat("counter.js")}},
    });
    write(
        &home,
        "c",
        &[
            ("cluster.json", &config.to_string()),
            ("bad.json", r#"{"bootstrap": "v", "vats": {"v": {"sourceSpec": "./v.js"}}}"#),
            ("v.js", "export const buildRootObject = () => { throw Error('no way'); };"),
            ("nobody.json", r#"{"bootstrap": "w", "vats": {"v": {"sourceSpec": "./v.js"}}}"#),
            ("text.json", "bootstrap: v"),
            (
                "desk.json",
                r#"{"bootstrap": "v", "vats": {"v": {"sourceSpec": "./v.js"}},
                    "io": {"desk": {"type": "console"}}}"#,
            ),
        ],
    );
    let mut picture = Picture::of(&home);
    let launched = picture.ocap(&["launch", "c/cluster.json"]);
    assert!(launched.stdout.contains("\"subclusterId\":\"s1\""), "{launched:?}");
    picture.ocap(&["launch", "c/cluster.json", "--name", "shop", "--parameter", "b.name=Bob"]);
    picture.ocap(&["send", "ko7", "name"]);
    for parameter in ["b", "c.name=Bob", "a.name=Bob"] {
        picture.ocap(&["launch", "c/cluster.json", "--parameter", parameter]);
    }
    for file in ["bad", "nobody", "text", "none"] {
        picture.ocap(&["launch", &format!("c/{file}.json")]);
    }
    picture.then("a console where there is no terminal");
    picture.ocap(&["launch", "c/desk.json"]);
    picture.ocap(&["ls"]);
    picture.is("launch");
    home.files.signal(Signal::TERM).unwrap();
}
