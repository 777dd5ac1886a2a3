//! What this machine offers to a sandbox, and what to do where that is not enough. Looks, and changes nothing.

use std::path::Path;

use super::policy::Tier;
use super::sys::{has_rights_in, landlock_abi};
use super::tier::gaps;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub well: bool,
    /// What it is.
    pub text: String,
    /// What to do.
    pub cure: Option<String>,
}

impl Finding {
    fn well(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, well: true, text: text.into(), cure: None }
    }

    fn ill(name: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, well: false, text: text.into(), cure: Some(cure.into()) }
    }
}

/// The newest version of Landlock that is made use of.
const LANDLOCK: u32 = 10;

/// The namespaces that others depend on, and that are forbidden where any are; they cost half a millisecond to try.
const TELLING: libc::c_int = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID;

/// The strongest tier that this machine has, tried by starting a process in namespaces; none where it has not even
/// Landlock. That a sandbox is made in the end is only known when it is.
#[must_use]
pub fn strongest() -> Option<Tier> {
    if has_rights_in(TELLING) {
        return Some(Tier::Namespaces);
    }
    (landlock_abi() > 0).then_some(Tier::Landlock)
}

/// Looks at the machine. `program` is this program, which a profile has to name; `attempt` makes a sandbox, runs `true`
/// in it, and tells what went wrong.
pub fn machine(program: &Path, attempt: impl FnOnce() -> Result<(), String>) -> Vec<Finding> {
    let is_root = rustix::process::geteuid().is_root();
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    vec![
        Finding::well("kernel", format!("Linux {release}")),
        namespaces(attempt, &forbidden(is_root, program)),
        landlock(landlock_abi()),
        seccomp(),
        layers(),
        bounds(is_root),
        cgroups(),
    ]
}

/// What is known to forbid user namespaces here.
fn forbidden(is_root: bool, program: &Path) -> Vec<String> {
    let value = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let mut found = Vec::new();
    if value("/proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
        found.push("`sysctl user.max_user_namespaces` is 0: set it to 10000".to_owned());
    }
    if !is_root && value("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        found.push("`sysctl kernel.unprivileged_userns_clone` is 0: set it to 1".to_owned());
    }
    if !is_root && value("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        found.push(format!(
            "AppArmor restricts user namespaces: as root, write this to `/etc/apparmor.d/codetether`, then run \
             `apparmor_parser -r /etc/apparmor.d/codetether`:\n{}",
            profile(program)
        ));
    }
    if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        found.push(
            "this is a container: start it with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
                .to_owned(),
        );
    }
    found
}

/// A profile for AppArmor that lets one program make user namespaces, and restricts nothing.
fn profile(program: &Path) -> String {
    format!(
        "abi <abi/4.0>,\ninclude <tunables/global>\n\nprofile codetether \"{}\" flags=(unconfined) {{\n  userns,\n}}\n",
        program.display()
    )
}

fn namespaces(attempt: impl FnOnce() -> Result<(), String>, forbidden: &[String]) -> Finding {
    match attempt() {
        Ok(()) => {
            Finding::well("namespaces", "a sandbox of tier `namespaces` was made, and `true` ran in it")
        }
        Err(cause) => {
            let cure = if forbidden.is_empty() {
                "ask whoever runs this machine to allow user namespaces; `--tier landlock` does without, with gaps".into()
            } else {
                forbidden.join("; ")
            };
            Finding::ill("namespaces", cause, cure)
        }
    }
}

fn landlock(abi: u32) -> Finding {
    let gaps = gaps().join("; ");
    match abi {
        0 => Finding::ill(
            "landlock",
            "this kernel has none, or it is turned off",
            "boot with `landlock` in `lsm=`; Linux has it since 5.13",
        ),
        abi if abi < LANDLOCK => Finding::well(
            "landlock",
            format!(
                "version {abi} (the newest that is made use of is {LANDLOCK}); gaps of tier `landlock`: {gaps}"
            ),
        ),
        abi => Finding::well("landlock", format!("version {abi}; gaps of tier `landlock`: {gaps}")),
    }
}

fn seccomp() -> Finding {
    match std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(actions) if actions.contains("errno") => Finding::well("seccomp", "filters can be installed"),
        _ => Finding::ill(
            "seccomp",
            "filters cannot be installed",
            "use a kernel with `CONFIG_SECCOMP_FILTER`",
        ),
    }
}

fn layers() -> Finding {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known.lines().any(|line| line.trim().ends_with("overlay")) {
        return Finding::well("layers", "package caches are read-only below a layer of each workspace's own");
    }
    Finding::ill(
        "layers",
        "package caches are read-only: there is no overlayfs",
        "load it: `modprobe overlay`",
    )
}

fn bounds(is_root: bool) -> Finding {
    if super::namespace_bounds_processes() {
        return Finding::well("processes", "bounded for each command (Linux 6.14)");
    }
    if is_root {
        return Finding::ill(
            "processes",
            "not bounded for the user `root`",
            "use Linux 6.14 or newer, or another user",
        );
    }
    Finding::well("processes", "bounded for each sandbox")
}

fn cgroups() -> Finding {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let text = match path {
        Some(path) => format!("version 2, at `{path}`; not needed: memory is bounded for each process"),
        None => "no version 2; not needed: memory is bounded for each process".to_owned(),
    };
    Finding::well("cgroups", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_told_with_what_forbids_it() {
        let finding = namespaces(|| Err("no".into()), &["set it to 1".into()]);
        assert_eq!(finding, Finding::ill("namespaces", "no", "set it to 1"));
    }

    #[test]
    fn namespaces_are_tried_and_not_guessed() {
        assert_eq!(strongest(), Some(Tier::Namespaces));
        // A kernel that is asked for what there is no such thing as.
        assert!(!has_rights_in(libc::CLONE_NEWUSER | libc::CLONE_FS));
    }

    #[test]
    fn the_profile_names_the_program() {
        assert!(
            profile(Path::new("/opt/codetether"))
                .contains("profile codetether \"/opt/codetether\" flags=(unconfined)")
        );
    }
}
