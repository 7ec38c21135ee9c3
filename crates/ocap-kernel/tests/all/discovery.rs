//! `@ocap/discovery`: what is accepted as a service's description, and how one is made from schemas.

use ocap_kernel::Kernel;
use ocap_types::KRef;
use serde_json::{Value, json};

use crate::house::{House, ask};

const VAT: &str = r"
import { E, Far, passStyleOf } from '@endo/far';
import * as discovery from '@ocap/discovery';

const schema = { sum: { description: 'Adds', args: { a: { type: 'number' } } } };
const exo = discovery.makeDiscoverableExo('adder', { sum: a => a + 1 }, schema);

export const buildRootObject = () => Far('root', {
  bootstrap() {},
  check(name, value) {
    const same = discovery[`check${name}`](value);
    return same === value ? 'fine' : 'another value';
  },
  convert: (name, value) => discovery[name](value),
  methodsOf: description => discovery.methodsOf(description),
  limits: () => discovery.LIMITS,
  describe: () => E(exo).__getDescription__(),
  sum: a => E(exo).sum(a),
  deep(levels) {
    let type = { kind: 'string' };
    for (let i = 0; i < levels; i += 1) type = { kind: 'array', elementType: type };
    return discovery.checkTypeSpec(harden(type)) && 'fine';
  },
  remotableInside: () => discovery.checkServiceQuery(harden({ description: exo })),
  reserved: () => discovery.makeDiscoverableExo('x', { __getDescription__() {} }, {}),
  undescribed: () => discovery.makeDiscoverableExo('x', { a() {} }, { b: { description: '' } }),
});
";

struct Checks {
    kernel: Kernel,
    root: KRef,
    _house: House,
}

impl Checks {
    async fn new() -> Checks {
        let house = House::new();
        let kernel = house.start().await;
        let root = house.launch_one(&kernel, VAT).await;
        Checks { kernel, root, _house: house }
    }

    async fn check(&self, name: &str, value: &Value) -> String {
        ask(&self.kernel, self.root, "check", json!([name, value])).await
    }

    async fn accepts(&self, name: &str, value: Value) {
        assert_eq!(self.check(name, &value).await, "#\"fine\"", "{name}: {value}");
    }

    async fn refuses(&self, name: &str, value: Value, with: &str) {
        let said = self.check(name, &value).await;
        assert!(said.contains(with), "{name}: {value}: {said}");
    }

    async fn converts(&self, name: &str, from: Value) -> Value {
        let said = ask(&self.kernel, self.root, "convert", json!([name, from])).await;
        serde_json::from_str(said.strip_prefix('#').unwrap_or(&said)).unwrap_or(json!(said))
    }
}

fn description() -> Value {
    let echo = json!({
        "description": "Repeats",
        "parameters": [{"type": {"kind": "string"}, "description": "message"}],
        "returnType": {"kind": "string"},
    });
    json!({
        "apiSpec": {"properties": {
            "service": {"type": {"kind": "remotable", "spec": {"methods": {"echo": echo}}}},
            "note": {"type": {"kind": "string"}, "optional": true},
        }},
        "description": "An echo",
        "contact": [
            {"contactType": "public", "contactUrl": "ocap:zabc@12D3"},
            {"contactType": "permissioned", "contactUrl": "ocap:zdef@12D3"},
        ],
        "providerTag": "echo",
    })
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key).unwrap();
    value
}

fn with(mut value: Value, key: &str, member: Value) -> Value {
    value[key] = member;
    value
}

#[tokio::test]
async fn descriptions_are_accepted_only_as_they_should_be() {
    let checks = Checks::new().await;
    checks.accepts("ServiceDescription", description()).await;
    let nested = json!({"kind": "array", "elementType": {"kind": "array", "elementType":
        {"kind": "union", "members": [{"kind": "bigint"}, {"kind": "union", "members": []}]}}});
    checks.accepts("TypeSpec", nested).await;
    checks.accepts("ObjectSpec", json!({"properties": {}, "extensible": true})).await;
    for kind in ["string", "number", "boolean", "null", "void", "undefined", "bigint", "unknown"] {
        checks.accepts("TypeSpec", json!({ "kind": kind })).await;
    }

    for (value, problem) in [
        (without(description(), "description"), "description.description is missing"),
        (without(description(), "providerTag"), "description.providerTag is missing"),
        (with(description(), "providerTag", json!("")), "must not be empty"),
        (with(description(), "more", json!(1)), "description.more is unknown here"),
        (with(description(), "contact", json!({})), "description.contact must be an array"),
        (
            with(description(), "contact", json!([{"contactType": "private", "contactUrl": "x"}])),
            "description.contact[0].contactType must be one of public, permissioned, validatedClient",
        ),
        (json!(null), "description must be a record"),
        (json!("x"), "description must be a record"),
    ] {
        checks.refuses("ServiceDescription", value, problem).await;
    }
    for bad in
        [json!({"kind": "date"}), json!({"kind": "constructor"}), json!({}), json!({"kind": 5})]
    {
        checks.refuses("TypeSpec", bad, "type.kind must be one of string, number").await;
    }
    checks.refuses("TypeSpec", json!({"kind": "string", "x": 1}), "type.x is unknown").await;
    checks.refuses("ServiceQuery", json!({"description": 5}), "must be a string").await;
    checks.refuses("RegistrationToken", json!(5), "token must be a string").await;
}

#[tokio::test]
async fn what_others_tell_is_bounded() {
    let checks = Checks::new().await;
    let limits = ask(&checks.kernel, checks.root, "limits", json!([])).await;
    let limits: Value = serde_json::from_str(limits.strip_prefix('#').unwrap()).unwrap();
    let limit = |name: &str| usize::try_from(limits[name].as_u64().unwrap()).unwrap();

    let text = |chars: usize| json!({"description": "x".repeat(chars)});
    checks.accepts("ServiceQuery", text(limit("textChars"))).await;
    checks.refuses("ServiceQuery", text(limit("textChars") + 1), "must have at most").await;

    let deep = |levels: usize| ask(&checks.kernel, checks.root, "deep", json!([levels]));
    assert_eq!(deep(limit("depth") - 1).await, "#\"fine\"");
    assert!(deep(limit("depth")).await.contains("nested deeper than"));

    let many = |count: usize| {
        let members: Vec<_> = (0..count).map(|_| json!({"kind": "null"})).collect();
        json!({"kind": "union", "members": members})
    };
    checks.accepts("TypeSpec", many(limit("members"))).await;
    checks.refuses("TypeSpec", many(limit("members") + 1), "must have at most").await;

    // No part is too long, all of it is.
    let value = json!({"type": {"kind": "string"}, "description": "x".repeat(limit("textChars"))});
    let count = limit("totalChars") / limit("textChars") + 1;
    let properties: serde_json::Map<_, _> =
        (0..count).map(|n| (format!("p{n}"), value.clone())).collect();
    checks.refuses("ObjectSpec", json!({ "properties": properties }), "makes it all longer").await;

    let said = ask(&checks.kernel, checks.root, "remotableInside", json!([])).await;
    assert!(said.contains("query.description must be a string"), "{said}");
}

#[tokio::test]
async fn every_struct_of_the_protocol_has_its_check() {
    let checks = Checks::new().await;
    let contact = json!({"contactType": "validatedClient", "contactUrl": "u"});
    checks.accepts("ServiceContactInfo", contact).await;
    checks.accepts("ServiceMatch", json!({"description": description()})).await;
    let matches = json!([{"description": description(), "rationale": "fits"}]);
    checks.accepts("ServiceMatches", matches).await;
    let envelope = json!({"description": description(), "registrationToken": "t"});
    checks.accepts("RegistrationEnvelope", envelope).await;
    let requirement = json!({"acceptedCertificationKinds": ["audit"], "description": "d"});
    checks.accepts("CertificationRequirement", requirement).await;
    let certificate = json!({"issuer": "i", "attestations": ["a"], "signature": "s"});
    checks.accepts("ValidationCertificate", certificate).await;
    checks
        .refuses("ValidationCertificate", json!({"issuer": "i"}), "attestations is missing")
        .await;
    checks.refuses("CertificationRequirement", json!({}), "acceptedCertificationKinds").await;
}

#[tokio::test]
async fn schemas_of_methods_become_a_spec() {
    let checks = Checks::new().await;
    let methods = json!({
        "echo": {
            "description": "Repeats",
            "args": {"message": {"type": "string"}, "reverse": {"type": "boolean",
                "description": "backwards"}},
            "required": ["message"],
            "returns": {"type": "string"},
        },
        "ping": {"description": "Nothing"},
    });
    let spec = checks
        .converts("methodsToRemotableSpec", json!({"methods": methods, "description": "all"}))
        .await;
    assert_eq!(
        spec,
        json!({
            "description": "all",
            "methods": {
                "echo": {
                    "description": "Repeats",
                    "parameters": [
                        {"description": "message", "type": {"kind": "string"}},
                        {"description": "backwards", "type": {"kind": "boolean"}, "optional": true},
                    ],
                    "returnType": {"kind": "string"},
                },
                "ping": {"description": "Nothing", "parameters": [], "returnType": {"kind": "void"}},
            },
        })
    );
    let schema = json!({"type": "object", "additionalProperties": true, "required": ["a"],
        "properties": {"a": {"type": "array", "items": {"type": "number"}}, "b": {"type": "array"}}});
    let spec = checks.converts("jsonSchemaToTypeSpec", schema).await;
    assert_eq!(
        spec,
        json!({"kind": "object", "spec": {"extensible": true, "properties": {
            "a": {"type": {"kind": "array", "elementType": {"kind": "number"}}},
            "b": {"type": {"kind": "array", "elementType": {"kind": "unknown"}}, "optional": true},
        }}})
    );
    let all = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let spec = checks.converts("jsonSchemaToTypeSpec", all).await;
    assert_eq!(spec["spec"]["properties"]["a"], json!({"type": {"kind": "string"}}));
    assert_eq!(spec["spec"].get("extensible"), None);
    let bad = json!({"methods": {"m": {"args": {"x": {"type": "date"}}}}});
    let said = checks.converts("methodsToRemotableSpec", bad).await;
    let problem = "methods.m.args.x.type must be one of string, number, boolean, array, object";
    assert!(said.as_str().unwrap().contains(problem), "{said}");
}

#[tokio::test]
async fn objects_tell_what_their_methods_are() {
    let checks = Checks::new().await;
    let ask = |method: &'static str, args: Value| ask(&checks.kernel, checks.root, method, args);
    let said = ask("describe", json!([])).await;
    assert!(said.contains(r#""description":"Adds""#), "{said}");
    assert_eq!(ask("sum", json!([1])).await, "#2");
    assert!(ask("reserved", json!([])).await.contains("__getDescription__ is made"));
    assert!(ask("undescribed", json!([])).await.contains("methods that are not there: b"));
    let listed = ask("methodsOf", json!([description()])).await;
    assert_eq!(listed, "#[{\"description\":\"Repeats\",\"name\":\"echo\"}]");
}

const RANKER: &str = r"
import { Far } from '@endo/far';
import { makeIndex, wordsOf } from './rank.js';

const described = ([id, description, method, tag = id]) => [id, {
  description,
  providerTag: tag,
  apiSpec: { properties: { service: { type: { kind: 'remotable', spec: { methods: {
    [method]: { parameters: [], returnType: { kind: 'void' } },
  } } } } } },
}];

export const buildRootObject = () => Far('root', {
  bootstrap() {},
  wordsOf,
  rank(documents, query, most, gone = []) {
    const index = makeIndex();
    for (const [id, description] of documents.map(described)) index.add(id, description);
    for (const id of gone) index.remove(id);
    return harden(index.search(query, most).map(({ id, words }) => `${id}: ${words.join(' ')}`));
  },
});
";

#[tokio::test]
async fn words_rank_services() {
    let house = House::new();
    let ranker = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vats/matcher/rank.js");
    house.source("rank.js", &std::fs::read_to_string(ranker).unwrap());
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, RANKER).await;
    let documents = json!([
        ["echo", "Repeats the message it is given", "echo"],
        ["dice", "Throws dice and other random things", "throwDice"],
        ["numbers", "Random numbers, random fractions", "randomInt"],
        ["weather", "Tells the weather of a given place", "forecast"],
        ["twin", "Repeats the message it is given", "echo", "echo"],
    ]);
    let rank = |query: &str, most: usize, gone: Value| {
        let (kernel, documents) = (kernel.clone(), documents.clone());
        let args = json!([documents, query, most, gone]);
        async move {
            let said = ask(&kernel, root, "rank", args).await;
            let list: Vec<String> = serde_json::from_str(said.strip_prefix('#').unwrap()).unwrap();
            list
        }
    };
    // A name in two words is found by either; more of the query's words is better.
    assert_eq!(rank("Random INT!", 9, json!([])).await, ["numbers: random int", "dice: random"]);
    // Singular and plural are the same word.
    assert_eq!(rank("a number", 9, json!([])).await[0], "numbers: number");
    // A word that few have counts for more than one that many have.
    assert_eq!(rank("given weather", 1, json!([])).await, ["weather: given weather"]);
    // Of equals the older goes first.
    assert_eq!(rank("repeat", 9, json!([])).await, ["echo: repeat", "twin: repeat"]);
    assert_eq!(rank("repeat", 9, json!(["echo"])).await, ["twin: repeat"]);
    // What has none of the words is not found.
    for nothing in ["", "zebra", "... !"] {
        assert!(rank(nothing, 9, json!([])).await.is_empty(), "{nothing}");
    }
    let all = json!(["echo", "dice", "numbers", "weather", "twin"]);
    assert!(rank("random", 9, all).await.is_empty());
    let long = "random ".repeat(10_000);
    assert_eq!(rank(&long, 9, json!([])).await.len(), 2);
    let words = ask(&kernel, root, "wordsOf", json!(["randomInt2Go, Zürich's de\u{301}jà"])).await;
    assert_eq!(words, "#[\"random\",\"int2\",\"go\",\"zürich\",\"s\",\"déjà\"]");
}
