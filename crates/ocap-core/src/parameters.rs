//! A vat's `parameters` (plain JSON) as smallcaps.

use ocap_types::VCapData;
use ocap_types::passable::Passable;
use ocap_types::smallcaps;
use serde_json::Value;

use crate::limits;

/// What the start delivery gets; `None` if the value is nested too deep.
pub(crate) fn parameters_data(parameters: Option<&Value>) -> Option<VCapData> {
    let Some(value) = parameters else { return Some(smallcaps::undefined()) };
    within_depth(value).then(|| smallcaps::encode(&Passable::from_json(value.clone())))
}

/// Whether a value is nested no deeper than parameters may be.
fn within_depth(value: &Value) -> bool {
    let mut rest = vec![(value, limits::PARAMETERS_DEPTH_MAX)];
    while let Some((value, depth)) = rest.pop() {
        if depth == 0 {
            return false;
        }
        match value {
            Value::Array(items) => rest.extend(items.iter().map(|item| (item, depth - 1))),
            Value::Object(fields) => rest.extend(fields.values().map(|field| (field, depth - 1))),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_json_becomes_smallcaps() {
        let value = serde_json::json!({"b": ["$0", "x", null, 1.5], "!a": {"#": true}});
        assert_eq!(
            parameters_data(Some(&value)).unwrap().body,
            r#"#{"!!a":{"!#":true},"b":["!$0","x",null,1.5]}"#
        );
        assert_eq!(parameters_data(None).unwrap().body, "#\"#undefined\"");
        let deep = (0..200).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert_eq!(parameters_data(Some(&deep)), None);
    }
}
