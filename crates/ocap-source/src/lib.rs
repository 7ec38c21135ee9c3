//! From what a vat's author writes to what the engine runs.
//!
//! [`strip_types`] takes the types out of TypeScript and leaves every line and column where it was,
//! so that stack traces need no map. [`link`] makes one script of ES modules, in the bundle format
//! of the reference. Both read text that nobody has checked, and the parser recurses: they belong
//! into a process that may overflow its stack, such as a caged worker.

mod edits;
mod enums;
mod imports;
mod link;
mod module;
mod place;
mod strip;
mod trivia;

pub use link::{Linked, Unit, link, shim};
pub use strip::strip_types;

/// Whether a file of this name is TypeScript.
pub fn is_typescript(name: &str) -> bool {
    [".ts", ".mts"].iter().any(|end| name.ends_with(end)) && !is_declaration(name)
}

/// Whether a file of this name holds nothing but declarations.
pub fn is_declaration(name: &str) -> bool {
    [".d.ts", ".d.mts", ".d.cts"].iter().any(|end| name.ends_with(end))
}

/// A JSON file as a module whose default export is its value.
///
/// # Errors
/// If it is not JSON; the text names the place.
pub fn json_module(name: &str, text: &str) -> Result<String, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let checked: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
    if let Err(error) = checked {
        return Err(format!("{name}:{}:{}: {error}", error.line(), error.column()));
    }
    // Parsed by the engine, and not written as an expression: `__proto__` is a key like any other.
    let quoted = serde_json::Value::from(text).to_string();
    Ok(format!("export default JSON.parse({quoted});\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_a_module_and_what_is_not_json_is_told_with_its_place() {
        let module = json_module("a.json", "{\"__proto__\":\n \"\u{2028}'\"}").unwrap();
        assert!(module.starts_with("export default JSON.parse(\""), "{module}");
        assert!(!module.trim_end().contains('\n'), "{module}");
        let error = json_module("a.json", "{\n  x }").unwrap_err();
        assert!(error.starts_with("a.json:2:3: "), "{error}");
    }

    #[test]
    fn declarations_are_not_code() {
        assert!(is_typescript("a.ts") && is_typescript("a.mts"));
        assert!(!is_typescript("a.d.ts") && !is_typescript("a.js") && !is_typescript("a.tsx"));
    }
}
