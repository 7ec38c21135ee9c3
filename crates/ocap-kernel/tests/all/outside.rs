//! `fetch` and `fs`: what vats reach outside, and what they do not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::sync::mpsc;

use ocap_kernel::{Kernel, KernelError};
use ocap_types::KRef;
use serde_json::{Value, json};

use crate::endowments::launch_with;
use crate::house::{House, ask, assert_sound};

/// A server of one page per path, which tells the heads and bodies it was sent.
struct Server {
    port: u16,
    requests: mpsc::Receiver<(String, String)>,
}

fn page(path: &str, port: u16) -> String {
    let ok = |head: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{head}connection: close\r\n\r\n{body}"
        )
    };
    let to = |status: u16, place: String| {
        format!(
            "HTTP/1.1 {status} Go\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    };
    match path {
        "/hello" => ok("content-type: text/plain\r\nx-a: 1\r\nx-a: 2\r\n", "h\u{e9}llo"),
        "/json" => ok("", r#"{"a":[1]}"#),
        "/relative" => to(302, "/hello".into()),
        "/away" => to(302, format!("http://localhost:{port}/hello")),
        "/file" => to(302, "file:///etc/passwd".into()),
        "/loop" => to(307, "/loop".into()),
        "/large" => ok("", &"x".repeat((4 << 20) + 1)),
        "/closed" => String::new(),
        _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
    }
}

fn serve(mut stream: TcpStream, port: u16, told: &mpsc::Sender<(String, String)>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while reader.read_line(&mut head).ok()? > 2 {}
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    told.send((head, String::from_utf8(body).ok()?)).ok()?;
    if path == "/never" {
        // Until the other side goes.
        let _ = reader.read(&mut [0]);
        return None;
    }
    stream.write_all(page(&path, port).as_bytes()).ok()
}

fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let told = told.clone();
            std::thread::spawn(move || serve(stream, port, &told));
        }
    });
    Server { port, requests }
}

const NET: &[&str] = &["fetch", "Request", "Headers", "Response", "AbortController", "AbortSignal"];

const FETCHES: &str = "
    page: async path => {
      const response = await fetch(`http://127.0.0.1:${parameters.port}${path}`);
      return [response.status, response.ok, response.headers.get('x-a'), await response.text(),
        response instanceof Response, response.redirected, response.url.endsWith('/hello')];
    },
    json: async () => (await fetch(new Request(`http://127.0.0.1:${parameters.port}/json`))).json(),
    try: url => text(fetch(url).then(r => r.status)),
    path: (path, redirect) => text(fetch(`http://127.0.0.1:${parameters.port}${path}`, { redirect }).then(r => r.status)),
    post: async () => {
      const headers = new Headers({ 'X-Mine': 'yes', Host: 'other.example', 'content-length': '99' });
      const r = await fetch(`http://127.0.0.1:${parameters.port}/hello`, { method: 'post', body: 'b\u{f6}dy', headers });
      return r.status;
    },
    abort: async () => {
      const controller = new AbortController();
      kept = controller;
      return text(fetch(`http://127.0.0.1:${parameters.port}/never`, { signal: controller.signal }));
    },
    stop: () => kept.abort(Error('enough')),
    late: async () => text(fetch('http://127.0.0.1/', { signal: AbortSignal.abort('before') })),
    local: async () => {
      const made = Response.json({ a: 1 }, { status: 201 });
      const copy = made.clone();
      const request = new Request('http://h/p', { method: 'PUT', body: new Uint8Array([104, 105]) });
      const headers = new Headers([['b', '2'], ['A', '1'], ['a', '3']]);
      return [made.status, (await made.json()).a, made.bodyUsed, await text(made.text()), await copy.text(),
        copy.headers.get('content-type'), request.method, request.url, await request.clone().text(),
        JSON.stringify([...headers]), headers.has('B'), await text((async () => new Headers([['a b', '1']]))()),
        await text((async () => new Request('/relative'))()), Object.isFrozen(Response.prototype)];
    }";

async fn client(house: &House, kernel: &Kernel, more: &Value) -> Result<KRef, KernelError> {
    launch_with(house, kernel, NET, more, "", FETCHES).await
}

#[tokio::test]
async fn fetch_reaches_the_allowed_hosts_and_no_other() {
    let house = House::new();
    let kernel = house.start().await;
    let server = server();
    let config = json!({
        "network": {"allowedHosts": ["127.0.0.1"]}, "parameters": {"port": server.port},
    });
    let root = client(&house, &kernel, &config).await.unwrap();
    let call = |method, args| ask(&kernel, root, method, args);
    let hello = "[200,true,\"1, 2\",\"h\u{e9}llo\",true,";
    assert_eq!(call("page", json!(["/hello"])).await, format!("#{hello}false,true]"));
    assert_eq!(call("page", json!(["/relative"])).await, format!("#{hello}true,true]"));
    assert_eq!(call("json", json!([])).await, r#"#{"a":[1]}"#);
    assert_eq!(call("path", json!(["/nothing"])).await, "#404");
    assert_eq!(call("path", json!(["/relative", "manual"])).await, "#302");
    for (path, redirect, wanted) in [
        ("/away", "follow", "Error: Invalid host: localhost"),
        ("/file", "follow", "fetch cannot read files"),
        ("/relative", "error", "TypeError: fetch failed: unexpected redirect"),
        ("/loop", "follow", "fetch failed: redirect count exceeded"),
        ("/large", "follow", "fetch failed: the answer has more than 4194304 bytes"),
        ("/closed", "follow", "TypeError: fetch failed: "),
    ] {
        let answer = call("path", json!([path, redirect])).await;
        assert!(answer.contains(wanted), "{path}: {answer}");
    }
    let host = format!("http://user:pw@127.0.0.1:{}/hello", server.port);
    for (url, wanted) in [
        ("http://example.com/x", "Error: Invalid host: example.com"),
        ("http://127.0.0.1.example.com/", "Error: Invalid host: 127.0.0.1.example.com"),
        ("http://[::1]/", "Error: Invalid host: [::1]"),
        ("file:///etc/passwd", "platformConfig.fs"),
        ("data:text/plain,x", "Error: Invalid host: "),
        ("ftp://127.0.0.1/", "the scheme ftp is not supported"),
        ("nonsense", "TypeError: Failed to parse URL"),
        (host.as_str(), "must not have credentials"),
    ] {
        let answer = call("try", json!([url])).await;
        assert!(answer.contains(wanted), "{url}: {answer}");
    }
    while server.requests.try_recv().is_ok() {}
    assert_eq!(call("post", json!([])).await, "#200");
    let (head, body) = server.requests.recv().unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /hello") && head.contains("x-mine: yes"), "{head}");
    assert!(head.contains("host: 127.0.0.1") && !head.contains("other.example"), "{head}");
    assert!(head.contains("content-type: text/plain;charset=utf-8"), "{head}");
    assert_eq!(body, "b\u{f6}dy");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn requests_end_when_they_are_not_wanted_any_more() {
    let house = House::new();
    let kernel = house.start().await;
    let server = server();
    let config = json!({
        "network": {"allowedHosts": ["127.0.0.1"]}, "parameters": {"port": server.port},
    });
    let root = client(&house, &kernel, &config).await.unwrap();
    let begin = || {
        let handle = kernel.clone();
        tokio::spawn(async move { ask(&handle, root, "abort", json!([])).await })
    };
    let waiting = begin();
    let requests = tokio::task::spawn_blocking(move || {
        server.requests.recv().unwrap();
        server.requests
    });
    let requests = requests.await.unwrap();
    ask(&kernel, root, "stop", json!([])).await;
    assert_eq!(waiting.await.unwrap(), "#\"Error: enough\"");
    assert_eq!(ask(&kernel, root, "late", json!([])).await, "#\"before\"");
    assert_sound(&kernel).await;
    // Neither a restart nor the kernel's end waits for an answer.
    let waiting = begin();
    tokio::task::spawn_blocking(move || requests.recv().unwrap()).await.unwrap();
    kernel.restart_vat("v1".parse().unwrap()).await.unwrap();
    assert!(waiting.await.unwrap().starts_with("[KERNEL:VAT_RESTARTED]"));
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn what_fetch_works_with_is_there_and_an_empty_list_refuses_all() {
    let house = House::new();
    let kernel = house.start().await;
    let error = client(&house, &kernel, &json!({})).await.unwrap_err();
    let wanted = "requested \"fetch\" but no network.allowedHosts was specified";
    assert!(error.message.contains(wanted), "{error}");
    let none = json!({"network": {"allowedHosts": []}});
    let root = client(&house, &kernel, &none).await.unwrap();
    let answer = ask(&kernel, root, "try", json!(["http://example.com"])).await;
    assert_eq!(answer, "#\"Error: Invalid host: example.com\"");
    assert_eq!(
        ask(&kernel, root, "local", json!([])).await,
        r#"#[201,1,true,"TypeError: Body is unusable: Body has already been read","{\"a\":1}","application/json","PUT","http://h/p","hi","[[\"a\",\"1, 3\"],[\"b\",\"2\"]]",true,"TypeError: Headers: \"a b\" is not a header name","TypeError: Failed to parse URL from /relative",true]"#
    );
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn files_are_read_below_the_folder_and_nowhere_else() {
    let house = House::new();
    let kernel = house.start().await;
    let folder = house.path("files");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("a.txt"), "h\u{e9}llo").unwrap();
    std::fs::write(folder.join("sub/b.txt"), "below").unwrap();
    std::fs::write(house.path("secret.txt"), "secret").unwrap();
    symlink(house.path("secret.txt"), folder.join("link.txt")).unwrap();
    symlink(house.base(), folder.join("up")).unwrap();
    let methods = "
        read: (path, encoding) => text(fs.promises.readFile(path, encoding).then(v => typeof v === 'string' ? v : [...v].join())),
        access: (path, mode) => text(fs.promises.access(path, mode)),
        exists: path => fs.existsSync(path),
        names: () => [typeof fs, Object.keys(fs ?? {}).join(), Object.keys(fs?.promises ?? {}).join(), Object.isFrozen(fs)],";
    let all = json!({"platformConfig": {"fs": {
        "rootDir": folder, "existsSync": true, "promises": {"readFile": true, "access": true},
    }}});
    let root = launch_with(&house, &kernel, &[], &all, "", methods).await.unwrap();
    let call = |method, args| ask(&kernel, root, method, args);
    let absolute = folder.join("sub/b.txt");
    assert_eq!(
        call("names", json!([])).await,
        r#"#["object","existsSync,promises","readFile,access",true]"#
    );
    assert_eq!(call("read", json!(["a.txt", "utf8"])).await, "#\"h\u{e9}llo\"");
    assert_eq!(call("read", json!([absolute])).await, "#\"98,101,108,111,119\"");
    assert_eq!(call("read", json!(["sub/../a.txt", "utf-8"])).await, "#\"h\u{e9}llo\"");
    assert_eq!(call("access", json!(["a.txt", 4])).await, "#\"#undefined\"");
    for (path, there) in [("a.txt", true), ("sub", true), ("none", false), ("link.txt", false)] {
        assert_eq!(call("exists", json!([path])).await, format!("#{there}"), "{path}");
    }
    let secret = house.path("secret.txt");
    for (path, wanted) in [
        ("none.txt", "fs.readFile: ENOENT"),
        ("link.txt", "fs.readFile: Symlinks are prohibited"),
        ("up/secret.txt", "fs.readFile: Symlinks are prohibited"),
        ("../secret.txt", "is outside the vat's folder"),
        ("sub/../../secret.txt", "is outside the vat's folder"),
        (secret.to_str().unwrap(), "is outside the vat's folder"),
        ("sub", "is not a file"),
    ] {
        let answer = call("read", json!([path])).await;
        assert!(answer.contains(wanted), "{path}: {answer}");
        if path != "sub" {
            assert!(call("access", json!([path])).await.contains("Error: fs.access: "), "{path}");
            assert_eq!(call("exists", json!([path])).await, "#false", "{path}");
        }
    }
    // Just what is enabled is there.
    let some = json!({"platformConfig": {"fs": {"rootDir": folder, "existsSync": true}}});
    let root = launch_with(&house, &kernel, &[], &some, "", methods).await.unwrap();
    let names = ask(&kernel, root, "names", json!([])).await;
    assert_eq!(names, r#"#["object","existsSync","",true]"#);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
