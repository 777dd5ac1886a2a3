//! Commands that run other commands: which ones, read from their words. One that only runs what is judged by itself
//! (`env`, `timeout`, `bash -c`) is a carrier; one that adds power of its own (`sudo`, `find`) takes a yes as well.

use crate::shell::Role;
use crate::shell::lexer::Unclear;
use crate::shell::variables::is_name;
use crate::shell::word::Word;

/// What a command is, and what it runs.
pub(crate) struct Reading {
    pub(crate) role: Role,
    pub(crate) carried: Vec<Carried>,
    /// What cannot be told although the command itself can.
    pub(crate) unclear: Option<Unclear>,
}

impl Reading {
    /// Of a command that runs nothing besides.
    fn of(role: Role) -> Self {
        Self { role, carried: Vec::new(), unclear: None }
    }
}

/// What a command runs or does besides.
pub(crate) enum Carried {
    /// A command, whose words begin at `at` of the carrier's.
    Words { at: usize, words: Vec<Word>, assigned: Vec<Word> },
    /// What may be a command.
    Suspect { at: usize },
    /// A program of the shell; `plain` for a shell that is not bash.
    Code { text: String, plain: bool },
    /// A file that is written.
    Write(Word),
    /// A variable that is set.
    Sets(String),
}

/// The options of a carrier, and how many words stand before the command.
struct Carrier {
    name: &'static str,
    /// Options of one letter without a value.
    flags: &'static str,
    /// Options of one letter with a value.
    valued: &'static str,
    /// Long options; one that ends in `=` has a value.
    long: &'static [&'static str],
    operands: usize,
    role: Role,
}

const fn carrier(name: &'static str, flags: &'static str, valued: &'static str) -> Carrier {
    Carrier { name, flags, valued, long: &[], operands: 0, role: Role::Carrier }
}

const CARRIERS: &[Carrier] = &[
    Carrier {
        long: &[
            "ignore-environment",
            "null",
            "unset=",
            "debug",
            "block-signal",
            "default-signal",
            "ignore-signal",
            "list-signal-handling",
            "argv0=",
        ],
        ..carrier("env", "i0v", "ua")
    },
    carrier("command", "p", ""),
    carrier("builtin", "", ""),
    carrier("exec", "cl", "a"),
    Carrier {
        long: &["format=", "append", "verbose", "portability", "quiet"],
        ..carrier("time", "apvq", "f")
    },
    Carrier { long: &["adjustment="], ..carrier("nice", "", "n") },
    carrier("nohup", "", ""),
    Carrier {
        long: &["kill-after=", "signal=", "preserve-status", "foreground", "verbose"],
        operands: 1,
        ..carrier("timeout", "vpf", "ks")
    },
    Carrier { long: &["input=", "output=", "error="], ..carrier("stdbuf", "", "ioe") },
    Carrier { long: &["ctty", "fork", "wait"], ..carrier("setsid", "cfw", "") },
    Carrier { long: &["class=", "classdata=", "ignore"], ..carrier("ionice", "t", "cn") },
    Carrier {
        long: &[
            "null",
            "no-run-if-empty",
            "verbose",
            "exit",
            "open-tty",
            "max-args=",
            "max-procs=",
            "max-chars=",
            "max-lines[=]",
            "delimiter=",
            "arg-file=",
            "replace[=]",
            "eof[=]",
        ],
        ..carrier("xargs", "0rtxo", "IndPLsaE")
    },
    Carrier {
        long: &[
            "user=",
            "group=",
            "preserve-env",
            "non-interactive",
            "set-home",
            "stdin",
            "host=",
            "prompt=",
            "askpass",
            "background",
            "role=",
            "type=",
            "close-from=",
        ],
        role: Role::Plain,
        ..carrier("sudo", "AbEHknPS", "ughpCrtTRU")
    },
    Carrier { role: Role::Plain, ..carrier("doas", "nL", "uC") },
];

/// Programs that may run one of their words, or a text among them: too many ways to read them, so that every word
/// that could begin a command counts for what is denied.
const SUSPECTS: &[&str] = &[
    "at",
    "batch",
    "bundle",
    "busybox",
    "bwrap",
    "chroot",
    "chrt",
    "cpulimit",
    "dbus-run-session",
    "direnv",
    "docker",
    "entr",
    "fakeroot",
    "faketime",
    "firejail",
    "flock",
    "gdb",
    "kubectl",
    "ltrace",
    "mise",
    "nix",
    "nix-shell",
    "npm",
    "npx",
    "nsenter",
    "numactl",
    "parallel",
    "perf",
    "pipenv",
    "pkexec",
    "pnpm",
    "podman",
    "poetry",
    "prlimit",
    "proot",
    "rlwrap",
    "run-parts",
    "runuser",
    "screen",
    "script",
    "setarch",
    "setpriv",
    "ssh",
    "sshpass",
    "start-stop-daemon",
    "strace",
    "su",
    "systemd-run",
    "taskset",
    "tmux",
    "toybox",
    "unbuffer",
    "unshare",
    "uv",
    "uvx",
    "valgrind",
    "watch",
    "xvfb-run",
    "yarn",
];

/// Shells whose language is read here.
const SHELLS: &[&str] = &["bash", "sh", "dash", "ash", "rbash"];
/// Shells whose language is another, or another in parts.
const OTHER_SHELLS: &[&str] =
    &["zsh", "ksh", "ksh93", "mksh", "fish", "csh", "tcsh", "pwsh", "nu", "elvish", "xonsh"];
/// What runs nothing and changes nothing outside the shell.
const INERT: &[&str] = &[
    ":", "true", "false", "break", "continue", "return", "exit", "shift", "export", "declare", "typeset",
    "local", "readonly", "unset", "times",
];

const HIDDEN: Unclear = Unclear("what runs is in a variable, a substitution or a pattern");
const INPUT: Unclear = Unclear("a shell reads its program from its input");
const RENAMES: Unclear = Unclear("it changes what a name runs or how the rest is read");
const OPTIONS: Unclear = Unclear("its options cannot be told apart from the command that it runs");

/// Reads a command's words; `stdin` is what a here-document or here-string gives it.
pub(crate) fn read(words: &[Word], stdin: Option<&Word>) -> Result<Reading, Unclear> {
    let Some(first) = words.first() else { return Ok(Reading::of(Role::Inert)) };
    let name = base(&first.text);
    let rest = words.get(1..).unwrap_or_default();
    let reading = named(name, words, rest, stdin)?;
    // A program of that name elsewhere is another one, and no built-in command has a path.
    let ours = first
        .text
        .strip_suffix(name)
        .is_some_and(|dir| dir.is_empty() || (SYSTEM.contains(&dir) && reading.role == Role::Carrier));
    Ok(if ours { reading } else { Reading { role: Role::Plain, ..reading } })
}

/// Where the system's own programs are.
pub(crate) const SYSTEM: &[&str] = &["/bin/", "/usr/bin/", "/usr/local/bin/"];

fn named(name: &str, words: &[Word], rest: &[Word], stdin: Option<&Word>) -> Result<Reading, Unclear> {
    if let Some(carrier) = CARRIERS.iter().find(|carrier| carrier.name == name) {
        return carried(carrier, words);
    }
    Ok(match name {
        "test" | "[" => {
            let evaluates =
                rest.windows(2).any(|two| two[0].is("-v") && !two[1].known().is_some_and(is_name));
            if evaluates { return Err(HIDDEN) } else { Reading::of(Role::Inert) }
        }
        "wait" if rest.iter().all(|word| !word.may_be_option()) => Reading::of(Role::Inert),
        "set" => set(rest)?,
        "read" => reads(rest)?,
        // An index in what they name is arithmetic.
        "printf" | "mapfile" | "readarray" | "unset" | "compgen" | "complete" | "getopts"
            // `printf` takes options before its format alone.
            if rest.iter().take(if name == "printf" { 1 } else { usize::MAX }).any(|word| evaluates(name, word)) =>
        {
            return Err(HIDDEN);
        }
        "let" | "alias" | "coproc" => return Err(RENAMES),
        _ if INERT.contains(&name) => Reading::of(Role::Inert),
        "shopt"
            if rest
                .iter()
                .any(|word| !word.known || matches!(word.text.as_str(), "expand_aliases" | "extglob")) =>
        {
            return Err(RENAMES);
        }
        "hash" | "enable" if rest.iter().any(Word::may_be_option) => return Err(RENAMES),
        "eval" => {
            let marked = rest.first().is_some_and(|word| word.is("--"));
            let rest = rest.get(usize::from(marked)..).unwrap_or_default();
            let code = rest.iter().map(Word::known).collect::<Option<Vec<_>>>().ok_or(HIDDEN)?;
            Reading {
                carried: vec![Carried::Code { text: code.join(" "), plain: false }],
                ..Reading::of(Role::Carrier)
            }
        }
        "trap" => trap(rest)?,
        "source" | "." if rest.first().is_none_or(opaque_file) => {
            Reading { unclear: Some(HIDDEN), ..Reading::of(Role::Plain) }
        }
        // A file, also one that is found as a command is.
        "source" | "." => Reading { carried: vec![Carried::Suspect { at: 1 }], ..Reading::of(Role::Plain) },
        "find" => find(words)?,
        _ if SHELLS.contains(&name) => shell(name, rest, stdin)?,
        _ if OTHER_SHELLS.contains(&name) => {
            let script = rest.first().is_some_and(|word| !word.may_be_option() && !opaque_file(word));
            Reading { unclear: (!script).then_some(HIDDEN), carried: suspects(words), ..Reading::of(Role::Plain) }
        }
        _ if SUSPECTS.contains(&name) => Reading { carried: suspects(words), ..Reading::of(Role::Plain) },
        _ => Reading::of(Role::Plain),
    })
}

/// Whether a built-in command may run what a word holds.
fn evaluates(name: &str, word: &Word) -> bool {
    match name {
        "printf" => word.text.starts_with("-v"),
        "compgen" | "complete" | "mapfile" | "readarray" => word.may_be_option(),
        _ => !word.known || word.text.contains('['),
    }
}

/// A command's name without the path before it.
pub(crate) fn base(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, base)| base)
}

/// Every word after the first that could begin a command, and texts that could be programs.
fn suspects(words: &[Word]) -> Vec<Carried> {
    let after = words.iter().enumerate().skip(1).take(64);
    after.filter(|(_, word)| !word.text.starts_with('-')).map(|(at, _)| Carried::Suspect { at }).collect()
}

/// What is done with an option and its value.
type Special<'s, 'w> = dyn FnMut(&str, Option<&'w Word>) -> Result<(), Unclear> + 's;

/// Skips a carrier's options; the place of the first word after them, and the options that were there.
fn options<'w>(
    carrier: &Carrier,
    words: &'w [Word],
    special: &mut Special<'_, 'w>,
) -> Result<usize, Unclear> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        let Some(text) = word.known() else {
            return if word.may_be_option() || word.splits { Err(OPTIONS) } else { Ok(at) };
        };
        if text == "--" {
            return Ok(at + 1);
        }
        if let Some(long) = text.strip_prefix("--") {
            let (long, value) =
                long.split_once('=').map_or((long, None), |(long, value)| (long, Some(value)));
            let valued = carrier.long.iter().any(|known| known.strip_suffix('=') == Some(long));
            let may_have_value = carrier.long.iter().any(|known| known.strip_suffix("[=]") == Some(long));
            if !valued && !may_have_value && !carrier.long.contains(&long) {
                return Err(OPTIONS);
            }
            let apart = (valued && value.is_none()).then(|| words.get(at + 1)).flatten();
            special(long, apart.or(Some(word)))?;
            at += 1 + usize::from(apart.is_some());
            continue;
        }
        if text == "-" && carrier.name == "env" {
            at += 1;
            continue;
        }
        let Some(cluster) = text.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
            return Ok(at);
        };
        let number = carrier.name == "nice" && cluster.bytes().all(|byte| byte.is_ascii_digit());
        at += 1;
        if number {
            continue;
        }
        for (index, letter) in cluster.char_indices() {
            if carrier.flags.contains(letter) {
                special(letter.encode_utf8(&mut [0; 4]), None)?;
                continue;
            }
            if !carrier.valued.contains(letter) {
                return Err(OPTIONS);
            }
            let attached = cluster.len() > index + letter.len_utf8();
            let value = if attached { words.get(at - 1) } else { words.get(at) };
            special(letter.encode_utf8(&mut [0; 4]), value)?;
            at += usize::from(!attached);
            break;
        }
    }
    Ok(at)
}

fn carried(carrier: &Carrier, words: &[Word]) -> Result<Reading, Unclear> {
    let mut placeholder: Option<String> = None;
    let name = carrier.name;
    // `command -v` only looks a name up.
    let looks_up = name == "command" && words.get(1).is_some_and(|word| word.is("-v") || word.is("-V"));
    if looks_up {
        return Ok(Reading::of(Role::Inert));
    }
    let mut limits = false;
    let mut at = options(carrier, words, &mut |option, value| {
        limits |= name == "xargs" && matches!(option, "n" | "L" | "max-args" | "max-lines");
        if name == "xargs" && matches!(option, "I" | "replace") {
            let text = value.and_then(Word::known).ok_or(OPTIONS)?;
            let text = text.strip_prefix("-I").or_else(|| text.strip_prefix("--replace=")).unwrap_or(text);
            let text = if text == "--replace" { "{}" } else { text };
            placeholder = Some(text.to_owned());
        }
        Ok(())
    })?;
    at += carrier.operands;
    let mut assigned = Vec::new();
    if matches!(name, "env" | "sudo" | "doas") {
        while let Some(word) =
            words.get(at).filter(|word| word.text.contains('=') && !word.text.starts_with('='))
        {
            let mut word = word.clone();
            word.raw.clone_from(&word.text);
            assigned.push(word);
            at += 1;
        }
    }
    let mut inner: Vec<Word> = words.get(at..).unwrap_or_default().to_vec();
    let mut unclear = None;
    match inner.first() {
        // Nothing is run: `exec > log`, `env` alone, `sudo -v`.
        None if name == "xargs" => return Ok(Reading { role: Role::Inert, carried: Vec::new(), unclear }),
        None => {
            let role = if matches!(name, "exec" | "time" | "command") { Role::Inert } else { Role::Plain };
            return Ok(Reading { role, carried: Vec::new(), unclear });
        }
        Some(first) if !first.known || first.expanded => unclear = Some(HIDDEN),
        Some(_) => {}
    }
    if name == "xargs" {
        match placeholder {
            // The later of them undoes the earlier.
            Some(text) if text.is_empty() || limits => return Err(OPTIONS),
            Some(text) => {
                for word in inner.iter_mut().filter(|word| word.text.contains(&text)) {
                    let before = word.text.split(&text).next().unwrap_or_default().to_owned();
                    *word = Word::beginning(before);
                }
            }
            None => inner.push(Word::anything()),
        }
    }
    let carried = vec![Carried::Words { at, words: inner, assigned }];
    Ok(Reading { role: carrier.role, carried, unclear })
}

/// Options by name that change nothing that is read here.
const NAMED: &[&str] = &["pipefail", "errexit", "nounset", "noglob", "noclobber", "xtrace", "verbose"];

fn is_named(word: &Word) -> bool {
    word.known().is_some_and(|name| NAMED.contains(&name))
}

/// `set`: options that change how the rest is read are unclear.
fn set(rest: &[Word]) -> Result<Reading, Unclear> {
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let text = word.known().ok_or(RENAMES)?;
        let letters = text.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty() && text != "--");
        let Some(letters) = letters else { break };
        if !letters.chars().all(|c| "euxfCvo".contains(c)) {
            return Err(RENAMES);
        }
        if letters.contains('o') && !words.next().is_none_or(is_named) {
            return Err(RENAMES);
        }
    }
    Ok(Reading::of(Role::Inert))
}

/// `read`: it sets what its words name.
fn reads(rest: &[Word]) -> Result<Reading, Unclear> {
    let mut carried = Vec::new();
    for word in rest {
        let text = word.known().filter(|text| !text.contains('[')).ok_or(HIDDEN)?;
        if is_name(text) {
            carried.push(Carried::Sets(text.to_owned()));
        }
    }
    Ok(Reading { role: Role::Inert, carried, unclear: None })
}

fn trap(rest: &[Word]) -> Result<Reading, Unclear> {
    let rest =
        if rest.first().is_some_and(|word| word.is("--")) { rest.get(1..).unwrap_or_default() } else { rest };
    let mut carried = Vec::new();
    match rest {
        [] | [_] => {}
        [code, ..] => match code.known() {
            Some("-" | "-l" | "-p" | "") => {}
            Some(code) => carried.push(Carried::Code { text: code.to_owned(), plain: false }),
            None => return Err(HIDDEN),
        },
    }
    Ok(Reading { role: Role::Inert, carried, unclear: None })
}

/// A file whose content is not a file of the workspace, or that is not known.
fn opaque_file(word: &Word) -> bool {
    word.known().is_none_or(|text| text == "-" || text.starts_with("/dev/") || text.starts_with("/proc/"))
}

fn shell(name: &str, rest: &[Word], stdin: Option<&Word>) -> Result<Reading, Unclear> {
    let carried = |text: String| {
        let code = Carried::Code { text, plain: name != "bash" };
        Reading { role: Role::Carrier, carried: vec![code], unclear: None }
    };
    let mut runs_text = false;
    let mut at = 0;
    while let Some(word) = rest.get(at) {
        let text = match word.known() {
            Some(text) => text,
            None if word.may_be_option() || word.splits => return Err(HIDDEN),
            None => break,
        };
        match text {
            "--version" | "--help" => {
                return Ok(Reading::of(Role::Plain));
            }
            "--norc" | "--noprofile" | "--posix" | "--login" => {}
            "--" => {
                at += 1;
                break;
            }
            _ if text.starts_with("--") => return Err(OPTIONS),
            _ if text.len() > 1 && text.starts_with(['-', '+']) => {
                let letters = text.get(1..).unwrap_or_default();
                if !letters.chars().all(|c| "ceuxlrsofnv".contains(c)) {
                    return Err(OPTIONS);
                }
                runs_text |= letters.contains('c') && text.starts_with('-');
                if letters.contains('o') {
                    at += 1;
                    if !rest.get(at).is_some_and(is_named) {
                        return Err(OPTIONS);
                    }
                }
                if letters.contains('s') && !runs_text {
                    return from_input(stdin).map(carried);
                }
            }
            _ => break,
        }
        at += 1;
    }
    match rest.get(at) {
        Some(code) if runs_text => code.known().map(|code| carried(code.to_owned())).ok_or(HIDDEN),
        None if runs_text => Err(HIDDEN),
        None => from_input(stdin).map(carried),
        Some(script) if opaque_file(script) => Err(HIDDEN),
        Some(_) => {
            let script = Carried::Suspect { at: at + 1 };
            Ok(Reading { role: Role::Plain, carried: vec![script], unclear: None })
        }
    }
}

fn from_input(stdin: Option<&Word>) -> Result<String, Unclear> {
    stdin.and_then(Word::known).map(str::to_owned).ok_or(INPUT)
}

/// The folders that `find` starts in, with their places.
pub(crate) fn find_starts(words: &[Word]) -> Vec<(usize, &Word)> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.text.as_str() {
            "-H" | "-L" | "-P" => at += 1,
            "-D" => at += 2,
            text if text.starts_with("-O") => at += 1,
            _ => break,
        }
    }
    let starts = words.iter().enumerate().skip(at);
    starts.take_while(|(_, word)| !word.text.starts_with(['-', '(', '!'])).collect()
}

/// `find`: what its `-exec` and the like run, with the path that is found in place of `{}`.
fn find(words: &[Word]) -> Result<Reading, Unclear> {
    let starts: Vec<&Word> = find_starts(words).into_iter().map(|(_, word)| word).collect();
    let outside =
        |word: &&&Word| !word.known || word.home || word.text.starts_with('/') || word.text.contains("..");
    let base = match starts.iter().find(outside) {
        Some(word) if word.known => word.text.clone(),
        Some(_) => "/".to_owned(),
        None => starts.first().map_or(".".to_owned(), |word| word.text.clone()),
    };
    let found = Word { expanded: false, raw: format!("{base}/…"), ..Word::beginning(format!("{base}/")) };
    let mut carried = Vec::new();
    let mut at = 1;
    while let Some(word) = words.get(at) {
        at += 1;
        if !word.known && word.may_be_option() {
            return Err(HIDDEN);
        }
        if word.known().is_some_and(|text| matches!(text, "-exec" | "-execdir" | "-ok" | "-okdir")) {
            let rest = words.get(at..).unwrap_or_default();
            // A `+` ends it only behind `{}`.
            let behind =
                |at: usize| at.checked_sub(1).and_then(|at| rest.get(at)).is_some_and(|word| word.is("{}"));
            let ends = |(at, word): (usize, &Word)| word.is(";") || (word.is("+") && behind(at));
            let end = rest.iter().enumerate().position(ends).ok_or(OPTIONS)?;
            let inner =
                rest.get(..end).unwrap_or_default().iter().map(|word| match word.text.split_once("{}") {
                    None => word.clone(),
                    Some(("", "")) => found.clone(),
                    Some((before, _)) => Word::beginning(before),
                });
            carried.push(Carried::Words { at, words: inner.collect(), assigned: Vec::new() });
            at += end + 1;
        } else if word
            .known()
            .is_some_and(|text| matches!(text, "-fprint" | "-fprint0" | "-fls" | "-fprintf"))
        {
            carried.push(Carried::Write(words.get(at).cloned().ok_or(OPTIONS)?));
        }
    }
    Ok(Reading { role: Role::Plain, carried, unclear: None })
}
