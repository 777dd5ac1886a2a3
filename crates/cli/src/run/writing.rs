//! What a model is writing into a call while it writes it: to which file, and how much of it is there. Words for a person
//! who watches, taken from arguments that nobody has checked; nothing is decided by them.

use codetether_event::{Delta, ItemId, Piece};
use codetether_schema::{Partial, Problem};

use crate::run::progress::shortened;

/// Where a call says what it is about, with and without an envelope of the call's.
const PLACES: [&[&str]; 2] = [&["path"], &["arguments", "path"]];

/// The calls of one answer, as far as they have come.
pub(crate) struct Writing {
    item: ItemId,
    /// Bytes of the answer's stream that came so far.
    end: u64,
    /// The arguments that are being written; none where they cannot be followed.
    call: Option<Partial>,
    /// Bytes of them.
    bytes: usize,
}

impl Writing {
    pub(crate) fn new(item: ItemId) -> Self {
        Self { item, end: 0, call: Some(Partial::new()), bytes: 0 }
    }

    pub(crate) fn item(&self) -> ItemId {
        self.item
    }

    /// Whether a call has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.bytes > 0
    }

    /// Reads a piece of the answer.
    pub(crate) fn see(&mut self, delta: &Delta) {
        if delta.offset != self.end {
            // A slow reader loses pieces, so what comes now may be the middle of anything.
            self.call = None;
        }
        self.end = delta.offset.saturating_add(delta.piece.text().len() as u64);
        if let Piece::Arguments(piece) = &delta.piece {
            self.read(piece.as_bytes());
        }
    }

    fn read(&mut self, mut piece: &[u8]) {
        while let Some(call) = &mut self.call {
            let before = self.bytes;
            match call.push(piece) {
                Ok(()) => break,
                // The next call begins where this one has ended.
                Err(error) if error.problem == Problem::Trailing && error.at >= before => {
                    piece = piece.get(error.at.saturating_sub(before)..).unwrap_or_default();
                    self.call = Some(Partial::new());
                    self.bytes = 0;
                }
                // Several calls at once, or no JSON: whoever checks them will say so.
                Err(_) => self.call = None,
            }
        }
        self.bytes = self.bytes.saturating_add(piece.len());
    }

    /// What is being written, in one short line.
    pub(crate) fn said(&self) -> String {
        let path = self.call.as_ref().and_then(|call| {
            let found = PLACES.iter().find_map(|place| call.find(place))?;
            // The beginning of a path is another path.
            (found.whole && !found.text.is_empty()).then(|| shortened(found.text))
        });
        let what = path.unwrap_or_else(|| "a call".to_owned());
        format!("writing {what}, {}", size(self.bytes))
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::Seq;

    use super::*;

    /// What is said after each piece.
    fn said(pieces: &[Piece]) -> Vec<String> {
        let item = ItemId::at(Seq(1));
        let mut writing = Writing::new(item);
        let mut offset = 0;
        let mut see = |piece: &Piece| {
            writing.see(&Delta { item, offset, piece: piece.clone() });
            offset += piece.text().len() as u64;
            writing.said()
        };
        pieces.iter().map(&mut see).collect()
    }

    fn arguments(text: &str) -> Piece {
        Piece::Arguments(text.into())
    }

    #[test]
    fn the_path_is_said_once_it_is_whole_and_how_much_is_there() {
        let content = "x".repeat(1_234_000);
        let pieces = [r#"{"path": "src/ma"#, r#"in.rs", "content": ""#, "fn main", content.as_str(), "\"}"];
        assert_eq!(
            said(&pieces.map(arguments)),
            [
                "writing a call, 16 bytes",
                "writing src/main.rs, 36 bytes",
                "writing src/main.rs, 43 bytes",
                "writing src/main.rs, 1.2 MB",
                "writing src/main.rs, 1.2 MB",
            ]
        );
    }

    #[test]
    fn each_call_is_counted_by_itself_wherever_pieces_end() {
        let pieces = [
            arguments(r#"{"path":"a"}{"pat"#),
            arguments(r#"h":"b"}"#),
            Piece::Text("and".into()),
            arguments(r#" {"command":"ls"}{"tool":"write","arguments":{"path":"c","content":"x"#),
        ];
        assert_eq!(
            said(&pieces),
            ["writing a call, 5 bytes", "writing b, 12 bytes", "writing b, 12 bytes", "writing c, 52 bytes"]
        );
    }

    #[test]
    fn what_cannot_be_followed_is_still_counted() {
        assert_eq!(
            said(&[r#"{"path":"a","#, r#"oops"#, r#"{"path":"b""#].map(arguments)),
            ["writing a, 12 bytes", "writing a call, 16 bytes", "writing a call, 27 bytes"]
        );
        let item = ItemId::at(Seq(1));
        let mut writing = Writing::new(item);
        writing.see(&Delta { item, offset: 7, piece: arguments(r#"{"path":"a""#) });
        assert_eq!(writing.said(), "writing a call, 11 bytes", "pieces are missing");
    }

    #[test]
    fn a_path_moves_no_cursor_and_takes_one_line() {
        let told = said(&[arguments(r#"{"path":"a\u001b[2J\nb"#), arguments(r#"\u202edm","x":"#)]);
        assert_eq!(told[1], r"writing a\u{1b}[2J b\u{202e}dm, 36 bytes");
        let long = said(&[arguments(&format!(r#"{{"path":"{}","#, "ä".repeat(500)))]);
        assert!(long[0].chars().count() < 130, "{}", long[0]);
    }
}
