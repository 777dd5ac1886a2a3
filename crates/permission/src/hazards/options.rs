//! Options that execute or write, program by program.

use crate::hazards::{Hazard, operands};
use crate::shell::Word;

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
    /// Words, or beginnings of words where they end in `…`.
    pub(crate) words: &'static [&'static str],
    /// It runs what it reads from its input when it is given no file.
    pub(crate) input: bool,
}

const fn program(
    names: &'static [&'static str],
    short: &'static str,
    long: &'static [&'static str],
) -> Program {
    Program { names, short, valued: "", long, words: &[], input: false }
}

/// The table.
pub(crate) const PROGRAMS: &[Program] = &[
    Program { valued: "ABCEMTdefgjmrt", ..program(&["rg"], "", &["pre", "hostname-bin"]) },
    Program { valued: "EScdejot", ..program(&["fd", "fdfind"], "xX", &["exec", "exec-batch"]) },
    program(&["ag", "ack"], "", &["pager", "output"]),
    program(&["bat", "batcat", "delta"], "", &["pager"]),
    Program {
        words: &["+…"],
        ..program(&["less", "more", "most"], "oOk", &["log-file", "LOG-FILE", "lesskey-file"])
    },
    program(&["man", "apropos"], "PHC", &["pager", "html", "config-file"]),
    Program { valued: "e", ..program(&["sed", "gsed"], "if", &["in-place", "file"]) },
    Program {
        valued: "vF",
        ..program(
            &["awk", "gawk", "mawk", "nawk"],
            "filoEDpd",
            &["file", "include", "load", "exec", "pretty-print", "profile", "dump-variables", "debug"],
        )
    },
    Program {
        valued: "kSt",
        ..program(&["sort"], "oT", &["output", "compress-program", "temporary-directory"])
    },
    Program {
        valued: "bCgHKLNTVX",
        ..program(
            &["tar", "bsdtar", "gtar"],
            "IFPC",
            &[
                "to-command",
                "use-compress-program",
                "checkpoint-action",
                "rsh-command",
                "rmt-command",
                "info-script",
                "new-volume-script",
                "absolute-names",
                "remove-files",
                "directory",
                "one-top-level",
            ],
        )
    },
    program(&["zip"], "Tm", &["unzip-command", "test", "move"]),
    program(&["unzip"], "d:", &[]),
    program(
        &["rsync"],
        "e",
        &[
            "rsh",
            "rsync-path",
            "delete",
            "delete-before",
            "delete-after",
            "delete-excluded",
            "remove-source-files",
            "log-file",
            "write-batch",
            "daemon",
            "config",
            "temp-dir",
            "backup-dir",
        ],
    ),
    program(&["ssh", "scp", "sftp"], "oFSDLRWEIw", &[]),
    Program {
        valued: "AHXbeukmrxyYzQUCd",
        ..program(
            &["curl"],
            "oOKJcDTF",
            &[
                "output",
                "remote-name",
                "remote-name-all",
                "config",
                "cookie-jar",
                "dump-header",
                "trace",
                "trace-ascii",
                "stderr",
                "libcurl",
                "etag-save",
                "hsts",
                "alt-svc",
                "engine",
                "upload-file",
                "form",
                "output-dir",
                "create-dirs",
                "proxy",
                "preproxy",
                "unix-socket",
                "abstract-unix-socket",
            ],
        )
    },
    program(
        &["wget"],
        "OoaPei",
        &[
            "output-document",
            "output-file",
            "append-output",
            "directory-prefix",
            "execute",
            "use-askpass",
            "input-file",
            "config",
            "post-file",
            "body-file",
            "warc-file",
            "save-cookies",
            "hsts-file",
            "rejected-log",
        ],
    ),
    program(&["date"], "s", &["set"]),
    program(&["tree"], "o", &[]),
    program(&["file"], "Cm", &["compile", "magic-file"]),
    program(&["xxd"], "r", &["revert"]),
    Program { words: &["-delete", "-files0-from"], ..program(&["find"], "", &[]) },
    Program {
        valued: "jlW",
        words: &["*=*"],
        ..program(&["make", "gmake"], "fCIE", &["file", "makefile", "directory", "eval", "include-dir"])
    },
    program(&["ninja", "samu"], "fCt", &[]),
    program(&["cmake", "ctest", "cpack"], "EPCDS", &["build-and-test", "build-makeprogram"]),
    Program {
        valued: "pFj",
        words: &["+…"],
        ..program(
            &["cargo"],
            "ZC",
            &["config", "manifest-path", "target-dir", "out-dir", "artifact-dir", "lockfile-path", "root"],
        )
    },
    Program {
        words: &[
            "-wrapper…",
            "-fplugin…",
            "-specs…",
            "--specs…",
            "-B…",
            "-o…",
            "@…",
            "-Xclang",
            "-load",
            "-fpass-plugin…",
            "--config…",
            "-fuse-ld…",
            "-Wl,…",
            "-Xlinker",
            "-save-temps…",
        ],
        ..program(&["gcc", "g++", "cc", "c++", "clang", "clang++", "cpp", "ld", "tcc"], "", &[])
    },
    Program {
        words: &[
            "-exec…",
            "--exec…",
            "-toolexec…",
            "--toolexec…",
            "-o…",
            "--o…",
            "-overlay…",
            "--overlay…",
            "-C…",
            "--C…",
            "-ldflags…",
            "--ldflags…",
            "-gcflags…",
            "--gcflags…",
            "-vettool…",
            "--vettool…",
            "-modfile…",
            "--modfile…",
            "-w",
            "-u",
        ],
        ..program(&["go", "gofmt"], "", &[])
    },
    program(
        &["npm", "pnpm", "yarn", "npx", "bun"],
        "",
        &[
            "script-shell",
            "node-options",
            "prefix",
            "userconfig",
            "globalconfig",
            "shell",
            "git",
            "cwd",
            "dir",
        ],
    ),
    Program {
        input: true,
        ..program(
            &["node", "nodejs", "bun", "deno"],
            "epr",
            &[
                "eval",
                "print",
                "require",
                "import",
                "loader",
                "experimental-loader",
                "env-file",
                "inspect",
                "inspect-brk",
                "interactive",
                "build-snapshot",
                "cpu-prof",
                "heap-prof",
                "report-on-signal",
            ],
        )
    },
    Program {
        valued: "mWXO",
        input: true,
        ..program(&["python", "python2", "python3", "pypy", "pypy3"], "ci", &[])
    },
    Program { input: true, ..program(&["perl"], "eEiMmIxFsd", &[]) },
    Program { input: true, ..program(&["ruby"], "eirICxF", &[]) },
    Program {
        input: true,
        ..program(
            &["php"],
            "rBREFdcz",
            &["run", "process-begin", "process-code", "process-file", "define", "php-ini", "zend-extension"],
        )
    },
    Program {
        input: true,
        ..program(
            &["lua", "luajit", "Rscript", "R", "tclsh", "guile", "ghci", "scala", "groovy", "julia"],
            "elief",
            &["eval", "expr"],
        )
    },
    Program {
        valued: "kmnWr",
        ..program(
            &["pytest", "py.test"],
            "pco",
            &[
                "rootdir",
                "confcutdir",
                "basetemp",
                "junitxml",
                "junit-xml",
                "override-ini",
                "log-file",
                "pastebin",
            ],
        )
    },
    program(
        &["eslint"],
        "cof",
        &[
            "fix",
            "config",
            "output-file",
            "format",
            "rulesdir",
            "plugin",
            "parser",
            "resolve-plugins-relative-to",
        ],
    ),
    program(&["prettier"], "w", &["write", "plugin", "config"]),
    program(&["ruff"], "o", &["fix", "fix-only", "unsafe-fixes", "config", "output-file", "add-noqa"]),
    program(&["rustfmt"], "", &["config", "config-path", "emit"]),
    program(&["clang-format", "shfmt"], "iw", &["write", "in-place"]),
    program(&["yq"], "is", &["inplace", "in-place", "split-exp"]),
    Program {
        words: &["-cmd…", "--cmd…", "-init…", "--init…", ".…"], ..program(&["sqlite3"], "", &[])
    },
    program(&["psql"], "cfoL", &["command", "file", "output", "log-file"]),
    program(&["mysql", "mariadb"], "e", &["execute", "pager", "tee", "init-command", "plugin-dir"]),
    program(&["nc", "ncat", "netcat"], "ec", &["exec", "sh-exec", "lua-exec", "output", "hex-dump"]),
    Program {
        words: &["-out…", "-engine…", "-writerand…", "-provider…", "-provider-path…", "-config…", "-keyout…"],
        ..program(&["openssl"], "", &[])
    },
    program(&["mapfile", "readarray"], "C", &[]),
    program(&["compgen", "complete"], "CFW", &[]),
    program(&["bind"], "xf", &[]),
    program(&["printf"], "v", &[]),
    program(&["jobs"], "x", &[]),
    program(&["install"], "s", &["strip-program", "strip"]),
];

/// The hazards in the options of a program of the table.
pub(crate) fn hazards(name: &str, words: &[Word]) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    for program in PROGRAMS.iter().filter(|program| program.names.contains(&name)) {
        hazards.extend(of(program, name, words));
    }
    if name == "uniq"
        && let Some((at, _)) = operands(words).get(1)
    {
        hazards.push(Hazard::executes(vec![*at], "its second file is written"));
    }
    if name == "dd" {
        let output = |(_, word): &(usize, &Word)| word.text.starts_with("of=") || !word.known;
        hazards.extend(
            words
                .iter()
                .enumerate()
                .skip(1)
                .filter(output)
                .map(|(at, word)| Hazard::executes(vec![at], format!("`{}` is written", word.quoted()))),
        );
    }
    hazards
}

fn of(program: &Program, name: &str, words: &[Word]) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    let mut files = 0;
    for (at, word) in words.iter().enumerate().skip(1) {
        if word.is("--") {
            files += words.len() - at - 1;
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
            files += 1;
            continue;
        };
        // `tar xf …`: letters without a dash.
        let bundled = at == 1 && name.ends_with("tar") && !text.starts_with('-');
        if is_option(program, text, bundled) || is_word(program, text) {
            hazards.push(Hazard::executes(vec![at], format!("`{text}` of `{name}` executes or writes")));
        }
        if !text.starts_with('-') {
            files += 1;
        }
    }
    let asks_version =
        words.get(1).is_some_and(|word| word.is("--version") || word.is("-V") || word.is("--help"));
    if program.input && files == 0 && hazards.is_empty() && !asks_version {
        hazards.push(Hazard::runs_input(name));
    }
    if program.input && words.iter().skip(1).any(|word| word.is("-") || word.text.starts_with("/dev/")) {
        hazards.push(Hazard::runs_input(name));
    }
    hazards
}

fn is_option(program: &Program, text: &str, bundled: bool) -> bool {
    if let Some(long) = text.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        return !name.is_empty() && program.long.iter().any(|known| known.starts_with(name));
    }
    let cluster = if bundled { Some(text) } else { text.strip_prefix('-') };
    for letter in cluster.unwrap_or_default().chars() {
        if program.short.contains(letter) {
            return true;
        }
        if program.valued.contains(letter) && !bundled {
            return false;
        }
        if !letter.is_ascii_alphabetic() && !letter.is_ascii_digit() {
            return false;
        }
    }
    false
}

fn is_word(program: &Program, text: &str) -> bool {
    program.words.iter().any(|word| match (word.strip_suffix('…'), *word) {
        (Some(beginning), _) => text.starts_with(beginning),
        (None, "*=*") => text.contains('=') && !text.starts_with('-'),
        (None, word) => text == word,
    })
}
