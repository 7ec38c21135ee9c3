//! What vats cost, and the limits their configs set.

use serde_json::json;

use crate::house::{House, ask, assert_sound};

const WORKER: &str = r"
import { Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => Far('worker', {
  bootstrap() {},
  work: n => { let sum = 0; for (let i = 0; i < n; i += 1) sum += i; return sum; },
  keep: (key, value) => baggage.init(key, value),
  chatter: () => { for (let i = 0; i < 30; i += 1) setTimeout(() => {}, 1e9); },
  deep: () => { const dig = () => 1 + dig(); return dig(); },
  grow: () => { const all = []; for (;;) all.push(new Uint8Array(1 << 20)); },
});
";

#[tokio::test]
async fn the_status_tells_what_vats_cost() {
    let house = House::new();
    let kernel = house.start().await;
    let one = house.launch_one(&kernel, WORKER).await;
    let other = house.launch_one(&kernel, WORKER).await;
    let before = kernel.status().await.unwrap().vats[0].usage;
    for root in [one, other] {
        ask(&kernel, root, "work", json!([200_000])).await;
        ask(&kernel, root, "keep", json!(["k", "x".repeat(5_000)])).await;
    }
    let status = kernel.status().await.unwrap();
    let [a, b] = [status.vats[0].usage, status.vats[1].usage];
    // The same work is the same number of ticks, on any machine.
    assert!(a.ticks > 0);
    assert_eq!((a.cranks, a.ticks, a.messages_in), (b.cranks, b.ticks, b.messages_in));
    assert_eq!((a.vatstore_bytes, a.messages_out), (b.vatstore_bytes, 0));
    assert_eq!(a.messages_in, before.messages_in + 2);
    assert!(a.heap_bytes > 100_000 && a.cpu_us > 0, "{a:?}");
    assert!(a.vatstore_bytes > before.vatstore_bytes + 5_000, "{a:?} {before:?}");
    assert_eq!(status.subclusters[0].usage, a);
    let shown = serde_json::to_value(&status).unwrap();
    assert_eq!(shown["vats"][0]["usage"]["vatstoreBytes"], json!(a.vatstore_bytes));
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_vat_gets_the_limits_its_config_asks_for() {
    let house = House::new();
    let kernel = house.start().await;
    house.source("one.js", WORKER);
    let limited = |limits| {
        let options = json!({"limits": limits});
        let vat = json!({
            "sourceSpec": "one.js",
            "creationOptions": options,
            "globals": ["setTimeout"],
        });
        json!({"bootstrap": "one", "vats": {"one": vat}})
    };
    for (limits, method, wanted) in [
        (json!({"crankTicks": 10}), "work", "used up its 10 ticks"),
        (json!({"crankCpuMs": 100, "crankTicks": 1e9}), "work", "100 ms of CPU time"),
        (json!({"heapBytes": 8_000_000}), "grow", "heap limit"),
        (json!({"crankBytes": 10_000}), "keep", "more than 10000 bytes"),
        (json!({"crankSyscalls": 20}), "chatter", "20 syscalls"),
        (json!({"storeBytes": 65_536}), "keep", "bytes, of 65536 that it may have"),
    ] {
        let root = house.try_launch(&kernel, &limited(limits)).await.unwrap().root;
        let args = match method {
            "keep" => json!(["k", "x".repeat(70_000)]),
            _ => json!([1e9]),
        };
        let answer = ask(&kernel, root, method, args).await;
        assert!(answer.contains(wanted), "{method}: {answer}");
        // It starts again, and is well.
        assert_eq!(ask(&kernel, root, "work", json!([3])).await, "#3");
    }
    // Too deep a recursion is an error of the vat's own.
    let root = house.try_launch(&kernel, &limited(json!({"stackBytes": 65536}))).await.unwrap();
    let answer = ask(&kernel, root.root, "deep", json!([])).await;
    assert!(answer.contains("Maximum call stack size exceeded"), "{answer}");
    kernel.stop().await.unwrap();
}
