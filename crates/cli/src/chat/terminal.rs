//! The terminal's modes. What they were is remembered before anything else, and is so again whenever the program ends, also
//! by a signal or in the middle of a breakdown.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::exit::{Exit, Failure};
use crate::printer;

const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";
/// How long the editor's thread may take from being told to read a line until it does.
const PATIENCE: u32 = 100;

static ORIGINAL: OnceLock<Termios> = OnceLock::new();
/// Whether the editor reads a line, or is about to.
static EDITING: AtomicBool = AtomicBool::new(false);
/// Whether the terminal was told to mark what is pasted.
static MARKS_PASTES: AtomicBool = AtomicBool::new(false);

/// Remembers the modes, and sees to it that a breakdown leaves them as they are now.
pub(super) fn remember() -> Result<(), Failure> {
    let modes = tcgetattr(std::io::stdin())
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot read the terminal's modes: {error}")))?;
    let _ = ORIGINAL.set(modes);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        hook(panic);
    }));
    Ok(())
}

/// The modes as they were.
pub(super) fn restore() {
    let Some(original) = ORIGINAL.get() else { return };
    let put_back = || tcsetattr(std::io::stdin(), OptionalActions::Now, original).is_ok() && !is_raw();
    // The editor's thread may be on its way into its own modes, and what it sets after this would stay; a signal may come
    // between. So it is looked at whether it holds.
    let holds = (0..PATIENCE).any(|_| {
        let due = !EDITING.load(Ordering::SeqCst) || is_raw();
        let holds = due && put_back();
        if !holds {
            std::thread::sleep(Duration::from_millis(1));
        }
        holds
    });
    if !holds {
        put_back();
    }
    if EDITING.load(Ordering::SeqCst) || MARKS_PASTES.swap(false, Ordering::SeqCst) {
        printer::err(PASTE_OFF);
    }
}

fn is_raw() -> bool {
    tcgetattr(std::io::stdin()).map_or(true, |modes| !modes.local_modes.contains(LocalModes::ISIG))
}

/// Whether the editor has the terminal.
pub(super) fn editing(is: bool) {
    EDITING.store(is, Ordering::SeqCst);
}

/// Each key is there at once and not shown; Ctrl-C is a signal.
pub(super) fn keys() {
    let Some(mut modes) = ORIGINAL.get().cloned() else { return };
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    modes.local_modes.insert(LocalModes::ISIG);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
    // The editor turns it off whenever it has read a line.
    MARKS_PASTES.store(true, Ordering::SeqCst);
    printer::err(PASTE_ON);
}

/// Whole lines, shown as they are typed; Ctrl-C is a signal.
pub(super) fn lines() {
    let Some(mut modes) = ORIGINAL.get().cloned() else { return };
    modes.local_modes.insert(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
    if MARKS_PASTES.swap(false, Ordering::SeqCst) {
        printer::err(PASTE_OFF);
    }
}
