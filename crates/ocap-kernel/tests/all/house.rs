//! A folder with a store, vat sources and sockets, and kernels that live in it one after another.

use std::path::{Path, PathBuf};

use ocap_kernel::{
    ConsoleMode, Kernel, KernelError, KernelOptions, LaunchRequest, Launched, StoreLocation,
    WorkerMode,
};
use ocap_types::config::ClusterConfig;
use ocap_types::{KCapData, KRef};
use serde_json::{Value, json};

/// See the module.
pub(crate) struct House {
    folder: tempfile::TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("oc").tempdir_in("/tmp").unwrap();
        House { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a vat's source.
    pub(crate) fn source(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn options(&self) -> KernelOptions {
        KernelOptions {
            store: StoreLocation::File(self.path("kernel.sqlite")),
            workers: WorkerMode::Thread,
            home: self.folder.path().to_path_buf(),
            io: Some(ConsoleMode::Unavailable("tests have none".into())),
            services: Vec::new(),
            allowed_globals: None,
            system_subclusters: Vec::new(),
        }
    }

    pub(crate) async fn start(&self) -> Kernel {
        Kernel::start(self.options()).await.unwrap()
    }

    /// A request to launch this config, with sources from this folder.
    pub(crate) fn request(&self, config: &Value) -> LaunchRequest {
        LaunchRequest { config: config_of(config), name: None, base: Some(self.base()) }
    }

    pub(crate) fn base(&self) -> PathBuf {
        Path::new(self.folder.path()).to_path_buf()
    }

    pub(crate) async fn try_launch(
        &self,
        kernel: &Kernel,
        config: &Value,
    ) -> Result<Launched, KernelError> {
        kernel.launch(self.request(config)).await
    }

    /// One vat of this source, launched.
    pub(crate) async fn launch_one(&self, kernel: &Kernel, text: &str) -> KRef {
        self.source("one.js", text);
        let config = json!({"bootstrap": "one", "vats": {"one": {"sourceSpec": "one.js"}}});
        self.try_launch(kernel, &config).await.unwrap().root
    }
}

pub(crate) fn config_of(config: &Value) -> ClusterConfig {
    serde_json::from_value(config.clone()).unwrap()
}

/// Sends and returns the answer as text, or the error's message.
pub(crate) async fn ask(kernel: &Kernel, target: KRef, method: &str, args: Value) -> String {
    let Value::Array(args) = args else { panic!("arguments are an array") };
    match kernel.queue_message(target, method, args).await {
        Ok(KCapData { body, .. }) => body,
        Err(error) => error.message,
    }
}

/// The walk over the whole store finds nothing wrong.
pub(crate) async fn assert_sound(kernel: &Kernel) {
    let findings = kernel.check().await.unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// A vat that counts, and keeps count.
pub(crate) const COUNTER: &str = r"
import { Far } from '@endo/far';
export function buildRootObject(_powers, parameters, baggage) {
  if (!baggage.has('count')) baggage.init('count', 0);
  return Far('counter', {
    bootstrap: () => parameters?.greeting ?? 'ready',
    increment: () => { baggage.set('count', baggage.get('count') + 1); return baggage.get('count'); },
    spin: () => { for (;;) {} },
    fill: () => { const all = []; for (;;) all.push(new Uint8Array(1 << 20)); },
    fail: () => { throw TypeError('on purpose'); },
    never: () => new Promise(() => {}),
  });
}
";
