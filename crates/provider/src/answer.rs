//! An answer put together from what a server sends: events of a stream, or one object where the server does not
//! stream. Pure: bytes in, pieces and in the end a message out. What the events say is the wire's affair.

use std::borrow::Cow;

use codetether_event::{ContentPart, Message, Money, Piece, Role, StopReason, Usage};
use serde::de::IgnoredAny;

use crate::errors;
use crate::parts::Parts;
use crate::sse::{EventStream, STREAM_MAX, TooLong};
use crate::text;

/// Longest part of an event that a message shows, bytes.
const SHOWN_BYTES: usize = 200;

/// What a page for people is called.
pub(crate) const WEB_PAGE: &str = "it sent a web page (is `base_url` right?)";

/// Why what came is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server reported an error of its own: this JSON.
    Reported(String),
    /// It breaks the protocol.
    Protocol(String),
    /// It ended too soon.
    Cut,
}

impl Fault {
    /// An event that cannot be read.
    pub(crate) fn unreadable(error: &serde_json::Error, data: &[u8]) -> Self {
        Self::Protocol(format!("{error} in `{}`", shown(data)))
    }
}

/// The beginning of an event, for a message.
pub(crate) fn shown(data: &[u8]) -> String {
    let start = data.get(..SHOWN_BYTES.min(data.len())).unwrap_or_default();
    errors::shown(&String::from_utf8_lossy(start))
}

impl From<TooLong> for Fault {
    fn from(error: TooLong) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) message: Message,
    pub(crate) stop: StopReason,
    /// As [`Answer::usage`] tells.
    pub(crate) usage: Option<Usage>,
}

/// Understands a wire's events.
pub(crate) trait Reader: Send {
    /// Takes in the data of one event. Errors of [`Fault::Cut`] are for [`Reader::whole`] alone.
    fn event(&mut self, data: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault>;

    /// Takes in the object, or the list of objects, that came in place of a stream, after which nothing more comes.
    fn object(&mut self, object: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault>;

    /// The server said that nothing more comes.
    fn is_done(&self) -> bool;

    /// The server said why the model stopped: what is still to come, the answer does not need.
    fn is_ended(&self) -> bool;

    /// What has come.
    fn parts(&self) -> &Parts;

    /// What has come.
    fn parts_mut(&mut self) -> &mut Parts;

    /// Tokens as reported so far.
    fn usage(&self) -> Option<Usage>;

    /// What the server says that it costs, where it says so.
    fn cost(&self) -> Option<Money> {
        None
    }

    /// What it all comes to.
    fn whole(self, out: &mut dyn FnMut(Piece)) -> Result<(Vec<ContentPart>, StopReason), Fault>;
}

/// An answer that is coming.
#[derive(Debug)]
pub(crate) struct Answer<R> {
    events: EventStream,
    /// The body, where it turned out to be one object instead of a stream.
    object: Option<Vec<u8>>,
    /// Nothing but white space has come.
    blank: bool,
    /// How reading the rest went, once the body is at its end.
    ended: Option<Result<(), Fault>>,
    reader: R,
}

impl<R: Reader> Answer<R> {
    /// Nothing has come yet.
    pub(crate) fn new(reader: R) -> Self {
        Self { events: EventStream::default(), object: None, blank: true, ended: None, reader }
    }

    /// Takes in what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        if let Some(object) = &mut self.object {
            if object.len().saturating_add(bytes.len()) > STREAM_MAX {
                return Err(TooLong::Stream.into());
            }
            object.extend_from_slice(bytes);
            return Ok(());
        }
        // A server that does not stream may send blanks while it works.
        let begins = bytes.trim_ascii_start();
        if self.blank && begins.first().is_some_and(|first| matches!(first, b'{' | b'[')) {
            self.object = Some(begins.to_vec());
            return Ok(());
        }
        if self.blank && begins.first() == Some(&b'<') {
            return Err(Fault::Protocol(WEB_PAGE.into()));
        }
        self.blank &= begins.is_empty();
        let reader = &mut self.reader;
        self.events.feed(bytes, &mut |data| take(reader, data, out))
    }

    /// Hands out what came since the last piece.
    pub(crate) fn flush(&mut self, out: &mut dyn FnMut(Piece)) {
        self.reader.parts_mut().flush(out);
    }

    /// Whether there is anything to hand out.
    pub(crate) fn has_unsent(&self) -> bool {
        self.reader.parts().has_unsent()
    }

    /// The server said that nothing more comes.
    pub(crate) fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    /// The body is at its end, or broke off: nothing more will come.
    pub(crate) fn end(&mut self, out: &mut dyn FnMut(Piece)) {
        if self.ended.is_none() {
            self.ended = Some(self.read_rest(out));
            self.flush(out);
        }
    }

    /// What the server said that it costs.
    pub(crate) fn cost(&self) -> Option<Money> {
        self.reader.cost()
    }

    /// Nothing more will come: what is there may be whole all the same.
    pub(crate) fn finish(mut self, out: &mut dyn FnMut(Piece)) -> Result<Whole, (Fault, Option<Usage>)> {
        self.end(out);
        let read = self.ended.take().unwrap_or(Ok(()));
        let usage = self.usage();
        let whole = read.and_then(|()| self.reader.whole(out));
        let (parts, stop) = whole.map_err(|fault| (fault, usage))?;
        Ok(Whole { message: Message { role: Role::Assistant, parts }, stop, usage })
    }

    /// Tokens so far: reported, or else estimated for the output alone; nothing when nothing came.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let output = self.reader.parts().tokens();
        match self.reader.usage() {
            Some(usage) => Some(usage),
            None if output > 0 => Some(Usage { output, estimated: true, ..Usage::default() }),
            None => None,
        }
    }

    /// The text that has come, without calls.
    pub(crate) fn partial(&self) -> Option<Message> {
        let parts: Vec<_> = self.reader.parts().shown_texts().map(ContentPart::text).collect();
        if parts.is_empty() { None } else { Some(Message { role: Role::Assistant, parts }) }
    }

    /// What was said before and has come since, where that is all text; without blanks at its end, which servers do not
    /// take as the end of what a model has said.
    pub(crate) fn text_alone(&self, before: &str) -> Option<String> {
        let mut text = before.to_owned();
        self.reader.parts().texts_alone()?.for_each(|part| text.push_str(part));
        text.truncate(text.trim_end().len());
        if text.is_empty() { None } else { Some(text) }
    }

    fn read_rest(&mut self, out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        let reader = &mut self.reader;
        if let Some(object) = self.object.take() {
            if serde_json::from_slice::<IgnoredAny>(&object).is_err_and(|error| error.is_eof()) {
                return Err(Fault::Cut);
            }
            return reader.object(&object, out);
        }
        let whole = reader.is_done() || reader.is_ended();
        match self.events.finish(&mut |data| take(reader, data, out)) {
            // What a cut left of an event that the answer does not need.
            Err(Fault::Protocol(_)) if whole => Ok(()),
            // A cut inside an event is a cut, not nonsense.
            Err(Fault::Protocol(_)) => Err(Fault::Cut),
            other => other,
        }
    }
}

/// Hands an event to the reader. A text that is not UTF-8 is as good as it can be made; arguments of a call are not, for
/// nobody knows what a tool would do with them.
fn take(reader: &mut impl Reader, data: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
    let text = String::from_utf8_lossy(data);
    let text = match (text::whole_pairs(&text), text) {
        (Some(mended), _) => mended,
        (None, Cow::Owned(mended)) => mended,
        (None, Cow::Borrowed(_)) => return reader.event(data, out),
    };
    let before = reader.parts().argument_bytes();
    reader.event(text.as_bytes(), out)?;
    match reader.parts().argument_bytes() == before {
        true => Ok(()),
        false => Err(Fault::Protocol("the arguments of a call are not UTF-8".into())),
    }
}
