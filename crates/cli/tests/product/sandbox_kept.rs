//! A kept sandbox: its root stays, and each command has its own processes.

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
