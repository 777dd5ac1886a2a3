//! How strongly a sandbox can be enforced here, and what the weaker way lacks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::enter::Rules;
use super::fault::Fault;
use super::layout::{Access, Layout, Place};
use super::policy::{Mode, Net, Policy, Tier};
use super::sys::landlock_abi;

/// What tier `landlock` does not do, and from which version of Landlock on it does.
const GAPS: &[(Option<u32>, &str)] = &[
    (None, "hooks and settings of repositories, agents and editors in the workspace can be changed"),
    (None, "secrets in the workspace can be read, and sockets in it connected to"),
    (None, "other processes are visible in `/proc`, and System V IPC is shared"),
    (None, "times, modes and attributes of files that can be read can be changed"),
    (None, "the number of processes of the user `root` is not bounded"),
    (None, "there is no network at all, not even loopback inside; `--net allow:` is refused"),
    (None, "`/tmp` cannot be used; `TMPDIR` names a private folder"),
    (None, "package caches are read-only"),
    (Some(2), "files cannot be moved from one folder to another"),
    (Some(3), "files that can be read can be cut off"),
    (Some(5), "devices that can be read can be controlled"),
    (Some(6), "signals reach your other processes, and abstract sockets your other programs"),
    (Some(9), "sockets that your programs listen on in the file system can be connected to"),
];

/// What tier `landlock` lacks on this machine.
#[must_use]
pub fn gaps() -> Vec<&'static str> {
    gaps_of(landlock_abi())
}

fn gaps_of(abi: u32) -> Vec<&'static str> {
    GAPS.iter()
        .filter(|(closed_by, _)| closed_by.is_none_or(|closed_by| abi < closed_by))
        .map(|(_, gap)| *gap)
        .collect()
}

/// How a sandbox is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Namespaces,
    Landlock,
    /// Not at all, since the policy says so.
    Unconfined,
}

/// The way for a policy. Whether namespaces can be made is only known when they are.
pub(crate) fn choose(policy: &Policy) -> Result<Way, Fault> {
    if policy.mode == Mode::Unconfined {
        return Ok(Way::Unconfined);
    }
    if policy.tier != Some(Tier::Landlock) {
        return Ok(Way::Namespaces);
    }
    if landlock_abi() == 0 {
        return Err(Fault::new("using tier `landlock`", "this kernel has no Landlock, or it is turned off")
            .with_cure(
                "boot with `lsm=landlock,…`, or make user namespaces available: `codetether sandbox doctor`",
            ));
    }
    if policy.net != Net::Off {
        return Err(Fault::new("using tier `landlock`", "it has no way out to some hosts alone")
            .with_cure("leave `--net` out, or make user namespaces available: `codetether sandbox doctor`"));
    }
    Ok(Way::Landlock)
}

/// The rules for when Landlock is all there is. `private` is the folder for what is private.
pub(crate) fn rules(layout: &Layout, private: &Path) -> Rules {
    let masked: BTreeSet<&Path> = layout
        .spots
        .iter()
        .filter(|(_, spot)| matches!(spot.place, Place::Masked { .. }))
        .map(|(path, _)| path.as_path())
        .collect();
    let mut rules = Rules {
        readable: Vec::new(),
        listable: Vec::new(),
        writable: vec![private.to_owned()],
        files: vec![PathBuf::from("/proc")],
        no_network: true,
    };
    for device in ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts"] {
        rules.files.push(Path::new("/dev").join(device));
    }
    for (path, spot) in &layout.spots {
        match spot.place {
            Place::Host(Access::Write) => rules.writable.push(path.clone()),
            Place::Host(Access::Read) => without(path, &masked, &mut rules),
            _ => {}
        }
    }
    rules
}

/// Lets a place be read, but for what is masked in it: Landlock only ever adds.
fn without(path: &Path, masked: &BTreeSet<&Path>, rules: &mut Rules) {
    if masked.contains(path) {
        return;
    }
    if !masked.iter().any(|mask| mask.starts_with(path)) {
        rules.readable.push(path.to_owned());
        return;
    }
    rules.listable.push(path.to_owned());
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        without(&entry.path(), masked, rules);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    #[test]
    fn a_newer_kernel_has_fewer_gaps() {
        let counts: Vec<_> = (0..=10).map(|abi| gaps_of(abi).len()).collect();
        assert!(counts.is_sorted_by(|older, newer| older >= newer), "{counts:?}");
        assert_eq!(counts[0] - counts[10], 5);
    }

    #[test]
    fn what_is_masked_is_left_out_of_what_is_granted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "sub/secret", "sub/open"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut layout = Layout::default();
        let spot = |place| super::super::layout::Spot { place, why: String::new() };
        layout.spots.insert(dir.path().into(), spot(Place::Host(Access::Read)));
        layout.spots.insert(dir.path().join("sub/secret"), spot(Place::Masked { folder: false }));
        let mut got = rules(&layout, Path::new("/private"));
        got.readable.sort();
        assert_eq!(got.readable, ["a", "b", "sub/open"].map(|name| dir.path().join(name)));
        assert_eq!(got.listable, [dir.path().to_owned(), dir.path().join("sub")]);
    }
}
