//! What values are on the wire, and which are none (kernel.md 17): each row as `@endo/marshal` has it
//! under the options of Liveslots.

use super::*;

/// What is sent, in a list, as JavaScript; how it is written.
const SENT: &[(&str, &str)] = &[
    ("-0", "0"),
    ("0", "0"),
    ("NaN", r##""#NaN""##),
    ("Infinity", r##""#Infinity""##),
    ("-Infinity", r##""#-Infinity""##),
    ("undefined", r##""#undefined""##),
    ("null", "null"),
    ("true", "true"),
    ("1e21", "1e+21"),
    ("5n", r#""+5""#),
    ("-5n", r#""-5""#),
    ("0n", r#""+0""#),
    ("''", r#""""#),
    ("'plain'", r#""plain""#),
    (r#""\u001ex""#, r#""\u001ex""#),
    (r#""\u001fx""#, r#""\u001fx""#),
    (r#"" x""#, r#"" x""#),
    (r#""!x""#, r#""!!x""#),
    (r#""\"x""#, r#""!\"x""#),
    (r##""#x""##, r#""!#x""#),
    (r#""$x""#, r#""!$x""#),
    (r#""%x""#, r#""!%x""#),
    (r#""&x""#, r#""!&x""#),
    (r#""'x""#, r#""!'x""#),
    (r#""(x""#, r#""!(x""#),
    (r#"")x""#, r#""!)x""#),
    (r#""*x""#, r#""!*x""#),
    (r#""+x""#, r#""!+x""#),
    (r#"",x""#, r#""!,x""#),
    (r#""-x""#, r#""!-x""#),
    (r#"".x""#, r#"".x""#),
    (r#""/x""#, r#""/x""#),
    (r#""0x""#, r#""0x""#),
    (r#""1x""#, r#""1x""#),
    ("Symbol.for('x')", r#""%x""#),
    ("Symbol.asyncIterator", r#""%@@asyncIterator""#),
    ("Symbol.for('@@x')", r#""%@@@@x""#),
    ("Symbol.for('')", r#""%""#),
    ("Symbol.for('#x')", r#""%#x""#),
    ("Symbol.iterator", r#""%@@iterator""#),
    ("[]", "[]"),
    ("[1,[2]]", "[1,[2]]"),
    ("[undefined]", r##"["#undefined"]"##),
    ("({})", "{}"),
    ("({b:1,a:2})", r#"{"a":2,"b":1}"#),
    ("({'#x':1,'!y':2,'$z':3,'':4})", r#"{"":4,"!!y":2,"!#x":1,"!$z":3}"#),
    ("({2:1,1:2,a:0})", r#"{"1":2,"2":1,"a":0}"#),
    ("({['__proto__']:1})", r#"{"__proto__":1}"#),
    ("({a:undefined})", r##"{"a":"#undefined"}"##),
    ("({then:1})", r#"{"then":1}"#),
    ("makeTagged('t',[1])", r##"{"#tag":"t","payload":[1]}"##),
    ("makeTagged('#t',{a:1n})", r##"{"#tag":"!#t","payload":{"a":"+1"}}"##),
    ("makeTagged('t',undefined)", r##"{"#tag":"t","payload":"#undefined"}"##),
    ("Error('m')", r##"{"#error":"m","errorId":"error:liveSlots:v1#N","name":"Error"}"##),
    (
        "TypeError('#m')",
        r##"{"#error":"!#m","errorId":"error:liveSlots:v1#N","name":"TypeError"}"##,
    ),
    ("RangeError('')", r##"{"#error":"","errorId":"error:liveSlots:v1#N","name":"RangeError"}"##),
    (
        "Error('m',{cause:Error('c')})",
        r##"{"#error":"m","errorId":"error:liveSlots:v1#N","name":"Error"}"##,
    ),
    (
        "AggregateError([Error('a')],'m')",
        r##"{"#error":"m","errorId":"error:liveSlots:v1#N","name":"AggregateError"}"##,
    ),
    (
        "SyntaxError('s')",
        r##"{"#error":"s","errorId":"error:liveSlots:v1#N","name":"SyntaxError"}"##,
    ),
    ("URIError('s')", r##"{"#error":"s","errorId":"error:liveSlots:v1#N","name":"URIError"}"##),
    ("EvalError('s')", r##"{"#error":"s","errorId":"error:liveSlots:v1#N","name":"EvalError"}"##),
    (
        "ReferenceError('s')",
        r##"{"#error":"s","errorId":"error:liveSlots:v1#N","name":"ReferenceError"}"##,
    ),
    ("Far('A',{})", r#""$0.Alleged: A""#),
    ("Far('A',{f(){}})", r#""$0.Alleged: A""#),
    ("Far('A')", r#""$0.Alleged: A""#),
    ("Far('A',()=>1)", r#""$0.Alleged: A""#),
    ("Far(1,{})", r#""$0.Alleged: 1""#),
    ("Far('A', {}, {})", r#""$0.Alleged: A""#),
    ("new Proxy({},{})", "{}"),
    ("new Proxy({a:1},{})", r#"{"a":1}"#),
    ("(async()=>1)()", r#""&0""#),
    ("Promise.resolve(1)", r#""&0""#),
    (r"'\ud800'", r#""\ud800""#),
    (r"({'\ud800':1})", r#"{"\ud800":1}"#),
    (r"Symbol.for('\ud800')", r#""%\ud800""#),
    ("(()=>{const f=Far('A',{});return [f,f]})()", r#"["$0.Alleged: A","$0"]"#),
    ("(()=>{const f=Promise.resolve();return [f,f]})()", r#"["&0","&0"]"#),
    ("Object.setPrototypeOf({a(){}},Far('A',{b(){}}))", r#""$0.Alleged: A""#),
    ("Object.create(Far('A',{b(){}}),{c:{value(){},enumerable:true}})", r#""$0.Alleged: A""#),
];

/// What cannot be sent; the error's name and message.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "Symbol('unregistered')",
        "Error",
        r#"Only registered symbols or well-known symbols are passable: "[Symbol(unregistered)]""#,
    ),
    ("[1,,2]", "Error", "1 property expected: (an object)"),
    ("Object.assign([1],{x:1})", "TypeError", "Arrays must not have non-indexes: (an object)"),
    ("new Array(3)", "Error", "0 property expected: (an object)"),
    ("new Array(2**32-1)", "Error", "0 property expected: (an object)"),
    ("Object.setPrototypeOf([1], null)", "TypeError", "Malformed array: (an object)"),
    ("Object.setPrototypeOf([1], {})", "TypeError", "Malformed array: (an object)"),
    ("(class A extends Array {}).from([1])", "TypeError", "Malformed array: (an object)"),
    (
        "Object.defineProperty([1],'0',{get(){return 1}})",
        "Error",
        "0 must not be an accessor property: (an object)",
    ),
    (
        "Object.defineProperty([1],'0',{enumerable:false})",
        "Error",
        "0 must be an enumerable property: (an object)",
    ),
    (
        "Object.assign([1],{[Symbol.for('x')]:1})",
        "TypeError",
        "Arrays must not have non-indexes: (an object)",
    ),
    ("({get x(){return 1}})", "Error", r#""x" must not be an accessor property: (an object)"#),
    ("({f(){}})", "Error", r#"Remotables must be explicitly declared: {"f":"[Function f]"}"#),
    (
        "({f(){}, a:1})",
        "Error",
        r#"cannot serialize Remotables with non-methods like "a" in (an object)"#,
    ),
    (
        "({[Symbol.for('x')]:1})",
        "Error",
        r#"cannot serialize Remotables with non-methods like "Symbol(x)" in (an object)"#,
    ),
    ("Object.create(null)", "Error", "Remotables must be explicitly declared: {}"),
    (
        "Object.create(null,{x:{get:()=>1,enumerable:true}})",
        "Error",
        r#"cannot serialize Remotables with accessors like "x" in (an object)"#,
    ),
    ("Object.create({})", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    (
        "Object.defineProperty({a:1},'b',{value:1})",
        "Error",
        r#""b" must be an enumerable property: (an object)"#,
    ),
    ("({then(){}})", "Error", "Cannot pass non-promise thenables"),
    ("Object.create({a:1})", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("({a:()=>{}})", "Error", r#"Remotables must be explicitly declared: {"a":"[Function a]"}"#),
    (
        "({a:{b:()=>{}}})",
        "Error",
        r#"Remotables must be explicitly declared: {"b":"[Function b]"}"#,
    ),
    ("makeTagged(1,1)", "Error", "The tag of a tagged record must be a string: (a number)"),
    (
        "makeTagged('t',()=>{})",
        "Error",
        r#"Remotables must be explicitly declared: "[Function <anon>]""#,
    ),
    (
        "new (class MyError extends Error {})('m')",
        "Error",
        "Passable Error must inherit from an error class .prototype: (an Error)",
    ),
    (
        "Object.assign(Error('m'),{code:1})",
        "Error",
        r#"Passable Error "code" own property must not be enumerable: (an object)"#,
    ),
    ("Error('m',{cause:1})", "Error", "Error expected: (a number)"),
    ("AggregateError([1],'m')", "Error", "Error expected: (a number)"),
    (
        "Object.assign(Error('m'),{name:'Foo'})",
        "Error",
        r#"Passable Error "name" own property must not be enumerable: (an object)"#,
    ),
    (
        "Object.defineProperty(Error('m'),'name',{value:'Foo'})",
        "Error",
        r#"Passable Error has extra unpassed property "name""#,
    ),
    (
        "Object.defineProperty(Error('m'),'message',{get(){return 'x'}})",
        "Error",
        r#"Passable Error "message" own property must be a data property: (an object)"#,
    ),
    (
        "Object.defineProperty(Error('m'),'message',{value:1})",
        "Error",
        r#"Passable Error "message" own property must be a string: (a number)"#,
    ),
    (
        "new Error()",
        "Error",
        r#"Passable Error must have an own "message" string property: (an Error)"#,
    ),
    (
        "Object.create(Error.prototype)",
        "Error",
        r#"Passable Error must have an own "message" string property: (an Error)"#,
    ),
    (
        "Far('A',function f(){})",
        "Error",
        "Far functions unexpected properties besides .name and .length (an object)",
    ),
    (
        "Far('A',{x:1})",
        "Error",
        r#"cannot serialize Remotables with non-methods like "x" in (an object)"#,
    ),
    (
        "Far('A',{get x(){return 1}})",
        "Error",
        r#"cannot serialize Remotables with accessors like "x" in (an object)"#,
    ),
    ("Far('A',[])", "Error", "cannot serialize arrays as Remotable (an object)"),
    (
        "Far('A',class{})",
        "Error",
        "Far functions unexpected properties besides .name and .length (an object)",
    ),
    (
        "Far('A',Object.create({}))",
        "Error",
        "For now, remotables cannot inherit from anything unusual, in (an object)",
    ),
    (
        "Far('A',Far('B',{}))",
        "Error",
        r#"Remotable (an object) is already marked as a "remotable""#,
    ),
    (
        "Far('A', Object.assign(()=>1,{x:1}))",
        "Error",
        "Far functions unexpected properties besides .name and .length (an object)",
    ),
    ("()=>{}", "Error", r#"Remotables must be explicitly declared: "[Function <anon>]""#),
    (
        "function(){}",
        "Error",
        "Far functions unexpected properties besides .name and .length (an object)",
    ),
    (
        "class{}",
        "Error",
        "Far functions unexpected properties besides .name and .length (an object)",
    ),
    (
        "({constructor(){}})",
        "Error",
        r#"Remotables must be explicitly declared: {"constructor":"[Function constructor]"}"#,
    ),
    ("new Map()", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("new Set()", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("new WeakMap()", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    (
        "/x/",
        "Error",
        r#"cannot serialize Remotables with non-methods like "lastIndex" in (an object)"#,
    ),
    ("new Date(0)", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("new Uint8Array(2)", "Error", "Cannot pass mutable typed arrays like (an object)."),
    ("new ArrayBuffer(2)", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("new (class A{})()", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("new (class A{f(){}})()", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("new Proxy({a:1},{ownKeys(){throw Error('trap')}})", "Error", "trap"),
    (
        "Object('s')",
        "Error",
        r#"cannot serialize Remotables with non-methods like "0" in (an object)"#,
    ),
    ("Object(Symbol.for('x'))", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    (
        "globalThis.Math",
        "Error",
        r#"cannot serialize Remotables with non-methods like "E" in (an object)"#,
    ),
    (
        "JSON",
        "Error",
        r#"For now, iface "JSON" must be "Remotable" or begin with "Alleged: " or "DebugName: "; unimplemented"#,
    ),
    (
        "Object.prototype",
        "Error",
        r#"cannot serialize Remotables with accessors like "toString" in (an object)"#,
    ),
    (
        "Object.assign(Promise.resolve(1),{x:1})",
        "Error",
        r#"(an object) - Must not have any own properties: ["x"]"#,
    ),
    (
        "(()=>{const x={};x.x=x;return x})()",
        "Error",
        "Pass-by-copy data cannot be cyclic (an object)",
    ),
    (
        "(()=>{const x=[];x[0]=x;return x})()",
        "Error",
        "Pass-by-copy data cannot be cyclic (an object)",
    ),
    (
        "(()=>{const x={},y={x};x.y=y;return [x]})()",
        "Error",
        "Pass-by-copy data cannot be cyclic (an object)",
    ),
    ("[new Map()]", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    ("({a:[{b:new Map()}]})", "Error", r#""[Symbol(passStyle)]" property expected: (an object)"#),
    (
        "Object.create(Far('A',{b(){}}),{c:{value:1,enumerable:true}})",
        "Error",
        r#"cannot serialize Remotables with non-methods like "c" in (an object)"#,
    ),
];

/// An error thrown or returned as it is: not all of it is sent, but it always is.
const ERRORS: &[(&str, &str, &str)] = &[
    ("TypeError('m')", "TypeError", "m"),
    ("new (class MyError extends Error {})('m')", "Error", "m"),
    ("Object.assign(Error('m'), { code: 1 })", "Error", "m"),
    ("Object.assign(Error('m'), { name: 'Mine' })", "Mine", "m"),
    ("Error('#m', { cause: 1 })", "Error", "!#m"),
    ("AggregateError([1], 'm')", "AggregateError", "m"),
    ("Object.defineProperty(Error('m'), 'message', { get: () => 'got' })", "Error", "got"),
    ("Object.defineProperty(Error('m'), 'message', { get: () => m() })", "Error", ""),
    ("Object.defineProperty(Error('m'), 'message', { value: 1 })", "Error", "1"),
    ("new Error()", "Error", ""),
    ("Object.create(Error.prototype)", "Error", ""),
];

/// Bodies, and what they mean, as `show` below puts it.
const READ: &[(&str, &str)] = &[
    (r#""%""#, "Symbol()"),
    (r#""%x""#, "Symbol(x)"),
    (r#""%@@asyncIterator""#, "Symbol(Symbol.asyncIterator)"),
    (r#""%@@@@x""#, "Symbol(@@x)"),
    (r#""-0""#, "0n"),
    (r#""+00""#, "0n"),
    (r#""-12""#, "-12n"),
    (r##""#undefined""##, "undefined"),
    ("-0", "-0"),
    ("1e999", "Infinity"),
    (r#""!""#, r#""""#),
    (r#""!!a""#, r#""!a""#),
    (r#""$0.Alleged: it""#, "remotable Alleged: it"),
    (r#""&1""#, "promise"),
    (r##"{"#tag":"!#t","payload":1}"##, "tagged #t 1"),
    (r##"{"#tag":"t","payload":"#undefined"}"##, "tagged t undefined"),
    (r##"{"#error":"m","name":"TypeError"}"##, r#"TypeError "m" {}"#),
    (r##"{"#error":"m","name":"Mine"}"##, r#"Error "m" {}"#),
    (r##"{"#error":"m","name":"constructor"}"##, r#"Error "m" {}"#),
    (r##"{"#error":"m","name":"__proto__"}"##, r#"Error "m" {}"#),
    (r##"{"#error":"m","name":"Error","errorId":"error:x#1","new":1}"##, r#"Error "m" {}"#),
    (r##"{"#error":"m","name":"Error","cause":1,"errors":[1]}"##, r#"Error "m" {}"#),
    (
        r##"{"#error":"m","name":"Error","cause":{"#error":"c","name":"URIError"}}"##,
        r#"Error "m" {"cause":URIError "c" {}}"#,
    ),
    (
        r##"{"#error":"m","name":"AggregateError","errors":[{"#error":"c","name":"Error"}]}"##,
        r#"AggregateError "m" {"errors":[Error "c" {}]}"#,
    ),
    (r#"{"!#a":"!b","c":["+1"]}"#, r##"{"#a":"b","c":[1n]}"##),
    (r#"{"__proto__":{"x":1}}"#, r#"{"__proto__":{"x":1}}"#),
    (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
];

const SHOW: &str = r"
    const { ownKeys } = Reflect;
    const parts = (v, keys) => `{${keys.map((k) => `${show(k)}:${show(v[k])}`)}}`;
    const show = (v) => {
      const style = passStyleOf(v);
      switch (style) {
        case 'string': return JSON.stringify(v);
        case 'bigint': return `${v}n`;
        case 'number': return Object.is(v, -0) ? '-0' : String(v);
        case 'copyArray': return `[${v.map(show)}]`;
        case 'copyRecord': return parts(v, ownKeys(v));
        case 'tagged': return `tagged ${v[Symbol.toStringTag]} ${show(v.payload)}`;
        case 'remotable': return `remotable ${v[Symbol.toStringTag]}`;
        case 'promise': return style;
        case 'error': {
          const others = ownKeys(v).filter((k) => k !== 'stack' && k !== 'message');
          return `${v.name} ${show(v.message)} ${parts(v, others.filter((k) => v[k].length !== 0))}`;
        }
        default: return String(v);
      }
    };";

/// Bodies that mean nothing; what the error says.
const MEANINGLESS: &[(&str, &str)] = &[
    (r##""#foo""##, "unknown constant"),
    (r##""#""##, "unknown constant"),
    (r##""#-0""##, "unknown constant"),
    (r#""%@@nope""#, r#"Reserved for well known symbol "nope""#),
    (r#""+""#, "bad bigint"),
    (r#""-""#, "bad bigint"),
    (r#""+x""#, "bad bigint"),
    (r#""+0x1""#, "bad bigint"),
    (r#""+-1""#, "bad bigint"),
    (r#""--1""#, "bad bigint"),
    (r#""$""#, "no slot"),
    (r#""$9""#, "no slot 9"),
    (r#""$-1""#, "no slot -1"),
    (r#""$0x""#, "no slot 0x"),
    (r#""$1""#, "slot 1 is of another sort"),
    (r#""&0""#, "slot 0 is of another sort"),
    (r#""&9""#, "no slot 9"),
    (r#""'x""#, "Special char \"'\" reserved for future use"),
    (r#""(x""#, "Special char \"(\" reserved for future use"),
    (r#"")x""#, "Special char \")\" reserved for future use"),
    (r#""*x""#, "Special char \"*\" reserved for future use"),
    (r#"",x""#, "Special char \",\" reserved for future use"),
    (r#""\"x""#, r#"Special char "\"" reserved for future use"#),
    (r##"{"#x":1}"##, "unrecognized record type"),
    (r##"{"#tag":"t"}"##, "exactly a tag and a payload"),
    (r##"{"#tag":"t","payload":1,"z":1}"##, "exactly a tag and a payload"),
    (r##"{"#tag":1,"payload":1}"##, "a tag must be a string"),
    (r##"{"#tag":"#undefined","payload":1}"##, "a tag must be a string"),
    (r##"{"#error":1,"name":"Error"}"##, "an error message must be a string"),
    (r##"{"#error":"m","name":1}"##, "an error name must be a string"),
    (r#"{"%a":1}"#, "a property name must be a string"),
    (r#"{"$0":1}"#, "a property name must be a string"),
    (r#"{"+1":1}"#, "a property name must be a string"),
];

/// A vat with a method for each of these sources.
fn vat_of<'a>(sources: impl Iterator<Item = &'a str>, wrap: &str) -> Bench {
    let methods: Vec<String> = sources
        .enumerate()
        .map(|(i, source)| format!("m{i}: () => {}", wrap.replace('_', source)))
        .collect();
    Bench::new(modules(&format!(
        "import {{ Far, makeTagged }} from '@endo/pass-style';
         export const buildRootObject = () => Far('root', {{ {} }});",
        methods.join(",\n")
    )))
}

/// How the call number `call` ends: its rejection, if it is one, and the value.
fn outcome(bench: &mut Bench, methargs: &str, slots: &[&str]) -> (bool, serde_json::Value) {
    let syscalls = bench.send(methargs, slots, "p-60");
    let told = syscalls.iter().find_map(|syscall| match syscall {
        Syscall::Resolve { resolutions } => {
            resolutions.iter().find(|told| told.promise == vref("p-60"))
        }
        _ => None,
    });
    let told = told.unwrap_or_else(|| panic!("{methargs}: {syscalls:?}"));
    (told.rejected, serde_json::from_str(&told.data.body[1..]).unwrap())
}

/// The name and message of an error, as they are written.
fn name_and_message(error: &serde_json::Value) -> (&str, &str) {
    (error["name"].as_str().unwrap(), error["#error"].as_str().unwrap())
}

#[test]
fn what_can_be_sent_is_written_as_the_reference_does() {
    let mut bench = vat_of(SENT.iter().map(|(source, _)| *source), "[_]");
    for (i, (source, written)) in SENT.iter().enumerate() {
        let syscalls = bench.send(&format!(r#"["m{i}",[]]"#), &[], "p-60");
        let Some(Syscall::Resolve { resolutions }) = syscalls.first() else {
            panic!("{source}: {syscalls:?}")
        };
        assert!(!resolutions[0].rejected, "{source}: {resolutions:?}");
        let mut body = resolutions[0].data.body.clone();
        if let Some(at) = body.find("v1#7") {
            body.replace_range(at + 3..at + 8, "N");
        }
        assert_eq!(body, format!("#[{written}]"), "{source}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_in_the_references_words() {
    let mut bench = vat_of(REFUSED.iter().map(|(source, ..)| *source), "[_]");
    for (i, (source, name, message)) in REFUSED.iter().enumerate() {
        let (rejected, error) = outcome(&mut bench, &format!(r#"["m{i}",[]]"#), &[]);
        assert!(rejected, "{source}: {error}");
        let (got_name, got) = name_and_message(&error);
        let got = if "!\"#$%&'()*+,-".contains(&message[..1]) { &got[1..] } else { got };
        assert_eq!((got_name, got), (*name, *message), "{source}");
    }
}

#[test]
fn an_error_is_told_whatever_it_is() {
    for wrap in ["{ throw _; }", "(_)", "Promise.reject(_)"] {
        let mut bench = vat_of(ERRORS.iter().map(|(source, ..)| *source), wrap);
        for (i, (source, name, message)) in ERRORS.iter().enumerate() {
            let (rejected, error) = outcome(&mut bench, &format!(r#"["m{i}",[]]"#), &[]);
            assert_eq!(rejected, wrap != "(_)", "{source}: {error}");
            assert_eq!(name_and_message(&error), (*name, *message), "{source}");
        }
    }
}

#[test]
fn what_comes_means_what_the_reference_says() {
    let mut bench = Bench::new(modules(&format!(
        "import {{ Far, passStyleOf }} from '@endo/far'; {SHOW}
         export const buildRootObject = () => Far('root', {{ show: (v) => [show(v)] }});"
    )));
    for (body, shown) in READ {
        let methargs = format!(r#"["show",[{body}]]"#);
        let (rejected, got) = outcome(&mut bench, &methargs, &["o-9", "p-9"]);
        assert!(!rejected, "{body}: {got}");
        let got = got[0].as_str().unwrap();
        assert_eq!(got.strip_prefix('!').unwrap_or(got), *shown, "{body}");
    }
    for (body, text) in MEANINGLESS {
        let methargs = format!(r#"["show",[{body}]]"#);
        let (rejected, error) = outcome(&mut bench, &methargs, &["o-9", "p-9"]);
        assert!(rejected, "{body}: {error}");
        assert!(name_and_message(&error).1.contains(text), "{body}: {error}");
    }
}

#[test]
fn one_syscall_carries_so_much_and_no_more() {
    // Characters and references of a value that just fits and of one that does not.
    const TEXT: &str = "(n) => 'x'.repeat(10_000_000 - 3 + n)";
    const LIST: &str = "(n) => Array(10_000 + n).fill().map(() => Far('it', {}))";
    for (big, fits) in [(TEXT, "true"), (LIST, "true")] {
        let mut bench = Bench::new(modules(&format!(
            "import {{ E, Far }} from '@endo/far';
             const big = {big};
             export const buildRootObject = ({{ exitVat, exitVatWithFailure }}) => Far('root', {{
               exit: (n) => exitVat(big(n)),
               fail: (n) => exitVatWithFailure(big(n)),
               send: async (to, n) => {{
                 try {{
                   await E(to).take(big(n));
                 }} catch (error) {{
                   return error.message.startsWith('syscall capdata too large');
                 }}
               }},
             }});"
        )));
        let sent = bench.send(r#"["send",["$0",1]]"#, &["o-9"], "p-60");
        assert_eq!(sent, [fulfil("p-60", fits, &[])]);
        let sent = bench.send(r#"["send",["$0",-100]]"#, &["o-9"], "p-61");
        assert!(matches!(sent[0], Syscall::Send { .. }));
        for (method, n, failed) in [("exit", 0, false), ("exit", 1, true), ("fail", 1, true)] {
            let syscalls = bench.send(&format!(r#"["{method}",[{n}]]"#), &[], "");
            let exit = syscalls.iter().find_map(|syscall| match syscall {
                Syscall::Exit { failure, info } => Some((*failure, info.body.clone())),
                _ => None,
            });
            let (failure, body) = exit.unwrap_or_else(|| panic!("{method} {n}"));
            assert_eq!(failure, failed, "{method} {n}");
            assert_eq!(body.contains("syscall capdata too large"), n == 1, "{method} {n}");
        }
    }
}
