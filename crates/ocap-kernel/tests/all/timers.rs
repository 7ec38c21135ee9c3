//! The service `timer`, with real vats, clocks and restarts.

use std::time::{Duration, SystemTime};

use ocap_kernel::Kernel;
use ocap_types::KRef;
use serde_json::{Value, json};

use crate::house::{House, ask, assert_sound};

const CLOCK: &str = r"
import { E, Far } from '@endo/far';
const { defineDurableKind, makeKindHandle, makeScalarBigMapStore } = VatData;
export const buildRootObject = (_powers, _parameters, baggage) => {
  const provide = (name, make) => {
    if (!baggage.has(name)) baggage.init(name, make());
    return baggage.get(name);
  };
  const fired = provide('fired', () => makeScalarBigMapStore('fired', { durable: true }));
  const waiting = new Map();
  const makeHandler = defineDurableKind(
    provide('handler', () => makeKindHandle('handler')),
    name => ({ name }),
    {
      wake: ({ state: { name }, self }, due, now) => {
        if (name === 'loop') for (;;) {}
        fired.init(`${name} ${fired.getSize()}`, [due, now]);
        waiting.get(name)?.();
        // How to have something done again and again.
        if (name === 'often' && fired.getSize() < 3) E(baggage.get('timer')).wakeAt(due + 10, self);
      },
    },
  );
  const timer = () => baggage.get('timer');
  const text = async promise => { try { return await promise; } catch (error) { return `${error}`; } };
  return Far('clock', {
    bootstrap(vats, services) {
      baggage.init('timer', services.timer);
      if (vats.other) E(vats.other).take(services.timer);
    },
    take: service => { baggage.init('timer', service); },
    now: () => E(timer()).now(),
    after: (name, ms) => E(timer()).wakeAfter(ms, makeHandler(name)),
    at: (name, ms) => E(timer()).wakeAt(ms, makeHandler(name)),
    ephemeral: () => text(E(timer()).wakeAfter(1, Far('handler', { wake() {} }))),
    cancel: what => E(timer()).cancel(what),
    cancelTwo: async () => {
      const handler = makeHandler('two');
      await E(timer()).wakeAfter(1e9, handler);
      await E(timer()).wakeAfter(1e8, handler);
      return E(timer()).cancel(handler);
    },
    list: () => E(timer()).list(),
    when: name => new Promise(done => waiting.set(name, done)),
    fired: () => [...fired.entries()],
  });
};
";

async fn launch(house: &House, kernel: &Kernel, names: &[&str]) -> Vec<KRef> {
    house.source("clock.js", CLOCK);
    let vat =
        json!({"sourceSpec": "clock.js", "creationOptions": {"limits": {"crankTicks": 2000}}});
    let vats: serde_json::Map<String, Value> =
        names.iter().map(|&name| (name.to_owned(), vat.clone())).collect();
    let config = json!({"bootstrap": names[0], "services": ["timer"], "vats": vats});
    let root = house.try_launch(kernel, &config).await.unwrap().root;
    let KRef::Object(first) = root else { panic!("{root}") };
    (0..names.len() as u64).map(|n| KRef::Object(first + n)).collect()
}

/// What has fired: names, when it was due and when it fired.
async fn fired(kernel: &Kernel, root: KRef) -> Vec<(String, [u64; 2])> {
    let body = ask(kernel, root, "fired", json!([])).await;
    serde_json::from_str(body.strip_prefix('#').unwrap()).unwrap()
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::test]
async fn a_timer_wakes_its_handler_by_the_wall_clock() {
    let house = House::new();
    let kernel = house.start().await;
    let root = launch(&house, &kernel, &["one"]).await[0];
    let before = wall_ms();
    let now: u64 = ask(&kernel, root, "now", json!([])).await[1..].parse().unwrap();
    assert!((before..=wall_ms()).contains(&now));
    let never = ask(&kernel, root, "after", json!(["never", 1e9])).await;
    assert!(never.starts_with("#\"t"), "{never}");
    // The one that is set first is waited for, in the same crank or a later one.
    let (set, _) = tokio::join!(ask(&kernel, root, "after", json!(["often", 20])), async {
        ask(&kernel, root, "when", json!(["often"])).await
    });
    assert!(set.starts_with("#\"t"), "{set}");
    loop {
        let fired = fired(&kernel, root).await;
        if fired.len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let due: Vec<u64> = fired.iter().map(|(_, [due, _])| *due).collect();
        assert_eq!(due, [due[0], due[0] + 10, due[0] + 20]);
        assert!(due[0] >= now + 20, "{due:?}");
        assert!(fired.iter().all(|(_, [due, now])| now >= due), "{fired:?}");
        break;
    }
    let name = &never[1..];
    let list = ask(&kernel, root, "list", json!([])).await;
    assert!(list.contains(&format!("\"timer\":{name}")), "{list}");
    let status = kernel.status().await.unwrap();
    assert_eq!((status.vats[0].usage.timers, status.subclusters[0].usage.timers), (1, 1));
    let name: Value = serde_json::from_str(name).unwrap();
    assert_eq!(ask(&kernel, root, "cancel", json!([name])).await, "#1");
    assert_eq!(ask(&kernel, root, "cancel", json!([name])).await, "#0");
    assert_eq!(ask(&kernel, root, "cancelTwo", json!([])).await, "#2");
    assert_eq!(ask(&kernel, root, "list", json!([])).await, "#[]");
    let refused = ask(&kernel, root, "ephemeral", json!([])).await;
    assert!(refused.contains("the handler is not durable"), "{refused}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_timer_that_was_due_while_the_kernel_was_down_fires_late_and_once() {
    let house = House::new();
    let mut ms = 500;
    // On a machine that is slow enough it fires before the kernel has stopped.
    loop {
        let kernel = house.start().await;
        let root = launch(&house, &kernel, &["one"]).await[0];
        let set = ask(&kernel, root, "after", json!(["late", ms])).await;
        assert!(set.starts_with("#\"t"), "{set}");
        let later = ask(&kernel, root, "after", json!(["later", 1e9])).await;
        kernel.stop().await.unwrap();
        let restarted = wall_ms();
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let kernel = house.start().await;
        while fired(&kernel, root).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kernel.restart_vat(kernel.status().await.unwrap().vats[0].id).await.unwrap();
        let fired = fired(&kernel, root).await;
        let [(name, [due, now])] = &fired[..] else { panic!("{fired:?}") };
        assert_eq!(name, "late 0");
        assert!(now >= due);
        let list = ask(&kernel, root, "list", json!([])).await;
        assert!(list.contains(&later[1..]) && !list.contains(&set[1..]), "{list}");
        assert_sound(&kernel).await;
        kernel.reset().await.unwrap();
        assert_sound(&kernel).await;
        kernel.stop().await.unwrap();
        if *now > restarted {
            break;
        }
        ms *= 2;
    }
}

#[tokio::test]
async fn a_timer_outlasts_its_vats_incarnations_and_ends_with_its_vat() {
    let house = House::new();
    let kernel = house.start().await;
    let roots = launch(&house, &kernel, &["one", "other"]).await;
    let ids: Vec<_> = kernel.status().await.unwrap().vats.iter().map(|vat| vat.id).collect();
    for &root in &roots {
        ask(&kernel, root, "after", json!(["never", 1e9])).await;
    }
    ask(&kernel, roots[0], "after", json!(["soon", 300])).await;
    kernel.restart_vat(ids[0]).await.unwrap();
    kernel.collect_garbage().await.unwrap();
    while fired(&kernel, roots[0]).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A wake-up call that never ends is tried twice, and no vat is the worse for it.
    ask(&kernel, roots[1], "after", json!(["loop", 0])).await;
    while kernel.status().await.unwrap().vats[1].faults < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let list = ask(&kernel, roots[1], "list", json!([])).await;
    assert_eq!(list.matches("\"timer\"").count(), 1, "{list}");
    assert_eq!(kernel.status().await.unwrap().vats[1].faults, 2);
    assert_eq!(kernel.status().await.unwrap().subclusters[0].usage.timers, 2);
    kernel.terminate_vat(ids[1]).await.unwrap();
    assert_eq!(kernel.status().await.unwrap().subclusters[0].usage.timers, 1);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
