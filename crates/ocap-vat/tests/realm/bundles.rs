//! Bundles made of real npm packages, from `fixtures/bundles`, in the realm.

use std::path::PathBuf;

use super::*;

/// The text of a fixture bundle, or `None` if the fixtures were not built (see `fixtures/bundles`).
fn bundle(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/bundles/dist")
        .join(format!("{name}.bundle"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(
            std::env::var("OCAP_REQUIRE_FIXTURES").as_deref() != Ok("1"),
            "{} is missing: run `npm ci && npm run build` in fixtures/bundles",
            path.display()
        );
        eprintln!("skipped: {} is missing (npm ci && npm run build)", path.display());
        return None;
    };
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["moduleFormat"], "iife");
    assert!(file["exports"].is_array() && file["external"].as_array().unwrap().is_empty());
    Some(file["code"].as_str().unwrap().to_owned())
}

/// Starts a bundle's vat, and another one's as `other` if named, and runs `body` with its `root`.
#[track_caller]
fn run_bundle(name: &str, other: Option<&str>, body: &str) -> Option<String> {
    let mut code = bundle(name)?;
    if let Some(other) = other {
        let other = bundle(other)?;
        code = format!(
            "{code}\nvar other = (function () {{ {other}\n; return __vatExports__; }})();\n__vatExports__ = {{ ...__vatExports__, other }};"
        );
    }
    let prelude = "
        const entries = new Map();
        const baggage = ocap.Far('baggage', {
          has: k => entries.has(k), get: k => entries.get(k), set: (k, v) => { entries.set(k, harden(v)); },
          init: (k, v) => { entries.set(k, harden(v)); },
        });
        const { E } = ocap;
        const root = exports.buildRootObject({}, undefined, baggage);
        const other = exports.other?.buildRootObject({}, undefined, baggage);";
    Some(
        run_with(name, &format!("{prelude}\n{body}"), Some(&code))
            .unwrap_or_else(|error| panic!("{name}: {error}")),
    )
}

#[test]
fn exo_bundles_run() {
    let Some(got) = run_bundle(
        "counter",
        None,
        "return [ocap.passStyleOf(root), ocap.getInterfaceOf(root), await E(root).bootstrap(), await E(root).increment(),
                 await E(root).increment(4), root.getCount(), entries.get('count'), root.__getMethodNames__(),
                 ocap.getTag(root.__getInterfaceGuard__()), ocap.passStyleOf(root.__getInterfaceGuard__())];",
    ) else {
        return;
    };
    assert_eq!(
        got,
        "[\"remotable\",\"Alleged: vatRoot\",\"counter is up\",1,5,5,5,[\"__getInterfaceGuard__\",\"__getMethodNames__\",\
         \"bootstrap\",\"getCount\",\"increment\"],\"guard:interfaceGuard\",\"tagged\"]"
    );
}

#[test]
fn pattern_guards_of_bundles_run() {
    let Some(got) = run_bundle(
        "guarded",
        None,
        "const a = await E(root).makePurse(10n); const b = root.makePurse(0n);
         const moved = await E(root).transfer(Promise.resolve(a), b, 4n);
         const complaint = async p => p.then(() => 'fine', e => `${e.name}: ${e.message}`);
         return [String(moved.moved), String(a.getBalance()), String(await E(b).getBalance()),
                 await complaint(E(a).withdraw(100n, 'rent')), await complaint(E(a).deposit('x')),
                 await complaint(E(a).deposit()), root.describe(harden({ name: 'n', tags: ['t'], age: 3 })),
                 await complaint(E(root).describe(harden({ name: 5 })))];",
    ) else {
        return;
    };
    assert_eq!(
        got,
        "[\"4\",\"6\",\"4\",\"RangeError: insufficient funds: rent\",\
         \"Error: In \\\"deposit\\\" method of (Purse): arg 0: string (a string) - Must be a bigint\",\
         \"Error: In \\\"deposit\\\" method of (Purse): Expected at least 1 arguments: (an object)\",\"n 3 [t]\",\
         \"Error: In \\\"describe\\\" method of (vatRoot): arg 0: name: number (a number) - Must be a string\"]"
    );
}

#[test]
fn bundles_call_each_other() {
    let Some(got) = run_bundle(
        "alice",
        Some("bob"),
        "await E(root).bootstrap(harden({ bob: other }));
         return [await E(root).greetBob(), await E(root).pipeline(), await E(root).callback(), root.getHeard(),
                 await E(root).passPromise(), await E(root).failAtBob()];",
    ) else {
        return;
    };
    assert_eq!(
        got,
        "[\"Hello, Alice, this is Bob\",[\"Hi, one\",\"Hi two, three\"],3,[\"x\",\"y\",\"z\"],{\"late\":true},\
         \"caught TypeError: as asked\"]"
    );
}

#[test]
fn passables_of_bundles_and_realm_are_the_same() {
    let Some(got) = run_bundle(
        "passables",
        None,
        "const values = harden([null, undefined, true, 1, -0, NaN, 5n, 'x', '#y', Symbol.for('s'), [1], { a: 1 }, Error('e'),
                ocap.makeTagged('t', [1]), ocap.Far('F', {}), root, ocap.makeDefaultExo('X', {})]);
         const theirs = values.map(v => root.style(v));
         if (theirs.join() !== values.map(v => ocap.passStyleOf(v)).join()) throw Error(theirs.join());
         const tagged = root.makeTagged('mine', { a: [1n] });
         const far = root.makeFar('Theirs');
         return [ocap.passStyleOf(tagged), ocap.getTag(tagged), ocap.getInterfaceOf(far), await E(far).getName(),
                 root.body(values.slice(0, 13)), root.roundTrip({ a: [undefined, 3n] }).a.length,
                 await E(root).echo(ocap.patterns.M.string()).then(ocap.getTag),
                 await E(root).refuse([1]).catch(e => e.message)];",
    ) else {
        return;
    };
    assert_eq!(
        got,
        "[\"tagged\",\"mine\",\"Alleged: Theirs\",\"Theirs\",\"#[null,\\\"#undefined\\\",true,1,0,\\\"#NaN\\\",\\\"+5\\\",\\\"x\\\",\
         \\\"!#y\\\",\\\"%s\\\",[1],{\\\"a\\\":1},{\\\"#error\\\":\\\"e\\\",\\\"name\\\":\\\"Error\\\"}]\",2,\"match:string\",\"will not take [1]\"]"
    );
}

#[test]
fn failing_bundles_fail_with_their_own_message() {
    if bundle("counter").is_none() {
        return;
    }
    let failure = |name: &str| {
        run_with(name, "return String(exports.buildRootObject);", bundle(name).as_deref())
    };
    assert!(
        failure("error-in-module").unwrap_err().contains("module evaluation failed on purpose")
    );
    assert_eq!(failure("error-no-root").unwrap(), "undefined");
    let built =
        run_with("x", "return exports.buildRootObject();", bundle("error-in-build").as_deref());
    assert!(built.unwrap_err().contains("TypeError: buildRootObject failed on purpose"));
    let root = run_bundle(
        "error-in-bootstrap",
        None,
        "return [await E(root).ping(), await E(root).bootstrap().catch(String)];",
    );
    assert_eq!(root.unwrap(), "[\"pong\",\"RangeError: bootstrap failed on purpose\"]");
    assert!(run_bundle("echo-io", None, "return ocap.passStyleOf(root);").is_some());
}
