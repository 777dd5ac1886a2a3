//! The one way to standard output and standard error. A reader that has gone away is an error of its own, so that
//! `codetether … | head` ends quietly.

use std::io::{self, ErrorKind, Write};

use crate::exit::{Exit, Failure};

/// Writes to standard output.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::new(Exit::Failed, "nobody reads standard output any more"),
        _ => Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")),
    })
}

/// Writes to standard error; what cannot be written there cannot be told anywhere.
pub(crate) fn err(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// The text for a person's eyes: what could move a terminal's cursor, change its state or reverse the reading order
/// is spelled out; new lines and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control() && !matches!(c, '\n' | '\t');
        let reordering =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hidden || reordering { plain.extend(c.escape_unicode()) } else { plain.push(c) }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_from_the_eye() {
        assert_eq!(plain("a\tb\n"), "a\tb\n");
        assert_eq!(plain("rm x\r\u{1b}[2Kls \u{202e}dm"), r"rm x\u{d}\u{1b}[2Kls \u{202e}dm");
    }
}
