//! Arguments of messages on a command line: JSON, in which a string that begins with `@` is a
//! reference. `"@ko5"` is the object ko5, `"@@x"` the text `@x`.

use ocap_types::passable::Passable;
use ocap_types::{KRef, smallcaps};
use serde_json::{Value, json};

use crate::failure::Failure;

/// The arguments that a text means.
pub(crate) fn parse(text: &str) -> Result<Vec<Passable<KRef>>, Failure> {
    plain(text)?.into_iter().map(value).collect()
}

/// The arguments that a text means, with no string in them special.
pub(crate) fn plain(text: &str) -> Result<Vec<Value>, Failure> {
    let args: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("the arguments are not JSON: {error}")))?;
    match args {
        Value::Array(items) => Ok(items),
        _ => Err(Failure::new("the arguments must be a JSON array, e.g. '[\"Alice\", 3]'")),
    }
}

/// Recursion is bounded by the depth of what the JSON parser takes.
fn value(json: Value) -> Result<Passable<KRef>, Failure> {
    Ok(match json {
        Value::String(text) => match text.strip_prefix('@') {
            None => Passable::String(text),
            Some(rest) if rest.starts_with('@') => Passable::string(rest),
            Some(rest) => reference(rest)?,
        },
        Value::Array(items) => {
            Passable::Array(items.into_iter().map(value).collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, item)| Ok((key, value(item)?)));
            Passable::Record(entries.collect::<Result<_, Failure>>()?)
        }
        plain => Passable::from_json(plain),
    })
}

/// A reference as a value.
pub(crate) fn reference(text: &str) -> Result<Passable<KRef>, Failure> {
    match text.parse() {
        Ok(kref @ KRef::Object(_)) => Ok(Passable::Remotable { slot: kref, iface: None }),
        Ok(kref @ KRef::Promise(_)) => Ok(Passable::Promise(kref)),
        Err(_) => Err(Failure::new(format!(
            "\"@{text}\" is no reference; write \"@ko5\" for the object ko5, and \"@@{text}\" for \
             the text \"@{text}\""
        ))),
    }
}

/// The parameters of `sendMessage`.
pub(crate) fn message(target: KRef, method: &str, args: Vec<Passable<KRef>>) -> Value {
    let args = smallcaps::encode(&Passable::Array(args));
    json!({ "target": target, "method": method, "args": args })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_with_a_sign_are_references() {
        let args = parse(r#"["@ko5", {"a": ["@kp3", "@@ko5", "+5", 1]}, "@ko5"]"#).unwrap();
        let data = message(KRef::Object(4), "m", args)["args"].clone();
        assert_eq!(data["slots"], json!(["ko5", "kp3"]));
        assert_eq!(data["body"], "#[\"$0\",{\"a\":[\"&1\",\"@ko5\",\"!+5\",1]},\"$0\"]");
        let wrong = format!("{:?}", parse(r#"["@me"]"#).unwrap_err());
        assert!(wrong.contains("@@me"), "{wrong}");
        for wrong in ["{}", "", "[", "5"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
