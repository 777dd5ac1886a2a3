//! A command that prints a key. No shell: words, quotes, and nothing else, so that what runs is what is written. It
//! gets the environment of the program, as a helper of the user's own may need it.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use codetether_secret::Secret;

use crate::bounded::{Late, within};
use crate::{KeyError, LONGEST};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The first line that the command prints.
pub(crate) fn run(provider: &str, command: &str) -> Result<Secret, KeyError> {
    get(command, LIMIT).map_err(|reason| KeyError::Command { provider: provider.to_owned(), reason })
}

fn get(command: &str, limit: Duration) -> Result<Secret, String> {
    let words = words(command)?;
    let [program, arguments @ ..] = words.as_slice() else { return Err("it is empty".into()) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it says may hold anything, and would go where nothing takes secrets out.
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start `{program}`: {error}"))?;
    let stdout = child.stdout.take();
    let read = within(limit, move || {
        let mut bytes = Vec::new();
        let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        let ended = stdout.map(|pipe| pipe.take(most.saturating_add(1)).read_to_end(&mut bytes));
        ended.transpose().map(|_| bytes)
    });
    let end = |child: &mut Child| {
        let _ = child.kill();
        let _ = child.wait();
    };
    let bytes = match read {
        Ok(Ok(bytes)) if bytes.len() <= LONGEST => bytes,
        other => {
            end(&mut child);
            return Err(match other {
                Ok(Ok(_)) => format!("it printed more than {LONGEST} bytes"),
                Ok(Err(error)) => format!("cannot read what it prints: {error}"),
                Err(Late::Time) => format!("it took more than {} seconds", limit.as_secs()),
                Err(Late::Thread) => "there is no thread to wait for it".into(),
            });
        }
    };
    // Its output is closed; a helper that lingers on for no reason is not waited for for ever.
    let status = {
        let step = Duration::from_millis(5);
        let mut left = limit.min(Duration::from_secs(5));
        loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if !left.is_zero() => {
                    std::thread::sleep(step);
                    left = left.saturating_sub(step);
                }
                _ => {
                    end(&mut child);
                    return Err("it closed its output and did not end".into());
                }
            }
        }
    };
    if !status.success() {
        return Err(format!("it failed with {status}"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "what it printed is not UTF-8".to_owned())?;
    match text.trim() {
        "" => Err("it printed nothing".into()),
        key if key.contains('\n') => Err("it printed more than one line".into()),
        key => Ok(Secret::from(key.to_owned())),
    }
}

/// The words of a command, by the quoting of POSIX shells; nothing is expanded.
fn words(command: &str) -> Result<Vec<String>, String> {
    if let Some(words) = shlex::split(command) {
        return Ok(words);
    }
    // What stands after the last place where it could have ended was never closed. The text itself is not told, for it
    // may hold anything.
    let ends = command.char_indices().enumerate();
    let (at, open) = ends
        .filter(|(_, (byte, _))| command.get(..*byte).is_some_and(|start| shlex::split(start).is_some()))
        .last()
        .map_or((0, ' '), |(at, (_, open))| (at, open));
    let at = at.saturating_add(1);
    Err(match open {
        '\\' => format!(
            "the `\\` at its end (character {at}) has nothing to quote: leave it out, or write `\\\\`"
        ),
        open => format!(
            "the quote `{open}` at character {at} is not closed: write another `{open}` where the word ends, or `\\{open}` \
             where the character itself is meant"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &str) -> Result<String, String> {
        get(command, LIMIT).map(|key| key.expose().to_owned())
    }

    #[test]
    fn words_are_split_as_written_and_nothing_is_expanded() {
        assert_eq!(
            words(r#"pass  'a b' "c \"d\\ \e" f\ g '' $HOME;x"#).unwrap(),
            ["pass", "a b", r#"c "d\ \e"#, "f g", "", "$HOME;x"]
        );
        for (command, wrong) in [
            ("a 'b", "the quote `'` at character 3 is not closed"),
            ("ä 'b' \"c 'd' \\\" e", "the quote `\"` at character 7 is not closed"),
            (
                "pass it's",
                "the quote `'` at character 8 is not closed: write another `'` where the word ends",
            ),
            ("a b\\", "the `\\` at its end (character 4) has nothing to quote"),
        ] {
            let problem = words(command).unwrap_err();
            assert!(problem.starts_with(wrong), "{command}: {problem}");
        }
    }

    #[test]
    fn what_a_command_prints_is_a_key_or_an_error_says_why_not() {
        assert_eq!(shown("printf ' sk-1\\n'"), Ok("sk-1".into()));
        assert_eq!(shown("true"), Err("it printed nothing".into()));
        assert_eq!(shown("printf 'a\\nb\\n'"), Err("it printed more than one line".into()));
        assert!(shown("false").unwrap_err().contains("failed with"));
        assert!(shown("no-such-program-here").unwrap_err().contains("cannot start"));
        assert_eq!(shown(""), Err("it is empty".into()));
        assert_eq!(shown("head -c 20000 /dev/zero"), Err("it printed more than 16384 bytes".into()));
        assert_eq!(get("sleep 60", Duration::ZERO).map(|_| ()), Err("it took more than 0 seconds".into()));
    }
}
