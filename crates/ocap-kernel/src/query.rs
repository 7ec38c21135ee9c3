//! Questions in SQL to the store of a kernel that runs.

use ocap_store::sqlite;

use crate::api::{ErrorKind, KernelError};
use crate::kernel::Kernel;

pub use ocap_store::sqlite::{Answer as Table, Cell};

impl Kernel {
    /// Asks the store something in SQL: one statement that reads the table `kv` (`key`, `value`) as
    /// it was last committed. Secrets are not in it, and there is nothing else to be read. Bounded in
    /// time and size; the kernel does not wait for it.
    ///
    /// # Errors
    /// `Invalid` if the state is not in a SQLite file, or with what SQLite, or a limit, says of the
    /// question.
    pub async fn query(&self, sql: &str) -> Result<Table, KernelError> {
        let (store, queries) = self.queries();
        let Some(store) = store else {
            let message = "only a kernel whose state is in a SQLite file can be asked in SQL";
            return Err(KernelError::new(ErrorKind::Invalid, message));
        };
        let sql = sql.to_owned();
        let failed =
            |error: &dyn std::fmt::Display| KernelError::new(ErrorKind::Failed, error.to_string());
        let turn = queries.acquire_owned().await.map_err(|error| failed(&error))?;
        let ask = move || {
            let answer = sqlite::query(&store, &sql, &ocap_core::HIDDEN_KEYS);
            drop(turn);
            answer.map_err(|message| KernelError::new(ErrorKind::Invalid, message))
        };
        tokio::task::spawn_blocking(ask).await.map_err(|error| failed(&error))?
    }
}
