//! Where a configured path lies.

use std::path::{Component, Path, PathBuf};

use crate::retry::Refusal;

/// A configured path made absolute: relative ones lie under the home. `what` it is for stands in
/// the error.
pub(crate) fn absolute(home: &Path, configured: &str, what: &str) -> Result<PathBuf, Refusal> {
    let refuse = |why: String| Err(Refusal::Never(why));
    if configured.is_empty() {
        return refuse(format!("the {what}'s path is empty"));
    }
    if configured.contains('\0') {
        return refuse(format!("the {what}'s path contains a zero byte"));
    }
    let given = Path::new(configured);
    if given.is_relative() && given.components().any(|part| part == Component::ParentDir) {
        return refuse(format!(
            "the relative path {configured:?} may not contain \"..\"; give an absolute path"
        ));
    }
    let path = match std::path::absolute(home.join(given)) {
        Ok(path) => path,
        Err(error) => return refuse(format!("{configured:?} cannot be made absolute: {error}")),
    };
    if path.file_name().is_none() || configured.ends_with('/') {
        return refuse(format!("{configured:?} does not name a file"));
    }
    Ok(path)
}
