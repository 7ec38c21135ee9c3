use serde_json::json;
use tokio::sync::mpsc;

use super::*;

/// Answers `echo` with its parameters, `slow` late, `wait` never; tells when it has begun or done
/// the latter two.
#[derive(Default)]
struct Echo {
    release: Option<mpsc::UnboundedSender<()>>,
}

impl Handler for Echo {
    async fn call(&self, request: Request) -> Result<String, RpcError> {
        match request.method.as_str() {
            "echo" => Ok(request.params.to_string()),
            "slow" => {
                tokio::time::sleep(limits::GONE_CLIENT_CHECK * 2).await;
                if let Some(release) = &self.release {
                    let _ = release.send(());
                }
                Ok("null".to_owned())
            }
            "wait" => {
                if let Some(release) = &self.release {
                    let _ = release.send(());
                }
                std::future::pending().await
            }
            other => Err(RpcError::new(rpc::METHOD_NOT_FOUND, other)),
        }
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    path: PathBuf,
    server: Server,
}

fn serve_with(handler: Echo) -> Fixture {
    let dir = tempfile::Builder::new().prefix("oc-").tempdir_in("/tmp").unwrap();
    let path = dir.path().join("s");
    let server = Server::listen(&path, Arc::new(handler)).unwrap();
    Fixture { _dir: dir, path, server }
}

async fn ask(path: &Path, pieces: &[&[u8]]) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    for piece in pieces {
        // The server may have refused already.
        let _ = stream.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    let _ = timeout(limits::CLIENT_IDLE_MAX, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_request_may_come_in_pieces_split_anywhere() {
    let fixture = serve_with(Echo::default());
    let line = "{\"id\":\"\u{2603}\",\"method\":\"echo\",\"params\":[\"\u{1f600}\"]}\n".as_bytes();
    let whole = ask(&fixture.path, &[line]).await;
    assert_eq!(whole, "{\"jsonrpc\":\"2.0\",\"id\":\"\u{2603}\",\"result\":[\"\u{1f600}\"]}\n");
    for at in 1..line.len() {
        assert_eq!(ask(&fixture.path, &[&line[..at], &line[at..]]).await, whole, "split at {at}");
    }
}

#[tokio::test]
async fn one_request_per_connection() {
    let fixture = serve_with(Echo::default());
    let line = b"{\"id\":1,\"method\":\"echo\"}\n{\"id\":2,\"method\":\"echo\"}\n";
    let answer = ask(&fixture.path, &[line]).await;
    assert!(answer.contains("-32600") && answer.contains("Only one request"), "{answer}");
}

#[tokio::test]
async fn half_a_request_gets_nothing_and_half_a_connection_gets_an_answer() {
    let fixture = serve_with(Echo::default());
    for (line, answered) in
        [(&b"{\"id\":1,\"method\":\"echo\"}"[..], false), (b"{\"method\":\"echo\"}\n", true)]
    {
        let mut stream = UnixStream::connect(&fixture.path).await.unwrap();
        stream.write_all(line).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(!answer.is_empty(), answered, "{answer}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused_and_the_next_one_served() {
    let fixture = serve_with(Echo::default());
    let filler = vec![b' '; 1024 * 1024];
    let pieces = vec![&filler[..]; limits::REQUEST_BYTES_MAX / filler.len() + 2];
    let answer = ask(&fixture.path, &pieces).await;
    assert!(answer.contains("longer than"), "{answer}");
    assert!(ask(&fixture.path, &[b"{\"method\":\"echo\"}\n"]).await.contains("result"));
}

#[tokio::test]
async fn the_longest_request_is_served() {
    let fixture = serve_with(Echo::default());
    let (head, tail) = ("{\"method\":\"echo\",\"params\":\"", "\"}\n");
    let filler = "x".repeat(limits::REQUEST_BYTES_MAX - head.len() - tail.len() + 1);
    let line = format!("{head}{filler}{tail}");
    assert_eq!(line.len(), limits::REQUEST_BYTES_MAX + 1);
    let answer = ask(&fixture.path, &[line.as_bytes()]).await;
    assert_eq!(
        answer.len(),
        filler.len() + "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":\"\"}\n".len()
    );
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_connection_but_its_work_goes_on() {
    let (release, mut released) = mpsc::unbounded_channel();
    let fixture = serve_with(Echo { release: Some(release) });
    let mut stream = UnixStream::connect(&fixture.path).await.unwrap();
    stream.write_all(b"{\"method\":\"slow\"}\n").await.unwrap();
    drop(stream);
    timeout(limits::CLIENT_IDLE_MAX, released.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn too_many_clients_are_told_so() {
    let fixture = serve_with(Echo::default());
    let mut held = Vec::new();
    for _ in 0..limits::CONNECTIONS_MAX {
        held.push(UnixStream::connect(&fixture.path).await.unwrap());
    }
    let answer = ask(&fixture.path, &[b"{\"method\":\"echo\"}\n"]).await;
    assert!(answer.contains("too many clients"), "{answer}");
    drop(held);
    let served = async {
        while !ask(&fixture.path, &[b"{\"method\":\"echo\"}\n"]).await.contains("result") {
            tokio::task::yield_now().await;
        }
    };
    timeout(limits::CLIENT_IDLE_MAX, served).await.unwrap();
}

#[tokio::test]
async fn a_client_that_waits_does_not_delay_the_end() {
    let (begin, mut begun) = mpsc::unbounded_channel();
    let fixture = serve_with(Echo { release: Some(begin) });
    let mut stream = UnixStream::connect(&fixture.path).await.unwrap();
    stream.write_all(b"{\"method\":\"wait\"}\n").await.unwrap();
    timeout(limits::CLIENT_IDLE_MAX, begun.recv()).await.unwrap().unwrap();
    timeout(limits::CONNECTIONS_STOP_MAX * 5, fixture.server.finish()).await.unwrap();
    assert!(!fixture.path.exists());
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_socket_is_private() {
    let fixture = serve_with(Echo::default());
    let mode = std::fs::metadata(&fixture.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer =
        ask(&fixture.path, &[json!({"method": "nope"}).to_string().as_bytes(), b"\n"]).await;
    assert!(answer.contains("-32601"), "{answer}");
}
