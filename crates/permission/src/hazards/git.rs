//! git: options and commands that execute, write elsewhere or destroy.

use crate::hazards::Hazard;
use crate::shell::Word;

/// Global options that change nothing that matters here.
const HARMLESS: &[&str] = &[
    "--no-pager",
    "-P",
    "--no-optional-locks",
    "--no-replace-objects",
    "--literal-pathspecs",
    "--glob-pathspecs",
    "--icase-pathspecs",
    "--no-advice",
];

/// Commands that git itself has; any other name may be an alias or a program.
const KNOWN: &[&str] = &[
    "add",
    "am",
    "annotate",
    "apply",
    "archive",
    "bisect",
    "blame",
    "branch",
    "bundle",
    "cat-file",
    "check-attr",
    "check-ignore",
    "check-mailmap",
    "check-ref-format",
    "checkout",
    "checkout-index",
    "cherry",
    "cherry-pick",
    "clean",
    "clone",
    "column",
    "commit",
    "commit-graph",
    "commit-tree",
    "config",
    "count-objects",
    "describe",
    "diff",
    "diff-files",
    "diff-index",
    "diff-tree",
    "difftool",
    "fast-export",
    "fast-import",
    "fetch",
    "fetch-pack",
    "filter-branch",
    "fmt-merge-msg",
    "for-each-ref",
    "format-patch",
    "fsck",
    "gc",
    "get-tar-commit-id",
    "grep",
    "hash-object",
    "help",
    "hook",
    "index-pack",
    "init",
    "interpret-trailers",
    "log",
    "ls-files",
    "ls-remote",
    "ls-tree",
    "mailinfo",
    "mailsplit",
    "maintenance",
    "merge",
    "merge-base",
    "merge-file",
    "merge-index",
    "merge-tree",
    "mergetool",
    "mktag",
    "mktree",
    "multi-pack-index",
    "mv",
    "name-rev",
    "notes",
    "pack-objects",
    "pack-refs",
    "patch-id",
    "prune",
    "prune-packed",
    "pull",
    "push",
    "range-diff",
    "read-tree",
    "rebase",
    "reflog",
    "remote",
    "repack",
    "replace",
    "replay",
    "request-pull",
    "rerere",
    "reset",
    "restore",
    "rev-list",
    "rev-parse",
    "revert",
    "rm",
    "send-email",
    "send-pack",
    "shortlog",
    "show",
    "show-branch",
    "show-index",
    "show-ref",
    "sparse-checkout",
    "stash",
    "status",
    "stripspace",
    "submodule",
    "switch",
    "symbolic-ref",
    "tag",
    "unpack-file",
    "unpack-objects",
    "update-index",
    "update-ref",
    "update-server-info",
    "var",
    "verify-commit",
    "verify-pack",
    "verify-tag",
    "version",
    "whatchanged",
    "worktree",
    "write-tree",
];

/// Options that execute or write elsewhere, by command; an abbreviation counts as well.
pub(super) const LONG: &[(&[&str], &[&str])] = &[
    // Any command.
    (&[], &["output", "output-directory", "show-signature"]),
    (
        &[
            "diff",
            "log",
            "show",
            "diff-tree",
            "diff-files",
            "diff-index",
            "whatchanged",
            "format-patch",
            "range-diff",
            "reflog",
            "stash",
            "blame",
            "annotate",
            "grep",
            "cat-file",
        ],
        &["output", "ext-diff", "textconv", "open-files-in-pager", "output-directory", "filters"],
    ),
    (
        &[
            "fetch",
            "pull",
            "clone",
            "ls-remote",
            "archive",
            "push",
            "fetch-pack",
            "send-pack",
            "submodule",
            "remote",
        ],
        &[
            "upload-pack",
            "receive-pack",
            "exec",
            "template",
            "config",
            "output",
            "remote",
            "upload-archive",
            "separate-git-dir",
        ],
    ),
    (&["init"], &["template", "separate-git-dir"]),
    (&["rebase", "bisect"], &["exec"]),
    (&["difftool", "mergetool"], &["extcmd", "tool"]),
    (&["merge", "cherry-pick", "revert", "pull", "rebase"], &["strategy"]),
    (&["commit", "tag", "notes", "merge"], &["gpg-sign", "template"]),
    (&["apply", "am"], &["unsafe-paths"]),
];

/// The same with one dash.
pub(super) const SHORT: &[(&[&str], &str)] = &[
    (&["fetch", "pull", "clone", "ls-remote"], "uc"),
    (&["archive", "format-patch"], "o"),
    (&["rebase"], "x"),
    (&["difftool"], "xt"),
    (&["grep"], "O"),
];

/// Commands that by themselves execute or write elsewhere.
pub(super) const EXECUTES: &[(&str, &str)] = &[
    ("send-email", "it starts programs"),
    ("difftool", "it starts programs"),
    ("mergetool", "it starts programs"),
    ("hook", "it starts programs"),
    ("bundle", "it writes files of any name"),
    ("fast-import", "it rewrites history"),
    ("checkout-index", "it overwrites files"),
    ("request-pull", "it starts programs"),
    ("maintenance", "it changes the user's settings"),
    ("help", "it starts a viewer"),
    ("interpret-trailers", "it can start programs"),
];

/// Global options with a value of their own.
const VALUED: &[&str] = &[
    "-C",
    "-c",
    "--git-dir",
    "--work-tree",
    "--namespace",
    "--config-env",
    "--super-prefix",
    "--attr-source",
];

/// Where git's command stands among its words; its global options are before it.
pub(crate) fn command(words: &[Word]) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.known()? {
            text if VALUED.contains(&text) => at += 2,
            text if text.starts_with('-') => at += 1,
            _ => return Some(at),
        }
    }
    None
}

/// Whether a folder is one below.
fn is_inside(dir: &Word) -> bool {
    let below = |dir: &str| {
        !dir.is_empty() && !dir.starts_with(['/', '~', '-']) && !dir.split('/').any(|part| part == "..")
    };
    !dir.home && dir.known().is_some_and(below)
}

/// The words without global options that change nothing that matters here.
pub(crate) fn plain(words: &[Word]) -> Option<Vec<Word>> {
    let at = command(words)?;
    if at == 1 || words.first()?.known()? != "git" {
        return None;
    }
    let mut kept = vec![words.first()?.clone()];
    let mut option = 1;
    while option < at {
        let word = words.get(option)?;
        match word.known()? {
            text if HARMLESS.contains(&text) => option += 1,
            "-C" if words.get(option + 1).is_some_and(is_inside) => option += 2,
            _ => return None,
        }
    }
    kept.extend_from_slice(words.get(at..)?);
    Some(kept)
}

/// The words without any global option: for rules that forbid.
pub(crate) fn bare(words: &[Word]) -> Option<Vec<Word>> {
    let at = command(words)?;
    let mut kept = vec![words.first()?.clone()];
    kept.extend_from_slice(words.get(at..)?);
    Some(kept)
}

pub(crate) fn hazards(words: &[Word]) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    let at = command(words);
    global(words, at.unwrap_or(words.len()), &mut hazards);
    let Some(at) = at else {
        // `git --version`, or a word that is not known.
        if let Some(unknown) = words.iter().position(|word| !word.known) {
            hazards.push(Hazard::executes(vec![unknown], "which of git's commands runs is not known"));
        }
        return hazards;
    };
    let name = words.get(at).map(|word| word.text.as_str()).unwrap_or_default();
    if !KNOWN.contains(&name) {
        hazards.push(Hazard::executes(
            vec![at],
            format!("`{name}` is none of git's own commands: it may be an alias"),
        ));
    }
    if let Some((_, why)) = EXECUTES.iter().find(|(command, _)| *command == name) {
        hazards.push(Hazard::executes(vec![at], *why));
    }
    let rest = words.get(at + 1..).unwrap_or_default();
    let end = rest.iter().position(|word| word.is("--")).unwrap_or(rest.len());
    for (index, word) in rest.iter().enumerate() {
        let place = at + 1 + index;
        if index < end {
            let takes_options = LONG.iter().any(|(commands, _)| commands.contains(&name))
                || DESTROYS.iter().any(|destroys| destroys.command == name);
            if !word.known && word.may_be_option() && takes_options {
                let why = format!(
                    "`{}` may become an option that executes, writes or destroys (put `--` before it)",
                    word.raw
                );
                hazards.push(Hazard::destroys(vec![place], why));
            }
            if word.known().is_some_and(|text| option(name, text)) {
                hazards.push(Hazard::executes(
                    vec![place],
                    format!("`{}` of `git {name}` executes or writes", word.text),
                ));
            }
        }
        // `ext::sh -c …` and other helpers that a remote's name can call.
        if word.text.contains("::")
            && matches!(
                name,
                "clone"
                    | "fetch"
                    | "pull"
                    | "push"
                    | "remote"
                    | "ls-remote"
                    | "submodule"
                    | "archive"
                    | "fetch-pack"
                    | "send-pack"
            )
        {
            hazards.push(Hazard::executes(vec![place], format!("`{}` calls a helper program", word.text)));
        }
    }
    configures(name, rest, at, &mut hazards);
    destroys(name, rest, at, &mut hazards);
    hazards
}

fn global(words: &[Word], end: usize, hazards: &mut Vec<Hazard>) {
    let mut at = 1;
    while at < end {
        let Some(word) = words.get(at) else { return };
        let text = word.text.as_str();
        let inside = text == "-C" && words.get(at + 1).is_some_and(is_inside);
        let queries = matches!(
            text,
            "--version"
                | "--help"
                | "-h"
                | "--html-path"
                | "--man-path"
                | "--info-path"
                | "-v"
                | "--exec-path"
        );
        if inside {
            at += 2;
            continue;
        }
        if !HARMLESS.contains(&text) && !queries {
            hazards.push(Hazard::executes(
                vec![at],
                match word.known {
                    true => format!("`{text}` of `git` changes what git runs or where"),
                    false => format!("`{}` before git's command may change what git runs or where", word.raw),
                },
            ));
        }
        let valued = VALUED.contains(&text);
        if valued && let Some(hazard) = hazards.last_mut() {
            hazard.words.push(at + 1);
        }
        at += 1 + usize::from(valued);
    }
}

fn option(command: &str, text: &str) -> bool {
    if let Some(long) = text.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        return name.len() >= 2
            && LONG.iter().any(|(commands, options)| {
                (commands.contains(&command) || commands.is_empty())
                    && options.iter().any(|option| option.starts_with(name))
            });
    }
    text.strip_prefix('-').is_some_and(|letters| {
        SHORT.iter().any(|(commands, short)| {
            commands.contains(&command)
                && letters.chars().take_while(char::is_ascii_alphabetic).any(|letter| short.contains(letter))
        })
    })
}

/// Commands that change git's settings, or run what they are given.
fn configures(name: &str, rest: &[Word], at: usize, hazards: &mut Vec<Hazard>) {
    let index =
        rest.iter().position(|word| !word.text.starts_with('-')).filter(|_| name != "config").unwrap_or(0);
    let first = rest.get(index).map(|word| word.text.as_str()).unwrap_or_default();
    let has = |option: &str| rest.iter().any(|word| word.is(option));
    let why = match (name, first) {
        (
            "config",
            "get" | "list" | "--get" | "--list" | "-l" | "--get-all" | "--get-regexp" | "--show-origin",
        ) => None,
        ("config", _)
            if rest.iter().all(|word| word.known)
                && rest.iter().filter(|word| !word.text.starts_with('-')).count() == 1
                && !rest.iter().any(|word| {
                    word.text.starts_with("--un")
                        || word.text.starts_with("--re")
                        || word.is("-e")
                        || word.is("--edit")
                }) =>
        {
            None
        }
        ("config", _) => Some("git's settings decide what git runs"),
        ("bisect", "run") => Some("it runs what follows"),
        ("submodule", "foreach" | "update" | "add") => Some("it runs commands or fetches code"),
        ("remote", "add" | "set-url") => Some("it changes where git fetches from and pushes to"),
        ("worktree", "add") if has("--force") => Some("it overwrites"),
        _ => None,
    };
    if let Some(why) = why {
        // The first word after the command is part of what it does, so a rule must name it.
        let first =
            (!first.is_empty() && !first.starts_with('-') && name != "config").then_some(at + 1 + index);
        hazards.push(Hazard::executes([Some(at), first].into_iter().flatten().collect(), why));
    }
}

/// What destroys: a command, the words that make it so (any of them; none: the command itself), and what spares it.
pub(super) struct Destroys {
    pub(super) command: &'static str,
    pub(super) first: &'static [&'static str],
    pub(super) long: &'static [&'static str],
    pub(super) short: &'static str,
    pub(super) spared: &'static [&'static str],
    pub(super) why: &'static str,
}

const fn destroyer(command: &'static str, why: &'static str) -> Destroys {
    Destroys { command, first: &[], long: &[], short: "", spared: &[], why }
}

pub(super) const DESTROYS: &[Destroys] = &[
    Destroys {
        long: &["hard", "merge", "keep"],
        ..destroyer("reset", "it throws away changes that are not committed")
    },
    Destroys {
        spared: &["-n", "--dry-run"],
        ..destroyer("clean", "it deletes files that git does not know")
    },
    Destroys {
        long: &["force"],
        short: "fB",
        ..destroyer("checkout", "it throws away changes that are not committed")
    },
    Destroys {
        long: &["force", "discard-changes", "force-create"],
        short: "fC",
        ..destroyer("switch", "it throws away changes or a branch")
    },
    Destroys {
        spared: &["--staged", "-S"],
        ..destroyer("restore", "it throws away changes that are not committed")
    },
    Destroys {
        long: &["force", "force-with-lease", "force-if-includes", "mirror", "delete", "prune"],
        short: "fd",
        ..destroyer("push", "it overwrites or deletes what others may have")
    },
    Destroys { first: &["drop", "clear"], ..destroyer("stash", "it throws away stashed changes") },
    Destroys {
        long: &["delete", "force", "move", "copy"],
        short: "dDfMC",
        ..destroyer("branch", "it deletes or overwrites a branch")
    },
    Destroys {
        long: &["delete", "force"],
        short: "df",
        ..destroyer("tag", "it deletes or overwrites a tag")
    },
    Destroys {
        spared: &["--abort", "--quit", "--show-current-patch"],
        ..destroyer("rebase", "it rewrites history")
    },
    Destroys { long: &["amend"], ..destroyer("commit", "it rewrites history") },
    destroyer("filter-branch", "it rewrites history"),
    destroyer("filter-repo", "it rewrites history"),
    destroyer("replace", "it rewrites history"),
    destroyer("prune", "it deletes objects"),
    Destroys { long: &["prune"], ..destroyer("gc", "it deletes objects") },
    Destroys { first: &["expire", "delete", "drop"], ..destroyer("reflog", "it deletes the way back") },
    destroyer("update-ref", "it moves or deletes a branch"),
    Destroys { first: &["remove", "prune"], ..destroyer("worktree", "it deletes a working tree") },
    Destroys { first: &["remove", "rm", "prune"], ..destroyer("remote", "it forgets a remote") },
    Destroys {
        long: &["rebase", "force"],
        short: "fr",
        ..destroyer("pull", "it rewrites history or overwrites branches")
    },
    Destroys {
        long: &["force"],
        short: "fB",
        ..destroyer("worktree", "it overwrites a branch or a working tree")
    },
    Destroys { long: &["force"], short: "f", ..destroyer("mv", "it overwrites a file") },
    Destroys { long: &["abort"], ..destroyer("merge", "it throws away the merge so far") },
    Destroys { long: &["reverse"], short: "R", ..destroyer("apply", "it takes changes back") },
    Destroys { first: &["remove", "prune"], ..destroyer("notes", "it deletes notes") },
    Destroys { long: &["force"], short: "f", ..destroyer("checkout-index", "it overwrites files") },
    Destroys { long: &["force"], short: "f", ..destroyer("rm", "it deletes changes that are not committed") },
    Destroys { long: &["delete"], short: "d", ..destroyer("symbolic-ref", "it deletes a reference") },
    Destroys { first: &["deinit"], ..destroyer("submodule", "it deletes a submodule's files") },
    Destroys { long: &["reset"], short: "u", ..destroyer("read-tree", "it overwrites files") },
    Destroys { short: "f", long: &["force"], ..destroyer("fetch", "it overwrites branches") },
];

fn destroys(name: &str, rest: &[Word], at: usize, hazards: &mut Vec<Hazard>) {
    for row in DESTROYS.iter().filter(|row| row.command == name) {
        if spares(row, rest) {
            // `restore --staged --worktree` is not spared by half.
            let half = |word: &Word| {
                word.text.starts_with("-W")
                    || (word.text.len() > 2 && "--worktree".starts_with(word.text.as_str()))
            };
            if !(name == "restore" && rest.iter().any(half)) {
                continue;
            }
        }
        let itself = row.first.is_empty() && row.long.is_empty() && row.short.is_empty();
        let made = if itself {
            Some(vec![at])
        } else if let Some(index) = rest
            .iter()
            .position(|word| !word.text.starts_with('-'))
            .filter(|&index| rest.get(index).is_some_and(|word| row.first.contains(&word.text.as_str())))
        {
            Some(vec![at, at + 1 + index])
        } else {
            rest.iter()
                .take_while(|word| !word.is("--"))
                .position(|word| word.known().is_some_and(|text| destroying(row, text)))
                .map(|index| vec![at, at + 1 + index])
        };
        if let Some(words) = made {
            hazards.push(Hazard::destroys(words, row.why));
        }
    }
    if name == "checkout" {
        checkout(rest, at, hazards);
    }
    if matches!(name, "push" | "fetch" | "pull") {
        let overwrites = |word: &Word| word.text.starts_with(['+', ':']) || word.text.contains(":+");
        let refspec = rest.iter().position(overwrites);
        if let Some(index) = refspec {
            hazards.push(Hazard::destroys(
                vec![at, at + 1 + index],
                "it overwrites or deletes what others may have",
            ));
        }
    }
}

/// `checkout` of paths overwrites them: after `--`, where a word can only be a path, and where there are several words.
fn checkout(rest: &[Word], at: usize, hazards: &mut Vec<Hazard>) {
    let makes = rest.iter().any(|word| matches!(word.text.as_str(), "-b" | "--orphan" | "--track" | "-t"));
    let plain: Vec<usize> =
        (0..rest.len()).filter(|&i| rest.get(i).is_some_and(|word| !word.text.starts_with('-'))).collect();
    let paths = rest.iter().position(|word| word.is("--"));
    let path = rest.iter().position(|word| {
        let text = word.text.as_str();
        let pattern = word.is_pattern() || text.contains(['*', '?', '[']);
        pattern
            || text == "."
            || text.starts_with("./")
            || text.starts_with(':')
            || text.starts_with("--path")
            || matches!(text, "--ours" | "--theirs" | "-m" | "--merge" | "-p" | "--patch")
    });
    let several = (plain.len() > 1 && !makes).then(|| plain.last().copied()).flatten();
    let Some(index) = paths.or(path).or(several) else { return };
    // What is overwritten, a rule must name as well.
    let last = if paths.is_some() { rest.len().saturating_sub(1) } else { index };
    let words = (at..=at + 1 + last).collect();
    hazards.push(Hazard::destroys(words, "it throws away changes that are not committed"));
}

/// Whether an option keeps a command from destroying; `e` takes the rest of a cluster (`clean -e…`).
fn spares(row: &Destroys, rest: &[Word]) -> bool {
    let end = rest.iter().position(|word| word.is("--")).unwrap_or(rest.len());
    let options = rest.get(..end).unwrap_or_default();
    if options.iter().any(|word| word.text.starts_with("--no-") || !word.known) {
        return false;
    }
    let letter = |text: &str| {
        let letters = text.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
        Some(letters.chars().take_while(|c| *c != 'e').any(|c| c == 'n'))
    };
    options.iter().any(|word| {
        row.spared.contains(&word.text.as_str())
            || (row.spared.contains(&"-n") && letter(&word.text).unwrap_or_default())
    })
}

fn destroying(row: &Destroys, text: &str) -> bool {
    if let Some(long) = text.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        // git takes abbreviations; a single letter is one of none.
        return name.len() >= 2 && row.long.iter().any(|known| known.starts_with(name));
    }
    text.strip_prefix('-').is_some_and(|letters| {
        letters.chars().take_while(char::is_ascii_alphabetic).any(|letter| row.short.contains(letter))
    })
}
