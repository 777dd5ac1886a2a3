//! Why something would be allowed or denied inside: answered from the same plan that is enforced.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::build::DEVICES;
use super::layout::{Access, Layout, Place};
use super::policy::{Mode, Net, Policy};
use super::{Host, Plan};
use crate::proxy::{Allow, Place as ConfigPlace, Target, Verdict, authority};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Answer {
    /// `write`, `read`, `run`, `reach`, or `nothing`.
    pub may: &'static str,
    /// The rule, and where it comes from.
    pub why: String,
    /// What would change that.
    pub cure: Option<String>,
}

impl Answer {
    fn new(may: &'static str, why: impl Into<String>) -> Self {
        Self { may, why: why.into(), cure: None }
    }

    fn or(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }
}

/// What an answer names as a cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Flags of the command line, to who types it.
    Flags,
    /// Keys of the settings, to whose they are.
    Keys,
    /// Keys of the user's settings, to a model that can only say them.
    Settings,
}

impl Words {
    fn show(self, path: &Path) -> String {
        match self {
            Self::Flags => {
                format!("`--readable {}` would show it, `--writable` let it be written", path.display())
            }
            Self::Keys => "`sandbox.readable` would show it, `sandbox.writable` let it be written".into(),
            Self::Settings => {
                "the user can show it with `sandbox.readable`, or let it be written with `sandbox.writable`"
                    .into()
            }
        }
    }

    fn only_show(self, path: &Path) -> String {
        match self {
            Self::Flags => format!("`--readable {}` would show it", path.display()),
            Self::Keys => "`sandbox.readable` would show it".into(),
            Self::Settings => "the user can show it with `sandbox.readable`".into(),
        }
    }

    fn let_write(self, path: &Path) -> String {
        match self {
            Self::Flags => format!("`--writable {}` would let it be written", path.display()),
            Self::Keys => "`sandbox.writable` would let it be written".into(),
            Self::Settings => "the user can let it be written with `sandbox.writable`".into(),
        }
    }

    fn change(self) -> &'static str {
        match self {
            Self::Flags | Self::Keys => "change it yourself, outside",
            Self::Settings => "the user can change it, outside",
        }
    }
}

impl Plan {
    /// What may be done with a path. Links are followed as they lead outside.
    #[must_use]
    pub fn explain_path(&self, path: &Path, words: Words) -> Answer {
        if self.tier().is_none() {
            return Answer::new("write", "mode `unconfined`: all that you may");
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        explain(&self.layout, &real, words)
    }

    /// Whether a path without links can be changed and not moved.
    pub(crate) fn holds(&self, real: &Path) -> bool {
        self.layout.spots.get(real).is_some_and(|spot| spot.place == Place::Held)
    }

    /// What would be run for a program's name.
    #[must_use]
    pub fn explain_command(&self, program: &Path, words: Words) -> Answer {
        if self.tier().is_none() {
            return Answer::new("run", "mode `unconfined`: all that you may");
        }
        let named = program.display();
        if program.components().count() > 1 {
            let real = std::path::absolute(program).and_then(|path| path.canonicalize());
            return match real {
                Ok(real) => self.run_at(&real, words),
                Err(error) => Answer::new("nothing", format!("`{named}`: {error}")),
            };
        }
        let path = self.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
        let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
        let executable = |path: &PathBuf| {
            path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        let outside = folders.iter().map(|folder| folder.join(program)).filter(executable);
        let mut hidden = None;
        for found in outside {
            let Ok(real) = found.canonicalize() else { continue };
            match self.run_at(&real, words) {
                answer if answer.may == "run" => return answer,
                answer => hidden = hidden.or(Some(answer)),
            }
        }
        hidden.unwrap_or_else(|| Answer::new("nothing", format!("there is no `{named}` in `PATH`")))
    }

    fn run_at(&self, real: &Path, words: Words) -> Answer {
        match explain(&self.layout, real, words) {
            answer if answer.may == "nothing" => answer,
            answer => Answer::new("run", format!("`{}` is there: {}", real.display(), answer.why)),
        }
    }
}

fn explain(layout: &Layout, path: &Path, words: Words) -> Answer {
    let show = || words.show(path);
    let Some((rule, spot)) = layout.at(path) else {
        return Answer::new("nothing", "it is not there inside: nothing shows it").or(show());
    };
    let why = format!("`{}`: {}", rule.display(), spot.why);
    match &spot.place {
        Place::Host(Access::Write) | Place::Layered(_) => Answer::new("write", why),
        Place::Empty { .. } if rule == path => Answer::new("write", why),
        Place::Empty { .. } => {
            Answer::new("nothing", format!("what is there outside is not there inside: {why}")).or(show())
        }
        Place::Held => Answer::new("write", format!("{why}; what is in it can be changed")),
        Place::Host(Access::Read) if spot.why.contains("read-only") => Answer::new("read", why),
        Place::Host(Access::Read) => Answer::new("read", why).or(words.let_write(path)),
        Place::Frozen => Answer::new("read", why).or(words.change()),
        Place::Masked { .. } => Answer::new("nothing", why).or(words.only_show(path)),
        Place::Devices if path != rule && !DEVICES.iter().any(|name| path == rule.join(name)) => {
            Answer::new("nothing", format!("it is not among {why}"))
        }
        Place::Devices => Answer::new("write", why),
        Place::Link(_) | Place::File(_) | Place::Processes => Answer::new("read", why),
    }
}

/// Whether a host may be reached, at a port if one is named: by the rules of the proxy that would be asked. Presets are read
/// at this place.
#[must_use]
pub fn explain_host(policy: &Policy, host: &str, place: &ConfigPlace<'_>, words: Words) -> Answer {
    if policy.mode == Mode::Unconfined {
        return Answer::new("reach", "mode `unconfined`: all that you may");
    }
    let (host, port) = match authority(host) {
        Ok(found) => found,
        Err(error) => return Answer::new("nothing", format!("`{host}` is no host: {error}")),
    };
    if ["localhost", "127.0.0.1", "::1"].contains(&host.plain().as_str()) {
        return Answer::new(
            "reach",
            "loopback inside is the sandbox's own: what listens on it outside is not there",
        );
    }
    let named = port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    let (list, cure) = match words {
        Words::Flags => ("`--net allow:`", format!("`--net allow:{named}` would let it be reached")),
        Words::Keys | Words::Settings => {
            ("`sandbox.net`", format!("`{named}` in `sandbox.net` would let it be reached"))
        }
    };
    let hosts = match &policy.net {
        Net::Off if words == Words::Flags => {
            return Answer::new("nothing", "`--net off` (the default): no way leads out").or(cure);
        }
        Net::Off => return Answer::new("nothing", "in this mode and tier no way leads out"),
        Net::Allow(hosts) => hosts,
    };
    let allow = match Allow::parse(hosts, place) {
        Ok(allow) => allow,
        Err(error) => return Answer::new("nothing", format!("there are no rules: {error}")),
    };
    let ports = port.map_or_else(|| vec![443, 80], |port| vec![port]);
    let mut other_port = false;
    for port in ports {
        match allow.explain(&Target { host: host.clone(), port }) {
            Verdict::Allowed(rule) => {
                let rule_named = match words {
                    Words::Flags => format!("`{}`", rule.flag()),
                    Words::Keys | Words::Settings => format!("`{rule}` in {list}"),
                };
                let why = format!("{rule_named}, {}, through the proxy", rule.origin);
                return Answer::new("reach", why);
            }
            Verdict::OtherPort => other_port = true,
            Verdict::NoRule | Verdict::Refused => {}
        }
    }
    let why = match other_port {
        true => "rules name it at other ports alone; without a port, a rule means 80 and 443".to_owned(),
        false => format!("no host of {list} matches it"),
    };
    Answer::new("nothing", why).or(cure)
}

/// What a policy comes to on this machine, in a few lines.
#[must_use]
pub fn summary(policy: &Policy, plan: &Plan, host: &Host) -> Vec<String> {
    let tier = plan.tier().map_or("none: unconfined", super::Tier::as_str);
    let mut lines = vec![format!("tier: {tier}"), format!("mode: {}", policy.mode.as_str())];
    for (path, spot) in &plan.layout.spots {
        let what = match &spot.place {
            Place::Host(Access::Write) => "write",
            Place::Layered(_) => "layer",
            Place::Empty { .. } => "empty",
            Place::Host(Access::Read) => "read",
            Place::Frozen => "keep",
            Place::Held => "hold",
            Place::Masked { .. } => "hide",
            Place::Link(_) | Place::File(_) | Place::Devices | Place::Processes => continue,
        };
        lines.push(format!("{what:<6} {} ({})", path.display(), spot.why));
    }
    lines.push(match &policy.net {
        Net::Off => "network: off".to_owned(),
        Net::Allow(hosts) => format!("network: {}", hosts.join(", ")),
    });
    lines.push(format!("policy: {} (user {})", policy.hash(), host.user.as_raw()));
    lines
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_denied_by_name_and_with_the_flag_that_would_allow_it() {
        let mut policy = Policy::new(Mode::WorkspaceWrite, Path::new("/tmp")).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let place = ConfigPlace { home: empty.path().into(), root: empty.path().into(), variable: &|_| None };
        let explain_host =
            |policy: &Policy, host: &str| super::explain_host(policy, host, &place, Words::Flags);
        let answer = explain_host(&policy, "Example.com");
        assert_eq!(
            (answer.may, answer.cure.as_deref()),
            ("nothing", Some("`--net allow:example.com` would let it be reached"))
        );
        policy.net = Net::Allow(vec!["*.example.com".into(), "one.example:8443".into(), "cargo".into()]);
        assert_eq!(explain_host(&policy, "a.example.com").may, "reach");
        assert_eq!(explain_host(&policy, "one.example:8443").may, "reach");
        for other in
            ["example.com", "badexample.com", "a.example.com.evil", "a.example.com:22", "one.example", "a b"]
        {
            assert_eq!(explain_host(&policy, other).may, "nothing", "{other}");
        }
        let of_preset = explain_host(&policy, "static.crates.io");
        assert!(of_preset.may == "reach" && of_preset.why.contains("by the preset `cargo`"), "{of_preset:?}");
    }

    #[test]
    fn a_path_is_explained_from_the_plan_that_is_enforced() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join(".git/hooks")).unwrap();
        let policy = Policy::new(Mode::WorkspaceWrite, &real).unwrap();
        let plan = Plan::to_explain(&policy, &Host::here()).unwrap();
        let may = |path: &Path| plan.explain_path(path, Words::Flags).may;
        assert_eq!(may(&real.join("src/x")), "write");
        assert_eq!(may(&real.join(".git/hooks/pre-commit")), "read");
        assert_eq!(may(Path::new("/usr/bin/env")), "read");
        assert_eq!(may(Path::new("/var/lib/nothing")), "nothing");
        assert_eq!(plan.explain_command(Path::new("sh"), Words::Flags).may, "run");
        assert_eq!(plan.explain_command(Path::new("no-such-program"), Words::Flags).may, "nothing");
    }
}
