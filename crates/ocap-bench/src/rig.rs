//! Kernels, homes and vats for the rows.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use indexmap::IndexMap;
use ocap_kernel::{
    ConsoleMode, Kernel, KernelOptions, LaunchRequest, Launched, StoreLocation, WorkerMode,
};
use ocap_types::KRef;
use ocap_types::config::{ClusterConfig, IoConfig, IoKind, VatConfig};
use serde_json::Value;
use tempfile::TempDir;

use crate::Failure;
use crate::options::Options;

const PLAIN: &str = include_str!("../vats/plain.js");
const CALLER: &str = include_str!("../vats/caller.js");
const ECHO: &str = include_str!("../vats/echo.js");
const EXO: &str = include_str!("../vats/exo.js");
const URLS: &str = include_str!("../vats/urls.js");
const STORAGE: &str = include_str!("../vats/storage.js");

/// A vat in the reference's bundle format, with its exo library inside.
const BUNDLE: &str = "../../fixtures/bundles/dist/counter.bundle";

/// What to say where that bundle is missing.
pub(crate) const NO_BUNDLE: &str =
    "no bundle; `npm ci && npm run build` in `fixtures/bundles` makes it";

/// Everything a row needs. Removes its files when dropped.
pub(crate) struct Rig {
    folder: TempDir,
    quick: bool,
    runs: usize,
    made: AtomicU32,
    bundle: PathBuf,
}

/// A store's file in a home.
pub(crate) fn on_disk(home: &Path) -> StoreLocation {
    StoreLocation::File(home.join("kernel.sqlite"))
}

/// Starts a kernel with vats in caged processes.
pub(crate) async fn start(store: StoreLocation, home: &Path) -> Result<Kernel, Failure> {
    start_with(store, home, None).await
}

async fn start_with(
    store: StoreLocation,
    home: &Path,
    io: Option<ConsoleMode>,
) -> Result<Kernel, Failure> {
    let workers = WorkerMode::Process { executable: None, best_effort: false };
    let options = KernelOptions {
        store,
        workers,
        home: home.to_owned(),
        io,
        services: Vec::new(),
        allowed_globals: None,
        system_subclusters: Vec::new(),
    };
    Ok(Kernel::start(options).await?)
}

impl Rig {
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("ocap-bench").tempdir_in(&options.folder)?;
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join(BUNDLE);
        let (quick, runs, made) = (options.quick, options.runs(), AtomicU32::new(0));
        Ok(Self { folder, quick, runs, made, bundle })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How often a row is measured.
    pub(crate) fn runs(&self) -> usize {
        self.runs
    }

    /// How much of something: a fraction with `--quick`.
    pub(crate) fn scaled(&self, full: u32, quick: u32) -> u32 {
        if self.quick { quick } else { full }
    }

    /// A number that no other part of this run gets.
    pub(crate) fn unique(&self) -> u32 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    /// A new, empty home.
    pub(crate) fn home(&self) -> Result<PathBuf, Failure> {
        let home = self.folder().join(format!("home{}", self.unique()));
        std::fs::create_dir(&home)?;
        Ok(home)
    }

    /// A kernel whose state is in memory.
    pub(crate) async fn in_memory(&self) -> Result<Kernel, Failure> {
        start(StoreLocation::Memory, &self.home()?).await
    }

    /// A kernel whose state is in memory, with channels.
    pub(crate) async fn with_channels(&self, home: &Path) -> Result<Kernel, Failure> {
        let console = ConsoleMode::Unavailable("a benchmark has none".to_owned());
        start_with(StoreLocation::Memory, home, Some(console)).await
    }

    /// A vat's source that no kernel has seen before.
    pub(crate) fn fresh_source(&self) -> Result<VatConfig, Failure> {
        let number = self.unique();
        let path = self.folder().join(format!("plain{number}.js"));
        std::fs::write(&path, format!("{PLAIN}\n// {number}\n"))?;
        Ok(VatConfig { source_spec: Some(text(&path)?), ..VatConfig::default() })
    }

    /// Whether [`Self::fresh_bundle`] has something to make a bundle from.
    pub(crate) fn has_bundle(&self) -> bool {
        self.bundle.is_file()
    }

    /// A bundle that no kernel has seen before.
    pub(crate) fn fresh_bundle(&self) -> Result<VatConfig, Failure> {
        let bundle = std::fs::read_to_string(&self.bundle)?;
        let number = self.unique();
        let mut bundle: Value = serde_json::from_str(&bundle)?;
        match bundle.get_mut("code") {
            Some(Value::String(code)) => *code = format!("{code}\n// {number}\n"),
            _ => return Err("the bundle has no code".into()),
        }
        let path = self.folder().join(format!("exo{number}.bundle"));
        std::fs::write(&path, bundle.to_string())?;
        Ok(VatConfig { bundle_spec: Some(text(&path)?), ..VatConfig::default() })
    }

    /// The vat that calls another one.
    pub(crate) fn caller(&self) -> Result<VatConfig, Failure> {
        self.source("caller.js", CALLER)
    }

    /// A vat whose root is a built-in exo.
    pub(crate) fn exo(&self) -> Result<VatConfig, Failure> {
        self.source("exo.js", EXO)
    }

    /// A vat that sends back what its channel brings.
    pub(crate) fn echo(&self) -> Result<VatConfig, Failure> {
        self.source("echo.js", ECHO)
    }

    /// A vat that keeps things.
    pub(crate) fn storage(&self) -> Result<VatConfig, Failure> {
        self.source("storage.js", STORAGE)
    }

    fn source(&self, name: &str, source: &str) -> Result<VatConfig, Failure> {
        let path = self.folder().join(name);
        std::fs::write(&path, source)?;
        Ok(VatConfig { source_spec: Some(text(&path)?), ..VatConfig::default() })
    }

    /// Launches a vat with a socket `line` in the home.
    pub(crate) async fn launch_with_socket(
        &self,
        kernel: &Kernel,
        vat: VatConfig,
        path: &str,
    ) -> Result<Launched, Failure> {
        let socket = IoConfig::new(IoKind::Socket { path: path.to_owned() });
        let io = [("line".to_owned(), socket)].into_iter().collect();
        self.launch_cluster(kernel, [("vat", vat)], Some(io), None).await
    }

    /// Launches a vat that issues and redeems OCAP URLs.
    pub(crate) async fn launch_urls(&self, kernel: &Kernel) -> Result<Launched, Failure> {
        let services = ["ocapURLIssuerService", "ocapURLRedemptionService"].map(str::to_owned);
        let vat = self.source("urls.js", URLS)?;
        self.launch_cluster(kernel, [("vat", vat)], None, Some(services.into())).await
    }

    /// Launches a cluster; the first vat is the one that bootstraps.
    pub(crate) async fn launch<const N: usize>(
        &self,
        kernel: &Kernel,
        vats: [(&str, VatConfig); N],
    ) -> Result<Launched, Failure> {
        self.launch_cluster(kernel, vats, None, None).await
    }

    async fn launch_cluster<const N: usize>(
        &self,
        kernel: &Kernel,
        vats: [(&str, VatConfig); N],
        io: Option<IndexMap<String, IoConfig>>,
        services: Option<Vec<String>>,
    ) -> Result<Launched, Failure> {
        let bootstrap = vats.first().map_or("", |(name, _)| name).to_owned();
        let config = ClusterConfig {
            name: None,
            bootstrap,
            force_reset: None,
            services,
            io,
            vats: vats.into_iter().map(|(name, vat)| (name.to_owned(), vat)).collect(),
            bundles: None,
        };
        let base = Some(self.folder().to_owned());
        Ok(kernel.launch(LaunchRequest { config, name: None, base }).await?)
    }

    /// Launches plain vats, each in a cluster of its own, all of the same code. Answers with their
    /// roots.
    pub(crate) async fn launch_plain(
        &self,
        kernel: &Kernel,
        count: u32,
    ) -> Result<Vec<KRef>, Failure> {
        let source = self.fresh_source()?;
        let mut roots = Vec::new();
        for _ in 0..count {
            roots.push(self.launch(kernel, [("plain", source.clone())]).await?.root);
        }
        Ok(roots)
    }
}

/// Sends `ping` and checks that the answer is a count.
pub(crate) async fn ping(kernel: &Kernel, root: KRef) -> Result<u64, Failure> {
    number(kernel, root, "ping", Vec::new()).await
}

/// Sends a message whose answer is a whole number.
pub(crate) async fn number(
    kernel: &Kernel,
    root: KRef,
    method: &str,
    args: Vec<Value>,
) -> Result<u64, Failure> {
    let answer = kernel.queue_message(root, method, args).await?;
    let number = answer.body.strip_prefix('#').and_then(|body| body.parse().ok());
    number.ok_or_else(|| format!("{method} answered {:?}", answer.body).into())
}

fn text(path: &Path) -> Result<String, Failure> {
    Ok(path.to_str().ok_or("the folder's name is not UTF-8")?.to_owned())
}
