//! Messages from the host and between vats.

use ocap_types::KRef;
use serde_json::json;

use crate::house::{COUNTER, House, ask, assert_sound};

#[tokio::test]
async fn rejections_carry_the_users_message_and_the_vat_lives() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    assert_eq!(ask(&kernel, root, "fail", json!([])).await, "on purpose");
    let unknown = ask(&kernel, root, "nothing", json!([])).await;
    assert!(unknown.contains("nothing"), "{unknown}");
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

/// While modules load, in `buildRootObject`, in `bootstrap` and in a method: logged, no more.
#[tokio::test]
async fn rejections_that_nobody_handles_harm_nobody() {
    let house = House::new();
    let kernel = house.start().await;
    let source = r"
import { Far } from '@endo/far';
const lose = where => { Promise.reject(Error(`lost in ${where}`)); };
lose('the module');
export const buildRootObject = () => {
  lose('buildRootObject');
  return Far('loser', {
    bootstrap: () => lose('bootstrap'),
    async lose() { lose('a method'); await null; lose('a later turn'); return 'done'; },
  });
};
";
    let root = house.launch_one(&kernel, source).await;
    for _ in 0..3 {
        assert_eq!(ask(&kernel, root, "lose", json!([])).await, "#\"done\"");
    }
    let status = kernel.status().await.unwrap();
    assert_eq!((status.vats[0].faults, status.vats[0].incarnation.0), (0, 1));
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_to_what_does_not_exist_is_refused_and_the_kernel_goes_on() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    for (kref, wanted) in [
        (KRef::Object(999), "[KERNEL:OBJECT_DELETED]"),
        (KRef::Promise(999), "unknown reference kp999"),
    ] {
        let error = kernel.queue_message(kref, "x", vec![]).await.unwrap_err();
        assert!(error.message.starts_with(wanted), "{error}");
    }
    // The kernel facet, and a service that is declared but does nothing yet.
    assert_eq!(ask(&kernel, KRef::Object(3), "ping", json!([])).await, "#\"pong\"");
    let issue = ask(&kernel, KRef::Object(1), "issue", json!([])).await;
    assert!(issue.starts_with("[KERNEL:DELIVERY_FAILED]"), "{issue}");
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    kernel.stop().await.unwrap();
}

/// A returned object can be called by its kref, and what looks like a kref in an argument stays a
/// string.
#[tokio::test]
async fn objects_returned_to_the_host_can_be_called() {
    let house = House::new();
    let kernel = house.start().await;
    let source = r"
import { Far } from '@endo/far';
export const buildRootObject = () => Far('maker', {
  bootstrap() {},
  make: name => Far('thing', { name: () => name }),
  typeOf: value => typeof value,
});
";
    let root = house.launch_one(&kernel, source).await;
    let made = kernel.queue_message(root, "make", vec![json!("x")]).await.unwrap();
    assert_eq!(made.body, "#\"$0.Alleged: thing\"");
    assert_eq!(ask(&kernel, made.slots[0], "name", json!([])).await, "#\"x\"");
    assert_eq!(ask(&kernel, root, "typeOf", json!(["ko4"])).await, "#\"string\"");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

/// Promises resolved before, at and after the send; pipelining to a promise of another vat.
#[tokio::test]
async fn promises_cross_vats_whenever_they_settle() {
    let house = House::new();
    let kernel = house.start().await;
    house.source(
        "alice.js",
        r"
import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';
export const buildRootObject = () => {
  let bob;
  return Far('alice', {
    bootstrap(vats) { bob = vats.bob; },
    async story() {
      const before = Promise.resolve('before');
      const after = makePromiseKit();
      const got = E(bob).collect(before, after.promise);
      after.resolve('after');
      const [b, a] = await got;
      const thing = E(bob).make();
      const name = E(thing).name();
      const late = makePromiseKit();
      const toLate = E(late.promise).name();
      late.resolve(E(bob).make());
      const broken = await E(bob).broken().catch(e => e.message);
      const chained = await E(E(E(bob).make()).self()).name();
      return [b, a, await name, await toLate, broken, chained];
    },
  });
};
",
    );
    house.source(
        "bob.js",
        r"
import { Far } from '@endo/far';
const thing = Far('thing', { name: () => 'thing', self: () => thing });
export const buildRootObject = () => Far('bob', {
  collect: async (...promises) => Promise.all(promises),
  make: () => thing,
  broken: async () => { throw Error('broken'); },
});
",
    );
    let config = json!({
        "bootstrap": "alice",
        "vats": {"alice": {"sourceSpec": "alice.js"}, "bob": {"sourceSpec": "bob.js"}},
    });
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    let story = ask(&kernel, root, "story", json!([])).await;
    assert_eq!(story, r#"#["before","after","thing","thing","broken","thing"]"#);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn many_messages_in_flight_are_all_answered_in_order() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    let mut waiting = Vec::new();
    for _ in 0..500 {
        let kernel = kernel.clone();
        waiting.push(tokio::spawn(async move { ask(&kernel, root, "increment", json!([])).await }));
    }
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap()[1..].parse::<u32>().unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, (1..=500).collect::<Vec<_>>());
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
