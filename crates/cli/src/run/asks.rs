//! Asks at a terminal: what would happen is shown, one line answers.

use std::collections::VecDeque;

use codetether_event::{Answer, AskId, AskKind};
use tokio::sync::oneshot;

use crate::printer;

pub(crate) struct Asks {
    attended: bool,
    waiting: VecDeque<(AskId, AskKind)>,
    open: Option<(AskId, oneshot::Receiver<Option<Answer>>)>,
}

impl Asks {
    pub(crate) fn new(attended: bool) -> Self {
        Self { attended, waiting: VecDeque::new(), open: None }
    }

    /// An ask was opened.
    pub(crate) fn open(&mut self, ask: AskId, kind: AskKind) {
        if self.attended {
            self.waiting.push_back((ask, kind));
            self.show_next();
        }
    }

    /// Whether an answer is awaited, on the line that the cursor is on.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Nobody need answer it any more.
    pub(crate) fn withdraw(&mut self, ask: AskId) {
        self.waiting.retain(|(waiting, _)| *waiting != ask);
        if self.open.as_ref().is_some_and(|(open, _)| *open == ask) {
            self.open = None;
            self.show_next();
        }
    }

    /// The next answer; pends for ever while nothing is asked.
    pub(crate) async fn next(&mut self) -> (AskId, Answer) {
        let Some((ask, line)) = &mut self.open else { return std::future::pending().await };
        let ask = *ask;
        let answer = line.await.ok().flatten().unwrap_or(Answer::Deny { reason: None });
        self.open = None;
        self.show_next();
        (ask, answer)
    }

    fn show_next(&mut self) {
        if self.open.is_some() {
            return;
        }
        let Some((ask, AskKind::Permission { title, detail, rule, .. })) = self.waiting.pop_front() else {
            return;
        };
        let (title, detail, rule) = (printer::plain(&title), printer::plain(&detail), printer::plain(&rule));
        // What was typed before the question is no answer to it. (It is none either when this fails.)
        let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        printer::err(&format!(
            "\n{title}\n{}\nallow? [y]es · [n]o (a reason may follow) · [a]lways in this session: `{rule}` > ",
            indented(&detail)
        ));
        let (sender, receiver) = oneshot::channel();
        // A thread of its own: a read from a terminal cannot be cancelled, and must not keep the runtime.
        std::thread::spawn(move || {
            let _ = sender.send(read_answer());
        });
        self.open = Some((ask, receiver));
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Reads lines until one is an answer; `None` at the end of input.
fn read_answer() -> Option<Answer> {
    loop {
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) => match parse(&line) {
                Some(answer) => return Some(answer),
                None => printer::err("please answer `y`, `n` or `a` > "),
            },
        }
    }
}

fn parse(line: &str) -> Option<Answer> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word.to_lowercase().as_str() {
        "y" | "yes" => Some(Answer::Allow),
        "a" | "always" => Some(Answer::AllowSession),
        "n" | "no" => {
            let reason = Some(rest.trim().to_owned()).filter(|reason| !reason.is_empty());
            Some(Answer::Deny { reason })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_answers() {
        assert_eq!(parse("y\n"), Some(Answer::Allow));
        assert_eq!(parse(" Always "), Some(Answer::AllowSession));
        assert_eq!(
            parse("n use make instead\n"),
            Some(Answer::Deny { reason: Some("use make instead".into()) })
        );
        assert_eq!(parse("NO"), Some(Answer::Deny { reason: None }));
        assert_eq!(parse("yy"), None);
        assert_eq!(parse(""), None);
    }
}
