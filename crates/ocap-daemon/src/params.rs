//! Checks of a request's parameters, with the texts the reference's clients know.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use ocap_types::config::{ClusterConfig, ConfigError};
use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, SubclusterId, VatId, smallcaps};
use serde_json::{Map, Value};
use tracing::Level;

use crate::limits;
use crate::rpc::{INTERNAL_ERROR, RpcError};

/// `Invalid params: <problem>`.
pub(crate) fn invalid(problem: impl Display) -> RpcError {
    RpcError::new(INTERNAL_ERROR, format!("Invalid params: {problem}"))
}

/// A value as error messages show it.
fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None => return "undefined".to_owned(),
        Some(Value::Object(_)) => return "[object Object]".to_owned(),
        Some(other) => other.to_string(),
    };
    if text.chars().nth(limits::QUOTED_CHARS_MAX).is_none() {
        return text;
    }
    let mut cut: String = text.chars().take(limits::QUOTED_CHARS_MAX).collect();
    cut.push_str("...");
    cut
}

/// The methods without parameters want an empty array.
pub(crate) fn nothing(params: &Value) -> Result<(), RpcError> {
    match params {
        Value::Array(items) if items.is_empty() => Ok(()),
        Value::Array(_) => {
            let received = shown(Some(params));
            Err(invalid(format_args!("Expected an empty array, but received: {received}")))
        }
        other => {
            let received = shown(Some(other));
            Err(invalid(format_args!("Expected an array value, but received: {received}")))
        }
    }
}

/// A closed object with one key.
fn only_key<'a>(params: &'a Value, key: &str) -> Result<Option<&'a Value>, RpcError> {
    closed(params, &[key]).map(|fields| fields.get(key))
}

/// An object that has none but these keys.
pub(crate) fn closed<'a>(
    params: &'a Value,
    keys: &[&str],
) -> Result<&'a Map<String, Value>, RpcError> {
    let Value::Object(fields) = params else {
        let received = shown(Some(params));
        return Err(invalid(format_args!("Expected an object, but received: {received}")));
    };
    if let Some((other, value)) = fields.iter().find(|(name, _)| !keys.contains(&name.as_str())) {
        let (other, received) = (shown(Some(&Value::from(other.as_str()))), shown(Some(value)));
        let other = other.trim_matches('"');
        return Err(invalid(format_args!(
            "At path: {other} -- Expected a value of type `never`, but received: `{received}`"
        )));
    }
    Ok(fields)
}

fn reference<T: FromStr>(path: &str, wanted: &str, value: Option<&Value>) -> Result<T, RpcError> {
    value.and_then(Value::as_str).and_then(|text| text.parse().ok()).ok_or_else(|| {
        let received = shown(value);
        invalid(format_args!(
            "At path: {path} -- Expected a value of type `{wanted}`, but received: `{received}`"
        ))
    })
}

/// `{id: "vN"}`.
pub(crate) fn vat_id(params: &Value) -> Result<VatId, RpcError> {
    reference("id", "VatId", only_key(params, "id")?)
}

/// `{id: "sN"}`.
pub(crate) fn subcluster_id(params: &Value) -> Result<SubclusterId, RpcError> {
    reference("id", "SubclusterId", only_key(params, "id")?)
}

/// `{kref: "koN"}`.
pub(crate) fn kref(params: &Value) -> Result<KRef, RpcError> {
    reference("kref", "KRef", only_key(params, "kref")?)
}

/// `{sql: "..."}`.
pub(crate) fn sql(params: &Value) -> Result<String, RpcError> {
    text("sql", only_key(params, "sql")?).map(str::to_owned)
}

/// What `initRemoteComms` takes.
pub(crate) fn remote_comms(params: &Value) -> Result<(), RpcError> {
    const LISTS: [&str; 3] = ["relays", "directListenAddresses", "allowedWsHosts"];
    const COUNTS: [(&str, u64); 4] =
        [("maxRetryAttempts", 0), ("maxQueue", 0), ("maxUrlRelayHints", 1), ("maxKnownRelays", 1)];
    let keys: Vec<&str> = LISTS.into_iter().chain(COUNTS.map(|(key, _)| key)).collect();
    let fields = closed(params, &keys)?;
    for key in LISTS {
        if let Some(value) = fields.get(key) {
            texts(key, Some(value))?;
        }
    }
    for (key, least) in COUNTS {
        let Some(value) = fields.get(key) else { continue };
        if value.as_u64().is_none_or(|count| count < least) {
            let received = shown(Some(value));
            return Err(invalid(format_args!(
                "At path: {key} -- Expected a whole number of at least {least}, but received: \
                 {received}"
            )));
        }
    }
    Ok(())
}

/// `{peerId, hints}`.
pub(crate) fn location_hints(params: &Value) -> Result<(), RpcError> {
    let fields = closed(params, &["peerId", "hints"])?;
    text("peerId", fields.get("peerId"))?;
    texts("hints", fields.get("hints"))
}

fn text<'a>(path: &str, value: Option<&'a Value>) -> Result<&'a str, RpcError> {
    value.and_then(Value::as_str).ok_or_else(|| {
        let received = shown(value);
        invalid(format_args!("At path: {path} -- Expected a string, but received: {received}"))
    })
}

fn texts(path: &str, value: Option<&Value>) -> Result<(), RpcError> {
    let Some(Value::Array(items)) = value else {
        let received = shown(value);
        return Err(invalid(format_args!(
            "At path: {path} -- Expected an array value, but received: {received}"
        )));
    };
    for (place, item) in items.iter().enumerate() {
        text(&format!("{path}.{place}"), Some(item))?;
    }
    Ok(())
}

/// `{subscription: n}`.
pub(crate) fn subscription(params: &Value) -> Result<u64, RpcError> {
    let value = only_key(params, "subscription")?;
    value.and_then(Value::as_u64).ok_or_else(|| {
        let received = shown(value);
        invalid(format_args!(
            "At path: subscription -- Expected a whole number, but received: {received}"
        ))
    })
}

/// `{topic: "status"}` or `{topic: "log", level, targets}`.
pub(crate) fn topic(params: &Value) -> Result<Topic, RpcError> {
    let fields = closed(params, &["topic", "level", "targets"])?;
    match fields.get("topic").and_then(Value::as_str) {
        Some("status") => {
            only_key(params, "topic")?;
            Ok(Topic::Status)
        }
        Some("log") => {
            let level = match fields.get("level") {
                None => Level::INFO,
                Some(level) => {
                    level.as_str().and_then(|name| name.parse().ok()).ok_or_else(|| {
                        let received = shown(Some(level));
                        invalid(format_args!(
                            "At path: level -- Expected one of error, warn, info, debug and trace, \
                         but received: {received}"
                        ))
                    })?
                }
            };
            Ok(Topic::Log { level, targets: targets(fields.get("targets"))? })
        }
        _ => {
            let received = shown(fields.get("topic"));
            Err(invalid(format_args!(
                "At path: topic -- Expected \"status\" or \"log\", but received: {received}"
            )))
        }
    }
}

/// What a session subscribes to.
pub(crate) enum Topic {
    Status,
    /// Lines of this level or graver, of targets that begin with one of these; of all if none.
    Log {
        level: Level,
        targets: Vec<String>,
    },
}

fn targets(value: Option<&Value>) -> Result<Vec<String>, RpcError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let texts = value.as_array().filter(|items| items.len() <= limits::LOG_TARGETS_MAX);
    let texts = texts.and_then(|items| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    texts.ok_or_else(|| {
        let received = shown(Some(value));
        let max = limits::LOG_TARGETS_MAX;
        invalid(format_args!(
            "At path: targets -- Expected at most {max} strings, but received: {received}"
        ))
    })
}

/// `{path: "/...", replace?: boolean}`.
pub(crate) fn backup(params: &Value) -> Result<(PathBuf, bool), RpcError> {
    let fields = closed(params, &["path", "replace"])?;
    let path = match fields.get("path") {
        Some(Value::String(path)) if path.starts_with('/') => PathBuf::from(path),
        other => {
            let received = shown(other);
            return Err(invalid(format_args!(
                "At path: path -- Expected an absolute path, but received: {received}"
            )));
        }
    };
    match fields.get("replace") {
        None => Ok((path, false)),
        Some(Value::Bool(replace)) => Ok((path, *replace)),
        other => {
            let received = shown(other);
            Err(invalid(format_args!(
                "At path: replace -- Expected a boolean, but received: {received}"
            )))
        }
    }
}

/// `{after?, limit?}`: where a listing begins, and how much of it is wanted.
pub(crate) fn range(params: &Value) -> Result<(u64, usize), RpcError> {
    let fields = closed(params, &["after", "limit"])?;
    let number = |key: &str, otherwise: u64| match fields.get(key) {
        None => Ok(otherwise),
        Some(value) => value.as_u64().ok_or_else(|| {
            let received = shown(Some(value));
            invalid(format_args!(
                "At path: {key} -- Expected a whole number of at least 0, but received: {received}"
            ))
        }),
    };
    let limit = number("limit", u64::MAX)?;
    Ok((number("after", 0)?, usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// `{<key>: boolean}`.
pub(crate) fn flag(params: &Value, key: &str) -> Result<bool, RpcError> {
    let value = only_key(params, key)?;
    value.and_then(Value::as_bool).ok_or_else(|| {
        let received = shown(value);
        invalid(format_args!("At path: {key} -- Expected a boolean, but received: {received}"))
    })
}

/// `{target, method, args}`, where the arguments are marshalled.
pub(crate) fn marshalled_message(
    params: Value,
) -> Result<(KRef, String, Vec<Passable<KRef>>), RpcError> {
    let fields = closed(&params, &["target", "method", "args"])?;
    let target = reference("target", "KRef", fields.get("target"))?;
    let Some(method) = fields.get("method").and_then(Value::as_str) else {
        let received = shown(fields.get("method"));
        return Err(invalid(format_args!(
            "At path: method -- Expected a string, but received: {received}"
        )));
    };
    let method = method.to_owned();
    let wrong = |problem: &dyn Display| invalid(format_args!("At path: args -- {problem}"));
    let args = match params {
        Value::Object(mut fields) => fields.remove("args").unwrap_or_default(),
        _ => Value::Null,
    };
    let data: KCapData = serde_json::from_value(args).map_err(|error| wrong(&error))?;
    match smallcaps::decode(&data).map_err(|error| wrong(&error))? {
        Passable::Array(args) => Ok((target, method, args)),
        _ => Err(wrong(&"Expected the CapData of an array")),
    }
}

/// `{<key>: "text"}`.
pub(crate) fn text_of<'a>(params: &'a Value, key: &str) -> Result<&'a str, RpcError> {
    let value = only_key(params, key)?;
    value.and_then(Value::as_str).ok_or_else(|| not_a("string", key, value))
}

/// `{<key>?: "text"}`, or `[]`.
pub(crate) fn optional_text<'a>(params: &'a Value, key: &str) -> Result<Option<&'a str>, RpcError> {
    if params.is_array() {
        return nothing(params).map(|()| None);
    }
    match only_key(params, key)? {
        None => Ok(None),
        Some(_) => text_of(params, key).map(Some),
    }
}

/// `{kref, expiresMs?, uses?, label?}`.
#[allow(clippy::type_complexity, reason = "taken apart at once")]
pub(crate) fn url_terms(
    params: &Value,
) -> Result<(KRef, Option<u64>, Option<u64>, Option<String>), RpcError> {
    let fields = closed(params, &["kref", "expiresMs", "uses", "label"])?;
    let kref = reference("kref", "KRef", fields.get("kref"))?;
    let number = |key: &str| match fields.get(key) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number @ 1..) => Ok(Some(number)),
            _ => Err(not_a("positive integer", key, Some(value))),
        },
    };
    let label = match fields.get("label") {
        None => None,
        Some(Value::String(label)) => Some(label.clone()),
        other => return Err(not_a("string", "label", other)),
    };
    Ok((kref, number("expiresMs")?, number("uses")?, label))
}

fn not_a(wanted: &str, path: &str, value: Option<&Value>) -> RpcError {
    let received = shown(value);
    invalid(format_args!("At path: {path} -- Expected a {wanted}, but received: {received}"))
}

/// `[kref, method, args]`.
pub(crate) fn message(params: Value) -> Result<(KRef, String, Vec<Value>), RpcError> {
    let items = match params {
        Value::Array(items) => items,
        other => {
            let received = shown(Some(&other));
            return Err(invalid(format_args!("Expected an array, but received: {received}")));
        }
    };
    if let Some(extra) = items.get(3) {
        let received = shown(Some(extra));
        return Err(invalid(format_args!(
            "At path: 3 -- Expected a value of type `never`, but received: `{received}`"
        )));
    }
    let target = reference("0", "KRef", items.first())?;
    let mut rest = items.into_iter().skip(1);
    let method = match rest.next() {
        Some(Value::String(method)) => method,
        other => {
            let received = shown(other.as_ref());
            return Err(invalid(format_args!(
                "At path: 1 -- Expected a string, but received: {received}"
            )));
        }
    };
    match rest.next() {
        Some(Value::Array(args)) => Ok((target, method, args)),
        other => {
            let received = shown(other.as_ref());
            Err(invalid(format_args!(
                "At path: 2 -- Expected an array value, but received: {received}"
            )))
        }
    }
}

/// `{config: {...}, folder?: "/..."}`: a cluster, and the folder its modules stay below.
pub(crate) fn launch(params: &Value) -> Result<(ClusterConfig, Option<PathBuf>), RpcError> {
    let fields = closed(params, &["config", "folder"])?;
    let config = cluster_config(fields.get("config"))?;
    match fields.get("folder") {
        None => Ok((config, None)),
        Some(Value::String(path)) if path.starts_with('/') => Ok((config, Some(path.into()))),
        other => {
            let received = shown(other);
            Err(invalid(format_args!(
                "At path: folder -- Expected an absolute path, but received: {received}"
            )))
        }
    }
}

fn cluster_config(value: Option<&Value>) -> Result<ClusterConfig, RpcError> {
    let Some(value @ Value::Object(_)) = value else {
        let received = shown(value);
        return Err(invalid(format_args!(
            "At path: config -- Expected an object, but received: {received}"
        )));
    };
    let config = ClusterConfig::from_json(value, "config").map_err(|error| match error {
        // The reference checks this after the form.
        ConfigError::Bootstrap(_) => RpcError::new(INTERNAL_ERROR, error.to_string()),
        other => invalid(other),
    })?;
    for (path, spec) in crate::config::specs(&config) {
        if crate::config::is_relative(spec) {
            let spec = shown(Some(&Value::from(spec)));
            return Err(invalid(format_args!(
                "At path: config.{path} -- {spec} is relative; over RPC give an absolute path or \
                 a URL"
            )));
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text<T>(outcome: Result<T, RpcError>) -> String {
        outcome.err().unwrap().message
    }

    #[test]
    fn the_texts_are_those_of_the_transcript() {
        let received = "but received:";
        assert_eq!(
            text(nothing(&json!({}))),
            format!("Invalid params: Expected an array value, {received} [object Object]")
        );
        assert_eq!(
            text(message(json!({"target": "ko4"}))),
            format!("Invalid params: Expected an array, {received} [object Object]")
        );
        assert_eq!(
            text(message(json!(["banana", "ping", []]))),
            format!(
                "Invalid params: At path: 0 -- Expected a value of type `KRef`, {received} \
                 `\"banana\"`"
            )
        );
        assert_eq!(
            text(vat_id(&json!({"id": "zork"}))),
            format!(
                "Invalid params: At path: id -- Expected a value of type `VatId`, {received} \
                 `\"zork\"`"
            )
        );
        assert_eq!(
            text(subcluster_id(&json!({"id": "banana"}))),
            format!(
                "Invalid params: At path: id -- Expected a value of type `SubclusterId`, \
                 {received} `\"banana\"`"
            )
        );
        assert_eq!(
            text(vat_id(&json!({"id": "v1", "bogus": 1}))),
            format!(
                "Invalid params: At path: bogus -- Expected a value of type `never`, {received} `1`"
            )
        );
    }

    #[test]
    fn messages_are_tuples_of_three() {
        assert!(message(json!(["ko4", "ping", []])).is_ok());
        assert!(text(message(json!(["ko4", "ping"]))).contains("At path: 2"));
        assert!(text(message(json!(["ko4", 5, []]))).contains("At path: 1"));
        assert!(text(message(json!(["ko4", "ping", [], 1]))).contains("At path: 3"));
        assert!(text(message(json!([]))).contains("At path: 0"));
    }

    #[test]
    fn specs_must_be_absolute() {
        let with = |spec: &str| {
            launch(&json!({"config": {"bootstrap": "a", "vats": {"a": {"sourceSpec": spec}}}}))
        };
        assert!(with("/a/b.js").is_ok());
        assert!(with("file:///a/b.js").is_ok());
        assert!(text(with("./b.js")).contains("config.vats.a.sourceSpec"));
        let below = |folder: Value| {
            let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": "/a/b.js"}}});
            launch(&json!({"config": config, "folder": folder}))
        };
        assert_eq!(below(json!("/a")).ok().unwrap().1, Some("/a".into()));
        for folder in [json!("a"), json!(null), json!(5)] {
            assert!(text(below(folder)).contains("At path: folder"));
        }
    }

    #[test]
    fn long_values_are_cut() {
        let long = "x".repeat(1_000_000);
        assert!(text(vat_id(&json!({"id": long}))).len() < 500);
    }
}
