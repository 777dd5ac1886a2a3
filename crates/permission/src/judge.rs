//! The verdict. A call is taken apart into what it would run, read, write and reach; each part is judged by itself, and
//! the strictest verdict is the call's. For each part: what denies, then what asks, then what allows, then the mode.

mod typed;

use codetether_event::{Mode, Touches};

use crate::command_pattern::{CommandPattern, MustName};
use crate::file_words::FileWords;
use crate::hazards::{self, Hazard, Kind};
use crate::place::{Place, Spot};
use crate::readers;
use crate::rule::{EDIT, READ, SHELL};
use crate::shell::{self, Access, Analysis, Role, Simple, Word};
use crate::{List, Rule, RuleError};

/// The rules in force. Their order does not matter.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What may not run; outranks all else.
    pub deny: Vec<Rule>,
    /// What takes a yes; outranks what allows.
    pub ask: Vec<Rule>,
    /// What may run.
    pub allow: Vec<Rule>,
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// The first text that is not a rule.
    pub fn parse<'a>(rules: impl IntoIterator<Item = (List, &'a str)>) -> Result<Self, RuleError> {
        let mut parsed = Self::default();
        for (list, text) in rules {
            let rule = Rule::parse(text)?;
            match list {
                List::Deny => parsed.deny.push(rule),
                List::Ask => parsed.ask.push(rule),
                List::Allow => parsed.allow.push(rule),
            }
        }
        Ok(parsed)
    }

    /// Whether any rule keeps files from being read.
    #[must_use]
    pub fn hides_any(&self) -> bool {
        self.deny.iter().chain(&self.ask).any(|rule| rule.tool() != SHELL && rule.pattern().is_some())
    }

    /// Whether a tool that searches must pass over a file, by its path relative to the root: reading it is denied, or
    /// takes a yes of its own.
    #[must_use]
    pub fn hides(&self, tool: &str, path: &str, place: &Place<'_>) -> bool {
        let spots = place.spots(path);
        self.deny.iter().chain(&self.ask).any(|rule| {
            rule.pattern().is_some() && spots.iter().any(|spot| rule.matches_path(tool, READ, spot, place))
        })
    }
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// It may run.
    Allow,
    /// It takes a yes.
    Ask,
    /// It may not run.
    Deny,
}

impl Decision {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// What a part of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A command.
    Command,
    /// A variable that is set for what follows.
    Assignment,
    /// A file that is read.
    Read,
    /// A file that is written.
    Write,
    /// A host that is reached.
    Fetch,
    /// What cannot be told.
    Unclear,
    /// The call as such: its tool touches nothing that it names.
    Call,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A rule of a list.
    Rule(List, String),
    /// The mode's default.
    Mode(Mode),
    /// What asks in spite of rules and modes: a hazard, or what cannot be told.
    Caution,
    /// It is confined: what it does there can be taken back, and reaches nothing else.
    Sandbox,
    /// There is nothing to decide: it runs nothing by itself.
    Nothing,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(_, rule) => write!(f, "rule `{rule}`"),
            Self::Mode(mode) => write!(f, "mode `{mode}`"),
            Self::Caution => f.write_str("caution"),
            Self::Sandbox => f.write_str("sandbox"),
            Self::Nothing => f.write_str("nothing to decide"),
        }
    }
}

/// A part of a call, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub what: What,
    /// Its text: a command, a path, a host.
    pub text: String,
    /// What may happen.
    pub decision: Decision,
    /// What decided.
    pub by: By,
    /// Why, in words.
    pub why: String,
    /// The rule that would allow it; nothing when none could.
    pub proposal: Option<String>,
}

/// The verdict on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What may happen.
    pub decision: Decision,
    /// The parts, each with its own verdict.
    pub parts: Vec<Part>,
}

impl Judgement {
    /// What decided, in a line.
    #[must_use]
    pub fn by(&self) -> String {
        let decided = self.parts.iter().find(|part| part.decision == self.decision && part.by != By::Nothing);
        match decided {
            None => By::Nothing.to_string(),
            Some(part) if self.parts.len() == 1 || self.decision == Decision::Allow => part.by.to_string(),
            Some(part) => format!("{}, on `{}`", part.by, part.text),
        }
    }

    /// Why it is asked about, in a few lines.
    #[must_use]
    pub fn why(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for part in self.parts.iter().filter(|part| part.decision == self.decision) {
            let line = match self.parts.len() {
                1 => part.why.clone(),
                _ => format!("`{}`: {}", part.text, part.why),
            };
            if !lines.contains(&line) && lines.len() < REASONS {
                lines.push(line);
            }
        }
        lines.join("; ")
    }

    /// The first part that has the call's verdict.
    #[must_use]
    pub fn deciding(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.decision == self.decision)
    }

    /// The rules that together would allow the call; none when there is a part that no rule could.
    #[must_use]
    pub fn proposals(&self) -> Vec<String> {
        let asked = self.parts.iter().filter(|part| part.decision != Decision::Allow);
        let mut rules = Vec::new();
        for proposal in asked.map(|part| part.proposal.clone()) {
            match proposal {
                Some(rule) if rules.contains(&rule) => {}
                Some(rule) => rules.push(rule),
                None => return Vec::new(),
            }
        }
        rules
    }
}

/// What holds whatever a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stance {
    /// The mode.
    pub mode: Mode,
    /// Whether commands run where they reach nothing but the workspace, and no network.
    pub confined: bool,
}

impl From<Mode> for Stance {
    /// Nothing is confined.
    fn from(mode: Mode) -> Self {
        Self { mode, confined: false }
    }
}

/// Judges a call.
#[must_use]
pub fn judge(
    stance: impl Into<Stance>,
    rules: &Rules,
    tool: &str,
    touches: &Touches,
    place: &Place<'_>,
) -> Judgement {
    let Stance { mode, confined } = stance.into();
    // Where commands are confined, none leaves unasked, whatever the mode.
    let mode = if confined && touches.outside { mode.min(Mode::AutoEdit) } else { mode };
    // Where every command is asked about, or only reading ones run, being confined changes nothing.
    let confined = confined && !touches.outside && matches!(mode, Mode::AutoEdit | Mode::Bypass);
    let confined = confined && touches.typed.as_ref().is_none_or(|typed| typed.confined);
    let judge = Judge { mode, confined, rules, tool, place };
    let mut parts = Vec::new();
    for path in &touches.reads {
        parts.push(judge.path(READ, path.clone(), &place.spots(path)));
    }
    for path in &touches.writes {
        parts.push(judge.path(EDIT, path.clone(), &place.spots(path)));
    }
    for host in &touches.hosts {
        parts.push(judge.host(host));
    }
    for command in &touches.commands {
        judge.program(command, &mut parts);
    }
    if let Some(typed) = &touches.typed {
        parts.push(judge.typed(typed));
    }
    if touches.background && mode == Mode::Plan {
        let ruling = Ruling {
            decision: Decision::Deny,
            by: By::Mode(mode),
            why: "nothing can be started in the background in mode `plan`".to_owned(),
        };
        parts.push(Judge::part(What::Call, tool.to_owned(), ruling, None));
    }
    if parts.is_empty() {
        parts.push(judge.call(touches.could_write()));
    }
    let decision = parts.iter().map(|part| part.decision).max().unwrap_or(Decision::Ask);
    Judgement { decision, parts }
}

/// Reasons that are told; the rest follow from the same.
const REASONS: usize = 4;

#[derive(Clone, Copy)]
struct Judge<'a> {
    mode: Mode,
    /// Whether what runs is confined, so that only rules and what destroys are in its way.
    confined: bool,
    rules: &'a Rules,
    tool: &'a str,
    place: &'a Place<'a>,
}

/// A verdict without what it is about.
struct Ruling {
    decision: Decision,
    by: By,
    why: String,
}

impl Ruling {
    fn rule(list: List, rule: &Rule, why: impl Into<String>) -> Self {
        let decision = match list {
            List::Deny => Decision::Deny,
            List::Ask => Decision::Ask,
            List::Allow => Decision::Allow,
        };
        Self { decision, by: By::Rule(list, rule.to_string()), why: why.into() }
    }

    fn mode(decision: Decision, mode: Mode) -> Self {
        let why = match (decision, mode) {
            (Decision::Deny, _) => "nothing can be written or changed in mode `plan`".to_owned(),
            (Decision::Ask, _) => format!("no rule allows it, and mode `{mode}` asks"),
            (Decision::Allow, Mode::Plan) => "it only reads".to_owned(),
            (Decision::Allow, _) => format!("mode `{mode}` allows it"),
        };
        Self { decision, by: By::Mode(mode), why }
    }

    fn caution(why: impl Into<String>) -> Self {
        Self { decision: Decision::Ask, by: By::Caution, why: why.into() }
    }

    fn sandbox() -> Self {
        let why = "the sandbox confines it, and what it changes can be taken back".to_owned();
        Self { decision: Decision::Allow, by: By::Sandbox, why }
    }
}

impl Judge<'_> {
    fn part(what: What, text: String, ruling: Ruling, proposal: Option<String>) -> Part {
        let Ruling { decision, by, why } = ruling;
        // What a rule asks or denies, no further rule can allow.
        let open = !matches!(by, By::Rule(..)) && !matches!((&by, decision), (By::Mode(_), Decision::Deny));
        Part {
            what,
            text,
            decision,
            by,
            why,
            proposal: proposal.filter(|_| open && decision == Decision::Ask),
        }
    }

    /// A rule of the list for every call of the tool.
    fn whole(&self, list: List) -> Option<&Rule> {
        self.list(list).iter().find(|rule| rule.is_whole(self.tool))
    }

    fn list(&self, list: List) -> &[Rule] {
        match list {
            List::Deny => &self.rules.deny,
            List::Ask => &self.rules.ask,
            List::Allow => &self.rules.allow,
        }
    }

    fn call(&self, writes: bool) -> Part {
        let ruling = [List::Deny, List::Ask]
            .into_iter()
            .find_map(|list| self.whole(list).map(|rule| Ruling::rule(list, rule, "it is for every call")))
            .or_else(|| (self.mode == Mode::Plan && writes).then(|| Ruling::mode(Decision::Deny, self.mode)))
            .or_else(|| {
                self.whole(List::Allow).map(|rule| Ruling::rule(List::Allow, rule, "it is for every call"))
            });
        let ruling = ruling.unwrap_or_else(|| {
            let asks = writes && matches!(self.mode, Mode::Ask | Mode::AutoEdit);
            Ruling::mode(if asks { Decision::Ask } else { Decision::Allow }, self.mode)
        });
        Self::part(What::Call, self.tool.to_owned(), ruling, Some(self.tool.to_owned()))
    }

    fn path(&self, class: &'static str, text: String, spots: &[Spot]) -> Part {
        let writes = class == EDIT;
        let what = if writes { What::Write } else { What::Read };
        let proposal = proposed_path(class, spots);
        Self::part(what, text, self.path_ruling(class, spots), proposal)
    }

    fn path_ruling(&self, class: &str, spots: &[Spot]) -> Ruling {
        let (tool, place) = (self.tool, self.place);
        let hit = |list: List| {
            self.list(list)
                .iter()
                .find(|rule| spots.iter().any(|spot| rule.matches_path(tool, class, spot, place)))
        };
        let writes = class == EDIT;
        if let Some(rule) = hit(List::Deny) {
            return Ruling::rule(List::Deny, rule, "it matches the path");
        }
        if writes && self.mode == Mode::Plan {
            return Ruling::mode(Decision::Deny, self.mode);
        }
        if let Some(rule) = hit(List::Ask) {
            return Ruling::rule(List::Ask, rule, "it matches the path");
        }
        let power = spots.iter().find_map(|spot| match spot {
            Spot::Inside(path) => hazards::has_power(path),
            Spot::Outside(_) | Spot::Anywhere => None,
        });
        let covers = |rule: &&Rule, spot: &Spot| {
            rule.matches_path(tool, class, spot, place)
                && (!writes || power.is_none_or(|part| rule.names(part) || rule.is_whole(tool)))
        };
        let covered = spots.iter().map(|spot| self.rules.allow.iter().find(|rule| covers(rule, spot)));
        if let Some(Some(rule)) = covered.reduce(|all, one| all.and(one)) {
            return Ruling::rule(List::Allow, rule, "it matches the path");
        }
        if !writes || self.mode == Mode::Bypass {
            return Ruling::mode(Decision::Allow, self.mode);
        }
        if self.mode == Mode::Ask {
            return Ruling::mode(Decision::Ask, self.mode);
        }
        match (power, spots.iter().find(|spot| !matches!(spot, Spot::Inside(_)))) {
            (Some(part), _) => Ruling::caution(format!("what is below `{part}` decides what runs later")),
            (None, Some(Spot::Outside(_))) => Ruling::caution("it is outside the workspace"),
            (None, Some(_)) => Ruling::caution("where it is cannot be told"),
            (None, None) => Ruling::mode(Decision::Allow, self.mode),
        }
    }

    fn host(&self, host: &str) -> Part {
        let hit = |list: List| {
            let rule = self.list(list).iter().find(|rule| rule.matches_host(self.tool, host))?;
            Some(Ruling::rule(list, rule, "it matches the host"))
        };
        let ruling = hit(List::Deny).or_else(|| hit(List::Ask)).or_else(|| hit(List::Allow));
        let ruling = ruling.unwrap_or_else(|| {
            let decision = if self.mode == Mode::Bypass { Decision::Allow } else { Decision::Ask };
            Ruling::mode(decision, self.mode)
        });
        Self::part(What::Fetch, host.to_owned(), ruling, Some(format!("fetch({host})")))
    }

    /// A program of the shell.
    fn program(&self, source: &str, parts: &mut Vec<Part>) {
        let Analysis { commands, files, assignments, unclear } = shell::analyse(source, self.place);
        if let Some(rule) = self.whole(List::Deny) {
            let ruling = Ruling::rule(List::Deny, rule, "it is for every command");
            parts.push(Self::part(What::Call, source.trim().to_owned(), ruling, None));
        }
        for simple in &commands {
            parts.extend(self.command(simple));
        }
        for access in &files {
            parts.extend(self.file(access));
        }
        for name in assignments {
            let ruling =
                self.unless_whole(|| Ruling::caution(format!("`{name}=` changes what runs after it")));
            parts.push(Self::part(What::Assignment, name, ruling, None));
        }
        for unknown in unclear {
            let ruling = match self.mode {
                Mode::Plan => Ruling::mode(Decision::Deny, self.mode),
                // It may hide what a rule is about.
                _ if self.confined && self.rules.deny.is_empty() && self.rules.ask.is_empty() => {
                    Ruling::sandbox()
                }
                _ => Ruling::caution(unknown.why),
            };
            parts.push(Self::part(What::Unclear, unknown.part.trim().to_owned(), ruling, None));
        }
        if parts.is_empty() {
            let why = "it runs nothing".to_owned();
            let ruling = Ruling { decision: Decision::Allow, by: By::Nothing, why };
            parts.push(Self::part(What::Command, source.trim().to_owned(), ruling, None));
        }
    }

    /// A caution that a rule for every command, and the mode that asks for nothing, set aside.
    fn unless_whole(&self, caution: impl FnOnce() -> Ruling) -> Ruling {
        match (self.mode, self.whole(List::Ask), self.whole(List::Allow)) {
            (Mode::Plan, ..) => Ruling::mode(Decision::Deny, self.mode),
            (_, Some(rule), _) => Ruling::rule(List::Ask, rule, "it is for every command"),
            (_, None, Some(rule)) => Ruling::rule(List::Allow, rule, "it is for every command"),
            (Mode::Bypass, None, None) => Ruling::mode(Decision::Allow, self.mode),
            (_, None, None) if self.confined => Ruling::sandbox(),
            (_, None, None) => caution(),
        }
    }

    fn file(&self, access: &Access) -> Option<Part> {
        let class = if access.write { EDIT } else { READ };
        let text = access.target.quoted();
        match access.target.known() {
            Some("/dev/null" | "/dev/stdin" | "/dev/stdout" | "/dev/stderr" | "/dev/tty" | "/dev/zero") => {
                return None;
            }
            Some(path) if path.strip_prefix("/dev/fd/").is_some_and(is_digits) => return None,
            Some(path) if path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/") => {
                let host = path.split('/').nth(3).unwrap_or_default();
                if self.mode == Mode::Plan {
                    let ruling = Ruling::mode(Decision::Deny, self.mode);
                    return Some(Self::part(What::Fetch, host.to_owned(), ruling, None));
                }
                if self.confined {
                    return Some(Self::part(What::Fetch, host.to_owned(), Ruling::sandbox(), None));
                }
                return Some(self.host(host));
            }
            _ => {}
        }
        let spots = self.place.word(&access.target, &access.dirs);
        let near = |rule: &&Rule| !access.target.known && rule.may_be_word(class, &access.target);
        let mut part = self.path(class, text, &spots);
        let power = |spot: &Spot| matches!(spot, Spot::Inside(path) if hazards::has_power(path).is_some());
        if self.confined && part.by == By::Caution && !spots.iter().any(power) {
            // Wherever it leads, the sandbox decides what is there.
            part = Self::part(part.what, part.text, Ruling::sandbox(), None);
        }
        match self.rules.deny.iter().find(near).filter(|_| part.decision == Decision::Allow) {
            Some(rule) => {
                let ruling = Ruling::caution(format!("it may be what rule `{rule}` denies"));
                Some(Self::part(part.what, part.text, ruling, None))
            }
            None => Some(part),
        }
    }

    fn command(&self, simple: &Simple) -> Option<Part> {
        let text = shell::line(&simple.words);
        let hazards = hazards::of(simple, self.place);
        let mut ruling = self.command_ruling(simple, &hazards);
        if simple.role == Role::Suspect {
            if ruling.decision == Decision::Allow {
                return None;
            }
            let why = match ruling.by {
                By::Rule(list, rule) => format!("rule `{rule}` in `{}` is about that", list.as_str()),
                By::Mode(_) | By::Caution | By::Sandbox | By::Nothing => ruling.why,
            };
            ruling = Ruling::caution(format!("it may run `{text}`: {why}"));
        }
        let proposal = proposed_command(simple, &hazards).filter(|_| simple.role != Role::Suspect);
        Some(Self::part(What::Command, text, ruling, proposal))
    }

    fn command_ruling(&self, simple: &Simple, hazards: &[Hazard]) -> Ruling {
        let words = simple.words.get(simple.assigned..).unwrap_or_default();
        if let Some(ruling) = self.forbidden(simple, words, hazards) {
            return ruling;
        }
        let destroys = |hazard: &&Hazard| matches!(hazard.kind, Kind::Destroys | Kind::Removes);
        if simple.role == Role::Suspect
            && let Some(hazard) = hazards.iter().find(destroys)
        {
            return Ruling::caution(hazard.why.clone());
        }
        let passive = matches!(simple.role, Role::Carrier | Role::Inert) && simple.assigned == 0;
        if passive || simple.role == Role::Suspect {
            let why = match simple.role {
                Role::Carrier => "what it runs is judged by itself",
                _ => "it runs nothing and touches no file",
            };
            return Ruling { decision: Decision::Allow, by: By::Nothing, why: why.to_owned() };
        }
        if self.mode == Mode::Plan {
            let reads = hazards.is_empty() && self.only_reads(simple, words);
            return Ruling::mode(if reads { Decision::Allow } else { Decision::Deny }, self.mode);
        }
        // The first rule that would cover it but for a hazard that it does not name.
        let mut near = None;
        let forms = self.forms(simple, hazards);
        for rule in &self.rules.allow {
            let Some(pattern) = rule.command() else {
                // A rule for every command names nothing: what destroys is asked about.
                let named = |hazard: &Hazard| matches!(hazard.kind, Kind::Executes | Kind::RunsInput);
                if rule.is_whole(self.tool) && hazards.iter().all(named) {
                    return Ruling::rule(List::Allow, rule, "it is for every command");
                }
                continue;
            };
            if forms.iter().any(|(words, must)| pattern.matches(words, must)) {
                return Ruling::rule(List::Allow, rule, "it matches");
            }
            if near.is_none() && pattern.matches(&simple.words, &MustName::default()) {
                near = Some(rule);
            }
        }
        let asks = |hazard: &&Hazard| {
            let destroys = matches!(hazard.kind, Kind::Destroys | Kind::Removes);
            destroys || !(self.confined || self.mode == Mode::Bypass)
        };
        match (hazards.iter().find(asks), near) {
            (Some(hazard), Some(rule)) => {
                Ruling::caution(format!("{}; rule `{rule}` does not name that", hazard.why))
            }
            (Some(hazard), None) => Ruling::caution(hazard.why.clone()),
            (None, _) if self.mode == Mode::Bypass => Ruling::mode(Decision::Allow, self.mode),
            (None, _) if self.confined => Ruling::sandbox(),
            (None, _) => Ruling::mode(Decision::Ask, self.mode),
        }
    }

    /// Whether a command only reads. git in another folder obeys what that folder's own settings say.
    fn only_reads(&self, simple: &Simple, words: &[Word]) -> bool {
        let git = words.first().is_some_and(|word| shell::base(&word.text) == "git");
        let elsewhere = !simple.dirs.is_root() || words.iter().any(|word| word.is("-C"));
        readers::only_reads(words) && !(git && elsewhere)
    }

    /// What denies or asks: by the command as it is, by its name without its path, and by what it may become.
    fn forbidden(&self, simple: &Simple, words: &[Word], hazards: &[Hazard]) -> Option<Ruling> {
        let variants = variants(words);
        let reads = hazards.is_empty() && self.only_reads(simple, words);
        let tool = self.tool;
        let about_files = |rule: &Rule| rule.tool() != SHELL && rule.pattern().is_some();
        let files = self.rules.deny.iter().chain(&self.rules.ask).any(about_files);
        let files =
            if files { FileWords::of(simple, words, reads, self.place) } else { FileWords::default() };
        let on_path = |rule: &Rule| about_files(rule) && files.matches(rule, tool, self.place);
        let near_path = |rule: &Rule| about_files(rule) && files.may_match(rule, tool, self.place);
        for rule in &self.rules.deny {
            let wide = rule.command().map(CommandPattern::wide);
            if rule.is_whole(tool)
                || wide.is_some_and(|pattern| {
                    variants.iter().any(|words| pattern.matches(words, &MustName::default()))
                })
            {
                return Some(Ruling::rule(List::Deny, rule, "it matches"));
            }
            if on_path(rule) {
                return Some(Ruling::rule(List::Deny, rule, "it matches a path among its words"));
            }
        }
        if self.mode == Mode::Plan && simple.role == Role::Plain && !reads {
            return Some(Ruling::mode(Decision::Deny, self.mode));
        }
        for rule in &self.rules.deny {
            let wide = rule.command().map(CommandPattern::wide);
            if wide.is_some_and(|pattern| variants.iter().any(|words| pattern.may_match(words))) {
                return Some(Ruling::caution(format!("it may become what rule `{rule}` denies")));
            }
            if near_path(rule) {
                return Some(Ruling::caution(format!("it may touch what rule `{rule}` denies")));
            }
        }
        for rule in &self.rules.ask {
            let wide = rule.command().map(CommandPattern::wide);
            if rule.is_whole(tool)
                || wide.is_some_and(|pattern| variants.iter().any(|words| pattern.may_match(words)))
                || on_path(rule)
                || near_path(rule)
            {
                return Some(Ruling::rule(List::Ask, rule, "it matches"));
            }
        }
        None
    }

    /// The ways in which a rule may speak of a command: as it is, without git's harmless options, and as part of the
    /// commands that run it; each with the words that the rule must name.
    fn forms(&self, simple: &Simple, hazards: &[Hazard]) -> Vec<(Vec<Word>, MustName)> {
        let must = hazards::must_name(hazards);
        let mut forms = vec![(simple.words.clone(), must.clone())];
        let plain = (simple.assigned == 0).then(|| hazards::git_plain(&simple.words)).flatten();
        if let Some(words) = plain {
            // The places of words shift: hazards are found anew.
            let simple = Simple { words, ..simple.clone() };
            let must = hazards::must_name(&hazards::of(&simple, self.place));
            forms.push((simple.words, must));
        }
        for (outer, at) in &simple.outer {
            let mut must = must.clone();
            must.exactly = must.exactly.iter().map(|index| index + at).chain(0..=*at).collect();
            must.beginning = must.beginning.iter().map(|index| index + at).collect();
            forms.push((outer.clone(), must));
        }
        forms
    }
}

/// A command as rules that forbid see it: as it is, without the path before its name, and without git's own options.
fn variants(words: &[Word]) -> Vec<Vec<Word>> {
    let mut variants = vec![words.to_vec()];
    if let Some(first) = words.first()
        && first.text.contains('/')
    {
        let mut bare = words.to_vec();
        if let Some(first) = bare.first_mut() {
            *first = Word::literal(shell::base(&first.text));
        }
        variants.push(bare);
    }
    let git = variants.last().and_then(|words| {
        (words.first().is_some_and(|word| word.is("git"))).then(|| hazards::git_bare(words)).flatten()
    });
    variants.extend(git);
    variants
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Programs whose second word says what they do: a rule for both is what people mean by "always".
const WITH_COMMANDS: &[&str] = &["cargo", "git", "go", "npm", "pnpm", "yarn"];

/// The rule that would allow the command.
fn proposed_command(simple: &Simple, hazards: &[Hazard]) -> Option<String> {
    let words = &simple.words;
    let names_command = |word: &Word| {
        word.known().is_some_and(|text| {
            text.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !text.starts_with('-')
        })
    };
    let short = hazards.is_empty()
        && words.len() > 1
        && words.first().is_some_and(|word| WITH_COMMANDS.contains(&word.text.as_str()))
        && words.get(1).is_some_and(names_command);
    let mut pattern: Vec<String> = Vec::new();
    for word in words.iter().take(if short { 2 } else { usize::MAX }) {
        match word.known() {
            // The home folder is written as it is in the command.
            Some(text) => pattern.push(quoted_for_rule(text)),
            None if pattern.last().is_some_and(|last| last == "*") => {}
            None => pattern.push("*".into()),
        }
    }
    if short {
        pattern.push("*".into());
    }
    let rule = format!("bash({})", pattern.join(" "));
    // Only a rule that would do what it is offered for.
    let parsed = Rule::parse(&rule).ok()?;
    parsed.command()?.matches(words, &hazards::must_name(hazards)).then_some(rule)
}

fn quoted_for_rule(text: &str) -> String {
    let special = |c: char| c.is_whitespace() || "*;|&<>`'\"\\()".contains(c);
    if !text.is_empty() && !text.contains(special) {
        return text.to_owned();
    }
    if text.contains('\'') { text.chars().flat_map(escaped).collect() } else { format!("'{text}'") }
}

fn escaped(c: char) -> Vec<char> {
    if c.is_alphanumeric() { vec![c] } else { vec!['\\', c] }
}

/// The rule that would allow the path.
fn proposed_path(class: &str, spots: &[Spot]) -> Option<String> {
    let one = match spots {
        [Spot::Inside(path)] if path != "." => format!("{class}(/{path})"),
        [Spot::Outside(path)] => format!("{class}(/{})", path.display()),
        _ => return None,
    };
    let plain = |c: char| !c.is_control() && !"*?[]\\!#".contains(c);
    (one.chars().all(plain) && Rule::parse(&one).is_ok()).then_some(one)
}
