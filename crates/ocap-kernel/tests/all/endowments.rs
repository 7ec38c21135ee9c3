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
    launch_with(house, kernel, globals, &json!({}), "", methods).await
}

/// The same with more in its config, and something before its methods.
pub(crate) async fn launch_with(
    house: &House,
    kernel: &Kernel,
    globals: &[&str],
    more: &Value,
    helpers: &str,
    methods: &str,
) -> Result<KRef, KernelError> {
    let text = format!(
        "import {{ E, Far }} from '@endo/far';
         import {{ makePromiseKit }} from '@endo/promise-kit';
         export const buildRootObject = (powers, parameters, baggage) => {{
           const seen = [];
           let kept;
           {helpers}
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
    let mut waiting = Box::pin(ask(&kernel, root, "wait", json!([1e9])));
    // Asked first, so it is there when this is answered.
    tokio::select! {
        biased;
        answer = &mut waiting => panic!("{answer}"),
        _ = ask(&kernel, root, "seen", json!([])) => {}
    }
    kernel.restart_vat(vat).await.unwrap();
    let answer = waiting.await;
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

#[tokio::test]
async fn clocks_and_randomness_are_there_on_request() {
    let house = House::new();
    let kernel = house.start().await;
    let methods = "
        now: () => Date.now(),
        dates: () => {
          const times = Array.from({ length: 100 }, () => Date.now());
          const d = new Date();
          return [times.every((t, i) => i === 0 || t >= times[i - 1]), d instanceof Date,
            d.getTime() >= times[99], new Date(0).toISOString(), typeof Date(), Date.UTC(1970, 0),
            Object.isFrozen(Date), Object.isFrozen(Date.prototype), Date.length];
        },
        random: () => {
          const all = Array.from({ length: 100 }, () => Math.random());
          return [all.every(x => x >= 0 && x < 1), new Set(all).size > 90, Math.max(1, 2),
            Object.isFrozen(Math), Object.keys(Object.getOwnPropertyDescriptors(Math)).length > 30];
        },
        sample: () => `${Math.random()}`,";
    let root = launch(&house, &kernel, &["Date", "Math"], methods).await.unwrap();
    let now = value(&kernel, root, "now").await;
    let now: u128 = now.trim_start_matches('#').parse().unwrap();
    let host = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(host.as_millis().abs_diff(now) < 60_000, "{now}");
    assert_eq!(
        value(&kernel, root, "dates").await,
        r#"#[true,true,true,"1970-01-01T00:00:00.000Z","string",0,true,true,7]"#
    );
    assert_eq!(value(&kernel, root, "random").await, "#[true,true,2,true,true]");
    // Workers are forked from one process and have a randomness of their own all the same.
    let other = launch(&house, &kernel, &["Date", "Math"], methods).await.unwrap();
    assert_ne!(value(&kernel, root, "sample").await, value(&kernel, other, "sample").await);
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn text_urls_and_clones_work_on_request() {
    let house = House::new();
    let kernel = house.start().await;
    let methods = "
        text: () => [new TextDecoder().decode(new TextEncoder().encode('h\u{e9}')), atob(btoa('hello'))],
        url: () => {
          const url = new URL('../b c?x=1&y=%20&x=2#frag', 'HTTPS://user:pw@EXAMPLE.com:8443/a/a');
          const parts = [url.href, url.origin, url.protocol, url.host, url.hostname, url.port,
            url.username, url.password, url.pathname, url.search, url.hash];
          url.searchParams.append('z', '\u{fc}');
          url.searchParams.delete('y');
          url.port = '443'; url.hash = ''; url.hostname = 'b\u{fc}cher.example';
          return [...parts, `${url}`, JSON.stringify({ url }), url.searchParams.getAll('x').join()];
        },
        linked: () => {
          const url = new URL('http://h/?a=1');
          const { searchParams } = url;
          url.search = '?b=2&b=3';
          const got = [searchParams.get('a'), searchParams.get('b'), searchParams.size];
          url.href = 'http://other/';
          return [...got, `${searchParams}`, Object.isFrozen(URL.prototype)];
        },
        wrong: async () => [await text((async () => new URL('nope'))()), URL.canParse('nope'),
          URL.parse('nope'), URL.canParse('/x', 'http://h')],
        params: () => {
          const p = new URLSearchParams({ b: '1', a: 'x y' });
          p.append('b', '&='); p.sort(); p.set('c', '\\ud800');
          return [p.toString(), [...p].length, p.has('b', '1'), new URLSearchParams([['k', 'v']]).get('k'),
            new URLSearchParams('?q=1').toString(), p.get('none')];
        },
        clone: () => {
          const shared = { n: 1n };
          const value = { shared, again: shared, list: [1, , undefined], date: new Date(5), re: /x/gi,
            map: new Map([[shared, new Set([NaN])]]), error: new RangeError('oh', { cause: 'c' }),
            bytes: new Uint8Array([1, 2, 3]).subarray(1) };
          value.self = value;
          const copy = structuredClone(value);
          return [copy !== value, copy.self === copy, copy.shared === copy.again, copy.shared !== shared,
            copy.list.length, 1 in copy.list, copy.date.getTime(), `${copy.re}`,
            [...copy.map][0][0] === copy.shared, [...copy.map.values()][0].has(NaN),
            copy.error instanceof RangeError, copy.error.cause, [...copy.bytes].join(),
            copy.bytes.buffer !== value.bytes.buffer, Object.isFrozen(structuredClone(harden({ a: 1 })))];
        },
        uncloneable: () => Promise.all([() => {}, Symbol('s'), new WeakMap(), Promise.resolve(), { f() {} }]
          .map(value => text((async () => structuredClone(value))()).then(t => t.slice(0, 14)))),";
    let globals = ["TextEncoder", "TextDecoder", "atob", "btoa", "URL", "URLSearchParams"];
    let globals = [&globals[..], &["structuredClone"]].concat();
    let root = launch(&house, &kernel, &globals, methods).await.unwrap();
    assert_eq!(value(&kernel, root, "text").await, "#[\"h\u{e9}\",\"hello\"]");
    assert_eq!(
        value(&kernel, root, "url").await,
        r#"#["https://user:pw@example.com:8443/b%20c?x=1&y=%20&x=2#frag","https://example.com:8443","https:","example.com:8443","example.com","8443","user","pw","/b%20c","?x=1&y=%20&x=2","!#frag","https://user:pw@xn--bcher-kva.example/b%20c?x=1&x=2&z=%C3%BC","{\"url\":\"https://user:pw@xn--bcher-kva.example/b%20c?x=1&x=2&z=%C3%BC\"}","1,2"]"#
    );
    assert_eq!(value(&kernel, root, "linked").await, r#"#[null,"2",2,"",true]"#);
    assert_eq!(
        value(&kernel, root, "wrong").await,
        r#"#["TypeError: Invalid URL: 'nope'",false,null,true]"#
    );
    assert_eq!(
        value(&kernel, root, "params").await,
        r#"#["a=x+y&b=1&b=%26%3D&c=%EF%BF%BD",4,true,"v","q=1",null]"#
    );
    assert_eq!(
        value(&kernel, root, "clone").await,
        r#"#[true,true,true,true,3,false,5,"/x/gi",true,true,true,"c","2,3",true,false]"#
    );
    let refused = value(&kernel, root, "uncloneable").await;
    assert_eq!(refused.matches("DataCloneError").count(), 5, "{refused}");
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn aborts_reach_whoever_listens() {
    let house = House::new();
    let kernel = house.start().await;
    let methods = "
        abort: () => {
          const controller = new AbortController();
          const { signal } = controller;
          const log = [];
          signal.addEventListener('abort', event => log.push(event.type, event.target === signal));
          const gone = () => log.push('gone');
          signal.addEventListener('abort', gone); signal.removeEventListener('abort', gone);
          signal.addEventListener('other', gone);
          signal.addEventListener('abort', () => { throw Error('a listener that throws'); });
          signal.onabort = () => log.push('on');
          const any = AbortSignal.any([new AbortController().signal, signal]);
          log.push(signal.aborted);
          controller.abort('why'); controller.abort('again');
          let thrown; try { signal.throwIfAborted(); } catch (e) { thrown = e; }
          return [...log, signal.aborted, signal.reason, any.aborted, any.reason, thrown,
            AbortSignal.abort().reason.name, Object.isFrozen(AbortSignal)];
        },
        made: () => text((async () => new AbortSignal())()),
        timeout: () => new Promise(done => {
          const signal = AbortSignal.timeout(10);
          signal.onabort = () => done(signal.reason.name);
        }),";
    let globals = ["AbortController", "AbortSignal"];
    let root = launch(&house, &kernel, &globals, methods).await.unwrap();
    assert_eq!(
        value(&kernel, root, "abort").await,
        r#"#[false,"abort",true,"on",true,"why",true,"why","why","AbortError",true]"#
    );
    assert_eq!(value(&kernel, root, "made").await, "#\"TypeError: Illegal constructor\"");
    assert_eq!(value(&kernel, root, "timeout").await, "#\"TimeoutError\"");
    kernel.stop().await.unwrap();
}
