//! The process of a model and those who ask it, over a real socket, with an engine that is a script.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail this way")]
#![allow(clippy::disallowed_methods, reason = "tests make their own files")]

use std::borrow::Cow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use codetether_event::{Message, ProviderFailureKind, ResponseFormat};
use codetether_local::{
    Ask, Engine, EngineError, Facts, Loaded, REPLY_MAX, REQUEST_MAX, Refused, Reply, Request, Row,
    ServeError, Token, Vocabulary, receive, send, serve,
};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// Says one letter for ever.
struct Letter {
    vocabulary: Arc<Vocabulary>,
    facts: Facts,
    rows: usize,
}

impl Letter {
    fn new() -> Self {
        let mut bytes: Vec<Vec<u8>> = (0..=255_u8).map(|byte| vec![byte]).collect();
        bytes.push(Vec::new());
        let vocabulary = Arc::new(Vocabulary { bytes, ends: vec![256], ..Vocabulary::default() });
        let facts = Facts { id: "letter".into(), window: 100_000, sequences: 4, ..Facts::default() };
        Self { vocabulary, facts, rows: 0 }
    }
}

impl Engine for Letter {
    fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }
    fn facts(&self) -> &Facts {
        &self.facts
    }
    fn tokens(&self, text: &str) -> Vec<Token> {
        text.bytes().map(Token::from).collect()
    }
    fn read(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        self.rows = rows.len();
        Ok(())
    }
    fn logits(&self, row: usize) -> Option<&[f32]> {
        static LOGITS: [f32; 257] = {
            let mut logits = [0.0; 257];
            logits[b'x' as usize] = 5.0;
            logits
        };
        (row < self.rows).then_some(&LOGITS)
    }
    fn cut(&mut self, _: usize, _: usize) -> bool {
        true
    }
    fn copy(&mut self, _: usize, _: usize, _: usize) {}
    fn save(&mut self, _: usize, _: &[Token], _: &Path) -> Result<(), EngineError> {
        Err(EngineError::Failed("no".into()))
    }
    fn load(&mut self, _: usize, _: &Path, _: usize) -> Result<Vec<Token>, EngineError> {
        Err(EngineError::Failed("no".into()))
    }
}

fn start(socket: &Path, loaded: Result<(), Refused>) -> JoinHandle<Result<(), ServeError>> {
    let socket = socket.to_owned();
    thread::spawn(move || {
        serve(&socket, Duration::from_millis(700), move || {
            loaded.map(|()| Loaded { engine: Letter::new(), kept: None, former: Box::new(|_| Ok(None)) })
        })
    })
}

async fn connect(socket: &Path) -> UnixStream {
    for _ in 0..500 {
        if let Ok(stream) = UnixStream::connect(socket).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens");
}

fn request(most: u32) -> Ask<'static> {
    let request = Request {
        system: "Be short.".into(),
        tools: Vec::new(),
        messages: vec![Message::user("hello")],
        format: ResponseFormat::Text,
        max_output: Some(most),
        temperature: None,
        seed: 0,
        must_call: false,
    };
    Ask::Answer { request: Cow::Owned(request) }
}

async fn answer(stream: &mut UnixStream) -> (String, Reply) {
    let mut said = String::new();
    loop {
        match receive::<Reply>(stream, REPLY_MAX).await.unwrap().expect("it ended without a last reply") {
            Reply::Text { text } => said.push_str(&text),
            last @ (Reply::Done { .. } | Reply::Failed { .. }) => return (said, last),
            _ => {}
        }
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    (folder, socket)
}

#[tokio::test]
async fn it_answers_and_ends_when_nobody_asks_any_more() {
    let (_folder, socket) = place();
    let server = start(&socket, Ok(()));
    let mut stream = connect(&socket).await;
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    send(&mut stream, &request(5), REQUEST_MAX).await.unwrap();
    let (said, last) = answer(&mut stream).await;
    assert_eq!(said, "xxxxx");
    assert!(matches!(last, Reply::Done { cut: true, output: 5, .. }), "{last:?}");
    drop(stream);
    server.join().unwrap().unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn of_two_that_are_started_one_serves() {
    let (_folder, socket) = place();
    let servers = [start(&socket, Ok(())), start(&socket, Ok(()))];
    let mut stream = connect(&socket).await;
    send(&mut stream, &request(3), REQUEST_MAX).await.unwrap();
    assert_eq!(answer(&mut stream).await.0, "xxx");
    drop(stream);
    for server in servers {
        server.join().unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_socket_that_a_dead_process_left_is_taken_over() {
    let (_folder, socket) = place();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let server = start(&socket, Ok(()));
    let mut stream = connect(&socket).await;
    send(&mut stream, &request(1), REQUEST_MAX).await.unwrap();
    assert_eq!(answer(&mut stream).await.0, "x");
    drop(stream);
    server.join().unwrap().unwrap();
}

#[tokio::test]
async fn who_closes_is_answered_no_more_and_others_are() {
    let (_folder, socket) = place();
    let server = start(&socket, Ok(()));
    let mut endless = connect(&socket).await;
    send(&mut endless, &request(90_000), REQUEST_MAX).await.unwrap();
    assert!(receive::<Reply>(&mut endless, REPLY_MAX).await.unwrap().is_some());
    drop(endless);
    let mut stream = connect(&socket).await;
    send(&mut stream, &request(4), REQUEST_MAX).await.unwrap();
    assert_eq!(answer(&mut stream).await.0, "xxxx");
    drop(stream);
    server.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_frame_that_is_too_long_or_nonsense_is_refused_in_words() {
    let (_folder, socket) = place();
    let server = start(&socket, Ok(()));
    for frame in [&[0xFF_u8; 4][..], b"\x02\0\0\0{]"] {
        let mut stream = connect(&socket).await;
        stream.write_all(frame).await.unwrap();
        let (_, last) = answer(&mut stream).await;
        let Reply::Failed { failure: ProviderFailureKind::BadRequest, message } = last else {
            panic!("{last:?}");
        };
        assert!(message.starts_with("the engine cannot read the request"), "{message}");
    }
    server.join().unwrap().unwrap();
}

#[tokio::test]
async fn who_asks_hears_how_long_the_context_is_and_where_there_is_none_why() {
    let (_folder, socket) = place();
    let server = start(&socket, Ok(()));
    let mut stream = connect(&socket).await;
    send(&mut stream, &Ask::Window, REQUEST_MAX).await.unwrap();
    let reply = receive::<Reply>(&mut stream, REPLY_MAX).await.unwrap();
    assert_eq!(reply, Some(Reply::Window { tokens: 100_000 }));
    drop(stream);
    server.join().unwrap().unwrap();

    let (_folder, socket) = place();
    let server = start(&socket, Err(Refused("no room".into())));
    let mut stream = connect(&socket).await;
    send(&mut stream, &Ask::Window, REQUEST_MAX).await.unwrap();
    let reply = receive::<Reply>(&mut stream, REPLY_MAX).await.unwrap();
    assert!(matches!(reply, Some(Reply::Failed { .. })), "{reply:?}");
    drop(stream);
    server.join().unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_loaded_is_said_to_who_asks() {
    let (_folder, socket) = place();
    let server = start(&socket, Err(Refused("the model needs 9 MB and 3 MB are free".into())));
    let mut stream = connect(&socket).await;
    send(&mut stream, &request(4), REQUEST_MAX).await.unwrap();
    let message = "the model needs 9 MB and 3 MB are free".to_owned();
    assert_eq!(
        answer(&mut stream).await.1,
        Reply::Failed { failure: ProviderFailureKind::BadRequest, message }
    );
    drop(stream);
    server.join().unwrap().unwrap();
}
