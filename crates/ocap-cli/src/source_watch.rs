//! Notices when source files change.
//!
//! Folders are watched one by one, so that those of packages, which are many and do not change, are
//! left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::limits;

/// Endings of files that code may be made of.
const ENDINGS: [&str; 6] = ["js", "mjs", "ts", "mts", "json", "bundle"];

/// See the module.
pub(crate) struct SourceWatch {
    watcher: RecommendedWatcher,
    roots: Vec<PathBuf>,
    watched: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<()>,
}

impl SourceWatch {
    /// Watches what lies in these folders and below.
    pub(crate) fn start(roots: Vec<PathBuf>) -> Result<SourceWatch, Failure> {
        // One that waits to be looked at stands for all that come meanwhile.
        let (changed, changes) = mpsc::channel(1);
        let hear = move |event: notify::Result<Event>| {
            // An error may mean that something was missed.
            if event.map_or(true, |event| matters(&event)) {
                let _ = changed.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(hear).map_err(|error| failed(&error))?;
        let watched = BTreeSet::new();
        let mut watch = SourceWatch { watcher, roots, watched, changes };
        watch.follow()?;
        Ok(watch)
    }

    /// Waits for a change, and until no more come for a moment.
    pub(crate) async fn changed(&mut self) -> Result<(), Failure> {
        self.changes.recv().await;
        let until = tokio::time::Instant::now() + limits::CHANGES_TIME_MAX;
        while tokio::time::Instant::now() < until
            && timeout(limits::CHANGES_PAUSE, self.changes.recv()).await.is_ok()
        {}
        // Before anybody reads: what changes in a new folder from now on is noticed.
        self.follow()
    }

    /// Watches folders that are new.
    fn follow(&mut self) -> Result<(), Failure> {
        self.watched.retain(|folder| folder.is_dir());
        let mut todo = self.roots.clone();
        while let Some(folder) = todo.pop() {
            if !self.watched.contains(&folder) {
                if self.watched.len() >= limits::WATCHED_FOLDERS_MAX {
                    let most = limits::WATCHED_FOLDERS_MAX;
                    return Err(Failure::new(format!(
                        "more than {most} folders to watch; give those files a smaller folder of their \
                         own (node_modules does not count)"
                    )));
                }
                match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    Ok(()) => {}
                    // Gone again.
                    Err(_) if !folder.is_dir() => continue,
                    Err(error) => return Err(failed(&error)),
                }
                self.watched.insert(folder.clone());
            }
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                // Links are not followed: they may lead in a circle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_left_out(&entry.path())
                {
                    todo.push(entry.path());
                }
            }
        }
        Ok(())
    }
}

fn failed(error: &notify::Error) -> Failure {
    Failure::new(format!("files cannot be watched: {error}"))
}

fn is_left_out(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "node_modules" || name.starts_with('.')
}

fn matters(event: &Event) -> bool {
    let (is_data, is_news) = match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => (false, false),
        EventKind::Modify(ModifyKind::Data(_)) => (true, true),
        _ => (false, true),
    };
    let is_source = |path: &PathBuf| match path.extension() {
        Some(end) => ENDINGS.iter().any(|known| end == *known),
        // A folder, perhaps.
        None => !is_data,
    };
    event.need_rescan() || is_news && event.paths.iter().any(is_source)
}
