//! What holds for any input: values come back as they went and have one text each; whatever is
//! thrown at the readers, they answer.

use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_types::error::KernelErrorMessage;
use ocap_types::passable::{BigInt, Passable};
use ocap_types::smallcaps::{
    decode, decode_message, encode, error_message, message, prettify, single_reference,
};
use ocap_types::{CapData, ERef, KCapData, KRef, VRef};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

type P = Passable<KRef>;

/// The interface of an object depends on the object, as it does in a vat.
fn object(number: u64) -> P {
    match number % 3 {
        0 => P::Remotable { slot: KRef::Object(number), iface: None },
        1 => P::remotable(KRef::Object(number), "vatRoot"),
        _ => P::remotable(KRef::Object(number), &format!("x.\"é{number}")),
    }
}

/// Texts that are mostly near what has a meaning.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[!-.@#0-9a-c]{0,6}", any::<String>(), "[0-9]{1,11}", "[\u{e000}-\u{1f600}]{1,2}"]
}

/// No NaN, which equals nothing, and no negative zero, which does not travel.
fn number() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{INFINITE, NORMAL, SUBNORMAL};
    prop_oneof![NORMAL | SUBNORMAL | INFINITE, any::<i32>().prop_map(f64::from)]
}

fn value() -> impl Strategy<Value = P> {
    let leaf = prop_oneof![
        Just(P::Undefined),
        Just(P::Null),
        any::<bool>().prop_map(P::Bool),
        number().prop_map(P::Number),
        any::<i128>().prop_map(|n| P::BigInt(BigInt::from(n))),
        text().prop_map(P::String),
        "[a-z!$]{0,5}|@@iterator|@@@@x".prop_map(P::Symbol),
        (0..6_u64).prop_map(object),
        (0..4_u64).prop_map(|n| P::Promise(KRef::Promise(n))),
        (text(), text(), proptest::option::of(text()))
            .prop_map(|(name, message, error_id)| P::Error { name, message, error_id }),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(P::Array),
            btree_map(text(), inner.clone(), 0..6).prop_map(P::Record),
            (text(), inner).prop_map(|(tag, payload)| P::Tagged { tag, payload: payload.into() }),
        ]
    })
}

/// JSON that is near a smallcaps body, or near a config.
fn near_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[!-.]?[0-9]{0,2}(\\.Alleged: x)?".prop_map(Value::from),
        "#(undefined|NaN|-?Infinity|x)|slot|error|hilbert|tagged|bigint|symbol|socket|line"
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = "#tag|#error|payload|name|message|errorId|@qclass|index|iface|original|rest|digits\
               |!?[#a]|bootstrap|vats|bundles|io|services|bundleSpec|bundleName|globals|network\
               |creationOptions|limits|parameters|platformConfig|type|path|unit";
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((key, inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Every reader of marshalled data, on one body. They must return; what they return is free, but
/// what they accept must be a value like any other.
fn read_all(body: String) -> Result<(), TestCaseError> {
    let slots = vec![KRef::Object(1), KRef::Promise(2), KRef::Object(3)];
    let data: KCapData = CapData { body, slots };
    let lone: KCapData = CapData { body: data.body.clone(), slots: vec![KRef::Object(1)] };
    let _ = (prettify(&data), decode_message(&data), single_reference(&lone));
    if let Ok(value) = decode(&data) {
        let again = encode(&value);
        prop_assert_eq!(decode(&again).map(|value| encode(&value)), Ok(again));
        prop_assert!(prettify(&data).is_ok());
        prop_assert_eq!(error_message(&data).is_some(), matches!(value, P::Error { .. }));
    }
    if let Some(slot) = single_reference(&lone) {
        let decoded = decode(&lone);
        let is_it =
            matches!(decoded, Ok(P::Remotable { slot: s, .. } | P::Promise(s)) if s == *slot);
        prop_assert!(is_it);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back_as_they_went(value in value()) {
        let data = encode(&value);
        prop_assert_eq!(decode(&data), Ok(value.clone()));
        prop_assert!(prettify(&data).is_ok());
        let (method, args) = decode_message(&message("-m", vec![value.clone()])).unwrap();
        prop_assert_eq!((method.as_str(), args), ("-m", vec![value]));
    }

    #[test]
    fn every_value_has_one_text(value in value()) {
        let data = encode(&value);
        prop_assert_eq!(&encode(&decode(&data).unwrap()), &data);
        // Each reference once, all of them used, and no JSON number that JavaScript writes
        // otherwise.
        let mut slots = data.slots.clone();
        slots.sort_unstable();
        slots.dedup();
        prop_assert_eq!(slots.len(), data.slots.len());
        for index in 0..slots.len() {
            let mention = |sigil| {
                let start = format!("\"{sigil}{index}");
                data.body.contains(&format!("{start}\"")) || data.body.contains(&format!("{start}."))
            };
            prop_assert!(mention('$') || mention('&'));
        }
    }

    #[test]
    fn numbers_come_back_as_they_went(number in number()) {
        prop_assert_eq!(decode(&encode(&P::Number(number))), Ok(P::Number(number)));
    }

    #[test]
    fn plain_json_has_no_special_meaning(json in near_json()) {
        let value = P::from_json(json);
        let data = encode(&value);
        prop_assert!(data.slots.is_empty());
        prop_assert_eq!(&decode(&data), &Ok(value.clone()));
        let plain = value.to_json().unwrap();
        prop_assert_eq!(P::from_json(plain), value);
    }

    #[test]
    fn near_misses_are_answered(json in near_json(), old: bool) {
        read_all(format!("{}{json}", if old { "" } else { "#" }))?;
    }

    #[test]
    fn damaged_bodies_are_answered(value in value(), at: prop::sample::Index, with in "[ -~é]{0,2}") {
        let mut body = encode(&value).body;
        let places: Vec<_> = body.char_indices().map(|(i, c)| i..i + c.len_utf8()).collect();
        body.replace_range(places[at.index(places.len())].clone(), &with);
        read_all(body)?;
    }

    #[test]
    fn any_text_is_answered(text: String) {
        let _ = (text.parse::<KRef>(), text.parse::<VRef>(), KernelErrorMessage::parse(&text));
        if let Ok(eref) = text.parse::<ERef>() {
            prop_assert_eq!(eref.to_string(), text.clone());
        }
        read_all(text.clone())?;
        read_all(format!("#{text}"))?;
    }

    #[test]
    fn references_have_one_text(text in "(v|r|s|ko|kp|r?[op][-+])[dv]?[0-9]{1,21}(/[0-9]{1,3})?(:[0-9])?") {
        if let Ok(eref) = text.parse::<ERef>() {
            prop_assert_eq!(eref.to_string(), text.clone());
        }
        if let Ok(kref) = text.parse::<KRef>() {
            prop_assert_eq!(kref.to_string(), text);
        }
    }

    #[test]
    fn hostile_configs_are_answered(json in near_json(), inner in near_json()) {
        let vat = VatConfig::from_json(&inner, "vat");
        for config in [
            json.clone(),
            json!({"bootstrap": "a", "vats": {"a": inner.clone()}}),
            json!({"bootstrap": "a", "vats": {"a": {"bundleSpec": "b"}}, "io": {"x": inner}}),
            json!({"bootstrap": "a", "vats": json.clone(), "bundles": json}),
        ] {
            match ClusterConfig::from_json(&config, "config") {
                // What is accepted can be stored and read back.
                Ok(config) => {
                    let stored = serde_json::to_string(&config).unwrap();
                    let read: ClusterConfig = serde_json::from_str(&stored).unwrap();
                    prop_assert_eq!(read, config);
                }
                Err(error) => prop_assert!(error.to_string().len() < 2_000),
            }
        }
        if let Ok(vat) = vat {
            prop_assert!(vat.spec().is_some() && vat.limits().is_ok());
        }
    }
}
