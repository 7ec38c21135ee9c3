//! Channels as a vat sees them. What needs a restart of the process is tested with the binary.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::house::{House, ask, assert_sound};

const ECHO: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => Far('echo', {
  bootstrap(_vats, services) { baggage.init('line', services.line); },
  read: () => E(baggage.get('line')).read(),
  write: text => E(baggage.get('line')).write(text),
  ready: () => E(baggage.get('line')).ready(),
  wrong: () => E(baggage.get('line')).frobnicate(),
});
";

/// A vat that does what it is told with a socket of its own.
fn echo_cluster(house: &House) -> serde_json::Value {
    house.source("echo.js", ECHO);
    json!({
        "bootstrap": "echo",
        "io": {"line": {"type": "socket", "path": "line.sock"}},
        "vats": {"echo": {"sourceSpec": "echo.js"}},
    })
}

#[tokio::test]
async fn lines_go_both_ways_and_the_socket_goes_with_its_subcluster() {
    let house = House::new();
    let kernel = house.start().await;
    let config = echo_cluster(&house);
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    assert_eq!(root.to_string(), "ko5", "the channel's service came first");
    let nobody = ask(&kernel, root, "write", json!(["x"])).await;
    assert!(nobody.contains("has no connected client"), "{nobody}");
    let client = UnixStream::connect(house.path("line.sock")).await.unwrap();
    let (reader, mut writer) = client.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all("hello\n#5\n".as_bytes()).await.unwrap();
    assert_eq!(ask(&kernel, root, "read", json!([])).await, "#\"hello\"");
    assert_eq!(ask(&kernel, root, "read", json!([])).await, "#\"!#5\"");
    assert_eq!(ask(&kernel, root, "write", json!(["back"])).await, "#\"#undefined\"");
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("back"));
    assert!(ask(&kernel, root, "wrong", json!([])).await.contains("frobnicate"));
    drop((writer, lines));
    assert_eq!(ask(&kernel, root, "read", json!([])).await, "#null");
    let channel = &kernel.status().await.unwrap().channels[0];
    assert_eq!((channel.name.as_str(), channel.kref.to_string().as_str()), ("line", "ko4"));
    assert_sound(&kernel).await;
    kernel.terminate_subcluster("s1".parse().unwrap()).await.unwrap();
    kernel.stop().await.unwrap();
    assert!(!house.path("line.sock").exists());
}

#[tokio::test]
async fn a_kernel_without_io_support_boots_and_says_so_when_called() {
    let house = House::new();
    let kernel = house.start().await;
    let config = echo_cluster(&house);
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    kernel.stop().await.unwrap();
    let mut options = house.options();
    options.io = None;
    let kernel = ocap_kernel::Kernel::start(options).await.unwrap();
    let answer = ask(&kernel, root, "read", json!([])).await;
    assert!(answer.contains("without IO support"), "{answer}");
    let error = house.try_launch(&kernel, &config).await.unwrap_err();
    assert!(error.message.contains("declares IO channels"), "{error}");
    kernel.stop().await.unwrap();
    // The same reference serves again once there is IO.
    let kernel = house.start().await;
    let mut client = UnixStream::connect(house.path("line.sock")).await.unwrap();
    client.write_all(b"again\n").await.unwrap();
    assert_eq!(ask(&kernel, root, "read", json!([])).await, "#\"again\"");
    kernel.stop().await.unwrap();
}

/// A read whose vat has started again, or whose kernel has, consumes nothing: the next line goes to
/// the next read.
#[tokio::test]
async fn a_pending_read_ends_with_its_incarnation_and_takes_no_line() {
    let house = House::new();
    let kernel = house.start().await;
    let config = echo_cluster(&house);
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    let waiting = pending_read(&kernel, root).await;
    kernel.restart_vat("v1".parse().unwrap()).await.unwrap();
    let answer = waiting.await.unwrap();
    assert!(answer.starts_with("[KERNEL:VAT_RESTARTED]"), "{answer}");
    assert_eq!(kernel.status().await.unwrap().channels[0].pending_reads, 0);
    let waiting = pending_read(&kernel, root).await;
    kernel.stop().await.unwrap();
    assert_eq!(waiting.await.unwrap(), "the kernel has stopped");
    let kernel = house.start().await;
    assert_sound(&kernel).await;
    assert_eq!(kernel.status().await.unwrap().channels[0].pending_reads, 0);
    let mut client = UnixStream::connect(house.path("line.sock")).await.unwrap();
    client.write_all(b"for the living\n").await.unwrap();
    assert_eq!(ask(&kernel, root, "read", json!([])).await, "#\"for the living\"");
    kernel.stop().await.unwrap();
}

/// Asks for a line and returns once the channel has the read.
async fn pending_read(
    kernel: &ocap_kernel::Kernel,
    root: ocap_types::KRef,
) -> tokio::task::JoinHandle<String> {
    let asking = kernel.clone();
    let waiting = tokio::spawn(async move { ask(&asking, root, "read", json!([])).await });
    while kernel.status().await.unwrap().channels[0].pending_reads == 0 {
        tokio::task::yield_now().await;
    }
    waiting
}
