//! Promises between real vats, as authors of vats use them: each story is played by alice with the
//! help of bob and carol, and told in what she returns.

use ocap_types::KRef;
use serde_json::json;

use crate::house::{House, ask, assert_sound};

const ALICE: &str = r"
import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';
const isPromise = p => p instanceof Promise;
export const buildRootObject = () => {
  let bob, carol;
  return Far('alice', {
    bootstrap(vats) { ({ bob, carol } = vats); },
    // Each link carries the next promise.
    async chain() {
      const kits = [0, 1, 2, 3].map(() => makePromiseKit());
      const seen = E(bob).follow(kits[0].promise);
      for (let i = 0; i < 3; i += 1) kits[i].resolve([`link ${i}`, kits[i + 1].promise]);
      kits[3].resolve(['end']);
      return seen;
    },
    // Two promises, each in the other's resolution: settled at once, or with a call between.
    async knot(slow) {
      const [a, b] = [makePromiseKit(), makePromiseKit()];
      const seen = E(bob).pair(a.promise, b.promise);
      a.resolve([b.promise]);
      if (slow) await E(carol).ping();
      b.resolve([a.promise]);
      return seen;
    },
    // The same, each settled by another vat.
    async knotOfTwo() {
      const a = E(bob).open('a');
      const b = E(carol).open('b');
      await E(bob).close('a', [b]);
      await E(carol).close('b', [a]);
      const [x, y] = [await a, await b];
      return [x.length, isPromise(x[0]), y.length, isPromise(y[0])];
    },
    // A promise that becomes a promise that becomes a value.
    async twice() {
      const [outer, inner] = [makePromiseKit(), makePromiseKit()];
      const seen = E(bob).pass(outer.promise);
      outer.resolve(inner.promise);
      await E(carol).ping();
      inner.resolve('value');
      return seen;
    },
    // The result of one call is an argument of the next before it is known.
    async handOn() {
      const result = E(carol).slow('result');
      const promised = E(carol).open('later');
      const seen = [E(bob).pass(result), E(bob).pass(promised)];
      await E(carol).close('later', 'settled');
      return Promise.all(seen);
    },
    // What is sent to a promise waits for it, in order.
    async wait() {
      const target = makePromiseKit();
      const said = [1, 2, 3].map(n => E(bob).tell(target.promise, n));
      await E(carol).ping();
      const heard = [];
      target.resolve(Far('ear', { hear: n => { heard.push(n); return n; } }));
      await Promise.all(said);
      return heard;
    },
    async broken() {
      const kit = makePromiseKit();
      const seen = E(bob).pass(kit.promise).then(() => 'no', e => e.message);
      kit.reject(Error('as agreed'));
      const thrown = E(bob).fail().then(() => 'no', e => e.message);
      return [await seen, await thrown, await E(bob).ping()];
    },
  });
};
";

const HELPER: &str = r"
import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';
const isPromise = p => p instanceof Promise;
export const buildRootObject = () => {
  const open = new Map();
  return Far('helper', {
    ping: () => 'pong',
    pass: p => p,
    fail() { throw Error('thrown'); },
    async follow(promise) {
      const seen = [];
      for (let next = promise; next;) {
        const [text, after] = await next;
        seen.push(text);
        next = after;
      }
      return seen;
    },
    async pair(a, b) {
      const [x, y] = [await a, await b];
      return [x.length, isPromise(x[0]), y.length, isPromise(y[0])];
    },
    open(name) {
      const kit = makePromiseKit();
      open.set(name, kit);
      return kit.promise;
    },
    close(name, value) { open.get(name).resolve(value); },
    async slow(value) { await null; return value; },
    tell: (target, n) => E(target).hear(n),
  });
};
";

async fn stage(house: &House, kernel: &ocap_kernel::Kernel) -> KRef {
    house.source("alice.js", ALICE);
    house.source("helper.js", HELPER);
    let helper = json!({"sourceSpec": "helper.js"});
    let config = json!({
        "bootstrap": "alice",
        "vats": {"alice": {"sourceSpec": "alice.js"}, "bob": helper, "carol": helper},
    });
    house.try_launch(kernel, &config).await.unwrap().root
}

async fn tells(stories: &[(&str, serde_json::Value, &str)]) {
    let house = House::new();
    let kernel = house.start().await;
    let root = stage(&house, &kernel).await;
    for (method, args, expected) in stories {
        assert_eq!(ask(&kernel, root, method, args.clone()).await, *expected, "{method} {args}");
        assert_sound(&kernel).await;
    }
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_chain_of_promises_is_followed_link_by_link() {
    tells(&[("chain", json!([]), r#"#["link 0","link 1","link 2","end"]"#)]).await;
}

#[tokio::test]
async fn promises_that_contain_each_other_settle() {
    tells(&[
        ("knot", json!([false]), "#[1,true,1,true]"),
        ("knot", json!([true]), "#[1,true,1,true]"),
        ("knotOfTwo", json!([]), "#[1,true,1,true]"),
    ])
    .await;
}

#[tokio::test]
async fn promises_are_passed_on_before_they_are_known() {
    tells(&[
        ("twice", json!([]), "#\"value\""),
        ("handOn", json!([]), r#"#["result","settled"]"#),
        ("wait", json!([]), "#[1,2,3]"),
    ])
    .await;
}

#[tokio::test]
async fn rejections_reach_whoever_waits_and_harm_nobody() {
    tells(&[("broken", json!([]), r#"#["as agreed","thrown","pong"]"#)]).await;
}
