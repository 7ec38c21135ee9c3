//! What SQLite's and the system's errors mean to a caller.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::StoreError;

/// Sorts an error of SQLite's by what the caller should do.
pub(super) fn sqlite(error: &Error) -> StoreError {
    let text = error.to_string();
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreError::Full(text),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(text),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                StoreError::Busy(format!("another program is using the database: {text}"))
            }
            _ => StoreError::Io(text),
        },
        // The tables are strict, so only damage makes a value of another type, bytes that are not
        // UTF-8, or a missing row.
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..)
        | Error::QueryReturnedNoRows => StoreError::Corrupt(text),
        _ => StoreError::Io(text),
    }
}

/// An error of the system's about a file.
pub(super) fn file(what: &str, path: &Path, error: impl Into<std::io::Error>) -> StoreError {
    let error = error.into();
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full(text)
        }
        _ => StoreError::Io(text),
    }
}
