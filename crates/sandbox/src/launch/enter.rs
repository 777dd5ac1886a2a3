//! The last steps of the process that becomes the command: it gives up what it could still do, in an order in which
//! each step can still be taken, and becomes the program.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::BpfProgram;

use super::deep::Since;
use super::fault::{Doing, Fault};
use super::policy::Limits;
use super::sys::{self, Disposition};
use super::walk::Walk;
use super::wire::{Job, Report, report};

/// All that the last steps need, made before anything was forked.
pub(crate) struct Bounds {
    pub(crate) limits: Limits,
    /// Whether the number of processes has to be bounded for the user, since it cannot be for the namespace.
    pub(crate) limit_user: bool,
    /// None where the policy confines nothing.
    pub(crate) confines: Option<Confines>,
    /// What must not be there after the command ran.
    pub(crate) unwanted: Vec<PathBuf>,
    /// What was looked at before it ran, where it can change that: what it made is told from it.
    pub(crate) seen: Option<Walk>,
    /// When the sandbox began.
    pub(crate) since: Since,
}

/// What a command is held in by.
pub(crate) struct Confines {
    pub(crate) rules: Rules,
    pub(crate) filter: BpfProgram,
}

/// What Landlock lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Places that may be read, and programs in them run.
    pub(crate) readable: Vec<PathBuf>,
    /// Folders that may be listed, and no more.
    pub(crate) listable: Vec<PathBuf>,
    /// Places that may be written, too.
    pub(crate) writable: Vec<PathBuf>,
    /// Places whose files may be written, none made: `/proc`.
    pub(crate) files: Vec<PathBuf>,
    /// Whether no TCP or UDP may be used, as far as the kernel can tell; for when the network is the host's.
    pub(crate) no_network: bool,
}

/// How the command stands to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// It stays where the launcher is: what is typed goes to both.
    Share,
    /// It has none.
    Leave,
    /// It is in the session of one that process 1 leads, which is on its descriptors.
    Own,
}

/// Becomes the command. Returns what went wrong.
pub(crate) fn become_command(job: &Job, bounds: &Bounds, terminal: Terminal, status: &OwnedFd) -> i32 {
    if let Err(fault) = confine(job, bounds, terminal) {
        // If nobody is there to hear it, nobody is there at all.
        let _ = report(status, &Report::Failed(fault));
        return 125;
    }
    let Some((program, arguments)) = job.argv.split_first() else { return 125 };
    // `exec` looks the program up in the `PATH` of the command, not in ours.
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(job.env.iter().map(|(name, value)| (name, value)))
        .exec();
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    let _ = report(status, &Report::NotRun { code, cause: error.to_string() });
    code
}

fn confine(job: &Job, bounds: &Bounds, terminal: Terminal) -> Result<(), Fault> {
    match terminal {
        Terminal::Share => {}
        Terminal::Leave => drop(rustix::process::setsid().doing(|| "leaving the terminal")?),
        Terminal::Own => come_to_the_front().doing(|| "taking the terminal")?,
    }
    rustix::process::chdir(&job.dir).map_err(|errno| {
        Fault::of(format!("going to `{}`", job.dir.display()), errno)
            .with_cure("the folder has to be in the workspace, or granted by `--readable` or `--writable`")
    })?;
    limit(bounds)?;
    sys::close_on_exec(3).doing(|| "closing descriptors")?;
    let Some(confines) = &bounds.confines else { return Ok(()) };
    sys::leave_keyring().doing(|| "leaving your keyring")?;
    drop_capabilities()?;
    rustix::thread::set_no_new_privs(true).doing(|| "giving up new rights")?;
    restrict(&confines.rules)?;
    seccompiler::apply_filter(&confines.filter)
        .map_err(|error| Fault::new("installing the list of denied system calls", error.to_string()))
}

/// Makes this process a group of its own, and that the one that what is typed is for.
fn come_to_the_front() -> Result<(), rustix::io::Errno> {
    rustix::process::setpgid(None, None)?;
    // Until it is, it may not say so.
    sys::set_disposition(libc::SIGTTOU, Disposition::Ignore);
    let done = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    sys::set_disposition(libc::SIGTTOU, Disposition::Default);
    done
}

fn limit(bounds: &Bounds) -> Result<(), Fault> {
    let limits = &bounds.limits;
    let users = bounds.limit_user.then_some(u64::from(limits.processes));
    let all = [
        (Resource::Core, Some(0), "core dumps"),
        // Address space alone says little: some programs reserve terabytes and use none of it.
        (Resource::Data, limits.memory, "memory"),
        (Resource::Fsize, limits.file, "the size of files"),
        (Resource::Nproc, users, "the number of processes"),
    ];
    for (resource, most, what) in all {
        let Some(most) = most else { continue };
        let before = rustix::process::getrlimit(resource);
        let most = before.maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .doing(|| format!("limiting {what}"))?;
    }
    Ok(())
}

fn drop_capabilities() -> Result<(), Fault> {
    let doing = || "dropping capabilities";
    rustix::thread::clear_ambient_capability_set().doing(doing)?;
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // The kernel knows no more of them.
            Err(rustix::io::Errno::INVAL) => break,
            // Without a namespace of one's own there may be none to drop, and no right to drop them: `no_new_privs`
            // keeps an `exec` from gaining any.
            Err(rustix::io::Errno::PERM) => break,
            Err(errno) => return Err(Fault::of(doing(), errno)),
        }
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )
    .doing(doing)
}

fn restrict(rules: &Rules) -> Result<(), Fault> {
    let wrong = |error: &dyn std::error::Error| {
        Fault::new("restricting what may be opened (Landlock)", error.to_string())
    };
    let abi = ABI::V10;
    let read = AccessFs::from_read(abi) | AccessFs::ResolveUnix;
    let all = AccessFs::from_all(abi);
    let files = read | AccessFs::WriteFile | AccessFs::Truncate;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .map_err(|error| wrong(&error))?;
    if rules.no_network {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi)).map_err(|error| wrong(&error))?;
    }
    let mut created = ruleset.create().map_err(|error| wrong(&error))?;
    let all_rules = [
        (&rules.readable, read),
        (&rules.listable, AccessFs::ReadDir.into()),
        (&rules.writable, all),
        (&rules.files, files),
    ];
    for (paths, access) in all_rules {
        for path in paths {
            let fd = match PathFd::new(path) {
                Ok(fd) => fd,
                // What is not there needs no rule.
                Err(PathFdError::OpenCall { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    continue;
                }
                Err(error) => return Err(wrong(&error)),
            };
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
            created = created.add_rule(PathBeneath::new(fd, access)).map_err(|error| wrong(&error))?;
        }
    }
    let status = created.restrict_self().map_err(|error| wrong(&error))?;
    // In a new root Landlock is a second wall, and a kernel without it is none to refuse.
    if status.ruleset == RulesetStatus::NotEnforced && (rules.no_network || sys::landlock_abi() > 0) {
        return Err(Fault::new("restricting what may be opened (Landlock)", "the kernel did not take it"));
    }
    Ok(())
}
