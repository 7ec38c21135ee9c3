//! Services of the host: values, references and promises both ways, and every way not to answer.

use std::sync::{Arc, Mutex};

use ocap_kernel::{
    ErrorKind, Kernel, KernelOptions, KernelService, ServiceCall, ServiceRegistration, ServiceReply,
};
use ocap_types::KRef;
use ocap_types::passable::Passable;
use serde_json::json;
use tokio::sync::mpsc;

use crate::house::{COUNTER, House, ask, assert_sound};

/// Hands calls that it is not to answer at once to the test.
struct Desk {
    calls: mpsc::UnboundedSender<(ServiceCall, ServiceReply)>,
    kept: Mutex<Option<KRef>>,
}

impl KernelService for Desk {
    fn call(&self, call: ServiceCall, reply: ServiceReply) {
        match call.method.as_str() {
            "echo" => reply.fulfil(&Passable::Array(call.args)),
            "caller" => reply.fulfil(&Passable::string(format!("{:?}", call.caller))),
            "fail" => reply.reject("not today"),
            "forget" => drop(reply),
            "panic" => panic!("a service that breaks"),
            "unknown" => {
                let stray = KRef::Object(999);
                reply.fulfil(&Passable::remotable(stray, "stray"));
            }
            "keep" => {
                let [Passable::Remotable { slot, .. }] = call.args[..] else { panic!("an object") };
                *self.kept.lock().unwrap() = Some(slot);
                tokio::spawn(async move {
                    call.kernel.hold(slot).await.unwrap();
                    reply.fulfil(&Passable::Undefined);
                });
            }
            "kept" => {
                let kept = self.kept.lock().unwrap().unwrap();
                reply.fulfil(&Passable::remotable(kept, "kept"));
            }
            // Sends a message to what it is given, and answers with the answer.
            "tell" => {
                let [Passable::Remotable { slot, .. }] = call.args[..] else { panic!("an object") };
                tokio::spawn(async move {
                    match call.kernel.send(slot, "increment", Vec::new()).await {
                        Ok(data) => reply.fulfil(&Passable::string(data.body)),
                        Err(error) => reply.reject(error.message),
                    }
                });
            }
            // Waits for the promise it is given, twice at once, and once more when it has settled.
            "await" => {
                let [Passable::Promise(promise)] = call.args[..] else { panic!("a promise") };
                tokio::spawn(async move {
                    let kernel = call.kernel;
                    let (first, second) = tokio::join!(kernel.when(promise), kernel.when(promise));
                    let third = kernel.when(promise).await;
                    assert_eq!(format!("{first:?}"), format!("{second:?}"));
                    assert_eq!(format!("{first:?}"), format!("{third:?}"));
                    match first {
                        Ok(data) => reply.fulfil(&Passable::string(data.body)),
                        Err(error) => reply.reject(error.message),
                    }
                });
            }
            _ => self.calls.send((call, reply)).unwrap(),
        }
    }
}

type Calls = mpsc::UnboundedReceiver<(ServiceCall, ServiceReply)>;

fn desk(house: &House, system_only: bool) -> (KernelOptions, Calls) {
    let (calls, received) = mpsc::unbounded_channel();
    let service = Arc::new(Desk { calls, kept: Mutex::new(None) });
    let mut options = house.options();
    let name = "desk".to_owned();
    options.services.push(ServiceRegistration { name, system_only, service });
    (options, received)
}

const CLIENT: &str = r"
import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';
export const buildRootObject = (_powers, _parameters, baggage) => {
  const text = p => p.then(v => v, e => e.message);
  const thing = Far('thing', { name: () => 'a thing' });
  let count = 0;
  const desk = () => baggage.get('desk');
  const root = Far('client', {
    bootstrap(_vats, { desk }) { if (desk) baggage.init('desk', desk); },
    increment() { count += 1; return count; },
    call: (method, ...args) => text(E(desk())[method](...args)),
    sameObject: async () => (await E(desk()).echo(thing))[0] === thing,
    samePromise: async () => {
      const kit = makePromiseKit();
      const back = await E(desk()).echo(kit.promise);
      kit.resolve('late');
      return back[0];
    },
    awaited: async () => {
      const good = makePromiseKit();
      const bad = makePromiseKit();
      const told = [text(E(desk()).await(good.promise)), text(E(desk()).await(bad.promise))];
      good.resolve({ thing, n: 1 });
      bad.reject(Error('on purpose'));
      return Promise.all(told);
    },
    pipelined: () => E(E(desk()).give(thing)).name(),
    given: () => text(E(desk()).give(thing)),
    keep: () => E(desk()).keep(thing),
    tell: () => E(desk()).tell(root),
    useKept: async () => text(E(E(desk()).kept()).name()),
    inOrder: () => Promise.all(['a', 'b', 'c', 'd'].map(x => E(desk()).echo(x))),
  });
  return root;
};
";

async fn client(house: &House, kernel: &Kernel) -> KRef {
    house.source("client.js", CLIENT);
    let config = json!({
        "bootstrap": "c", "services": ["desk"], "vats": {"c": {"sourceSpec": "client.js"}},
    });
    house.try_launch(kernel, &config).await.unwrap().root
}

#[tokio::test]
async fn values_objects_and_promises_pass_both_ways() {
    let house = House::new();
    let (options, mut calls) = desk(&house, false);
    let kernel = Kernel::start(options).await.unwrap();
    let root = client(&house, &kernel).await;
    // The host's service has ko4.
    assert_eq!(root.to_string(), "ko5");
    let call = |args| ask(&kernel, root, "call", args);
    assert_eq!(call(json!(["echo", 1, "#x", [null]])).await, r#"#[1,"!#x",[null]]"#);
    assert_eq!(call(json!(["caller"])).await, "#\"Some(VatId(1))\"");
    assert_eq!(ask(&kernel, root, "sameObject", json!([])).await, "#true");
    assert_eq!(ask(&kernel, root, "samePromise", json!([])).await, "#\"late\"");
    assert_eq!(ask(&kernel, root, "inOrder", json!([])).await, r#"#[["a"],["b"],["c"],["d"]]"#);
    // Messages to an answer that is not there yet wait for it.
    let handle = kernel.clone();
    let pipelined = tokio::spawn(async move { ask(&handle, root, "pipelined", json!([])).await });
    let (call, reply) = calls.recv().await.unwrap();
    reply.fulfil(&call.args[0]);
    assert_eq!(pipelined.await.unwrap(), "#\"a thing\"");
    // A service may call back whoever calls it.
    assert_eq!(ask(&kernel, root, "tell", json!([])).await, "#\"!#1\"");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_service_waits_for_promises_it_is_given() {
    let house = House::new();
    let (options, _calls) = desk(&house, false);
    let kernel = Kernel::start(options).await.unwrap();
    let root = client(&house, &kernel).await;
    let told = ask(&kernel, root, "awaited", json!([])).await;
    assert!(told.contains(r#"\"thing\":\"$0.Alleged: thing\""#), "{told}");
    assert!(told.contains("on purpose"), "{told}");
    let error = kernel.when(root).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, "ko5 is no promise"));
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn every_way_not_to_answer_is_a_rejection() {
    let house = House::new();
    let (options, mut calls) = desk(&house, false);
    let kernel = Kernel::start(options).await.unwrap();
    let root = client(&house, &kernel).await;
    for (method, wanted) in [
        ("fail", "not today"),
        ("forget", "service desk gave no answer"),
        ("panic", "service desk gave no answer"),
        ("unknown", "unknown reference ko999"),
    ] {
        let answer = ask(&kernel, root, "call", json!([method])).await;
        assert!(answer.contains("[KERNEL:DELIVERY_FAILED]"), "{method}: {answer}");
        assert!(answer.contains(wanted), "{method}: {answer}");
        assert_sound(&kernel).await;
    }
    // An answer to a vat that is gone is dropped; the service goes on.
    let handle = kernel.clone();
    let asking = tokio::spawn(async move { ask(&handle, root, "given", json!([])).await });
    let (call, reply) = calls.recv().await.unwrap();
    kernel.terminate_vat("v1".parse().unwrap()).await.unwrap();
    assert!(asking.await.unwrap().starts_with("[KERNEL:VAT_TERMINATED]"));
    reply.fulfil(&call.args[0]);
    let root = client(&house, &kernel).await;
    assert_eq!(ask(&kernel, root, "call", json!(["echo"])).await, "#[]");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

/// What was passed lives for the length of the call; what is held, until it is released.
#[tokio::test]
async fn a_service_holds_what_it_is_passed() {
    let house = House::new();
    let (options, mut calls) = desk(&house, false);
    let kernel = Kernel::start(options).await.unwrap();
    let root = client(&house, &kernel).await;
    let handle = kernel.clone();
    let asking = tokio::spawn(async move { ask(&handle, root, "given", json!([])).await });
    let (call, reply) = calls.recv().await.unwrap();
    kernel.collect_garbage().await.unwrap();
    let [Passable::Remotable { slot, .. }] = call.args[..] else { panic!("an object") };
    assert_eq!(ask(&kernel, slot, "name", json!([])).await, "#\"a thing\"");
    reply.fulfil(&Passable::Undefined);
    assert_eq!(asking.await.unwrap(), "#\"#undefined\"");
    ask(&kernel, root, "keep", json!([])).await;
    kernel.collect_garbage().await.unwrap();
    // Nobody held it in between: it is a new reference to the same thing.
    let [slot] = kernel.held_refs().await.unwrap()[..] else { panic!("one is held") };
    assert_eq!(ask(&kernel, root, "useKept", json!([])).await, "#\"a thing\"");
    assert!(kernel.release(slot).await.unwrap());
    assert!(!kernel.release(slot).await.unwrap());
    kernel.collect_garbage().await.unwrap();
    let gone = ask(&kernel, slot, "name", json!([])).await;
    assert!(gone.starts_with("[KERNEL:OBJECT_DELETED]"), "{gone}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_service_keeps_its_reference_over_restarts_and_calls_end_with_the_kernel() {
    let house = House::new();
    let (options, mut calls) = desk(&house, false);
    let kernel = Kernel::start(options).await.unwrap();
    let root = client(&house, &kernel).await;
    let handle = kernel.clone();
    let asking = tokio::spawn(async move { ask(&handle, root, "given", json!([])).await });
    let late = calls.recv().await.unwrap();
    // A handle in a service's hands does not keep the kernel running.
    let ended = late.0.kernel.clone();
    asking.abort();
    let _ = asking.await;
    drop(kernel);
    ended.stopped().await.unwrap();
    late.1.fulfil(&Passable::Null);
    // Without the service, callers are told; with it, what is in baggage works again.
    let kernel = house.start().await;
    let answer = ask(&kernel, root, "call", json!(["echo"])).await;
    assert!(answer.contains("kernel service 'desk' is not available"), "{answer}");
    kernel.stop().await.unwrap();
    let kernel = Kernel::start(desk(&house, false).0).await.unwrap();
    assert_eq!(ask(&kernel, root, "call", json!(["echo", 7])).await, "#[7]");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn names_of_services_are_checked_before_anything_is_touched() {
    let house = House::new();
    let (options, _calls) = desk(&house, false);
    for name in ["desk", "kernelFacet", "", "io:s1:repl"] {
        let mut options = options.clone();
        let mut second = options.services[0].clone();
        second.name = name.to_owned();
        options.services.push(second);
        let error = Kernel::start(options).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid, "{name}: {error}");
        assert!(error.message.contains(name), "{error}");
        assert!(!house.path("kernel.sqlite").exists());
    }
    let (options, _calls) = desk(&house, true);
    let kernel = Kernel::start(options).await.unwrap();
    house.source("c.js", COUNTER);
    let config = json!({
        "bootstrap": "c", "services": ["desk"], "vats": {"c": {"sourceSpec": "c.js"}},
    });
    let error = house.try_launch(&kernel, &config).await.unwrap_err();
    assert_eq!(error.message, "no registered kernel service 'desk'");
    kernel.stop().await.unwrap();
}
