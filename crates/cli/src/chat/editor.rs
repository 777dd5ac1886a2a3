//! Where a person's lines come from: a line editor on a thread of its own, since it cannot be waited for otherwise; or, at a
//! terminal that cannot move its cursor, whole lines as the kernel gives them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::error::ReadlineError;
use rustyline::history::{History as _, MemHistory};
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Editor, Event, EventContext,
    EventHandler, KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use tokio::sync::mpsc;

use crate::chat::complete::{Completion, Words};
use crate::chat::history::{ENTRIES, History};
use crate::chat::terminal;
use crate::exit::{Exit, Failure};
use crate::printer;
use crate::run::typed::Typed;

/// What came of asking for a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Line(String),
    /// Ctrl-C; whether there was nothing on the line.
    Interrupt {
        empty: bool,
    },
    /// Ctrl-D, or nobody is there any more.
    End,
}

/// What happens while the model works.
pub(super) enum Happened {
    /// A key was pressed, and not read.
    Key,
    Heard(Heard),
}

pub(super) enum Input {
    Edited { wants: blocking::Sender<String>, heard: mpsc::UnboundedReceiver<Heard>, keys: Typed },
    Plain { typed: Typed, begun: String },
}

impl Input {
    pub(super) fn start(plain: bool, history: &History, words: Words) -> Result<Self, Failure> {
        if plain {
            return Ok(Self::Plain { typed: Typed::start(), begun: String::new() });
        }
        let config = Config::builder()
            .color_mode(ColorMode::Disabled)
            .completion_type(CompletionType::List)
            .max_history_size(ENTRIES)
            .map_err(unusable)?
            .bracketed_paste(true)
            .build();
        let mut past = MemHistory::with_config(&config);
        for entry in history.entries() {
            past.add_owned(entry).map_err(unusable)?;
        }
        let mut editor: Editor<Completion, MemHistory> =
            Editor::with_history(config, past).map_err(unusable)?;
        editor.set_helper(Some(Completion(words)));
        let empty = Arc::new(AtomicBool::new(true));
        let joints = Arc::<Mutex<Vec<usize>>>::default();
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), EventHandler::Simple(new_line()));
        editor.bind_sequence(
            KeyEvent(KeyCode::Enter, Modifiers::NONE),
            EventHandler::Conditional(Box::new(Enter { joints: Arc::clone(&joints) })),
        );
        let interrupt = Interrupt { empty: Arc::clone(&empty) };
        editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(interrupt)));
        let (wants, wanted) = blocking::channel::<String>();
        let (told, heard) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            while let Ok(prompt) = wanted.recv() {
                joints.lock().unwrap_or_else(PoisonError::into_inner).clear();
                let line = editor.readline(&prompt);
                terminal::editing(false);
                let heard = match line {
                    Ok(line) => {
                        let line = joined(line, &mut joints.lock().unwrap_or_else(PoisonError::into_inner));
                        // What is only in memory can always be added.
                        let _ = editor.add_history_entry(line.as_str());
                        Heard::Line(line)
                    }
                    Err(ReadlineError::Interrupted) => {
                        Heard::Interrupt { empty: empty.swap(true, Ordering::SeqCst) }
                    }
                    Err(_) => Heard::End,
                };
                if told.send(heard).is_err() {
                    break;
                }
            }
        });
        Ok(Self::Edited { wants, heard, keys: Typed::start() })
    }

    /// A line is wanted, after this prompt. Then `next` gives it.
    pub(super) fn ask(&mut self, prompt: &str) {
        match self {
            Self::Edited { wants, .. } => {
                terminal::editing(true);
                if wants.send(prompt.to_owned()).is_err() {
                    terminal::editing(false);
                }
            }
            Self::Plain { begun, .. } => {
                begun.clear();
                printer::err(prompt);
            }
        }
    }

    /// What came of it. Can be given up and waited for again.
    pub(super) async fn next(&mut self) -> Heard {
        match self {
            Self::Edited { heard, .. } => heard.recv().await.unwrap_or(Heard::End),
            Self::Plain { typed, begun } => loop {
                let Some(line) = typed.next().await else { return Heard::End };
                let line = line.trim_end_matches(['\n', '\r']);
                match line.strip_suffix('\\') {
                    Some(more) => *begun += &format!("{more}\n"),
                    None => return Heard::Line(std::mem::take(begun) + line),
                }
            },
        }
    }

    /// What happens while nobody need type anything: a key, or where a line was asked for after it, that line.
    pub(super) async fn happens(&mut self, is_asked: bool) -> Happened {
        match self {
            Self::Edited { keys, .. } if !is_asked => {
                keys.ready().await;
                Happened::Key
            }
            Self::Edited { .. } | Self::Plain { .. } => Happened::Heard(self.next().await),
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain { .. })
    }
}

fn unusable(error: ReadlineError) -> Failure {
    Failure::with_help(
        Exit::Failed,
        format!("the terminal cannot be used to edit lines: {error}"),
        "`TERM=dumb codetether chat` reads plain lines",
    )
}

fn new_line() -> Cmd {
    Cmd::Insert(1, "\n".to_owned())
}

/// Enter: behind a backslash at the end it begins another line. Remembers where, since a backslash that was pasted stays.
struct Enter {
    joints: Arc<Mutex<Vec<usize>>>,
}

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, at: &EventContext<'_>) -> Option<Cmd> {
        let goes_on = at.pos() == at.line().len() && at.line().ends_with('\\');
        goes_on.then(|| {
            self.joints.lock().unwrap_or_else(PoisonError::into_inner).push(at.pos());
            new_line()
        })
    }
}

/// The line without the backslashes behind which it went on.
fn joined(mut line: String, joints: &mut Vec<usize>) -> String {
    joints.sort_unstable();
    joints.dedup();
    for joint in joints.drain(..).rev() {
        let at = joint.saturating_sub(1);
        // What was edited afterwards may have moved it.
        if line.get(at..=joint) == Some("\\\n") {
            line.remove(at);
        }
    }
    line
}

/// Ctrl-C: remembers whether there was anything to throw away.
struct Interrupt {
    empty: Arc<AtomicBool>,
}

impl ConditionalEventHandler for Interrupt {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, at: &EventContext<'_>) -> Option<Cmd> {
        self.empty.store(at.line().is_empty(), Ordering::SeqCst);
        Some(Cmd::Interrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_backslashes_that_were_typed_for_it_go() {
        let line = "a\\\nb \\\nc".to_owned();
        assert_eq!(joined(line.clone(), &mut vec![2]), "a\nb \\\nc");
        assert_eq!(joined(line.clone(), &mut vec![2, 6]), "a\nb \nc");
        assert_eq!(joined(line.clone(), &mut vec![1, 3, 99]), line);
    }
}
