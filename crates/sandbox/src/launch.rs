//! The sandbox of a command: what it can see, write, reach and use up is decided by a [`Policy`] and enforced by the
//! kernel. Plans are made before anything is forked, and are pure; what cannot be set up runs nothing.
//!
//! Three processes: the launcher stays outside and passes signals on; process 1 inside makes the new root, then
//! supervises; the command is its child. A kept sandbox has one more between them, which holds the namespaces and
//! starts a process 1 for each command.

mod again;
mod audit;
mod build;
mod caches;
mod deep;
mod disarm;
mod enter;
mod explain;
mod fault;
mod filter;
mod folder;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gitsettings;
mod host;
mod init;
mod inside;
mod kept;
mod layout;
mod policy;
mod probe;
mod repository;
mod secrets;
mod survey;
mod sweep;
pub(crate) mod sys;
mod telltale;
mod tier;
mod vars;
mod walk;
mod wire;

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};

pub use audit::{Audit, Entry};
pub use explain::{Answer, Words, explain_host, summary};
pub use fault::Fault;
pub use gitsettings::excludes_file;
pub use host::Host;
pub use kept::{Kept, Running, keep};
pub use policy::{Grant, Limits, Mode, Net, Policy, PolicyError, Tier};
pub use probe::{Finding, machine, strongest};
pub use telltale::{Denial, Ran, denials};
pub use tier::gaps;
pub use wire::{Job, Report};

use again::{Beside, News};
use build::Stay;
use caches::Purpose;
use deep::Since;
use enter::{Bounds, Confines, Rules, Terminal};
use fault::Doing as _;
use filter::Sockets;
use host::Private;
use layout::{Layout, Place};
use repository::Wanted;
use survey::{Pin, Survey};
use sys::Side;
use tier::Way;

/// All namespaces that a sandbox has of its own.
const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Signals that the launcher passes on to the command.
const PASSED_ON: &[libc::c_int] =
    &[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// The lowest number that a process namespace reuses: below are those that the kernel keeps for its start.
const RESERVED: u32 = 300;

/// A sandbox that is planned and not yet made.
pub struct Plan {
    way: Way,
    host: Host,
    layout: Layout,
    bounds: Bounds,
    environment: Vec<(OsString, OsString)>,
    processes: Option<u32>,
    time: Option<Duration>,
    /// Whether a way leads out, through whoever accepts connections for the sandbox.
    way_out: bool,
    notes: Vec<String>,
    wanted: Vec<Wanted>,
    /// Held for as long as the plan lives.
    slot: Option<caches::Slot>,
    _private: Option<Private>,
}

/// How a command ended, and what people should hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub report: Report,
    /// What happened beside.
    pub notes: Vec<String>,
}

impl Plan {
    /// Looks at the machine and plans.
    ///
    /// # Errors
    /// When what is needed cannot be planned.
    pub fn new(policy: &Policy, host: &Host) -> Result<Self, Fault> {
        Self::made_for(policy, host, Purpose::Run)
    }

    /// The same, to be explained and not run.
    ///
    /// # Errors
    /// When what is needed cannot be planned.
    pub fn to_explain(policy: &Policy, host: &Host) -> Result<Self, Fault> {
        Self::made_for(policy, host, Purpose::Look)
    }

    fn made_for(policy: &Policy, host: &Host, purpose: Purpose) -> Result<Self, Fault> {
        let way = tier::choose(policy)?;
        if way == Way::Unconfined {
            return Ok(Self::unconfined(policy, host));
        }
        let namespaces = way == Way::Namespaces;
        let mut slot = None;
        let mut survey = Survey::take(policy, host, |survey| {
            if namespaces && !walk::is_too_large(survey) {
                slot = caches::layer(policy, host, survey, purpose);
            }
        });
        if walk::is_too_large(&survey) {
            return Err(Fault::new(
                "looking for repositories in the workspace",
                "it has so many files that most of them were not looked at",
            )
            .with_cure("start in a smaller folder, or use `--mode read-only`"));
        }
        let private = if namespaces { None } else { Some(Private::new()?) };
        let layout = Layout::of(policy, &survey);
        let (rules, sockets) = match &private {
            None => (
                Rules {
                    readable: vec![PathBuf::from("/")],
                    listable: Vec::new(),
                    writable: layout.writable().into_iter().map(Path::to_owned).collect(),
                    files: vec![PathBuf::from("/proc")],
                    no_network: false,
                },
                Sockets::OwnNetwork,
            ),
            Some(private) => {
                let gaps = tier::gaps().join("; ");
                survey.notes.push(format!("tier `landlock` has gaps: {gaps}"));
                (tier::rules(&layout, private.path()), Sockets::UnixOnly)
            }
        };
        let own_bound = namespaces && namespace_bounds_processes();
        let (home, temp) = private.as_ref().map_or_else(
            || (host.home.clone(), PathBuf::from("/tmp")),
            |private| (private.home(), private.path().to_owned()),
        );
        let (wanted, unwanted) =
            if policy.writes() { (survey.wanted, survey.unwanted) } else { (Vec::new(), Vec::new()) };
        Ok(Self {
            way,
            host: host.clone(),
            layout,
            bounds: Bounds {
                limits: policy.limits,
                limit_user: !own_bound,
                confines: Some(Confines { rules, filter: filter::program(sockets)? }),
                unwanted,
                seen: policy.writes().then_some(survey.walk),
                since: Since::now(),
            },
            environment: vars::environment(policy, host, &home, &temp),
            processes: own_bound.then(|| policy.limits.processes.saturating_add(RESERVED)),
            time: policy.limits.millis.map(Duration::from_millis),
            way_out: policy.net != Net::Off,
            notes: survey.notes,
            wanted,
            slot,
            _private: private,
        })
    }

    /// Everything as it is outside, within the bounds that can be set anyway.
    fn unconfined(policy: &Policy, host: &Host) -> Self {
        Self {
            way: Way::Unconfined,
            host: host.clone(),
            layout: Layout::default(),
            bounds: Bounds {
                limits: policy.limits,
                limit_user: false,
                confines: None,
                unwanted: Vec::new(),
                seen: None,
                since: Since::now(),
            },
            environment: host.vars.clone().into_iter().collect(),
            processes: None,
            time: policy.limits.millis.map(Duration::from_millis),
            way_out: false,
            notes: Vec::new(),
            wanted: Vec::new(),
            slot: None,
            _private: None,
        }
    }

    /// What does less than it should, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// By what it is enforced; none where it is not.
    #[must_use]
    pub fn tier(&self) -> Option<Tier> {
        match self.way {
            Way::Namespaces => Some(Tier::Namespaces),
            Way::Landlock => Some(Tier::Landlock),
            Way::Unconfined => None,
        }
    }

    /// Runs one command in a sandbox of its own, with the descriptors of this process. This process must have one
    /// thread, and no handlers for the signals that it is to pass on. `proxy` gets what connections to the way out come
    /// in by, if the policy has one, before the command starts; by then this process may start threads.
    ///
    /// # Errors
    /// When the sandbox cannot be set up; then nothing ran.
    pub fn run(&self, argv: Vec<OsString>, dir: &Path, proxy: Option<Proxy<'_>>) -> Result<Outcome, Fault> {
        if self.way_out && proxy.is_none() {
            return Err(Fault::new("opening a way out", "nobody is there to lead it"));
        }
        let mut notes = self.prepare()?;
        let job = Job {
            argv,
            env: self.environment.clone(),
            dir: dir.to_owned(),
            time: self.time,
            terminal: false,
        };
        let terminal = if init::any_terminal() { Terminal::Share } else { Terminal::Leave };
        sys::close_on_exec(3).doing(|| "closing descriptors")?;
        let signals = sys::catch_signals(PASSED_ON).doing(|| "watching for signals")?;
        let (near, far) = wire::pair().doing(|| "making a pair of sockets")?;
        let inside = match self.fork()? {
            Side::Child => {
                drop(near);
                std::process::exit(self.inside(&job, terminal, &far));
            }
            Side::Parent(pid) => pid,
        };
        drop(far);
        // Nothing inside can look at this process; nothing else that the user runs should.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let last = follow(&near, &signals, terminal, &mut notes, proxy);
        drop(near);
        wait_for(inside);
        notes.extend(self.disarm_layers());
        Ok(Outcome { report: last?, notes })
    }

    /// Puts the repositories in order. Gives what people should hear of it.
    fn prepare(&self) -> Result<Vec<String>, Fault> {
        let notes = sweep::clear(&self.bounds.unwanted);
        sweep::prepare(&self.wanted)?;
        Ok(notes)
    }

    /// Sets aside what could run something in repositories that were made in layers of package caches; outside, when all
    /// inside has ended. Gives what people should hear.
    fn disarm_layers(&self) -> Vec<String> {
        let layers = self.layout.spots.values().filter_map(|spot| match &spot.place {
            Place::Layered(layers) => Some(layers.upper.clone()),
            _ => None,
        });
        let layers: Vec<PathBuf> = layers.collect();
        if layers.is_empty() { Vec::new() } else { deep::disarm_below(&layers, self.bounds.since) }
    }

    /// Guards what has come into the workspace since the root was made, and since the last time; as process 1 in that
    /// root. Commands that run already have mounts of their own, and go on as they were.
    fn guard_again(&mut self, beside: Beside) -> Result<(), Fault> {
        let Some(seen) = &mut self.bounds.seen else { return Ok(()) };
        let News { mut pins, masks, wanted, unwanted } = seen.again(beside)?;
        for want in &wanted {
            if sweep::prepare(std::slice::from_ref(want)).is_err() {
                // What cannot be made cannot be made by the command either, when what it would be in stays as it is.
                let above = want.path().ancestors().skip(1).find(|above| above.symlink_metadata().is_ok());
                pins.extend(above.map(|above| Pin::frozen(above, "a repository that could not be guarded")));
            }
        }
        if self.way == Way::Namespaces {
            build::guard_more(&pins, &masks)?;
        }
        self.bounds.unwanted = unwanted;
        Ok(())
    }

    /// The process that supervises, in new namespaces where there are any.
    fn fork(&self) -> Result<Side, Fault> {
        match self.way {
            Way::Namespaces => {
                let side = sys::fork(NAMESPACES).map_err(Fault::namespaces)?;
                // While the root is made inside, on another processor.
                if let (Side::Parent(_), Some(slot)) = (&side, &self.slot) {
                    slot.tidy();
                }
                Ok(side)
            }
            Way::Landlock | Way::Unconfined => sys::fork(0).doing(|| "starting a process"),
        }
    }

    /// As that process.
    fn inside(&self, job: &Job, terminal: Terminal, status: &OwnedFd) -> i32 {
        match self.set_up(status, Stay::OneCommand) {
            Ok(()) => init::run(job, &self.bounds, terminal, status, None),
            Err(fault) => {
                // If nobody is there to hear it, nobody is there at all.
                let _ = wire::report(status, &Report::Failed(fault));
                125
            }
        }
    }

    /// Makes the new root, where there is one, and the inner end of the way out.
    fn set_up(&self, status: impl AsFd, stay: Stay) -> Result<(), Fault> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .doing(|| "tying the sandbox to its launcher")?;
        match self.way {
            Way::Namespaces => {
                build::map_users(self.host.user, self.host.group)?;
                for note in build::new_root(&self.layout, self.processes, stay)? {
                    wire::report(&status, &Report::Note(note)).doing(|| "reporting")?;
                }
                if self.way_out { open_way_out(status) } else { Ok(()) }
            }
            // What the command leaves behind becomes a child of this process, which ends it.
            Way::Landlock => rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
                .doing(|| "taking over what the command leaves behind"),
            Way::Unconfined => Ok(()),
        }
    }
}

/// Takes what connections come in by.
pub type Proxy<'a> = Box<dyn FnOnce(TcpListener) + 'a>;

/// Makes a socket in the sandbox's network that the outside accepts connections from: no process inside forwards.
fn open_way_out(status: impl AsFd) -> Result<(), Fault> {
    let doing = || format!("listening on port {} of the sandbox's loopback", vars::PROXY_PORT);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, vars::PROXY_PORT)).doing(doing)?;
    let report =
        serde_json::to_vec(&Report::WayOut).map_err(|error| Fault::new(doing(), error.to_string()))?;
    wire::send(status, &report, &[listener.as_fd()]).doing(doing)
}

/// Waits for the command's end, passing signals on to it.
fn follow(
    status: &OwnedFd,
    signals: &OwnedFd,
    terminal: Terminal,
    notes: &mut Vec<String>,
    mut proxy: Option<Proxy<'_>>,
) -> Result<Report, Fault> {
    loop {
        let mut fds = [PollFd::new(status, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Fault::of("waiting for the command", errno)),
        }
        while let Some(caught) = sys::next_signal(signals).doing(|| "waiting for the command")? {
            // What the kernel sends to all at a terminal has reached the command by itself.
            let reached = terminal == Terminal::Share && caught.by_kernel;
            if let (false, Ok(signal)) = (reached, u8::try_from(caught.signal)) {
                // It may have just ended.
                let _ = rustix::net::send(status, &[signal], rustix::net::SendFlags::NOSIGNAL);
            }
        }
        if fds[0].revents().is_empty() {
            continue;
        }
        return match wire::next_report(status).doing(|| "waiting for the command")? {
            Some((Report::Failed(fault), _)) => Err(fault),
            Some((Report::Ready | Report::Terminal, _)) => continue,
            Some((Report::WayOut, mut listener)) => {
                if let (Some(listener), Some(proxy)) = (listener.pop(), proxy.take()) {
                    proxy(listener.into());
                }
                continue;
            }
            Some((Report::Note(note), _)) => {
                notes.push(note);
                continue;
            }
            Some((report, _)) => Ok(report),
            None => Ok(Report::Signal(libc::SIGKILL)),
        };
    }
}

fn wait_for(pid: Pid) {
    while let Err(Errno::INTR) = rustix::process::waitpid(Some(pid), WaitOptions::empty()) {}
}

/// Whether the number of processes is a bound of each process namespace: since Linux 6.14. Before, it is the machine's,
/// which nobody may touch from here.
fn namespace_bounds_processes() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0_u32), numbers.next().unwrap_or(0_u32)) >= (6, 14)
}
