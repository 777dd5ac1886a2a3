//! What clients and an engine's process say to each other: frames, each a length of four bytes (little end first) and
//! that many bytes of JSON. A connection carries one request and its replies; closing it cancels. Bounded both ways.

use std::borrow::Cow;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use codetether_event::ProviderFailureKind;

use crate::request::Request;

/// Most bytes of a request.
pub const REQUEST_MAX: u32 = 32 << 20;
/// Most bytes of a reply.
pub const REPLY_MAX: u32 = 1 << 20;

/// What is wanted of the engine's process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask<'a> {
    /// An answer.
    Answer {
        /// To this.
        request: Cow<'a, Request>,
    },
    /// How long its context is, once that is known.
    Window,
}

/// What the engine's process says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reply {
    /// It is still there; the model is being loaded, or others are being answered.
    Waiting,
    /// The prompt is being read.
    Reading {
        /// Tokens so far.
        read: usize,
        /// Of these.
        of: usize,
    },
    /// A piece of the answer.
    Text {
        /// Whole characters.
        text: String,
    },
    /// The answer is whole.
    Done {
        /// The limit of tokens cut it off.
        cut: bool,
        /// Tokens of the prompt.
        input: u64,
        /// Those of them that had been read before.
        reused: u64,
        /// Tokens of the answer.
        output: u64,
        /// The mean of the natural logarithms of its tokens' probabilities.
        mean_log: f32,
        /// Whether it was held to a form, so that it cannot be without one.
        held: bool,
    },
    /// How long the context is.
    Window {
        /// Tokens of a prompt and its answer together.
        tokens: u64,
    },
    /// There is none.
    Failed {
        /// Its class.
        failure: ProviderFailureKind,
        /// Why, and what to do next.
        message: String,
    },
}

/// Sends a frame.
///
/// # Errors
/// When it is longer than `most`, or the other end is gone.
pub async fn send<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), frame: &T, most: u32) -> io::Result<()> {
    let body = serde_json::to_vec(frame)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= most).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a frame has {} bytes, and at most {most}", body.len()),
        )
    })?;
    to.write_all(&length.to_le_bytes()).await?;
    to.write_all(&body).await?;
    to.flush().await
}

/// Receives a frame; none where the other end has closed.
///
/// # Errors
/// When it is longer than `most`, ends in the middle, or is not what is expected.
pub async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    most: u32,
) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > most {
        let problem = format!("a frame claims {length} bytes, and may have {most}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    // Grows as bytes come, not as they are promised.
    let mut body = Vec::new();
    let read = from.take(u64::from(length)).read_to_end(&mut body).await?;
    if u32::try_from(read) != Ok(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&body).map(Some).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_comes_as_it_was_sent_and_an_end_is_an_end() {
        let mut wire = Vec::new();
        let reply = Reply::Text { text: "hé".into() };
        send(&mut wire, &reply, REPLY_MAX).await.unwrap();
        let mut from = wire.as_slice();
        assert_eq!(receive(&mut from, REPLY_MAX).await.unwrap(), Some(reply));
        assert_eq!(receive::<Reply>(&mut from, REPLY_MAX).await.unwrap(), None);
        let mut cut = &wire[..wire.len() - 1];
        assert_eq!(
            receive::<Reply>(&mut cut, REPLY_MAX).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_is_neither_sent_nor_waited_for() {
        let text = Reply::Text { text: "x".repeat(50) };
        assert!(send(&mut Vec::new(), &text, 20).await.is_err());
        let mut from: &[u8] = &[0xFF; 4];
        let error = receive::<Reply>(&mut from, REPLY_MAX).await.unwrap_err();
        assert!(error.to_string().contains("claims 4294967295 bytes"), "{error}");
    }
}
