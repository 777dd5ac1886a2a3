//! Why something would be allowed or denied inside: answered from the same plan that is enforced.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::build::DEVICES;
use super::layout::{Access, Layout, Place};
use super::policy::{Mode, Net, Policy};
use super::{Host, Plan};

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

impl Plan {
    /// What may be done with a path. Links are followed as they lead outside.
    #[must_use]
    pub fn explain_path(&self, path: &Path) -> Answer {
        if self.tier().is_none() {
            return Answer::new("write", "mode `unconfined`: all that you may");
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        explain(&self.layout, &real)
    }

    /// What would be run for a program's name.
    #[must_use]
    pub fn explain_command(&self, program: &Path) -> Answer {
        if self.tier().is_none() {
            return Answer::new("run", "mode `unconfined`: all that you may");
        }
        let named = program.display();
        if program.components().count() > 1 {
            let real = std::path::absolute(program).and_then(|path| path.canonicalize());
            return match real {
                Ok(real) => self.run_at(&real),
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
            match self.run_at(&real) {
                answer if answer.may == "run" => return answer,
                answer => hidden = hidden.or(Some(answer)),
            }
        }
        hidden.unwrap_or_else(|| Answer::new("nothing", format!("there is no `{named}` in `PATH`")))
    }

    fn run_at(&self, real: &Path) -> Answer {
        match explain(&self.layout, real) {
            answer if answer.may == "nothing" => answer,
            answer => Answer::new("run", format!("`{}` is there: {}", real.display(), answer.why)),
        }
    }
}

fn explain(layout: &Layout, path: &Path) -> Answer {
    let show = || format!("`--readable {}` would show it, `--writable` let it be written", path.display());
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
        Place::Host(Access::Read) => {
            Answer::new("read", why).or(format!("`--writable {}` would let it be written", path.display()))
        }
        Place::Frozen => Answer::new("read", why).or("change it yourself, outside"),
        Place::Masked { .. } => {
            Answer::new("nothing", why).or(format!("`--readable {}` would show it", path.display()))
        }
        Place::Devices if path != rule && !DEVICES.iter().any(|name| path == rule.join(name)) => {
            Answer::new("nothing", format!("it is not among {why}"))
        }
        Place::Devices => Answer::new("write", why),
        Place::Link(_) | Place::File(_) | Place::Processes => Answer::new("read", why),
    }
}

/// Whether a host may be reached.
#[must_use]
pub fn explain_host(policy: &Policy, host: &str) -> Answer {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if policy.mode == Mode::Unconfined {
        return Answer::new("reach", "mode `unconfined`: all that you may");
    }
    if ["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) {
        return Answer::new(
            "reach",
            "loopback inside is the sandbox's own: what listens on it outside is not there",
        );
    }
    match &policy.net {
        Net::Off => Answer::new("nothing", "`--net off` (the default): no way leads out")
            .or(format!("`--net allow:{host}` would let it be reached")),
        Net::Allow(hosts) => {
            let matches = |rule: &String| match rule.strip_prefix("*.") {
                Some(suffix) => host.strip_suffix(suffix).is_some_and(|start| start.ends_with('.')),
                None => *rule == host,
            };
            match hosts.iter().find(|rule| matches(rule)) {
                Some(rule) => Answer::new("reach", format!("`--net allow:{rule}`, through the proxy")),
                None => Answer::new("nothing", "no host of `--net allow:` matches it")
                    .or(format!("`--net allow:{host}` would let it be reached")),
            }
        }
    }
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
        let answer = explain_host(&policy, "Example.com");
        assert_eq!(
            (answer.may, answer.cure.as_deref()),
            ("nothing", Some("`--net allow:example.com` would let it be reached"))
        );
        policy.net = Net::Allow(vec!["*.example.com".into()]);
        assert_eq!(explain_host(&policy, "a.example.com").may, "reach");
        for other in ["example.com", "badexample.com", "a.example.com.evil"] {
            assert_eq!(explain_host(&policy, other).may, "nothing", "{other}");
        }
    }

    #[test]
    fn a_path_is_explained_from_the_plan_that_is_enforced() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join(".git/hooks")).unwrap();
        let policy = Policy::new(Mode::WorkspaceWrite, &real).unwrap();
        let plan = Plan::to_explain(&policy, &Host::here()).unwrap();
        let may = |path: &Path| plan.explain_path(path).may;
        assert_eq!(may(&real.join("src/x")), "write");
        assert_eq!(may(&real.join(".git/hooks/pre-commit")), "read");
        assert_eq!(may(Path::new("/usr/bin/env")), "read");
        assert_eq!(may(Path::new("/var/lib/nothing")), "nothing");
        assert_eq!(plan.explain_command(Path::new("sh")).may, "run");
        assert_eq!(plan.explain_command(Path::new("no-such-program")).may, "nothing");
    }
}
