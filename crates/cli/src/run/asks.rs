//! Asks at a terminal: what would happen is shown, one line answers.

use std::collections::VecDeque;

use codetether_event::{Answer, AskId, AskKind, Question};

use crate::printer;
use crate::run::choice;
use crate::run::progress;
use crate::run::typed::Typed;

pub(crate) struct Asks {
    attended: bool,
    waiting: VecDeque<(AskId, AskKind)>,
    open: Option<(AskId, Offered)>,
    lines: Option<Typed>,
}

impl Asks {
    pub(crate) fn new(attended: bool) -> Self {
        Self { attended, waiting: VecDeque::new(), open: None, lines: None }
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
        if self.open.take_if(|(open, _)| *open == ask).is_some() {
            printer::err("\nno answer is needed any more\n");
            self.show_next();
        }
    }

    /// The next answer; pends for ever while nothing is asked.
    pub(crate) async fn next(&mut self) -> (AskId, Answer) {
        loop {
            let (Some((ask, offered)), Some(lines)) = (&self.open, &mut self.lines) else {
                return std::future::pending().await;
            };
            let answer = match lines.next().await {
                None => Some(Answer::Deny { reason: None }),
                Some(line) => offered.parse(&line),
            };
            if let Some(answer) = answer {
                let ask = *ask;
                self.open = None;
                self.show_next();
                return (ask, answer);
            }
            printer::err(&offered.again());
        }
    }

    fn show_next(&mut self) {
        if self.open.is_some() {
            return;
        }
        let Some((ask, kind)) = self.waiting.pop_front() else { return };
        let shown = printer::plain(&format!("{}{}", by(&kind), question(&kind)));
        let offered = match kind {
            AskKind::Question(question) => Offered::Options(question),
            kind => Offered::Permission { rules: !kind.rules().is_empty(), file: kind.file().is_some() },
        };
        let lines = self.lines.get_or_insert_with(Typed::start);
        // What was typed before the question is no answer to it. (It is none either when this fails.)
        let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        lines.forget();
        printer::err(&shown);
        self.open = Some((ask, offered));
    }
}

/// What may be answered.
#[derive(Debug, Clone)]
enum Offered {
    /// Yes or no, and for longer than once where there are rules that would allow it, and a file to write them to.
    Permission { rules: bool, file: bool },
    /// What there is to choose from, or words.
    Options(Question),
}

impl Offered {
    fn parse(&self, line: &str) -> Option<Answer> {
        match self {
            Self::Permission { rules, file } => parse(line, *rules, *file),
            Self::Options(question) => choice::parse(line, question),
        }
    }

    /// Asks for another answer than the last.
    fn again(&self) -> String {
        match self {
            Self::Permission { rules: false, .. } => "please answer `y` or `n` > ".to_owned(),
            Self::Permission { file: false, .. } => "please answer `y`, `s` or `n` > ".to_owned(),
            Self::Permission { .. } => "please answer `y`, `s`, `a` or `n` > ".to_owned(),
            Self::Options(question) => choice::again(question),
        }
    }
}

/// What is shown: the exact command or change, why it is asked about, and what an answer would do.
fn question(kind: &AskKind) -> String {
    let (why, rules, file) = (kind.why(), kind.rules(), kind.file());
    let mut text = match asked(kind) {
        AskKind::Child { .. } => String::new(),
        AskKind::Permission { title, detail, .. } => format!("\n{title}\n{}", indented(detail)),
        AskKind::Egress { target, .. } => {
            format!("\nthe command that runs wants to reach `{target}`, and waits\n")
        }
        AskKind::Question(question) => return choice::shown(question),
    };
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

/// What is asked in the end, where a child asks, or a child of it.
fn asked(kind: &AskKind) -> &AskKind {
    match kind {
        AskKind::Child { asks, .. } => asked(asks),
        kind => kind,
    }
}

/// Who asks, where it is a child.
fn by(kind: &AskKind) -> String {
    match kind {
        AskKind::Child { session, asks, .. } => match &**asks {
            AskKind::Child { .. } => by(asks),
            _ => format!("\nchild {} asks:", progress::short(*session)),
        },
        _ => String::new(),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn parse(line: &str, rules: bool, file: bool) -> Option<Answer> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word.to_lowercase().as_str() {
        "y" | "yes" => Some(Answer::Allow),
        "s" | "session" => rules.then_some(Answer::AllowSession),
        "a" | "always" => (rules && file).then_some(Answer::AllowAlways),
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
        let all = |line| parse(line, true, true);
        assert_eq!(all("y\n"), Some(Answer::Allow));
        assert_eq!(all(" Always "), Some(Answer::AllowAlways));
        assert_eq!(all("s"), Some(Answer::AllowSession));
        let reason = Some("use make instead".into());
        assert_eq!(all("n use make instead\n"), Some(Answer::Deny { reason }));
        assert_eq!(all("NO"), Some(Answer::Deny { reason: None }));
        assert_eq!(all("yy"), None);
        assert_eq!(all(""), None);
        assert_eq!(parse("a", true, false), None, "nothing is accepted that does nothing");
        assert_eq!(parse("s", false, false), None);
    }
}
