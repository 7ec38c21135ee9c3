//! Why a command did not do what it should.

use ocap_daemon::client::ClientError;
use ocap_daemon::{DaemonError, HomeError};

use crate::output::printable;
use crate::terminal::{BAD, styled};

/// What is told to the user before the command ends with exit code 1.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into() }
    }

    /// The same, with what else went wrong.
    pub(crate) fn and(self, other: impl std::fmt::Display) -> Failure {
        Failure::new(format!("{}; {other}", self.message))
    }

    /// The same, with what it is about before it.
    pub(crate) fn about(self, what: impl std::fmt::Display) -> Failure {
        Failure::new(format!("{what}: {}", self.message))
    }

    /// The same of a launch, with where the author of a vat finds the line of the code.
    pub(crate) fn of_launch(self) -> Failure {
        let of_code = self.message.starts_with("Failed to launch vat ");
        if of_code { self.and("`ocap logs` shows where") } else { self }
    }

    /// What is told.
    pub(crate) fn text(&self) -> String {
        self.message.clone()
    }

    /// On standard error.
    pub(crate) fn report(&self) {
        let error = styled(BAD, "Error:");
        crate::output::say(&format!("{error} {}", printable(&self.message)));
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Failure {
        Failure::new(error.to_string())
    }
}

impl From<ocap_kernel::KernelError> for Failure {
    fn from(error: ocap_kernel::KernelError) -> Failure {
        Failure::new(error.message)
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Failure {
        Failure::new(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let message = error.to_string();
        match &error {
            ClientError::Rpc(_) => match crate::suggestion::of_rejection(&message) {
                Some(meant) => Failure::new(format!("{message}; did you mean {meant}?")),
                None => Failure::new(message),
            },
            _ => Failure::new(message),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::new(format!("what the daemon answered is not what was asked for: {error}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(error.to_string())
    }
}
