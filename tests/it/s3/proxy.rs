//! A proxy before the server that does what networks do: latency, throttling, connections that are cut.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// `503 SlowDown`, and it is not passed on.
    SlowDown,
    /// `403 AccessDenied`, and it is not passed on.
    Denied,
    /// It is passed on, and of the answer's body only so many bytes come back before the connection is reset.
    CutAfter(usize),
    /// The connection is closed before it is passed on.
    Dropped,
    /// It is passed on, and the answer is lost.
    AnswerLost,
    /// The answer comes in ten pieces, so far apart.
    Slow(Duration),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// From 0, in the order of arrival.
    pub(super) number: usize,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) range: Option<String>,
}

impl Request {
    /// Of an object in the bucket, by the end of its path.
    pub(super) fn is_of(&self, method: &str, end: &str) -> bool {
        self.method == method && self.target.split('?').next().unwrap().ends_with(end)
    }
}

type Plan = dyn Fn(&Request) -> Fault + Send + Sync;

pub(super) struct Proxy {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    closed: Arc<AtomicBool>,
}

impl Proxy {
    /// Before this port, with this latency added to each request.
    pub(super) fn new(to: u16, latency: Duration, plan: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new(AtomicBool::new(false));
        let plan: Arc<Plan> = Arc::new(plan);
        let (log, end) = (Arc::clone(&seen), Arc::clone(&closed));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (log, plan) = (Arc::clone(&log), Arc::clone(&plan));
                let small = std::thread::Builder::new().stack_size(256 << 10);
                small.spawn(move || drop(serve(&client, to, latency, &log, plan.as_ref()))).unwrap();
            }
        });
        Self { port, seen, closed }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees it.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// The requests of one connection.
fn serve(
    client: &TcpStream,
    to: u16,
    latency: Duration,
    log: &Mutex<Vec<Request>>,
    plan: &Plan,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut from = BufReader::new(client.try_clone()?);
    let mut server: Option<BufReader<TcpStream>> = None;
    loop {
        let Some(head) = read_head(&mut from)? else { return Ok(()) };
        let mut body = vec![0; length(&head).unwrap_or(0)];
        from.read_exact(&mut body)?;
        let mut words = head[0].split(' ').map(ToString::to_string);
        let request = {
            let mut log = log.lock().unwrap();
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let request = Request { number: log.len(), method, target, range: header(&head, "range") };
            log.push(request.clone());
            request
        };
        std::thread::sleep(latency);
        let fault = plan(&request);
        let mut out = client;
        match fault {
            Fault::Dropped => return client.shutdown(Shutdown::Both),
            Fault::SlowDown | Fault::Denied => {
                let (status, code) = if fault == Fault::Denied {
                    ("403 Forbidden", "AccessDenied")
                } else {
                    ("503 Slow Down", "SlowDown")
                };
                let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.</Message></Error>");
                // A body after the answer to a HEAD would be taken for the next answer.
                let body = if request.method == "HEAD" { "" } else { text.as_str() };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", text.len());
                out.write_all(answer.as_bytes())?;
                continue;
            }
            _ => {}
        }
        if server.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", to))?;
            stream.set_nodelay(true)?;
            server = Some(BufReader::new(stream));
        }
        let upstream = server.as_mut().unwrap();
        let mut passed = head.join("\r\n").into_bytes();
        passed.extend_from_slice(b"\r\n\r\n");
        passed.extend_from_slice(&body);
        upstream.get_mut().write_all(&passed)?;
        let Some(head) = read_head(upstream)? else { return client.shutdown(Shutdown::Both) };
        let bodyless = request.method == "HEAD" || head[0].contains(" 204 ") || head[0].contains(" 304 ");
        let body = if bodyless { Vec::new() } else { read_body(upstream, &head)? };
        let mut answer = head.join("\r\n").into_bytes();
        answer.extend_from_slice(b"\r\n\r\n");
        match fault {
            Fault::AnswerLost => return client.shutdown(Shutdown::Both),
            Fault::CutAfter(bytes) if body.len() > bytes => {
                out.write_all(&answer)?;
                out.write_all(&body[..bytes])?;
                return client.shutdown(Shutdown::Both);
            }
            Fault::Slow(pause) => {
                out.write_all(&answer)?;
                for piece in body.chunks(body.len().div_ceil(10).max(1)) {
                    std::thread::sleep(pause);
                    out.write_all(piece)?;
                }
            }
            _ => {
                answer.extend_from_slice(&body);
                out.write_all(&answer)?;
            }
        }
        if header(&head, "connection").is_some_and(|c| c.eq_ignore_ascii_case("close")) {
            return Ok(());
        }
    }
}

fn read_head(from: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_string();
        if line.is_empty() {
            return Ok(Some(lines));
        }
        lines.push(line);
    }
}

fn header(head: &[String], name: &str) -> Option<String> {
    head.iter().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim().to_string())
    })
}

fn length(head: &[String]) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

/// The body as it goes over the wire, chunked or not.
fn read_body(from: &mut impl BufRead, head: &[String]) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = length(head) {
        body.resize(length, 0);
        from.read_exact(&mut body)?;
        return Ok(body);
    }
    if !header(head, "transfer-encoding").is_some_and(|t| t.eq_ignore_ascii_case("chunked")) {
        return Ok(body);
    }
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        body.extend_from_slice(line.as_bytes());
        let start = body.len();
        body.resize(start + size + 2, 0);
        from.read_exact(&mut body[start..])?;
        if size == 0 {
            return Ok(body);
        }
    }
}
