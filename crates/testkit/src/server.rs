//! A scripted model server on loopback: takes requests, keeps them, and answers as it was told. Plain threads and
//! HTTP/1.1 with connections kept open; an answer is one write, so that it costs the measured program nothing.
//! Knows nothing of what the requests mean.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::reply::{After, Reply};
use crate::request::Request;

/// How long [`Server::wait_for`] waits.
const PATIENCE: Duration = Duration::from_secs(20);

type Handler = dyn Fn(usize, &Request) -> Reply + Send + Sync;

/// The server. Dropping it closes every connection and ends its threads.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

struct Shared {
    handler: Box<Handler>,
    /// A script is of answers: whoever only looks around is told that there is nothing, and costs none of them.
    scripted: bool,
    stopped: AtomicBool,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    /// The open connections, to close them at the end.
    open: Mutex<HashMap<u64, TcpStream>>,
}

impl Server {
    /// A model that gives the first reply to the first request, and so on, whatever they ask. When there are no more
    /// replies, the answer is a 500 that says so.
    ///
    /// # Panics
    /// When no port of loopback can be had.
    #[must_use]
    pub fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script: Vec<Option<Reply>> = script.into_iter().map(Some).collect();
        let length = script.len();
        let script = Mutex::new(script);
        // By the request's number: threads come here in any order.
        let reply = move |number: usize| lock(&script).get_mut(number).and_then(Option::take);
        Self::serving(move |number, _| reply(number).unwrap_or_else(|| exhausted(length)), true)
    }

    /// A model that answers each request with what the function makes of it; it may be called from several threads at
    /// once. Who only looks around, by `GET`, hears 404, and that is not kept.
    ///
    /// # Panics
    /// When no port of loopback can be had.
    #[must_use]
    pub fn model(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::serving(move |_, request| handler(request), true)
    }

    /// Answers each request with what the function makes of it; it may be called from several threads at once.
    ///
    /// # Panics
    /// When no port of loopback can be had.
    #[must_use]
    pub fn with(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::serving(move |_, request| handler(request), false)
    }

    fn serving(handler: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static, scripted: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("cannot listen on loopback");
        let address = listener.local_addr().expect("cannot tell the port");
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            scripted,
            stopped: AtomicBool::new(false),
            requests: Mutex::default(),
            arrived: Condvar::new(),
            open: Mutex::default(),
        });
        let acceptor = std::thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// What a client takes as the endpoint: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests until now, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// The body of a request, the first being 0.
    ///
    /// # Panics
    /// When there was no such request, or its body is no JSON.
    #[must_use]
    pub fn json(&self, number: usize) -> Value {
        let requests = lock(&self.shared.requests);
        let request = requests.get(number);
        request
            .unwrap_or_else(|| panic!("there were {} requests, none of number {number}", requests.len()))
            .json()
    }

    /// The requests, once there are so many.
    ///
    /// # Panics
    /// When that takes more than 20 seconds.
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        let requests = lock(&self.shared.requests);
        let too_few = |requests: &mut Vec<Request>| requests.len() < count;
        let waited = self.shared.arrived.wait_timeout_while(requests, PATIENCE, too_few);
        let (requests, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} of {count} requests came", requests.len());
        requests.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // A connection of our own wakes the acceptor; without one it would be waited for in vain.
        let woken = TcpStream::connect(self.address);
        let Some(acceptor) = self.acceptor.take().filter(|_| woken.is_ok()) else { return };
        let connections = acceptor.join().unwrap_or_default();
        for stream in lock(&self.shared.open).values() {
            // The other side may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        for connection in connections {
            // A panic of the script's function was shown when it happened.
            let _ = connection.join();
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

fn exhausted(length: usize) -> Reply {
    let message = format!("the script of the test server has no more replies: it had {length}");
    Reply::status(500)
        .body(json!({ "error": { "message": message, "type": "script_exhausted" } }).to_string())
}

/// Takes connections until the server stops; gives their threads.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let mut threads = Vec::new();
    for connection in 0.. {
        let accepted = listener.accept();
        if shared.stopped.load(Ordering::SeqCst) {
            break;
        }
        let (stream, _) = accepted.expect("cannot accept a connection");
        let copy = stream.try_clone().expect("cannot keep a connection");
        lock(&shared.open).insert(connection, copy);
        let shared = shared.clone();
        threads.push(std::thread::spawn(move || {
            let _closes = Closes { shared: &shared, connection };
            // The client going away in the middle is its affair, and often the point of a test.
            let _ = serve(&stream, &shared, connection);
        }));
    }
    threads
}

/// Closes a connection at the end of its thread, also when the script's function panics.
struct Closes<'a> {
    shared: &'a Shared,
    connection: u64,
}

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        if let Some(stream) = lock(&self.shared.open).remove(&self.connection) {
            // The other side may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared, connection: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = match Request::read(&mut reader, connection) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let refused = Reply::status(400).body(error.to_string()).render(0, Dialect::OpenAi);
                return stream.write_all(&refused.bytes);
            }
            Err(error) => return Err(error),
        };
        if shared.scripted && request.method == "GET" {
            stream.write_all(&Reply::status(404).render(0, Dialect::OpenAi).bytes)?;
            continue;
        }
        let number = {
            let mut requests = lock(&shared.requests);
            requests.push(request.clone());
            requests.len() - 1
        };
        shared.arrived.notify_all();
        let rendered = (shared.handler)(number, &request).render(number, Dialect::of(&request.path));
        stream.write_all(&rendered.bytes)?;
        match rendered.after {
            After::NextRequest => {}
            After::Close => return Ok(()),
            After::Wait => return wait(&mut reader),
        }
    }
}

/// Waits until the client closes the connection, or the server stops.
fn wait(reader: &mut impl Read) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while reader.read(&mut ignored)? > 0 {}
    Ok(())
}

/// A lock is still good after a panic of the script's function: nothing is half done under it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    /// A connection of a client that asks and reads answers.
    struct Client(BufReader<TcpStream>);

    impl Client {
        fn of(server: &Server) -> Self {
            Self(BufReader::new(TcpStream::connect(server.address).unwrap()))
        }

        fn ask(&mut self, body: &str) {
            let length = body.len();
            let request =
                format!("POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
            self.0.get_mut().write_all(request.as_bytes()).unwrap();
        }

        /// Asks, and gives the status line and the body of an answer that has a length.
        fn answer(&mut self, body: &str) -> (String, String) {
            self.ask(body);
            let (mut status, mut length) = (String::new(), 0);
            self.0.read_line(&mut status).unwrap();
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line).unwrap();
                match line.trim().split_once(": ") {
                    Some(("content-length", value)) => length = value.parse().unwrap(),
                    Some(_) => {}
                    None => break,
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            (status.trim().to_owned(), String::from_utf8(body).unwrap())
        }

        /// All that comes until the server closes the connection.
        fn rest(&mut self) -> String {
            let mut rest = String::new();
            self.0.read_to_string(&mut rest).unwrap();
            rest
        }
    }

    #[test]
    fn replies_come_in_order_and_then_the_script_is_exhausted() {
        let server = Server::start([Reply::status(200).body("one"), Reply::status(418).body("two")]);
        let (mut first, mut second) = (Client::of(&server), Client::of(&server));
        assert_eq!(first.answer(r#"{"n":1}"#), ("HTTP/1.1 200".to_owned(), "one".to_owned()));
        assert_eq!(second.answer("{}"), ("HTTP/1.1 418".to_owned(), "two".to_owned()));
        let (status, body) = first.answer("{}");
        assert_eq!(status, "HTTP/1.1 500");
        assert!(body.contains("no more replies: it had 2"), "{body}");
        let connections: Vec<_> = server.requests().iter().map(|request| request.connection).collect();
        assert!(connections == [0, 1, 0] || connections == [1, 0, 1], "{connections:?}");
        assert_eq!(server.json(0), json!({ "n": 1 }));
    }

    #[test]
    fn who_only_looks_around_costs_no_reply_of_the_script() {
        let server = Server::start([Reply::status(200).body("one")]);
        let mut client = Client::of(&server);
        client.0.get_mut().write_all(b"GET /props HTTP/1.1\r\n\r\n").unwrap();
        let mut status = String::new();
        client.0.read_line(&mut status).unwrap();
        assert_eq!(status.trim(), "HTTP/1.1 404");
        assert_eq!(Client::of(&server).answer("{}").1, "one");
        assert_eq!(server.requests().len(), 1);
    }

    #[test]
    fn a_function_answers_what_it_is_asked() {
        let server = Server::with(|request| Reply::status(200).body(request.body.clone()));
        assert_eq!(Client::of(&server).answer("ping").1, "ping");
    }

    #[test]
    fn a_cut_answer_ends_the_connection() {
        let server = Server::start([Reply::raw_sse("data: 12345\n\n").cut_after(7), Reply::hang_up()]);
        let mut client = Client::of(&server);
        client.ask("{}");
        assert!(client.rest().ends_with("\r\n\r\n7\r\ndata: 1\r\n"));
        let mut client = Client::of(&server);
        client.ask("{}");
        assert_eq!(client.rest(), "");
    }

    #[test]
    fn a_stalled_answer_ends_with_the_server() {
        let server = Server::start([Reply::stall(), Reply::raw_sse("data: 12345\n\n").stall_after(7)]);
        let (mut silent, mut halting) = (Client::of(&server), Client::of(&server));
        silent.ask("{}");
        server.wait_for(1);
        halting.ask("{}");
        server.wait_for(2);
        let mut line = String::new();
        while !line.ends_with("data: 1\r\n") {
            halting.0.read_line(&mut line).unwrap();
        }
        drop(server);
        assert_eq!((silent.rest(), halting.rest()), (String::new(), String::new()));
    }

    #[test]
    fn what_is_not_http_is_refused() {
        let server = Server::start([]);
        let mut client = Client::of(&server);
        client.0.get_mut().write_all(b"hello\r\n\r\n").unwrap();
        assert!(client.rest().starts_with("HTTP/1.1 400"));
        assert_eq!(server.requests().len(), 0);
    }
}
