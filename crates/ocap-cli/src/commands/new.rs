//! `ocap new`: a folder to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::output::say;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The folder to make; its last part is the cluster's name
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// Write JavaScript instead of TypeScript
    #[arg(long)]
    js: bool,
}

/// Files that both languages get.
const COMMON: [(&str, &str); 4] = [
    ("README.md", include_str!("../../templates/README.md")),
    (".gitignore", include_str!("../../templates/gitignore")),
    ("tsconfig.json", include_str!("../../templates/tsconfig.json")),
    ("types/ocap.d.ts", include_str!("../../templates/types/ocap.d.ts")),
];

const TYPESCRIPT: [(&str, &str); 2] = [
    ("cluster.json", include_str!("../../templates/typescript/cluster.json")),
    ("src/hello.ts", include_str!("../../templates/typescript/src/hello.ts")),
];

const JAVASCRIPT: [(&str, &str); 2] = [
    ("cluster.json", include_str!("../../templates/javascript/cluster.json")),
    ("src/hello.js", include_str!("../../templates/javascript/src/hello.js")),
];

impl New {
    /// Makes the folder. One that exists is left alone.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let shown = self.folder.display().to_string();
        let name = self.folder.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::new(format!("{shown:?} cannot be a name")))?;
        let at = |path: &Path, error: std::io::Error| {
            Failure::new(format!("{}: {error}", path.display()))
        };
        std::fs::create_dir(&self.folder).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::new(format!("{shown} exists already; choose another name"))
            }
            std::io::ErrorKind::NotFound => {
                Failure::new(format!("there is no folder to make {shown} in"))
            }
            _ => at(&self.folder, error),
        })?;
        let files = if self.js { JAVASCRIPT } else { TYPESCRIPT };
        for (file, text) in COMMON.into_iter().chain(files) {
            let path = self.folder.join(file);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| at(parent, error))?;
            }
            // Into a folder that was made just now: nothing of somebody else's is written over.
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            // In JSON with what has to be escaped, elsewhere as it is.
            let quoted = serde_json::Value::from(name).to_string();
            let text = text.replace("\"{{name}}\"", &quoted).replace("{{name}}", name);
            file.and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|error| at(&path, error))?;
        }
        say(&format!("Made {shown}. Next: ocap run --watch {shown}/cluster.json"));
        Ok(())
    }
}
