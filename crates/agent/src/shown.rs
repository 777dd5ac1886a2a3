//! What a command's output goes through before anyone sees it: what comes from a terminal becomes plain lines, and known
//! secrets are taken out.

use std::sync::Arc;

use codetether_sandbox::{Filter, Screen};
use codetether_secret::{Redactor, Stream};
use tokio::sync::watch;

/// The filter of one command.
pub(crate) struct Shown {
    screen: Option<Screen>,
    stream: Stream,
    redactor: Arc<Redactor>,
    /// Where the line goes that is being written: a prompt has no end.
    line: Option<Arc<watch::Sender<String>>>,
}

impl Shown {
    pub(crate) fn new(redactor: &Arc<Redactor>, is_terminal: bool) -> Self {
        let screen = is_terminal.then(Screen::default);
        Self { screen, stream: redactor.stream(), redactor: redactor.clone(), line: None }
    }

    /// The same, with the line that is being written at a terminal kept up to date there.
    pub(crate) fn with_line(
        redactor: &Arc<Redactor>,
        is_terminal: bool,
        line: Arc<watch::Sender<String>>,
    ) -> Self {
        Self { line: Some(line), ..Self::new(redactor, is_terminal) }
    }
}

impl Filter for Shown {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(screen) = &mut self.screen else { return self.stream.push(bytes, out) };
        let mut lines = String::new();
        screen.push(bytes, &mut lines);
        self.stream.push(lines.as_bytes(), out);
        if let Some(line) = &self.line {
            line.send_replace(self.redactor.redact(&screen.line()).into_owned());
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(screen) = &mut self.screen {
            let mut lines = String::new();
            screen.finish(&mut lines);
            self.stream.push(lines.as_bytes(), out);
        }
        self.stream.finish(out);
        if let Some(line) = &self.line {
            line.send_replace(String::new());
        }
    }
}
