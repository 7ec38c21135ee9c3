//! Commits that fail: the kernel opens its store again, finds out what became of the batch, and
//! goes on; or stops and says why.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ocap_kernel::{ErrorKind, Kernel, KernelError, KernelOptions, StoreLocation, StoreOpener};
use ocap_store::memory::MemoryStore;
use ocap_store::{Batch, Opened, StoreError, Writer, sqlite};
use ocap_types::KRef;
use serde_json::json;

use crate::house::{COUNTER, House, ask, assert_sound};

/// What becomes of a commit that is reported as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
}

/// A store that fails on command.
#[derive(Clone, Default)]
struct Weak {
    store: MemoryStore,
    /// Where it lies instead.
    file: Option<PathBuf>,
    plan: Arc<Mutex<Plan>>,
}

type OnOpen = Box<dyn Fn(&MemoryStore) -> Result<MemoryStore, StoreError> + Send>;

#[derive(Default)]
struct Plan {
    /// Of the next commits.
    fates: VecDeque<Fate>,
    /// What is opened, if not the store.
    on_open: Option<OnOpen>,
    opened: u32,
    /// Writers that have not been dropped.
    writers: u32,
}

struct WeakWriter {
    inner: Box<dyn Writer>,
    plan: Arc<Mutex<Plan>>,
}

impl Writer for WeakWriter {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let fate = self.plan.lock().unwrap().fates.pop_front();
        if fate != Some(Fate::Lost) {
            self.inner.commit(batch)?;
        }
        match fate {
            None => Ok(()),
            Some(_) => Err(StoreError::Io("the disk did not answer".to_owned())),
        }
    }
}

impl Drop for WeakWriter {
    fn drop(&mut self) {
        self.plan.lock().unwrap().writers -= 1;
    }
}

impl Weak {
    fn open(&self) -> Result<Opened, StoreError> {
        let mut plan = self.plan.lock().unwrap();
        assert_eq!(plan.writers, 0, "opened while it is open");
        plan.opened += 1;
        let opened = match (&plan.on_open, &self.file) {
            (Some(on_open), _) => on_open(&self.store)?.open(),
            (None, Some(path)) => sqlite::open(path)?,
            (None, None) => self.store.open(),
        };
        plan.writers += 1;
        let writer = WeakWriter { inner: opened.writer, plan: Arc::clone(&self.plan) };
        Ok(Opened { writer: Box::new(writer), ..opened })
    }

    fn options(&self, house: &House) -> KernelOptions {
        let weak = self.clone();
        let opener = StoreOpener::new(move || weak.open());
        KernelOptions { store: StoreLocation::Opener(opener), ..house.options() }
    }

    fn fail(&self, fates: &[Fate]) {
        self.plan.lock().unwrap().fates.extend(fates);
    }

    fn on_open(
        &self,
        open: impl Fn(&MemoryStore) -> Result<MemoryStore, StoreError> + Send + 'static,
    ) {
        self.plan.lock().unwrap().on_open = Some(Box::new(open));
    }

    fn opened(&self) -> u32 {
        self.plan.lock().unwrap().opened
    }
}

async fn counting(house: &House, weak: &Weak) -> (Kernel, KRef) {
    let kernel = Kernel::start(weak.options(house)).await.unwrap();
    let root = house.launch_one(&kernel, COUNTER).await;
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    (kernel, root)
}

#[tokio::test]
async fn a_failed_commit_is_looked_up_and_the_kernel_goes_on() {
    let house = House::new();
    let file = Some(house.path("weak.sqlite"));
    for weak in [Weak::default(), Weak { file, ..Weak::default() }] {
        go_on(&house, &weak).await;
    }
}

async fn go_on(house: &House, weak: &Weak) {
    let (kernel, root) = counting(house, weak).await;
    let mut count = 1;
    for fates in [
        &[Fate::Kept][..],
        &[Fate::Lost],
        &[Fate::Lost, Fate::Kept],
        &[Fate::Kept, Fate::Lost],
        &[Fate::Lost, Fate::Lost, Fate::Lost],
    ] {
        let before = weak.opened();
        weak.fail(fates);
        for _ in fates {
            count += 1;
            let answer = ask(&kernel, root, "increment", json!([])).await;
            assert_eq!(answer, format!("#{count}"), "{fates:?}");
        }
        assert_eq!(weak.opened() - before, u32::try_from(fates.len()).unwrap(), "{fates:?}");
    }
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
    // The last commit, when the kernel stops, is no different.
    for fate in [Fate::Lost, Fate::Kept] {
        let kernel = Kernel::start(weak.options(house)).await.unwrap();
        count += 1;
        assert_eq!(ask(&kernel, root, "increment", json!([])).await, format!("#{count}"));
        weak.fail(&[fate]);
        let (held, stopped) = tokio::join!(kernel.hold(root), kernel.stop());
        held.unwrap();
        stopped.unwrap();
        assert!(weak.plan.lock().unwrap().fates.is_empty());
        let kernel = Kernel::start(weak.options(house)).await.unwrap();
        assert!(kernel.release(root).await.unwrap(), "{fate:?}");
        assert_sound(&kernel).await;
        kernel.stop().await.unwrap();
    }
}

/// Sends, and says how the kernel ended. What had been answered is there at the next start, what
/// had not been is done or not.
async fn ends(weak: &Weak, house: &House, kernel: Kernel, root: KRef) -> KernelError {
    let answer = kernel.queue_message(root, "increment", Vec::new()).await;
    assert!(answer.is_err(), "{answer:?}");
    let error = kernel.stopped().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    {
        let mut plan = weak.plan.lock().unwrap();
        plan.fates.clear();
        plan.on_open = None;
    }
    let kernel = Kernel::start(weak.options(house)).await.unwrap();
    let count = ask(&kernel, root, "increment", json!([])).await;
    assert!(count == "#2" || count == "#3", "{count}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
    error
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_again_ends_the_kernel() {
    let (house, weak) = (House::new(), Weak::default());
    let (kernel, root) = counting(&house, &weak).await;
    weak.fail(&[Fate::Kept]);
    weak.on_open(|_| Err(StoreError::Io("the disk is gone".to_owned())));
    let error = ends(&weak, &house, kernel, root).await;
    for part in ["the disk did not answer", "cannot be opened again", "the disk is gone"] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_goes_on_failing_ends_the_kernel() {
    let (house, weak) = (House::new(), Weak::default());
    let (kernel, root) = counting(&house, &weak).await;
    let before = weak.opened();
    weak.fail(&[Fate::Lost; 10]);
    let error = ends(&weak, &house, kernel, root).await;
    assert!(error.message.contains("commits go on failing"), "{error}");
    // And once more for the next kernel.
    assert_eq!(weak.opened() - before, ocap_kernel::limits::REOPENS_MAX + 1);
}

#[tokio::test]
async fn a_store_that_somebody_else_has_had_ends_the_kernel() {
    let (house, weak) = (House::new(), Weak::default());
    let (kernel, root) = counting(&house, &weak).await;
    weak.fail(&[Fate::Lost]);
    weak.on_open(|store| {
        store.open();
        Ok(store.clone())
    });
    let error = ends(&weak, &house, kernel, root).await;
    assert!(error.message.contains("another kernel has taken this store over"), "{error}");
}

#[tokio::test]
async fn a_store_that_has_gone_back_ends_the_kernel() {
    let (house, weak) = (House::new(), Weak::default());
    let (kernel, root) = counting(&house, &weak).await;
    let older = MemoryStore::new();
    for _ in 0..weak.opened() {
        older.open();
    }
    weak.fail(&[Fate::Lost]);
    weak.on_open(move |_| Ok(older.clone()));
    let error = ends(&weak, &house, kernel, root).await;
    assert!(error.message.contains("it is another store"), "{error}");
}
