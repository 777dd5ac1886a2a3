//! The flags that say what a command may do, and the policy that they make.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use codetether_agent::Confine;
use codetether_config::{Bypass, LayerName, Names, SandboxLayer, SandboxTier, Seconds, Settings, Size};
use codetether_event::Confinement;
use codetether_sandbox::{Mode, Net, Policy, PolicyError, Tier};

use super::way_out;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// What may be written: nothing (`read-only`), the workspace (`workspace-write`, the default), or all that you may
    /// (`unconfined`: no sandbox).
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,

    /// Let this place be written, too.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    writable: Vec<PathBuf>,

    /// Let this place be read, too.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    readable: Vec<PathBuf>,

    /// Which way leads out: none (`off`), or a proxy to these hosts (`allow:HOST,…`).
    #[arg(long, value_name = "off|allow:HOST,…", value_parser = net, default_value = "off")]
    net: Net,

    /// Pass this variable on, whatever is in it.
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,

    /// Most private memory of one process, such as `512M` or `8G`; `none` for no bound [default: 4G].
    #[arg(long, value_name = "SIZE")]
    mem: Option<Size>,

    /// Most processes and threads at a time [default: 512, and 32 for each processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pids: Option<u32>,

    /// Longest run, such as `90` (seconds) or `10m`.
    #[arg(long, value_name = "TIME")]
    time: Option<Seconds>,

    /// Largest file that may be written, such as `1G`.
    #[arg(long, value_name = "SIZE")]
    fsize: Option<Size>,

    /// How it is enforced: `namespaces`, or with gaps by `landlock` alone, or as well as this machine can (`auto`).
    #[arg(long, value_name = "TIER", value_parser = tier, default_value = "auto")]
    tier: Choice,
}

/// Most processes that the kernel can number.
const MOST_PROCESSES: u32 = 4_000_000;

/// A tier, or the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice(Option<Tier>);

impl PolicyArgs {
    /// The policy for a workspace.
    pub(crate) fn policy(&self, root: &Path) -> Result<Policy, PolicyError> {
        let given = [
            ("--writable", !self.writable.is_empty()),
            ("--readable", !self.readable.is_empty()),
            ("--net allow:", self.net != Net::Off),
            ("--env", !self.env.is_empty()),
            ("--pids", self.pids.is_some()),
            ("--tier", self.tier.0.is_some()),
        ];
        let mode = self.mode.unwrap_or(Mode::WorkspaceWrite);
        if mode == Mode::Unconfined
            && let Some((flag, _)) = given.iter().find(|(_, given)| *given)
        {
            return Err(PolicyError::NoEffect(flag));
        }
        let mut policy = Policy::new(mode, root)?;
        self.lay_over(&mut policy)?;
        Ok(policy)
    }

    /// The policy of what the agent runs with these settings, confined so, and these flags over them. An error says what
    /// is wrong with either.
    pub(crate) fn policy_of_agent(
        &self,
        settings: &Settings,
        root: &Path,
        confinement: Confinement,
    ) -> Result<Policy, String> {
        let flags_alone = || self.policy(root).map_err(|error| error.to_string());
        if self.mode == Some(Mode::Unconfined) {
            return flags_alone();
        }
        let Some(Confine { writing, reading, .. }) = confine(settings, root, confinement)? else {
            return flags_alone();
        };
        let reads = match self.mode {
            Some(mode) => mode == Mode::ReadOnly,
            None => settings.mode(confinement) == codetether_event::Mode::Plan,
        };
        let mut policy = if reads { reading } else { writing };
        self.lay_over(&mut policy).map_err(|error| error.to_string())?;
        Ok(policy)
    }

    fn lay_over(&self, policy: &mut Policy) -> Result<(), PolicyError> {
        for path in &self.writable {
            policy.grant_write(path, "--writable")?;
        }
        for path in &self.readable {
            policy.grant_read(path, "--readable")?;
        }
        for name in &self.env {
            policy.pass(name)?;
        }
        if self.net != Net::Off {
            policy.net = self.net.clone();
        }
        policy.tier = self.tier.0.or(policy.tier);
        let limits = &mut policy.limits;
        limits.memory = self.mem.map_or(limits.memory, |size| size.0);
        limits.processes = self.pids.unwrap_or(limits.processes);
        limits.millis = self.time.map(Seconds::millis).or(limits.millis);
        limits.file = self.fsize.map_or(limits.file, |size| size.0);
        Ok(())
    }
}

/// How what the agent runs is confined, by the settings and by what this machine has.
pub(crate) fn confinement(settings: &Settings) -> Result<Confinement, Failure> {
    let bypass = settings.sandbox.bypass.unwrap_or_default();
    if bypass == Bypass::Unconfined
        && settings.mode(Confinement::Namespaces) == codetether_event::Mode::Bypass
    {
        return Ok(Confinement::None);
    }
    match settings.sandbox.tier.unwrap_or_default() {
        SandboxTier::None => Ok(Confinement::None),
        SandboxTier::Landlock => Ok(Confinement::Landlock),
        SandboxTier::Namespaces => Ok(Confinement::Namespaces),
        SandboxTier::Auto => match codetether_sandbox::strongest() {
            Some(Tier::Namespaces) => Ok(Confinement::Namespaces),
            Some(Tier::Landlock) => Ok(Confinement::Landlock),
            None => Err(Failure::with_help(
                Exit::Failed,
                "this machine has nothing to confine commands with: neither user namespaces nor Landlock",
                "`codetether sandbox doctor` says what to do; `--no-sandbox` lets commands run with your own rights",
            )),
        },
    }
}

/// What people should hear of it; nothing where commands are confined as well as can be.
pub(crate) fn caveat(confinement: Confinement) -> Option<&'static str> {
    match confinement {
        Confinement::Namespaces => None,
        Confinement::Landlock => Some(
            "note: commands are confined by Landlock alone here, which leaves gaps, so they are asked about: `codetether \
             sandbox doctor` lists them, and says what is in the way of namespaces",
        ),
        Confinement::None => Some("note: no sandbox: what you allow runs with your own rights"),
    }
}

/// The key of the hosts.
pub(super) const NET: [&str; 2] = ["sandbox", "net"];

const NO_WAY_OUT: &str = "`sandbox.net` needs tier `namespaces`, since `landlock`, the tier here, has no way out to some hosts \
                          alone; unset it, or see `codetether sandbox doctor`";

/// Whether a setting is the machine's: one of the user's own would take its place.
fn is_of_machine(settings: &Settings, path: [&str; 2]) -> bool {
    let entries = settings.entries();
    let entry = entries.iter().find(|entry| entry.path == path);
    entry.is_some_and(|entry| entry.origins.iter().any(|origin| origin.layer == LayerName::System))
}

/// How the settings confine what the agent runs; nothing where it is not confined.
pub(crate) fn confine(
    settings: &Settings,
    root: &Path,
    confinement: Confinement,
) -> Result<Option<Confine>, String> {
    let SandboxLayer { writable, readable, env, net, memory, processes, file_size, .. } = &settings.sandbox;
    let tier = match confinement {
        Confinement::None => return Ok(None),
        Confinement::Landlock => Tier::Landlock,
        Confinement::Namespaces => Tier::Namespaces,
    };
    let names = |names: &Option<Names>| names.iter().flat_map(|names| names.0.clone()).collect::<Vec<_>>();
    let policy = |mode: Mode| {
        let mut policy = Policy::new(mode, root)?;
        policy.tier = Some(tier);
        for path in names(writable) {
            policy.grant_write(Path::new(&path), &by(settings, "writable"))?;
        }
        for path in names(readable) {
            policy.grant_read(Path::new(&path), &by(settings, "readable"))?;
        }
        names(env).iter().try_for_each(|name| policy.pass(name))?;
        let limits = &mut policy.limits;
        limits.memory = memory.map_or(limits.memory, |size| size.0);
        limits.processes = processes.map_or(limits.processes, |most| most.clamp(1, MOST_PROCESSES));
        limits.file = file_size.and_then(|size| size.0);
        Ok(policy)
    };
    let said = |error: PolicyError| error.to_string();
    let (mut writing, reading) =
        (policy(Mode::WorkspaceWrite).map_err(said)?, policy(Mode::ReadOnly).map_err(said)?);
    let hosts = names(net);
    let way_out = match tier {
        Tier::Namespaces => {
            // Also without a host: what is asked for is heard then, and can be allowed.
            writing.net = Net::Allow(hosts.clone());
            let stays = !hosts.is_empty() && is_of_machine(settings, NET);
            let of_machine = if stays { hosts.clone() } else { Vec::new() };
            let way_out = way_out::of_settings(hosts, of_machine);
            Some(way_out.map_err(|error| format!("`{}`: {error}", NET.join(".")))?)
        }
        Tier::Landlock if hosts.is_empty() => None,
        Tier::Landlock => return Err(NO_WAY_OUT.to_owned()),
    };
    Ok(Some(Confine { program: "/proc/self/exe".into(), writing, reading, way_out }))
}

/// The key of a table for sandboxes, and where it is set.
fn by(settings: &Settings, key: &str) -> String {
    let entry = settings.entries().into_iter().find(|entry| entry.path == ["sandbox", key]);
    let origin = entry.and_then(|entry| entry.origins.into_iter().next());
    let origin = origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
    format!("`sandbox.{key}`{origin}")
}

fn mode(text: &str) -> Result<Mode, String> {
    [Mode::ReadOnly, Mode::WorkspaceWrite, Mode::Unconfined]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| "expected `read-only`, `workspace-write` or `unconfined`".into())
}

fn tier(text: &str) -> Result<Choice, String> {
    match text {
        "auto" => Ok(Choice(None)),
        _ => [Tier::Namespaces, Tier::Landlock]
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .map(|tier| Choice(Some(tier)))
            .ok_or_else(|| "expected `auto`, `namespaces` or `landlock`".into()),
    }
}

fn net(text: &str) -> Result<Net, String> {
    let wrong = || "expected `off`, or `allow:` and hosts with commas between them".to_owned();
    if text == "off" {
        return Ok(Net::Off);
    }
    let hosts = text.strip_prefix("allow:").ok_or_else(wrong)?;
    let hosts: Vec<String> = hosts.split(',').map(|host| host.trim().to_owned()).collect();
    if hosts.iter().any(String::is_empty) {
        return Err(wrong());
    }
    Ok(Net::Allow(hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_names_its_hosts() {
        assert_eq!(
            net("allow:a.example,*.b.example"),
            Ok(Net::Allow(vec!["a.example".into(), "*.b.example".into()]))
        );
        for wrong in ["on", "allow:", "allow:a,,b", "allow"] {
            assert!(net(wrong).is_err(), "{wrong}");
        }
    }
}
