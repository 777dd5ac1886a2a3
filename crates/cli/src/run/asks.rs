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
        let Some((ask, kind)) = self.waiting.pop_front() else { return };
        let AskKind::Permission { title, detail, why, rules, file, .. } = kind;
        let offered = Offered { rules: !rules.is_empty(), file: file.is_some() };
        // What was typed before the question is no answer to it. (It is none either when this fails.)
        let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        printer::err(&printer::plain(&question(&title, &detail, &why, &rules, file.as_deref())));
        let (sender, receiver) = oneshot::channel();
        // A thread of its own: a read from a terminal cannot be cancelled, and must not keep the runtime.
        std::thread::spawn(move || {
            let _ = sender.send(read_answer(offered));
        });
        self.open = Some((ask, receiver));
    }
}

/// What may be answered besides yes and no.
#[derive(Clone, Copy)]
struct Offered {
    /// There are rules that would allow it.
    rules: bool,
    /// There is a file to write them to.
    file: bool,
}

/// What is shown: the exact command or change, why it is asked about, and what an answer would do.
fn question(title: &str, detail: &str, why: &str, rules: &[String], file: Option<&str>) -> String {
    let mut text = format!("\n{title}\n{}", indented(detail));
    if !why.is_empty() {
        text.push_str(&format!("why: {why}\n"));
    }
    let mut choices = "allow? [y]es, once".to_owned();
    if !rules.is_empty() {
        let rules = rules.join("`, `");
        choices.push_str(" · this [s]ession");
        match file {
            Some(file) => {
                choices.push_str(" · [a]lways");
                text.push_str(&format!(
                    "session and always add the rule `{rules}`; always writes it to {file}\n"
                ));
            }
            None => text.push_str(&format!("session adds the rule `{rules}`\n")),
        }
    }
    choices.push_str(" · [n]o (a reason may follow) > ");
    text + &choices
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Reads lines until one is an answer; `None` at the end of input.
fn read_answer(offered: Offered) -> Option<Answer> {
    loop {
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) => match parse(&line, offered) {
                Some(answer) => return Some(answer),
                None if !offered.rules => printer::err("please answer `y` or `n` > "),
                None if !offered.file => printer::err("please answer `y`, `s` or `n` > "),
                None => printer::err("please answer `y`, `s`, `a` or `n` > "),
            },
        }
    }
}

fn parse(line: &str, offered: Offered) -> Option<Answer> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word.to_lowercase().as_str() {
        "y" | "yes" => Some(Answer::Allow),
        "s" | "session" => offered.rules.then_some(Answer::AllowSession),
        "a" | "always" => (offered.rules && offered.file).then_some(Answer::AllowAlways),
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
        let all = Offered { rules: true, file: true };
        assert_eq!(parse("y\n", all), Some(Answer::Allow));
        assert_eq!(parse(" Always ", all), Some(Answer::AllowAlways));
        assert_eq!(parse("s", all), Some(Answer::AllowSession));
        let reason = Some("use make instead".into());
        assert_eq!(parse("n use make instead\n", all), Some(Answer::Deny { reason }));
        assert_eq!(parse("NO", all), Some(Answer::Deny { reason: None }));
        assert_eq!(parse("yy", all), None);
        assert_eq!(parse("", all), None);
        assert_eq!(
            parse("a", Offered { rules: true, file: false }),
            None,
            "nothing is accepted that does nothing"
        );
        assert_eq!(parse("s", Offered { rules: false, file: false }), None);
    }
}
