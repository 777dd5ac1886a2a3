//! What slipped through once, or would in a simpler reading.

use codetether_event::Mode;

use crate::{check, on_shell, rules};

fn never(mode: Mode, texts: &[&str], commands: &[&str]) {
    let rules = rules(texts);
    let allowed: Vec<&&str> = commands
        .iter()
        .filter(|command| on_shell(mode, &rules, command).decision.as_str() == "allow")
        .collect();
    assert!(allowed.is_empty(), "allowed under {mode} and {texts:?}: {allowed:#?}");
}

const VALUE: &str = "'a[$(touch x)]'";

#[test]
fn nothing_writes_in_plan_by_a_form_that_is_rarely_used() {
    let arithmetic = [
        ": P; echo $((_))",
        ": P; [[ $_ -eq 1 ]]",
        "read <<< P; (( REPLY ))",
        "[[ P =~ .* ]]; (( BASH_REMATCH ))",
        "x=P; eval '(( x ))'",
        "x=P; trap '(( x ))' EXIT",
        "export x=P; bash -c '(( x ))'",
        "x=P bash -c 'echo $((x))'",
        "y=P; export 'x=y'; echo $((x))",
        "mapfile -t <<< P; (( MAPFILE ))",
        "getopts a: x -a P; (( OPTARG ))",
        "printf -v P 1",
        "y=(1); unset 'y[$(touch x)]'",
    ];
    let arithmetic: Vec<String> = arithmetic.iter().map(|text| text.replace('P', VALUE)).collect();
    never(Mode::Plan, &[], &arithmetic.iter().map(String::as_str).collect::<Vec<_>>());
    never(
        Mode::Plan,
        &[],
        &[
            "ls > /dev/fd/../cwd/x",
            "ls > /dev/fd/../../../tmp/x",
            "touch() { ls; }; command touch x",
            "touch() { ls; } & touch x",
            "touch() { ls; }; un\\set -f touch; touch x",
            "sh -c '((rm -rf x))'",
            "sh -c '[[ a > x ]]'",
            "sh <<'E'\ncat $'\\' ; touch x ; : '\\'\nE",
            "export 'PATH=/tmp'; git diff",
            "declare -x \"PATH=/tmp\"; git diff",
            "x=safe; export \"x=--output=y\"; git diff $x",
            "((PATH=5)); git diff",
            ": $((PATH=5)); git diff",
            "set -o keyword; git diff GIT_EXTERNAL_DIFF=./x",
            "bash -o keyword -c 'git diff A=b'",
            "echo x | xargs --replace touch x {}",
            "echo x | xargs --max-lines touch x",
            "echo --output=x | xargs -I{} -n 2 git diff",
            "find . -maxdepth 0 -exec git log -S + --output=x \\;",
            "find . -exec sort -t + -o x f \\;",
            "git -C bare show",
            "cd bare && git log -p",
            "git --bare show",
            "git shortlog --output=x HEAD",
            "git rev-list --output=x HEAD",
        ],
    );
}

#[test]
fn a_rule_for_one_command_allows_no_other() {
    never(
        Mode::Ask,
        &["allow bash(git diff *)"],
        &[
            "rm() { git diff; }; command rm -rf x",
            "rm() { git diff; }; env rm x",
            "export 'PATH=/tmp'; git diff",
            "set -o keyword; git diff A=b",
            "((PATH=5)); git diff",
            "xargs --replace rm git diff",
            "echo x | xargs -I{} -L1 git diff",
            "bash -o keyword -c 'git diff A=b'",
        ],
    );
}

#[test]
fn what_decides_what_runs_later_must_be_named() {
    never(
        Mode::Ask,
        &["allow bash(cp *)", "allow bash(ln *)", "allow bash(mv *)", "allow bash(install *)"],
        &[
            "cp x .git/hooks/pre-commit",
            "cp --target-directory=.git/hooks x",
            "cp -t.git/hooks x",
            "cp -rt .git/hooks x",
            "cp --target-dir .git/hooks x",
            "mv -t.git/hooks x",
            "install --target-directory=sub/.git/hooks x",
            "ln -s .git g",
            "cp x sub/../.codetether/config.toml",
        ],
    );
    check(Mode::Ask, &["allow bash(cp *)"], &[("cp -r a .github/x", "allow"), ("cp a.git b", "allow")]);
}

#[test]
fn what_is_denied_stays_so_behind_odd_options() {
    never(
        Mode::Bypass,
        &["deny bash(rm *)"],
        &[
            "eval -- rm z",
            "env - rm z",
            "flock x rm z",
            "busybox rm z",
            "sh -c 'rm z'",
            "compgen -W '$(rm x)'",
            "mapfile -C 'rm x' -c 1 x <<< a",
        ],
    );
    never(
        Mode::Bypass,
        &["deny read(.env)"],
        &[
            "cat .en?",
            "cat .e*",
            "cat .{env,x}",
            "cat $PWD/.env",
            "cat ~+/.env",
            "cat \"$F\"",
            "cat < .en?",
            "grep -f.env x",
            "curl -d@.env x",
            "curl --data=@.env x",
            "git show HEAD:.env",
            "cat *",
        ],
    );
    never(
        Mode::Bypass,
        &["deny edit(locked)"],
        &[
            "rm lock*",
            "cp x lock*",
            "echo x > lock?d",
            "sort -o locked x",
            "curl -o locked x",
            "git checkout locked",
            "find locked -delete",
        ],
    );
    check(
        Mode::Bypass,
        &["deny read(.env)", "deny edit(*.lock)"],
        &[
            ("cat *.rs", "allow"),
            ("ls src", "allow"),
            ("rm *.tmp", "allow"),
            ("cat Cargo.lock", "allow"),
            ("make", "allow"),
        ],
    );
}

#[test]
fn the_folder_is_not_lost() {
    never(
        Mode::Bypass,
        &[],
        &[
            "f() { cd /; }; f; rm -rf etc",
            "eval 'cd /'; rm -rf etc",
            "for i in 1 2; do rm -rf etc; cd ..; done",
            "while true; do rm -rf etc; cd /; done",
            "pushd / && rm -rf etc",
            "sudo -D / rm -rf etc",
            "sudo --chdir=/ rm -rf etc",
            "find -L / -delete",
            "find -H /tmp -delete",
            "find -L / -exec rm -rf {} +",
            "busybox rm -rf ~",
            "flock x rm -rf ~",
            "flock x git reset --hard",
            "watch git clean -fdx",
        ],
    );
    check(
        Mode::Bypass,
        &[],
        &[
            ("cd /w/project && rm -rf build", "allow"),
            ("cd /w/project/sub && rm -rf build", "allow"),
            ("cd sub && rm -rf build", "allow"),
            ("cd /w/projectile && rm -rf build", "ask"),
        ],
    );
    check(
        Mode::Ask,
        &["allow bash(cargo test *)"],
        &[("cd /w/project && cargo test", "allow"), ("cd /w && cargo test", "ask")],
    );
}

#[test]
fn destructive_git_is_found_behind_its_options() {
    never(
        Mode::Bypass,
        &["allow bash(git *)"],
        &[
            "git clean -fdx -- -n .",
            "git clean -fd --exclude=evil -enope",
            "git clean -n --no-dry-run -f",
            "git restore --staged --worktre f",
            "git checkout HEAD~1 src/x.rs",
            "git checkout HEAD src",
            "git checkout '*.rs'",
            "git checkout ':(top)'",
            "git checkout --ours x",
            "git push origin HEAD:+main",
            "git fetch origin +a:b",
            "git pull --rebase",
            "git pull --force",
            "git remote -v remove origin",
            "git submodule -q deinit x",
            "git worktree add -f x",
            "git update-ref refs/heads/main X",
            "git notes remove",
            "git mv -f a b",
            "git merge --abort",
            "git apply -R x",
        ],
    );
    check(
        Mode::Ask,
        &["allow bash(git *)"],
        &[("git submodule -q foreach 'rm x'", "ask"), ("git remote -v add a b", "ask")],
    );
    check(
        Mode::Bypass,
        &[],
        &[
            ("git checkout main", "allow"),
            ("git checkout -b a main", "allow"),
            ("git clean -nd", "allow"),
            ("git pull", "allow"),
            ("git merge a", "allow"),
        ],
    );
}

#[test]
fn hostile_input_is_unclear_and_costs_little() {
    let nested =
        |open: &str, close: &str, times: usize| format!("{}x{}", open.repeat(times), close.repeat(times));
    let inputs = [
        format!("echo {}", nested("${x:-", "}", 5_000)),
        format!("echo {}", nested("$(echo ", ")", 5_000)),
        nested("case x in x) ", ";; esac", 3_000),
        nested("{ ", "; }", 5_000),
        nested("( ", " )", 5_000),
        format!("find . {}", "-exec ls {} \\; ".repeat(4_000)),
        format!("ls {}", "{".repeat(60_000)),
        format!("ls {}", "[".repeat(60_000)),
        format!("echo {}", "$(a) ".repeat(10_000)),
        "env ".repeat(15_000) + "ls",
    ];
    let some = rules(&["allow bash(ls *)", "deny read(.env)", "allow bash(echo *)"]);
    for input in &inputs {
        let judged = std::thread::scope(|scope| {
            // A small stack, as threads of a runtime have.
            let run = || on_shell(Mode::Ask, &some, input).decision.as_str();
            std::thread::Builder::new().stack_size(2 << 20).spawn_scoped(scope, run).unwrap().join().unwrap()
        });
        // A bracket that is not closed is a letter.
        let expected = if input.starts_with("ls [") { "allow" } else { "ask" };
        assert_eq!(judged, expected, "{}", &input[..20]);
    }
}
