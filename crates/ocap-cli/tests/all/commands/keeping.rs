//! What is printed by those who look after a state: `doctor`, `backup`, `restore`, `export`, `import`
//! and `daemon purge`.

use crate::doctor::alter;
use crate::picture::Picture;
use crate::rig::Home;

/// A home in which a counter has been, and the kernel has ended.
fn kept() -> Home {
    let home = Home::new();
    home.start();
    home.launch_counter();
    home.stop();
    home
}

/// A copy of its store with rows that nothing explains.
fn damaged(home: &Home, name: &str, keys: &[&str]) {
    let copy = home.beside(name);
    std::fs::copy(home.files.database(), &copy).unwrap();
    for key in keys {
        alter(&copy, key, Some("1"));
    }
}

#[test]
fn a_store_is_examined() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    picture.ocap(&["doctor"]);
    picture.then("a counter is launched");
    home.start();
    home.launch_counter();
    picture.ocap(&["doctor"]);
    picture.then("the kernel ends");
    home.stop();
    picture.ocap(&["doctor"]);
    damaged(&home, "one.sqlite", &["stray\u{1b}[2J"]);
    damaged(&home, "two.sqlite", &["stray", "stranger"]);
    std::fs::write(home.beside("poem.sqlite"), "a poem").unwrap();
    picture.then("copies of its store, with something in them that does not belong there");
    picture.ocap(&["doctor", "one.sqlite"]);
    picture.ocap(&["doctor", "two.sqlite"]);
    picture.then("files that are none");
    picture.ocap(&["doctor", "poem.sqlite"]);
    picture.ocap(&["doctor", "none.sqlite"]);
    picture.ocap(&["doctor", "."]);
    picture.is("doctor");
}

#[test]
fn a_state_is_backed_up_and_restored() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    picture.ocap(&["backup", "copy.sqlite"]);
    picture.then("a counter is launched");
    home.start();
    home.launch_counter();
    picture.ocap(&["backup", "copy.sqlite"]);
    picture.ocap(&["backup", "copy.sqlite"]);
    picture.ocap(&["backup", "copy.sqlite", "--replace"]);
    picture.ocap(&["backup", "none/copy.sqlite"]);
    picture.ocap(&["restore", "copy.sqlite"]);
    picture.then("the kernel ends");
    home.stop();
    picture.ocap(&["backup", "copy.sqlite"]);
    picture.ocap(&["backup", "copy.sqlite", "--replace", "--no-check"]);
    picture.ocap(&["restore", "copy.sqlite"]);
    picture.then("homes without a state");
    picture.ocap(&["--home", "other", "restore", "copy.sqlite"]);
    picture.ocap(&["--home", "third", "restore", "none.sqlite"]);
    damaged(&home, "damaged.sqlite", &["stray"]);
    picture.ocap(&["--home", "third", "restore", "damaged.sqlite"]);
    std::fs::write(home.beside("poem.sqlite"), "a poem").unwrap();
    picture.ocap(&["--home", "third", "restore", "poem.sqlite"]);
    picture.then("a damaged state");
    std::fs::copy(home.beside("damaged.sqlite"), home.files.database()).unwrap();
    picture.ocap(&["backup", "kept.sqlite"]);
    picture.is("backup");
}

#[test]
fn a_state_is_exported_and_imported() {
    let home = Home::new();
    // How many rows there are is the kernel's business.
    let mut picture = Picture::of(&home).with(r"\d+ rows", "[n] rows");
    picture.ocap(&["export", "none.jsonl"]);
    picture.then("a counter is launched");
    home.start();
    home.launch_counter();
    picture.ocap(&["export", "state.jsonl"]);
    picture.ocap(&["export", "state.jsonl"]);
    picture.then("the kernel ends");
    home.stop();
    picture.ocap(&["export", "again.jsonl"]);
    picture.ocap(&["import", "state.jsonl"]);
    picture.then("homes without a state");
    picture.ocap(&["--home", "other", "import", "state.jsonl"]);
    let exported = std::fs::read_to_string(home.beside("state.jsonl")).unwrap();
    assert!(exported == std::fs::read_to_string(home.beside("again.jsonl")).unwrap());
    assert_eq!(home.ok(&["export"]), exported);
    picture.fed(&["--home", "third", "import", "-"], &exported);
    picture.then("the last line is missing; a line is no line; there are none");
    let shorter = exported.trim_end().rsplit_once('\n').unwrap().0;
    picture.fed(&["--home", "fourth", "import", "-"], &format!("{shorter}\n"));
    picture.fed(&["--home", "fourth", "import", "-"], &exported.replacen('[', "(", 1));
    picture.fed(&["--home", "fourth", "import", "-"], "a poem\n");
    picture.fed(&["--home", "fourth", "import", "-"], "");
    picture.ocap(&["--home", "fourth", "import", "none.jsonl"]);
    picture.is("export");
}

#[test]
fn a_state_is_deleted_only_by_force() {
    let home = kept();
    let mut picture = Picture::of(&home);
    picture.ocap(&["daemon", "purge"]);
    picture.ocap(&["daemon", "purge", "--force"]);
    picture.ocap(&["--home", "none", "daemon", "purge", "--force"]);
    home.start();
    picture.then("a kernel runs");
    picture.ocap(&["daemon", "purge", "--force"]);
    picture.is("purge");
    assert!(!home.files.database().exists());
}
