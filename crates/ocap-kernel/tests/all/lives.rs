//! How vats end, fail and come back; revoking, pinning, and collecting garbage.

use ocap_kernel::VatCondition;
use serde_json::json;

use crate::house::{COUNTER, House, ask, assert_sound};

const LEAVER: &str = r"
import { Far } from '@endo/far';
export const buildRootObject = ({ exitVat, exitVatWithFailure }, _parameters, baggage) => {
  if (!baggage.has('count')) baggage.init('count', 0);
  return Far('leaver', {
    bootstrap() {},
    never: () => new Promise(() => {}),
    leave() { baggage.set('count', 1); exitVat('goodbye'); return 'left'; },
    fail() { exitVatWithFailure(Error('no more')); return 'failed'; },
  });
};
";

#[tokio::test]
async fn a_vat_ends_itself_well_or_badly() {
    let house = House::new();
    let kernel = house.start().await;
    let other = house.launch_one(&kernel, COUNTER).await;
    for (method, answer, owed) in
        [("leave", "#\"left\"", "goodbye"), ("fail", "no more", "no more")]
    {
        let root = house.launch_one(&kernel, LEAVER).await;
        let handle = kernel.clone();
        let pending = tokio::spawn(async move { ask(&handle, root, "never", json!([])).await });
        // Sent before what makes the vat leave.
        tokio::task::yield_now().await;
        assert_eq!(ask(&kernel, root, method, json!([])).await, answer);
        assert_eq!(pending.await.unwrap(), format!("[KERNEL:VAT_TERMINATED] {owed}"));
        let later = ask(&kernel, root, method, json!([])).await;
        assert!(later.starts_with("[KERNEL:OBJECT_DELETED]"), "{later}");
        let status = kernel.status().await.unwrap();
        assert_eq!((status.vats.len(), status.subclusters.len()), (1, 1));
        assert_sound(&kernel).await;
    }
    assert_eq!(ask(&kernel, other, "increment", json!([])).await, "#1");
    kernel.stop().await.unwrap();
}

/// Starts only every other time.
const FICKLE: &str = r"
import { Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => {
  if (!baggage.has('bad')) baggage.init('bad', false);
  if (baggage.get('bad')) throw Error('not in the mood');
  return Far('fickle', {
    bootstrap() {},
    spoil() { baggage.set('bad', true); },
    ping: () => 'pong',
  });
};
";

#[tokio::test]
async fn a_vat_that_cannot_start_is_shown_and_can_be_tried_again() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, FICKLE).await;
    let other = house.launch_one(&kernel, COUNTER).await;
    ask(&kernel, root, "spoil", json!([])).await;
    kernel.stop().await.unwrap();
    let kernel = house.start().await;
    let vat = "v1".parse().unwrap();
    for _ in 0..2 {
        let status = kernel.status().await.unwrap();
        let VatCondition::Failed { reason } = &status.vats[0].condition else {
            panic!("{status:?}")
        };
        assert!(reason.contains("not in the mood"), "{reason}");
        assert_eq!(status.vats[1].condition, VatCondition::Running);
        let answer = ask(&kernel, root, "ping", json!([])).await;
        assert!(answer.starts_with("[KERNEL:ENDPOINT_UNREACHABLE]"), "{answer}");
        assert!(answer.contains("not in the mood"), "{answer}");
        assert!(kernel.ping_vat(vat).await.unwrap_err().message.contains("not in the mood"));
        assert_eq!(ask(&kernel, other, "fail", json!([])).await, "on purpose");
        let error = kernel.restart_vat(vat).await.unwrap_err();
        assert!(error.message.contains("not in the mood"), "{error}");
    }
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_vat_that_faults_again_and_again_is_suspended_until_it_is_restarted() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    for _ in 0..5 {
        let answer = ask(&kernel, root, "fill", json!([])).await;
        assert!(answer.starts_with("[KERNEL:VAT_FATAL:OUT_OF_MEMORY]"), "{answer}");
    }
    let vat = "v1".parse().unwrap();
    for _ in 0..2 {
        let status = kernel.status().await.unwrap();
        assert_eq!(status.vats[0].faults, 5);
        let VatCondition::Suspended { reason } = &status.vats[0].condition else {
            panic!("{status:?}")
        };
        assert!(reason.contains("OUT_OF_MEMORY"), "{reason}");
        let answer = ask(&kernel, root, "increment", json!([])).await;
        assert!(answer.starts_with("[KERNEL:ENDPOINT_UNREACHABLE]"), "{answer}");
        assert!(kernel.ping_vat(vat).await.is_err());
    }
    kernel.restart_vat(vat).await.unwrap();
    kernel.ping_vat(vat).await.unwrap();
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#2");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

const MAKER: &str = r"
import { Far } from '@endo/far';
export const buildRootObject = () => Far('maker', {
  bootstrap() {},
  make: () => Far('thing', { name: () => 'thing' }),
});
";

async fn made(kernel: &ocap_kernel::Kernel, root: ocap_types::KRef) -> ocap_types::KRef {
    let data = kernel.queue_message(root, "make", Vec::new()).await.unwrap();
    data.slots[0]
}

#[tokio::test]
async fn a_revoked_object_takes_nothing_and_its_vat_goes_on() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, MAKER).await;
    let (one, two) = (made(&kernel, root).await, made(&kernel, root).await);
    assert!(!kernel.is_revoked(one).await.unwrap());
    for _ in 0..2 {
        kernel.revoke(one).await.unwrap();
        assert!(kernel.is_revoked(one).await.unwrap());
        let answer = ask(&kernel, one, "name", json!([])).await;
        assert_eq!(answer, "[KERNEL:OBJECT_REVOKED] Target object has been revoked");
    }
    assert_eq!(ask(&kernel, two, "name", json!([])).await, "#\"thing\"");
    assert!(kernel.revoke("kp1".parse().unwrap()).await.is_err());
    let stray = "ko999".parse().unwrap();
    kernel.revoke(stray).await.unwrap();
    assert!(!kernel.is_revoked(stray).await.unwrap());
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
    let kernel = house.start().await;
    assert!(!kernel.is_revoked(two).await.unwrap());
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn the_host_holds_and_releases() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, MAKER).await;
    let vat = "v1".parse().unwrap();
    let thing = made(&kernel, root).await;
    assert_eq!(kernel.held_refs().await.unwrap(), [thing]);
    for _ in 0..2 {
        assert_eq!(kernel.pin_vat_root(vat).await.unwrap(), root);
    }
    let mut held = kernel.held_refs().await.unwrap();
    held.sort_unstable();
    assert_eq!(held, [root, thing]);
    kernel.unpin_vat_root(vat).await.unwrap();
    assert!(kernel.pin_vat_root("v9".parse().unwrap()).await.is_err());
    assert!(kernel.hold("ko999".parse().unwrap()).await.is_err());
    kernel.collect_garbage().await.unwrap();
    assert_eq!(ask(&kernel, thing, "name", json!([])).await, "#\"thing\"");
    assert!(kernel.release(thing).await.unwrap());
    kernel.collect_garbage().await.unwrap();
    let gone = ask(&kernel, thing, "name", json!([])).await;
    assert!(gone.starts_with("[KERNEL:OBJECT_DELETED]"), "{gone}");
    assert_eq!(kernel.held_refs().await.unwrap(), []);
    assert_eq!(made(&kernel, root).await.to_string(), "ko6");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

const LINK: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => {
  let next;
  return Far('link', {
    bootstrap: async ({ a, b, c }) => E(a).chain(b, c),
    // A thing here holds a thing of the next vat, which holds one of the one after it.
    async chain(b, c) { next = await E(b).chainTo(c); },
    async chainTo(c) { const rest = await E(c).last(); return Far('middle', { rest: () => rest }); },
    last: () => Far('last', {}),
    forget() { next = undefined; },
  });
};
";

#[tokio::test]
async fn garbage_that_holds_garbage_is_collected_at_once() {
    let house = House::new();
    let kernel = house.start().await;
    house.source("link.js", LINK);
    let vat = json!({"sourceSpec": "link.js"});
    let config = json!({"bootstrap": "a", "vats": {"a": vat, "b": vat, "c": vat}});
    let launched = house.try_launch(&kernel, &config).await.unwrap();
    kernel.collect_garbage().await.unwrap();
    let things = ["ko7", "ko8"].map(|kref| kref.parse().unwrap());
    for thing in things {
        let answer = ask(&kernel, thing, "nothing", json!([])).await;
        assert!(answer.contains("nothing"), "still there: {answer}");
    }
    ask(&kernel, launched.root, "forget", json!([])).await;
    kernel.collect_garbage().await.unwrap();
    for thing in things {
        let answer = ask(&kernel, thing, "nothing", json!([])).await;
        assert!(answer.starts_with("[KERNEL:OBJECT_DELETED]"), "{answer}");
    }
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
