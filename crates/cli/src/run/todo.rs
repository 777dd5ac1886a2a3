//! What the model has set itself to do, for a person who watches: short, and without what is long done.

use codetether_event::{TodoItem, TodoState};

use crate::run::progress::shortened;

/// Things to do that are shown.
const SHOWN: usize = 8;

/// The lines: how much is done, then what is being done and what comes next.
pub(crate) fn lines(items: &[TodoItem]) -> String {
    let done = items.iter().filter(|item| item.state == TodoState::Done).count();
    let mut text = format!("to do: {done} of {} done", items.len());
    let open: Vec<&TodoItem> = items.iter().filter(|item| item.state != TodoState::Done).collect();
    for item in open.iter().take(SHOWN) {
        text.push_str(&format!("\n  {} {}", item.state.mark(), shortened(&item.text)));
    }
    if open.len() > SHOWN {
        text.push_str(&format!("\n  … {} more", open.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_counted_and_what_is_open_is_shown() {
        let item = |text: &str, state| TodoItem { text: text.into(), state };
        let mut items = vec![item("read", TodoState::Done), item("mend\u{1b}", TodoState::InProgress)];
        assert_eq!(lines(&items), "to do: 1 of 2 done\n  [>] mend\\u{1b}");
        items.extend((0..9).map(|n| item(&n.to_string(), TodoState::Pending)));
        assert!(lines(&items).ends_with("\n  [ ] 6\n  … 2 more"), "{}", lines(&items));
        assert_eq!(lines(&[]), "to do: 0 of 0 done");
    }
}
