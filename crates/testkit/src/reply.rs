//! What the scripted server answers: what a model says, in the dialect of the request, a status with a body, or
//! silence; and where the bytes are split, cut off or held back. Renders bytes; never sends them.

use std::fmt::{Display, Write as _};

use crate::dialect::{Dialect, Said, Speech, Usage};

/// Arguments of a call come in pieces of this many characters.
const ARGUMENTS_PIECE: usize = 24;

/// One answer of the script.
///
/// Built from what it says (`text`, `call`, `calls`, `reasoning`, `deltas`, joined by the methods `and_…`) or from bytes
/// (`status`, `raw_sse`), then from how it is sent: whole, in pieces, cut off, or never.
#[derive(Debug, Clone)]
pub struct Reply {
    content: Content,
    headers: Vec<(String, String)>,
    pieces: Pieces,
    end: End,
}

#[derive(Debug, Clone)]
enum Content {
    Speech(Speech),
    Sse(Vec<u8>),
    Plain { status: u16, body: Vec<u8> },
    Nothing,
}

/// Where the body is split into chunks of the transfer encoding. A client sees each of them by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pieces {
    /// One for each event of the stream, as servers do.
    Events,
    /// Two: before and after this byte.
    At(usize),
    /// One for every so many bytes.
    Every(usize),
}

/// What happens after how many bytes of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Cut(usize),
    Stall(usize),
}

/// A reply as bytes of HTTP/1.1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) after: After,
}

/// What the server does once the bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    NextRequest,
    Close,
    Wait,
}

impl Reply {
    /// The model says this, a word at a time.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::speech().and_text(text)
    }

    /// The model thinks this: in the field `reasoning_content` of servers that are compatible with OpenAI, in a signed
    /// block of Anthropic's, in an encrypted item of OpenAI's Responses, in an unsigned part of Gemini's.
    #[must_use]
    pub fn reasoning(text: impl AsRef<str>) -> Self {
        Self::speech().and_reasoning(text)
    }

    /// The model thinks what nobody may read: an opaque block of Anthropic's, an item without a summary of OpenAI's
    /// Responses; in Gemini's the signature of what comes next; nothing in other dialects.
    #[must_use]
    pub fn sealed(data: impl Into<String>) -> Self {
        Self::speech().and_sealed(data)
    }

    /// The model calls one tool. The arguments are what they show themselves as: a `serde_json::Value`, or a text that
    /// may be no JSON at all.
    #[must_use]
    pub fn call(name: impl Into<String>, arguments: impl Display) -> Self {
        Self::speech().and_call(name, arguments)
    }

    /// The model calls several tools at once.
    #[must_use]
    pub fn calls<N: Into<String>, A: Display>(calls: impl IntoIterator<Item = (N, A)>) -> Self {
        calls.into_iter().fold(Self::speech(), |reply, (name, arguments)| reply.and_call(name, arguments))
    }

    /// So many chunks, each with this text.
    #[must_use]
    pub fn deltas(count: usize, text: impl AsRef<str>) -> Self {
        Self::speech().and(Said::Text { text: text.as_ref().to_owned(), times: count })
    }

    /// These bytes, as an event stream.
    #[must_use]
    pub fn raw_sse(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Content::Sse(bytes.into()))
    }

    /// A status, with no body yet: see [`Reply::body`].
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(Content::Plain { status, body: Vec::new() })
    }

    /// Takes the request and never answers, until the client goes or the server is dropped.
    #[must_use]
    pub fn stall() -> Self {
        Self { end: End::Stall(0), ..Self::new(Content::Nothing) }
    }

    /// Takes the request and closes the connection.
    #[must_use]
    pub fn hang_up() -> Self {
        Self { end: End::Cut(0), ..Self::new(Content::Nothing) }
    }

    /// Then the model says this, a word at a time.
    ///
    /// # Panics
    /// This, and all that follows for what a model says, when the reply is of another kind.
    #[must_use]
    pub fn and_text(self, text: impl AsRef<str>) -> Self {
        words(text.as_ref()).fold(self, |reply, text| reply.and(Said::Text { text, times: 1 }))
    }

    /// Then the model thinks this.
    #[must_use]
    pub fn and_reasoning(self, text: impl AsRef<str>) -> Self {
        words(text.as_ref()).fold(self, |reply, text| reply.and(Said::Reasoning(text)))
    }

    /// Then the model thinks what nobody may read.
    #[must_use]
    pub fn and_sealed(self, data: impl Into<String>) -> Self {
        self.and(Said::Sealed(data.into()))
    }

    /// Then the model calls this tool, its arguments in pieces.
    #[must_use]
    pub fn and_call(self, name: impl Into<String>, arguments: impl Display) -> Self {
        let arguments: Vec<char> = arguments.to_string().chars().collect();
        let pieces = arguments.chunks(ARGUMENTS_PIECE).map(|piece| piece.iter().collect());
        pieces.fold(self.and(Said::Call(name.into())), |reply, piece| reply.and(Said::Arguments(piece)))
    }

    /// The reported usage, as JSON: the object of the dialect's field `usage` or `usageMetadata`.
    #[must_use]
    pub fn usage(mut self, usage: impl Display) -> Self {
        self.speech_mut().usage = Usage::Told(usage.to_string());
        self
    }

    /// No usage is reported.
    #[must_use]
    pub fn no_usage(mut self) -> Self {
        self.speech_mut().usage = Usage::Untold;
        self
    }

    /// Why the model stopped, in the dialect's word, instead of that it was done or calls tools.
    #[must_use]
    pub fn finish(mut self, reason: impl Into<String>) -> Self {
        self.speech_mut().finish = Some(reason.into());
        self
    }

    /// One more header; it replaces one that the server would send by itself.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body of a [`Reply::status`].
    ///
    /// # Panics
    /// When the reply has a body of another kind.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        match &mut self.content {
            Content::Plain { body, .. } => *body = bytes.into(),
            other => panic!("only `Reply::status` takes a body, not {other:?}"),
        }
        self
    }

    /// Closes the connection after so many bytes of the body.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        Self { end: End::Cut(bytes), ..self }
    }

    /// Sends no more after so many bytes of the body, and keeps the connection open.
    #[must_use]
    pub fn stall_after(self, bytes: usize) -> Self {
        Self { end: End::Stall(bytes), ..self }
    }

    /// The body of a stream comes in two pieces: the client sees so many bytes, then the rest.
    #[must_use]
    pub fn split_at(self, bytes: usize) -> Self {
        Self { pieces: Pieces::At(bytes), ..self }
    }

    /// The body of a stream comes in pieces of so many bytes (at least 1).
    #[must_use]
    pub fn chunked_every(self, bytes: usize) -> Self {
        Self { pieces: Pieces::Every(bytes.max(1)), ..self }
    }

    fn new(content: Content) -> Self {
        Self { content, headers: Vec::new(), pieces: Pieces::Events, end: End::Whole }
    }

    fn speech() -> Self {
        Self::new(Content::Speech(Speech::default()))
    }

    fn speech_mut(&mut self) -> &mut Speech {
        match &mut self.content {
            Content::Speech(speech) => speech,
            other => panic!("a model says nothing in {other:?}"),
        }
    }

    fn and(mut self, said: Said) -> Self {
        self.speech_mut().said.push(said);
        self
    }

    /// As the answer to the request of this number, which goes into the ids of calls.
    pub(crate) fn render(&self, number: usize, dialect: Dialect) -> Rendered {
        let events = match &self.content {
            Content::Speech(speech) => dialect.events(speech, number),
            Content::Sse(bytes) => vec![(bytes.clone(), 1)],
            Content::Plain { status, body } => return self.plain(*status, body),
            Content::Nothing => return Rendered { bytes: Vec::new(), after: self.after() },
        };
        let mut out = self.head(200, "text/event-stream", ("transfer-encoding", "chunked"));
        if (self.pieces, self.end) == (Pieces::Events, End::Whole) {
            for (event, times) in events {
                let mut piece = Vec::new();
                push_piece(&mut piece, &event);
                out.extend_from_slice(&piece.repeat(times));
            }
        } else {
            let mut left = self.end.limit();
            for mut piece in split(events, self.pieces) {
                piece.truncate(left);
                left -= piece.len();
                push_piece(&mut out, &piece);
            }
        }
        if self.end == End::Whole {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        Rendered { bytes: out, after: self.after() }
    }

    fn plain(&self, status: u16, body: &[u8]) -> Rendered {
        let json = body.first().is_none_or(|first| matches!(first, b'{' | b'['));
        let kind = if json { "application/json" } else { "text/plain; charset=utf-8" };
        let mut out = self.head(status, kind, ("content-length", &body.len().to_string()));
        out.extend(body.iter().take(self.end.limit()));
        Rendered { bytes: out, after: self.after() }
    }

    fn head(&self, status: u16, kind: &str, length: (&str, &str)) -> Vec<u8> {
        let replaced = |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers =
            [("content-type", kind), length].into_iter().filter(|(name, _)| !replaced(name)).chain(own);
        // A status line needs no words after the number.
        let mut head = format!("HTTP/1.1 {status} \r\n");
        for (name, value) in headers {
            // Writing to a text cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn after(&self) -> After {
        let closes =
            |(name, value): &(String, String)| name.eq_ignore_ascii_case("connection") && value == "close";
        match self.end {
            End::Whole if self.headers.iter().any(closes) => After::Close,
            End::Whole => After::NextRequest,
            End::Cut(_) => After::Close,
            End::Stall(_) => After::Wait,
        }
    }
}

impl End {
    /// How many bytes of the body are sent at most.
    fn limit(self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Cut(bytes) | Self::Stall(bytes) => bytes,
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_inclusive(' ').map(str::to_owned)
}

fn split(events: Vec<(Vec<u8>, usize)>, pieces: Pieces) -> Vec<Vec<u8>> {
    let events = events.into_iter().flat_map(|(event, times)| std::iter::repeat_n(event, times));
    match pieces {
        Pieces::Events => events.collect(),
        Pieces::Every(bytes) => {
            events.flatten().collect::<Vec<u8>>().chunks(bytes).map(<[u8]>::to_vec).collect()
        }
        Pieces::At(bytes) => {
            let mut before: Vec<u8> = events.flatten().collect();
            let after = before.split_off(bytes.min(before.len()));
            vec![before, after]
        }
    }
}

/// One chunk of the transfer encoding. An empty one would end the body, so it is left out.
fn push_piece(out: &mut Vec<u8>, piece: &[u8]) {
    if !piece.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Status line, then the chunks of the body.
    fn pieces(reply: &Reply) -> Vec<String> {
        let text = String::from_utf8(reply.render(3, Dialect::OpenAi).bytes).unwrap();
        let (_, mut body) = text.split_once("\r\n\r\n").unwrap();
        let mut pieces = Vec::new();
        while let Some((length, rest)) = body.split_once("\r\n") {
            let (piece, rest) = rest.split_at(usize::from_str_radix(length, 16).unwrap());
            pieces.push(piece.to_owned());
            body = rest.strip_prefix("\r\n").unwrap();
        }
        pieces
    }

    /// What the events say, a value each.
    fn said(reply: &Reply) -> Vec<Value> {
        let body = pieces(reply).concat();
        let data = body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap());
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    #[test]
    fn a_text_comes_a_word_at_a_time_and_ends_with_reason_and_usage() {
        let said = said(&Reply::text("two words"));
        let deltas: Vec<_> =
            said.iter().map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(deltas, [Some(""), Some("two "), Some("words"), None, None]);
        assert_eq!(said[3]["choices"][0]["finish_reason"], "stop");
        assert_eq!(said[4]["usage"]["prompt_tokens"], 100);
        assert!(pieces(&Reply::text("x")).concat().ends_with("data: [DONE]\n\n"));
    }

    #[test]
    fn calls_have_ids_of_their_own_and_arguments_in_pieces() {
        let long = json!({ "path": "a path that is longer than a piece, ü" });
        let said =
            said(&Reply::reasoning("hm").and_call("read", &long).and_call("x", "not JSON").finish("length"));
        let calls: Vec<_> = said.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]).collect();
        let ids: Vec<_> = calls.iter().filter_map(|call| call["id"].as_str()).collect();
        assert_eq!(ids, ["call_3_0", "call_3_1"]);
        let arguments = |index: u64| {
            let of = calls.iter().filter(|call| call["index"] == index);
            of.map(|call| call["function"]["arguments"].as_str().unwrap()).collect::<String>()
        };
        assert_eq!((arguments(0), arguments(1)), (long.to_string(), "not JSON".to_owned()));
        assert_eq!(said[1]["choices"][0]["delta"]["reasoning_content"], "hm");
        assert_eq!(said[said.len() - 2]["choices"][0]["finish_reason"], "length");
    }

    #[test]
    fn usage_is_what_the_script_says_or_not_there() {
        let last = |reply: &Reply| said(reply).pop().unwrap();
        assert_eq!(last(&Reply::text("x").usage(json!({ "a": 1 })))["usage"], json!({ "a": 1 }));
        assert_eq!(last(&Reply::text("x").no_usage())["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn a_body_is_the_same_however_it_is_split() {
        let reply = Reply::text("some words, ü").and_call("read", "{}");
        let whole = pieces(&reply).concat();
        let split = pieces(&reply.clone().split_at(7));
        assert_eq!((split[0].len(), split.len(), split.concat()), (7, 3, whole.clone()));
        let reply = Reply::text("some words");
        let every = pieces(&reply.clone().chunked_every(5));
        assert!(every.len() > 50 && every[..50].iter().all(|piece| piece.len() == 5));
        assert_eq!(every.concat(), pieces(&reply).concat());
    }

    #[test]
    fn a_cut_or_stalled_body_has_so_many_bytes_and_no_end() {
        for (reply, after) in [
            (Reply::text("x").cut_after(250), After::Close),
            (Reply::text("x").stall_after(250), After::Wait),
        ] {
            assert_eq!(pieces(&reply).concat().len(), 250);
            let rendered = reply.render(0, Dialect::OpenAi);
            assert!(!rendered.bytes.ends_with(b"0\r\n\r\n"));
            assert_eq!(rendered.after, after);
        }
    }

    #[test]
    fn deltas_come_so_many_times() {
        let said = said(&Reply::deltas(20_000, "word "));
        assert_eq!(
            said.iter().filter(|chunk| chunk["choices"][0]["delta"]["content"] == "word ").count(),
            20_000
        );
    }

    #[test]
    fn a_status_has_its_headers_and_body() {
        let reply = Reply::status(429).header("Retry-After", "0").header("content-type", "text/x").body("no");
        let wanted = "HTTP/1.1 429 \r\ncontent-length: 2\r\nRetry-After: 0\r\ncontent-type: text/x\r\n\r\nno";
        assert_eq!(String::from_utf8(reply.render(0, Dialect::OpenAi).bytes).unwrap(), wanted);
        assert_eq!(reply.header("connection", "close").render(0, Dialect::OpenAi).after, After::Close);
    }
}
