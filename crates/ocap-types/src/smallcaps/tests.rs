//! The table of kernel.md section 17, and what must be refused.
#![allow(clippy::needless_raw_string_hashes, reason = "one form for all bodies reads better")]

use serde_json::json;

use super::*;
use crate::capdata::KCapData;
use crate::limits::{DECODED_DEPTH_MAX, DECODED_VALUES_MAX};
use crate::refs::KRef;

type P = Passable<KRef>;

const KO1: KRef = KRef::Object(1);
const KO2: KRef = KRef::Object(2);
const KP3: KRef = KRef::Promise(3);

fn capdata(body: &str, slots: &[KRef]) -> KCapData {
    CapData { body: body.to_owned(), slots: slots.to_vec() }
}

fn symbol(name: &str) -> P {
    P::Symbol(name.to_owned())
}

#[test]
fn the_table_both_ways() {
    let tagged =
        |tag: &str, payload: P| P::Tagged { tag: tag.to_owned(), payload: Box::new(payload) };
    let table: Vec<(P, &str)> = vec![
        (P::Null, "null"),
        (P::Bool(true), "true"),
        (P::Bool(false), "false"),
        (P::Number(1.5), "1.5"),
        (P::Number(1e21), "1e+21"),
        (P::Number(f64::INFINITY), r##""#Infinity""##),
        (P::Number(f64::NEG_INFINITY), r##""#-Infinity""##),
        (P::Undefined, r##""#undefined""##),
        (P::string(""), r#""""#),
        (P::string(" x"), r#"" x""#),
        (P::string(".x"), r#"".x""#),
        (
            P::string("Zoë \u{1F600}\n\u{1}\"\\/\u{7f}\u{2028}"),
            "\"Zoë 😀\\n\\u0001\\\"\\\\/\u{7f}\u{2028}\"",
        ),
        (P::BigInt(0.into()), r#""+0""#),
        (P::BigInt(123.into()), r#""+123""#),
        (P::BigInt((-123).into()), r#""-123""#),
        (symbol("foo"), r#""%foo""#),
        (symbol(""), r#""%""#),
        (symbol("@@asyncIterator"), r#""%@@asyncIterator""#),
        (symbol("@@@@foo"), r#""%@@@@foo""#),
        (P::Array(vec![]), "[]"),
        (P::Array(vec![P::Null, P::Undefined]), r##"[null,"#undefined"]"##),
        (P::record::<&str>([]), "{}"),
        (
            P::record([("b", P::Null), ("#c", P::string("!bang")), ("", P::Null)]),
            r##"{"":null,"!#c":"!!bang","b":null}"##,
        ),
        (tagged("copySet", P::Array(vec![])), r##"{"#tag":"copySet","payload":[]}"##),
        (tagged("!x", P::Undefined), r##"{"#tag":"!!x","payload":"#undefined"}"##),
        (P::error("-no"), r##"{"#error":"!-no","name":"Error"}"##),
        (
            P::Error {
                name: "TypeError".into(),
                message: "m".into(),
                error_id: Some("error:liveSlots:v1#70001".into()),
            },
            r##"{"#error":"m","errorId":"error:liveSlots:v1#70001","name":"TypeError"}"##,
        ),
    ];
    for (value, json) in table {
        let data = encode(&value);
        assert_eq!(data, capdata(&format!("#{json}"), &[]));
        assert_eq!(decode(&data), Ok(value), "{json}");
    }
    assert_eq!(encode(&P::Number(f64::NAN)).body, r##"#"#NaN""##);
    assert!(matches!(decode(&encode(&P::Number(f64::NAN))), Ok(P::Number(n)) if n.is_nan()));
    for c in '!'..='-' {
        let text = format!("{c}x");
        let data = encode(&P::string(&text));
        assert_eq!(serde_json::from_str::<String>(&data.body[1..]).unwrap(), format!("!{text}"));
        assert_eq!(decode(&data), Ok(P::String(text)));
    }
}

#[test]
fn references_are_numbered_by_first_mention() {
    let counter = || P::remotable(KO1, "Counter");
    let bare = || P::Remotable { slot: KO2, iface: None };
    let value = P::Array(vec![counter(), P::Promise(KP3), counter(), bare(), P::Promise(KP3)]);
    let data = encode(&value);
    assert_eq!(
        data,
        capdata(r##"#["$0.Alleged: Counter","&1","$0","$2","&1"]"##, &[KO1, KP3, KO2])
    );
    assert_eq!(decode(&data), Ok(value));
}

#[test]
fn the_interface_is_found_wherever_it_is_named() {
    let data = capdata(r##"#["$0","$0.Alleged: A","$0.Alleged: B"]"##, &[KO1]);
    assert_eq!(decode(&data), Ok(P::Array(vec![P::remotable(KO1, "A"); 3])));
}

#[test]
fn keys_are_in_the_order_of_javascript() {
    let keys =
        ["b", "a", "10", "9", "-1", "01", "4294967295", "4294967294", "\u{1F600}", "\u{FF5E}"];
    let data = encode(&P::record(keys.map(|key| (key, P::Null))));
    assert_eq!(
        data.body,
        "#{\"9\":null,\"10\":null,\"4294967294\":null,\"!-1\":null,\"01\":null,\
         \"4294967295\":null,\"a\":null,\"b\":null,\"😀\":null,\"～\":null}",
    );
    // Slots are numbered in the order of comparison all the same.
    let data = encode(&P::record([("9", P::remotable(KO1, "X")), ("10", P::remotable(KO2, "Y"))]));
    assert_eq!(data, capdata(r##"#{"9":"$1.Alleged: X","10":"$0.Alleged: Y"}"##, &[KO2, KO1]));
}

#[test]
fn what_others_may_write_differently_is_understood() {
    let one = || P::Number(1.0);
    for (body, value) in [
        ("#1.0", one()),
        ("# 1 ", one()),
        ("#-0", P::Number(0.0)),
        (r##"#"!x""##, P::string("x")),
        (r##"#"+007""##, P::BigInt(7.into())),
        (r##"#"-0""##, P::BigInt(0.into())),
        (r##"#{"a":2,"a":1}"##, P::record([("a", one())])),
        (r##"#{"!a":1}"##, P::record([("a", one())])),
        (
            r##"#{"#error":"m","name":"N","cause":null,"errors":[],"x":1}"##,
            P::Error { name: "N".into(), message: "m".into(), error_id: None },
        ),
    ] {
        assert_eq!(decode(&capdata(body, &[])), Ok(value), "{body}");
    }
}

#[test]
fn malformed_values_are_refused() {
    for body in [
        "",
        "#",
        "#[",
        "#[1,]",
        "#[,1]",
        "#{",
        "#{1:2}",
        "#nul",
        "#1 2",
        "#NaN",
        "#1e400",
        "#'x'",
        "##",
        "#\"\u{1}\"",
        r##"#"\ud800""##,
        r##"#"#""##,
        r##"#"#nope""##,
        r##"#"#-0""##,
        r##"#"+""##,
        r##"#"-""##,
        r##"#"+1x""##,
        r##"#"-+1""##,
        r##"#"+ 1""##,
        r##"#"%@@nope""##,
        r##"#"%@@""##,
        r##"#"$""##,
        r##"#"$9""##,
        r##"#"$-1""##,
        r##"#"$+0""##,
        r##"#"$00""##,
        r##"#"$0x""##,
        r##"#"$ 0""##,
        r##"#"$99999999999999999999""##,
        r##"#"&0""##,
        r##"#"$1""##,
        r##"#"$1.Alleged: P""##,
        r##"#"&1.Alleged: P""##,
        r##"#"&""##,
        r##"#"&2""##,
        "#\"'x\"",
        r##"#"(x""##,
        r##"#")x""##,
        r##"#"*x""##,
        r##"#",x""##,
        r##"#"\"x""##,
        r##"#{"#x":1}"##,
        r##"#{"$0":1}"##,
        r##"#{"+1":1}"##,
        r##"#{"%a":1}"##,
        r##"#{"#tag":"t"}"##,
        r##"#{"#tag":1,"payload":1}"##,
        r##"#{"#tag":"#undefined","payload":1}"##,
        r##"#{"#tag":"t","payload":1,"x":1}"##,
        r##"#{"#tag":"t","payload":"#x"}"##,
        r##"#{"#error":"m"}"##,
        r##"#{"#error":1,"name":"E"}"##,
        r##"#{"#error":"+1","name":"E"}"##,
        r##"#{"#error":"m","name":"%E"}"##,
        r##"#{"#error":"m","name":"E","errorId":1}"##,
        r##"#{"#error":"m","name":"E","message":"m"}"##,
        r##"#{"#error":"m","name":"E","cause":"$7"}"##,
    ] {
        assert!(decode(&capdata(body, &[KO1, KP3])).is_err(), "{body}");
    }
}

#[test]
fn depth_and_size_are_limited() {
    let nested =
        |depth: usize| capdata(&format!("#{}{}", "[".repeat(depth), "]".repeat(depth)), &[]);
    assert!(decode(&nested(DECODED_DEPTH_MAX)).is_ok());
    assert_eq!(decode(&nested(DECODED_DEPTH_MAX + 1)), Err(SmallcapsError::TooDeep));
    assert_eq!(decode(&nested(1_000_000)), Err(SmallcapsError::TooDeep));
    assert_eq!(prettify(&nested(1_000_000)), Err(SmallcapsError::TooDeep));
    let old = capdata(&"[".repeat(1_000_000), &[]);
    assert_eq!(decode(&old), Err(SmallcapsError::TooDeep));
    let wide = capdata(&format!("#[{}0]", "0,".repeat(DECODED_VALUES_MAX)), &[]);
    assert_eq!(decode(&wide), Err(SmallcapsError::TooMany));
    // Brackets and commas inside strings count for nothing.
    let text = format!("x\\\"{}", "[,{\\\\\\\"".repeat(DECODED_VALUES_MAX));
    assert!(decode(&capdata(&format!("#\"{text}\""), &[])).is_ok());
    // An error quotes a bounded part of what is wrong.
    let long = decode(&capdata(&format!("#\"#{}\"", "x".repeat(100_000)), &[])).unwrap_err();
    assert!(long.to_string().len() < 500);
}

#[test]
fn the_older_encoding_is_read() {
    let slots = [KO1, KP3];
    for (body, value) in [
        ("[1,\"#x\",null]", P::Array(vec![P::Number(1.0), P::string("#x"), P::Null])),
        (r#"{"@qclass":"undefined"}"#, P::Undefined),
        (r#"{"@qclass":"Infinity"}"#, P::Number(f64::INFINITY)),
        (r#"{"@qclass":"-Infinity"}"#, P::Number(f64::NEG_INFINITY)),
        (r#"{"@qclass":"bigint","digits":"-12"}"#, P::BigInt((-12).into())),
        (r#"{"@qclass":"symbol","name":"x"}"#, symbol("x")),
        (r#"{"@qclass":"@@asyncIterator"}"#, symbol("@@asyncIterator")),
        (r#"{"@qclass":"slot","iface":"Alleged: A","index":0}"#, P::remotable(KO1, "A")),
        (r#"{"@qclass":"slot","index":1}"#, P::Promise(KP3)),
        (
            r#"{"@qclass":"error","name":"E","message":"m"}"#,
            P::Error { name: "E".into(), message: "m".into(), error_id: None },
        ),
        (
            r#"{"@qclass":"tagged","tag":"t","payload":1}"#,
            P::Tagged { tag: "t".into(), payload: Box::new(P::Number(1.0)) },
        ),
        (
            r#"{"@qclass":"hilbert","original":"x","rest":{"a":null}}"#,
            P::record([("@qclass", P::string("x")), ("a", P::Null)]),
        ),
    ] {
        assert_eq!(decode(&capdata(body, &slots)), Ok(value), "{body}");
    }
    for body in [
        r#"{"@qclass":1}"#,
        r#"{"@qclass":"nope"}"#,
        r#"{"@qclass":"bigint"}"#,
        r#"{"@qclass":"slot","index":2}"#,
        r#"{"@qclass":"slot","index":-1}"#,
        r#"{"@qclass":"hilbert"}"#,
        r#"{"@qclass":"hilbert","original":1,"rest":[]}"#,
        r#"{"@qclass":"hilbert","original":1,"rest":{"@qclass":"hilbert","original":2}}"#,
        r#"{"@qclass":"error","name":"E"}"#,
    ] {
        assert!(decode(&capdata(body, &slots)).is_err(), "{body}");
    }
}

#[test]
fn messages() {
    let data: KCapData = message_from_json("add", vec![json!({"#x": "+1"}), json!(2)]);
    assert_eq!(data, capdata(r##"#["add",[{"!#x":"!+1"},2]]"##, &[]));
    let (method, args) = decode_message(&data).unwrap();
    assert_eq!(method, "add");
    assert_eq!(args, [P::record([("#x", P::string("+1"))]), P::Number(2.0)]);
    let data = message("-", vec![P::remotable(KO1, "A")]);
    assert_eq!(data, capdata(r##"#["!-",["$0.Alleged: A"]]"##, &[KO1]));
    for body in ["#1", "#[]", r##"#["a"]"##, r##"#["a",1]"##, r##"#["%a",[]]"##, r##"#["a",[],1]"##]
    {
        assert_eq!(decode_message(&capdata(body, &[])), Err(SmallcapsError::NoMessage), "{body}");
    }
}

#[test]
fn errors() {
    let data: KCapData = error_capdata("TypeError", "#oops");
    assert_eq!(data.body, r##"#{"#error":"!#oops","name":"TypeError"}"##);
    assert_eq!(error_message(&data), Some("#oops".to_owned()));
    for body in
        [r##"#"error""##, r##"#{"error":"x"}"##, r##"#[{"#error":"m","name":"E"}]"##, "#error"]
    {
        assert_eq!(error_message(&capdata(body, &[])), None, "{body}");
    }
    assert_eq!(decode(&undefined::<KRef>()), Ok(P::Undefined));
}

#[test]
fn lone_references() {
    for (body, slot, is) in [
        (r##"#"$0.Alleged: vatRoot""##, KO1, true),
        (r##"#"$0""##, KO1, true),
        (r##"#"$0.a\"b""##, KO1, true),
        (r##"#"&0""##, KP3, true),
        (r#"{"@qclass":"slot","index":0}"#, KO1, true),
        (r##"#"$0""##, KP3, false),
        (r##"#"&0""##, KO1, false),
        (r##"#"$1""##, KO1, false),
        (r##"#["$0"]"##, KO1, false),
        (r##"#"!$0""##, KO1, false),
        ("#null", KO1, false),
        ("", KO1, false),
    ] {
        assert_eq!(
            single_reference(&capdata(body, &[slot])).copied(),
            is.then_some(slot),
            "{body}"
        );
    }
    assert_eq!(single_reference(&capdata(r##"#"$0""##, &[KO1, KO2])), None);
    assert_eq!(single_reference(&capdata(r##"#"$0""##, &[])), None);
}

#[test]
fn renderings_for_people() {
    let slots = [KRef::Object(5), KP3];
    for (body, shown) in [
        ("#42", json!(42)),
        (r##"#"x""##, json!("x")),
        (r##"#"!$0""##, json!("$0")),
        (r##"#"$0.Alleged: X""##, json!("<ko5> (Alleged: X)")),
        (r##"#"$0""##, json!("<ko5>")),
        (r##"#"&1""##, json!("<kp3>")),
        (r##"#"$7""##, json!("<?7>")),
        (r##"#"+5""##, json!("5n")),
        (r##"#"-5""##, json!("-5n")),
        (r##"#"#undefined""##, json!("[undefined]")),
        (r##"#"#-Infinity""##, json!("[-Infinity]")),
        (r##"#"%x""##, json!("[Symbol: x]")),
        (r##"#{"#tag":"t","payload":["+1"]}"##, json!({"[Tagged: t]": ["1n"]})),
        (r##"#{"#error":"!-msg","name":"TypeError","errorId":"e"}"##, json!("[TypeError: -msg]")),
        (r##"#{"!#a":{"b":"!!"}}"##, json!({"#a": {"b": "!"}})),
        (r##"#["é","(x","$x",""]"##, json!(["é", "(x", "$x", ""])),
        (r#"[{"@qclass":"bigint","digits":"3"}]"#, json!(["3n"])),
    ] {
        assert_eq!(prettify(&capdata(body, &slots)), Ok(shown), "{body}");
    }
    assert!(prettify(&capdata("#{", &slots)).is_err());
}
