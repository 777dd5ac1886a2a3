//! Which values a program gives its variables, wherever it does so: enough to tell that `$f` in a loop over names
//! is a name and no option, and that arithmetic works on numbers. What is set in any other way is unknown.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::{Node, Tree};

use crate::assignments::changes_what_runs;
use crate::shell::lexer::{Lexer, Unclear};
use crate::shell::parse;
use crate::shell::word::Word;

/// Most values of one variable that are followed.
const MOST: usize = 32;

/// Built-in commands that set the variables that their arguments name.
const SETTERS: &[&str] = &[
    "read",
    "mapfile",
    "readarray",
    "getopts",
    "printf",
    "let",
    "unset",
    "wait",
    "declare",
    "typeset",
    "local",
    "export",
    "readonly",
];
/// Built-in commands after which any variable may have any value.
const ANYTHING: &[&str] = &["eval", "source", ".", "trap", "coproc"];

/// Variables that the shell sets to numbers.
const NUMBERS: &[&str] = &[
    "RANDOM",
    "SRANDOM",
    "SECONDS",
    "LINENO",
    "COLUMNS",
    "LINES",
    "UID",
    "EUID",
    "PPID",
    "SHLVL",
    "OPTIND",
    "EPOCHSECONDS",
];

/// What is known of a program's variables.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    values: BTreeMap<String, Vec<Word>>,
    unknown: BTreeSet<String>,
    /// Nothing is known.
    wild: bool,
    /// What started the program may have set variables too.
    given: bool,
    /// The working folder may be changed.
    pub(crate) moves: bool,
    /// Functions may go again, or be defined unseen.
    pub(crate) undefines: bool,
}

impl Variables {
    pub(crate) fn of(tree: &Tree, source: &str, given: bool) -> Self {
        let mut variables = Self { given, ..Self::default() };
        let mut lexer = Lexer::new(source, parse::nested(tree));
        for node in parse::every(tree) {
            match node.kind() {
                "variable_assignment" => variables.assignment(node, source, &mut lexer),
                "for_statement" => variables.loop_over(node, source, &mut lexer),
                "command" | "declaration_command" | "unset_command" | "redirected_statement" => {
                    variables.command(node, &mut lexer);
                }
                "subscript" => variables.name_in(node, source),
                _ => {}
            }
        }
        variables.unknown.extend(lexer.set);
        variables
    }

    /// The values that a variable may have, if the program says all of them.
    pub(crate) fn values(&self, name: &str) -> Option<&[Word]> {
        if self.wild || self.unknown.contains(name) {
            return None;
        }
        self.values.get(name).map(Vec::as_slice)
    }

    /// Whether the program sets any.
    pub(crate) fn are_any(&self) -> bool {
        self.wild || !self.unknown.is_empty() || !self.values.is_empty()
    }

    /// Whether the program sets it at all.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.wild || self.unknown.contains(name) || self.values.contains_key(name)
    }

    /// Arithmetic is evaluated: it may run what a variable says, unless every variable in it is a number.
    pub(crate) fn arithmetic(&self, text: &str) -> Result<(), Unclear> {
        const RUNS: Unclear = Unclear("arithmetic on what is not known to be a number can run commands");
        let mut depth = 0_i32;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let name = |text: &str| {
                let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
                text.get(..end).unwrap_or_default().to_owned()
            };
            let mut past = c.len_utf8();
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                '0'..='9' => past = name(rest).len(),
                'a'..='z' | 'A'..='Z' | '_' => {
                    let variable = name(rest);
                    past = variable.len();
                    if !self.is_number(&variable) || changes_what_runs(&variable) {
                        return Err(RUNS);
                    }
                }
                '$' => {
                    let after = rest.get(1..).unwrap_or_default();
                    let (open, close) = if after.starts_with('{') { (1, 1) } else { (0, 0) };
                    let variable = name(after.get(open..).unwrap_or_default());
                    past = 1 + open + variable.len() + close;
                    let closed = close == 0 || rest.get(past - 1..past) == Some("}");
                    let digits = variable.starts_with(|c: char| c.is_ascii_digit());
                    if variable.is_empty() || digits || !closed || !self.is_number(&variable) {
                        return Err(RUNS);
                    }
                }
                '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '&' | '|' | '^' | '~' | '?' | ':'
                | ',' | ';' | ' ' | '\t' | '\n' => {}
                _ => return Err(RUNS),
            }
            if depth < 0 {
                return Err(RUNS);
            }
            rest = rest.get(past..).unwrap_or_default();
        }
        if depth == 0 { Ok(()) } else { Err(RUNS) }
    }

    /// Whether a variable can only be a number.
    pub(crate) fn is_number(&self, name: &str) -> bool {
        if NUMBERS.contains(&name) && !self.is_set(name) {
            return true;
        }
        if !self.is_set(name) {
            // From the environment, which nobody here writes; but some the shell itself sets to texts.
            let texts = name == "_" || ["REPLY", "MAPFILE", "OPTARG", "PWD", "OLDPWD"].contains(&name);
            return !self.given && !texts && !name.starts_with("BASH") && !name.starts_with("READLINE");
        }
        let number = |word: &Word| {
            word.number || word.known().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.values(name).is_some_and(|values| values.iter().all(number))
    }

    fn give(&mut self, name: &str, value: Option<Word>) {
        let values = self.values.entry(name.to_owned()).or_default();
        match value {
            Some(value) if values.len() < MOST && value.variable.is_none() && usable(&value) => {
                values.push(value)
            }
            _ => {
                self.unknown.insert(name.to_owned());
            }
        }
    }

    fn assignment(&mut self, node: Node<'_>, source: &str, lexer: &mut Lexer<'_>) {
        let text = source.get(node.byte_range()).unwrap_or_default();
        let Some((name, value)) = text.split_once('=') else { return };
        // In arithmetic (`for ((i = 0; …`) what is assigned is a number, which `arithmetic` sees to.
        if !is_name(name) {
            let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if node.parent().is_some_and(|parent| parent.kind() == "c_style_for_statement") {
                self.give(&name, Some(Word { number: true, ..Word::default() }));
            } else {
                self.unknown.insert(name);
            }
            return;
        }
        let start = node.end_byte() - value.len();
        let word = match value {
            "" => Some(Word::literal("")),
            _ => lexer.word(start).ok().filter(|(_, end)| *end == node.end_byte()).map(|(word, _)| word),
        };
        self.give(name, word);
    }

    fn loop_over(&mut self, node: Node<'_>, source: &str, lexer: &mut Lexer<'_>) {
        let Some(variable) = node.child_by_field_name("variable") else { return };
        let name = source.get(variable.byte_range()).unwrap_or_default();
        let mut cursor = node.walk();
        let mut any = false;
        for value in node.children_by_field_name("value", &mut cursor) {
            any = true;
            let word = lexer.word(value.start_byte()).ok();
            self.give(name, word.filter(|(_, end)| *end == value.end_byte()).map(|(word, _)| word));
        }
        if !any || source.get(node.start_byte()..).is_some_and(|text| text.starts_with("select")) {
            self.unknown.insert(name.to_owned());
        }
    }

    fn command(&mut self, node: Node<'_>, lexer: &mut Lexer<'_>) {
        let mut at = node.start_byte();
        let mut words = Vec::new();
        // As far as words can be read; what follows is no argument of a built-in that sets variables.
        while at < node.end_byte() {
            at = lexer.blanks(at);
            match lexer.word(at) {
                Ok((word, end)) => {
                    words.push(word);
                    at = end;
                }
                Err(_) => break,
            }
        }
        let named =
            |names: &[&str]| words.iter().any(|word| word.known().is_some_and(|text| names.contains(&text)));
        self.moves |= named(&["cd", "pushd", "popd"]);
        self.undefines |= named(&["unset"]) || named(ANYTHING);
        if named(ANYTHING) {
            self.wild = true;
        }
        if named(SETTERS) {
            // `printf` sets one only after `-v`, which comes first.
            let printf = words.iter().position(|word| word.is("printf"));
            let hidden = match printf {
                Some(at) => words.get(at + 1).is_some_and(|word| !word.known),
                None => words.iter().any(|word| !word.known && word.assigns().is_none()),
            };
            if hidden {
                self.wild = true;
            }
            for word in words.iter().filter(|word| word.known) {
                let name = word.text.split('=').next().unwrap_or_default().trim_end_matches('+');
                // One that is written as an assignment was read as such.
                if is_name(name) && word.assigns().is_none() {
                    self.unknown.insert(name.to_owned());
                }
            }
        }
    }

    fn name_in(&mut self, node: Node<'_>, source: &str) {
        if let Some(name) = node.child_by_field_name("name") {
            self.unknown.insert(source.get(name.byte_range()).unwrap_or_default().to_owned());
        }
    }
}

/// Whether a value says something even where it is not wholly known.
fn usable(value: &Word) -> bool {
    value.known || value.number || value.is_pattern()
}

/// Whether the text can be a variable's name.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
