//! Programs that only read, whatever their operands: what `plan` lets run. Options that execute or write are hazards
//! and are not let through; anything that is not in these lists is not either.

use crate::hazards;
use crate::shell::{SYSTEM, Word};

const READERS: &[&str] = &[
    "[",
    "ack",
    "ag",
    "awk",
    "base64",
    "basename",
    "cat",
    "cksum",
    "cmp",
    "column",
    "comm",
    "cut",
    "date",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "egrep",
    "expand",
    "expr",
    "factor",
    "false",
    "fd",
    "fdfind",
    "fgrep",
    "find",
    "fmt",
    "fold",
    "free",
    "gawk",
    "getconf",
    "getent",
    "git",
    "grep",
    "groups",
    "head",
    "hexdump",
    "hostname",
    "id",
    "join",
    "jq",
    "ls",
    "lscpu",
    "mawk",
    "md5sum",
    "nl",
    "nproc",
    "od",
    "paste",
    "pgrep",
    "pr",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rev",
    "rg",
    "sed",
    "seq",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "sleep",
    "sort",
    "stat",
    "strings",
    "sum",
    "tac",
    "tail",
    "test",
    "tr",
    "tree",
    "tsort",
    "tty",
    "type",
    "uname",
    "unexpand",
    "uniq",
    "uptime",
    "wc",
    "which",
    "whoami",
    "yes",
];

const GIT_READERS: &[&str] = &[
    "annotate",
    "blame",
    "cat-file",
    "check-attr",
    "check-ignore",
    "cherry",
    "count-objects",
    "describe",
    "diff",
    "diff-tree",
    "for-each-ref",
    "grep",
    "log",
    "ls-files",
    "ls-tree",
    "merge-base",
    "name-rev",
    "range-diff",
    "rev-list",
    "rev-parse",
    "shortlog",
    "show",
    "show-branch",
    "show-ref",
    "status",
    "var",
    "version",
    "whatchanged",
];

/// Of these commands of git, what only lists.
const GIT_LISTS: &[(&str, &[&str])] = &[
    ("branch", &["-a", "-r", "-v", "-vv", "--list", "--all", "--remotes", "--show-current", "--verbose"]),
    ("tag", &["-l", "--list"]),
    ("remote", &["-v", "--verbose", "show", "get-url"]),
    ("stash", &["list", "show"]),
    ("config", &["--get", "--list", "-l", "get", "list", "--get-all", "--get-regexp"]),
    ("worktree", &["list"]),
    ("reflog", &["show", "list"]),
    ("submodule", &["status", "summary"]),
    ("notes", &["list", "show"]),
];

/// Whether a command without hazards only reads.
pub(crate) fn only_reads(words: &[Word]) -> bool {
    let Some(first) = words.first() else { return true };
    let name = crate::shell::base(&first.text);
    let dir = first.text.strip_suffix(name).unwrap_or_default();
    let ours = dir.is_empty() || SYSTEM.contains(&dir);
    ours && READERS.contains(&name)
        && match name {
            "git" => git(words),
            // `hostname NAME` sets it.
            "hostname" => hazards::operands(words).is_empty(),
            "sort" | "tree" | "date" => words.iter().all(|word| word.known || !word.may_be_option()),
            _ => true,
        }
}

fn git(words: &[Word]) -> bool {
    let Some(at) = hazards::git_command(words) else {
        return words.iter().all(|word| word.known);
    };
    let rest = words.get(at + 1..).unwrap_or_default();
    let name = words.get(at).map(|word| word.text.as_str()).unwrap_or_default();
    if GIT_READERS.contains(&name) {
        return true;
    }
    let Some((_, lists)) = GIT_LISTS.iter().find(|(command, _)| *command == name) else { return false };
    match rest.first() {
        None => matches!(name, "branch" | "tag" | "remote" | "reflog"),
        Some(first) => {
            let options = |word: &&Word| word.text.starts_with('-') || !word.known;
            first.known().is_some_and(|text| lists.contains(&text))
                && rest
                    .iter()
                    .filter(options)
                    .all(|word| word.known().is_some_and(|text| lists.contains(&text)))
                && (name != "branch" || rest.iter().all(|word| word.text.starts_with('-') || has_list(rest)))
        }
    }
}

fn has_list(rest: &[Word]) -> bool {
    rest.iter().any(|word| word.is("--list"))
}
