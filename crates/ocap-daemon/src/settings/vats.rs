//! `[vats]`: what vats of this kernel may have.

use ocap_types::config::GLOBAL_NAMES;
use serde::{Deserialize, Deserializer};

/// `[vats]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VatSettings {
    /// Globals vats may ask for; all there are if not given. A vat that asks for another one does
    /// not start.
    #[serde(deserialize_with = "globals")]
    pub allowed_globals: Option<Vec<String>>,
}

/// One that there is.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Global(String);

impl TryFrom<String> for Global {
    type Error = String;

    fn try_from(name: String) -> Result<Global, String> {
        if GLOBAL_NAMES.contains(&name.as_str()) {
            return Ok(Global(name));
        }
        Err(format!("unknown global {name:?}; there are {}", GLOBAL_NAMES.join(", ")))
    }
}

fn globals<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let names = Vec::<Global>::deserialize(from)?;
    Ok(Some(names.into_iter().map(|Global(name)| name).collect()))
}
