//! Loading code and starting vats.

use super::*;

fn start_error(code: VatCode) -> String {
    let (_, report) = Bench::start_with(Rc::default(), code, data("\"#undefined\"", &[]));
    report.error.unwrap_or_default()
}

/// Name, text and imports of a module.
type Text<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn graph(entry: &str, list: &[Text<'_>]) -> VatCode {
    let modules = list
        .iter()
        .map(|(name, source, imports)| {
            let imports = imports.iter().map(|(from, to)| ((*from).into(), (*to).into())).collect();
            ((*name).into(), Module { source: (*source).into(), imports })
        })
        .collect();
    VatCode::Modules(ModuleGraph { entry: entry.into(), modules })
}

#[test]
fn parameters_reach_the_vat() {
    let code = modules(
        "import { Far } from '@endo/far';
         export const buildRootObject = (_powers, parameters) => {
           if (!Object.isFrozen(parameters)) throw Error('not frozen');
           return Far('root', { name: () => parameters.name });
         };",
    );
    let (mut bench, report) = Bench::start_with(Rc::default(), code, data(r#"{"name":"n"}"#, &[]));
    assert_eq!(report.error, None);
    assert_eq!(bench.send(r#"["name",[]]"#, &[], "p-60"), [fulfil("p-60", "\"n\"", &[])]);
}

#[test]
fn modules_import_each_other_in_cycles() {
    let code = graph(
        "main.js",
        &[
            (
                "main.js",
                "import { greet } from './lib/greet.js'; import { Far } from '@endo/far';
                 export const name = 'main';
                 export const buildRootObject = () => Far('root', { greet });",
                &[("./lib/greet.js", "lib/greet.js")],
            ),
            (
                "lib/greet.js",
                "import { name } from '../main.js'; export const greet = () => `hello ${name}`;",
                &[("../main.js", "main.js")],
            ),
        ],
    );
    let mut bench = Bench::new(code);
    assert_eq!(bench.send(r#"["greet",[]]"#, &[], "p-60"), [fulfil("p-60", "\"hello main\"", &[])]);
}

#[test]
fn every_module_runs_once() {
    let code = graph(
        "main.js",
        &[
            (
                "main.js",
                "import './a.js'; import { Far } from '@endo/far'; import { runs } from './log.js';
                 runs.push('main'); export const buildRootObject = () => Far('root', { m: () => [...runs] });",
                &[("./a.js", "a.js"), ("./log.js", "log.js")],
            ),
            (
                "a.js",
                "import './b.js'; import { runs } from './log.js'; runs.push('a');",
                &[("./b.js", "b.js"), ("./log.js", "log.js")],
            ),
            (
                "b.js",
                "import './a.js'; import './main.js'; import { runs } from './log.js'; runs.push('b');",
                &[("./a.js", "a.js"), ("./main.js", "main.js"), ("./log.js", "log.js")],
            ),
            ("log.js", "export const runs = [];", &[]),
        ],
    );
    let mut bench = Bench::new(code);
    let expected = [fulfil("p-60", r#"["b","a","main"]"#, &[])];
    assert_eq!(bench.send(r#"["m",[]]"#, &[], "p-60"), expected);
}

#[test]
fn bundles_are_scripts() {
    let code = "var __vatExports__ = (function (exports) {
        const Far = (name, methods) => Object.freeze(Object.setPrototypeOf(methods, Object.freeze(
          Object.create(Object.prototype, {
            [Symbol.for('passStyle')]: { value: 'remotable' },
            [Symbol.toStringTag]: { value: 'Alleged: ' + name } }))));
        exports.buildRootObject = () => Far('root', { ping: () => typeof __vatExports__ });
        return exports; })({}); // no newline at the end";
    let mut bench = Bench::new(VatCode::Bundle(code.into()));
    assert_eq!(bench.send(r#"["ping",[]]"#, &[], "p-60"), [fulfil("p-60", "\"object\"", &[])]);
}

/// A bundle whose root has these methods.
fn bundle(methods: &str) -> VatCode {
    VatCode::Bundle(format!(
        "var __vatExports__ = (function (exports) {{
           const root = Object.freeze({{ {methods} }});
           const E = HandledPromise;
           exports.buildRootObject = () => Object.freeze(Object.create(Object.freeze(
             Object.create(Object.prototype, {{
               [Symbol.for('passStyle')]: {{ value: 'remotable' }},
               [Symbol.toStringTag]: {{ value: 'Alleged: root' }} }})),
             Object.getOwnPropertyDescriptors(root)));
           return exports; }})({{}});"
    ))
}

fn start_compiled(code: VatCode, compiled: Compiled) -> Bench {
    let kernel: Rc<Kernel> = Rc::default();
    let init = WorkerInit {
        vat: "v1".into(),
        name: "test".into(),
        code,
        compiled,
        globals: Vec::new(),
        allowed_globals: None,
        platform: Platform::default(),
        limits: LIMITS,
    };
    let engine = Box::new(Prepared::new().unwrap()).into_vat(init, kernel.clone());
    let mut bench = Bench { kernel, engine };
    let report = bench.deliver(Delivery::Start { parameters: data("1", &[]) }).unwrap();
    assert_eq!(report.error, None);
    bench
}

/// Of two lives, one compiled and one loaded, a vat cannot tell which is which.
#[test]
fn compiled_bundles_run_like_new_ones() {
    let code = bundle(
        "self: () => `${Object.freeze(function f(a) { return a; })}`,
         where: () => { try { null.x; } catch (e) { return e.message; } }",
    );
    let ask = |bench: &mut Bench| {
        [r#"["self",[]]"#, r#"["where",[]]"#].map(|what| bench.send(what, &[], "p-60"))
    };
    let mut unknown = start_compiled(code.clone(), Compiled::Unknown);
    assert!(unknown.kernel.compiled.borrow().is_empty());
    let mut first = start_compiled(code.clone(), Compiled::Wanted);
    let [bytecode] = &first.kernel.compiled.borrow().clone()[..] else { panic!("told once") };
    // It says what is run, whatever the text says.
    let other = bundle("self: () => 'other', where: () => 'there'");
    let mut again = start_compiled(other.clone(), Compiled::Known(bytecode.clone()));
    let answers = ask(&mut first);
    assert_eq!(ask(&mut unknown), answers);
    assert_eq!(ask(&mut again), answers);
    assert!(again.kernel.compiled.borrow().is_empty());
    // Of another build of the engine: the text is compiled.
    let strange = Bytecode([&[0xff], &bytecode.0[1..]].concat().into());
    let mut strange = start_compiled(other, Compiled::Known(strange));
    assert_eq!(strange.send(r#"["self",[]]"#, &[], "p-60"), [fulfil("p-60", "\"other\"", &[])]);
}

#[test]
fn a_start_that_fails_says_why() {
    let root = |body: &str| modules(&format!("export const buildRootObject = {body};"));
    let cases = [
        (root("() => { throw Error('oh no'); }"), "oh no"),
        (root("async () => { await null; throw TypeError('later'); }"), "TypeError: later"),
        (root("() => new Promise(() => {})"), "buildRootObject unresolved"),
        (root("() => undefined"), "buildRootObject() returned undefined"),
        (root("() => ({ a: 1 })"), "no interface"),
        (root("7"), "main.js does not export a buildRootObject() function"),
        (
            modules("export const other = 1;"),
            "main.js does not export a buildRootObject() function",
        ),
        (modules("throw Error('top level');"), "top level"),
        (modules("await new Promise(() => {});"), "top-level await never settles"),
        (modules("const x = ;"), "SyntaxError"),
        (modules("import 'nope';"), "nope"),
        (modules("import { nope } from '@endo/far'; export const x = nope;"), "nope"),
        (VatCode::Bundle("var x;".into()), "__vatExports__"),
        (
            VatCode::Bundle("var __vatExports__ = {};".into()),
            "vat source bundle lacks buildRootObject() function",
        ),
        (VatCode::Bundle("var __vatExports__ = null;".into()), "lacks buildRootObject"),
        (VatCode::Bundle("}{".into()), "SyntaxError"),
        (VatCode::Bundle("a\0b".into()), ""),
        (VatCode::Bundle("throw { get message() { throw 1; } }".into()), "thrown"),
    ];
    for (code, text) in cases {
        let what = format!("{code:?}");
        let error = start_error(code);
        assert!(!error.is_empty() && error.contains(text), "{what}: {error}");
    }
}

#[test]
fn a_vat_starts_once() {
    let mut bench = Bench::new(with_methods(""));
    let again = bench.deliver(Delivery::Start { parameters: data("1", &[]) }).unwrap();
    assert_eq!(again.error.as_deref(), Some("the vat was started already"));
}

/// Starts a vat that asks for these globals.
fn with_globals(methods: &str, globals: &[&str]) -> (Bench, CrankReport) {
    let init = WorkerInit {
        vat: "v1".into(),
        name: "test".into(),
        code: with_methods(methods),
        compiled: Compiled::Unknown,
        globals: globals.iter().map(|&name| name.into()).collect(),
        allowed_globals: None,
        platform: Platform::default(),
        limits: LIMITS,
    };
    let kernel: Rc<Kernel> = Rc::default();
    let engine = Box::new(Prepared::new().unwrap()).into_vat(init, kernel.clone());
    let mut bench = Bench { kernel, engine };
    let report = bench.deliver(Delivery::Start { parameters: data("1", &[]) }).unwrap();
    (bench, report)
}

#[test]
fn globals_must_be_known() {
    for (global, text) in [
        ("process", "Vat \"v1\" requested unknown global \"process\""),
        ("__proto__", "Vat \"v1\" requested unknown global \"__proto__\""),
    ] {
        assert_eq!(with_globals("", &[global]).1.error.as_deref(), Some(text));
    }
}

#[test]
fn text_is_encoded_on_request() {
    let methods = "m: () => {
        const bytes = new TextEncoder().encode('\u{e9}\\ud800');
        const bad = new Uint8Array([255, 65]);
        let fatal; try { new TextDecoder('utf-8', { fatal: true }).decode(bad); } catch (e) { fatal = e.name; }
        return [[...bytes], new TextDecoder().decode(bytes), new TextDecoder().decode(bad.subarray(1)),
          new TextDecoder().decode(bad), fatal, atob(btoa('x'))];
      }";
    let (mut bench, report) =
        with_globals(methods, &["TextEncoder", "TextDecoder", "atob", "btoa"]);
    assert_eq!(report.error, None);
    let body = "[[195,169,239,191,189],\"\u{e9}\u{fffd}\",\"A\",\"\u{fffd}A\",\"TypeError\",\"x\"]";
    assert_eq!(bench.send(r#"["m",[]]"#, &[], "p-60"), [fulfil("p-60", body, &[])]);
    let mut bench = Bench::new(with_methods("m: () => typeof TextEncoder + typeof atob"));
    let body = "\"undefinedundefined\"";
    assert_eq!(bench.send(r#"["m",[]]"#, &[], "p-60"), [fulfil("p-60", body, &[])]);
}

#[test]
fn vat_code_cannot_see_the_machinery() {
    let mut bench = Bench::new(with_methods(
        "look: () => [typeof __ocap, typeof native, typeof VatData, typeof exports, typeof console, typeof harden]",
    ));
    let body = r#"["undefined","undefined","object","object","object","function"]"#;
    assert_eq!(bench.send(r#"["look",[]]"#, &[], "p-60"), [fulfil("p-60", body, &[])]);
}

#[test]
fn the_console_is_the_log() {
    let mut bench = Bench::new(with_methods("say: () => { console.warn('careful', 1); }"));
    bench.send(r#"["say",[]]"#, &[], "");
    let log = bench.kernel.log.borrow();
    assert_eq!(log.last(), Some(&(LogLevel::Warn, "careful 1".into())));
}

#[test]
fn loggers_head_their_lines_with_their_tags() {
    let code = "import { Far } from '@endo/far';
        export const buildRootObject = ({ logger }) => {
          const text = f => { try { return f(); } catch (e) { return `${e}`; } };
          return Far('root', {
            say() {
              const a = logger.subLogger('a');
              const ab = a.subLogger({ tags: ['b', '%s', 'a'] });
              logger.info('no %s', 'tag');
              a.warn('one', 1);
              ab.error('three: %d%%', 50);
              ab.debug({ not: 'text' });
              ab.log();
              return [Object.isFrozen(ab), text(() => a.subLogger({ tags: 'b' })), text(() => a.subLogger({ tags: [1] }))];
            },
          });
        };";
    let mut bench = Bench::new(modules(code));
    let wrong = "TypeError: the tags of a logger must be an array of strings";
    let body = format!(r#"[true,"{wrong}","{wrong}"]"#);
    assert_eq!(bench.send(r#"["say",[]]"#, &[], "p-60"), [fulfil("p-60", &body, &[])]);
    let log = bench.kernel.log.borrow();
    let expected = [
        (LogLevel::Info, "no tag"),
        (LogLevel::Warn, "[a] one 1"),
        (LogLevel::Error, "[a, b, %s] three: 50%"),
        (LogLevel::Debug, "[a, b, %s] {\"not\":\"text\"}"),
        (LogLevel::Info, "[a, b, %s]"),
    ];
    assert_eq!(*log, expected.map(|(level, text)| (level, text.to_owned())));
}
