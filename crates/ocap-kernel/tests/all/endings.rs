//! How vats and subclusters end, and that nobody else notices.

use ocap_kernel::ErrorKind;
use serde_json::json;

use crate::house::{COUNTER, House, ask, assert_sound};

const HEAVY: &str = r"
import { Far } from '@endo/far';
export const buildRootObject = () => Far('heavy', {
  bootstrap() {},
  huge: () => 'x'.repeat(16 << 20),
  ping: () => 'pong',
});
";

#[tokio::test]
async fn a_result_that_is_too_large_is_an_error_and_delays_nobody() {
    let house = House::new();
    let kernel = house.start().await;
    let heavy = house.launch_one(&kernel, HEAVY).await;
    let other = house.launch_one(&kernel, COUNTER).await;
    for count in 1..=3 {
        let huge = kernel.queue_message(heavy, "huge", vec![]).await;
        let error = huge.err().unwrap();
        assert!(!error.message.is_empty(), "{error:?}");
        // Each of these is answered by itself, not when the next one comes.
        let answer = ask(&kernel, other, "increment", json!([])).await;
        assert_eq!(answer, format!("#{count}"));
    }
    assert_eq!(ask(&kernel, heavy, "ping", json!([])).await, "#\"pong\"");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn one_of_two_subclusters_ends_and_the_other_goes_on() {
    let house = House::new();
    let kernel = house.start().await;
    house.source("c.js", COUNTER);
    let vat = json!({"sourceSpec": "c.js"});
    let config = json!({"bootstrap": "a", "vats": {"a": vat, "b": vat}});
    let first = house.try_launch(&kernel, &config).await.unwrap();
    let second = house.try_launch(&kernel, &config).await.unwrap();
    assert_eq!([first.subcluster.to_string(), second.subcluster.to_string()], ["s1", "s2"]);
    let status = kernel.status().await.unwrap();
    let vats: Vec<_> =
        status.vats.iter().map(|vat| format!("{} {}", vat.id, vat.subcluster_id)).collect();
    assert_eq!(vats, ["v1 s1", "v2 s1", "v3 s2", "v4 s2"]);
    kernel.terminate_subcluster(first.subcluster).await.unwrap();
    let status = kernel.status().await.unwrap();
    assert_eq!(status.subclusters.len(), 1);
    assert!(status.vats.iter().all(|vat| vat.subcluster_id == second.subcluster));
    let error = kernel.terminate_subcluster(first.subcluster).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::NotFound, "Subcluster does not exist.")
    );
    let dead = ask(&kernel, first.root, "increment", json!([])).await;
    assert!(dead.starts_with("[KERNEL:OBJECT_DELETED]"), "{dead}");
    assert_eq!(ask(&kernel, second.root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

/// Its unanswered calls are rejected, its subcluster goes with it, and nothing stands in the way.
#[tokio::test]
async fn a_vat_with_an_unanswered_message_is_terminated_at_once() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    let other = kernel.clone();
    let pending = tokio::spawn(async move { ask(&other, root, "never", json!([])).await });
    tokio::task::yield_now().await;
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    kernel.terminate_vat("v1".parse().unwrap()).await.unwrap();
    let answer = pending.await.unwrap();
    assert!(answer.starts_with("[KERNEL:"), "{answer}");
    assert!(kernel.status().await.unwrap().subclusters.is_empty());
    let error = kernel.terminate_vat("v1".parse().unwrap()).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "Vat does not exist."));
    let error = kernel.restart_vat("v1".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_restarted_vat_keeps_its_root_and_builds_it_again() {
    let house = House::new();
    let kernel = house.start().await;
    let source = r"
import { Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => {
  const add = key => {
    if (baggage.has(key)) baggage.set(key, baggage.get(key) + 1);
    else baggage.init(key, 1);
  };
  add('starts');
  return Far('root', {
    bootstrap: () => add('bootstraps'),
    counts: () => [baggage.get('starts'), baggage.get('bootstraps')],
  });
};
";
    let root = house.launch_one(&kernel, source).await;
    for starts in 1..=3 {
        assert_eq!(ask(&kernel, root, "counts", json!([])).await, format!("#[{starts},1]"));
        kernel.restart_vat("v1".parse().unwrap()).await.unwrap();
    }
    kernel.stop().await.unwrap();
    let kernel = house.start().await;
    assert_eq!(ask(&kernel, root, "counts", json!([])).await, "#[5,1]");
    kernel.stop().await.unwrap();
}
