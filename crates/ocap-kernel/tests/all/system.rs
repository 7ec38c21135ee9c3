//! System subclusters, what they do through the kernel facet, and resetting.

use ocap_kernel::{ErrorKind, Kernel, KernelOptions, SystemSubcluster};
use serde_json::{Value, json};

use crate::house::{COUNTER, House, ask, assert_sound, config_of};

const BOSS: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = (_powers, parameters, baggage) => {
  const text = p => p.then(v => v, e => e.message);
  const facet = () => baggage.get('facet');
  if (!baggage.has('starts')) baggage.init('starts', 0);
  baggage.set('starts', baggage.get('starts') + 1);
  return Far('boss', {
    bootstrap(_vats, { kernelFacet }) { baggage.init('facet', kernelFacet); },
    starts: () => baggage.get('starts'),
    tag: () => parameters?.tag,
    call: (method, ...args) => text(E(facet())[method](...args)),
    fire: (method, ...args) => { E(facet())[method](...args); },
    viaPresence: async (kref, method) => E(await E(facet()).getPresence(kref)).increment(),
    offer: (name, options) => text(E(facet()).registerKernelServiceObject(
      name, Far('offer', { name: () => `${name}!` }), options)),
    race: kref => Promise.all(Array.from({ length: 20 },
      () => E(facet()).queueMessage(kref, 'increment', []))).then(all => all.map(d => d.body)),
  });
};
";

fn boss(tag: &str) -> Value {
    json!({
        "bootstrap": "boss", "services": ["kernelFacet"],
        "vats": {"boss": {"sourceSpec": "boss.js", "parameters": {"tag": tag}}},
    })
}

fn declare(house: &House, names: &[(&str, &str)]) -> KernelOptions {
    house.source("boss.js", BOSS);
    let mut options = house.options();
    for (name, tag) in names {
        options.system_subclusters.push(SystemSubcluster {
            name: (*name).to_owned(),
            config: config_of(&boss(tag)),
            base: Some(house.base()),
        });
    }
    options
}

#[tokio::test]
async fn they_are_launched_restored_and_removed_by_name() {
    let house = House::new();
    let both = || declare(&house, &[("one", "first"), ("two", "second")]);
    let kernel = Kernel::start(both()).await.unwrap();
    let one = kernel.system_subcluster_root("one").await.unwrap();
    let two = kernel.system_subcluster_root("two").await.unwrap();
    assert_eq!(ask(&kernel, one, "starts", json!([])).await, "#1");
    assert_eq!(ask(&kernel, two, "tag", json!([])).await, "#\"second\"");
    // Clients have names of their own.
    house.source("c.js", COUNTER);
    let mut request =
        house.request(&json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": "c.js"}}}));
    request.name = Some("one".into());
    let client = kernel.launch(request).await.unwrap();
    assert_ne!(kernel.system_subcluster_root("one").await.unwrap(), client.root);
    kernel.stop().await.unwrap();
    // Restored, not launched again; a changed config does not matter.
    let changed = declare(&house, &[("one", "changed"), ("two", "second")]);
    let kernel = Kernel::start(changed).await.unwrap();
    assert_eq!(kernel.system_subcluster_root("one").await.unwrap(), one);
    assert_eq!(ask(&kernel, one, "starts", json!([])).await, "#2");
    assert_eq!(ask(&kernel, one, "tag", json!([])).await, "#\"first\"");
    kernel.stop().await.unwrap();
    // What is no longer declared goes, and nothing else does.
    let kernel = Kernel::start(declare(&house, &[("two", "second")])).await.unwrap();
    let missing = kernel.system_subcluster_root("one").await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    let answer = ask(&kernel, one, "starts", json!([])).await;
    assert!(answer.starts_with("[KERNEL:OBJECT_DELETED]"), "{answer}");
    assert_eq!(ask(&kernel, two, "starts", json!([])).await, "#3");
    assert_eq!(ask(&kernel, client.root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
    // Declared once more it is a new one.
    let kernel = Kernel::start(both()).await.unwrap();
    let again = kernel.system_subcluster_root("one").await.unwrap();
    assert_eq!(ask(&kernel, again, "starts", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_declaration_stops_the_start_and_leaves_nothing() {
    let house = House::new();
    let error = Kernel::start(declare(&house, &[("a", "x"), ("a", "y")])).await.err().unwrap();
    assert_eq!(error.message, "Duplicate system subcluster names in config");
    let mut options = declare(&house, &[("a", "x")]);
    options.system_subclusters[0].config.services = Some(vec!["nope".into()]);
    let error = Kernel::start(options).await.err().unwrap();
    assert_eq!(error.message, "no registered kernel service 'nope'");
    let kernel = Kernel::start(declare(&house, &[("a", "x")])).await.unwrap();
    assert_eq!(kernel.status().await.unwrap().subclusters.len(), 1);
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn the_facet_controls_the_kernel() {
    let house = House::new();
    let kernel = Kernel::start(declare(&house, &[("boss", "x")])).await.unwrap();
    let root = kernel.system_subcluster_root("boss").await.unwrap();
    let call = |args: Value| ask(&kernel, root, "call", args);
    assert_eq!(call(json!(["ping"])).await, "#\"pong\"");
    assert_eq!(call(json!(["pingVat", "v1"])).await, "#\"pong\"");
    assert!(call(json!(["pingVat", "v9"])).await.contains("Vat does not exist."));
    assert!(call(json!(["nope"])).await.contains(r#"kernelFacet has no method \"nope\""#));
    assert_eq!(call(json!(["getSystemSubclusterRoot", "boss"])).await, format!("#\"{root}\""));
    assert!(call(json!(["getSystemSubclusterRoot", "x"])).await.contains("not found"));
    house.source("c.js", COUNTER);
    let source = house.path("c.js").display().to_string();
    let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": source}}});
    let launched = call(json!(["launchSubcluster", config])).await;
    assert!(launched.contains(r#""rootKref":"ko5""#), "{launched}");
    assert!(launched.contains(r#""subclusterId":"s2""#), "{launched}");
    assert!(
        call(json!(["launchSubcluster", {"vats": 1}])).await.contains("invalid cluster config")
    );
    let status = call(json!(["getStatus"])).await;
    assert!(status.contains(r#""state":"running""#), "{status}");
    assert!(call(json!(["getSubclusters"])).await.contains(r#""id":"s2""#));
    assert!(call(json!(["getSubcluster", "s2"])).await.contains(r#""bootstrap":"a""#));
    assert_eq!(call(json!(["getSubcluster", "s9"])).await, "#\"#undefined\"");
    let answer = call(json!(["queueMessage", "ko5", "increment", []])).await;
    assert_eq!(answer, r#"#{"body":"!#1","slots":[]}"#);
    assert!(call(json!(["queueMessage", "ko5", "fail", []])).await.contains("on purpose"));
    assert!(call(json!(["queueMessage", "kp99", "x", []])).await.contains("unknown reference"));
    assert_eq!(ask(&kernel, root, "viaPresence", json!(["ko5"])).await, "#2");
    // Calls of one caller keep their order.
    let bodies: Vec<String> = (3..23).map(|n| format!("\"!#{n}\"")).collect();
    let race = ask(&kernel, root, "race", json!(["ko5"])).await;
    assert_eq!(race, format!("#[{}]", bodies.join(",")));
    assert_eq!(call(json!(["terminateSubcluster", "s2"])).await, "#\"#undefined\"");
    assert!(call(json!(["terminateSubcluster", "s2"])).await.contains("does not exist"));
    assert_eq!(kernel.status().await.unwrap().subclusters.len(), 1);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_reset_leaves_a_kernel_as_new() {
    let house = House::new();
    let kernel = Kernel::start(declare(&house, &[("boss", "x")])).await.unwrap();
    let boss = kernel.system_subcluster_root("boss").await.unwrap();
    let counter = house.launch_one(&kernel, COUNTER).await;
    assert_eq!(ask(&kernel, counter, "increment", json!([])).await, "#1");
    assert_eq!(ask(&kernel, boss, "starts", json!([])).await, "#1");
    let handle = kernel.clone();
    let pending = tokio::spawn(async move { ask(&handle, counter, "never", json!([])).await });
    // Once the kernel has it, a message sent later is answered after it was delivered.
    tokio::task::yield_now().await;
    ask(&kernel, counter, "increment", json!([])).await;
    kernel.reset().await.unwrap();
    let rejection = pending.await.unwrap();
    assert!(rejection.starts_with("[KERNEL:VAT_TERMINATED]"), "{rejection}");
    // The services have their references again, and so has the first root.
    assert_eq!(kernel.system_subcluster_root("boss").await.unwrap(), boss);
    assert_eq!(ask(&kernel, boss, "starts", json!([])).await, "#1");
    assert_eq!(ask(&kernel, boss, "call", json!(["ping"])).await, "#\"pong\"");
    let status = kernel.status().await.unwrap();
    assert_eq!((status.vats.len(), status.subclusters.len()), (1, 1));
    assert_eq!(kernel.held_refs().await.unwrap(), []);
    assert_sound(&kernel).await;
    // The same by a vat, which does not outlive it.
    ask(&kernel, boss, "fire", json!(["reset"])).await;
    let kernel = restarted(&house, kernel).await;
    let boss = kernel.system_subcluster_root("boss").await.unwrap();
    assert_eq!(ask(&kernel, boss, "call", json!(["ping"])).await, "#\"pong\"");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

/// What a vat offers as a service is there for as long as the object is.
#[tokio::test]
async fn a_vat_offers_an_object_as_a_service() {
    let house = House::new();
    let kernel = Kernel::start(declare(&house, &[("boss", "x")])).await.unwrap();
    let boss = kernel.system_subcluster_root("boss").await.unwrap();
    assert_eq!(ask(&kernel, boss, "offer", json!(["shop"])).await, "#\"#undefined\"");
    let again = ask(&kernel, boss, "offer", json!(["shop"])).await;
    assert!(again.contains("kernel service 'shop' is already registered"), "{again}");
    for name in ["kernelFacet", "io:s1:x", ""] {
        let refused = ask(&kernel, boss, "offer", json!([name])).await;
        assert!(refused.contains("kernel service"), "{name}: {refused}");
    }
    ask(&kernel, boss, "offer", json!(["inner", {"systemOnly": true}])).await;
    kernel.register_service_object("boss", boss, false).await.unwrap();
    assert!(kernel.register_service_object("x", "ko99".parse().unwrap(), false).await.is_err());
    house.source("user.js", USER);
    let using = |service: &str| json!({"bootstrap": "u", "services": [service], "vats": {"u": {"sourceSpec": "user.js"}}});
    kernel.collect_garbage().await.unwrap();
    let used = house.try_launch(&kernel, &using("shop")).await.unwrap();
    assert_eq!(used.bootstrap.body, "#\"shop!\"");
    let refused = house.try_launch(&kernel, &using("inner")).await.unwrap_err();
    assert_eq!(refused.message, "no registered kernel service 'inner'");
    assert_sound(&kernel).await;
    // The next incarnation has not offered it; its root is still what it was.
    kernel.restart_vat("v1".parse().unwrap()).await.unwrap();
    let refused = house.try_launch(&kernel, &using("shop")).await.unwrap_err();
    assert_eq!(refused.message, "no registered kernel service 'shop'");
    kernel.stop().await.unwrap();
    let kernel = Kernel::start(declare(&house, &[("boss", "x")])).await.unwrap();
    let used = house.try_launch(&kernel, &using("boss")).await.unwrap();
    assert!(used.bootstrap.body.contains("has no method"), "{:?}", used.bootstrap);
    assert!(kernel.unregister_service_object("boss").await.unwrap());
    assert!(!kernel.unregister_service_object("boss").await.unwrap());
    ask(&kernel, boss, "offer", json!(["shop"])).await;
    kernel.terminate_vat("v1".parse().unwrap()).await.unwrap();
    assert!(!kernel.unregister_service_object("shop").await.unwrap());
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

const USER: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => Far('user', {
  bootstrap: (_vats, services) => E(Object.values(services)[0]).name().catch(e => e.message),
});
";

async fn restarted(house: &House, kernel: Kernel) -> Kernel {
    kernel.stop().await.unwrap();
    Kernel::start(declare(house, &[("boss", "x")])).await.unwrap()
}

#[tokio::test]
async fn all_vats_end_at_once() {
    let house = House::new();
    let kernel = Kernel::start(declare(&house, &[("boss", "x")])).await.unwrap();
    let root = house.launch_one(&kernel, COUNTER).await;
    house.launch_one(&kernel, COUNTER).await;
    kernel.terminate_all_vats().await.unwrap();
    let status = kernel.status().await.unwrap();
    assert!(status.vats.is_empty() && status.subclusters.is_empty(), "{status:?}");
    let answer = ask(&kernel, root, "increment", json!([])).await;
    assert!(answer.starts_with("[KERNEL:OBJECT_DELETED]"), "{answer}");
    let root = house.launch_one(&kernel, COUNTER).await;
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
