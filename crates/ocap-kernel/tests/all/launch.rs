//! Launching: what it answers, and that a failed launch leaves nothing behind.

use ocap_kernel::{Comparison, ErrorKind};
use serde_json::json;

use crate::house::{COUNTER, House, ask, assert_sound, config_of};

#[tokio::test]
async fn the_first_vat_root_is_ko4_and_bootstrap_answers() {
    let house = House::new();
    let kernel = house.start().await;
    house.source("c.js", COUNTER);
    let config = json!({
        "bootstrap": "main",
        "vats": {"main": {"sourceSpec": "c.js", "parameters": {"greeting": "hello"}}},
    });
    let launched = house.try_launch(&kernel, &config).await.unwrap();
    assert_eq!(launched.subcluster.to_string(), "s1");
    assert_eq!(launched.root.to_string(), "ko4");
    assert_eq!(launched.bootstrap.body, "#\"hello\"");
    assert_eq!(ask(&kernel, launched.root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn bootstrap_gets_every_root_and_the_services_asked_for() {
    let house = House::new();
    let kernel = house.start().await;
    house.source(
        "boss.js",
        r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => Far('boss', {
  async bootstrap(vats, services) {
    const first = await E(vats.worker).increment();
    const pipelined = E(E(vats.worker).self()).increment();
    return [first, await pipelined, Object.keys(vats).sort(), Object.keys(services)];
  },
});
",
    );
    house.source(
        "worker.js",
        r"
import { Far } from '@endo/far';
export const buildRootObject = () => {
  let count = 0;
  const root = Far('worker', { increment: () => { count += 1; return count; }, self: () => root });
  return root;
};
",
    );
    let config = json!({
        "bootstrap": "boss",
        "services": ["ocapURLIssuerService"],
        "vats": {"boss": {"sourceSpec": "boss.js"}, "worker": {"sourceSpec": "worker.js"}},
    });
    let launched = house.try_launch(&kernel, &config).await.unwrap();
    assert_eq!(launched.bootstrap.body, r#"#[1,2,["boss","worker"],["ocapURLIssuerService"]]"#);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

/// Each way a launch can fail says why, leaves no vat, no subcluster and no row, and does not keep
/// the next launch from working.
#[tokio::test]
async fn a_failed_launch_is_undone() {
    let house = House::new();
    let kernel = house.start().await;
    house.source("good.js", COUNTER);
    house.source("module-throw.js", "throw Error('at module level');");
    house.source("syntax.js", "export const x = ;");
    house.source(
        "build-throw.js",
        "export const buildRootObject = () => { throw Error('while building'); };",
    );
    house.source("no-root.js", "export const other = 1;");
    house.source("not-remotable.js", "export const buildRootObject = () => ({ a: 1 });");
    house.source(
        "bootstrap-throw.js",
        "import { Far } from '@endo/far';
         export const buildRootObject = () =>
           Far('r', { bootstrap() { throw Error('in bootstrap'); } });",
    );
    house.source(
        "bootstrap-error.js",
        "import { Far } from '@endo/far';
         export const buildRootObject = () => Far('r', { bootstrap: () => Error('as a value') });",
    );
    let cases = [
        ("module-throw.js", "at module level"),
        ("syntax.js", "syntax.js"),
        ("build-throw.js", "while building"),
        ("no-root.js", "buildRootObject"),
        ("not-remotable.js", "remotable"),
        ("bootstrap-throw.js", "in bootstrap"),
        ("bootstrap-error.js", "as a value"),
        ("missing.js", "missing.js"),
    ];
    for (file, wanted) in cases {
        let config = json!({
            "bootstrap": "bad",
            "vats": {"good": {"sourceSpec": "good.js"}, "bad": {"sourceSpec": file}},
        });
        let error = house.try_launch(&kernel, &config).await.unwrap_err();
        assert!(error.message.contains(wanted), "{file}: {error}");
        let status = kernel.status().await.unwrap();
        assert!(status.vats.is_empty() && status.subclusters.is_empty(), "{file}: {status:?}");
        assert_sound(&kernel).await;
    }
    let unknown = json!({
        "bootstrap": "a", "services": ["nope"], "vats": {"a": {"sourceSpec": "good.js"}},
    });
    let error = house.try_launch(&kernel, &unknown).await.unwrap_err();
    assert_eq!(error.message, "no registered kernel service 'nope'");
    let stray = json!({"bootstrap": "zz", "vats": {"a": {"sourceSpec": "good.js"}}});
    let error = house.try_launch(&kernel, &stray).await.unwrap_err();
    assert_eq!(error.message, "invalid bootstrap vat name \"zz\"");
    let fine = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": "good.js"}}});
    let launched = house.try_launch(&kernel, &fine).await.unwrap();
    assert_eq!(ask(&kernel, launched.root, "increment", json!([])).await, "#1");
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_name_is_taken_once_and_code_is_compared_by_content() {
    let house = House::new();
    let kernel = house.start().await;
    house.source("c.js", COUNTER);
    let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": "c.js"}}});
    let mut request = house.request(&config);
    request.name = Some("counter".into());
    let first = kernel.launch(request.clone()).await.unwrap();
    let error = kernel.launch(request.clone()).await.unwrap_err();
    assert!(error.message.contains("counter"), "{error}");
    let compare = |request| kernel.compare(first.subcluster, request);
    assert_eq!(compare(request.clone()).await.unwrap(), Comparison::Same);
    house.source("c.js", &format!("{COUNTER}\n// changed"));
    let differs = compare(request.clone()).await.unwrap();
    assert_eq!(differs, Comparison::CodeDiffers("a".into()));
    let mut other = config.clone();
    other["vats"]["a"]["parameters"] = json!({"x": 1});
    request.config = config_of(&other);
    assert_eq!(compare(request).await.unwrap(), Comparison::ConfigDiffers);
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_kernel_on_the_same_store_is_refused_at_once() {
    let house = House::new();
    let kernel = house.start().await;
    let error = ocap_kernel::Kernel::start(house.options()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    kernel.stop().await.unwrap();
    house.start().await.stop().await.unwrap();
}
