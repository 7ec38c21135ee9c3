//! Random and mutated bundles and configs: defined errors, and a kernel that goes on.

use ocap_types::config::ClusterConfig;
use serde_json::{Value, json};

use crate::house::{COUNTER, House, ask, assert_sound};

/// A small generator, so that a failure can be repeated from the number printed.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// A text with a few of its bytes removed, doubled, or replaced.
    fn mutate(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.next(4) {
            if chars.is_empty() {
                break;
            }
            let at = self.next(chars.len());
            match self.next(4) {
                0 => drop(chars.remove(at)),
                1 => chars.insert(at, ['{', '}', '"', '\\', '0', '\u{0}', '['][self.next(7)]),
                2 => chars.truncate(at),
                _ => chars[at] = char::from(32 + self.next(95) as u8),
            }
        }
        chars.into_iter().collect()
    }
}

const BUNDLE: &str = r#"{"moduleFormat":"iife","code":"var __vatExports__ = (function(exports){exports.buildRootObject=()=>({});return exports;})({});","exports":["buildRootObject"],"external":[]}"#;

#[tokio::test]
async fn mutated_bundles_launch_or_fail_with_an_error() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    let mut noise = Noise(0x5eed_0001);
    for round in 0..400 {
        house.source("b.bundle", &noise.mutate(BUNDLE));
        let config = json!({"bootstrap": "b", "vats": {"b": {"bundleSpec": "b.bundle"}}});
        if let Err(error) = house.try_launch(&kernel, &config).await {
            assert!(!error.message.is_empty(), "round {round}");
        }
    }
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn mutated_configs_are_refused_or_launch() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    let text = json!({
        "bootstrap": "a",
        "services": ["ocapURLIssuerService"],
        "io": {"x": {"type": "socket", "path": "x.sock"}},
        "vats": {"a": {"sourceSpec": "one.js", "parameters": {"greeting": "g"}}},
    })
    .to_string();
    let mut noise = Noise(0x5eed_0002);
    let mut launched = 0;
    for _ in 0..3_000 {
        let Ok(value) = serde_json::from_str::<Value>(&noise.mutate(&text)) else { continue };
        let Ok(config) = serde_json::from_value::<ClusterConfig>(value) else { continue };
        let mut request = house.request(&json!({"bootstrap": "a", "vats": {}}));
        request.config = config;
        if let Ok(new) = kernel.launch(request).await {
            launched += 1;
            kernel.terminate_subcluster(new.subcluster).await.unwrap();
        }
    }
    assert!(launched > 0, "some mutations are harmless");
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
