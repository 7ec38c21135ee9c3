//! What is seen on a terminal of 80 columns: tables cut to it, colours, what is written over, and
//! pages that go again.

use serde_json::json;

use crate::picture::Picture;
use crate::rig::{Home, vat};

fn home_with_a_shop() -> Home {
    let home = Home::new();
    home.start();
    home.launch(&json!({
        "name": "a_shop_with_a_name_for_which_there_is_hardly_any_room_in_a_table",
        "bootstrap": "till",
        "vats": {"till": {"sourceSpec": vat("counter.js")},
                 "shelf": {"sourceSpec": vat("counter.js")}},
        "io": {"line": {"type": "socket", "path": "line.sock"}},
    }));
    home
}

#[test]
fn tables_have_colours_and_fit_the_terminal() {
    let home = home_with_a_shop();
    home.ok(&["send", "ko5", "make"]);
    // Where a name is cut depends on how wide the other columns are.
    let mut picture = Picture::of(&home)
        .with(r"(\S) {2,}", "$1  ")
        .with(r"running›  \d+", "running›  [cranks]")
        .with(r"a_shop_\w*…", "a_shop_…");
    picture.then("NO_COLOR is set");
    picture.seen_with(&["ls"], &[("NO_COLOR", "1")]);
    picture.then("it is not");
    for args in [
        &["ls"][..],
        &["vats"],
        &["io"],
        &["refs"],
        &["refs", "--json"],
        &["inspect", "ko5"],
        &["daemon", "status"],
        &["url", "ls"],
        &["send", "ko5", "echo", r#"[{"a":[1,"\u001b[2J"]}]"#],
        &["send", "ko5", "boom"],
        &["trace", "-n", "1"],
        &["daemon", "stop"],
        &["ls"],
    ] {
        picture.seen(args);
    }
    picture.is("screens");
}

#[test]
fn help_and_mistakes_have_colours() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    picture.seen(&["--help"]);
    picture.seen(&["send", "--help"]);
    picture.seen(&["lunch"]);
    picture.seen(&["doctor"]);
    picture.is("screens_of_help");
}

#[test]
fn what_takes_long_is_seen_and_written_over() {
    let home = home_with_a_shop();
    let mut picture = Picture::of(&home)
        .with(r"\d+ rows", "[n] rows")
        .with(r"\d+ %", "[n] %")
        // How often it says so depends on the machine.
        .with(r"(␍Waiting for the answer\.\.\. \[time\]␛\[K)+", "$1")
        .with(r"(␍␛\[K(Copying|Reading|Writing)\.\.\. \[n\] (%|rows))+", "$1");
    picture.written(&["send", "ko5", "never", "--timeout", "2"]);
    // So much that it is told how far it has come.
    let source = format!(
        "// {}\nimport {{ Far }} from '@endo/far';\n\
         export const buildRootObject = (_powers, _parameters, baggage) => Far('crowd', {{\n  \
         bootstrap() {{ for (let n = 0; n < 1500; n += 1) baggage.init(`n${{n}}`, n); }},\n}});\n",
        "x".repeat(3_000_000)
    );
    std::fs::write(home.beside("crowd.js"), source).unwrap();
    let crowd = json!({"sourceSpec": home.beside("crowd.js")});
    home.launch(&json!({"bootstrap": "crowd", "vats": {"crowd": crowd}}));
    home.stop();
    picture.written(&["backup", "copy.sqlite"]);
    picture.written(&["export", "state.jsonl"]);
    picture.written(&["--home", "other", "restore", "copy.sqlite"]);
    picture.written(&["--home", "third", "import", "state.jsonl"]);
    picture.written(&["doctor"]);
    picture.is("screens_of_progress");
}

#[test]
fn top_takes_the_whole_screen_and_gives_it_back() {
    let home = home_with_a_shop();
    let mut picture = Picture::of(&home)
        .with(r"(\S) {2,}", "$1  ")
        .with(r"a_shop_\w*…", "a_shop_…")
        .with(r"\d+ cranks/s", "[n] cranks/s")
        .with(r"(running›  )\d+(  \[share\]  \[size\])  \d+  \d+  \d+", "$1[n]$2  ...")
        .with(r"v[12]  (till|shelf) ", "[vat] ");
    picture.attended(&["top"], |terminal| {
        terminal.shows("q quits");
        let screen = terminal.screen();
        terminal.press("q");
        screen
    });
    picture.seen(&["top", "--once"]);
    picture.is("screens_of_top");
}

#[test]
fn somebody_talks_with_an_object() {
    let home = home_with_a_shop();
    let mut picture = Picture::of(&home);
    picture.attended(&["repl", "ko5"], |terminal| {
        terminal.prompts("ko5>");
        for (line, answer, prompt) in [
            ("echo 5 \"x\"\r", "$1 = ", "ko5>"),
            ("pnig\r", "did you mean ping?", "ko5>"),
            ("make\r", "$2 = ", "ko5>"),
            (".use $2\r", "ko7>", "ko7>"),
            ("hel\t\r", "$3 = ", "ko7>"),
            (".help\r", "so does Ctrl-D", "ko7>"),
        ] {
            terminal.press(line);
            terminal.shows(answer);
            terminal.prompts(prompt);
        }
        terminal.press("\u{4}");
        terminal.ends();
        terminal.screen()
    });
    picture.is("screens_of_repl");
}

#[test]
fn a_kernel_runs_on_a_terminal() {
    let home = Home::new();
    let file = crate::rig::guestbook();
    // When the vat says so has nothing to do with when the kernel tells of the rest.
    let mut picture = Picture::of(&home).with(r"(?m)^The guestbook is open.*\n", "");
    picture.attended(&["run", file.to_str().unwrap()], |terminal| {
        terminal.shows("Ctrl-C stops");
        terminal.shows("The guestbook is open");
        terminal.press("Ann\r");
        terminal.shows("Welcome, Ann!");
        terminal.signal(rustix::process::Signal::INT);
        terminal.ends();
        terminal.screen()
    });
    picture.is("screens_of_run");
}
