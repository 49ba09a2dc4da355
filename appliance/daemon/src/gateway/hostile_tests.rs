//! Heads no server should read in two ways, over raw sockets: never a 2xx, never a second answer, never a hang.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use proto::site::head;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::fixture::{House, IH, parse, raw, sample};

/// Lengths and codings that two readers could read in two ways.
const LENGTHS: &[&str] = &[
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: chunk",
    "Transfer-Encoding:",
    "Transfer-Encoding: gzip",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5, 5",
    "Content-Length: 5,6",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 0x5",
    "Content-Length: 5 5",
    "Content-Length: 5a",
    "Content-Length: ",
    "Content-Length: 99999999999999999999999",
    "Content-Length: 18446744073709551615",
    "Content-Length: 1048577",
    "Content-Length : 5",
    " Content-Length: 5",
    "Content-Length: 0\r\nContent-Length: 0",
    "Content-Length\u{0}: 5",
    "Content-Length: 5\r\n x",
    "Content_Length: 5\r\nContent-Length: five",
];

/// Line ends, folds, names, control characters.
const FIELDS: &[&str] = &[
    "X: a\r\n b",
    "X: a\r\n\tb",
    "X : a",
    "X\t: a",
    " X: a",
    "\tX: a",
    ": a",
    "X",
    "X a",
    "X: a\nY: b",
    "X: a\rY: b",
    "X: a\r\r\nY: b",
    "X: a\n",
    "X: \u{0}",
    "X: a\u{0}b",
    "X: \u{1}",
    "X: \u{7f}",
    "X: \u{b}",
    "X: \u{c}",
    "X: \u{1b}[31m",
    "X(: a",
    "X/: a",
    "X@: a",
    "X\": a",
    "X[]: a",
    "X{}: a",
    "X=: a",
    "X,: a",
    "X;: a",
    "X\\: a",
    "\u{e9}: a",
    "Host: other.example",
    "Host: box.btlink",
    "host:",
    "HOST: x",
    "Expect: 200-ok",
    "Expect: 100-continue, x",
];

/// Request lines.
const LINES: &[&str] = &[
    "",
    " ",
    "GET",
    "GET /about",
    "GET  /about HTTP/1.1",
    "GET /about  HTTP/1.1",
    " GET /about HTTP/1.1",
    "GET /about HTTP/1.1 ",
    "GET\t/about\tHTTP/1.1",
    "GET /about HTTP/1.1 x",
    "GET /a bout HTTP/1.1",
    "GET /about HTTP/0.9",
    "GET /about HTTP/1.2",
    "GET /about HTTP/2.0",
    "GET /about HTTP/3.0",
    "GET /about HTTP/1",
    "GET /about HTTP/1.10",
    "GET /about http/1.1",
    "GET /about HTTPS/1.1",
    "GET /about HTTP/01.1",
    "GET /about HTTP /1.1",
    "get /about HTTP/1.1",
    "GE\u{0}T /about HTTP/1.1",
    "G@T /about HTTP/1.1",
    "REFUSED /200/x HTTP/1.1",
    "REFUSEDX /about HTTP/1.1",
    "BREW /about HTTP/1.1",
    "TRACE /about HTTP/1.1",
    "PRI * HTTP/2.0",
    "GET about HTTP/1.1",
    "GET /about#x HTTP/1.1",
    "GET /\u{0} HTTP/1.1",
    "GET /\u{1} HTTP/1.1",
    "GET /\u{7f} HTTP/1.1",
    "GET /\u{e9} HTTP/1.1",
    "GET /<x> HTTP/1.1",
    "GET /\"x HTTP/1.1",
    "GET /a\\b HTTP/1.1",
    "GET /a^b HTTP/1.1",
    "GET /a`b HTTP/1.1",
    "GET http:///about HTTP/1.1",
    "GET http:/about HTTP/1.1",
    "GET //u@evil.example/ HTTP/1.1",
    "GET http://u@box.btlink/ HTTP/1.1",
    "GET http://box.btlink:99999/ HTTP/1.1",
    "GET http://box.btlink:x/ HTTP/1.1",
    "GET http://example.org/ HTTP/1.1",
    "GET https://box.btlink/ HTTP/1.1",
    "GET ftp://box.btlink/ HTTP/1.1",
    "GET * HTTP/1.1",
    "CONNECT / HTTP/1.1",
    "CONNECT example.org:443 HTTP/1.1",
    "CONNECT box.btlink:443 HTTP/1.1",
    "CONNECT 127.0.0.1:22 HTTP/1.1",
    "CONNECT [::1]:80 HTTP/1.1",
    "CONNECT http://box.btlink/ HTTP/1.1",
    "OPTIONS about HTTP/1.1",
    "GET /%2e%2e/x HTTP/1.1",
    "GET /../x HTTP/1.1",
    "GET /%00 HTTP/1.1",
    "GET /% HTTP/1.1",
    "GET /%c0%ae HTTP/1.1",
];

/// Every shape is a head that ends in an empty line, so that each is answered at once.
fn shapes() -> Vec<Vec<u8>> {
    let host = format!("Host: {IH}-ih.btlink");
    let mut all: Vec<String> = Vec::new();
    let get = "GET /about HTTP/1.1";
    // Lengths and codings that two readers could read in two ways.
    for method in ["GET", "POST", "HEAD", "PUT"] {
        for lines in LENGTHS {
            all.push(format!(
                "{method} /about HTTP/1.1\r\n{host}\r\n{lines}\r\n\r\nhello"
            ));
        }
    }
    // Line ends, folds, names, control characters.
    for bad in FIELDS {
        all.push(format!("{get}\r\n{host}\r\n{bad}\r\n\r\n"));
        all.push(format!("{get}\r\n{bad}\r\n{host}\r\n\r\n"));
        all.push(format!("{get}\r\n{host}\r\nA: b\r\n{bad}\r\nC: d\r\n\r\n"));
    }
    // Request lines.
    for line in LINES {
        for end in ["\r\n", "\n", "\r"] {
            all.push(format!("{line}{end}{host}{end}{end}"));
        }
        all.push(format!("\r\n{line}\r\n{host}\r\n\r\n"));
    }
    for host in [
        "",
        "Host",
        "Host ",
        "Host: a, b",
        "Host: a b",
        "Host:\r\nHost:",
        "X-Host: box.btlink",
    ] {
        all.push(format!("{get}\r\n{host}\r\n\r\n"));
    }
    all.push(format!("GET /{} HTTP/1.1\r\n{host}\r\n\r\n", "a".repeat(9_000)));
    all.push(format!("{get}\r\n{host}\r\nX: {}\r\n\r\n", "a".repeat(20_000)));
    all.push(format!("{get}\r\n{host}\r\n{}\r\n", "X: a\r\n".repeat(101)));
    all.push(format!("{get}\r\n{host}\r\n{}\r\n", "X: a\r\n".repeat(20_000)));
    all.push("a".repeat(300_000));
    all.push("\r\n".repeat(10_000));
    let mut bytes: Vec<Vec<u8>> = all.into_iter().map(String::into_bytes).collect();
    bytes.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaa\r\n\r\n".to_vec());
    bytes.push(b"\x05\x01\x00\r\n\r\n".to_vec());
    bytes.push(vec![0xff; 4_096]);
    bytes
}

/// Sends one shape and then a second, good request: an answer to the second would mean that the first was read wrongly.
async fn try_shape(house: &House, shape: &[u8]) -> (u16, usize) {
    let mut bytes = shape.to_vec();
    bytes.extend_from_slice(format!("GET /about HTTP/1.1\r\nHost: {IH}-ih.btlink\r\n\r\n").as_bytes());
    let mut stream = TcpStream::connect(house.http).await.unwrap();
    let _ = stream.write_all(&bytes).await;
    let mut all = Vec::new();
    let mut chunk = [0; 4_096];
    // A shape that is merely unfinished waits for its deadline; two seconds show that nothing was answered with 2xx.
    let until = Instant::now() + Duration::from_secs(2);
    while let Ok(Ok(count)) = tokio::time::timeout_at(until, stream.read(&mut chunk)).await {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&chunk[..count]);
    }
    let text = String::from_utf8_lossy(&all).into_owned();
    let good = text.matches("HTTP/1.1 2").count();
    let status = if all.is_empty() { 0 } else { parse(&all).status };
    (status, good)
}

#[tokio::test]
async fn four_hundred_shapes_are_refused_and_nothing_slips_behind_them() {
    let house = House::start(sample()).await;
    let shapes = shapes();
    assert!(shapes.len() >= 400, "{}", shapes.len());
    let house = &house;
    let tries = stream::iter(&shapes).map(async |shape| {
        let (status, good) = try_shape(house, shape).await;
        (shape, status, good)
    });
    let mut tries = tries.buffer_unordered(64);
    while let Some((shape, status, good)) = tries.next().await {
        let shown = String::from_utf8_lossy(&shape[..shape.len().min(120)]).into_owned();
        // What is well formed but not wanted (a stranger's host, `..`) keeps its connection: the second answer is honest.
        let honest = matches!(status, 400 | 403 | 404 | 421) && !closes(shape);
        assert!(!(200..300).contains(&status), "{status} for {shown:?}");
        assert!(
            good == 0 || honest,
            "a second answer after {status} for {shown:?}"
        );
    }
    let alive = house.get("/about", &[]).await;
    assert_eq!(alive.status, 200, "still serving after {} shapes", shapes.len());
}

/// Is the head itself one that must end the connection? Checked by the same strict reader, so that the test above cannot
/// excuse a smuggled request: only heads that have exactly one reading may be followed by another.
fn closes(shape: &[u8]) -> bool {
    let mut searched = 0;
    match head::end(shape, &mut searched) {
        Ok(Some(end)) => head::check(&shape[..end]).is_err(),
        _ => true,
    }
}

#[tokio::test]
async fn who_sends_a_body_nobody_wants_still_gets_the_answer() {
    let house = House::start(sample()).await;
    for length in [1, 100_000, 1 << 20] {
        let mut stream = TcpStream::connect(house.http).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nHost: {IH}-ih.btlink\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // All of it is written before anything is read: a reset on the way would fail here or lose the answer.
        for part in vec![b'a'; length].chunks(10_000) {
            stream.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(parse(&all).status, 405, "{length}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let house = House::start(sample()).await;
    let one = format!("GET /about HTTP/1.1\r\nHost: {IH}-ih.btlink\r\n\r\n");
    let last = format!("GET /css/s.css HTTP/1.1\r\nHost: {IH}-ih.btlink\r\nConnection: close\r\n\r\n");
    let answer = raw(house.http, format!("{one}{one}{last}").as_bytes()).await;
    let text = answer.text();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2);
    assert!(text.ends_with("p{color:red}\n"));
}

#[tokio::test]
async fn a_head_in_single_bytes_is_understood() {
    let house = House::start(sample()).await;
    let mut stream = TcpStream::connect(house.http).await.unwrap();
    let head = format!("GET /about HTTP/1.1\r\nHost: {IH}-ih.btlink\r\nConnection: close\r\n\r\n");
    for byte in head.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(parse(&all).text(), "about");
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_given_up_after_ten_seconds() {
    let house = House::start(sample()).await;
    let mut stream = TcpStream::connect(house.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    let begun = Instant::now();
    let mut all = Vec::new();
    let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut all))
        .await
        .unwrap();
    assert_eq!(parse(&all).status, 408);
    assert!(
        (9..13).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_proxy_connection_is_closed_within_three_seconds() {
    let house = House::start(sample()).await;
    for (door, from, to) in [(house.proxy, 2, 3), (house.http, 50, 70)] {
        let mut stream = TcpStream::connect(door).await.unwrap();
        let head = format!("GET /about HTTP/1.1\r\nHost: {IH}-ih.btlink\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let begun = Instant::now();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(parse(&all).text(), "about");
        let secs = begun.elapsed().as_secs();
        assert!((from..to).contains(&secs), "{secs}");
    }
}

#[tokio::test]
async fn one_device_cannot_take_every_connection() {
    let house = House::start_with(sample(), |config| config.per_device_max = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(house.http).await.unwrap();
        let head = format!("GET /about HTTP/1.1\r\nHost: {IH}-ih.btlink\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut chunk = [0; 64];
        assert!(stream.read(&mut chunk).await.unwrap() > 0);
        held.push(stream);
    }
    assert_eq!(house.get("/about", &[]).await.status, 429);
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(10);
    while house.get("/about", &[]).await.status != 200 {
        assert!(Instant::now() < deadline, "places are not given back");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_ends_every_connection() {
    let house = House::start(sample()).await;
    let _idle = TcpStream::connect(house.http).await.unwrap();
    assert_eq!(house.get("/about", &[]).await.status, 200);
    assert!(house.tasks.stop(Duration::from_secs(6)).await.is_empty());
    assert!(TcpStream::connect(house.http).await.is_err());
}

#[tokio::test]
async fn the_http2_preface_is_spoken_on_both_doors() {
    let house = House::start(sample()).await;
    for door in [house.http, house.proxy] {
        let stream = TcpStream::connect(door).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io)
                .await
                .unwrap();
        house.tasks.spawn("test.h2", async move {
            let _ = connection.await;
        });
        for (uri, status) in [
            (format!("http://{IH}-ih.btlink/about"), 200),
            ("http://example.org/".to_owned(), 421),
            (format!("http://{IH}-ih.btlink/big.bin"), 200),
        ] {
            let request = hyper::Request::get(uri)
                .body(http_body_util::Empty::<bytes::Bytes>::new())
                .unwrap();
            let reply = sender.send_request(request).await.unwrap();
            assert_eq!(reply.status(), status);
            let body = http_body_util::BodyExt::collect(reply.into_body())
                .await
                .unwrap()
                .to_bytes();
            assert!(!body.is_empty());
        }
    }
}
