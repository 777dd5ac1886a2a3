//! `sed` and `awk` are given little programs, which can write files and run commands: those that are plainly harmless
//! are told apart, any other is asked about.

use crate::hazards::Hazard;
use crate::shell::Word;

pub(crate) fn hazards(name: &str, words: &[Word]) -> Vec<Hazard> {
    let harmless: fn(&str) -> bool = match name {
        "sed" | "gsed" => sed,
        "awk" | "gawk" | "mawk" | "nawk" => awk,
        _ => return Vec::new(),
    };
    scripts(name, words)
        .into_iter()
        .filter(|&at| {
            words.get(at).is_none_or(|word| !word.known().is_some_and(|text| harmless(script_of(text))))
        })
        .map(|at| Hazard::executes(vec![at], format!("its program for `{name}` may write or run something")))
        .collect()
}

/// A script as its word holds it: `--expression=…` and `-e…` carry one behind their name.
fn script_of(text: &str) -> &str {
    match text.strip_prefix("--expression=").or_else(|| text.strip_prefix("-e")) {
        Some(script) if !script.is_empty() => script,
        _ => text,
    }
}

/// Where the scripts stand.
fn scripts(name: &str, words: &[Word]) -> Vec<usize> {
    let is_sed = name.ends_with("sed");
    let mut scripts = Vec::new();
    let mut at = 1;
    let mut first = None;
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        if is_sed
            && (text == "--expression"
                || (text.starts_with('-') && !text.starts_with("--") && text.ends_with('e')))
        {
            scripts.push(at + 1);
            at += 2;
            continue;
        }
        if is_sed && (text.starts_with("--expression=") || text.starts_with("-e")) {
            scripts.push(at);
        } else if !is_sed && matches!(text, "-v" | "-F" | "--assign" | "--field-separator") {
            at += 2;
            continue;
        } else if text == "--" {
            first = first.or(Some(at + 1));
            break;
        } else if !text.starts_with('-') || text.len() == 1 {
            first = first.or(Some(at));
        }
        at += 1;
    }
    if scripts.is_empty() {
        scripts.extend(first.filter(|&at| at < words.len()));
    }
    scripts
}

/// Whether a sed script is made of addresses and of commands that only print, delete or replace.
fn sed(script: &str) -> bool {
    script.split([';', '\n']).all(|command| sed_command(command.trim())) || sed_command(script.trim())
}

fn sed_command(command: &str) -> bool {
    let rest = sed_addresses(command);
    let rest = rest.trim_start().trim_start_matches('!').trim_start();
    let mut letters = rest.chars();
    match letters.next() {
        None => true,
        Some('p' | 'd' | '=' | 'q' | 'n' | 'N' | 'g' | 'G' | 'h' | 'H' | 'x' | 'D' | 'P') => {
            letters.all(|c| c.is_ascii_digit() || c == ' ')
        }
        Some('s' | 'y') => {
            let Some(delimiter) =
                letters.next().filter(|c| !c.is_alphanumeric() && !c.is_whitespace() && *c != '\\')
            else {
                return false;
            };
            let parts = parts(letters.as_str(), delimiter);
            let [_, _, flags] = parts.as_slice() else { return false };
            flags.chars().all(|c| c.is_ascii_digit() || matches!(c, 'g' | 'p' | 'i' | 'I'))
        }
        Some(_) => false,
    }
}

/// What follows the addresses before a command.
fn sed_addresses(command: &str) -> &str {
    let mut rest = command;
    loop {
        rest = rest.trim_start_matches([',', ' ', '~', '+']);
        if let Some(pattern) = rest.strip_prefix('/') {
            match parts(pattern, '/').as_slice() {
                [pattern, _, ..] => {
                    let past = 1 + pattern.len() + 1;
                    rest = rest.get(past..).unwrap_or_default().trim_start_matches(['I', 'M']);
                }
                _ => return rest,
            }
        } else if rest.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '$');
        } else {
            return rest;
        }
    }
}

/// The parts between delimiters that are not escaped.
fn parts(text: &str, delimiter: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == delimiter {
            parts.push(text.get(from..at).unwrap_or_default());
            from = at + c.len_utf8();
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// Whether an awk program has nothing in it that could write a file or run a command: no redirection, no pipe, no call
/// of `system`. Strings and patterns are not told apart from the rest: `>` within one is asked about as well.
fn awk(program: &str) -> bool {
    let compares = program.replace(">=", "  ").replace("||", "  ");
    !compares.contains(['>', '|', '@', '`'])
        && !["system", "getline", "close"].iter().any(|word| program.contains(word))
}
