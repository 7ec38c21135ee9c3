//! Modules of the house that are kept as source: evaluated in vats that import them, and nothing to all
//! others.

/// By name. They may import each other and whatever else is built in.
const MODULES: &[(&str, &str)] = &[
    ("@ocap/discovery", include_str!("../../js/modules/discovery.js")),
    ("@ocap/discovery/convert", include_str!("../../js/modules/discovery/convert.js")),
    ("@ocap/discovery/provide", include_str!("../../js/modules/discovery/provide.js")),
    ("@ocap/discovery/shapes", include_str!("../../js/modules/discovery/shapes.js")),
];

/// The text of a module.
pub(super) fn source(name: &str) -> Option<&'static str> {
    MODULES.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

/// What there is.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|(name, _)| *name)
}
