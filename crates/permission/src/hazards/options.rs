//! Options that execute or write, program by program.

use crate::hazards::{Hazard, operands};
use crate::shell::Word;

mod table;
pub(crate) use table::PROGRAMS;

/// A program's options that execute or write.
pub(crate) struct Program {
    /// Its names.
    pub(crate) names: &'static [&'static str],
    /// Letters after a single dash.
    pub(crate) short: &'static str,
    /// Letters with a value, whose rest is no further letters.
    pub(crate) valued: &'static str,
    /// Long options without their dashes; an abbreviation counts as well.
    pub(crate) long: &'static [&'static str],
    /// Long options that do neither, although they are how one of the others begins.
    pub(crate) harmless: &'static [&'static str],
    /// Words, or beginnings of words where they end in `…`.
    pub(crate) words: &'static [&'static str],
    /// Operands `name=value` are as powerful as options.
    pub(crate) assigns: bool,
    /// It runs what it reads from its input, unless an operand says what to run.
    pub(crate) input: bool,
    /// Which of the operands that is, from one.
    pub(crate) given: usize,
    /// Options with which it does not, as they only answer.
    pub(crate) answers: &'static [&'static str],
    /// Options whose value is the next word.
    pub(crate) apart: &'static [&'static str],
}

const fn program(
    names: &'static [&'static str],
    short: &'static str,
    long: &'static [&'static str],
) -> Program {
    Program {
        names,
        short,
        valued: "",
        long,
        harmless: &[],
        words: &[],
        assigns: false,
        input: false,
        given: 1,
        answers: &[],
        apart: &[],
    }
}

/// The hazards in the options of a program of the table.
pub(crate) fn hazards(name: &str, words: &[Word]) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    let name = without_version(name);
    for program in PROGRAMS.iter().filter(|program| program.names.contains(&name)) {
        hazards.extend(of(program, name, words));
    }
    let written = |word: &Word| Hazard::executes(Vec::new(), format!("`{}` is written", word.quoted()));
    let at = |(at, word): (usize, &Word)| Hazard { words: vec![at], ..written(word) };
    match name {
        "uniq" => hazards.extend(second_file(words, UNIQ_APART).map(at)),
        "xxd" => hazards.extend(second_file(words, XXD_APART).map(at)),
        "dd" => {
            let output = |(_, word): &(usize, &Word)| word.text.starts_with("of=") || !word.known;
            hazards.extend(words.iter().enumerate().skip(1).filter(output).map(at));
        }
        "curl" => hazards.extend(curl_formats(words)),
        "sqlite3" => {
            let calls = |(_, word): &(usize, &Word)| {
                let text = word.text.to_ascii_lowercase();
                SQL_WRITES.iter().any(|call| text.contains(call))
            };
            let why = |(at, _): (usize, &Word)| {
                Hazard::executes(vec![at], "its SQL may write other files or load code")
            };
            hazards.extend(words.iter().enumerate().skip(1).filter(calls).map(why));
        }
        _ => {}
    }
    hazards
}

/// What in SQL reaches out of the database that sqlite3 is given.
const SQL_WRITES: &[&str] =
    &["writefile", "load_extension", "attach", "vacuum", "edit", "fts3_tokenizer", "\n."];
/// Options of `uniq` with a value.
const UNIQ_APART: &[&str] = &["-f", "-s", "-w", "--skip-fields", "--skip-chars", "--check-chars"];
/// Options of `xxd` with a value.
const XXD_APART: &[&str] =
    &["-c", "-cols", "-g", "-groupsize", "-l", "-len", "-n", "-name", "-o", "-s", "-seek", "-skip", "-R"];

/// `python3.12`, `gcc-13` and `lua5.4` are the programs of the table.
fn without_version(name: &str) -> &str {
    let listed = |name: &str| PROGRAMS.iter().any(|program| program.names.contains(&name));
    let short = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-');
    if !listed(name) && listed(short) { short } else { name }
}

/// The operands that are no values of options.
fn files<'w>(words: &'w [Word], apart: &[&str]) -> Vec<(usize, &'w Word)> {
    let is_value = |at: usize| {
        words.get(at.wrapping_sub(1)).and_then(Word::known).is_some_and(|before| apart.contains(&before))
    };
    operands(words).into_iter().filter(|(at, _)| !is_value(*at)).collect()
}

/// The second file, or the word that may become it.
fn second_file<'w>(words: &'w [Word], apart: &[&str]) -> Option<(usize, &'w Word)> {
    let files = files(words, apart);
    let splits = files.first().filter(|(_, word)| word.splits);
    splits.or_else(|| files.get(1)).copied()
}

/// `curl -w` with a format that names a file to write, or is in a file.
fn curl_formats(words: &[Word]) -> Vec<Hazard> {
    let follows = |at: usize| {
        words.get(at.wrapping_sub(1)).is_some_and(|before| {
            before.is("--write-out")
                || before.text.starts_with('-')
                    && !before.text.starts_with("--")
                    && before.text.ends_with('w')
        })
    };
    let writes = |(at, word): &(usize, &Word)| {
        word.text.contains("%output{")
            || word.text.starts_with("-w@")
            || follows(*at) && (word.text.starts_with('@') || !word.known)
    };
    let why = |(at, _): (usize, &Word)| Hazard::executes(vec![at], "its format may name a file to write");
    words.iter().enumerate().skip(1).filter(writes).map(why).collect()
}

/// Whether an option of curl writes to nowhere or to its output.
fn curl_discards(words: &[Word], at: usize) -> bool {
    let Some(text) = words.get(at).and_then(Word::known) else { return false };
    let nowhere = |value: &str| matches!(value, "/dev/null" | "-");
    let next = || words.get(at + 1).and_then(Word::known).is_some_and(nowhere);
    if text.starts_with("--") {
        return matches!(text, "--output" | "--dump-header") && next();
    }
    let letters = text.get(1..).unwrap_or_default();
    let flags = letters.trim_start_matches(|c| "sSfLkvgiIN#".contains(c));
    match flags.strip_prefix(['o', 'D']) {
        Some("") => next(),
        Some(value) => nowhere(value),
        None => false,
    }
}

fn of(program: &Program, name: &str, words: &[Word]) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    for (at, word) in words.iter().enumerate().skip(1) {
        if word.is("--") {
            break;
        }
        let Some(text) = word.known() else {
            if word.may_be_option() {
                let why = format!(
                    "`{}` may become an option that executes or writes (put `--` or `./` before it)",
                    word.raw
                );
                hazards.push(Hazard::executes(vec![at], why));
            }
            if name == "printf" {
                break;
            }
            continue;
        };
        // After its format it has no options.
        if name == "printf" && !text.starts_with('-') {
            break;
        }
        // `tar xf …`: letters without a dash.
        let bundled = at == 1 && name.ends_with("tar") && !text.starts_with('-');
        let lower = text.to_ascii_lowercase();
        let text = if name == "tsc" { lower.as_str() } else { text };
        let discards = name == "curl" && curl_discards(words, at);
        if (is_option(program, text, bundled) || is_word(program, text)) && !discards {
            hazards.push(Hazard::executes(vec![at], format!("`{text}` of `{name}` executes or writes")));
        }
    }
    let answers = |word: &Word| {
        word.known()
            .is_some_and(|text| matches!(text, "--version" | "--help") || program.answers.contains(&text))
    };
    let answers = words.get(1).is_some_and(answers);
    let input = || files(words, program.apart).len() < program.given && hazards.is_empty();
    let named = |word: &Word| word.is("-") || word.text.starts_with("/dev/");
    if program.input && (!answers && input() || words.iter().skip(1).any(named)) {
        hazards.push(Hazard::runs_input(name));
    }
    hazards
}

fn is_option(program: &Program, text: &str, bundled: bool) -> bool {
    if let Some(long) = text.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        let begins = |known: &&str| known.starts_with(name);
        return !name.is_empty() && !program.harmless.contains(&name) && program.long.iter().any(begins);
    }
    let cluster = if bundled { Some(text) } else { text.strip_prefix('-') };
    for letter in cluster.unwrap_or_default().chars() {
        if program.short.contains(letter) {
            return true;
        }
        if program.valued.contains(letter) && !bundled {
            return false;
        }
        // What follows is a value: no option is such a letter.
        if matches!(letter, '=' | '/' | ',') {
            return false;
        }
    }
    false
}

fn is_word(program: &Program, text: &str) -> bool {
    (program.assigns && text.contains('=') && !text.starts_with('-'))
        || program.words.iter().any(|word| match word.strip_suffix('…') {
            Some(beginning) => text.starts_with(beginning),
            None => text == *word,
        })
}
