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
    /// Long options that do neither, although they are how one of the others begins.
    pub(crate) harmless: &'static [&'static str],
    /// Words, or beginnings of words where they end in `…`.
    pub(crate) words: &'static [&'static str],
    /// Operands `name=value` are as powerful as options.
    pub(crate) assigns: bool,
    /// It runs what it reads from its input when it is given fewer operands.
    pub(crate) input: usize,
    /// Options with which it does not, as they only answer.
    pub(crate) answers: &'static [&'static str],
    /// Options whose value is the next word.
    pub(crate) apart: &'static [&'static str],
}

/// It runs its input whatever its operands.
const ALWAYS: usize = usize::MAX;

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
        input: 0,
        answers: &[],
        apart: &[],
    }
}

/// The table.
pub(crate) const PROGRAMS: &[Program] = &[
    Program { valued: "ABCEMTdefgjmrt", ..program(&["rg"], "", &["pre", "hostname-bin"]) },
    Program { valued: "EScdejot", ..program(&["fd", "fdfind"], "xX", &["exec", "exec-batch"]) },
    program(&["ag", "ack"], "", &["pager", "output"]),
    program(&["bat", "batcat", "delta"], "", &["pager"]),
    Program {
        words: &["+…"],
        ..program(&["less", "more", "most"], "oOk", &["log-file", "LOG-FILE", "lesskey-file", "lesskey-src", "lesskey-content"])
    },
    program(&["man", "apropos"], "PHC", &["pager", "html", "config-file"]),
    Program { valued: "e", ..program(&["sed", "gsed"], "if", &["in-place", "file"]) },
    Program {
        valued: "vFe",
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
        valued: "bHKLNTVX",
        harmless: &["checkpoint"],
        ..program(
            &["tar", "bsdtar", "gtar"],
            "IFPCg",
            &[
                "index-file",
                "listed-incremental",
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
    // `-:` lets paths lead out of the folder.
    program(&["unzip"], ":d", &[]),
    program(
        &["rsync"],
        "eMT",
        &[
            "rsh",
            "rsync-path",
            "delete",
            "delete-before",
            "delete-after",
            "delete-during",
            "delete-delay",
            "delete-excluded",
            "delete-missing-args",
            "del",
            "remove-sent-files",
            "remote-option",
            "only-write-batch",
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
        valued: "AHXbeukmrxyYzQUCdw",
        harmless: &["cookie"],
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
    Program { valued: "cglos", ..program(&["xxd"], "r", &["revert"]) },
    Program { valued: "in", ..program(&["shuf"], "o", &["output", "random-source"]) },
    Program { valued: "wI", ..program(&["sdiff"], "o", &["output", "diff-program"]) },
    Program { valued: "ft", ..program(&["iconv"], "o", &["output"]) },
    Program {
        valued: "SDTMB",
        ..program(
            &["zstd", "xz", "gzip", "bzip2", "lz4", "brotli", "pigz"],
            "o",
            &["output", "output-dir-flat", "output-dir-mirror", "rm", "trace"],
        )
    },
    Program {
        valued: "ru",
        ..program(
            &["gpg", "gpg2"],
            "o",
            &[
                "output",
                "homedir",
                "options",
                "exec-path",
                "agent-program",
                "dirmngr-program",
                "photo-viewer",
                "log-file",
                "logger-file",
                "status-file",
                "attribute-file",
                "command-file",
            ],
        )
    },
    Program { valued: "epsPaOSXI", ..program(&["strace", "ltrace"], "oE", &["output", "env", "config"]) },
    Program { words: &["-delete", "-files0-from"], ..program(&["find"], "", &[]) },
    Program {
        valued: "jlW",
        assigns: true,
        ..program(&["make", "gmake"], "fCIE", &["file", "makefile", "directory", "eval", "include-dir"])
    },
    program(&["ninja", "samu"], "fCt", &[]),
    Program { harmless: &["build"], ..program(&["cmake", "ctest", "cpack"], "EPCDSO", &["build-and-test", "build-makeprogram", "toolchain", "graphviz", "trace-redirect", "profiling-output", "output-log", "output-junit", "overwrite"]) },
    Program {
        valued: "pFj",
        harmless: &["target"],
        words: &["+…"],
        ..program(
            &["cargo"],
            "ZC",
            &["config", "manifest-path", "target-dir", "out-dir", "artifact-dir", "lockfile-path", "root", "fix", "open"],
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
            "-MD",
            "-MMD",
            "-MF…",
            "-MJ…",
            "-Wa,…",
            "-Wp,…",
            "-Xassembler",
            "-Xpreprocessor",
            "-fdump…",
            "-aux-info…",
            "-iplugindir…",
            "-plugin…",
            "--output…",
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
            "-c",
            "--c",
            "-coverprofile…",
            "--coverprofile…",
            "-cpuprofile…",
            "--cpuprofile…",
            "-memprofile…",
            "--memprofile…",
            "-blockprofile…",
            "--blockprofile…",
            "-mutexprofile…",
            "--mutexprofile…",
            "-trace…",
            "--trace…",
            "-outputdir…",
            "-asmflags…",
            "--asmflags…",
            "-pkgdir…",
            "--pkgdir…",
        ],
        ..program(&["go", "gofmt"], "", &[])
    },
    program(
        &["npm", "pnpm", "yarn", "npx"],
        "C",
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
        input: 1,
        answers: &["-v", "-h"],
        ..program(
            &["bun"],
            "epr",
            &[
                "eval", "print", "require", "preload", "import", "env-file", "inspect", "inspect-brk", "inspect-wait", "cwd",
                "config", "shell", "prefix", "define", "loader", "plugin", "outdir", "outfile",
            ],
        )
    },
    Program {
        input: 1,
        harmless: &["test"],
        answers: &["-v", "-h", "--test"],
        apart: &["-C", "--conditions"],
        ..program(
            &["node", "nodejs", "deno"],
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
                "env-file-if-exists",
                "test-reporter",
                "test-reporter-destination",
                "redirect-warnings",
                "trace-event-file-pattern",
                "diagnostic-dir",
                "openssl-config",
                "icu-data-dir",
                "localstorage-file",
                "experimental-config-file",
                "experimental-default-config-file",
                "snapshot-blob",
                "inspect-wait",
                "inspect-port",
                "heapsnapshot-signal",
            ],
        )
    },
    Program {
        valued: "mWX",
        input: 1,
        answers: &["-V", "-h"],
        apart: &["-W", "-X"],
        ..program(&["python", "python2", "python3", "pypy", "pypy3"], "ci", &[])
    },
    Program { input: 1, answers: &["-v", "-V"], ..program(&["perl"], "eEiMmIxFsd", &[]) },
    Program { input: 1, answers: &["-h"], ..program(&["ruby"], "eirICxF", &[]) },
    Program {
        input: 1,
        answers: &["-v", "-m", "-h"],
        ..program(
            &["php"],
            "rBREFdczS",
            &["run", "process-begin", "process-code", "process-file", "define", "php-ini", "zend-extension"],
        )
    },
    Program {
        input: 1,
        ..program(
            &["lua", "luajit", "Rscript", "R", "tclsh", "guile", "ghci", "scala", "groovy", "julia"],
            "elif",
            &["eval", "expr"],
        )
    },
    Program {
        valued: "kmnWr",
        harmless: &["co", "collect-only", "pdb"],
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
                "pdbcls",
                "debug",
                "cov-config",
                "cov-report",
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
        words: &["-cmd…", "--cmd…", "-init…", "--init…", "-A…", "--A…", ".…"],
        input: 2,
        answers: &["-version"],
        apart: &[
            "-separator", "--separator", "-nullvalue", "--nullvalue", "-newline", "--newline", "-mmap", "--mmap", "-maxsize",
            "--maxsize", "-vfs", "--vfs", "-heap", "--heap", "-pagecache", "--pagecache", "-lookaside", "--lookaside",
            "-nonce", "--nonce", "-escape", "--escape",
        ],
        ..program(&["sqlite3"], "", &[])
    },
    Program {
        input: ALWAYS,
        answers: &["-l", "--list", "-V"],
        ..program(&["psql"], "cfoLv", &["command", "file", "output", "log-file", "set", "variable"])
    },
    Program {
        input: ALWAYS,
        answers: &["-V"],
        ..program(
            &["mysql", "mariadb"],
            "e",
            &["execute", "pager", "tee", "init-command", "plugin-dir", "defaults-file", "defaults-extra-file"],
        )
    },
    Program {
        input: 1,
        apart: &["-D", "-I", "-U", "-L", "-t"],
        ..program(&["m4"], "Fo", &["freeze-state", "debugfile", "error-output"])
    },
    Program { input: ALWAYS, ..program(&["ed", "red"], "", &[]) },
    Program { input: 1, ..program(&["dc"], "ef", &["expression", "file"]) },
    Program {
        input: ALWAYS,
        words: &["+…"],
        ..program(
            &["vim", "vi", "nvim", "view", "ex", "gvim", "rvim", "vimdiff"],
            "cSsuUwWil",
            &["cmd", "startuptime", "log", "listen", "server", "servername", "remote"],
        )
    },
    Program { input: ALWAYS, ..program(&["emacs"], "lf", &["eval", "execute", "load", "funcall", "script", "init-directory"]) },
    Program { input: 1, ..program(&["expect"], "cbi", &[]) },
    Program {
        words: &[
            "-ex…", "--ex…", "-x…", "--x…", "-command…", "--command…", "-ev…", "--ev…", "-ix…", "--ix…", "-iex…", "--iex…",
            "-init…", "--init…", "-cd…", "--cd…", "-o…", "--o…", "-s…", "--s…", "-O…", "-S…",
        ],
        input: ALWAYS,
        ..program(&["gdb", "lldb"], "", &[])
    },
    Program { valued: "btCNPfV", ..program(&["ssh-keygen", "ssh-add"], "Dws", &[]) },
    Program {
        harmless: &["coverage"],
        ..program(
            &["jest"],
            "cu",
            &[
                "config", "rootDir", "globalSetup", "globalTeardown", "setupFiles", "setupFilesAfterEnv", "transform", "runner",
                "testRunner", "testEnvironment", "testSequencer", "resolver", "reporters", "outputFile", "coverageDirectory",
                "cacheDirectory", "updateSnapshot", "watchPlugins", "filter", "snapshotSerializers", "preset", "projects", "init",
            ],
        )
    },
    Program {
        ..program(
            &["mocha"],
            "rRuOn",
            &["require", "config", "package", "reporter", "reporter-option", "ui", "loader", "import", "node-option", "opts"],
        )
    },
    Program {
        ..program(
            &["vitest"],
            "cru",
            &[
                "config", "root", "dir", "globalSetup", "setupFiles", "reporter", "outputFile", "environment", "pool", "runner",
                "api", "ui", "open", "update", "browser", "snapshotEnvironment",
            ],
        )
    },
    program(
        &["mypy"],
        "",
        &[
            "config-file", "python-executable", "junit-xml", "install-types", "cache-dir", "custom-typeshed-dir", "shadow-file",
            "html-report", "xml-report", "txt-report", "any-exprs-report", "cobertura-xml-report", "linecount-report",
            "linecoverage-report", "lineprecision-report", "xslt-html-report", "xslt-txt-report",
        ],
    ),
    program(
        &["golangci-lint"],
        "c",
        &["fix", "config", "cpu-profile-path", "mem-profile-path", "trace-path", "output", "out-format"],
    ),
    Program {
        words: &[
            "-out…", "--out…", "-chdir…", "--chdir…", "-auto-approve…", "--auto-approve…", "-plugin-dir…", "--plugin-dir…",
            "-state-out…", "--state-out…", "-backup…", "--backup…", "-from-module…", "--from-module…",
            "-generate-config-out…", "--generate-config-out…",
        ],
        ..program(&["terraform", "tofu"], "", &[])
    },
    Program {
        words: &["-outdir…", "-outfile…", "-project…", "-build…", "-init…", "-declarationdir…", "-tsbuildinfofile…", "-generate…", "@…"],
        ..program(
            &["tsc"],
            "pb",
            &[
                "outdir", "outfile", "project", "build", "init", "declarationdir", "tsbuildinfofile", "generatetrace",
                "generatecpuprofile",
            ],
        )
    },
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
            let why = |(at, _): (usize, &Word)| Hazard::executes(vec![at], "its SQL may write other files or load code");
            hazards.extend(words.iter().enumerate().skip(1).filter(calls).map(why));
        }
        _ => {}
    }
    hazards
}

/// What in SQL reaches out of the database that sqlite3 is given.
const SQL_WRITES: &[&str] = &["writefile", "load_extension", "attach", "vacuum", "edit", "fts3_tokenizer", "\n."];
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
                || before.text.starts_with('-') && !before.text.starts_with("--") && before.text.ends_with('w')
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
        word.known().is_some_and(|text| {
            matches!(text, "--version" | "--help") || program.answers.contains(&text)
        })
    };
    let answers = words.get(1).is_some_and(answers);
    let input = || files(words, program.apart).len() < program.input && hazards.is_empty();
    let named = |word: &Word| word.is("-") || word.text.starts_with("/dev/");
    if program.input > 0 && (!answers && input() || words.iter().skip(1).any(named)) {
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
