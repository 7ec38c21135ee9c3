//! Channels as a vat sees them. What needs a restart of the process is tested with the binary.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
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
    // Not with the kernel's end, which comes later: with that of its subcluster.
    let mut client = UnixStream::connect(house.path("line.sock")).await.unwrap();
    kernel.terminate_subcluster("s1".parse().unwrap()).await.unwrap();
    let mut rest = Vec::new();
    let ended = client.read_to_end(&mut rest);
    // One that was not let in any more is reset.
    let _ = tokio::time::timeout(PATIENCE, ended).await.expect("the channel closes");
    assert!(!house.path("line.sock").exists());
    kernel.stop().await.unwrap();
}

/// Far longer than anything here takes; only a hang reaches it.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

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

/// Several who read at once get a line each, in the order in which they asked; the end is for one.
#[tokio::test]
async fn several_readers_are_served_in_order() {
    let house = House::new();
    house.source(
        "readers.js",
        r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => {
  let line;
  return Far('readers', {
    bootstrap(_vats, services) { line = services.line; },
    read: count => Promise.all(Array.from({ length: count }, () => E(line).read())),
  });
};
",
    );
    let config = json!({
        "bootstrap": "readers",
        "io": {"line": {"type": "socket", "path": "line.sock"}},
        "vats": {"readers": {"sourceSpec": "readers.js"}},
    });
    let kernel = house.start().await;
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    let reading = tokio::spawn({
        let kernel = kernel.clone();
        async move { ask(&kernel, root, "read", json!([4])).await }
    });
    while kernel.status().await.unwrap().channels[0].pending_reads < 4 {
        tokio::task::yield_now().await;
    }
    let mut client = UnixStream::connect(house.path("line.sock")).await.unwrap();
    client.write_all(b"one\ntwo\r\nthree").await.unwrap();
    drop(client);
    let read = tokio::time::timeout(PATIENCE, reading).await.expect("all are served").unwrap();
    assert_eq!(read, r#"#["one","two\r","three",null]"#);
    kernel.stop().await.unwrap();
}

/// What one client sent and nobody read is neither the next one's nor lost.
#[tokio::test]
async fn unread_input_comes_before_the_next_clients() {
    let house = House::new();
    let kernel = house.start().await;
    let config = echo_cluster(&house);
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    for name in ["first", "second"] {
        let mut client = UnixStream::connect(house.path("line.sock")).await.unwrap();
        client.write_all(format!("{name} a\n{name} b").as_bytes()).await.unwrap();
    }
    for expected in
        ["#\"first a\"", "#\"first b\"", "#null", "#\"second a\"", "#\"second b\"", "#null"]
    {
        assert_eq!(ask(&kernel, root, "read", json!([])).await, expected);
    }
    kernel.stop().await.unwrap();
}

const TALKER: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => {
  const line = () => E(baggage.get('line'));
  return Far('talker', {
    bootstrap(_vats, services) { baggage.init('line', services.line); },
    say: list => line().writeMany(list),
    hear: async count => {
      const heard = [];
      while (heard.length < count) {
        const units = await line().readMany(count - heard.length);
        if (units === null) heard.push('(end)'); else heard.push(...units);
      }
      return heard;
    },
    how: async () => (await line().status()).state,
  });
};
";

/// One cluster listens on a TCP port, the other connects to it; both are there again after a
/// restart, whichever comes first.
#[tokio::test]
async fn two_clusters_talk_over_tcp_and_again_after_a_restart() {
    let house = House::new();
    house.source("talker.js", TALKER);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hostport = free.local_addr().unwrap().to_string();
    drop(free);
    let cluster = |kind: &str, extra: serde_json::Value| {
        let mut io = json!({"type": kind, "hostport": hostport});
        io.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({
            "bootstrap": "talker",
            "io": {"line": io},
            "vats": {"talker": {"sourceSpec": "talker.js"}},
        })
    };
    let mut kernel = house.start().await;
    // Nobody listens yet: that is no reason not to launch.
    let dials = cluster("network", json!({"whenDisconnected": "wait"}));
    let caller = house.try_launch(&kernel, &dials).await.unwrap().root;
    assert_eq!(ask(&kernel, caller, "how", json!([])).await, "#\"connecting\"");
    let listens = cluster("listen", json!({}));
    let callee = house.try_launch(&kernel, &listens).await.unwrap().root;
    for run in ["first", "second"] {
        // Waits until the connection is there.
        let said = ask(&kernel, caller, "say", json!([["a", "b", run]])).await;
        assert_eq!(said, "#\"#undefined\"");
        let heard = ask(&kernel, callee, "hear", json!([3])).await;
        assert_eq!(heard, format!("#[\"a\",\"b\",\"{run}\"]"));
        assert_eq!(ask(&kernel, callee, "say", json!([["c"]])).await, "#\"#undefined\"");
        assert_eq!(ask(&kernel, caller, "hear", json!([1])).await, "#[\"c\"]");
        assert_eq!(ask(&kernel, caller, "how", json!([])).await, "#\"connected\"");
        assert_sound(&kernel).await;
        kernel.stop().await.unwrap();
        kernel = house.start().await;
    }
    let error = house.try_launch(&kernel, &listens).await.unwrap_err();
    assert!(error.message.contains("already used by channel \"io:s2:line\""), "{error}");
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_vat_reads_one_file_and_appends_to_another() {
    let house = House::new();
    house.source(
        "copier.js",
        r"
import { E, Far } from '@endo/far';
export const buildRootObject = () => {
  let files;
  return Far('copier', {
    bootstrap(_vats, services) { files = services; },
    copy: async () => {
      for (let lines = 0; ; lines += 1) {
        const line = await E(files.from).read();
        if (line === null) return lines;
        await E(files.to).write(line.toUpperCase());
      }
    },
  });
};
",
    );
    std::fs::write(house.path("from.txt"), "one\ntwo\nthree").unwrap();
    let config = json!({
        "bootstrap": "copier",
        "io": {
            "from": {"type": "file", "path": "from.txt", "direction": "in"},
            "to": {"type": "file", "path": "to.txt", "direction": "out"},
        },
        "vats": {"copier": {"sourceSpec": "copier.js"}},
    });
    let kernel = house.start().await;
    let root = house.try_launch(&kernel, &config).await.unwrap().root;
    assert_eq!(ask(&kernel, root, "copy", json!([])).await, "#3");
    assert_eq!(std::fs::read_to_string(house.path("to.txt")).unwrap(), "ONE\nTWO\nTHREE\n");
    kernel.stop().await.unwrap();
    let mut both = config;
    both["io"]["from"]["direction"] = json!("inout");
    let error = house.try_launch(&house.start().await, &both).await.unwrap_err();
    assert!(error.message.contains("needs the direction"), "{error}");
}
