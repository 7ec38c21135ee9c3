//! Bundles in the reference's format that carry their own copies of the @endo packages, in a whole
//! kernel. They are made with npm (`fixtures/bundles`); without them these tests say so and pass,
//! unless `OCAP_REQUIRE_FIXTURES=1`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::house::{House, ask, assert_sound};

/// The bundles' folder, if they have been made.
fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bundles/dist");
    if folder.join("counter.bundle").exists() {
        return Some(folder);
    }
    let required = std::env::var("OCAP_REQUIRE_FIXTURES").is_ok_and(|value| value == "1");
    assert!(!required, "run `npm ci && npm run build` in fixtures/bundles");
    eprintln!("skipped: there are no bundles (npm ci && npm run build in fixtures/bundles)");
    None
}

fn cluster(folder: &Path, vats: &[&str]) -> Value {
    let vats: serde_json::Map<_, _> = vats
        .iter()
        .map(|name| {
            let spec = folder.join(format!("{name}.bundle"));
            ((*name).to_owned(), json!({"bundleSpec": spec}))
        })
        .collect();
    json!({"bootstrap": vats.keys().next(), "vats": vats})
}

#[tokio::test]
async fn an_exo_bundle_counts_on_after_a_restart() {
    let Some(folder) = folder() else { return };
    let house = House::new();
    let kernel = house.start().await;
    let config = cluster(&folder, &["counter"]);
    let launched = house.try_launch(&kernel, &config).await.unwrap();
    assert_eq!(launched.bootstrap.body, "#\"counter is up\"");
    assert_eq!(ask(&kernel, launched.root, "increment", json!([5])).await, "#5");
    kernel.stop().await.unwrap();
    let kernel = house.start().await;
    assert_eq!(ask(&kernel, launched.root, "increment", json!([])).await, "#6");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

/// What was compiled is kept beside the store, and what is not what was kept is not used.
#[tokio::test]
async fn compiled_code_is_kept_and_never_believed() {
    let Some(folder) = folder() else { return };
    let house = House::new();
    let config = cluster(&folder, &["counter"]);
    let kernel = house.start().await;
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    kernel.stop().await.unwrap();
    let kept = || -> Vec<PathBuf> {
        let folder = std::fs::read_dir(house.path("compiled")).unwrap();
        folder.map(|entry| entry.unwrap().path()).collect()
    };
    let files = kept();
    let [file] = &files[..] else { panic!("{files:?}") };
    let bytes = std::fs::read(file).unwrap();
    let mut count = 0;
    let damaged = [vec![], bytes[..bytes.len() / 2].to_vec(), vec![7; bytes.len()], bytes.clone()];
    for content in damaged {
        std::fs::write(file, content).unwrap();
        let kernel = house.start().await;
        count += 1;
        assert_eq!(ask(&kernel, root, "increment", json!([])).await, format!("#{count}"));
        kernel.stop().await.unwrap();
        assert_eq!(std::fs::read(file).unwrap(), bytes);
    }
    assert_eq!(kept(), files);
}

#[tokio::test]
async fn bundles_in_two_vats_pipeline_and_call_back() {
    let Some(folder) = folder() else { return };
    let house = House::new();
    let kernel = house.start().await;
    let config = cluster(&folder, &["alice", "bob"]);
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    let failed = ask(&kernel, root, "failAtBob", json!([])).await;
    assert!(failed.contains("caught TypeError: as asked"), "{failed}");
    for method in ["greetBob", "pipeline", "callback", "passPromise"] {
        let answer = ask(&kernel, root, method, json!([])).await;
        assert!(answer.starts_with('#'), "{method}: {answer}");
    }
    let heard = ask(&kernel, root, "getHeard", json!([])).await;
    assert_eq!(heard, r#"#["x","y","z"]"#);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_failing_bundle_says_what_its_author_said() {
    let Some(folder) = folder() else { return };
    let house = House::new();
    let kernel = house.start().await;
    for name in ["error-in-module", "error-in-build", "error-in-bootstrap", "error-no-root"] {
        let config = cluster(&folder, &[name]);
        let error = house.try_launch(&kernel, &config).await.unwrap_err();
        assert!(!error.message.contains("damaged"), "{name}: {error}");
        assert!(kernel.status().await.unwrap().vats.is_empty());
    }
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
