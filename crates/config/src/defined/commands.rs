//! Slash commands: templates of prompts. `/name what follows` becomes the template with what follows in its places. A
//! template is text and nothing else: no command in it is run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::defined::agents::first_line;
use crate::defined::front::{Front, Strictness};
use crate::defined::places::{Entry, broken, entries, is_name, unknown};
use crate::defined::{Defined, FindError, Kind, Place, Places};
use crate::{ConfigError, Model};

/// Longest prompt that a command makes, in bytes.
const EXPANDED: usize = 1 << 20;

/// The keys of a command's file.
const KEYS: [&str; 4] = ["description", "argument-hint", "agent", "model"];

/// A slash command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name, without the slash.
    pub name: String,
    /// What it is for, in a line.
    pub description: String,
    /// What follows it, for people.
    pub argument_hint: Option<String>,
    /// The agent that does it, where no flag names one.
    pub agent: Option<String>,
    /// The model that is asked, where no flag names one.
    pub model: Option<Model>,
    /// The template.
    pub template: String,
    /// Where it is from.
    pub from: Place,
}

/// What became of a prompt that is a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The command.
    pub command: Command,
    /// The prompt.
    pub text: String,
    /// Commands of a shell in the template, which are not run: how many.
    pub shell: usize,
}

/// Why a prompt that looks like a command is none.
#[derive(Debug)]
pub enum CommandError {
    /// There is none of this name, or its file is wrong.
    Find(FindError),
    /// What comes of it is too long.
    TooLong {
        /// The command.
        name: String,
    },
}

/// All commands.
#[must_use]
pub fn commands(places: Places<'_>) -> Defined<Command> {
    let mut problems = Vec::new();
    let entries = entries(Kind::Commands, places, &mut problems);
    let mut defined = Defined { all: Vec::new(), broken: broken(problems, Kind::Commands) };
    for entry in entries.values() {
        match read(entry) {
            Ok(command) => defined.all.push(command),
            Err(error) => defined.broken.push(error),
        }
    }
    defined
}

/// The command of this name.
///
/// # Errors
/// When there is none, or its file is wrong.
pub fn command(places: Places<'_>, name: &str) -> Result<Command, FindError> {
    let entries = entries(Kind::Commands, places, &mut Vec::new());
    one(&entries, places, name)
}

fn one(entries: &BTreeMap<String, Entry<'_>>, places: Places<'_>, name: &str) -> Result<Command, FindError> {
    match entries.get(name) {
        Some(entry) => read(entry).map_err(FindError::Broken),
        None => Err(unknown(Kind::Commands, places, name, entries.keys().map(String::as_str))),
    }
}

/// The commands that what was typed so far may become, `/` and all.
#[must_use]
pub fn complete(places: Places<'_>, typed: &str) -> Vec<Command> {
    let Some(begun) = typed.strip_prefix('/') else { return Vec::new() };
    commands(places).all.into_iter().filter(|command| command.name.starts_with(begun)).collect()
}

/// What a prompt becomes that begins with a command; nothing where it is text. A word with a further slash is a path, and
/// so is one that names something at the top of the file system, where there is no command of that name.
///
/// # Errors
/// When it looks like a command and is none, or what comes of it is too long.
pub fn expand(places: Places<'_>, prompt: &str) -> Result<Option<Expanded>, CommandError> {
    let Some(typed) = prompt.strip_prefix('/') else { return Ok(None) };
    let (name, arguments) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
    if !is_name(name) {
        return Ok(None);
    }
    let entries = entries(Kind::Commands, places, &mut Vec::new());
    if !entries.contains_key(name) && Path::new("/").join(name).symlink_metadata().is_ok() {
        return Ok(None);
    }
    let command = one(&entries, places, name).map_err(CommandError::Find)?;
    let text = filled(&command.template, arguments.trim())
        .ok_or_else(|| CommandError::TooLong { name: name.to_owned() })?;
    let shell = command.template.matches("!`").count();
    Ok(Some(Expanded { command, text, shell }))
}

fn read(entry: &Entry<'_>) -> Result<Command, ConfigError> {
    let text = entry.text(Kind::Commands)?;
    let foreign = entry.from.foreign;
    let strictness = if foreign { Strictness::Foreign } else { Strictness::Ours };
    let mut front = Front::read(&entry.from.path, &text, strictness);
    let template = front.body.trim().to_owned();
    let description = front.string("description");
    let argument_hint = front.string("argument-hint");
    // Another program's names of agents and models are not ours.
    let agent = front.string("agent").filter(|_| !foreign);
    let model =
        front.parsed("model", "write it as `provider/model`, such as `openai/gpt-5`").filter(|_| !foreign);
    if template.is_empty() {
        front.missing("it holds no text".into(), "write below its head what is to be said to the model");
    }
    front.end(&entry.called(Kind::Commands), &KEYS)?;
    let description = description.unwrap_or_else(|| first_line(&template));
    Ok(Command {
        name: entry.name.clone(),
        description,
        argument_hint,
        agent,
        model,
        template,
        from: entry.from.clone(),
    })
}

/// The template with what follows the command in its places: `$ARGUMENTS` is all of it, `$1` to `$9` are its words. What
/// is put in is not looked at again. Where the template has no place for it, it follows at the end.
fn filled(template: &str, arguments: &str) -> Option<String> {
    let words = words(arguments);
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    let mut placed = false;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        // A longer word, or a longer number, is another.
        let whole = |rest: &&str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let digit = after.chars().next().and_then(|c| c.to_digit(10)).filter(|digit| *digit > 0);
        let escaped = text.ends_with('\\');
        let all = after.strip_prefix("ARGUMENTS").filter(whole);
        let nth = digit.zip(after.get(1..).filter(|rest| whole(rest)));
        rest = match (all, nth) {
            (Some(_), _) | (_, Some(_)) if escaped => {
                text.pop();
                text.push('$');
                after
            }
            (Some(rest), _) => {
                placed = true;
                text.push_str(arguments);
                rest
            }
            (None, Some((digit, rest))) => {
                placed = true;
                let at = usize::try_from(digit).unwrap_or_default().saturating_sub(1);
                text.push_str(words.get(at).map(String::as_str).unwrap_or_default());
                rest
            }
            (None, None) => {
                text.push('$');
                after
            }
        };
        if text.len() > EXPANDED {
            return None;
        }
    }
    text.push_str(rest);
    if !placed && !arguments.is_empty() {
        text.push_str("\n\n");
        text.push_str(arguments);
    }
    (text.len() <= EXPANDED).then_some(text)
}

/// The words of a text; quotes hold blanks together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            // Only at the start of a word: elsewhere it is an apostrophe.
            (None, '"' | '\'') if word.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_command_goes_into_its_places_once() {
        let check = |template, arguments, wanted: &str| {
            assert_eq!(filled(template, arguments).as_deref(), Some(wanted), "{template}");
        };
        check("Review $1 against $2: $ARGUMENTS.", "a 'b c'", "Review a against b c: a 'b c'.");
        check("$1$2$3", "it's $2", "it's$2");
        check("no place", "more", "no place\n\nmore");
        check("no place", "", "no place");
        check(
            r"\$1 costs $10, $0, $ARGUMENTS_X, $$ and $",
            "x",
            "$1 costs $10, $0, $ARGUMENTS_X, $$ and $\n\nx",
        );
        check("<$9>", "a b", "<>");
        check("é$1é", "ü", "éüé");
        check("é $1.", "ü", "é ü.");
        assert_eq!(filled(&"$ARGUMENTS".repeat(100_000), &"x".repeat(1_000)), None);
    }
}
