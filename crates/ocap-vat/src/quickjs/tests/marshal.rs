//! Values in and out.

use super::*;

/// What comes back when a value is echoed.
fn echo(bench: &mut Bench, body: &str, slots: &[&str]) -> (String, Vec<VRef>) {
    let answer = bench.send(&format!("[\"echo\",[{body}]]"), slots, "p-60");
    match answer.iter().find_map(|s| match s {
        Syscall::Resolve { resolutions } => Some(resolutions[0].clone()),
        _ => None,
    }) {
        Some(r) if !r.rejected => (r.data.body[1..].to_owned(), r.data.slots),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn every_form_comes_back_as_it_went() {
    let mut bench = Bench::new(with_methods("echo: x => x"));
    let forms = [
        "null",
        "true",
        "false",
        "0",
        "1.5",
        "-3",
        "1e+21",
        "\"#NaN\"",
        "\"#Infinity\"",
        "\"#-Infinity\"",
        "\"#undefined\"",
        "\"\"",
        "\"plain\"",
        "\"!#escaped\"",
        "\"!!\"",
        "\"!-x\"",
        "\"+0\"",
        "\"+12345678901234567890\"",
        "\"-5\"",
        "\"%foo\"",
        "\"%@@asyncIterator\"",
        "[]",
        "{}",
        "[1,[2,[3]]]",
        r#"{"!#c":1,"a":2,"b":{"d":[]}}"#,
        r#"{"__proto__":1,"toString":2}"#,
        r##"{"#tag":"t","payload":[1]}"##,
        "\"\u{263a}\\n\"",
        "\"\\u0000\"",
        "[\"&0\"]",
        "[\"$0.Alleged: a\",\"$0\"]",
    ];
    for form in forms {
        let slots: &[&str] = if form.contains('&') {
            &["p-9"]
        } else if form.contains('$') {
            &["o-9"]
        } else {
            &[]
        };
        let (body, back) = echo(&mut bench, form, slots);
        assert_eq!(body, form);
        assert_eq!(back, slots.iter().map(|s| vref(s)).collect::<Vec<_>>());
    }
    // Not canonical.
    assert_eq!(echo(&mut bench, "-0", &[]).0, "0");
    assert_eq!(echo(&mut bench, r#"{"b":1,"a":2}"#, &[]).0, r#"{"a":2,"b":1}"#);
}

#[test]
fn errors_are_decoded_and_sent_with_a_new_id() {
    let mut bench = Bench::new(with_methods(
        "echo: x => x, look: e => [e instanceof TypeError, e.name, e.message, Object.isFrozen(e)]",
    ));
    let error = r##"{"#error":"!#m","name":"TypeError","errorId":"error:x#1"}"##;
    let sent = r##"{"#error":"!#m","errorId":"error:liveSlots:v1#70001","name":"TypeError"}"##;
    assert_eq!(echo(&mut bench, error, &[]).0, sent);
    let looked = bench.send(&format!("[\"look\",[{error}]]"), &[], "p-60");
    assert_eq!(looked, [fulfil("p-60", r#"[true,"TypeError","!#m",true]"#, &[])]);
}

#[test]
fn decoded_values_are_frozen() {
    let mut bench = Bench::new(with_methods(
        "look: (...v) => v.every(x => Object.isFrozen(x)) && Object.isFrozen(v[1].a)",
    ));
    let looked = bench.send(r#"["look",[[1],{"a":[]},"$0","&1"]]"#, &["o-50", "p-50"], "p-60");
    assert_eq!(looked[1..], [fulfil("p-60", "true", &[])]);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let cases = [
        ("() => () => {}", "Remotables must be explicitly declared"),
        ("() => ({ f() {} })", "Remotables must be explicitly declared"),
        ("() => Object.create(null, { x: { get: () => 1, enumerable: true } })", ""),
        ("() => ({ get x() { return 1; } })", "accessor"),
        ("() => [1, , 2]", ""),
        ("() => Object.assign([1], { x: 1 })", ""),
        ("() => Symbol('unregistered')", "Only registered symbols"),
        ("() => new Map()", ""),
        ("() => /x/", ""),
        ("() => ({ [Symbol.for('x')]: 1 })", ""),
        ("() => Object.defineProperty({ a: 1 }, 'b', { value: 1 })", "enumerable"),
        ("() => { let x = []; for (let i = 0; i < 5000; i++) x = [x]; return x; }", "levels deep"),
        ("() => { const x = {}; x.x = x; return x; }", "cannot be cyclic"),
    ];
    for (method, text) in cases {
        let mut bench = Bench::new(with_methods(&format!("m: {method}, ok: () => 1")));
        let answer = bench.send(r#"["m",[]]"#, &[], "p-60");
        let [Syscall::Resolve { resolutions }] = &answer[..] else {
            panic!("{method}: {answer:?}")
        };
        assert!(resolutions[0].rejected, "{method}: {resolutions:?}");
        assert!(resolutions[0].data.body.contains(text), "{method}: {resolutions:?}");
        assert_eq!(bench.send(r#"["ok",[]]"#, &[], "p-61"), [fulfil("p-61", "1", &[])]);
    }
}

#[test]
fn only_the_vat_itself_runs_while_a_value_is_read() {
    // Getters and proxies are code of the sender: they may be odd, but change nothing else.
    let mut bench = Bench::new(with_methods(
        "odd: () => new Proxy({ a: 1 }, { ownKeys: () => { throw Error('trap'); } }), ok: () => 1",
    ));
    let answer = bench.send(r#"["odd",[]]"#, &[], "p-60");
    assert!(matches!(&answer[..], [Syscall::Resolve { resolutions }] if resolutions[0].rejected));
    assert_eq!(bench.send(r#"["ok",[]]"#, &[], "p-61"), [fulfil("p-61", "1", &[])]);
}

#[test]
fn bodies_of_the_older_form_are_read() {
    let mut bench = Bench::new(with_methods("echo: x => x"));
    let cases = [
        (r#"{"@qclass":"undefined"}"#, "\"#undefined\""),
        (r#"{"@qclass":"-Infinity"}"#, "\"#-Infinity\""),
        (r#"{"@qclass":"bigint","digits":"-12"}"#, "\"-12\""),
        (r#"{"@qclass":"symbol","name":"x"}"#, "\"%x\""),
        (r#"{"@qclass":"slot","index":0,"iface":"Alleged: a"}"#, "\"$0.Alleged: a\""),
        (r#"{"@qclass":"hilbert","original":"q","rest":{"a":1}}"#, r#"{"@qclass":"q","a":1}"#),
        (r##"["#plain",{"__proto__":{"x":1}}]"##, r#"["!#plain",{"__proto__":{"x":1}}]"#),
    ];
    for (body, sent) in cases {
        let methargs = VCapData { body: format!("[\"echo\",[{body}]]"), slots: vec![vref("o-9")] };
        let result = Some(vref("p-60"));
        let delivery = Delivery::Message { target: VRef::ROOT, methargs, result };
        let syscalls = bench.deliver(delivery).unwrap().syscalls;
        let slots: &[&str] = if sent.contains('$') { &["o-9"] } else { &[] };
        assert_eq!(syscalls, [fulfil("p-60", sent, slots)]);
    }
}
