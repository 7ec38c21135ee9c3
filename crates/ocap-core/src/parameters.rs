//! A vat's `parameters` (plain JSON) as smallcaps.

use serde_json::Value;

use crate::errors::string_body;
use crate::limits;

/// The body for the start delivery; `None` if the value is nested too deep.
pub(crate) fn parameters_data(parameters: Option<&Value>) -> Option<String> {
    let Some(value) = parameters else { return Some("#\"#undefined\"".to_owned()) };
    let mut body = String::from("#");
    encode(value, limits::PARAMETERS_DEPTH_MAX, &mut body)?;
    Some(body)
}

fn encode_string(text: &str, out: &mut String) {
    out.push_str(&string_body(text)[1..]);
}

/// Recursion is bounded by `depth`.
fn encode(value: &Value, depth: usize, out: &mut String) -> Option<()> {
    let inner = depth.checked_sub(1)?;
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        // JSON has a negative zero, passable numbers do not.
        Value::Number(number) if number.as_f64() == Some(0.0) => out.push('0'),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => encode_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                encode(item, inner, out)?;
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|&(name, _)| name);
            out.push('{');
            for (n, (name, field)) in fields.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                encode_string(name, out);
                out.push(':');
                encode(field, inner, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_json_becomes_smallcaps() {
        let value = serde_json::json!({"b": ["$0", "x", null, -0.0, 1.5], "!a": {"#": true}});
        assert_eq!(
            parameters_data(Some(&value)).unwrap(),
            r##"#{"!!a":{"!#":true},"b":["!$0","x",null,0,1.5]}"##
        );
        assert_eq!(parameters_data(None).unwrap(), "#\"#undefined\"");
        let deep = (0..200).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert_eq!(parameters_data(Some(&deep)), None);
    }
}
