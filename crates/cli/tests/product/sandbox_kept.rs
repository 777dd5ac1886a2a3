//! A kept sandbox: its root stays, and each command has its own processes.

#![allow(clippy::disallowed_methods, reason = "tests set up a person's files as a person would")]

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use codetether_sandbox::{Job, Kept, Mode, Net, Policy, Report, Running};

use crate::sandbox::Site;

const PROGRAM: &str = env!("CARGO_BIN_EXE_codetether");

fn kept(site: &Site) -> Kept {
    Kept::start(Path::new(PROGRAM), &Policy::new(Mode::WorkspaceWrite, &site.home.project()).unwrap())
        .unwrap()
}

fn job(site: &Site, program: &str) -> Job {
    Job {
        argv: ["sh", "-c", program].map(Into::into).to_vec(),
        env: vec![("EXTRA".into(), "added".into())],
        dir: site.home.project().canonicalize().unwrap(),
        time: None,
        terminal: false,
    }
}

fn start(kept: &Kept, job: &Job) -> (Running, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let running = kept.spawn(job, [null.as_fd(), writer.as_fd(), writer.as_fd()]).unwrap();
    (running, reader)
}

fn last(running: &Running) -> Report {
    loop {
        match running.next().unwrap() {
            Report::Note(_) => {}
            report => return report,
        }
    }
}

fn run(kept: &Kept, site: &Site, program: &str) -> (Report, String) {
    let (running, mut reader) = start(kept, &job(site, program));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (last(&running), text)
}

#[test]
fn files_stay_and_processes_do_not() {
    let site = Site::new();
    let kept = kept(&site);
    let first = run(
        &kept,
        &site,
        "echo there > /tmp/file; echo here > made; (setsid sleep 600 >/dev/null 2>&1 &); echo $EXTRA; exit 3",
    );
    assert_eq!(first, (Report::Code(3), "added\n".into()));
    let (report, text) = run(
        &kept,
        &site,
        "cat /tmp/file made; ls /proc | grep -c '^[0-9]'; cat /proc/sys/kernel/ns_last_pid >/dev/null; echo $$",
    );
    assert_eq!(report, Report::Code(0));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..2], ["there", "here"]);
    assert!(lines[2].parse::<u32>().unwrap() < 6, "{text}");
    // Its process namespace is a new one, which counts from where it is bounded, if it is.
    assert!(["2", "301"].contains(&lines[3]), "{text}");
    assert_eq!(std::fs::read_to_string(site.path("made")).unwrap(), "here\n");
}

#[test]
fn commands_run_beside_each_other_and_do_not_see_each_other() {
    let site = Site::new();
    let kept = kept(&site);
    let (one, mut first) = start(&kept, &job(&site, "echo ready; exec sleep 600"));
    first.read_exact(&mut [0; 6]).unwrap();
    // The bracket keeps the pattern from matching itself.
    let other = run(&kept, &site, "cat /proc/[0-9]*/cmdline | grep -ac 'slee[p]'");
    assert_eq!(other, (Report::Code(1), "0\n".into()));
    one.signal(15);
    assert_eq!(last(&one), Report::Signal(15));
}

#[test]
fn a_signal_a_limit_and_a_drop_end_a_command() {
    let site = Site::new();
    let kept = kept(&site);
    let (running, mut reader) = start(&kept, &job(&site, "echo ready; exec sleep 600"));
    reader.read_exact(&mut [0; 6]).unwrap();
    running.signal(2);
    assert_eq!(last(&running), Report::Signal(2));

    let limited = Job { time: Some(Duration::from_millis(100)), ..job(&site, "exec sleep 600") };
    assert_eq!(last(&start(&kept, &limited).0), Report::TimeUp);

    let (running, mut reader) = start(&kept, &job(&site, "echo ready; exec sleep 600"));
    reader.read_exact(&mut [0; 6]).unwrap();
    drop(running);
    // The end of its output is the end of all that could write it.
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);

    let (_running, mut reader) = start(&kept, &job(&site, "echo ready; exec sleep 600"));
    reader.read_exact(&mut [0; 6]).unwrap();
    drop(kept);
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn what_cannot_be_run_is_told() {
    let site = Site::new();
    let kept = kept(&site);
    let absent = Job { argv: vec!["no-such-program".into()], ..job(&site, "") };
    assert!(matches!(last(&start(&kept, &absent).0), Report::NotRun { code: 127, .. }));
    let elsewhere = Job { dir: "/var/lib/nowhere".into(), ..job(&site, "true") };
    assert!(matches!(last(&start(&kept, &elsewhere).0), Report::Failed(_)));
    assert_eq!(run(&kept, &site, "echo .git/commondir > .git/commondir; true").0, Report::Code(0));
    assert!(!site.path(".git/commondir").exists());
}

#[test]
fn a_sandbox_that_cannot_be_made_is_an_error() {
    let site = Site::new();
    let mut policy = Policy::new(Mode::WorkspaceWrite, &site.home.project()).unwrap();
    policy.root = "/no/such/place".into();
    let fault = Kept::start(Path::new(PROGRAM), &policy).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "cannot set up the sandbox: taking `/no/such/place`: No such file or directory (os error 2)"
    );
}

#[test]
fn a_way_out_is_accepted_outside_and_is_the_only_one() {
    let site = Site::new();
    let mut policy = Policy::new(Mode::WorkspaceWrite, &site.home.project()).unwrap();
    policy.net = Net::Allow(vec!["example.com".into()]);
    let mut kept = Kept::start(Path::new(PROGRAM), &policy).unwrap();
    let way_out = kept.take_way_out().unwrap();
    let program = "perl -MSocket -e 'socket(my $c, PF_INET, SOCK_STREAM, 0); my ($h, $p) = $ENV{HTTPS_PROXY} =~ /^http:..([0-9.]+):([0-9]+)$/; \
                   connect($c, sockaddr_in($p, inet_aton($h))) or exit 4; print $c q(hello)'";
    assert_eq!(run(&kept, &site, program), (Report::Code(0), String::new()));
    // What was connected waits to be accepted.
    way_out.set_nonblocking(true).unwrap();
    let mut text = String::new();
    way_out.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn what_has_come_since_is_guarded_for_the_next_command() {
    let site = Site::new();
    let kept = kept(&site);
    let denied = |program: &str, said: &str| {
        let (report, text) = run(&kept, &site, &format!("{{ {program}; }} 2>&1"));
        assert!(report != Report::Code(0) && text.contains(said), "{program}: {report:?} {text}");
    };
    let made = run(&kept, &site, "mkdir -p a/b; git init -q a/b/new; git init -q .; echo there > /tmp/file");
    assert_eq!(made.0, Report::Code(0), "{}", made.1);
    denied("echo x >> a/b/new/.git/config", "Read-only");
    denied("echo x > a/b/new/.git/hooks/pre-commit", "Read-only");
    denied("mv a c", "busy");
    // What the user does outside meanwhile counts as well: a file that git puts in the place of another, too.
    std::fs::create_dir_all(site.path("x/.vscode")).unwrap();
    std::fs::write(site.path(".netrc"), "machine x password hidden").unwrap();
    std::fs::write(site.path(".git/config.lock"), "[core]\n\tbare = false\n").unwrap();
    std::fs::rename(site.path(".git/config.lock"), site.path(".git/config")).unwrap();
    denied("echo x > x/.vscode/settings.json", "Read-only");
    denied("cat .netrc", "denied");
    denied("echo x >> .git/config", "Read-only");
    // All else is as it was.
    assert_eq!(
        run(&kept, &site, "cat /tmp/file; echo x > a/b/new/made; git -C a/b/new add made"),
        (Report::Code(0), "there\n".into())
    );
}

#[test]
fn in_a_repository_that_a_command_made_nothing_runs_outside() {
    let site = Site::new();
    let kept = kept(&site);
    let program = "git init -q new; git -C new config core.fsmonitor 'touch mark; false'; git -C new config user.name Ada; \
                   echo x > new/.git/hooks/pre-commit";
    let (running, _reader) = start(&kept, &job(&site, program));
    let mut notes = Vec::new();
    while let Report::Note(note) = running.next().unwrap() {
        notes.push(note);
    }
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].contains("took `core.fsmonitor` out") && notes[1].contains("hooks.disarmed"),
        "{notes:?}"
    );
    let config = std::fs::read_to_string(site.path("new/.git/config")).unwrap();
    assert!(!config.contains("fsmonitor") && config.contains("Ada"), "{config}");
    assert!(
        site.path("new/.git/config.disarmed").exists() && !site.path("new/.git/hooks/pre-commit").exists()
    );
}

#[test]
fn what_one_command_made_and_another_armed_beside_it_is_disarmed() {
    let site = Site::new();
    let kept = kept(&site);
    let makes = "git init -q new; git -C new config core.fsmonitor true; echo ready; \
                 while [ ! -e begun ]; do sleep 0.02; done";
    let (one, mut first) = start(&kept, &job(&site, makes));
    first.read_exact(&mut [0; 6]).unwrap();
    let arms = "touch begun; while [ ! -e ended ]; do sleep 0.02; done; \
                printf '[core]\n\tfsmonitor = touch mark; false\n' >> new/.git/config; cat new/.git/config";
    let (two, mut second) = start(&kept, &job(&site, arms));
    assert_eq!(last(&one), Report::Code(0));
    std::fs::write(site.path("ended"), "").unwrap();
    let mut text = String::new();
    second.read_to_string(&mut text).unwrap();
    assert_eq!(last(&two), Report::Code(0));
    assert!(text.contains("touch mark"), "it was armed: {text}");
    let config = std::fs::read_to_string(site.path("new/.git/config")).unwrap();
    assert!(!config.contains("touch mark"), "{config}");
    let (report, text) = run(&kept, &site, "echo x >> new/.git/config");
    assert!(report != Report::Code(0), "it is known from here on, and guarded: {text}");
}

#[test]
fn a_deep_folder_cannot_be_moved_away_to_arm_another_in_its_place() {
    let site = Site::new();
    let kept = kept(&site);
    let deep = "d/".repeat(26);
    run(&kept, &site, &format!("mkdir -p {deep}"));
    let program = format!(
        "mv d x; mkdir -p {deep}; git init -q {deep}; git -C {deep} config core.fsmonitor 'touch mark; false'"
    );
    run(&kept, &site, &program);
    let config = std::fs::read_to_string(site.path(&format!("{deep}.git/config"))).unwrap_or_default();
    assert!(!config.contains("fsmonitor"), "{config}");
}

#[test]
fn a_command_that_is_ended_with_its_sandbox_leaves_nothing_armed() {
    let site = Site::new();
    let kept = kept(&site);
    let program =
        "git init -q new; git -C new config core.fsmonitor 'touch mark; false'; echo ready; exec sleep 600";
    let (_running, mut reader) = start(&kept, &job(&site, program));
    reader.read_exact(&mut [0; 6]).unwrap();
    drop(kept);
    let config = std::fs::read_to_string(site.path("new/.git/config")).unwrap();
    assert!(!config.contains("fsmonitor"), "{config}");
}

#[test]
fn what_a_command_made_deep_among_packages_is_disarmed_and_told_to_a_later_one() {
    let site = Site::new();
    let kept = kept(&site);
    let deep = "node_modules/a/b/c/d";
    let program = format!(
        "mkdir -p {deep}; git init -q {deep}; git -C {deep} config core.fsmonitor 'touch mark; false'"
    );
    run(&kept, &site, &program);
    let mut notes = Vec::new();
    for _ in 0..100 {
        let (running, _reader) = start(&kept, &job(&site, "true"));
        while let Report::Note(note) = running.next().unwrap() {
            notes.push(note);
        }
        if !notes.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        matches!(notes.as_slice(), [note] if note.contains(deep) && note.contains("core.fsmonitor")),
        "{notes:?}"
    );
    let program = format!("git -C {deep} config core.fsmonitor 'touch mark; false'");
    run(&kept, &site, &program);
    drop(kept);
    let config = std::fs::read_to_string(site.path(&format!("{deep}/.git/config"))).unwrap();
    assert!(!config.contains("fsmonitor"), "the end of the sandbox waits for it: {config}");
}

#[test]
fn a_sandbox_that_was_killed_is_known_to_be_gone() {
    let site = Site::new();
    let kept = kept(&site);
    let (running, mut reader) = start(&kept, &job(&site, "echo ready; exec sleep 600"));
    reader.read_exact(&mut [0; 6]).unwrap();
    assert!(!kept.is_gone());
    let holders = holders(std::process::id());
    assert!(!holders.is_empty());
    for pid in holders {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(last(&running), Report::Signal(9));
    assert!(kept.is_gone());
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0, "nothing of it is left");
}

/// The processes that hold the sandboxes of this process.
pub(crate) fn holders(of: u32) -> Vec<rustix::process::Pid> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let holds = all.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        line.ends_with(b"\0sandbox\0keep\0") && status.contains(&format!("\nPPid:\t{of}\n"))
    });
    holds
        .filter_map(|entry| rustix::process::Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}
