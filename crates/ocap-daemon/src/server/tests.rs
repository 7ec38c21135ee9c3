use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufStream};
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

    fn hello(&self, params: &Value) -> Result<String, RpcError> {
        Ok(params.to_string())
    }

    /// Counts, as fast as the client listens.
    fn subscribe(&self, _: &Value, sink: Sink) -> Result<Feed, RpcError> {
        Ok(Box::pin(async move {
            for n in 1.. {
                if sink.tell("count", &format!("\"n\":{n}")).await.is_err() {
                    return;
                }
            }
        }))
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
    let server = Server::listen(&path, RpcSettings::default(), Arc::new(handler)).unwrap();
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

/// Says hello, sends lines, and reads until so many lines have come.
async fn session(path: &Path, lines: &str, count: usize) -> (BufStream<UnixStream>, Vec<Value>) {
    let mut stream = BufStream::new(UnixStream::connect(path).await.unwrap());
    let text = format!("{{\"method\":\"hello\"}}\n{lines}");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let answers = read_lines(&mut stream, count + 1).await;
    (stream, answers.into_iter().skip(1).collect())
}

async fn read_lines(stream: &mut BufStream<UnixStream>, count: usize) -> Vec<Value> {
    let mut lines = Vec::new();
    for _ in 0..count {
        let mut line = String::new();
        let read = timeout(limits::CLIENT_IDLE_MAX, stream.read_line(&mut line)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "after {lines:?}");
        lines.push(serde_json::from_str(&line).unwrap());
    }
    lines
}

#[tokio::test]
async fn a_session_answers_many_requests_as_they_are_ready() {
    let fixture = serve_with(Echo::default());
    let lines = "{\"id\":1,\"method\":\"slow\"}\n{\"id\":2,\"method\":\"echo\",\"params\":[2]}\n\
                 {\"id\":3}\n{\"id\":4,\"method\":\"echo\",\"params\":[4]}\n";
    let (_, answers) = session(&fixture.path, lines, 4).await;
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [2, 3, 4, 1]);
    assert_eq!(answers[0]["result"], json!([2]));
    assert_eq!(answers[1]["error"]["code"], rpc::INVALID_REQUEST);
}

#[tokio::test]
async fn a_session_with_too_many_requests_under_way_is_not_read() {
    let (begin, mut begun) = mpsc::unbounded_channel();
    let fixture = serve_with(Echo { release: Some(begin) });
    let most = limits::SESSION_REQUESTS_MAX;
    let lines = "{\"id\":1,\"method\":\"wait\"}\n".repeat(most + 5);
    let (mut stream, _) = session(&fixture.path, &lines, 0).await;
    for _ in 0..most {
        timeout(limits::CLIENT_IDLE_MAX, begun.recv()).await.unwrap().unwrap();
    }
    // What it writes now stays in the socket, which is full at some point.
    let filler = vec![b' '; limits::READ_BYTES_MAX];
    let mut written = 0;
    while let Ok(more) = timeout(limits::GONE_CLIENT_CHECK, stream.get_mut().write(&filler)).await {
        written += more.unwrap();
        assert!(written < 16 * limits::READ_BYTES_MAX, "it is read");
    }
    assert!(begun.try_recv().is_err(), "more was begun");
    // Others are served, and it does not delay the end.
    assert!(ask(&fixture.path, &[b"{\"method\":\"echo\"}\n"]).await.contains("result"));
    timeout(limits::CONNECTIONS_STOP_MAX * 5, fixture.server.finish()).await.unwrap();
}

#[tokio::test]
async fn a_subscriber_that_does_not_listen_holds_up_nobody_and_nothing_grows() {
    let fixture = serve_with(Echo::default());
    let lines = "{\"id\":1,\"method\":\"subscribe\"}\n";
    let (mut stream, told) = session(&fixture.path, lines, 3).await;
    assert_eq!(told[0]["result"], json!({"subscription": 1}));
    assert_eq!(told[1]["params"], json!({"subscription": 1, "n": 1}));
    assert!(ask(&fixture.path, &[b"{\"method\":\"echo\"}\n"]).await.contains("result"));
    stream
        .get_mut()
        .write_all(b"{\"id\":2,\"method\":\"unsubscribe\",\"params\":{\"subscription\":1}}\n")
        .await
        .unwrap();
    // What was on its way comes, then the answer, then nothing.
    let answer = loop {
        let lines = read_lines(&mut stream, 1).await;
        if let Some(answer) = lines.into_iter().find(|line| line["id"] == 2) {
            break answer;
        }
    };
    assert_eq!(answer["result"], true);
    stream.get_mut().write_all(b"{\"id\":3,\"method\":\"echo\"}\n").await.unwrap();
    assert_eq!(read_lines(&mut stream, 1).await[0]["id"], 3);
}

#[tokio::test]
async fn what_is_no_line_for_a_session_ends_it() {
    let fixture = serve_with(Echo::default());
    let (mut stream, _) = session(&fixture.path, "", 0).await;
    let filler = vec![b'x'; 1024 * 1024];
    for _ in 0..limits::REQUEST_BYTES_MAX / filler.len() + 2 {
        let _ = stream.get_mut().write_all(&filler).await;
    }
    let mut answer = String::new();
    let _ = timeout(limits::CLIENT_IDLE_MAX, stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("longer than"), "{answer}");
}

#[tokio::test]
async fn a_session_that_ends_its_side_gets_its_answers() {
    let fixture = serve_with(Echo::default());
    let lines = "{\"id\":1,\"method\":\"slow\"}\n{\"id\":2,\"method\":\"echo\"}\n";
    let (mut stream, first) = session(&fixture.path, lines, 1).await;
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    timeout(limits::CLIENT_IDLE_MAX, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert_eq!((first[0]["id"].as_u64(), rest.contains("\"id\":1")), (Some(2), true));
}

#[tokio::test]
async fn a_request_has_the_deadline_it_asks_for() {
    let (begin, mut begun) = mpsc::unbounded_channel();
    let fixture = serve_with(Echo { release: Some(begin) });
    let answer = ask(&fixture.path, &[b"{\"method\":\"slow\",\"deadlineMs\":1}\n"]).await;
    assert!(answer.contains("-32002"), "{answer}");
    // It is carried out all the same.
    timeout(limits::CLIENT_IDLE_MAX, begun.recv()).await.unwrap().unwrap();
    for deadline in ["0", "-1", "1.5", "\"1\"", "99999999999"] {
        let line = format!("{{\"method\":\"echo\",\"deadlineMs\":{deadline}}}\n");
        let answer = ask(&fixture.path, &[line.as_bytes()]).await;
        assert!(answer.contains("-32600"), "{deadline}: {answer}");
    }
}

#[test]
fn only_our_own_user_and_root_are_served() {
    assert!(may_ask(1000, 1000) && may_ask(0, 1000) && may_ask(0, 0));
    assert!(!may_ask(1001, 1000) && !may_ask(1000, 0));
}
