//! Real vats that let go of things. Nobody asks them to say so: the kernel does, by itself, and in
//! the end its store holds what is reachable.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ocap_kernel::{Kernel, VatCondition};
use ocap_types::KRef;
use serde_json::json;

use crate::house::{House, ask, assert_sound};

/// How long a machine as busy as can be may take to come to rest and collect.
const PATIENCE: Duration = Duration::from_mins(1);

/// The store's rows by key, but for those that count what has ever been, and vats' own stores.
type Rows = BTreeMap<String, String>;

/// What the store holds: a copy of its files is opened, so that the kernel goes on undisturbed.
/// `None` if it was written to meanwhile.
fn rows(house: &House) -> Option<Rows> {
    let copy = tempfile::tempdir().ok()?;
    for name in ["kernel.sqlite", "kernel.sqlite-wal"] {
        std::fs::copy(house.path(name), copy.path().join(name)).ok()?;
    }
    let store = ocap_store::sqlite::open(copy.path().join("kernel.sqlite")).ok()?;
    let mut rows = Rows::new();
    let mut after = String::new();
    while let Some((key, value)) = store.reader.next("", &after).ok()? {
        after.clone_from(&key);
        if !["next.", "imports.", "vs.", "stored."].iter().any(|counted| key.starts_with(counted)) {
            rows.insert(key, value);
        }
    }
    Some(rows)
}

/// Waits until the store is as it should be; what it holds then.
async fn until(house: &House, is_so: impl Fn(&Rows) -> bool) -> Rows {
    let start = Instant::now();
    let mut last = None;
    while start.elapsed() < PATIENCE {
        last = rows(house);
        if let Some(rows) = &last
            && is_so(rows)
        {
            return last.unwrap();
        }
        // Nothing tells when the kernel has written.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to be so: {last:#?}");
}

/// Objects of the kernel's own: its services.
const SERVICES: usize = 3;

/// Owner and counts of an object, if it is there.
fn object(rows: &Rows, kref: KRef) -> Option<&str> {
    rows.get(&format!("o.{kref}")).map(String::as_str)
}

const HUB: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => {
  let vats;
  let thing;
  return Far('hub', {
    bootstrap(roots) { vats = roots; },
    async make() { thing = await E(vats.maker).make(); return thing; },
    // Not returned to the host, which would hold it.
    async makeForVats() { thing = await E(vats.maker).make(); },
    give: (name) => E(vats[name]).take(thing),
    forget() { thing = undefined; },
    tell: (name, verb) => E(vats[name])[verb](),
    pass: (name, count) => E(vats[name]).pass(vats.maker, count),
  });
};
";

const MAKER: &str = r"
import { Far } from '@endo/far';
const thing = () => Far('thing', { name: () => 'thing', inner: () => thing() });
export const buildRootObject = () => Far('maker', {
  make: thing,
  echo: (value) => value,
  rejection: (value) => Promise.reject(value),
});
";

const HOLDER: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => {
  let held;
  return Far('holder', {
    take(thing) { held = thing; },
    use: () => E(held).name(),
    drop() { held = undefined; },
    // Objects, promises for them, promises in promises and rejections pass to and fro.
    async pass(maker, count) {
      for (let n = 0; n < count; n += 1) {
        const own = Far('own', { n: () => n });
        const promised = E(maker).make();
        const [back, there] = await Promise.all([E(maker).echo(own), E(maker).echo(promised)]);
        if (back !== own) throw Error('another object came back');
        await E(E(E(there).inner()).inner()).name();
        const { later } = await E(maker).echo({ later: E(maker).echo([promised]) });
        await later;
        await E(maker).rejection(own).then(() => { throw Error('no'); }, () => {});
        E(maker).echo(Promise.resolve({ own }));
      }
      return count;
    },
  });
};
";

/// A hub, a maker of things and holders with these names.
async fn launch(house: &House, kernel: &Kernel, holders: &[&str]) -> KRef {
    house.source("hub.js", HUB);
    house.source("maker.js", MAKER);
    house.source("holder.js", HOLDER);
    let mut vats = json!({"hub": {"sourceSpec": "hub.js"}, "maker": {"sourceSpec": "maker.js"}});
    for holder in holders {
        vats[holder] = json!({"sourceSpec": "holder.js"});
    }
    let config = json!({"bootstrap": "hub", "vats": vats});
    house.try_launch(kernel, &config).await.unwrap().root
}

/// No vat has been harmed, and the store is sound.
async fn assert_well(kernel: &Kernel, vats: usize) {
    let status = kernel.status().await.unwrap();
    assert_eq!(status.vats.len(), vats);
    for vat in status.vats {
        assert_eq!((vat.condition, vat.faults), (VatCondition::Running, 0), "{}", vat.name);
    }
    assert_sound(kernel).await;
}

#[tokio::test]
async fn an_object_is_counted_for_as_long_as_it_is_held() {
    let house = House::new();
    let kernel = house.start().await;
    let hub = launch(&house, &kernel, &["bob"]).await;
    let thing = kernel.queue_message(hub, "make", vec![]).await.unwrap().slots[0];
    // The hub and the host hold it.
    until(&house, |rows| object(rows, thing) == Some("v2 2 2")).await;
    assert_eq!(ask(&kernel, hub, "forget", json!([])).await, "#\"#undefined\"");
    until(&house, |rows| object(rows, thing) == Some("v2 1 1")).await;
    // Nobody but the host: it is still there.
    assert_eq!(ask(&kernel, thing, "name", json!([])).await, "#\"thing\"");
    assert_well(&kernel, 3).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn importers_let_go_one_after_another() {
    let house = House::new();
    let kernel = house.start().await;
    let holders = ["bob", "carol", "dave"];
    let hub = launch(&house, &kernel, &holders).await;
    let before = until(&house, |rows| rows.contains_key("vat.v5")).await;
    ask(&kernel, hub, "makeForVats", json!([])).await;
    for holder in holders {
        ask(&kernel, hub, "give", json!([holder])).await;
    }
    ask(&kernel, hub, "forget", json!([])).await;
    let held: Vec<&String> = before.keys().collect();
    let is_thing = |count: usize| {
        let held = held.clone();
        move |rows: &Rows| {
            let counts = format!("v2 {count} {count}");
            let mut objects = rows.iter().filter(|(key, _)| key.starts_with("o.ko"));
            objects.any(|(key, value)| !held.contains(&key) && *value == counts)
        }
    };
    for (gone, holder) in holders.iter().enumerate() {
        until(&house, is_thing(holders.len() - gone)).await;
        for other in &holders[gone..] {
            let answer = ask(&kernel, hub, "tell", json!([other, "use"])).await;
            assert_eq!(answer, "#\"thing\"", "{other}");
        }
        ask(&kernel, hub, "tell", json!([holder, "drop"])).await;
    }
    let after = until(&house, |rows| rows.len() <= before.len()).await;
    assert_eq!(after, before);
    assert_well(&kernel, 5).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn after_much_traffic_the_store_is_as_before() {
    let house = House::new();
    let kernel = house.start().await;
    let hub = launch(&house, &kernel, &["bob", "carol"]).await;
    // Once, for what the first use of a vat leaves; then for good.
    for holder in ["bob", "carol"] {
        assert_eq!(ask(&kernel, hub, "pass", json!([holder, 1])).await, "#1");
    }
    let before = at_rest(&house, &kernel).await;
    let (bob, carol) = tokio::join!(
        ask(&kernel, hub, "pass", json!(["bob", 300])),
        ask(&kernel, hub, "pass", json!(["carol", 300])),
    );
    assert_eq!((bob.as_str(), carol.as_str()), ("#300", "#300"));
    let after = at_rest(&house, &kernel).await;
    assert_eq!(after, before);
    assert_well(&kernel, 4).await;
    kernel.stop().await.unwrap();
}

/// What the store holds once no vat gives up more.
async fn at_rest(house: &House, kernel: &Kernel) -> Rows {
    let roots = kernel.status().await.unwrap().vats.len();
    until(house, |rows| {
        let objects = rows.keys().filter(|key| key.starts_with("o.ko")).count();
        let promises = rows.keys().any(|key| key.starts_with("p.") || key.starts_with("pv."));
        objects == SERVICES + roots && !promises
    })
    .await
}

const HOARDER: &str = r"
import { Far } from '@endo/far';
export const buildRootObject = ({ VatData }) => Far('hoarder', {
  bootstrap() {},
  spill: n => {
    for (let i = 0; i < n; i += 1) VatData.makeScalarBigMapStore('heap').init('k', 'x'.repeat(1_000));
    return n;
  },
});
";

#[tokio::test]
async fn what_a_vat_stores_and_does_not_reach_goes_also_if_it_knows_nobody() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, HOARDER).await;
    let stored = async || kernel.status().await.unwrap().vats[0].usage.vatstore_bytes;
    let before = stored().await;
    assert_eq!(ask(&kernel, root, "spill", json!([100])).await, "#100");
    let start = Instant::now();
    while stored().await > before + 1_000 {
        assert!(start.elapsed() < PATIENCE, "{} bytes, once {before}", stored().await);
        // Nothing tells when the vat has brought out its dead.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn importers_hear_that_an_exporter_is_gone() {
    let house = House::new();
    let kernel = house.start().await;
    let hub = launch(&house, &kernel, &["bob", "carol"]).await;
    ask(&kernel, hub, "makeForVats", json!([])).await;
    for holder in ["bob", "carol"] {
        ask(&kernel, hub, "give", json!([holder])).await;
    }
    kernel.terminate_vat("v2".parse().unwrap()).await.unwrap();
    for holder in ["bob", "carol"] {
        let answer = ask(&kernel, hub, "tell", json!([holder, "use"])).await;
        assert!(answer.starts_with("[KERNEL:OBJECT_DELETED]"), "{answer}");
        ask(&kernel, hub, "tell", json!([holder, "drop"])).await;
    }
    ask(&kernel, hub, "forget", json!([])).await;
    // The maker's root is in the hub's hands for ever; the thing is not.
    until(&house, |rows| {
        let orphans =
            rows.iter().filter(|(key, value)| key.starts_with("o.") && value.starts_with("- "));
        orphans.count() == 1
    })
    .await;
    assert_well(&kernel, 3).await;
    kernel.stop().await.unwrap();
}
