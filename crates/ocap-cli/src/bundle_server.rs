//! Bundles over HTTP, for kernels that fetch them by URL while they are worked on.
//!
//! Only `GET` of files whose names end in `.bundle`, below one folder and through no link.

use std::convert::Infallible;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, EXPIRES, HeaderValue, PRAGMA,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::bundles::ENDING;
use crate::failure::Failure;
use crate::limits;
use crate::output::say;

/// See the module.
pub(crate) struct BundleServer {
    listener: TcpListener,
    folder: Arc<OwnedFd>,
}

impl BundleServer {
    /// Listens. Port 0 means any.
    pub(crate) async fn start(folder: &Path, host: &str, port: u16) -> Result<Self, Failure> {
        let at = |what: &str, why: &dyn std::fmt::Display| Failure::new(format!("{what}: {why}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, folder, flags, Mode::empty());
        let opened = opened.map_err(|error| at(&folder.display().to_string(), &error))?;
        let listener = TcpListener::bind((host, port)).await;
        let listener = listener.map_err(|error| {
            let place = format!("{host} port {port}");
            match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    at(&place, &"somebody listens there already; give another with --port")
                }
                _ => at(&place, &error),
            }
        })?;
        let address = listener.local_addr()?;
        say(&format!("Serving bundles of {} at http://{address}/", folder.display()));
        Ok(BundleServer { listener, folder: Arc::new(opened) })
    }

    /// Answers whoever comes. Ends only when it is dropped.
    pub(crate) async fn run(self) {
        let places = Arc::new(Semaphore::new(limits::HTTP_CLIENTS_MAX));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let Ok((client, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely.
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                continue;
            };
            let folder = Arc::clone(&self.folder);
            tokio::spawn(async move {
                let _ = timeout(limits::HTTP_CLIENT_TIME_MAX, attend(client, folder)).await;
                drop(place);
            });
        }
    }
}

async fn attend(client: TcpStream, folder: Arc<OwnedFd>) -> Result<(), hyper::Error> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let folder = Arc::clone(&folder);
        async move {
            let path = request.uri().path().to_owned();
            let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
            let find = move || if is_get { read(&folder, &path) } else { Ok(None) };
            let found = tokio::task::spawn_blocking(find).await;
            Ok::<_, Infallible>(response(found.unwrap_or(Err(Errno::IO))))
        }
    });
    hyper::server::conn::http1::Builder::new()
        .max_buf_size(limits::HTTP_BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(client), answer)
        .await
}

fn response(found: Result<Option<Vec<u8>>, Errno>) -> Response<Full<Bytes>> {
    let (status, body) = match found {
        Ok(Some(bytes)) => (StatusCode::OK, Bytes::from(bytes)),
        Ok(None) => (StatusCode::NOT_FOUND, Bytes::from_static(b"Not found\n")),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from_static(b"Cannot be read\n")),
    };
    let kind = if status == StatusCode::OK { "application/json" } else { "text/plain" };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (PRAGMA, "no-cache"),
        (EXPIRES, "0"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A bundle; none if there is none of that name, or it may not be had.
fn read(folder: &OwnedFd, path: &str) -> Result<Option<Vec<u8>>, Errno> {
    let name = path.trim_start_matches('/');
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || !name.ends_with(&format!(".{ENDING}")) || name.contains('\0') {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = match rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::fstat(&file)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let most = ocap_kernel::limits::CODE_FILE_BYTES_MAX;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|_| Errno::IO)?;
    if bytes.len() as u64 > most { Err(Errno::FBIG) } else { Ok(Some(bytes)) }
}
