//! `ocap doctor`: finds what is wrong, changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use ocap_store::Batch;
use serde_json::json;

use crate::rig::Home;

/// Every regular file of a folder, with its bytes.
fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Changes one row behind the kernel's back.
pub(crate) fn alter(path: &Path, key: &str, value: Option<&str>) {
    let mut store = ocap_store::sqlite::open(path).unwrap();
    let writes = [(key.to_owned(), value.map(str::to_owned))].into();
    store.writer.commit(&Batch { seq: store.last_seq + 1, writes }).unwrap();
}

#[test]
fn a_sound_store_is_left_as_it_is_however_its_kernel_ended() {
    let home = Home::new();
    let none = home.ocap(&["doctor"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("there is no store at"), "{none:?}");
    assert!(!home.files.root().exists(), "a home was made");
    home.start();
    let root = home.launch_counter();
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    let held = home.ocap(&["doctor"]);
    assert_eq!((held.code, held.stdout.as_str()), (Some(1), ""));
    let pid = home.files.running_pid().unwrap().to_string();
    assert!(held.stderr.contains(&pid) && held.stderr.contains("ocap daemon stop"), "{held:?}");
    assert_eq!(home.ask(&root, "bump", json!([])), "#2");
    home.kill();
    for ended in ["killed", "stopped"] {
        if ended == "stopped" {
            home.start();
            home.stop();
        }
        let before = snapshot(home.files.root());
        let said = home.ocap(&["doctor"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{ended}: {said:?}");
        assert!(said.stderr.contains("is sound"), "{said:?}");
        assert!(snapshot(home.files.root()) == before, "{ended}: something was changed");
    }
    home.start();
    assert_eq!(home.ask(&root, "bump", json!([])), "#3");
}

#[test]
fn findings_are_printed_and_are_a_failure() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    home.stop();
    let copy = home.beside("copy.sqlite");
    let copy_text = copy.to_str().unwrap();
    for (key, value) in [
        ("o.ko99", Some("v1 0 0")),
        ("stray\u{1b}[2J", Some("1")),
        ("vat.v1", None),
        ("next.object", Some("1")),
    ] {
        std::fs::copy(home.files.database(), &copy).unwrap();
        alter(&copy, key, value);
        let before = snapshot(copy.parent().unwrap());
        let said = home.ocap(&["doctor", copy_text]);
        assert_eq!(said.code, Some(1), "{key}: {said:?}");
        assert!(!said.stdout.is_empty() && said.stderr.contains("finding"), "{key}: {said:?}");
        assert!(said.stdout.lines().all(|line| line.contains(": ")), "{key}: {said:?}");
        assert!(!said.stdout.contains('\u{1b}'), "{key}: {said:?}");
        let mut after = snapshot(copy.parent().unwrap());
        for output in ["stdout", "stderr"] {
            after.remove(output);
        }
        assert!(before.iter().all(|(name, bytes)| {
            ["stdout", "stderr"].contains(&name.as_str()) || after.get(name) == Some(bytes)
        }));
    }
    let said = home.ocap(&["doctor"]);
    assert_eq!(said.code, Some(0), "the original is not the copy: {said:?}");
}

#[test]
fn a_damaged_file_is_told_and_never_a_panic() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    home.stop();
    let whole = std::fs::read(home.files.database()).unwrap();
    let copy = home.beside("copy.sqlite");
    let mut told = 0;
    for at in (0..whole.len()).step_by(whole.len() / 24) {
        let mut bytes = whole.clone();
        let end = (at + 40).min(bytes.len());
        bytes[at..end].fill(0xa5);
        std::fs::write(&copy, &bytes).unwrap();
        let said = home.ocap(&["doctor", copy.to_str().unwrap()]);
        assert!(matches!(said.code, Some(0 | 1)), "{at}: {said:?}");
        assert!(!said.stderr.contains("panicked"), "{at}: {said:?}");
        told += u32::from(said.code == Some(1));
        assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    }
    assert!(told > 2, "only {told} damages were told");
    std::fs::write(&copy, "a poem").unwrap();
    let said = home.ocap(&["doctor", copy.to_str().unwrap()]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("is not a store of ocap"), "{said:?}");
}
