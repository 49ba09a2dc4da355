//! A tiny HTTP/1.1 client that shows exactly what came over the wire.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// Bodies larger than this are refused: a test that needs more reads the stream itself.
const BODY_MAX: u64 = 1 << 30;

/// One response.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// GET `target` (absolute form for a proxy, or a path) from `addr`. Waits at most 120 s for each read.
pub fn get(addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Result<Response> {
    request(addr, "GET", target, headers, &[])
}

/// Any method. A `host` header is added from the target when none is given; the connection is closed afterwards.
pub fn request(
    addr: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10)).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    exchange(stream, method, target, headers, body)
}

/// JSON over a Unix socket, such as Granary's control socket.
pub fn request_unix(socket: &Path, method: &str, target: &str, body: &[u8]) -> Result<Response> {
    request_unix_with(
        socket,
        method,
        target,
        &[("content-type", "application/json")],
        body,
    )
}

/// With headers of the caller's choice.
pub fn request_unix_with(
    socket: &Path,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    let stream = UnixStream::connect(socket).context("connect to the control socket")?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let host = [("host", "granary")];
    exchange(stream, method, target, &[&host, headers].concat(), body)
}

/// Sends raw bytes and returns everything that came back until the other side closed or `deadline` of silence.
pub fn raw(addr: SocketAddr, bytes: &[u8], deadline: Duration) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(deadline))?;
    stream.write_all(bytes)?;
    let mut out = Vec::new();
    let mut chunk = [0u8; 16 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return Ok(out),
            Ok(n) => out.extend_from_slice(&chunk[..n]),
        }
    }
}

fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
        let host = target
            .strip_prefix("http://")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or("127.0.0.1");
        head += &format!("host: {host}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" || method == "PUT" {
        head += &format!("content-length: {}\r\n", body.len());
    }
    head += "connection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    match stream.write_all(body) {
        // A server may answer before it has read all, and hang up: what it said counts.
        Err(err) if matches!(err.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        written => written?,
    }
    read_response(BufReader::new(stream), method == "HEAD")
}

fn read_response(mut from: impl BufRead, head_only: bool) -> Result<Response> {
    let status_line = read_line(&mut from)?;
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .with_context(|| format!("no status line: {status_line:?}"))?;
    let mut response = Response {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = read_line(&mut from)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("bad header {line:?}"))?;
        response
            .headers
            .push((name.to_ascii_lowercase(), value.trim().into()));
    }
    if head_only || status == 304 || status == 204 {
        return Ok(response);
    }
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = read_chunks(&mut from)?;
    } else if let Some(len) = response.header("content-length") {
        let len: u64 = len.parse()?;
        if len > BODY_MAX {
            bail!("body of {len} bytes is too large for this client");
        }
        response.body = vec![0; len as usize];
        from.read_exact(&mut response.body).context("body ended early")?;
    } else {
        from.take(BODY_MAX).read_to_end(&mut response.body)?;
    }
    Ok(response)
}

fn read_chunks(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let len = usize::from_str_radix(line.split(';').next().unwrap_or(""), 16)
            .with_context(|| format!("bad chunk size {line:?}"))?;
        if len == 0 {
            read_line(from)?;
            return Ok(body);
        }
        let start = body.len();
        if (start + len) as u64 > BODY_MAX {
            bail!("chunked body is too large for this client");
        }
        body.resize(start + len, 0);
        from.read_exact(&mut body[start..]).context("chunk ended early")?;
        read_line(from)?;
    }
}

fn read_line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        bail!("the connection closed early");
    }
    Ok(line.trim_end_matches(['\r', '\n']).into())
}
