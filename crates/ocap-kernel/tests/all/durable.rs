//! Durable objects, collections and watched promises, across vats and their incarnations.

use serde_json::json;

use crate::house::{House, ask, assert_sound};

const MAKER: &str = r"
import { E, Far } from '@endo/far';
const { defineDurableKind, makeKindHandle, makeScalarBigMapStore, watchPromise } = VatData;
export const buildRootObject = (_powers, _parameters, baggage) => {
  const provide = (name, make) => {
    if (!baggage.has(name)) baggage.init(name, make());
    return baggage.get(name);
  };
  const makeCounter = defineDurableKind(
    provide('counter', () => makeKindHandle('counter')),
    () => ({ count: 0 }),
    { increment: ({ state }) => { state.count += 1; return state.count; } },
  );
  const makeWatcher = defineDurableKind(
    provide('watcher', () => makeKindHandle('watcher')),
    () => ({}),
    {
      onFulfilled: (_context, value, name) => { log.init(name, ['fulfilled', value]); },
      onRejected: (_context, reason, name) => { log.init(name, ['rejected', `${reason}`]); },
    },
  );
  const log = provide('log', () => makeScalarBigMapStore('log', { durable: true }));
  return Far('maker', {
    make: () => makeCounter(),
    watch: (promise, name) => { watchPromise(promise, makeWatcher(), name); },
    watchOwn: name => { watchPromise(new Promise(() => {}), makeWatcher(), name); },
    log: () => [...log.entries()],
  });
};
";

const USER: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => {
  let counter, maker, resolve;
  const known = new WeakMap();
  return Far('user', {
    async bootstrap(vats) { ({ maker } = vats); counter = await E(maker).make(); known.set(counter, 'known'); },
    increment: () => E(counter).increment(),
    isKnown: other => [other === counter, known.get(other)],
    watch: name => E(maker).watch(new Promise(r => { resolve = r; }), name),
    watchOwn: name => E(maker).watchOwn(name),
    resolve: value => resolve(value),
    log: () => E(maker).log(),
  });
};
";

async fn launch(house: &House, kernel: &ocap_kernel::Kernel) -> ocap_types::KRef {
    house.source("user.js", USER);
    house.source("maker.js", MAKER);
    let config = json!({
        "bootstrap": "user",
        "vats": {"user": {"sourceSpec": "user.js"}, "maker": {"sourceSpec": "maker.js"}},
    });
    house.try_launch(kernel, &config).await.unwrap().root
}

#[tokio::test]
async fn a_durable_object_serves_its_holders_across_restarts() {
    let house = House::new();
    let kernel = house.start().await;
    let root = launch(&house, &kernel).await;
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    kernel.restart_vat("v2".parse().unwrap()).await.unwrap();
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#2");
    assert_sound(&kernel).await;
    kernel.restart_vat("v2".parse().unwrap()).await.unwrap();
    kernel.collect_garbage().await.unwrap();
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#3");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn promises_are_watched_across_restarts() {
    let house = House::new();
    let kernel = house.start().await;
    let root = launch(&house, &kernel).await;
    ask(&kernel, root, "watch", json!(["imported"])).await;
    ask(&kernel, root, "watchOwn", json!(["own"])).await;
    assert_eq!(ask(&kernel, root, "log", json!([])).await, "#[]");
    kernel.restart_vat("v2".parse().unwrap()).await.unwrap();
    ask(&kernel, root, "resolve", json!([7])).await;
    let log = ask(&kernel, root, "log", json!([])).await;
    assert!(log.contains(r#"["imported",["fulfilled",7]]"#), "{log}");
    assert!(log.contains(r#"["own",["rejected","Error: "#), "{log}");
    assert!(log.contains("VAT_RESTARTED"), "{log}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_kind_left_undefined_stops_a_start() {
    let house = House::new();
    let kernel = house.start().await;
    let code = "import { Far } from '@endo/far';
        export const buildRootObject = () => { VatData.makeKindHandle('lost'); return Far('root', {}); };";
    house.source("one.js", code);
    let config = json!({"bootstrap": "one", "vats": {"one": {"sourceSpec": "one.js"}}});
    let error = house.try_launch(&kernel, &config).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("defineDurableKind not called for tags: [lost]"), "{text}");
    kernel.stop().await.unwrap();
}
