//! Server-sent events out of bytes as they come, however they are split. Events are lent, not copied, where one lies
//! whole in what was read. Bounded. Knows nothing of what the events say.
//!
//! Source: HTML Living Standard, "Server-sent events", §9.2.6. Of the fields only `data` matters here.

use memchr::{memchr, memchr2};

/// Longest line, and longest event.
const EVENT_MAX: usize = 8 << 20;
/// Most bytes of one stream.
pub(crate) const STREAM_MAX: usize = 64 << 20;

/// The stream is longer than any answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// One event, or one line.
    #[error("one event of the answer is longer than {} MiB", EVENT_MAX >> 20)]
    Event,
    /// All of it.
    #[error("the answer is longer than {} MiB", STREAM_MAX >> 20)]
    Stream,
}

/// The state between two reads.
///
/// ```
/// use codetether_provider::{EventStream, TooLong};
///
/// let (mut stream, mut seen) = (EventStream::default(), Vec::new());
/// let mut event = |data: &[u8]| -> Result<(), TooLong> {
///     seen.push(data.to_vec());
///     Ok(())
/// };
/// stream.feed(b"data: one\n\nda", &mut event)?;
/// stream.feed(b"ta: two\n\n", &mut event)?;
/// assert_eq!(seen, [b"one".to_vec(), b"two".to_vec()]);
/// # Ok::<(), TooLong>(())
/// ```
#[derive(Debug, Default)]
pub struct EventStream {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Data of an event whose end has not come.
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// The first line has been seen: only before it may stand a mark of the byte order.
    begun: bool,
    total: usize,
}

impl EventStream {
    /// Takes in what was read, and hands out the data of each event that is whole by now.
    ///
    /// # Errors
    /// When it is too long, and whatever `event` says.
    pub fn feed<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        event: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        self.total = self.total.saturating_add(bytes.len());
        if self.total > STREAM_MAX {
            return Err(TooLong::Stream.into());
        }
        // The data of an event all of whose bytes lie in this read.
        let mut held: Option<&[u8]> = None;
        loop {
            if self.after_return && !rest.is_empty() {
                self.after_return = false;
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some((line, after)) = split_line(rest) else { break };
            self.after_return = rest.get(line.len()) == Some(&b'\r');
            rest = after;
            if self.line.is_empty() {
                match self.take(line, held.take(), event)? {
                    Taken::Held(data) => held = Some(data),
                    Taken::Done => {}
                }
            } else {
                let mut whole = std::mem::take(&mut self.line);
                self.line_grows(whole.len(), line.len())?;
                whole.extend_from_slice(line);
                if let Taken::Held(data) = self.take(&whole, held.take(), event)? {
                    self.keep(data)?;
                }
                whole.clear();
                self.line = whole;
            }
        }
        if let Some(data) = held {
            self.keep(data)?;
        }
        self.line_grows(self.line.len(), rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// Hands out what is left when the stream has ended: servers forget the last line's end.
    ///
    /// # Errors
    /// When it is too long, and whatever `event` says.
    pub fn finish<E: From<TooLong>>(
        &mut self,
        event: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.feed(b"\n", event)?;
        self.after_return = false;
        self.feed(b"\n", event)
    }

    fn take<'a, E: From<TooLong>>(
        &mut self,
        line: &'a [u8],
        held: Option<&'a [u8]>,
        event: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Taken<'a>, E> {
        let line = match std::mem::replace(&mut self.begun, true) {
            true => line,
            false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
        };
        if line.is_empty() {
            let whole = std::mem::take(&mut self.has_data);
            let result = match held {
                Some(data) => event(data),
                None if whole => event(&self.data),
                None => Ok(()),
            };
            self.data.clear();
            return result.map(|()| Taken::Done);
        }
        let Some(data) = data_of(line) else {
            return Ok(held.map_or(Taken::Done, Taken::Held));
        };
        if held.is_none() && !self.has_data {
            return Ok(Taken::Held(data));
        }
        if let Some(first) = held {
            self.keep(first)?;
        }
        self.keep(data)?;
        Ok(Taken::Done)
    }

    /// Appends a line to the data of the open event.
    fn keep(&mut self, data: &[u8]) -> Result<(), TooLong> {
        if self.data.len().saturating_add(data.len()) > EVENT_MAX {
            return Err(TooLong::Event);
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(data);
        Ok(())
    }

    fn line_grows(&self, length: usize, by: usize) -> Result<(), TooLong> {
        if length.saturating_add(by) > EVENT_MAX { Err(TooLong::Event) } else { Ok(()) }
    }
}

/// What became of a line.
enum Taken<'a> {
    /// It is the data of an event that may end in the same read.
    Held(&'a [u8]),
    Done,
}

/// The line, without its end, and what comes after it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr2(b'\n', b'\r', bytes)?;
    let (line, after) = bytes.split_at_checked(end)?;
    Some((line, after.get(1..)?))
}

/// The value of a `data` line.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr(b':', line).unwrap_or(line.len());
    let (field, value) = line.split_at_checked(colon)?;
    if field != b"data" {
        return None;
    }
    let value = value.get(1..).unwrap_or_default();
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<String>, TooLong> {
        let mut stream = EventStream::default();
        let mut events = Vec::new();
        let mut event = |data: &[u8]| {
            events.push(String::from_utf8_lossy(data).into_owned());
            Ok::<_, TooLong>(())
        };
        for read in reads {
            stream.feed(read, &mut event)?;
        }
        stream.finish(&mut event)?;
        Ok(events)
    }

    #[test]
    fn events_come_out_whatever_ends_their_lines() {
        for end in ["\n", "\r\n", "\r"] {
            let text = [
                "data: {\"a\":1}",
                "",
                ": comment",
                "",
                "event: x",
                "data:b",
                "id: 1",
                "data:  c",
                "data",
                "",
                "",
            ]
            .join(end);
            assert_eq!(events([text.as_bytes()]).unwrap(), ["{\"a\":1}", "b\n c\n"], "{end:?}");
        }
    }

    #[test]
    fn a_mark_of_the_byte_order_is_passed_over_and_a_missing_last_line_end_forgiven() {
        assert_eq!(events([&b"\xef\xbb\xbfdata: a\n\ndata: [DONE]"[..]]).unwrap(), ["a", "[DONE]"]);
        assert_eq!(events([&b"data: a\r"[..]]).unwrap(), ["a"]);
    }

    #[test]
    fn an_endless_line_event_or_stream_is_an_error() {
        let block = vec![b'x'; 1 << 20];
        let line = std::iter::once(&b"data: "[..]).chain(std::iter::repeat_n(&block[..], 9));
        assert_eq!(events(line), Err(TooLong::Event));
        let data = [&b"data: "[..], &block, b"\n"].concat();
        assert_eq!(events(std::iter::repeat_n(&data[..], 9)), Err(TooLong::Event));
        let comment = [&b": "[..], &block, b"\n"].concat();
        let error = events(std::iter::repeat_n(&comment[..], 65)).unwrap_err();
        assert_eq!(error.to_string(), "the answer is longer than 64 MiB");
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_the_bytes_are_split(
            lines in prop::collection::vec("(\u{feff})?(data: ?[a-c:é]{0,4}|:x|event: y|)(\n|\r\n|\r)", 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = lines.concat();
            let bytes = text.as_bytes();
            let whole = events([bytes]).unwrap();
            prop_assert_eq!(&events(bytes.chunks(1)).unwrap(), &whole);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            prop_assert_eq!(events(pieces).unwrap(), whole);
        }
    }
}
