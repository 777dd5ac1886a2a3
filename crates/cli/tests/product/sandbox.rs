//! `codetether sandbox run`: what a confined command can and cannot do, judged from outside.
#![allow(clippy::disallowed_methods, reason = "tests set up a person's files as a person would")]

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use codetether_testkit::Home;

/// A hermetic home, a project in it, and someone who runs commands there in a sandbox.
pub(crate) struct Site {
    pub(crate) home: Home,
    program: PathBuf,
    /// Who runs them: whoever runs the tests, or the user with this number.
    user: Option<u32>,
}

/// How a command went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { home: Home::new(), program: env!("CARGO_BIN_EXE_codetether").into(), user: None }
    }

    /// For a normal user: whoever runs the tests is often root.
    fn of_a_normal_user() -> Self {
        let mut site = Self::new();
        if !rustix::process::geteuid().is_root() {
            return site;
        }
        // The folder that the program is in may be closed to others.
        let program = site.home.path().parent().unwrap().join("codetether");
        std::fs::copy(&site.program, &program).unwrap();
        (site.program, site.user) = (program, Some(1000));
        let project = site.home.project();
        let everything = site.home.path().parent().unwrap().to_owned();
        std::fs::set_permissions(&everything, std::fs::Permissions::from_mode(0o755)).unwrap();
        for top in [everything, project] {
            give(&top, 1000);
        }
        site
    }

    /// The project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.project().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = match self.user {
            None => self.home.command(&self.program),
            Some(user) => {
                let mut command = self.home.command("setpriv".as_ref());
                let user = user.to_string();
                command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
                command.arg(&self.program);
                command
            }
        };
        command.current_dir(self.home.project()).arg("sandbox").args(args);
        command
    }

    /// Runs a shell's program in a sandbox with these flags.
    pub(crate) fn sh(&self, flags: &[&str], program: &str) -> Ran {
        self.run(&[flags, &["--", "sh", "-c", program]].concat())
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(&[&["run"], args].concat()).output().unwrap())
    }
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Both: as whoever runs the tests, and as a normal user.
fn everyone() -> [Site; 2] {
    [Site::new(), Site::of_a_normal_user()]
}

#[test]
fn the_exit_code_is_the_commands_own_or_says_what_went_wrong() {
    for site in everyone() {
        let quiet = |code| Ran { code, stdout: String::new(), stderr: String::new() };
        assert_eq!(site.sh(&[], "exit 0"), quiet(0));
        assert_eq!(site.sh(&[], "exit 7"), quiet(7));
        assert_eq!(site.sh(&[], "kill -9 $$"), quiet(137));
        let absent = site.run(&["--", "no-such-program"]);
        assert_eq!((absent.code, absent.stdout.as_str()), (127, ""));
        assert!(
            absent.stderr.starts_with("codetether sandbox: cannot run `no-such-program`"),
            "{}",
            absent.stderr
        );
        assert_eq!(site.run(&["--", "/etc/passwd"]).code, 126);
        let wrong = site.run(&["--writable", "/no/such/place", "--", "true"]);
        assert_eq!(
            wrong.stderr,
            "codetether sandbox: cannot grant `/no/such/place` (--writable): No such file or directory (os error 2)\n"
        );
        assert_eq!(wrong.code, 125);
        assert_eq!(site.sh(&["--time", "1"], "trap '' TERM; sleep 60").code, 143);
    }
}

#[test]
fn the_workspace_can_be_written_and_nothing_else() {
    for site in everyone() {
        let beside = site.home.path().join("beside");
        std::fs::write(&beside, "before").unwrap();
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o666)).unwrap();
        let ran = site.sh(
            &[],
            &format!("echo new > made; echo x > {0}; echo x > /usr/made; echo x > /etc/made; echo t > /tmp/made; cat /tmp/made", beside.display()),
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "t\n"), "{}", ran.stderr);
        assert_eq!(std::fs::read_to_string(site.path("made")).unwrap(), "new\n");
        assert_eq!(std::fs::read_to_string(beside).unwrap(), "before");
        for path in ["/usr/made", "/etc/made", "/tmp/made"] {
            assert!(!Path::new(path).exists(), "{path}");
        }
        let ran = site.sh(&["--mode", "read-only"], "echo x > README.md; echo x > new; echo t > /tmp/made");
        assert_eq!(ran.code, 0);
        assert!(std::fs::read_to_string(site.path("README.md")).unwrap().contains("It greets"));
        assert!(!site.path("new").exists());
    }
}

#[test]
fn granted_places_can_be_written_or_read_as_granted() {
    let site = Site::new();
    let place = |name: &str| {
        let path = site.home.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("file"), name).unwrap();
        path
    };
    let (write, read) = (place("write"), place("read"));
    let (w, r) = (write.to_str().unwrap(), read.to_str().unwrap());
    let ran = site.sh(
        &["--writable", w, "--readable", r],
        &format!("cat {w}/file {r}/file; echo x > {w}/new; echo x > {r}/new"),
    );
    assert_eq!(ran.stdout, "writeread");
    assert!(write.join("new").exists());
    assert!(!read.join("new").exists());
}

#[test]
fn secrets_of_the_home_and_the_environment_stay_outside() {
    for site in everyone() {
        let key = site.home.path().join(".ssh/id_ed25519");
        std::fs::create_dir(key.parent().unwrap()).unwrap();
        std::fs::write(&key, "PRIVATE").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(site.path(".npmrc"), "//r.example/:_authToken=PRIVATE\n").unwrap();
        let program =
            format!("cat {} .npmrc /etc/shadow; ls -A $HOME; env; cat /proc/1/environ", key.display());
        let mut command = site.command(&["run", "--env", "MY_TOKEN", "--", "sh", "-c", &program]);
        let ran = ran(command.env("OPENAI_API_KEY", "PRIVATE").env("MY_TOKEN", "granted").output().unwrap());
        assert!(!ran.stdout.contains("PRIVATE"), "{}", ran.stdout);
        assert!(ran.stdout.contains("MY_TOKEN=granted"), "{}", ran.stdout);
        assert!(ran.stdout.contains("CODETETHER_SANDBOX=1"), "{}", ran.stdout);
        assert!(!ran.stdout.contains("root:"), "{}", ran.stdout);
    }
}

#[test]
fn in_a_home_that_is_the_workspace_keys_are_hidden_and_what_shells_run_stays() {
    let site = Site::new();
    let home = site.home.path();
    for (name, text) in [(".ssh/id", "PRIVATE"), (".bashrc", "mine"), (".gitconfig", "[user]\nname = Ada\n")]
    {
        std::fs::create_dir_all(home.join(name).parent().unwrap()).unwrap();
        std::fs::write(home.join(name), text).unwrap();
    }
    let program = "cat .ssh/id; echo evil > .bashrc; echo evil > .gitconfig; echo x > made";
    let mut command = site.command(&["run", "--", "sh", "-c", program]);
    let ran = ran(command.current_dir(&home).output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(home.join(".bashrc")).unwrap(), "mine");
    assert_eq!(std::fs::read_to_string(home.join(".gitconfig")).unwrap(), "[user]\nname = Ada\n");
    assert!(home.join("made").exists());
}

#[test]
fn only_the_sandboxs_own_network_is_there() {
    for site in everyone() {
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        outside.set_nonblocking(true).unwrap();
        let port = outside.local_addr().unwrap().port();
        let own = "my $s; socket($s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(0, INADDR_LOOPBACK)) && listen($s, 1) or exit 3; \
                   my $c; socket($c, PF_INET, SOCK_STREAM, 0); exit(connect($c, getsockname($s)) ? 0 : 4)";
        assert_eq!(site.run(&["--", "perl", "-MSocket", "-e", own]).code, 0);
        let other = format!(
            "socket(my $c, PF_INET, SOCK_STREAM, 0); exit(connect($c, sockaddr_in({port}, INADDR_LOOPBACK)) ? 0 : 4)"
        );
        assert_eq!(site.run(&["--", "perl", "-MSocket", "-e", &other]).code, 4);
        assert_eq!(outside.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn sockets_of_others_in_the_workspace_lead_nowhere() {
    for site in everyone() {
        let listener = UnixListener::bind(site.path("outside.sock")).unwrap();
        std::fs::set_permissions(site.path("outside.sock"), std::fs::Permissions::from_mode(0o777)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let connect =
            "socket(my $c, PF_UNIX, SOCK_STREAM, 0); exit(connect($c, sockaddr_un($ARGV[0])) ? 0 : 4)";
        assert_eq!(site.run(&["--", "perl", "-MSocket", "-e", connect, "outside.sock"]).code, 4);
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        let own = "my $s; socket($s, PF_UNIX, SOCK_STREAM, 0); bind($s, sockaddr_un('own.sock')) && listen($s, 1) or exit 3; \
                   socket(my $c, PF_UNIX, SOCK_STREAM, 0); exit(connect($c, sockaddr_un('own.sock')) ? 0 : 4)";
        assert_eq!(site.run(&["--", "perl", "-MSocket", "-e", own]).code, 0);
    }
}

#[test]
fn other_processes_are_out_of_sight_and_nothing_is_left_behind() {
    for site in everyone() {
        let marker = format!("{}", 1_000_000 + std::process::id());
        let ran = site.sh(
            &[],
            &format!(
                "(setsid sleep {marker} &); kill -0 {} ; ls /proc | grep -c '^[0-9]'",
                std::process::id()
            ),
        );
        let count: u32 = ran.stdout.trim().parse().unwrap();
        assert!(count < 8, "{}", ran.stdout);
        assert!(ran.stderr.contains("No such process"), "{}", ran.stderr);
        let left = Command::new("pgrep").args(["-f", &format!("sleep {marker}")]).output().unwrap();
        assert_eq!(String::from_utf8(left.stdout).unwrap(), "");
    }
}

#[test]
fn limits_hold() {
    for site in everyone() {
        let bomb = "i=0; while [ $i -lt 600 ]; do sleep 5 & i=$((i+1)); done; wait";
        let ran = site.sh(&["--pids", "50", "--time", "20"], bomb);
        assert!(ran.stderr.contains("fork"), "{ran:?}");
        let hungry = "my $x = 'x' x (512 * 1024 * 1024); print length $x";
        assert_ne!(site.run(&["--mem", "128M", "--", "perl", "-e", hungry]).code, 0);
        assert_eq!(site.run(&["--mem", "2G", "--", "perl", "-e", hungry]).code, 0);
        let ran = site.sh(&["--fsize", "64K"], "head -c 1000000 /dev/zero > big");
        assert_ne!(ran.code, 0);
        assert_eq!(site.path("big").metadata().unwrap().len(), 65536);
    }
}

#[test]
fn nothing_gains_rights() {
    for site in everyone() {
        let ran = site.sh(&[], "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
        let lines: Vec<_> =
            ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let none = "0000000000000000";
        let caps =
            ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"].map(|name| format!("{name} {none}"));
        assert_eq!(lines[..5], caps);
        assert_eq!(lines[5..], ["NoNewPrivs: 1", "Seccomp: 2"]);
        for denied in [
            "unshare -Ur true",
            "cp /bin/true own && chmod u+s own",
            "mount -t tmpfs none /tmp",
            "mknod device c 1 3",
            "echo 1 > /proc/sys/vm/drop_caches",
            "perl -e 'syscall(101, 0, 0, 0, 0) == 0 or exit 1'",
        ] {
            assert_ne!(site.sh(&[], denied).code, 0, "{denied}");
        }
        assert_eq!(site.path("own").metadata().unwrap().permissions().mode() & 0o6000, 0);
    }
}

#[test]
fn descriptors_of_the_caller_are_not_passed_on() {
    let site = Site::new();
    let program = format!(
        "exec 7</etc/hostname 9</etc/passwd; exec '{}' sandbox run -- sh -c 'ls /proc/self/fd'",
        env!("CARGO_BIN_EXE_codetether")
    );
    let mut command = site.home.command("bash".as_ref());
    let ran = ran(command.current_dir(site.home.project()).args(["-c", &program]).output().unwrap());
    // The fourth is the folder that `ls` reads.
    assert_eq!(ran.stdout, "0\n1\n2\n3\n", "{}", ran.stderr);
}

#[test]
fn signals_reach_the_command_and_its_end_is_told() {
    for site in everyone() {
        let program = "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        let mut command = site.command(&["run", "--", "sh", "-c", program]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "told");
        assert_eq!(child.wait().unwrap().code(), Some(5));
    }
}

#[test]
fn a_killed_launcher_takes_everything_with_it() {
    let site = Site::new();
    let program =
        "git init -q new; git -C new config core.fsmonitor 'touch mark; false'; echo ready; exec sleep 600";
    let mut command = site.command(&["run", "--", "sh", "-c", program]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut output, &mut [0; 6]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The end comes when the last that could write has ended.
    assert_eq!(std::io::Read::read_to_end(&mut output, &mut Vec::new()).unwrap(), 0);
    let config = std::fs::read_to_string(site.path("new/.git/config")).unwrap();
    assert!(!config.contains("fsmonitor"), "it is disarmed all the same: {config}");
}

#[test]
fn a_terminal_stays_one() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let site = Site::new();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = std::fs::File::options().read(true).write(true).open(name).unwrap();
    let mut command = site.command(&[
        "run",
        "--",
        "sh",
        "-c",
        "test -t 0 && stty size && perl -e 'my $x = q(x); ioctl(STDIN, 0x5412, $x) or exit 3'",
    ]);
    let ran = ran(command.stdin(Stdio::from(terminal)).output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (3, "0 0\n"), "{}", ran.stderr);
}

#[test]
fn package_caches_are_read_only_below_a_layer_of_the_workspaces_own() {
    for site in everyone() {
        let cargo = site.home.path().join(".cargo");
        std::fs::create_dir(&cargo).unwrap();
        for (name, text) in [("config.toml", "theirs"), ("credentials.toml", "PRIVATE")] {
            std::fs::write(cargo.join(name), text).unwrap();
        }
        if site.user.is_some() {
            give(&cargo, 1000);
        }
        let ran = site.sh(&[], "cd ~/.cargo && cat config.toml credentials.toml; echo x > own && echo ours > config.toml && cat config.toml");
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "theirsours\n"), "{}", ran.stderr);
        assert_eq!(std::fs::read_to_string(cargo.join("config.toml")).unwrap(), "theirs");
        assert!(!cargo.join("own").exists());
        assert_eq!(site.sh(&[], "cat ~/.cargo/own").stdout, "x\n");
    }
}

#[test]
fn a_run_can_be_recorded_but_not_where_the_command_could_write() {
    let site = Site::new();
    let file = site.home.path().join("audit");
    let audit = ["--audit", file.to_str().unwrap()];
    assert_eq!(site.sh(&audit, "exit 3").code, 3);
    assert_eq!(site.run(&[&audit[..], &["--", "no-such-program"]].concat()).code, 127);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| (&line["exit"], line["tier"].as_str(), line["denied"].as_array().unwrap().len()))
        .collect();
    assert_eq!(shown, [(&3.into(), Some("namespaces"), 0), (&127.into(), Some("namespaces"), 1)]);
    assert_eq!(site.sh(&["--audit", "audit"], "true").code, 125);
}

#[test]
fn landlock_alone_confines_with_gaps_that_are_told() {
    for site in everyone() {
        std::fs::write(site.home.path().join("secret"), "PRIVATE").unwrap();
        let secret = site.home.path().join("secret");
        let ran = site.sh(
            &["--tier", "landlock"],
            &format!("echo new > made; cat {}; echo x > /usr/made; echo t > $TMPDIR/t && cat $TMPDIR/t; unshare -Ur true; cat /etc/shadow; ls /tmp", secret.display()),
        );
        assert_eq!(ran.stdout, "t\n", "{}", ran.stderr);
        assert!(ran.stderr.contains("note: tier `landlock` has gaps: hooks and settings"), "{}", ran.stderr);
        assert!(site.path("made").exists());
        let inet = "exit(socket(my $c, PF_INET, SOCK_STREAM, 0) ? 0 : 4)";
        assert_eq!(site.run(&["--tier", "landlock", "--", "perl", "-MSocket", "-e", inet]).code, 4);
        let marker = format!("{}", 2_000_000 + std::process::id());
        site.sh(&["--tier", "landlock"], &format!("(setsid sleep {marker} &)"));
        let left = Command::new("pgrep").args(["-f", &format!("sleep {marker}")]).output().unwrap();
        assert_eq!(String::from_utf8(left.stdout).unwrap(), "");
    }
}

#[test]
fn without_a_sandbox_everything_is_as_it_is_outside() {
    let site = Site::new();
    let mut command = site.command(&[
        "run",
        "--mode",
        "unconfined",
        "--",
        "sh",
        "-c",
        "echo $MINE; ulimit -d; echo x > ../beside",
    ]);
    let ran = ran(command.env("MINE", "mine").output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "mine\nunlimited\n"), "{}", ran.stderr);
    assert!(site.path("../beside").exists());
    let both = site.run(&["--mode", "unconfined", "--pids", "5", "--", "true"]);
    assert_eq!(both.code, 125);
    assert!(both.stderr.contains("`--pids` has no effect"), "{}", both.stderr);
}

#[test]
fn what_the_agent_may_do_is_explained_with_the_line_that_says_so() {
    let site = Site::new();
    let explain = |args: &[&str]| ran(site.command(&[&["explain"], args].concat()).output().unwrap());
    let shown = site.home.path().join("shown");
    std::fs::create_dir(&shown).unwrap();
    let config = site.home.config().join("codetether/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    let text = format!("[sandbox]\ntier = \"namespaces\"\nreadable = [\"{}\"]\n", shown.display());
    std::fs::write(&config, &text).unwrap();
    let of_agent = explain(&[shown.to_str().unwrap()]);
    let why = format!("granted for reading by `sandbox.readable` (user {}:3)", config.display());
    assert!(of_agent.code == 0 && of_agent.stdout.contains(&why), "{}", of_agent.stdout);
    assert_eq!(of_agent.stderr, "");
    assert_eq!(explain(&["--flags-only", shown.to_str().unwrap()]).code, 7);
    assert!(
        explain(&["--writable", shown.to_str().unwrap(), shown.to_str().unwrap()])
            .stdout
            .starts_with("write: ")
    );
    // In mode `plan` nothing is written.
    std::fs::write(&config, format!("mode = \"plan\"\n{text}")).unwrap();
    assert!(explain(&["new"]).stdout.is_empty() || !explain(&["./new"]).stdout.starts_with("write"));
    // Without a sandbox that is said.
    std::fs::write(&config, "[sandbox]\ntier = \"none\"\n").unwrap();
    assert!(explain(&["--", "sh"]).stderr.contains("not confined"));
}

#[test]
fn the_machine_and_the_rules_are_explained() {
    let site = Site::new();
    let explain = |args: &[&str]| ran(site.command(&[&["explain"], args].concat()).output().unwrap());
    let hooks = explain(&[".git/hooks/pre-commit"]);
    let expected = format!(
        "read: `{}`: git outside would run what is in it\nchange it yourself, outside\n",
        site.path(".git/hooks").display()
    );
    assert_eq!((hooks.code, hooks.stdout), (0, expected));
    let host = explain(&["example.com"]);
    assert_eq!(
        (host.code, host.stdout.as_str()),
        (
            7,
            "denied: no host of `sandbox.net` matches it\n`example.com` in `sandbox.net` would let it be reached\n"
        )
    );
    let host = explain(&["--flags-only", "example.com"]);
    assert_eq!(
        (host.code, host.stdout.as_str()),
        (
            7,
            "denied: `--net off` (the default): no way leads out\n`--net allow:example.com` would let it be reached\n"
        )
    );
    let told = explain(&["sh"]).stderr;
    assert!(told.contains("`codetether sandbox explain -- sh` speaks of the command"), "{told}");
    let told = explain(&["./nowhere"]).stderr;
    assert!(told.contains("there is no `./nowhere` outside"), "{told}");
    let cargo = explain(&["--net", "allow:cargo", "static.crates.io"]);
    assert!(cargo.code == 0 && cargo.stdout.contains("by the preset `cargo`"), "{}", cargo.stdout);
    assert_eq!(explain(&["--net", "allow:example.com", "example.com:22"]).code, 7);
    assert!(explain(&["--", "sh"]).stdout.starts_with("run: `/usr/bin/"));
    assert!(explain(&[]).stdout.contains("(the workspace)"));

    let doctor = ran(site.command(&["doctor", "--json"]).output().unwrap());
    let found: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
    let names: Vec<_> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["kernel", "namespaces", "landlock", "seccomp", "layers", "processes", "cgroups"]);
    assert_eq!(found["findings"][1]["well"], true, "{}", found["findings"][1]);
}

#[test]
fn the_way_out_leads_to_what_was_named_alone() {
    const ASK: &str = "import os, sys, urllib.request as r, urllib.error as e
print(os.environ.get('no_proxy'))
proxy = os.environ.get('HTTP_PROXY', 'http://127.0.0.1:9')
for url in sys.argv[1:]:
    try: print(r.build_opener(r.ProxyHandler({'http': proxy})).open(url, timeout=20).read().decode())
    except e.HTTPError as error: print(error.code, error.read().decode())
    except e.URLError as error: print('no way')
";
    let site = Site::new();
    let web = codetether_testkit::Server::with(|_| codetether_testkit::Reply::status(200).body("served"));
    let here = web.base_url().trim_end_matches("/v1").to_owned();
    let program = |net: &str| {
        site.run(&["--net", net, "--", "/usr/bin/python3", "-c", ASK, &here, "http://elsewhere.test/"])
    };
    let run = program(&format!("allow:{}/private", here.trim_start_matches("http://")));
    assert!(run.stdout.starts_with("localhost,::1\nserved\n403 "), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("`--net allow:elsewhere.test` would allow it"), "{}", run.stderr);
    assert_eq!(program("off").stdout, "None\nno way\nno way\n", "without a way out there is none");
}
