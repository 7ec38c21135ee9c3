//! System subclusters: those the host declares at each start, by name.
//!
//! What was launched under a name stays as it was launched until it is no longer declared. Their
//! names are their own: what clients launch cannot take or find one.

use ocap_types::{KRef, SubclusterId};

use crate::api::CoreError;
use crate::core::Core;
use crate::keys;

impl Core {
    /// Ends every system subcluster that is not among these names. To be called before anything is
    /// dispatched, so that none of their vats runs once more.
    pub fn retain_system_subclusters(&mut self, names: &[&str]) -> Result<(), CoreError> {
        self.turn(|core| {
            for (key, _) in core.space.scan(keys::SYSTEM_NAMES)? {
                let name = key.strip_prefix(keys::SYSTEM_NAMES).unwrap_or_default();
                if !names.contains(&name)
                    && let Some(id) = core.space.row(&key.as_str().into())?
                {
                    core.end_subcluster(id, "the system subcluster is no longer declared")?;
                }
            }
            Ok(())
        })
    }

    /// The system subcluster of a name, also while its launch is under way.
    pub fn system_subcluster(&self, name: &str) -> Result<Option<SubclusterId>, CoreError> {
        self.named_subcluster(true, name)
    }

    /// The root of a system subcluster's bootstrap vat, once it has been launched.
    pub fn system_root(&self, name: &str) -> Result<Option<KRef>, CoreError> {
        let Some(id) = self.system_subcluster(name)? else { return Ok(None) };
        let row = self.subcluster(id)?;
        Ok(row.launching.is_none().then_some(row.root))
    }
}
