//! Programs that only read: what `plan` lets run. Each has a list of the options that are known to be harmless; with any
//! other option, or a word that may become one, it does not count as a reader. Options that are hazards are judged
//! elsewhere, and nothing here lets them through.

use crate::hazards;
use crate::shell::{SYSTEM, Word};

/// What of a program's words is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lets {
    /// Listed options, and words that cannot become another one.
    Listed,
    /// Listed options, and any word that only running tells: no option of the program does harm.
    Unknown,
    /// Every word.
    Anything,
}

/// A program that only reads.
struct Reader {
    names: &'static str,
    /// Letters without a value.
    flags: &'static str,
    /// Letters whose value may follow in the same word.
    valued: &'static str,
    /// Long options, parted by blanks; each may have a value.
    long: &'static str,
    lets: Lets,
}

const fn listed(
    names: &'static str,
    flags: &'static str,
    valued: &'static str,
    long: &'static str,
) -> Reader {
    Reader { names, flags, valued, long, lets: Lets::Listed }
}

const fn harmless(
    names: &'static str,
    flags: &'static str,
    valued: &'static str,
    long: &'static str,
) -> Reader {
    Reader { lets: Lets::Unknown, ..listed(names, flags, valued, long) }
}

const READERS: &[Reader] = &[
    Reader {
        lets: Lets::Anything,
        ..listed(
            "[ test echo expr factor false true seq sleep yes type which whoami pwd printenv ps pgrep free uptime nproc \
             lscpu id groups tty basename dirname",
            "",
            "",
            "",
        )
    },
    harmless(
        "cat tac rev",
        "AbEeEnstTuvr",
        "s",
        "show-all number-nonblank show-ends number squeeze-blank show-tabs show-nonprinting before \
            regex separator",
    ),
    harmless(
        "head tail",
        "qvzfFr",
        "ncbs",
        "lines bytes quiet silent verbose zero-terminated follow retry pid sleep-interval",
    ),
    harmless("wc", "clmLw", "", "bytes chars lines max-line-length words files0-from total"),
    harmless(
        "ls",
        "aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ1",
        "ITwD",
        "all almost-all author escape block-size ignore-backups color colour directory dired classify file-type format \
         full-time group-directories-first no-group human-readable si dereference dereference-command-line hide \
         hyperlink indicator-style inode ignore kibibytes literal numeric-uid-gid quote-name quoting-style reverse \
         recursive size sort time time-style tabsize width context zero",
    ),
    harmless(
        "grep egrep fgrep",
        "aEFGPivwxyclLoqsbHhnTUzZrRI",
        "efmABCdD",
        "extended-regexp fixed-strings basic-regexp perl-regexp regexp file ignore-case no-ignore-case invert-match \
         word-regexp line-regexp count color colour files-without-match files-with-matches max-count only-matching \
         quiet silent no-messages byte-offset with-filename no-filename label line-number initial-tab null \
         after-context before-context context text binary-files devices directories exclude exclude-from exclude-dir \
         include recursive dereference-recursive line-buffered binary null-data group-separator no-group-separator",
    ),
    listed(
        "rg",
        "aFhHiIlLnNopPqsSuUvVwxc0.",
        "ABCeEfgjmMtTdr",
        "after-context before-context context auto-hybrid-regex binary block-buffered byte-offset case-sensitive color \
         colors column context-separator count count-matches crlf debug dfa-size-limit encoding engine field-context-separator \
         field-match-separator file files files-with-matches files-without-match fixed-strings follow glob glob-case-insensitive \
         heading hidden iglob ignore-case ignore-file include-zero invert-match json line-buffered line-number line-regexp \
         max-columns max-columns-preview max-count max-depth max-filesize mmap multiline multiline-dotall no-config no-filename \
         no-heading no-hidden no-ignore no-ignore-dot no-ignore-exclude no-ignore-files no-ignore-global no-ignore-parent \
         no-ignore-vcs no-line-number no-messages no-mmap no-unicode null null-data one-file-system only-matching passthru \
         path-separator pcre2 pretty quiet regex-size-limit regexp replace smart-case sort sortr stats text threads trim type \
         type-add type-list type-not unrestricted vimgrep with-filename word-regexp version help",
    ),
    listed(
        "ag ack",
        "acfilLnoqrRsSuUvwQHhtxk",
        "ABCgGmp",
        "after before context color no-color colour nocolor column count no-count filename no-filename files-with-matches \
         files-without-matches files-without-match heading noheading group nogroup break nobreak hidden ignore ignore-dir \
         ignore-case ignore-file literal smart-case word-regexp numbers nonumbers nopager no-recurse recurse depth max-count \
         type types list-file-types help-types all-types all-text unrestricted skip-vcs-ignores stats silent vimgrep nofilter \
         no-ignore-dir match sort-files only-matching",
    ),
    listed(
        "fd fdfind",
        "HIuUsigFaLp01qh",
        "dtecEoSj",
        "hidden no-ignore no-ignore-vcs no-ignore-parent unrestricted case-sensitive ignore-case glob regex fixed-strings \
         absolute-path relative-path follow full-path print0 max-depth min-depth exact-depth type extension exclude ignore-file \
         color size changed-within changed-before newer older owner max-results quiet strip-cwd-prefix prune one-file-system \
         threads format and show-errors search-path base-directory path-separator",
    ),
    listed(
        "sort",
        "bdfghiMnRrVzcCmsu",
        "ktS",
        "ignore-leading-blanks dictionary-order ignore-case general-numeric-sort ignore-nonprinting month-sort \
         human-numeric-sort numeric-sort random-sort reverse sort version-sort check debug key merge stable field-separator \
         unique zero-terminated parallel buffer-size files0-from",
    ),
    listed(
        "uniq",
        "cdDiuz",
        "fsw",
        "count repeated all-repeated skip-fields group ignore-case skip-chars unique zero-terminated \
            check-chars",
    ),
    harmless(
        "cut",
        "nsz",
        "bcdf",
        "bytes characters delimiter fields complement only-delimited output-delimiter zero-terminated",
    ),
    harmless("tr", "cCdst", "", "complement delete squeeze-repeats truncate-set1"),
    harmless(
        "diff",
        "qsbBwiEZaNrTtdpucyHe",
        "CUWFxXISLD",
        "brief report-identical-files context unified ed rcs side-by-side width left-column suppress-common-lines \
         show-c-function show-function-line label expand-tabs initial-tab tabsize suppress-blank-empty recursive \
         no-dereference new-file unidirectional-new-file ignore-file-name-case no-ignore-file-name-case exclude exclude-from \
         starting-file from-file to-file ignore-case ignore-tab-expansion ignore-trailing-space ignore-space-change \
         ignore-all-space ignore-blank-lines ignore-matching-lines text strip-trailing-cr ifdef minimal horizon-lines \
         speed-large-files color palette normal",
    ),
    harmless("stat", "LftxnqsFr", "c", "dereference file-system cached format printf terse"),
    harmless(
        "du df",
        "abcDhHklLmPSsx0iTv",
        "BdtXx",
        "all apparent-size block-size bytes total dereference-args max-depth files0-from human-readable inodes kilobytes \
         dereference count-links no-dereference separate-dirs si summarize threshold time time-style exclude exclude-from \
         one-file-system null local no-sync output portability print-type type exclude-type",
    ),
    listed(
        "tree",
        "adflxiQNqpugshDFvtcrUACnSXJ",
        "LPIT",
        "gitignore gitfile infofile prune ignore-case matchdirs noreport charset filelimit si du timefmt inodes device sort \
         dirsfirst filesfirst fromfile nolinks metafirst",
    ),
    harmless(
        "jq",
        "nrjasScCMeRVh",
        "fL",
        "null-input raw-output raw-output0 join-output ascii-output slurp sort-keys compact-output color-output \
         monochrome-output exit-status raw-input from-file arg argjson slurpfile rawfile args jsonargs tab indent seq stream \
         stream-errors unbuffered binary version",
    ),
    listed(
        "file",
        "bihkLNprsv0",
        "feFP",
        "brief mime mime-type mime-encoding extension keep-going dereference no-dereference no-pad print0 raw separator \
         files-from exclude exclude-quiet special-files apple version preserve-date",
    ),
    listed("base64", "d", "w", "decode wrap ignore-garbage"),
    harmless(
        "cksum md5sum sha1sum sha256sum sha512sum sum",
        "abcdrstwz",
        "l",
        "algorithm base64 binary check debug ignore-missing length quiet raw status strict tag text \
            untagged warn zero",
    ),
    harmless(
        "cmp comm join",
        "bilsvz123a",
        "nejt",
        "print-bytes ignore-initial verbose bytes quiet silent check-order nocheck-order \
            output-delimiter total zero-terminated header ignore-case",
    ),
    harmless(
        "column",
        "tnexJLd",
        "csoNRHTEWlOriSp",
        "table separator output-separator output-width table-columns table-right table-hide \
            table-noheadings json fillrows keep-empty-lines",
    ),
    harmless(
        "expand unexpand fmt fold nl paste pr",
        "abcdfhinpqrstuvzmFJTl",
        "wgphsbdfilnveSoWND",
        "all first-only tabs width goal prefix split-only uniform-spacing crown-margin \
            tagged-paragraph bytes spaces delimiters serial zero-terminated body-numbering number-format \
            number-width number-separator header length columns omit-header page-width",
    ),
    harmless(
        "od hexdump",
        "abcCdfiloOsxvhX",
        "AjNStwenLw",
        "address-radix skip-bytes read-bytes strings format output-duplicates width traditional \
            endian canonical length skip no-squeezing color one-byte-octal one-byte-char \
            two-bytes-decimal two-bytes-hex two-bytes-octal",
    ),
    harmless(
        "readlink realpath",
        "efmnqsvzLPE",
        "",
        "canonicalize canonicalize-existing canonicalize-missing no-newline quiet silent verbose zero \
            logical physical strip no-symlinks relative-to relative-base",
    ),
    harmless("tsort", "", "", ""),
    listed(
        "strings",
        "afow",
        "nteTsd",
        "all data bytes radix encoding include-all-whitespace print-file-name output-separator",
    ),
    listed(
        "uname",
        "asnrvmpio",
        "",
        "all kernel-name nodename kernel-release kernel-version machine processor hardware-platform \
            operating-system",
    ),
    listed("getconf", "a", "", ""),
    listed("getent", "", "", ""),
    listed("hostname", "sfiId", "", "short fqdn long ip-address all-ip-addresses domain"),
    listed("date", "uRj", "drIv", "utc universal date reference iso-8601 rfc-3339 rfc-email debug"),
    listed("printf", "", "", ""),
    listed(
        "sed",
        "nErsuz",
        "e",
        "quiet silent expression regexp-extended separate unbuffered null-data line-length posix \
            debug sandbox follow-symlinks",
    ),
    listed(
        "awk gawk mawk",
        "bcCghkMnNOPrsSt",
        "Fv",
        "field-separator assign posix traditional sandbox csv re-interval characters-as-bytes \
            non-decimal-data use-lc-numeric bignum optimize no-optimize",
    ),
];

/// Options of git's commands that show differences.
const DIFF: Reader = listed(
    "",
    "pusDRabwWzrtmcq",
    "UMCBlSGIX",
    "patch no-patch unified raw stat numstat shortstat dirstat cumulative summary name-only name-status compact-summary \
     patch-with-raw patch-with-stat color no-color color-words color-moved color-moved-ws no-color-moved word-diff \
     word-diff-regex no-renames find-renames find-copies find-copies-harder rename-empty no-rename-empty break-rewrites \
     irreversible-delete minimal patience histogram diff-algorithm anchored indent-heuristic no-indent-heuristic cached \
     staged check full-index binary abbrev no-abbrev diff-filter relative no-relative text ignore-space-at-eol \
     ignore-space-change ignore-all-space ignore-blank-lines ignore-matching-lines ignore-cr-at-eol inter-hunk-context \
     function-context ignore-submodules submodule src-prefix dst-prefix no-prefix default-prefix line-prefix exit-code \
     quiet merge-base no-index no-ext-diff no-textconv pickaxe-all pickaxe-regex ws-error-highlight ours theirs base \
     combined-all-paths cc",
);

/// Options of git's commands that walk through history.
const LOG: Reader = listed(
    "",
    "gEFPi",
    "nL",
    "oneline graph all branches tags remotes glob exclude not decorate no-decorate decorate-refs decorate-refs-exclude \
     clear-decorations format pretty abbrev-commit no-abbrev-commit author committer grep grep-reflog invert-grep \
     all-match since since-as-filter after until before max-count max-age min-age skip reverse first-parent merges \
     no-merges min-parents max-parents no-min-parents no-max-parents follow no-follow date relative-date date-order \
     topo-order author-date-order no-walk left-right cherry cherry-mark cherry-pick left-only right-only boundary \
     simplify-by-decoration simplify-merges full-history dense sparse ancestry-path show-pulls notes no-notes show-notes \
     parents children source log-size full-diff use-mailmap mailmap no-mailmap no-use-mailmap fixed-strings \
     extended-regexp basic-regexp perl-regexp regexp-ignore-case walk-reflogs encoding expand-tabs no-expand-tabs \
     diff-merges no-diff-merges remerge-diff root show-linear-break ignore-missing stdin reflog alternate-refs bisect \
     show-root no-signature no-show-signature",
);

/// git's commands that only read, and which of the lists above their options are in.
const GIT_READERS: &[(Reader, &[&Reader])] = &[
    (
        listed(
            "diff diff-tree range-diff",
            "v",
            "",
            "no-commit-id always root stdin pretty format no-dual-color creation-factor left-only \
            right-only",
        ),
        &[&DIFF],
    ),
    (listed("log show whatchanged", "", "", ""), &[&DIFF, &LOG]),
    (
        listed(
            "rev-list",
            "",
            "",
            "count objects objects-edge no-object-names object-names in-commit-order unpacked timestamp \
            header disk-usage use-bitmap-index quiet missing filter no-filter filter-print-omitted \
            abbrev no-commit-header commit-header",
        ),
        &[&LOG],
    ),
    (listed("shortlog", "snec", "w", "numbered summary email group"), &[&LOG]),
    (
        listed(
            "status",
            "sbvz",
            "uM",
            "short branch show-stash porcelain long verbose untracked-files ignored ignore-submodules \
            column no-column ahead-behind no-ahead-behind renames no-renames find-renames null \
            no-lock-index",
        ),
        &[],
    ),
    (
        listed(
            "blame annotate",
            "bcltfnswepk",
            "LSMC",
            "root no-root show-stats progress no-progress score-debug show-name show-number show-email \
            porcelain line-porcelain incremental encoding date abbrev ignore-rev ignore-revs-file \
            color-lines color-by-age first-parent reverse since minimal contents",
        ),
        &[],
    ),
    (
        listed(
            "grep",
            "aIirhHEFGPnlLzcoWpqvwx",
            "feABCm",
            "cached untracked no-index exclude-standard no-exclude-standard recurse-submodules text \
            ignore-case word-regexp invert-match full-name extended-regexp basic-regexp perl-regexp \
            fixed-strings line-number column files-with-matches name-only files-without-match null \
            only-matching count color no-color break heading show-function context after-context \
            before-context function-context max-count max-depth recursive no-recursive threads and or \
            not all-match quiet no-textconv",
        ),
        &[],
    ),
    (
        listed(
            "ls-files",
            "cdmoiskutvfz",
            "xX",
            "cached deleted modified others ignored stage unmerged killed directory no-empty-directory \
            eol deduplicate exclude exclude-from exclude-per-directory exclude-standard error-unmatch \
            full-name recurse-submodules abbrev format debug with-tree sparse resolve-undo",
        ),
        &[],
    ),
    (
        listed(
            "ls-tree",
            "drtlz",
            "",
            "name-only name-status long full-name full-tree object-only abbrev format",
        ),
        &[],
    ),
    (
        listed(
            "rev-parse",
            "q",
            "",
            "verify quiet abbrev-ref short symbolic symbolic-full-name show-toplevel show-prefix \
            show-cdup git-dir git-common-dir absolute-git-dir is-inside-git-dir is-inside-work-tree \
            is-bare-repository is-shallow-repository show-superproject-working-tree show-object-format \
            show-ref-format all branches tags remotes glob exclude revs-only no-revs flags no-flags \
            default not path-format git-path since until after before disambiguate end-of-options",
        ),
        &[],
    ),
    (
        listed(
            "describe",
            "",
            "",
            "all tags contains abbrev candidates exact-match debug long match exclude always first-parent \
            dirty broken",
        ),
        &[],
    ),
    (
        listed(
            "cat-file",
            "tspez",
            "",
            "batch batch-check batch-command batch-all-objects buffer unordered follow-symlinks \
            allow-unknown-type mailmap no-mailmap use-mailmap",
        ),
        &[],
    ),
    (listed("merge-base", "a", "", "all octopus independent is-ancestor fork-point"), &[]),
    (
        listed(
            "name-rev",
            "",
            "",
            "all tags refs exclude name-only always undefined no-undefined stdin annotate-stdin",
        ),
        &[],
    ),
    (
        listed(
            "show-ref",
            "dsq",
            "",
            "head heads branches tags dereference hash verify quiet abbrev exists exclude-existing",
        ),
        &[],
    ),
    (
        listed(
            "for-each-ref",
            "spzt",
            "",
            "format count sort points-at merged no-merged contains no-contains ignore-case shell perl \
            python tcl omit-empty exclude include-root-refs color",
        ),
        &[],
    ),
    (
        listed(
            "show-branch",
            "arg",
            "",
            "all remotes current topo-order date-order sparse more list merge-base independent no-name \
            sha1-name topics reflog color no-color",
        ),
        &[],
    ),
    (listed("check-ignore", "qvnz", "", "stdin quiet verbose non-matching no-index"), &[]),
    (listed("check-attr", "az", "", "all cached stdin source"), &[]),
    (listed("cherry", "v", "", "verbose abbrev"), &[]),
    (listed("count-objects", "vH", "", "verbose human-readable"), &[]),
    (listed("version", "", "", "build-options"), &[]),
    (listed("var", "l", "", ""), &[]),
];

/// Options of `git branch` and `git tag` that make them list what their operands match, besides `--list`.
const LISTING: &[&str] = &["--contains", "--no-contains", "--merged", "--no-merged", "--points-at"];
const BRANCH: Reader = listed(
    "",
    "arvi",
    "",
    "all remotes verbose list show-current contains no-contains merged no-merged points-at sort format column no-column \
     color no-color abbrev no-abbrev ignore-case omit-empty",
);
const TAG: Reader = listed(
    "",
    "li",
    "n",
    "list contains no-contains merged no-merged points-at sort format column no-column color \
            no-color ignore-case omit-empty",
);
const CONFIG: Reader = listed(
    "",
    "lz",
    "",
    "get get-all get-regexp get-urlmatch list global local system worktree show-origin show-scope name-only show-names \
     null type bool int bool-or-int path includes no-includes all regexp fixed-value",
);
/// Commands of git whose first word says what they do.
const GIT_LISTS: &[(&str, &[&str], Reader, &[&Reader])] = &[
    ("stash", &["list"], listed("", "", "", ""), &[&DIFF, &LOG]),
    ("stash", &["show"], listed("", "", "", "include-untracked only-untracked"), &[&DIFF]),
    ("reflog", &["show", "list"], listed("", "", "", ""), &[&DIFF, &LOG]),
    ("worktree", &["list"], listed("", "vz", "", "porcelain verbose"), &[]),
    ("submodule", &["status"], listed("", "", "", "cached recursive quiet"), &[]),
    ("notes", &["list", "show"], listed("", "", "", ""), &[]),
    ("remote", &["get-url"], listed("", "", "", "push all"), &[]),
];

/// Whether a command without hazards only reads.
pub(crate) fn only_reads(words: &[Word]) -> bool {
    let Some(first) = words.first() else { return true };
    let name = crate::shell::base(&first.text);
    let dir = first.text.strip_suffix(name).unwrap_or_default();
    let rest = words.get(1..).unwrap_or_default();
    if !dir.is_empty() && !SYSTEM.contains(&dir) {
        return false;
    }
    match name {
        "git" => return git(words),
        "find" => return find(rest),
        _ => {}
    }
    let Some(reader) = READERS.iter().find(|reader| names(reader.names, name)) else { return false };
    if let [only] = rest
        && (only.is("--help") || only.is("--version"))
    {
        return true;
    }
    let operands = || hazards::operands(words).into_iter().map(|(_, word)| word);
    match name {
        // After its format it has no options.
        "printf" => rest.first().is_none_or(|word| word.is("--") || !word.may_be_option() && !word.splits),
        // `hostname NAME` sets it.
        "hostname" => lets(rest, &[reader]) && operands().next().is_none(),
        // Names of hosts would be asked for on the network.
        "getent" => {
            let local =
                |word: &Word| matches!(word.known(), Some("passwd" | "group" | "services" | "protocols"));
            lets(rest, &[reader]) && rest.first().is_some_and(local)
        }
        // `date 01020304` sets it.
        "date" => lets(rest, &[reader]) && dates(rest),
        _ => reader.lets == Lets::Anything || lets(rest, &[reader]),
    }
}

fn names(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == name)
}

/// Whether each word is a listed option, or cannot become another one.
fn lets(words: &[Word], readers: &[&Reader]) -> bool {
    let open = readers.iter().all(|reader| reader.lets == Lets::Unknown);
    for word in words {
        let Some(text) = word.known() else {
            // A pattern becomes names that begin as it does; what splits may become anything.
            let stays = !word.may_be_option() && (!word.splits || word.is_pattern());
            let value = !word.splits && word.text.contains('=') && option(&word.text, readers);
            if open || stays || value {
                continue;
            }
            return false;
        };
        if text == "--" {
            return true;
        }
        if text.starts_with('-') && !option(text, readers) {
            return false;
        }
    }
    true
}

/// Whether an option, or every letter of a cluster of them, is listed.
fn option(text: &str, readers: &[&Reader]) -> bool {
    if let Some(long) = text.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        return readers.iter().any(|reader| names(reader.long, name));
    }
    for letter in text.chars().skip(1) {
        if readers.iter().any(|reader| reader.valued.contains(letter)) {
            return true;
        }
        if !letter.is_ascii_digit() && !readers.iter().any(|reader| reader.flags.contains(letter)) {
            return false;
        }
    }
    true
}

/// Whether the operands of `date` are formats, its options' values apart.
fn dates(words: &[Word]) -> bool {
    let mut value = false;
    words.iter().all(|word| {
        if std::mem::take(&mut value) {
            return !word.splits;
        }
        value = matches!(word.text.as_str(), "-d" | "-r" | "--date" | "--reference") && word.known;
        word.text.starts_with(['-', '+']) && !word.splits
    })
}

/// Predicates of `find` without a value.
const FIND_FLAGS: &str = "-H -L -P -a -and -o -or -not -print -print0 -ls -prune -quit -true -false -empty -executable -readable \
     -writable -nouser -nogroup -depth -d -mount -xdev -follow -noleaf -daystart -warn -nowarn -ignore_readdir_race";
/// Predicates of `find` with one.
const FIND_VALUED: &str = "-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -lname -ilname -type \
     -xtype -size -mtime -atime -ctime -mmin -amin -cmin -newer -anewer -cnewer -newermt -newerat -newerct -newermm -perm -user \
     -group -uid -gid -links -inum -samefile -fstype -maxdepth -mindepth -printf -used -context";

fn find(words: &[Word]) -> bool {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let Some(text) = word.known() else {
            if word.may_be_option() || word.splits && !word.is_pattern() {
                return false;
            }
            continue;
        };
        if matches!(text, "-exec" | "-execdir") {
            // What it runs is judged by itself: where that ends must be certain.
            loop {
                let Some(word) = words.get(at) else { return false };
                at += 1;
                let before = words.get(at - 2);
                match word.known() {
                    Some(";") => break,
                    Some("+") if before.is_some_and(|word| word.is("{}")) => break,
                    Some("+") => return false,
                    Some(_) => {}
                    None if word.text.is_empty() || word.splits => return false,
                    None => {}
                }
            }
        } else if names(FIND_VALUED, text) {
            if words.get(at).is_none_or(|value| value.splits) {
                return false;
            }
            at += 1;
        } else if text.starts_with('-') && !names(FIND_FLAGS, text) {
            return false;
        }
    }
    true
}

/// The words after git's global options, when those are harmless.
fn after_globals(words: &[Word]) -> Option<&[Word]> {
    let mut at = 1;
    while let Some(text) = words.get(at).and_then(Word::known) {
        match text {
            "--no-pager" | "-P" | "--no-optional-locks" => at += 1,
            "-C" => {
                let dir = words.get(at + 1).filter(|dir| !dir.home)?.known()?;
                if dir.is_empty()
                    || dir.starts_with(['/', '~', '-'])
                    || dir.split('/').any(|part| part == "..")
                {
                    return None;
                }
                at += 2;
            }
            _ => break,
        }
    }
    words.get(at..)
}

fn git(words: &[Word]) -> bool {
    let Some(words) = after_globals(words) else { return false };
    let Some((command, rest)) = words.split_first() else { return true };
    let Some(name) = command.known() else { return false };
    if matches!(name, "--version" | "-v" | "--help" | "-h") {
        return rest.is_empty();
    }
    // Formats that have signatures verified start a program.
    let verifies = |word: &Word| word.text.contains("%G") || word.text.contains("signature");
    // What is not known may be such a format, a command's operands aside.
    let plain = |word: &Word| word.known || !word.text.starts_with('-');
    if rest.iter().any(|word| word.text.starts_with('-') && verifies(word)) || !rest.iter().all(plain) {
        return false;
    }
    if rest.iter().any(|word| verifies(word) && word.text.contains('%')) {
        return false;
    }
    if let Some((own, shared)) = GIT_READERS.iter().find(|(reader, _)| names(reader.names, name)) {
        return lets(rest, &with(own, shared));
    }
    git_lists(name, rest)
}

fn with<'r>(own: &'r Reader, shared: &[&'r Reader]) -> Vec<&'r Reader> {
    [own].into_iter().chain(shared.iter().copied()).collect()
}

/// Commands of git that list, and with other words change something.
fn git_lists(name: &str, rest: &[Word]) -> bool {
    let has = |options: &[&str]| {
        rest.iter().any(|word| options.contains(&word.text.split('=').next().unwrap_or_default()))
    };
    // The word after one of these is its value, whatever it looks like.
    let values = ["--sort", "--format", "--type"];
    if matches!(name, "branch" | "tag" | "config")
        && rest.iter().any(|word| values.contains(&word.text.as_str()))
    {
        return false;
    }
    let operands: Vec<&Word> = rest.iter().filter(|word| !word.text.starts_with('-')).collect();
    match name {
        "branch" => lets(rest, &[&BRANCH]) && (operands.is_empty() || has(&["--list"]) || has(LISTING)),
        "tag" => lets(rest, &[&TAG]) && (operands.is_empty() || has(&["--list", "-l"]) || has(LISTING)),
        "remote" if rest.iter().all(|word| word.is("-v") || word.is("--verbose")) => true,
        "reflog" if operands.is_empty() => lets(rest, &[&DIFF, &LOG]),
        "notes" if rest.is_empty() => true,
        "config" => {
            let gets = has(&["--get", "--get-all", "--get-regexp", "--get-urlmatch", "--list", "-l"]);
            let key = |word: &&Word| word.known().is_some_and(|text| text.contains('.'));
            lets(rest, &[&CONFIG])
                && rest.iter().all(|word| word.known)
                && (gets
                    || rest.first().is_some_and(|first| first.is("get") || first.is("list"))
                    || operands.len() == 1 && operands.iter().all(key))
        }
        _ => rest.split_first().is_some_and(|(first, after)| {
            GIT_LISTS.iter().any(|(command, lists, own, shared)| {
                *command == name
                    && first.known().is_some_and(|text| lists.contains(&text))
                    && lets(after, &with(own, shared))
            })
        }),
    }
}
