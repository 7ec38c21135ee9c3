//! Channels with many clients as a vat sees them.

use std::path::PathBuf;
use std::time::Duration;

use ocap_kernel::Kernel;
use ocap_types::KRef;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::house::{House, ask, assert_sound};

/// Far longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Accepts when told, and has what it accepted under numbers; those it keeps, in baggage.
const PORTER: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = (_powers, _parameters, baggage) => {
  let guests = [];
  const guest = n => (baggage.has(`kept${n}`) ? baggage.get(`kept${n}`) : guests[n]);
  return Far('porter', {
    bootstrap(_vats, services) { baggage.init('door', services.door); },
    accept: async () => guests.push(await E(baggage.get('door')).accept()) - 1,
    status: () => E(baggage.get('door')).status(),
    read: n => E(guest(n)).read(),
    write: (n, text) => E(guest(n)).write(text),
    close: n => E(guest(n)).close(),
    keep: n => baggage.init(`kept${n}`, guests[n]),
    forget: () => { guests = []; },
    misuse: () => E(baggage.get('door')).read(),
    ping: () => 'pong',
  });
};
";

fn cluster(house: &House) -> Value {
    house.source("porter.js", PORTER);
    json!({
        "bootstrap": "porter",
        "io": {"door": {"type": "socket", "path": "door.sock", "clients": "many"}},
        "vats": {"porter": {"sourceSpec": "porter.js"}},
    })
}

async fn launch(house: &House) -> (Kernel, KRef) {
    let kernel = house.start().await;
    let root = house.try_launch(&kernel, &cluster(house)).await.unwrap().root;
    (kernel, root)
}

struct Client(BufReader<UnixStream>);

impl Client {
    async fn connect(path: PathBuf) -> Client {
        Client(BufReader::new(UnixStream::connect(path).await.unwrap()))
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line; empty at the end, of which a reset is one.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await;
        let _ = read.unwrap_or_else(|_| panic!("neither a line nor the end"));
        line
    }
}

async fn said(kernel: &Kernel, root: KRef, method: &str, args: Value) -> String {
    let answer = tokio::time::timeout(PATIENCE, ask(kernel, root, method, args)).await;
    answer.unwrap_or_else(|_| panic!("{method}: no answer"))
}

#[tokio::test]
async fn clients_are_served_side_by_side() {
    let house = House::new();
    let (kernel, root) = launch(&house).await;
    let misused = said(&kernel, root, "misuse", json!([])).await;
    assert!(misused.contains("io:s1:door") && misused.contains("accept()"), "{misused}");
    // Who accepts may be there before who comes.
    let mut accepting = Some(tokio::spawn({
        let kernel = kernel.clone();
        async move { said(&kernel, root, "accept", json!([])).await }
    }));
    while kernel.status().await.unwrap().channels[0].pending_reads == 0 {
        tokio::task::yield_now().await;
    }
    let mut clients = Vec::new();
    for n in 0..5 {
        clients.push(Client::connect(house.path("door.sock")).await);
        match accepting.take() {
            Some(first) => assert_eq!(first.await.unwrap(), "#0"),
            None => {
                assert_eq!(said(&kernel, root, "accept", json!([])).await, format!("#{n}"));
            }
        }
    }
    for (n, client) in clients.iter_mut().enumerate().rev() {
        client.send(&format!("I am {n}\n")).await;
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(said(&kernel, root, "read", json!([n])).await, format!("#\"I am {n}\""));
        let written = said(&kernel, root, "write", json!([n, "hello"])).await;
        assert_eq!(written, "#\"#undefined\"");
        assert_eq!(client.line().await, "hello\n");
    }
    let status = said(&kernel, root, "status", json!([])).await;
    assert_eq!(status, "#{\"connections\":5,\"state\":\"listening\",\"waiting\":0}");
    // One leaves, one is sent away, and the others stay.
    drop(clients.remove(0));
    assert_eq!(said(&kernel, root, "read", json!([0])).await, "#null");
    let again = said(&kernel, root, "read", json!([0])).await;
    assert!(again.contains("no more input") || again.contains("is closed"), "{again}");
    assert_eq!(said(&kernel, root, "close", json!([1])).await, "#\"#undefined\"");
    assert_eq!(clients[0].line().await, "");
    let late = said(&kernel, root, "write", json!([1, "late"])).await;
    assert!(late.contains("is closed"), "{late}");
    clients[1].send("still here\n").await;
    assert_eq!(said(&kernel, root, "read", json!([2])).await, "#\"still here\"");
    assert_sound(&kernel).await;
    // All others end with their subcluster.
    kernel.terminate_subcluster("s1".parse().unwrap()).await.unwrap();
    for client in &mut clients[1..] {
        assert_eq!(client.line().await, "");
    }
    assert!(!house.path("door.sock").exists());
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_closed() {
    let house = House::new();
    let (kernel, root) = launch(&house).await;
    let mut client = Client::connect(house.path("door.sock")).await;
    assert_eq!(said(&kernel, root, "accept", json!([])).await, "#0");
    assert_eq!(said(&kernel, root, "forget", json!([])).await, "#\"#undefined\"");
    kernel.collect_garbage().await.unwrap();
    assert_eq!(client.line().await, "");
    let channel = &kernel.status().await.unwrap().channels[0];
    assert_eq!((channel.connections, channel.waiting), (Some(0), Some(0)));
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn connections_end_with_the_life_of_the_vat_unless_baggage_holds_them() {
    let house = House::new();
    let (kernel, root) = launch(&house).await;
    let mut dropped = Client::connect(house.path("door.sock")).await;
    assert_eq!(said(&kernel, root, "accept", json!([])).await, "#0");
    let mut kept = Client::connect(house.path("door.sock")).await;
    assert_eq!(said(&kernel, root, "accept", json!([])).await, "#1");
    assert_eq!(said(&kernel, root, "keep", json!([1])).await, "#\"#undefined\"");
    kernel.restart_vat("v1".parse().unwrap()).await.unwrap();
    assert_eq!(dropped.line().await, "");
    kept.send("are you still there?\n").await;
    assert_eq!(said(&kernel, root, "read", json!([1])).await, "#\"are you still there?\"");
    assert_eq!(said(&kernel, root, "write", json!([1, "yes"])).await, "#\"#undefined\"");
    assert_eq!(kept.line().await, "yes\n");
    kernel.terminate_vat("v1".parse().unwrap()).await.unwrap();
    assert_eq!(kept.line().await, "");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_restart_of_the_kernel_a_kept_connection_is_over() {
    let house = House::new();
    let (kernel, root) = launch(&house).await;
    let mut client = Client::connect(house.path("door.sock")).await;
    assert_eq!(said(&kernel, root, "accept", json!([])).await, "#0");
    said(&kernel, root, "keep", json!([0])).await;
    client.send("unread\n").await;
    let accepting = tokio::spawn({
        let kernel = kernel.clone();
        async move { ask(&kernel, root, "accept", json!([])).await }
    });
    while kernel.status().await.unwrap().channels[0].pending_reads == 0 {
        tokio::task::yield_now().await;
    }
    kernel.stop().await.unwrap();
    assert_eq!(accepting.await.unwrap(), "the kernel has stopped");
    assert_eq!(client.line().await, "");
    let kernel = house.start().await;
    assert_sound(&kernel).await;
    let channel = &kernel.status().await.unwrap().channels[0];
    assert_eq!((channel.connections, channel.pending_reads), (Some(0), 0));
    assert_eq!(said(&kernel, root, "read", json!([0])).await, "#null");
    for (method, args) in [("read", json!([0])), ("write", json!([0, "x"]))] {
        let refused = said(&kernel, root, method, args).await;
        assert!(refused.contains("is closed"), "{refused}");
    }
    // The door is open.
    let mut client = Client::connect(house.path("door.sock")).await;
    assert_eq!(said(&kernel, root, "accept", json!([])).await, "#0");
    client.send("a new one\n").await;
    // The vat's own number 0 is the kept one; so it is kept no longer than its vat.
    kernel.terminate_vat("v1".parse().unwrap()).await.unwrap();
    assert_eq!(client.line().await, "");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
