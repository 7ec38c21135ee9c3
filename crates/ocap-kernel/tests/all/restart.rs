//! What lives on when the kernel, or a vat, starts again.

use serde_json::json;

use crate::house::{COUNTER, House, ask, assert_sound};

#[tokio::test]
async fn baggage_and_roots_outlive_the_kernel() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    kernel.stop().await.unwrap();
    // Code is not read again.
    std::fs::remove_file(house.path("one.js")).unwrap();
    for count in 2..5 {
        let kernel = house.start().await;
        let answer = ask(&kernel, root, "increment", json!([])).await;
        assert_eq!(answer, format!("#{count}"));
        assert_sound(&kernel).await;
        kernel.stop().await.unwrap();
    }
}

const KEEPER: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => {
  let ephemeral;
  const root = Far('keeper', {
    bootstrap(vats) { baggage.init('bob', vats.bob); },
    viaBaggage: () => E(baggage.get('bob')).increment(),
    takeThing: async () => { ephemeral = await E(baggage.get('bob')).thing(); },
    useThing: () => E(ephemeral).name(),
    keepOwnRoot() { try { baggage.init('me', root); return 'kept'; } catch (e) { return e.message; } },
    keepPromise() { try { baggage.init('p', Promise.resolve()); return 'kept'; } catch (e) { return e.message; } },
    keepLocal() { try { baggage.init('l', Far('l', {})); return 'kept'; } catch (e) { return e.message; } },
  });
  return root;
};
";

const BOB: &str = r"
import { Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => {
  if (!baggage.has('n')) baggage.init('n', 0);
  return Far('bob', {
    increment() { baggage.set('n', baggage.get('n') + 1); return baggage.get('n'); },
    thing: () => Far('thing', { name: () => 'thing' }),
    never: () => new Promise(() => {}),
  });
};
";

async fn keeper(house: &House, kernel: &ocap_kernel::Kernel) -> ocap_types::KRef {
    house.source("keeper.js", KEEPER);
    house.source("bob.js", BOB);
    let config = json!({
        "bootstrap": "keeper",
        "vats": {"keeper": {"sourceSpec": "keeper.js"}, "bob": {"sourceSpec": "bob.js"}},
    });
    house.try_launch(kernel, &config).await.unwrap().root
}

#[tokio::test]
async fn references_in_baggage_work_after_vat_and_kernel_restarts() {
    let house = House::new();
    let kernel = house.start().await;
    let root = keeper(&house, &kernel).await;
    assert_eq!(ask(&kernel, root, "viaBaggage", json!([])).await, "#1");
    for vat in ["v1", "v2"] {
        kernel.restart_vat(vat.parse().unwrap()).await.unwrap();
        assert_sound(&kernel).await;
    }
    assert_eq!(ask(&kernel, root, "viaBaggage", json!([])).await, "#2");
    kernel.stop().await.unwrap();
    let kernel = house.start().await;
    assert_eq!(ask(&kernel, root, "viaBaggage", json!([])).await, "#3");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn an_ephemeral_object_ends_with_its_incarnation() {
    let house = House::new();
    let kernel = house.start().await;
    let root = keeper(&house, &kernel).await;
    ask(&kernel, root, "takeThing", json!([])).await;
    assert_eq!(ask(&kernel, root, "useThing", json!([])).await, "#\"thing\"");
    kernel.restart_vat("v2".parse().unwrap()).await.unwrap();
    let dead = ask(&kernel, root, "useThing", json!([])).await;
    assert!(dead.starts_with("[KERNEL:OBJECT_DELETED]"), "{dead}");
    // Neither vat was harmed.
    assert_eq!(ask(&kernel, root, "viaBaggage", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_last_is_not_taken_into_baggage() {
    let house = House::new();
    let kernel = house.start().await;
    let root = keeper(&house, &kernel).await;
    for method in ["keepOwnRoot", "keepPromise", "keepLocal"] {
        let answer = ask(&kernel, root, method, json!([])).await;
        assert!(answer.contains("not durable"), "{method}: {answer}");
    }
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_a_restart_interrupts_is_rejected_with_a_code() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    let other = kernel.clone();
    let pending = tokio::spawn(async move { ask(&other, root, "never", json!([])).await });
    // Once the kernel has it, a message sent later is answered after it was delivered.
    tokio::task::yield_now().await;
    ask(&kernel, root, "increment", json!([])).await;
    kernel.restart_vat("v1".parse().unwrap()).await.unwrap();
    let answer = pending.await.unwrap();
    assert!(answer.starts_with("[KERNEL:VAT_RESTARTED]"), "{answer}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_terminated_vat_rejects_what_it_owed_and_what_comes_later() {
    let house = House::new();
    let kernel = house.start().await;
    let root = keeper(&house, &kernel).await;
    kernel.terminate_vat("v2".parse().unwrap()).await.unwrap();
    let answer = ask(&kernel, root, "viaBaggage", json!([])).await;
    assert!(answer.starts_with("[KERNEL:OBJECT_DELETED]"), "{answer}");
    let again = kernel.terminate_vat("v2".parse().unwrap()).await.unwrap_err();
    assert_eq!(again.message, "Vat does not exist.");
    kernel.terminate_subcluster("s1".parse().unwrap()).await.unwrap();
    let status = kernel.status().await.unwrap();
    assert!(status.vats.is_empty() && status.subclusters.is_empty());
    let gone = kernel.terminate_subcluster("s1".parse().unwrap()).await.unwrap_err();
    assert_eq!(gone.message, "Subcluster does not exist.");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
