//! What a line that begins with `/` does: one table, a command a row.

use std::future::Future;
use std::pin::Pin;

use codetether_event::{Event, Op, Principal};
use codetether_journal::Indexed;

use crate::args::{mode, model};
use crate::chat::{Chat, figures};
use crate::commands::session::About;
use crate::commands::undo::live;
use crate::exit::{Exit, Failure};
use crate::{models, printer};

/// What follows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    GoOn,
    /// A model is asked for a summary, which is watched as a prompt is.
    Compact,
    Leave,
}

type Done<'a> = Pin<Box<dyn Future<Output = Result<After, Failure>> + 'a>>;

/// A command: how it is called, what it does in words, and the doing.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) takes: &'static str,
    pub(super) about: &'static str,
    pub(super) run: for<'a> fn(&'a mut Chat, &'a str) -> Done<'a>,
}

/// All commands, as `/help` lists them.
pub(super) const COMMANDS: &[Row] = &[
    Row {
        name: "help",
        takes: "[COMMAND]",
        about: "list what can be typed, or tell one command",
        run: |_, name| Box::pin(help(name)),
    },
    Row {
        name: "model",
        takes: "[PROVIDER/MODEL]",
        about: "ask another model from here on, or say which one",
        run: |chat, name| Box::pin(choose_model(chat, name)),
    },
    Row {
        name: "mode",
        takes: "[MODE]",
        about: "what may happen without asking: plan, ask, auto-edit, bypass",
        run: |chat, name| Box::pin(choose_mode(chat, name)),
    },
    Row {
        name: "agent",
        takes: "[NAME]",
        about: "let another agent do it from here on, or say which",
        run: |chat, name| Box::pin(choose_agent(chat, name)),
    },
    Row {
        name: "compact",
        takes: "",
        about: "put a summary in the place of what was said",
        run: |_, _| Box::pin(async { Ok(After::Compact) }),
    },
    Row {
        name: "undo",
        takes: "[N] [--conversation]",
        about: "take back what the last step (or N steps) changed in files; what was said, too",
        run: |chat, steps| Box::pin(undo(chat, steps)),
    },
    Row {
        name: "redo",
        takes: "",
        about: "do again what `/undo` took back",
        run: |chat, _| Box::pin(redo(chat)),
    },
    Row {
        name: "diff",
        takes: "",
        about: "show what this session changed in files",
        run: |chat, _| Box::pin(async { chat.session()?.look(live::diff) }),
    },
    Row {
        name: "changes",
        takes: "",
        about: "list the files that this session changed, by step",
        run: |chat, _| Box::pin(async { chat.session()?.look(live::changes) }),
    },
    Row {
        name: "cost",
        takes: "",
        about: "tokens and money of this session",
        run: |chat, _| Box::pin(async { figures::told(chat.session()?) }),
    },
    Row {
        name: "resume",
        takes: "[ID]",
        about: "go on with an earlier session, or list this folder's",
        run: |chat, id| Box::pin(resume(chat, id)),
    },
    Row {
        name: "new",
        takes: "",
        about: "begin a new session in this folder",
        run: |chat, _| Box::pin(async { chat.begin_anew().await.map(|()| After::GoOn) }),
    },
    Row {
        name: "fork",
        takes: "[STEP]",
        about: "go on in a new session that shares this one's past, up to a step or all of it",
        run: |chat, step| Box::pin(async { chat.fork(step).await.map(|()| After::GoOn) }),
    },
    Row {
        name: "title",
        takes: "[TEXT]",
        about: "give this session a title, or say which it has",
        run: |chat, text| Box::pin(title(chat, text)),
    },
    Row {
        name: "exit",
        takes: "",
        about: "leave; so does Ctrl-D",
        run: |_, _| Box::pin(async { Ok(After::Leave) }),
    },
];

const KEYS: &str = "\
Enter sends · Alt-Enter, or a backslash at the end, begins another line
Tab completes commands and, after `@`, paths · Ctrl-R searches what was typed
Ctrl-C stops a turn, and twice at an empty prompt leaves · Ctrl-D leaves
what you type while the model works is taken in at its next step
";

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|row| row.name)
}

/// The command that a line calls, and what stands behind it. `None` for a line that is a prompt: a path may begin one.
pub(super) fn called(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix('/')?;
    let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    (!name.contains('/')).then_some((name, rest.trim()))
}

/// Does what a line calls.
pub(super) async fn run(chat: &mut Chat, name: &str, rest: &str) -> Result<After, Failure> {
    let row = COMMANDS.iter().find(|row| row.name == name).ok_or_else(|| unknown(name))?;
    if row.takes.is_empty() && !rest.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("`/{name}` takes nothing behind it")));
    }
    (row.run)(chat, rest).await
}

fn unknown(name: &str) -> Failure {
    let mut near: Vec<(f64, &str)> =
        names().map(|known| (strsim::jaro_winkler(name, known), known)).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    let near: Vec<String> = near
        .iter()
        .filter(|(score, _)| *score > 0.75)
        .take(3)
        .map(|(_, name)| format!("`/{name}`"))
        .collect();
    let help = match near.is_empty() {
        true => "`/help` lists them".to_owned(),
        false => format!("did you mean {}? `/help` lists them all", near.join(" or ")),
    };
    let name = crate::run::progress::shortened(name);
    Failure::with_help(Exit::Usage, format!("there is no command `/{name}`"), help)
}

async fn help(asked: &str) -> Result<After, Failure> {
    let line = |Row { name, takes, about, .. }: &Row| {
        format!("  {:<24} {about}\n", format!("/{name} {takes}").trim_end())
    };
    let asked = asked.strip_prefix('/').unwrap_or(asked);
    printer::err(&match asked {
        "" => COMMANDS.iter().map(line).collect::<String>() + KEYS,
        asked => COMMANDS.iter().find(|row| row.name == asked).map(line).ok_or_else(|| unknown(asked))?,
    });
    Ok(After::GoOn)
}

async fn choose_model(chat: &mut Chat, name: &str) -> Result<After, Failure> {
    if name.is_empty() {
        printer::err(&format!("{}; `/model PROVIDER/MODEL` chooses another\n", chat.turn.model));
        return Ok(After::GoOn);
    }
    if models::is_known(&chat.settings, name) {
        return Err(Failure::new(Exit::Usage, models::is_provider(name)));
    }
    let chosen = model(name).map_err(|problem| Failure::new(Exit::Usage, problem))?;
    chat.change(|args| (args.model, args.local) = (Some(chosen), false)).await?;
    printer::err(&format!("{} is asked from here on\n", chat.turn.model));
    Ok(After::GoOn)
}

async fn choose_mode(chat: &mut Chat, name: &str) -> Result<After, Failure> {
    if name.is_empty() {
        printer::err(&format!(
            "{}; `/mode NAME` chooses another: plan, ask, auto-edit, bypass\n",
            chat.turn.mode
        ));
        return Ok(After::GoOn);
    }
    let chosen = mode(name)
        .map_err(|problem| Failure::new(Exit::Usage, format!("there is no mode `{name}`: {problem}")))?;
    chat.change(|args| (args.mode, args.yes) = (Some(chosen), false)).await?;
    let sandbox = crate::run::progress::unconfined(chat.turn.confinement);
    let holds = chat.turn.mode;
    let told = match chat.turn.agent.as_deref() {
        Some(agent) if holds != chosen => {
            format!("mode {chosen} is kept; agent `{}` narrows it to {holds}{sandbox}", printer::plain(agent))
        }
        _ => format!("mode {holds}{sandbox} from here on"),
    };
    printer::err(&format!("{told}\n"));
    Ok(After::GoOn)
}

async fn choose_agent(chat: &mut Chat, name: &str) -> Result<After, Failure> {
    let agent = |chat: &Chat| printer::plain(chat.turn.agent.as_deref().unwrap_or("build")).to_string();
    if name.is_empty() {
        printer::err(&format!("{}; `/agent NAME` chooses another\n", agent(chat)));
        return Ok(After::GoOn);
    }
    let chosen = name.to_owned();
    chat.change(|args| args.agent = Some(chosen)).await?;
    printer::err(&format!("agent {} from here on\n", agent(chat)));
    Ok(After::GoOn)
}

async fn undo(chat: &mut Chat, steps: &str) -> Result<After, Failure> {
    const CONVERSATION: &str = "--conversation";
    let words: Vec<&str> = steps.split_whitespace().collect();
    let conversation = words.contains(&CONVERSATION);
    let steps: Vec<&str> = words.into_iter().filter(|word| *word != CONVERSATION).collect();
    let steps =
        match steps.join(" ").as_str() {
            "" => 1,
            steps => steps.parse().ok().filter(|steps| *steps > 0).ok_or_else(|| {
                Failure::new(Exit::Usage, "`/undo` takes a number of steps, such as `/undo 2`")
            })?,
        };
    let session = chat.session()?;
    let op = live::undo(&session.layout, session.id, steps, conversation)?;
    chat.carry_out(op).await.map(|()| After::GoOn)
}

async fn redo(chat: &mut Chat) -> Result<After, Failure> {
    let session = chat.session()?;
    let op = live::redo(&session.layout, session.id)?;
    chat.carry_out(op).await.map(|()| After::GoOn)
}

async fn resume(chat: &mut Chat, id: &str) -> Result<After, Failure> {
    match id {
        "" => chat.list()?,
        id => chat.take_up(id).await?,
    }
    Ok(After::GoOn)
}

async fn title(chat: &mut Chat, text: &str) -> Result<After, Failure> {
    let session = chat.session()?;
    if text.is_empty() {
        let records = codetether_journal::read::<Event>(session.layout.journal(session.id))?.records;
        let title = printer::plain(&About::entry(&records).title);
        printer::err(&format!("{title}; `/title TEXT` gives another\n"));
        return Ok(After::GoOn);
    }
    let open = chat.opened().await?;
    let renamed = open.hosted.submit(Principal::Local, Op::Rename { title: text.to_owned() }).await;
    renamed.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    printer::err(&format!("the title is now: {}\n", printer::plain(text)));
    Ok(After::GoOn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_command() {
        assert_eq!(called("/undo  2 "), Some(("undo", "2")));
        assert_eq!(called("/"), Some(("", "")));
        assert_eq!(called("/usr/bin/env is missing"), None);
        assert_eq!(called("what does /help do"), None);
    }

    #[test]
    fn what_is_not_there_has_a_suggestion() {
        assert_eq!(unknown("halp").help().as_deref(), Some("did you mean `/help`? `/help` lists them all"));
        assert_eq!(unknown("zzz").help().as_deref(), Some("`/help` lists them"));
    }
}
