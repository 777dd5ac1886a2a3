//! `codetether chat`: a plain line interface. A prompt is typed, the answer streams below it, and so on; one process keeps
//! one session over many turns. It draws no screen: what was printed stays as it is.

mod commands;
mod complete;
mod editor;
mod figures;
mod history;
mod signals;
mod terminal;
mod turn;

use std::collections::VecDeque;
use std::io::IsTerminal;

use clap::CommandFactory;
use codetether_agent::{Cursor, Hosted, SubmitError};
use codetether_config::Settings;
use codetether_config::defined::{Agent, Command};
use codetether_event::{
    Audience, Event, ModelId, Op, Outcome, Principal, ResponseFormat, SampleEvent, Seq, SessionId, TurnEvent,
    TurnId, TurnSettings,
};
use codetether_files::BlobStore;
use codetether_journal::{Catalogue, Filter, Layout};

use crate::args::{Args, TurnArgs};
use crate::chat::commands::After;
use crate::chat::complete::Words;
use crate::chat::editor::{Heard, Input};
use crate::chat::history::History;
use crate::chat::signals::{Signal, Signals};
use crate::chat::turn::{Desk, Turn, Watched};
use crate::commands::session::{About, time};
use crate::commands::undo::live::{self, Typed};
use crate::commands::version::BUILD;
use crate::defined::{self, Own, Told};
use crate::exit::{Exit, Failure};
use crate::run::compose::{self, Composed, Past, Target, Venue};
use crate::run::input::{self, Prompt};
use crate::run::watch::{Asked, verdict};
use crate::run::window::Probe;
use crate::trust::Project;
use crate::{facts, models, printer};

const PROMPT: &str = "> ";
/// Most bytes of a prompt that is typed or pasted.
const LONGEST: usize = 10 << 20;
/// Lines of an earlier answer that are shown when its session is taken up.
const RECALLED: usize = 20;
/// Sessions that are listed to choose from.
const LISTED: usize = 10;

/// Whether a terminal of this kind cannot move its cursor, so that nothing on it may be drawn twice.
pub(crate) fn is_plain(term: &str) -> bool {
    matches!(term, "" | "dumb" | "cons25" | "emacs")
}

/// No command at all: a chat where someone is there, else the help.
pub(crate) fn bare() -> Result<Exit, Failure> {
    if is_attended() {
        return run(&TurnArgs::default());
    }
    printer::err(&Args::command().render_help().to_string());
    Ok(Exit::Usage)
}

fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

pub(crate) fn run(args: &TurnArgs) -> Result<Exit, Failure> {
    if !is_attended() {
        return Err(Failure::with_help(
            Exit::Usage,
            "`chat` needs a terminal for its input and its output",
            "`codetether run \"…\"` does one job without; `codetether run --input-format jsonl --format jsonl` holds a \
             conversation with a program",
        ));
    }
    terminal::remember()?;
    let mut chat = Chat::enter(args.clone())?;
    let runtime = compose::runtime()?;
    let exit = runtime.block_on(chat.hold());
    terminal::restore();
    // The thread that waits for a line must not keep the program.
    runtime.shutdown_background();
    exit
}

/// A session that this process drives.
struct Open {
    hosted: Hosted,
    /// The last record that was seen.
    seen: Seq,
    /// The question how long the model's context is, until it was answered.
    window: Option<Probe>,
    /// As it was opened with.
    confinement: codetether_event::Confinement,
}

/// A session that has a journal.
struct Session {
    layout: Layout,
    id: SessionId,
}

impl Session {
    fn look(self, show: fn(&Layout, SessionId) -> Result<(), Failure>) -> Result<After, Failure> {
        show(&self.layout, self.id).map(|()| After::GoOn)
    }
}

/// Who takes part in a turn beside the model: its agent, and the skills.
struct Cast {
    agent: Agent,
    told: Told,
}

impl Cast {
    /// The turn with what they add to the system prompt.
    fn supplemented(&self, turn: TurnSettings, blobs: &BlobStore) -> Result<TurnSettings, Failure> {
        let supplement =
            self.told.supplement(&self.agent).map(|text| blobs.put(text.as_bytes())).transpose()?;
        Ok(TurnSettings { supplement, ..turn })
    }
}

/// The commands that files define here.
fn defined_names(project: &Project) -> Vec<String> {
    let own = Own::here();
    let known = codetether_config::defined::complete(own.places(project), "/");
    known.into_iter().map(|command| command.name).collect()
}

struct Chat {
    args: TurnArgs,
    settings: Settings,
    /// What holds in the turns to come.
    turn: TurnSettings,
    layout: Layout,
    root: std::path::PathBuf,
    /// What is opened with the first prompt.
    venue: Option<Venue>,
    open: Option<Open>,
    words: Words,
}

impl Chat {
    /// Settles which session, in which folder, by which settings. Opens nothing yet.
    fn enter(args: TurnArgs) -> Result<Self, Failure> {
        let venue = Venue::of(&args)?;
        let mut project = Project::at(&venue.root);
        let mut settings = compose::settings(&project, &args)?;
        if project.ask()? {
            settings = compose::settings(&project, &args)?;
        }
        printer::err(&project.left_out(&settings));
        let (turn, note, _) = Self::made(&project, &args, &mut settings, None, (false, ""))?;
        models::check_known(&settings, &turn.model)?;
        if let Some(note) = note {
            printer::err(&format!("{note}\n"));
        }
        recall(&venue);
        let (layout, root) = (venue.layout.clone(), venue.root.clone());
        let words = Words::default();
        let known = facts::named(&settings).into_iter().chain([turn.model.clone()]);
        let models = known.map(|model| model.to_string()).collect();
        words.set((root.clone(), layout.clone()), models, defined_names(&project));
        Ok(Self { args, settings, turn, layout, root, venue: Some(venue), open: None, words })
    }

    /// What a turn is made with: its settings, why it is this model where nobody chose it, the agent and the skills. The
    /// settings are narrowed by the agent.
    fn made(
        project: &Project,
        args: &TurnArgs,
        settings: &mut Settings,
        command: Option<&Command>,
        (quiet, prompt): (bool, &str),
    ) -> Result<(TurnSettings, Option<String>, Cast), Failure> {
        let own = Own::here();
        let places = own.places(project);
        let mut told = Told::of(places, compose::is_alone(args), quiet);
        let agent = defined::chosen(places, settings, command)?;
        let (turn, note) = compose::turn(
            args,
            settings,
            (&agent, &mut told),
            ResponseFormat::Text,
            (project.files().root(), prompt),
        )?;
        Ok((turn, note, Cast { agent, told }))
    }

    /// Reads lines and does what they say, until someone leaves.
    async fn hold(&mut self) -> Result<Exit, Failure> {
        let mut signals = Signals::new()?;
        let mut history = History::new();
        let plain = is_plain(&std::env::var("TERM").unwrap_or_default());
        let mut input = Input::start(plain, &history, self.words.clone())?;
        printer::err(&format!(
            "{BUILD} · {} · mode {}{} · {}\n/help lists commands, Ctrl-D leaves\n",
            self.turn.model,
            self.turn.mode,
            crate::run::progress::unconfined(self.turn.confinement),
            printer::plain(&self.root.display().to_string()),
        ));
        if self.args.fork.is_some()
            && let Err(failure) = self.opened().await
        {
            printer::err(&failure.shown());
        }
        let mut waits = VecDeque::<String>::new();
        let exit = loop {
            let line = match waits.pop_front() {
                Some(line) => line,
                None => match line(&mut input, &mut signals).await {
                    Some(line) => line,
                    None => break Exit::Done,
                },
            };
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            history.add(line);
            let called = commands::called(line).filter(|(name, _)| !self.is_defined(name));
            let watched = match called {
                Some((name, rest)) => match commands::run(self, name, rest).await {
                    Ok(After::GoOn) => continue,
                    Ok(After::Compact) => self.compact(&mut input, &mut signals).await,
                    Ok(After::Leave) => break Exit::Done,
                    Err(failure) => Err(failure),
                },
                None => self.prompt(line, &mut input, &mut signals).await,
            };
            let done = match watched {
                Ok(Watched { leave: true, .. }) => break Exit::Interrupted,
                Ok(watched) => {
                    waits.extend(watched.waits);
                    Ok(())
                }
                Err(failure) => Err(failure),
            };
            if let Err(failure) = done {
                printer::err(&failure.shown());
            }
        };
        self.close(&mut signals).await?;
        Ok(exit)
    }

    /// A turn.
    async fn prompt(
        &mut self,
        line: &str,
        input: &mut Input,
        signals: &mut Signals,
    ) -> Result<Watched, Failure> {
        if line.len() > LONGEST {
            return Err(Failure::with_help(
                Exit::Usage,
                "the prompt is longer than 10 MiB",
                "put it into a file of the project and name it with `@`",
            ));
        }
        let project = Project::at(&self.root);
        let own = Own::here();
        let (prompt, command) = defined::expanded(own.places(&project), Prompt::typed(line), false)?;
        let files = input::mentioned(&prompt.said, &self.root)?;
        let (turn, cast) = self.turn_of(&project, command.as_ref(), &prompt.whole)?;
        let sees = facts::facts(&self.settings, &turn.model).and_then(|facts| facts.images);
        let open = self.opened().await?;
        let content = input::input(&prompt.whole, files, sees != Some(false), open.hosted.blobs())?;
        let turn = cast.supplemented(turn, open.hosted.blobs())?;
        let model = turn.model.clone();
        let op = Op::Prompt { input: content, settings: Box::new(turn) };
        self.watched(op, model, input, signals).await
    }

    /// A summary in the place of what was said.
    async fn compact(&mut self, input: &mut Input, signals: &mut Signals) -> Result<Watched, Failure> {
        self.session()?;
        let project = Project::at(&self.root);
        let (turn, cast) = self.turn_of(&project, None, "")?;
        let open = self.opened().await?;
        let turn = cast.supplemented(turn, open.hosted.blobs())?;
        let model = turn.model.clone();
        self.watched(Op::Compact { settings: Some(Box::new(turn)) }, model, input, signals).await
    }

    /// The settings of the turn that begins now, as files define its agent and skills now.
    fn turn_of(
        &self,
        project: &Project,
        command: Option<&Command>,
        prompt: &str,
    ) -> Result<(TurnSettings, Cast), Failure> {
        let mut settings = compose::settings(project, &self.args)?;
        let (turn, _, cast) = Self::made(project, &self.args, &mut settings, command, (true, prompt))?;
        compose::check(&settings, &turn, &cast.told)?;
        if turn.confinement != self.turn.confinement {
            return Err(Failure::with_help(
                Exit::Usage,
                "that would be confined in another way than this session is",
                "choose the mode or the agent first, by `/mode` or `/agent`",
            ));
        }
        Ok((turn, cast))
    }

    /// Whether a command is one that files define, and not one of the chat's own.
    fn is_defined(&self, name: &str) -> bool {
        commands::names().all(|own| own != name)
            && defined_names(&Project::at(&self.root)).iter().any(|known| known == name)
    }

    /// Starts a turn, and watches it to its end.
    async fn watched(
        &mut self,
        op: Op,
        model: ModelId,
        input: &mut Input,
        signals: &mut Signals,
    ) -> Result<Watched, Failure> {
        let named = facts::named(&self.settings);
        let sees = facts::facts(&self.settings, &model).and_then(|facts| facts.images) != Some(false);
        let root = self.root.clone();
        let open = self.opened().await?;
        let mut subscription = open.hosted.subscribe(Cursor { after: open.seen, open: Vec::new() });
        let turn = match open.hosted.submit(Principal::Local, op).await {
            Ok(seq) => TurnId(seq),
            Err(SubmitError::Refused(refused)) => {
                return Err(Failure::new(Exit::Failed, refused.to_string()));
            }
            Err(SubmitError::Ended) => return Err(self.lost().await),
        };
        let id = open.hosted.id();
        // Asked once for a session, beside its first turn.
        let mut window = open.window.take().unwrap_or_else(|| Probe::none(&model));
        let watch = Turn {
            hosted: &open.hosted,
            turn,
            subscription: &mut subscription,
            input,
            signals,
            model,
            window: &mut window,
            desk: Desk { root: &root, sees },
        };
        let watched = watch.watch().await;
        open.seen = subscription.cursor().after;
        let watched = watched?;
        if let Some(warning) = window.end().await {
            printer::err(&format!("{}\n", printer::plain(&warning)));
        }
        match &watched.outcome {
            Some(Outcome::Interrupted) => printer::err("stopped\n"),
            Some(outcome) => {
                let exit = crate::run::watch::exit_of(outcome, &watched.figures);
                let asked = Asked { model: &watched.model, named: &named, id, replayed: self.turn.replayed };
                if let Err(failure) = verdict(outcome, exit, &watched.figures, &asked) {
                    printer::err(&failure.shown());
                }
            }
            None if watched.leave => {}
            None => return Err(self.lost().await),
        }
        Ok(watched)
    }

    /// The session, opened if it is not yet.
    async fn opened(&mut self) -> Result<&mut Open, Failure> {
        if self.open.is_none() {
            let venue = self.again()?;
            let audience = Some(Audience::Terminal);
            let project = Project::at(&self.root);
            let (_, cast) = self.turn_of(&project, None, "")?;
            let made_with = (Some(&cast.agent), &cast.told);
            let Composed { opening, found } =
                compose::opening(&self.args, &self.settings, &self.turn, &venue, audience, made_with)?;
            printer::err(&compose::note(&self.layout, &self.turn));
            let hosted = venue.open(opening, false).await?;
            printer::err(&format!("session {}\n", hosted.id()));
            let window = (!self.turn.replayed).then(|| Probe::start(&found, &self.turn.model));
            let (seen, confinement) = (hosted.opened_after(), self.turn.confinement);
            self.venue = None;
            if self.args.fork.take().is_some() {
                // Whoever opens it again means the fork, and not another one.
                (self.args.at, self.args.resume) = (None, Some(hosted.id().to_string()));
            }
            self.open = Some(Open { hosted, seen, window, confinement });
        }
        self.open.as_mut().ok_or_else(|| Failure::new(Exit::Failed, "there is no session"))
    }

    /// What is to be opened, read again: it may have been tried before.
    fn again(&mut self) -> Result<Venue, Failure> {
        let Some(venue) = &self.venue else { return Venue::of(&self.args) };
        let target = match &venue.target {
            Target::New => Target::New,
            Target::Resume(past) => Target::Resume(Past::read(&self.layout, past.id)?),
            Target::Fork(past, at) => Target::Fork(Past::read(&self.layout, past.id)?, *at),
        };
        Ok(Venue {
            layout: venue.layout.clone(),
            target,
            named: venue.named.clone(),
            root: venue.root.clone(),
        })
    }

    /// The session that there is, open or about to be taken up.
    fn session(&self) -> Result<Session, Failure> {
        let id = match (&self.open, &self.venue) {
            (Some(open), _) => Some(open.hosted.id()),
            (None, Some(Venue { target: Target::Resume(past) | Target::Fork(past, _), .. })) => Some(past.id),
            _ => None,
        };
        let id = id.ok_or_else(|| Failure::new(Exit::Usage, "nothing has been said in this session yet"))?;
        Ok(Session { layout: self.layout.clone(), id })
    }

    /// Takes files back, or does it again, and says what came of it.
    async fn carry_out(&mut self, op: Op) -> Result<(), Failure> {
        let open = self.opened().await?;
        // What was seen last may be behind what is asked for.
        let after = last(&open.hosted, open.seen).await?;
        live::carried_out(&open.hosted, after, op, Typed::InChat).await.map(drop)
    }

    /// Changes what holds in the turns to come. Where that cannot hold, nothing is changed.
    async fn change(&mut self, change: impl FnOnce(&mut TurnArgs)) -> Result<(), Failure> {
        let mut args = self.args.clone();
        change(&mut args);
        let project = Project::at(&self.root);
        let mut settings = compose::settings(&project, &args)?;
        let (turn, _, cast) = Self::made(&project, &args, &mut settings, None, (true, ""))?;
        defined::check_tools(Some(&cast.agent), &cast.told.tools())?;
        compose::check(&settings, &turn, &cast.told)?;
        if self.open.as_ref().is_some_and(|open| open.confinement != turn.confinement) {
            // What holds commands in belongs to the session as it is open.
            let id = self.session()?.id;
            self.let_go().await?;
            let target = Target::Resume(Past::read(&self.layout, id)?);
            let (layout, root) = (self.layout.clone(), self.root.clone());
            self.venue = Some(Venue { layout, target, named: None, root });
        }
        (self.args, self.settings, self.turn) = (args, settings, turn);
        Ok(())
    }

    async fn begin_anew(&mut self) -> Result<(), Failure> {
        let args = TurnArgs { dir: Some(self.root.clone()), ..self.elsewhere() };
        self.go_to(args).await?;
        printer::err(&format!(
            "a new session begins in {}; model, mode and agent stay\n",
            printer::plain(&self.root.display().to_string())
        ));
        Ok(())
    }

    /// Goes on in a session of its own that shares this one's past.
    async fn fork(&mut self, step: &str) -> Result<(), Failure> {
        let id = self.session()?.id.to_string();
        let at = Some(step.to_owned()).filter(|step| !step.is_empty());
        let args = TurnArgs { fork: Some(id), at, dir: None, ..self.elsewhere() };
        self.go_to(args).await?;
        // What is asked of it from here on is asked of the fork.
        self.opened().await.map(drop)
    }

    async fn take_up(&mut self, id: &str) -> Result<(), Failure> {
        let found = crate::commands::session::lookup(&self.layout, id, &self.root)?;
        if self.session().is_ok_and(|session| session.id == found) {
            return Err(Failure::new(Exit::Usage, "that is the session that you are in"));
        }
        let args = TurnArgs { resume: Some(found.to_string()), dir: None, ..self.elsewhere() };
        self.go_to(args).await?;
        printer::err(&format!("in {}\n", printer::plain(&self.root.display().to_string())));
        Ok(())
    }

    /// The flags without those that name a session.
    fn elsewhere(&self) -> TurnArgs {
        TurnArgs { resume: None, last: false, fork: None, at: None, ..self.args.clone() }
    }

    async fn go_to(&mut self, args: TurnArgs) -> Result<(), Failure> {
        let entered = Self::enter(args)?;
        self.let_go().await?;
        let words = self.words.clone();
        let models = facts::named(&entered.settings).iter().map(ToString::to_string).collect();
        let place = (entered.root.clone(), entered.layout.clone());
        words.set(place, models, defined_names(&Project::at(&entered.root)));
        *self = Self { words, ..entered };
        Ok(())
    }

    /// This folder's sessions, to choose from.
    fn list(&self) -> Result<(), Failure> {
        let filter = Filter { project: Some(self.root.display().to_string()) };
        let sessions = Catalogue::<About>::new(self.layout.clone()).list(&filter, LISTED)?;
        let mut text = String::new();
        for session in &sessions {
            let title = printer::plain(&session.title).replace('\n', " ");
            text.push_str(&format!("{}  {}  {title}\n", session.id, time(session.updated)));
        }
        text.push_str("`/resume ID` goes on with one, by the first digits of its id\n");
        printer::err(&text);
        Ok(())
    }

    /// The session came to an end by itself: why.
    async fn lost(&mut self) -> Failure {
        match self.let_go().await {
            Err(failure) => failure,
            Ok(()) => Failure::new(Exit::Failed, "the session ended before its turn did"),
        }
    }

    /// Lets the session go; the next prompt opens it again.
    async fn let_go(&mut self) -> Result<(), Failure> {
        let Some(Open { hosted, .. }) = self.open.take() else { return Ok(()) };
        let id = hosted.id();
        let closed = hosted.close().await;
        self.args = TurnArgs { resume: Some(id.to_string()), ..self.elsewhere() };
        Ok(closed?)
    }

    async fn close(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        let Some(Open { hosted, .. }) = self.open.take() else { return Ok(()) };
        let id = hosted.id();
        tokio::select! {
            closed = hosted.close() => closed?,
            _ = signals.next() => {}
        }
        printer::err(&format!("session {id} · `codetether chat --resume {id}` goes on with it\n"));
        Ok(())
    }
}

/// The next line; `None` when someone leaves.
async fn line(input: &mut Input, signals: &mut Signals) -> Option<String> {
    let mut warned = false;
    input.ask(PROMPT);
    loop {
        let heard = tokio::select! {
            heard = input.next() => heard,
            signal = signals.next() => match signal {
                // Only a terminal in its usual modes sends it; what was on the line is gone with it.
                Signal::Interrupt => Heard::Interrupt { empty: true },
                Signal::Leave => return None,
            },
        };
        match heard {
            Heard::Line(line) => return Some(line),
            Heard::End => return None,
            Heard::Interrupt { empty: true } if warned => return None,
            Heard::Interrupt { empty } => {
                warned = empty;
                if empty {
                    printer::err("Ctrl-C once more, or Ctrl-D, leaves\n");
                }
                input.ask(PROMPT);
            }
        }
    }
}

/// The last record that there is.
async fn last(hosted: &Hosted, seen: Seq) -> Result<Seq, Failure> {
    let mut subscription = hosted.subscribe(Cursor { after: seen, open: Vec::new() });
    while let Some(frame) = subscription.next().await? {
        if let codetether_agent::Frame::CaughtUp(last) = frame {
            return Ok(last);
        }
    }
    Ok(seen)
}

/// Says which session is taken up, and how it stood.
fn recall(venue: &Venue) {
    let (Target::Resume(past) | Target::Fork(past, _)) = &venue.target else { return };
    let (mut turns, mut prompt, mut answer) = (0_u32, String::new(), String::new());
    for record in &past.records {
        match &record.event {
            Event::Turn(TurnEvent::Started { input, .. }) => {
                turns += 1;
                let text = input.parts.iter().rev().find_map(|part| match part {
                    codetether_event::ContentPart::Text { text } => Some(text.as_str()),
                    _ => None,
                });
                prompt = crate::run::progress::shortened(text.unwrap_or_default());
                answer.clear();
            }
            Event::Sample(SampleEvent::Ended { message: Some(message), .. }) => {
                let text = message.text();
                if !text.trim().is_empty() {
                    answer = text;
                }
            }
            _ => {}
        }
    }
    let lines: Vec<&str> = answer.lines().collect();
    let left = lines.len().saturating_sub(RECALLED);
    let mut text = format!("session {} · {turns} turns so far\n", past.id);
    if turns > 0 {
        text.push_str(&format!("{PROMPT}{prompt}\n"));
        if left > 0 {
            text.push_str(&format!("[… {left} lines …]\n"));
        }
        for line in lines.iter().skip(left) {
            text.push_str(&format!("{}\n", printer::plain(line)));
        }
    }
    if past.turn.is_some() {
        text.push_str("its last turn was cut short; the next prompt begins another\n");
    }
    printer::err(&text);
}
