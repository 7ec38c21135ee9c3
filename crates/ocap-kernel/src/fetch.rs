//! Requests of vats to the network, each redirect of which is held against the vat's hosts again.
//! Blocks; runs on a thread of its own.

use std::io::Read as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ocap_types::crank::{HttpRequest, Redirect};
use serde_json::{Value, json};
use ureq::http::{self, Response};
use ureq::{Agent, Body};
use url::Url;

use crate::limits;

/// Names the vat has no say in: they would say to whom it talks, or how.
const FORBIDDEN: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What another origin must not see.
const PRIVATE: &[&str] = &["authorization", "cookie", "proxy-authorization"];

/// Why there is no answer.
enum Problem {
    /// The vat may not.
    Refused(String),
    /// It went wrong.
    Failed(String),
}

/// Makes a request; its outcome, as the ask's.
pub(crate) fn perform(hosts: &[String], request: HttpRequest) -> Value {
    match answer(hosts, request) {
        Ok(answer) => answer,
        Err(Problem::Refused(text)) => json!({"refused": text}),
        Err(Problem::Failed(text)) => json!({"failed": text}),
    }
}

/// Whether the vat may send a request there.
fn check(hosts: &[String], url: &Url) -> Result<(), Problem> {
    if url.scheme() == "file" {
        let hint = "fetch cannot read files; ask for platformConfig.fs instead";
        return Err(Problem::Refused(hint.to_owned()));
    }
    let host = url.host_str().unwrap_or("");
    if !hosts.iter().any(|allowed| allowed == host) || host.is_empty() {
        return Err(Problem::Refused(format!("Invalid host: {host}")));
    }
    if !["http", "https"].contains(&url.scheme()) {
        return Err(Problem::Refused(format!("the scheme {} is not supported", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::Refused("a URL to fetch must not have credentials in it".to_owned()));
    }
    Ok(())
}

fn answer(hosts: &[String], request: HttpRequest) -> Result<Value, Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::Failed(error.to_string());
    let HttpRequest { mut method, url, mut headers, body, redirect } = request;
    let mut url = Url::parse(&url).map_err(|error| failed(&error))?;
    let body = body.map(|body| STANDARD.decode(body)).transpose();
    let mut body = body.map_err(|error| failed(&error))?;
    if body.as_ref().is_some_and(|body| body.len() as u64 > limits::FETCH_BODY_BYTES_MAX) {
        let most = limits::FETCH_BODY_BYTES_MAX;
        return Err(Problem::Failed(format!("the request has more than {most} bytes")));
    }
    headers.retain(|(name, _)| {
        !FORBIDDEN.contains(&name.as_str())
            && !name.starts_with("proxy-")
            && !name.starts_with("sec-")
    });
    let deadline = Instant::now() + Duration::from_millis(limits::FETCH_MS_MAX);
    for hop in 0..=limits::FETCH_REDIRECTS_MAX {
        check(hosts, &url)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let mut response = send(&method, &url, &headers, body.as_deref(), left)?;
        let status = response.status().as_u16();
        let location = response.headers().get("location").and_then(|to| to.to_str().ok());
        let leads = matches!(status, 301 | 302 | 303 | 307 | 308);
        let (Some(location), true, false) = (location, leads, redirect == Redirect::Manual) else {
            return told(&mut response, &url, hop > 0);
        };
        if redirect == Redirect::Error {
            return Err(Problem::Failed("unexpected redirect".to_owned()));
        }
        let next = url.join(location).map_err(|error| failed(&error))?;
        if next.origin() != url.origin() {
            headers.retain(|(name, _)| !PRIVATE.contains(&name.as_str()));
        }
        let becomes_get = match status {
            303 => method != "HEAD",
            301 | 302 => method == "POST",
            _ => false,
        };
        if becomes_get {
            "GET".clone_into(&mut method);
            body = None;
            headers.retain(|(name, _)| !name.starts_with("content-"));
        }
        url = next;
    }
    Err(Problem::Failed("redirect count exceeded".to_owned()))
}

fn send(
    method: &str,
    url: &Url,
    headers: &[(String, String)],
    body: Option<&[u8]>,
    left: Duration,
) -> Result<Response<Body>, Problem> {
    let config = Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .user_agent("ocap")
        .timeout_global(Some(left))
        .build();
    let agent = Agent::new_with_config(config);
    let mut request = http::Request::builder().method(method).uri(url.as_str());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let malformed = |error: http::Error| Problem::Failed(error.to_string());
    let answer = match body {
        Some(body) => agent.run(request.body(body).map_err(malformed)?),
        None => agent.run(request.body(()).map_err(malformed)?),
    };
    answer.map_err(|error| Problem::Failed(error.to_string()))
}

/// The answer as an outcome.
fn told(response: &mut Response<Body>, url: &Url, redirected: bool) -> Result<Value, Problem> {
    let most = limits::FETCH_BODY_BYTES_MAX;
    let mut body = Vec::new();
    let reader = response.body_mut().as_reader();
    reader.take(most + 1).read_to_end(&mut body).map_err(|e| Problem::Failed(e.to_string()))?;
    if body.len() as u64 > most {
        return Err(Problem::Failed(format!("the answer has more than {most} bytes")));
    }
    let latin = |value: &[u8]| value.iter().map(|&byte| char::from(byte)).collect::<String>();
    let headers = response.headers().iter();
    let headers: Vec<Value> =
        headers.map(|(name, value)| json!([name.as_str(), latin(value.as_bytes())])).collect();
    let mut shown = url.clone();
    shown.set_fragment(None);
    Ok(json!({
        "status": response.status().as_u16(),
        "statusText": response.status().canonical_reason().unwrap_or(""),
        "url": shown.as_str(),
        "redirected": redirected,
        "headers": headers,
        "body": STANDARD.encode(body),
    }))
}
