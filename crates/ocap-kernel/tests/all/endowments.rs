//! Globals that vats ask for, through the real kernel.

use ocap_kernel::{ErrorKind, Kernel, KernelError, KernelOptions};
use ocap_types::KRef;
use serde_json::{Value, json};

use crate::house::{House, ask, assert_sound};

/// Launches one vat that asks for these globals and has these methods.
async fn launch(
    house: &House,
    kernel: &Kernel,
    globals: &[&str],
    methods: &str,
) -> Result<KRef, KernelError> {
    launch_with(house, kernel, globals, &json!({}), methods).await
}

/// The same with more in its config.
pub(crate) async fn launch_with(
    house: &House,
    kernel: &Kernel,
    globals: &[&str],
    more: &Value,
    methods: &str,
) -> Result<KRef, KernelError> {
    let text = format!(
        "import {{ E, Far }} from '@endo/far';
         import {{ makePromiseKit }} from '@endo/promise-kit';
         export const buildRootObject = (powers, parameters, baggage) => {{
           const seen = [];
           let kept;
           const text = p => Promise.resolve(p).then(v => v, e => `${{e}}`);
           return Far('root', {{ bootstrap() {{}}, seen: () => [...seen], {methods} }});
         }};"
    );
    house.source("endowed.js", &text);
    let mut vat = json!({"sourceSpec": "endowed.js", "globals": globals});
    for (key, value) in more.as_object().unwrap() {
        vat[key] = value.clone();
    }
    let config = json!({"bootstrap": "main", "vats": {"main": vat}});
    house.try_launch(kernel, &config).await.map(|launched| launched.root)
}

async fn value(kernel: &Kernel, root: KRef, method: &str) -> String {
    ask(kernel, root, method, json!([])).await
}

const TIMERS: &[&str] = &["setTimeout", "clearTimeout", "setInterval", "clearInterval"];

#[tokio::test]
async fn timers_fire_as_deliveries_of_their_own() {
    let house = House::new();
    let kernel = house.start().await;
    let methods = "
        order: () => new Promise(done => {
          setTimeout(() => { seen.push('late'); done([...seen]); }, 40);
          setTimeout((...words) => seen.push(...words), 20, 'a', 'b');
          setTimeout(() => { seen.push('first'); Promise.resolve().then(() => seen.push('then')); }, 0);
          setTimeout(() => seen.push('second'));
          const never = setTimeout(() => seen.push('never'), 15);
          clearTimeout(never); clearTimeout(never); clearTimeout({}); clearTimeout(undefined);
          seen.push(typeof never, Object.isFrozen(never));
        }),
        tick: () => new Promise(done => {
          let ticks = 0;
          const id = setInterval(() => {
            ticks += 1;
            if (ticks === 3) { clearInterval(id); setTimeout(() => done(ticks), 30); }
          }, 10);
        }),
        wrong: () => text((async () => setTimeout('code', 1))()),
        // What a timer throws is logged and harms nobody.
        thrown: () => new Promise(done => {
          setTimeout(() => { throw Error('on purpose'); }, 10);
          setTimeout(() => done('alive'), 10);
        }),
        many: async () => {
          const all = [];
          const full = await text((async () => { for (;;) all.push(setTimeout(() => {}, 1e9)); })());
          for (const id of all) clearTimeout(id);
          setTimeout(() => seen.push('again'), 10);
          return [all.length, full];
        },";
    let root = launch(&house, &kernel, TIMERS, methods).await.unwrap();
    assert_eq!(
        value(&kernel, root, "order").await,
        r#"#["object",true,"first","then","second","a","b","late"]"#
    );
    assert_eq!(value(&kernel, root, "tick").await, "#3");
    let wrong = value(&kernel, root, "wrong").await;
    assert!(wrong.contains("must be a function"), "{wrong}");
    assert_eq!(value(&kernel, root, "thrown").await, "#\"alive\"");
    let many = value(&kernel, root, "many").await;
    assert!(many.starts_with("#[1000,\"RangeError: at most 1000 timers"), "{many}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn timers_end_with_their_incarnation() {
    let house = House::new();
    let kernel = house.start().await;
    let methods = "
        count: () => baggage.get('count'),
        arm() {
          baggage.init('count', 0);
          setTimeout(() => baggage.set('count', baggage.get('count') + 1), 1e8);
          setInterval(() => baggage.set('count', baggage.get('count') + 1), 300);
        },
        wait: ms => new Promise(done => setTimeout(() => done('waited'), ms)),";
    let root = launch(&house, &kernel, TIMERS, methods).await.unwrap();
    value(&kernel, root, "arm").await;
    let vat = kernel.status().await.unwrap().vats[0].id;
    let waiting = kernel.clone();
    let waiting = tokio::spawn(async move { ask(&waiting, root, "wait", json!([1e9])).await });
    ask(&kernel, root, "seen", json!([])).await;
    kernel.restart_vat(vat).await.unwrap();
    let answer = waiting.await.unwrap();
    assert!(answer.starts_with("[KERNEL:VAT_RESTARTED]"), "{answer}");
    let before = value(&kernel, root, "count").await;
    assert_eq!(ask(&kernel, root, "wait", json!([600])).await, "#\"waited\"");
    assert_eq!(value(&kernel, root, "count").await, before);
    assert_sound(&kernel).await;
    // Nor does the next kernel know of them.
    ask(&kernel, root, "arm", json!([])).await;
    kernel.stop().await.unwrap();
    let kernel = house.start().await;
    assert_sound(&kernel).await;
    assert_eq!(ask(&kernel, root, "wait", json!([20])).await, "#\"waited\"");
    assert_eq!(value(&kernel, root, "count").await, before);
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_vat_did_not_ask_for_is_not_there() {
    let house = House::new();
    let kernel = house.start().await;
    let names = ocap_types::config::GLOBAL_NAMES;
    let names: Vec<&str> =
        names.into_iter().filter(|name| !["Date", "Math"].contains(name)).collect();
    let methods = format!(
        "absent: () => {}.filter(name => globalThis[name] !== undefined),
         date: () => text((async () => Date.now())()),
         made: () => text((async () => new Date())()),
         random: () => text((async () => Math.random())()),",
        json!(names)
    );
    let root = launch(&house, &kernel, &[], &methods).await.unwrap();
    assert_eq!(value(&kernel, root, "absent").await, "#[]");
    for method in ["date", "made", "random"] {
        let answer = value(&kernel, root, method).await;
        assert!(answer.contains("secure mode"), "{method}: {answer}");
    }
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn the_kernel_may_narrow_what_vats_can_ask_for() {
    let house = House::new();
    let allowing = |names: &[&str]| {
        let allowed = names.iter().map(|&name| name.to_owned()).collect();
        KernelOptions { allowed_globals: Some(allowed), ..house.options() }
    };
    let kernel = Kernel::start(allowing(&["setTimeout", "TextEncoder"])).await.unwrap();
    launch(&house, &kernel, &["TextEncoder", "setTimeout"], "").await.unwrap();
    let error = launch(&house, &kernel, &["TextEncoder", "URL"], "").await.unwrap_err();
    assert!(error.message.contains("requested unknown global \"URL\""), "{error}");
    kernel.stop().await.unwrap();
    let kernel = Kernel::start(allowing(&[])).await.unwrap();
    let error = launch(&house, &kernel, &["TextEncoder"], "").await.unwrap_err();
    assert!(error.message.contains("requested unknown global \"TextEncoder\""), "{error}");
    launch(&house, &kernel, &[], "").await.unwrap();
    kernel.stop().await.unwrap();
    let error = Kernel::start(allowing(&["process"])).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("unknown global \"process\""), "{error}");
}
