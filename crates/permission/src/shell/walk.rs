//! From the tree to what the program would do: every statement is of a kind that is known here, every gap between two
//! of them is blank, every substitution is come across. What is not so is unclear.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use crate::assignments;
use crate::place::Place;
use crate::shell::carriers::{self, Carried};
use crate::shell::dirs::Dirs;
use crate::shell::lexer::{Lexer, Line, Redirect, Unclear};
use crate::shell::variables::{Variables, is_name};
use crate::shell::word::Word;
use crate::shell::{Access, Analysis, Role, Simple, Unknown, dialect, parse};

/// What a program is started with.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    /// The folders that it may run in.
    pub(crate) dirs: &'a Dirs,
    /// Whether the environment may hold variables that another program here has set.
    pub(crate) given: bool,
}

/// Reads a program and adds what it would do.
///
/// Gives whether it may leave another working folder behind.
pub(crate) fn program(
    source: &str,
    place: &Place<'_>,
    from: From<'_>,
    depth: usize,
    out: &mut Analysis,
) -> bool {
    let tree = match parse::parse(source) {
        Ok(tree) => tree,
        Err(Unclear(why)) => {
            out.unclear.push(Unknown { part: source.to_owned(), why });
            return true;
        }
    };
    let nested = parse::nested(&tree);
    let nodes = parse::every(&tree)
        .filter(|node| matches!(node.kind(), "command_substitution" | "process_substitution"))
        .map(|node| (node.start_byte(), node))
        .collect();
    let all = nested.keys().copied().collect();
    let mut walk = Walk {
        source,
        place,
        lexer: Lexer::new(source, nested),
        variables: Variables::of(&tree, source, from.given),
        nodes,
        functions: BTreeSet::new(),
        dirs: from.dirs.clone(),
        given: from.given,
        depth,
        out,
    };
    walk.children(tree.root_node(), depth);
    walk.settle(&all);
    walk.variables.moves
}

struct Walk<'a, 't> {
    source: &'a str,
    place: &'a Place<'a>,
    lexer: Lexer<'a>,
    variables: Variables,
    nodes: BTreeMap<usize, Node<'t>>,
    /// Functions that are defined for certain by now.
    functions: BTreeSet<String>,
    dirs: Dirs,
    /// Whether what started it may have set variables.
    given: bool,
    depth: usize,
    out: &'a mut Analysis,
}

type Done = Result<(), Unclear>;

/// Most words of a command, and most commands that one command runs.
const MOST_WORDS: usize = 1_000;
const MOST_CARRIED: usize = 32;

const UNKNOWN_FORM: Unclear = Unclear("it holds a form that is not known here");
/// Words that mean something else where a command begins.
const RESERVED: &[&str] = &[
    "!", "{", "}", "[[", "]]", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for",
    "function", "if", "in", "select", "then", "until", "while",
];
/// What stands between statements.
const TOKENS: &[&str] = &[
    ";", "&", "\n", "&&", "||", "|", "|&", "!", "(", ")", "{", "}", "do", "done", "if", "then", "fi", "elif",
    "else", "while", "until", ";;", ";&", ";;&", "$(", "`", "<(", ">(",
];

impl<'t> Walk<'_, 't> {
    fn unclear(&mut self, node: Node<'t>, Unclear(why): Unclear) {
        let part = self.source.get(node.byte_range()).unwrap_or_default().to_owned();
        self.out.unclear.push(Unknown { part, why });
    }

    /// At the end: was every substitution come across, and is all arithmetic on numbers?
    fn settle(&mut self, all: &BTreeSet<usize>) {
        let whole = |why| Unknown { part: self.source.to_owned(), why };
        if self.lexer.met != *all {
            self.out.unclear.push(whole("it holds a substitution that cannot be told apart"));
        }
        for text in &self.lexer.arithmetic {
            if let Err(Unclear(why)) = self.variables.arithmetic(text) {
                self.out.unclear.push(whole(why));
                break;
            }
        }
        let set = std::mem::take(&mut self.lexer.set);
        self.out.assignments.extend(set.into_iter().filter(|name| assignments::changes_what_runs(name)));
    }

    /// The statements of a node, and nothing else.
    fn children(&mut self, node: Node<'t>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            return self.unclear(node, Unclear("it goes too deep"));
        };
        let mut cursor = node.walk();
        let mut at = node.start_byte();
        for child in node.children(&mut cursor) {
            if !self.is_gap(at, child.start_byte()) {
                self.unclear(node, UNKNOWN_FORM);
            }
            at = child.end_byte();
            if child.is_named() {
                self.statement(child, depth);
            } else if !TOKENS.contains(&child.kind()) || !self.is_apart(child) {
                self.unclear(node, UNKNOWN_FORM);
            }
        }
        if !self.is_gap(at, node.end_byte()) {
            self.unclear(node, UNKNOWN_FORM);
        }
    }

    /// Whether a reserved word is a word of its own for bash too, and not the beginning or the end of another.
    fn is_apart(&self, token: Node<'t>) -> bool {
        let kind = token.kind();
        if !kind.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '{' | '}' | '!')) {
            return true;
        }
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n');
        let after = self.source.get(token.end_byte()..).and_then(|text| text.chars().next());
        let before = self.source.get(..token.start_byte()).and_then(|text| text.chars().next_back());
        let ends = after.is_none_or(|c| blank(c) || (!matches!(kind, "{" | "!") && ";&|()<>`".contains(c)));
        ends && before.is_none_or(|c| blank(c) || ";&|()`".contains(c))
    }

    /// Whether nothing stands there but blanks.
    fn is_gap(&self, from: usize, to: usize) -> bool {
        let gap = self.source.get(from..to).unwrap_or("?");
        gap.replace("\\\n", "").bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
    }

    fn statement(&mut self, node: Node<'t>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            return self.unclear(node, Unclear("it goes too deep"));
        };
        let done = match node.kind() {
            "comment" => self.comment(node),
            "command" | "declaration_command" | "unset_command" | "variable_assignments" => {
                self.simple(node.start_byte(), node.end_byte(), None)
            }
            "variable_assignment" => self.assignment(node),
            "redirected_statement" => self.redirected(node, depth),
            "test_command" => self.test(node),
            "compound_statement" if self.text(node).starts_with("((") => self.arithmetic(node),
            "while_statement" => {
                self.repeats();
                self.children(node, depth);
                Ok(())
            }
            "pipeline" | "list" | "negated_command" | "compound_statement" | "if_statement"
            | "elif_clause" | "else_clause" | "do_group" => {
                self.children(node, depth);
                Ok(())
            }
            "subshell" => {
                let (dirs, functions) = (self.dirs.clone(), self.functions.clone());
                self.children(node, depth);
                (self.dirs, self.functions) = (dirs, functions);
                Ok(())
            }
            "for_statement" => self.loop_over(node, depth),
            "c_style_for_statement" => self.counting_loop(node, depth),
            "case_statement" => self.case(node, depth),
            "function_definition" => self.function(node, depth),
            // `$(< file)`.
            "file_redirect" => self.simple(node.start_byte(), node.end_byte(), None),
            _ => Err(UNKNOWN_FORM),
        };
        if let Err(unclear) = done {
            self.unclear(node, unclear);
        }
        self.visit(depth);
    }

    fn text(&self, node: Node<'t>) -> &str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    /// Goes into the substitutions that were come across since the last time.
    fn visit(&mut self, depth: usize) {
        let new = std::mem::take(&mut self.lexer.pending);
        for node in new.iter().filter_map(|start| self.nodes.get(start).copied()).collect::<Vec<_>>() {
            if self.text(node).starts_with('`') && self.text(node).contains('\\') {
                self.unclear(node, Unclear("it holds escapes within backticks"));
            }
            let (dirs, functions) = (self.dirs.clone(), self.functions.clone());
            self.children(node, depth);
            (self.dirs, self.functions) = (dirs, functions);
        }
    }

    /// A comment begins a word of its own.
    fn comment(&self, node: Node<'t>) -> Done {
        let before = self.source.get(..node.start_byte()).and_then(|text| text.chars().next_back());
        let apart = before.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')'));
        if apart && !self.text(node).contains('\n') { Ok(()) } else { Err(UNKNOWN_FORM) }
    }

    fn assignment(&mut self, node: Node<'t>) -> Done {
        let mut cursor = node.walk();
        let array = node.children(&mut cursor).find(|child| child.kind() == "array");
        let Some(array) = array else { return self.simple(node.start_byte(), node.end_byte(), None) };
        // `name=(words)`.
        let head = self.source.get(node.start_byte()..array.start_byte()).unwrap_or_default();
        let name = head.trim_end_matches('=').trim_end_matches('+').to_owned();
        self.lexer.words(array.start_byte() + 1, array.end_byte().saturating_sub(1))?;
        if !is_name(&name) || array.end_byte() != node.end_byte() {
            return Err(UNKNOWN_FORM);
        }
        self.keeps(&name);
        Ok(())
    }

    /// A variable is set for what follows.
    fn keeps(&mut self, name: &str) {
        if assignments::changes_what_runs(name) {
            self.out.assignments.push(name.to_owned());
        }
    }

    /// A simple command, from its first word to its last.
    fn simple(&mut self, start: usize, end: usize, stdin: Option<Word>) -> Done {
        let Line { words, redirects } = self.lexer.line(start, end)?;
        let mut stdin = stdin;
        for redirect in &redirects {
            if redirect.operator == "<<<" {
                stdin = Some(redirect.target.clone());
            }
        }
        self.redirects(&redirects)?;
        let mut words: Vec<Word> = words.into_iter().map(|word| self.resolved(word)).collect();
        let count = words.iter().take_while(|word| word.assigns().is_some()).count();
        let assigned_words: Vec<Word> = words.drain(..count).collect();
        for word in &assigned_words {
            let name = word.assigns().unwrap_or_default();
            if word.raw.get(name.len()..).is_some_and(|rest| rest.starts_with('[')) {
                return Err(UNKNOWN_FORM);
            }
            if words.is_empty() {
                let name = name.to_owned();
                self.keeps(&name);
            }
        }
        if words.is_empty() {
            return Ok(());
        }
        let assigned_words = assigned_words
            .into_iter()
            .filter(|word| word.assigns().is_some_and(assignments::changes_what_runs));
        self.command(words, assigned_words.collect(), stdin.as_ref(), Vec::new(), self.depth)
    }

    /// Whether a program that is started here may find variables that were set here.
    fn gives(&self) -> bool {
        self.given || self.variables.are_any() || self.source.contains('=')
    }

    /// With the values that the program gives a variable.
    fn resolved(&self, word: Word) -> Word {
        let values = word.variable.as_ref().and_then(|name| self.variables.values(name));
        match values {
            Some(values) if !values.is_empty() => word.with_values(values),
            // From the user's environment, which holds no options: nobody here has written it.
            None if !self.given
                && word.variable.as_ref().is_some_and(|name| !self.variables.is_set(name)) =>
            {
                Word { operand: true, ..word }
            }
            _ => word,
        }
    }

    fn redirects(&mut self, redirects: &[Redirect]) -> Done {
        for Redirect { operator, target } in redirects {
            let duplicates = matches!(*operator, ">&" | "<&")
                && target.known().is_some_and(|text| {
                    let digits = text.strip_suffix('-').unwrap_or(text);
                    digits.bytes().all(|byte| byte.is_ascii_digit())
                });
            if duplicates || operator.starts_with("<<") {
                continue;
            }
            if *operator == "<&" {
                return Err(UNKNOWN_FORM);
            }
            let write = *operator != "<";
            self.out.files.push(Access { target: target.clone(), dirs: self.dirs.clone(), write });
        }
        Ok(())
    }

    /// A command whose words are read; also those that it runs.
    fn command(
        &mut self,
        mut words: Vec<Word>,
        assigned: Vec<Word>,
        stdin: Option<&Word>,
        outer: Vec<(Vec<Word>, usize)>,
        depth: usize,
    ) -> Done {
        let Some(depth) = depth.checked_sub(1) else { return Err(Unclear("it goes too deep")) };
        let Some(name) = words.first() else { return Ok(()) };
        if words.len() > MOST_WORDS {
            return Err(Unclear("it has too many words"));
        }
        if !name.known || name.expanded || name.text.is_empty() {
            return Err(Unclear("what runs is in a variable, a substitution or a pattern"));
        }
        if name.bare && RESERVED.contains(&name.text.as_str()) {
            return Err(UNKNOWN_FORM);
        }
        let carriers::Reading { role, carried, unclear } = carriers::read(&words, stdin)?;
        let role = match role {
            // Only a plain call is one of the function: `command f` is not.
            Role::Plain if outer.is_empty() && self.functions.contains(&name.text) => Role::Inert,
            role => role,
        };
        if carried.len() > MOST_CARRIED && role != Role::Suspect {
            return Err(Unclear("it runs too many commands"));
        }
        if matches!(name.text.as_str(), "cd" | "pushd" | "popd") {
            return self.cd(words, outer);
        }
        if matches!(name.text.as_str(), "export" | "declare" | "typeset" | "local" | "readonly" | "unset") {
            self.declaration(&words)?;
        }
        let whole = words.clone();
        // Assignments are part of what a rule must name.
        let shift = assigned.len();
        words.splice(0..0, assigned);
        let outer_of_carried = |at: usize| {
            let mut chain = vec![(words.clone(), at + shift)];
            chain.extend(outer.iter().map(|(words, offset)| (words.clone(), offset + at)));
            chain
        };
        let mut done = unclear.map_or(Ok(()), Err);
        let mut inner = Vec::new();
        for carried in carried {
            match carried {
                Carried::Words { at, words, assigned } => inner.push((words, assigned, outer_of_carried(at))),
                Carried::Suspect { at } => self.suspect(whole.get(at..).unwrap_or_default(), depth),
                Carried::Code { text, plain } => {
                    if plain && let Some(form) = dialect::only_bash(&text) {
                        done = done.and(Err(form));
                    }
                    let from = From { dirs: &self.dirs, given: self.gives() };
                    // `eval` and `trap` run it here, a shell of its own elsewhere: either way the folder is not known.
                    if program(&text, self.place, from, depth, self.out) {
                        self.dirs.lose();
                    }
                }
                Carried::Write(target) => {
                    self.out.files.push(Access { target, dirs: self.dirs.clone(), write: true });
                }
                Carried::Sets(name) => self.keeps(&name),
            }
        }
        let simple = Simple { words, assigned: shift, dirs: self.dirs.clone(), role, outer };
        self.out.commands.push(simple);
        for (words, assigned, outer) in inner {
            let assigned = assigned
                .into_iter()
                .filter(|word| word.assigns().is_some_and(assignments::changes_what_runs))
                .collect();
            done = done.and(self.command(words, assigned, None, outer, depth));
        }
        done
    }

    /// Words that may be a command; also the commands of a text that may be a program.
    fn suspect(&mut self, words: &[Word], depth: usize) {
        let suspicion = |words: Vec<Word>| Simple {
            words,
            assigned: 0,
            dirs: self.dirs.clone(),
            role: Role::Suspect,
            outer: Vec::new(),
        };
        let text =
            words.first().and_then(Word::known).filter(|text| text.contains([' ', ';', '|', '&', '$']));
        if let Some(text) = text {
            let mut found = Analysis::default();
            let given = self.gives();
            let _ = program(text, self.place, From { dirs: &self.dirs, given }, depth, &mut found);
            let commands: Vec<Simple> =
                found.commands.into_iter().map(|simple| suspicion(simple.words)).collect();
            self.out.commands.extend(commands);
        }
        let command = suspicion(words.to_vec());
        self.out.commands.push(command);
    }

    fn cd(&mut self, words: Vec<Word>, outer: Vec<(Vec<Word>, usize)>) -> Done {
        let before = self.dirs.clone();
        match words.as_slice() {
            [cd, dir] if cd.is("cd") && dir.known && !dir.home => {
                self.dirs.change(&dir.text, self.place.root)
            }
            _ => self.dirs.lose(),
        }
        let role = if self.dirs.known().is_some() { Role::Inert } else { Role::Plain };
        self.out.commands.push(Simple { words, assigned: 0, dirs: before, role, outer });
        Ok(())
    }

    /// `export`, `declare` and the like.
    fn declaration(&mut self, words: &[Word]) -> Done {
        for word in words.iter().skip(1) {
            let Some(name) = word.assigns().or_else(|| word.known()) else {
                return Err(Unclear("which variable is set is in a variable"));
            };
            let name = name.split('=').next().unwrap_or_default().trim_end_matches('+');
            // References to other variables, and values that are evaluated as arithmetic.
            if name.starts_with('-') && name.contains(['n', 'i']) || name.contains('[') {
                return Err(UNKNOWN_FORM);
            }
            let name = name.to_owned();
            self.keeps(&name);
        }
        Ok(())
    }

    fn redirected(&mut self, node: Node<'t>, depth: usize) -> Done {
        let mut cursor = node.walk();
        let mut children = node.children(&mut cursor).peekable();
        let body = children.next_if(|child| !child.kind().ends_with("_redirect"));
        let simple = body.is_none_or(|body| {
            matches!(body.kind(), "command" | "declaration_command" | "variable_assignment" | "unset_command")
        });
        let start =
            if simple { node.start_byte() } else { body.map_or(node.start_byte(), |body| body.end_byte()) };
        let mut end = body.map_or(node.start_byte(), |body| body.end_byte());
        let mut heredoc = None;
        for child in children {
            match child.kind() {
                "file_redirect" | "herestring_redirect" if heredoc.is_none() => end = child.end_byte(),
                "heredoc_redirect" if heredoc.is_none() => heredoc = Some(child),
                _ => {
                    return Err(Unclear("it holds several here-documents, or one before other redirections"));
                }
            }
        }
        let mut stdin = None;
        let mut rest = Vec::new();
        if let Some(heredoc) = heredoc {
            end = self.heredoc(heredoc, &mut stdin, &mut rest)?;
        }
        if simple {
            self.simple(start, end, stdin)?;
        } else {
            let Line { words, redirects } = self.lexer.line(start, end)?;
            if !words.is_empty() {
                return Err(UNKNOWN_FORM);
            }
            self.redirects(&redirects)?;
            if let Some(body) = body {
                self.statement(body, depth);
            }
        }
        for statement in rest {
            self.statement(statement, depth);
        }
        Ok(())
    }

    /// Checks a here-document; where the command that it belongs to ends, what it reads, and what follows on its line.
    fn heredoc(
        &mut self,
        node: Node<'t>,
        stdin: &mut Option<Word>,
        rest: &mut Vec<Node<'t>>,
    ) -> Result<usize, Unclear> {
        const LOST: Unclear = Unclear("where its here-document ends cannot be told for certain");
        let mut cursor = node.walk();
        let (mut end, mut start, mut body, mut last) = (node.start_byte(), None, None, None);
        for child in node.children(&mut cursor) {
            match child.kind() {
                "<<" | "<<-" | "file_descriptor" => {}
                "heredoc_start" => {
                    start = Some(child);
                    end = child.end_byte();
                }
                "file_redirect" | "herestring_redirect" if rest.is_empty() => end = child.end_byte(),
                "\n" | "&&" | "||" => {}
                "heredoc_body" => body = Some(child),
                "heredoc_end" => last = Some(child),
                // Further words of the command.
                "word" | "string" | "raw_string" | "concatenation" | "number" | "simple_expansion"
                    if rest.is_empty() =>
                {
                    end = child.end_byte();
                }
                _ => rest.push(child),
            }
        }
        let (Some(start), Some(body), Some(last)) = (start, body, last) else { return Err(LOST) };
        let (delimiter, delimiter_end) = self.lexer.word(start.start_byte())?;
        let delimiter_text = delimiter.known().ok_or(LOST)?.to_owned();
        let tabs = self.source.get(..start.start_byte()).is_some_and(|text| text.trim_end().ends_with("<<-"));
        let first_line = self.source.get(delimiter_end..body.start_byte()).unwrap_or_default();
        let text = self.source.get(body.start_byte()..last.start_byte()).unwrap_or_default();
        let is_last = |line: &str| {
            let line = if tabs { line.trim_start_matches('\t') } else { line };
            line == delimiter_text
        };
        let after = self.source.get(last.end_byte()..).unwrap_or_default();
        let ending = self.source.get(last.byte_range()).unwrap_or_default();
        let fits = delimiter_end == start.end_byte()
            && first_line.matches('\n').count() == 1
            && first_line.ends_with('\n')
            && !first_line.contains("<<")
            && (text.is_empty() || text.trim_end_matches('\t').ends_with('\n'))
            && !text.lines().any(|line| is_last(line) && !line.trim_matches('\t').is_empty())
            && is_last(ending.trim_matches('\n'))
            && (after.is_empty() || after.starts_with(['\n', ')', '`']));
        if !fits {
            return Err(LOST);
        }
        *stdin = Some(if delimiter.bare {
            self.lexer.inner(body.start_byte(), last.start_byte())?;
            if text.contains(['$', '`', '\\']) { Word::anything() } else { Word::literal(text) }
        } else {
            Word::literal(text)
        });
        Ok(end)
    }

    /// `[ … ]` and `[[ … ]]`.
    fn test(&mut self, node: Node<'t>) -> Done {
        const EVALUATES: &[&str] = &["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];
        let text = self.text(node).to_owned();
        let (double, open) = if text.starts_with("[[") { (true, 2) } else { (false, 1) };
        if text.starts_with("((") {
            return self.arithmetic(node);
        }
        if !text.starts_with('[') {
            return Err(UNKNOWN_FORM);
        }
        let mut words = Vec::new();
        let (mut at, end) = (node.start_byte() + open, node.end_byte());
        let close = if double { "]]" } else { "]" };
        loop {
            at = self.lexer.blanks(at);
            let rest = self.source.get(at..end).unwrap_or_default();
            if rest.is_empty() {
                return Err(UNKNOWN_FORM);
            }
            let operator =
                ["&&", "||", "(", ")", "<", ">", "|", "\n"].iter().find(|token| rest.starts_with(*token));
            let substitution = rest.starts_with("<(") || rest.starts_with(">(");
            match operator {
                Some(operator) if double && !substitution => at += operator.len(),
                _ => {
                    let (word, after) = self.lexer.word(at)?;
                    at = after;
                    if word.bare && word.is(close) {
                        break;
                    }
                    words.push(self.resolved(word));
                }
            }
        }
        if at != end {
            return Err(UNKNOWN_FORM);
        }
        for (index, word) in words.iter().enumerate() {
            let Some(operator) = word.known() else { continue };
            let mut beside =
                [index.checked_sub(1), Some(index + 1)].into_iter().flatten().filter_map(|i| words.get(i));
            if double && EVALUATES.contains(&operator) {
                let number = |word: &Word| {
                    word.number
                        || word.known().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                        || word.raw.starts_with("$#")
                        || word.raw.starts_with("$?")
                        || word.raw.starts_with("${#")
                };
                let safe = |word: &Word| {
                    number(word) || word.variable.as_ref().is_some_and(|name| self.variables.is_number(name))
                };
                if !beside.all(safe) {
                    return Err(Unclear("arithmetic on what is not known to be a number can run commands"));
                }
            } else if operator == "-v"
                && words.get(index + 1).is_some_and(|word| !word.known().is_some_and(is_name))
            {
                return Err(UNKNOWN_FORM);
            }
        }
        Ok(())
    }

    /// `(( … ))`.
    fn arithmetic(&mut self, node: Node<'t>) -> Done {
        let inside =
            self.text(node).strip_prefix("((").and_then(|text| text.strip_suffix("))")).map(str::to_owned);
        let inside = inside.ok_or(UNKNOWN_FORM)?;
        self.lexer.inner(node.start_byte() + 2, node.end_byte() - 2)?;
        self.variables.arithmetic(&inside)
    }

    /// What follows runs more than once: a change of folder at its end holds at its beginning.
    fn repeats(&mut self) {
        if self.variables.moves {
            self.dirs.lose();
        }
    }

    fn loop_over(&mut self, node: Node<'t>, depth: usize) -> Done {
        let variable = node.child_by_field_name("variable").ok_or(UNKNOWN_FORM)?;
        let name = self.text(variable).to_owned();
        let mut cursor = node.walk();
        let values: Vec<Node<'t>> = node.children_by_field_name("value", &mut cursor).collect();
        let start = self.lexer.blanks(variable.end_byte());
        if let (Some(first), Some(last)) = (values.first(), values.last()) {
            let between = self.source.get(start..first.start_byte()).unwrap_or_default();
            if between.trim_matches([' ', '\t', '\n']) != "in" {
                return Err(UNKNOWN_FORM);
            }
            self.lexer.words(first.start_byte(), last.end_byte())?;
        }
        self.keeps(&name);
        self.repeats();
        let body = node.child_by_field_name("body").ok_or(UNKNOWN_FORM)?;
        let from = values.last().map_or(variable.end_byte(), Node::end_byte);
        let between = self.source.get(from..body.start_byte()).unwrap_or_default();
        if !between.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b';')) {
            return Err(UNKNOWN_FORM);
        }
        self.children(body, depth);
        Ok(())
    }

    fn counting_loop(&mut self, node: Node<'t>, depth: usize) -> Done {
        let body = node.child_by_field_name("body").ok_or(UNKNOWN_FORM)?;
        let head = self.source.get(node.start_byte()..body.start_byte()).unwrap_or_default();
        let open = head.find("((").ok_or(UNKNOWN_FORM)?;
        let close = head.rfind("))").ok_or(UNKNOWN_FORM)?;
        let around = [head.get(..open), head.get(close + 2..)];
        let [Some("for" | "for "), Some(after)] = around else { return Err(UNKNOWN_FORM) };
        if !after.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b';')) {
            return Err(UNKNOWN_FORM);
        }
        let inside = head.get(open + 2..close).unwrap_or_default().to_owned();
        let offset = node.start_byte();
        self.lexer.inner(offset + open + 2, offset + close)?;
        self.variables.arithmetic(&inside)?;
        self.repeats();
        self.children(body, depth);
        Ok(())
    }

    fn case(&mut self, node: Node<'t>, depth: usize) -> Done {
        let value = node.child_by_field_name("value").ok_or(UNKNOWN_FORM)?;
        self.lexer.words(value.start_byte(), value.end_byte())?;
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            match child.kind() {
                "case" | "in" | "esac" | "\n" | ";" => {}
                "comment" => self.comment(child)?,
                "case_item" => self.case_item(child, depth)?,
                _ if child == value => {}
                _ => return Err(UNKNOWN_FORM),
            }
        }
        Ok(())
    }

    fn case_item(&mut self, node: Node<'t>, depth: usize) -> Done {
        let mut cursor = node.walk();
        let patterns: Vec<Node<'t>> = node.children_by_field_name("value", &mut cursor).collect();
        for pattern in &patterns {
            self.lexer.words(pattern.start_byte(), pattern.end_byte())?;
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            match child.kind() {
                _ if patterns.contains(&child) => {}
                "(" | ")" | "|" | ";;" | ";&" | ";;&" | ";" | "&" | "\n" => {}
                _ if child.is_named() => self.statement(child, depth),
                _ => return Err(UNKNOWN_FORM),
            }
        }
        Ok(())
    }

    fn function(&mut self, node: Node<'t>, depth: usize) -> Done {
        let name = node.child_by_field_name("name").ok_or(UNKNOWN_FORM)?;
        let body = node.child_by_field_name("body").ok_or(UNKNOWN_FORM)?;
        let head = self.source.get(node.start_byte()..body.start_byte()).unwrap_or_default();
        let name = self.text(name).to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-:.".contains(c);
        let shape: String = head.split_whitespace().collect::<Vec<_>>().join("");
        let expected = [format!("{name}()"), format!("function{name}()"), format!("function{name}")];
        if !name.chars().all(plain) || !expected.contains(&shape) {
            return Err(UNKNOWN_FORM);
        }
        if let Some(redirect) = node.child_by_field_name("redirect") {
            self.simple(redirect.start_byte(), redirect.end_byte(), None)?;
        }
        // Where it is called is not known, nor where that leaves the shell.
        self.repeats();
        self.statement(body, depth);
        self.repeats();
        let follows = node.next_sibling().is_some_and(|next| next.kind() == "&");
        let certain = node.parent().is_some_and(|parent| parent.kind() == "program")
            && node.child_by_field_name("redirect").is_none()
            && !follows
            && !self.variables.undefines;
        if certain {
            self.functions.insert(name);
        }
        Ok(())
    }
}
