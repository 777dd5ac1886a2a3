//! The one way to standard output and standard error. A reader that has gone away is an error of its own, so that
//! `codetether … | head` ends quietly.

use std::io::{self, ErrorKind, Write};

use tokio::sync::{mpsc, oneshot};

use crate::exit::{Exit, Failure};

/// Writes to standard output.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::unread(),
        _ => Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")),
    })
}

/// Standard output on a thread of its own, so that a reader who does not read holds up nothing but what is printed.
pub(crate) struct Output {
    texts: Option<mpsc::Sender<String>>,
    ended: oneshot::Receiver<Result<(), Failure>>,
}

/// Texts that may wait for a slow reader.
const WAITING: usize = 16;

impl Output {
    pub(crate) fn start() -> Self {
        let (texts, mut queue) = mpsc::channel::<String>(WAITING);
        let (done, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let mut outcome = Ok(());
            while let Some(text) = queue.blocking_recv() {
                outcome = out(&text);
                if outcome.is_err() {
                    break;
                }
            }
            let _ = done.send(outcome);
        });
        Self { texts: Some(texts), ended }
    }

    /// Waits until there is room, then hands the text over and leaves it empty. False when printing has failed.
    pub(crate) async fn hand_over(&mut self, text: &mut String) -> bool {
        let Some(texts) = &self.texts else { return false };
        match texts.reserve().await {
            Ok(room) => {
                room.send(std::mem::take(text));
                true
            }
            Err(_) => false,
        }
    }

    /// Waits until all is printed.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        self.texts = None;
        // A thread that is gone without a word has panicked: nothing of ours in it can.
        (&mut self.ended).await.unwrap_or(Ok(()))
    }
}

/// Writes to standard error; what cannot be written there cannot be told anywhere.
pub(crate) fn err(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// `1 step`, `12 steps`.
pub(crate) fn count(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// The text for a person's eyes: what could move a terminal's cursor, change its state or reverse the reading order
/// is spelled out; new lines and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control() && !matches!(c, '\n' | '\t');
        // Joiners belong between letters of some scripts, and the parts of some emoji.
        let joined = |before: char| !before.is_ascii() && !is_unseen(before);
        let joins = matches!(c, '\u{200c}' | '\u{200d}') && plain.chars().next_back().is_some_and(joined);
        if hidden || is_unseen(c) && !joins { plain.extend(c.escape_unicode()) } else { plain.push(c) }
    }
    plain
}

/// Whether a character has no width, ends a line or turns the reading order, so that the eye does not see that it is there.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_from_the_eye() {
        assert_eq!(plain("a\tb\n"), "a\tb\n");
        assert_eq!(plain("a\u{200b}b\u{e0041}\u{feff}\u{2028}"), r"a\u{200b}b\u{e0041}\u{feff}\u{2028}");
        assert_eq!(plain("👩\u{200d}🔬 \u{200d}a"), "👩\u{200d}🔬 \\u{200d}a");
        assert_eq!(plain("é\u{200d}\u{200c}"), "é\u{200d}\\u{200c}", "a run of them would be a message");
        assert_eq!(plain("rm x\r\u{1b}[2Kls \u{202e}dm"), r"rm x\u{d}\u{1b}[2Kls \u{202e}dm");
    }
}
