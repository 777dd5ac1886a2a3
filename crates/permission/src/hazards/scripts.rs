//! `sed` and `awk` are given little programs, which can write files and run commands: those that are plainly harmless
//! are told apart, any other is asked about. What implementations read in different ways is not harmless.

use crate::hazards::Hazard;
use crate::shell::Word;

pub(crate) fn hazards(name: &str, words: &[Word]) -> Vec<Hazard> {
    let (tool, harmless): (&Tool, fn(&str) -> bool) = match name {
        "sed" | "gsed" => (&SED, sed),
        "awk" | "gawk" | "mawk" | "nawk" => (&AWK, awk),
        _ => return Vec::new(),
    };
    let found = scripts(tool, name, words);
    let harmful = |script: &&Script<'_>| !script.text.is_some_and(harmless);
    let mut hazards: Vec<Hazard> = found
        .unknown
        .iter()
        .map(|&at| Hazard::executes(vec![at], format!("what this option of `{name}` does is not known")))
        .collect();
    hazards.extend(found.scripts.iter().filter(harmful).map(|script| {
        Hazard::executes(vec![script.at], format!("its program for `{name}` may write or run something"))
    }));
    hazards
}

/// The options of `sed` or `awk`.
struct Tool {
    /// Letters without a value.
    flags: &'static str,
    /// Letters with a value.
    valued: &'static str,
    /// Letters whose value, if any, is in the same word.
    attached: &'static str,
    /// Letters and names whose value is a program.
    programs: &'static [&'static str],
    /// Letters and names that say which file the program is in.
    files: &'static [&'static str],
    long: &'static [&'static str],
    /// Names with a value.
    long_valued: &'static [&'static str],
    /// Whether options may follow operands.
    mixes: bool,
}

const SED: Tool = Tool {
    flags: "nErsuz",
    valued: "elf",
    attached: "i",
    programs: &["e", "expression"],
    files: &["f", "file"],
    long: &[
        "quiet",
        "silent",
        "regexp-extended",
        "separate",
        "unbuffered",
        "null-data",
        "posix",
        "debug",
        "sandbox",
        "follow-symlinks",
        "in-place",
        "help",
        "version",
    ],
    long_valued: &["expression", "file", "line-length"],
    mixes: true,
};

const AWK: Tool = Tool {
    flags: "bcCghkMnNOPrsStV",
    valued: "FvefE",
    attached: "",
    programs: &["e", "source"],
    files: &["f", "file", "E", "exec"],
    long: &[
        "posix",
        "traditional",
        "sandbox",
        "csv",
        "re-interval",
        "characters-as-bytes",
        "non-decimal-data",
        "use-lc-numeric",
        "bignum",
        "optimize",
        "no-optimize",
        "help",
        "version",
    ],
    long_valued: &["source", "file", "exec", "assign", "field-separator"],
    mixes: false,
};

/// A program among the words.
struct Script<'w> {
    at: usize,
    /// Its text, if that is known.
    text: Option<&'w str>,
}

#[derive(Default)]
struct Found<'w> {
    scripts: Vec<Script<'w>>,
    /// Options that are none of the tool's as far as is known here.
    unknown: Vec<usize>,
}

fn scripts<'w>(tool: &Tool, name: &str, words: &'w [Word]) -> Found<'w> {
    let mut found = Found::default();
    let mut operands: Vec<usize> = Vec::new();
    // Whether the first operand is no program, as one was given by an option before it.
    let mut given = false;
    let mut at = 1;
    while let Some(word) = words.get(at) {
        if word.is("--") {
            operands.extend(at + 1..words.len());
            break;
        }
        let text = word.text.as_str();
        if !text.starts_with('-') || text == "-" {
            if !tool.mixes {
                operands.extend(at..words.len());
                break;
            }
            operands.push(at);
            at += 1;
            continue;
        }
        let Some(option) = read(tool, text) else {
            found.unknown.push(at);
            at += 1;
            continue;
        };
        let apart = option.valued && option.value.is_none();
        if tool.programs.contains(&option.name) {
            given |= operands.is_empty();
            let script = if apart {
                Script { at: at + 1, text: words.get(at + 1).and_then(Word::known) }
            } else {
                Script { at, text: option.value.filter(|_| word.known) }
            };
            found.scripts.extend((script.at < words.len()).then_some(script));
        } else if tool.files.contains(&option.name) {
            given |= operands.is_empty();
        }
        // To some `-l` has no value.
        let value = option.value.or_else(|| words.get(at + 1).and_then(Word::known));
        if tool.mixes && option.name == "l" && !value.is_some_and(is_number) {
            found.unknown.push(at);
        }
        // A value that may become many words, or none, hides where the program is.
        if apart && words.get(at + 1).is_some_and(|value| value.splits) || !word.known {
            found.unknown.push(at);
        }
        at += 1 + usize::from(apart);
    }
    // Not every awk has `-e`: to the others what follows is the program.
    let given = given && (tool.mixes || name == "gawk" || found.scripts.is_empty());
    let empty = |at: &usize| words.get(*at).is_some_and(|word| word.is(""));
    let programs = match operands.first() {
        // What takes a value is not known: any of them may be the program.
        _ if !found.unknown.is_empty() => operands.len(),
        // `sed -i '' p`: to some the empty word is the option's value.
        Some(first) if !given && empty(first) => 2,
        _ => usize::from(!given),
    };
    found.scripts.extend(
        operands.iter().take(programs).map(|&at| Script { at, text: words.get(at).and_then(Word::known) }),
    );
    found
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An option of a word, the last of a cluster.
struct Read<'w> {
    name: &'w str,
    valued: bool,
    value: Option<&'w str>,
}

/// The option that a word ends in; none if it has one that is not known.
fn read<'w>(tool: &Tool, text: &'w str) -> Option<Read<'w>> {
    if let Some(long) = text.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let valued = tool.long_valued.contains(&name);
        return (valued || tool.long.contains(&name)).then_some(Read { name, valued, value });
    }
    let cluster = text.get(1..)?;
    let mut last = None;
    for (at, letter) in cluster.char_indices() {
        let end = at + letter.len_utf8();
        let name = cluster.get(at..end)?;
        let value = cluster.get(end..).filter(|value| !value.is_empty());
        if tool.valued.contains(letter) || tool.attached.contains(letter) {
            return Some(Read { name, valued: tool.valued.contains(letter), value });
        }
        if !tool.flags.contains(letter) {
            return None;
        }
        last = Some(Read { name, valued: false, value: None });
    }
    last
}

/// Whether a sed script is made of addresses and of commands that only print, delete, replace or jump.
fn sed(script: &str) -> bool {
    let mut rest = script;
    let mut blocks = 0_usize;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', ';']);
        if rest.is_empty() {
            return blocks == 0;
        }
        if let Some(after) = rest.strip_prefix('}') {
            if blocks == 0 {
                return false;
            }
            blocks -= 1;
            match sed_end(after) {
                Some(after) => rest = after,
                None => return false,
            }
            continue;
        }
        let Some(command) = sed_addresses(rest) else { return false };
        let command = command.trim_start_matches([' ', '!']);
        if let Some(after) = command.strip_prefix('{') {
            blocks += 1;
            rest = after;
            continue;
        }
        match sed_command(command).and_then(sed_end) {
            Some(after) => rest = after,
            None => return false,
        }
    }
}

/// What follows the end of a command; none if it does not end here.
fn sed_end(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches([' ', '\t']);
    (rest.is_empty() || rest.starts_with([';', '\n', '}'])).then_some(rest)
}

/// What follows a harmless command.
fn sed_command(command: &str) -> Option<&str> {
    let letter = command.chars().next()?;
    let rest = command.get(letter.len_utf8()..)?;
    match letter {
        'p' | 'd' | '=' | 'n' | 'N' | 'g' | 'G' | 'h' | 'H' | 'x' | 'D' | 'P' => Some(rest),
        'q' => Some(rest.trim_start_matches(' ').trim_start_matches(|c: char| c.is_ascii_digit())),
        'b' | 't' | ':' => {
            let after = rest
                .trim_start_matches(' ')
                .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
            // To some a label goes on to the end of the line.
            (!after.starts_with([' ', '\t', '}'])).then_some(after)
        }
        's' | 'y' => {
            let delimiter = rest.chars().next().filter(|c| c.is_ascii_punctuation())?;
            if matches!(delimiter, '\\' | '[' | ']' | ';' | '{' | '}') {
                return None;
            }
            let text = rest.get(1..)?;
            let (_, rest) = if letter == 'y' { until(text, delimiter)? } else { pattern(text, delimiter)? };
            let (_, rest) = until(rest, delimiter)?;
            // Where a delimiter within brackets ends the pattern, that pattern is an error, but `w` was read before it.
            let (_, other) = until(text, delimiter)?;
            let other = until(other, delimiter).map_or("", |(_, flags)| flags);
            if letter == 's'
                && other.trim_start_matches(|c: char| c.is_ascii_alphanumeric() && c != 'w').starts_with('w')
            {
                return None;
            }
            let flags = |c: char| c.is_ascii_digit() || matches!(c, 'g' | 'p' | 'i' | 'I' | 'm' | 'M');
            Some(rest.trim_start_matches(flags))
        }
        _ => None,
    }
}

/// What follows the addresses before a command; none if they cannot be read.
fn sed_addresses(command: &str) -> Option<&str> {
    let Some(rest) = sed_address(command)? else { return Some(command) };
    let rest = rest.trim_start_matches(' ');
    let Some(second) = rest.strip_prefix(',') else { return Some(rest) };
    let second = second.trim_start_matches(' ');
    let second = second.strip_prefix(['+', '~']).unwrap_or(second);
    sed_address(second)?.map(|rest| rest.trim_start_matches(' '))
}

/// What follows an address, if there is one.
#[allow(clippy::option_option, reason = "one says whether it can be read, the other whether it is there")]
fn sed_address(text: &str) -> Option<Option<&str>> {
    let digit = |c: char| c.is_ascii_digit();
    if let Some(pattern) = text.strip_prefix('/') {
        let (_, rest) = self::pattern(pattern, '/')?;
        return Some(Some(rest.trim_start_matches(['I', 'M'])));
    }
    if let Some(rest) = text.strip_prefix('$') {
        return Some(Some(rest));
    }
    if text.starts_with(digit) {
        let rest = text.trim_start_matches(digit);
        return Some(Some(rest.strip_prefix('~').map_or(rest, |step| step.trim_start_matches(digit))));
    }
    Some(None)
}

/// What stands before a delimiter that is not escaped, and after it.
fn until(text: &str, delimiter: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == delimiter {
            return Some((text.get(..at)?, text.get(at + c.len_utf8()..)?));
        }
    }
    None
}

/// A pattern before its delimiter, and what follows. A delimiter within brackets is none, to some; where it matters how
/// brackets are read, there is no answer.
fn pattern(text: &str, delimiter: char) -> Option<(&str, &str)> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == delimiter {
            let pattern = text.get(..at)?;
            return closes_brackets(pattern).then_some((pattern, text.get(at + c.len_utf8()..)?));
        } else if c == '[' {
            let (mut odd, mut holds) = (false, false);
            chars.next_if(|(_, c)| *c == '^');
            odd |= chars.next_if(|(_, c)| *c == ']').is_some();
            loop {
                match chars.next()?.1 {
                    ']' => break,
                    '\\' => {
                        odd = true;
                        let delimits = chars.next_if(|(_, c)| *c == delimiter).is_some();
                        // To some `\]` does not close.
                        if !delimits && chars.peek().is_some_and(|(_, c)| *c == ']') {
                            return None;
                        }
                    }
                    '[' => odd = true,
                    c => holds |= c == delimiter,
                }
            }
            if odd && holds {
                return None;
            }
        }
    }
    None
}

/// Whether each bracket of a pattern is closed within it: to some a delimiter within brackets is none.
fn closes_brackets(pattern: &str) -> bool {
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '[' => {
                chars.next_if_eq(&'^');
                chars.next_if_eq(&']');
                loop {
                    match chars.next() {
                        None => return false,
                        Some(']') => break,
                        Some('[') => {
                            let Some(class) = chars.next_if(|c| matches!(c, ':' | '.' | '=')) else {
                                continue;
                            };
                            let mut last = ' ';
                            loop {
                                match chars.next() {
                                    None => return false,
                                    Some(']') if last == class => break,
                                    Some(c) => last = c,
                                }
                            }
                        }
                        Some(_) => {}
                    }
                }
            }
            _ => {}
        }
    }
    true
}

/// Whether an awk program has nothing in it that could write a file or run a command: no redirection, no pipe, no call
/// of `system`.
fn awk(program: &str) -> bool {
    awk_read(program).unwrap_or_else(|| {
        let compares = program.replace(">=", "  ").replace("||", "  ");
        !compares.contains(['>', '|', '@', '`']) && !AWK_RUNS.iter().any(|word| program.contains(word))
    })
}

const AWK_RUNS: &[&str] = &["system", "getline", "close"];
/// After these words a `/` begins a pattern.
const AWK_KEYWORDS: &[&str] =
    &["print", "printf", "return", "in", "else", "do", "case", "delete", "getline", "exit", "length"];

/// Whether it is harmless, if its strings and patterns can be told from the rest for certain.
fn awk_read(program: &str) -> Option<bool> {
    let mut rest = program;
    let (mut blocks, mut parentheses) = (0_usize, 0_usize);
    // Within parentheses `>` compares, unless they are those of `for (print > "x"; …)`.
    let mut prints = false;
    // What stood before, blanks and comments aside: a word, or the character.
    let mut before = "";
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let after = rest.get(length..)?;
        match c {
            ' ' | '\t' => {
                rest = after;
                continue;
            }
            '#' => {
                rest = after.find('\n').and_then(|at| after.get(at..)).unwrap_or_default();
                continue;
            }
            '"' => {
                let (text, _) = until(after, '"')?;
                if text.contains('\n') {
                    return None;
                }
                length += text.len() + 1;
            }
            '/' if matches!(before, "" | "(" | "," | "{" | "}" | ";" | "\n" | "!" | "~" | "&" | "|") => {
                let (pattern, _) = until(after, '/')?;
                if pattern.contains('\n') || !closes_brackets(pattern) {
                    return None;
                }
                length += pattern.len() + 1;
            }
            '/' => {
                let word = before.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ']');
                if !word || AWK_KEYWORDS.contains(&before) {
                    return None;
                }
            }
            '{' => blocks += 1,
            '}' => blocks = blocks.checked_sub(1)?,
            '(' => parentheses += 1,
            ')' => {
                parentheses = parentheses.checked_sub(1)?;
                prints &= parentheses > 0;
            }
            '>' if after.starts_with('>') => return Some(false),
            '>' if after.starts_with('=') => length += 1,
            '>' if parentheses > 0 && !prints || blocks == 0 => {}
            '|' if after.starts_with('|') => length += 1,
            '>' | '|' | '@' | '`' => return Some(false),
            '\\' => return None,
            _ if c.is_ascii_alphanumeric() || c == '_' => {
                let word = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
                if AWK_RUNS.contains(&word) {
                    return Some(false);
                }
                prints |= parentheses > 0 && word.starts_with("print");
                length = word.len();
            }
            _ => {}
        }
        before = rest.get(..length)?;
        match (c, length) {
            ('|', _) => before = "|",
            // A text or a pattern is an operand, as what is in brackets.
            ('"' | '/', 2..) => before = "]",
            _ => {}
        }
        rest = rest.get(length..)?;
    }
    (blocks == 0 && parentheses == 0).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With time that grows as the square of the length, this would take minutes.
    #[test]
    fn long_scripts_are_read_in_one_pass() {
        assert!(!sed(&"/a/,".repeat(150_000)));
        assert!(sed(&"/a/p;".repeat(150_000)));
        assert!(!sed(&"s/a/".repeat(150_000)));
        assert!(!awk(&"/a/>".repeat(150_001)));
    }
}
