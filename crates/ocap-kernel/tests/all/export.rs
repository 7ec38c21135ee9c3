//! Exports that somebody has had their hands on, with a hash that is right again: what the walk lets
//! through, a kernel can run on.

use std::fmt::Write as _;
use std::path::Path;

use ocap_kernel::{ErrorKind, Kernel, KernelOptions, StoreLocation, export, import};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::house::{House, ask};

/// The rows of a state with vats, promises, baggage and a queue.
async fn rows(house: &House) -> Vec<(String, String)> {
    let kernel = house.start().await;
    let source = "
        import { E, Far } from '@endo/far';
        export function buildRootObject(powers, parameters, baggage) {
          return Far('root', {
            bootstrap() {},
            keep(value) { baggage.init('kept', value); },
            kept: () => baggage.get('kept'),
            wait: () => new Promise(() => {}),
          });
        }";
    let root = house.launch_one(&kernel, source).await;
    assert_eq!(ask(&kernel, root, "keep", json!([{"a": 1}])).await, "#\"#undefined\"");
    kernel.hold(root).await.unwrap();
    kernel.stop().await.unwrap();
    let mut text = Vec::new();
    let count = export(&house.path("kernel.sqlite"), &mut text, |_| true).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let rows = lines[1..lines.len() - 1].iter().map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<(String, String)> = rows.collect();
    assert_eq!(rows.len() as u64, count);
    rows
}

/// An export of these rows.
fn written(rows: &[(String, String)]) -> String {
    let header = json!({"ocapExport": 1, "batch": 9, "epoch": 1, "writtenBy": "a test"});
    let mut text = format!("{header}\n");
    for row in rows {
        text += &serde_json::to_string(row).unwrap();
        text.push('\n');
    }
    let hash = Sha256::digest(&text).iter().fold(String::new(), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    });
    let trailer = json!({"rows": rows.len(), "sha256": hash});
    format!("{text}{trailer}\n")
}

/// Whether it becomes a state.
fn is_taken(text: &str, store: &Path) -> bool {
    if let Ok(examined) = import(&mut text.as_bytes(), store, |_| true) {
        assert_eq!(store.exists(), examined.findings.is_empty(), "{examined:?}");
        store.exists()
    } else {
        assert!(!store.exists());
        false
    }
}

/// Runs a kernel on a state; it has to come up, answer, and find nothing wrong.
async fn runs(house: &House, store: &Path) {
    let store = StoreLocation::File(store.to_path_buf());
    let kernel = Kernel::start(KernelOptions { store, ..house.options() }).await.unwrap();
    kernel.status().await.unwrap();
    assert_eq!(kernel.check().await.unwrap(), []);
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn whatever_an_import_takes_a_kernel_can_run_on() {
    let house = House::new();
    let rows = rows(&house).await;
    let store = |name: &str| house.path(&format!("{name}.sqlite"));
    assert!(is_taken(&written(&rows), &store("same")));
    runs(&house, &store("same")).await;
    // Each row in turn: not there, empty, of another kind, another number.
    let strange =
        ["", "0", "1", "-1", "18446744073709551615", "null", "{}", "[]", "\u{0}", "v1 1 1"];
    let (mut taken, mut refused) = (0, 0);
    for at in 0..rows.len() {
        let mut variants = vec![[&rows[..at], &rows[at + 1..]].concat()];
        variants.extend(strange.iter().filter(|value| rows[at].1 != **value).map(|value| {
            let mut rows = rows.clone();
            (*value).clone_into(&mut rows[at].1);
            rows
        }));
        for (number, variant) in variants.iter().enumerate() {
            let store = store(&format!("r{at}v{number}"));
            if is_taken(&written(variant), &store) {
                taken += 1;
                runs(&house, &store).await;
            } else {
                refused += 1;
            }
        }
    }
    println!("{refused} refused, {taken} taken");
    assert!(refused > taken);
    // What nobody has heard of.
    for (name, key) in [("x1", "zzz"), ("x2", "\u{0}"), ("x3", "vat.v99"), ("x4", "q.v1.x")] {
        let mut more = rows.clone();
        more.push((key.to_owned(), "1".to_owned()));
        more.sort();
        assert!(!is_taken(&written(&more), &store(name)), "{key:?}");
    }
    // Nothing at all is a state like that of a kernel that has not begun.
    assert!(is_taken(&written(&[]), &store("empty")));
    runs(&house, &store("empty")).await;
}

#[tokio::test]
async fn what_is_in_no_file_is_not_backed_up() {
    let house = House::new();
    let options = KernelOptions { store: StoreLocation::Memory, ..house.options() };
    let kernel = Kernel::start(options).await.unwrap();
    let refused = kernel.backup(&house.path("copy.sqlite"), false).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(!house.path("copy.sqlite").exists());
    kernel.stop().await.unwrap();
    // Nor what is being stopped.
    let kernel = house.start().await;
    kernel.stop().await.unwrap();
    kernel.backup(&house.path("copy.sqlite"), false).await.unwrap_err();
    assert!(!house.path("copy.sqlite").exists());
}
