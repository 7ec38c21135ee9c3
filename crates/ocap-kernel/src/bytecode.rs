//! Compiled code of vats, kept by the hash of the code and the build of the engine: in memory, and
//! in a folder if there is one. A worker makes it before it runs any of the code, and only cages load
//! it. Nothing depends on it being there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ocap_core::api::CodeHash;
use ocap_vat::engine::Bytecode;
use ocap_vat::quickjs::engine_build;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::limits;

/// Bytes of the checksum each file begins with.
const SUM_BYTES: usize = 32;

/// See the module.
pub(crate) struct BytecodeCache {
    folder: Option<PathBuf>,
    build: String,
    /// With when each was asked for last, as a count.
    memory: BTreeMap<CodeHash, (u64, Bytecode)>,
    bytes: usize,
    clock: u64,
    /// Under way.
    writes: Vec<JoinHandle<()>>,
    runtime: tokio::runtime::Handle,
}

impl BytecodeCache {
    pub(crate) fn new(folder: Option<PathBuf>, runtime: tokio::runtime::Handle) -> Self {
        BytecodeCache {
            folder,
            build: engine_build(),
            memory: BTreeMap::new(),
            bytes: 0,
            clock: 0,
            writes: Vec::new(),
            runtime,
        }
    }

    /// What is known of a code, if anything is.
    pub(crate) fn get(&mut self, code: &CodeHash) -> Option<Bytecode> {
        self.clock += 1;
        if let Some((asked, bytecode)) = self.memory.get_mut(code) {
            *asked = self.clock;
            return Some(bytecode.clone());
        }
        let path = self.path(code)?;
        let bytecode = match read(&path) {
            Ok(bytecode) => bytecode?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "compiled code cannot be read");
                return None;
            }
        };
        self.remember(code, &bytecode);
        Some(bytecode)
    }

    /// A worker has compiled a code.
    pub(crate) fn put(&mut self, code: &CodeHash, bytecode: Bytecode) {
        if bytecode.0.len() > limits::BYTECODE_FILE_BYTES_MAX {
            return;
        }
        self.remember(code, &bytecode);
        let Some(path) = self.path(code) else { return };
        self.writes.retain(|write| !write.is_finished());
        self.writes.push(self.runtime.spawn_blocking(move || {
            if let Err(error) = write(&path, &bytecode) {
                // The next start compiles again.
                tracing::debug!(path = %path.display(), %error, "compiled code cannot be kept");
            }
        }));
    }

    /// Waits until what was put is in the folder.
    pub(crate) fn finish(&mut self) {
        for write in self.writes.drain(..) {
            let _ = self.runtime.block_on(write);
        }
    }

    fn remember(&mut self, code: &CodeHash, bytecode: &Bytecode) {
        self.bytes += bytecode.0.len();
        if let Some((_, old)) = self.memory.insert(code.clone(), (self.clock, bytecode.clone())) {
            self.bytes -= old.0.len();
        }
        while self.bytes > limits::BYTECODE_MEMORY_BYTES_MAX && self.memory.len() > 1 {
            let oldest = self.memory.iter().min_by_key(|(_, (asked, _))| *asked);
            let Some(oldest) = oldest.map(|(code, _)| code.clone()) else { return };
            if let Some((_, old)) = self.memory.remove(&oldest) {
                self.bytes -= old.0.len();
            }
        }
    }

    fn path(&self, code: &CodeHash) -> Option<PathBuf> {
        // A hash from a damaged store must not lead anywhere else.
        let sound = code.0.len() == 64 && code.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        let folder = self.folder.as_ref().filter(|_| sound)?;
        Some(folder.join(format!("{}-{}", code.0, self.build)))
    }
}

/// The bytecode in a file; `None` if it is not what was written.
fn read(path: &Path) -> io::Result<Option<Bytecode>> {
    if fs::metadata(path)?.len() > (limits::BYTECODE_FILE_BYTES_MAX + SUM_BYTES) as u64 {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    Ok(bytes.split_first_chunk::<SUM_BYTES>().and_then(|(sum, bytes)| {
        (Sha256::digest(bytes)[..] == sum[..]).then(|| Bytecode(bytes.into()))
    }))
}

/// Numbers unfinished files: two may be written at once.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Writes a file entirely or not at all, and removes the oldest ones if there are too many.
fn write(path: &Path, bytecode: &Bytecode) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    fs::create_dir_all(folder)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let new = folder.join(format!(".new-{}-{number}", std::process::id()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file
        .write_all(&Sha256::digest(&bytecode.0))
        .and_then(|()| file.write_all(&bytecode.0))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        fs::remove_file(&new)?;
    }
    written.and_then(|()| tidy(folder))
}

fn tidy(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_file() {
            files.push((about.modified()?, about.len(), entry.path()));
        }
    }
    files.sort_unstable();
    let mut bytes: u64 = files.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in files {
        if bytes <= limits::BYTECODE_FOLDER_BYTES_MAX {
            break;
        }
        fs::remove_file(path)?;
        bytes -= len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_was_written_or_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("compiled").join("x");
        let bytecode = Bytecode(vec![1, 2, 3].into());
        write(&path, &bytecode).unwrap();
        assert_eq!(read(&path).unwrap(), Some(bytecode));
        let mut bytes = fs::read(&path).unwrap();
        for place in [0, SUM_BYTES] {
            bytes[place] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(read(&path).unwrap(), None);
            bytes[place] ^= 1;
        }
        fs::write(&path, &bytes[..SUM_BYTES - 1]).unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }
}
