//! What an attempt and a job are: data. What they do is in a file per category, how they are judged in `judge`.

/// What an attempt is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Category {
    Writes,
    Reads,
    Network,
    Processes,
    Git,
    Config,
    Races,
    Descriptors,
    Proc,
    Resources,
    Surface,
}

/// What runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Bash,
    Python,
}

/// Who can do it at all, bare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Anyone,
    /// It needs root's power: for others it fails bare, and so proves nothing.
    Root,
    /// To root it gives nothing that root has not.
    NormalUser,
}

/// What counts as success. It is looked at from outside; nothing that the program says of itself counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Judge {
    /// Anything at all has changed in the home or in another project.
    Outside,
    /// This path is there now, or gone, or not what it was (content, kind, permissions, owner, times, attributes).
    Changed(&'static str),
    /// This file has more bytes.
    Larger(&'static str, u64),
    /// A file or folder of the workspace has a set-user or set-group bit.
    SetId,
    /// The secret came out.
    Leaks,
    /// The first line of this file came out.
    LeaksFile(&'static str),
    /// A listener of the host heard of it.
    Reaches,
    /// A process of the host, or what it shares, is not as it was.
    Harms,
    /// A process of it is still there when the command has ended.
    Survives,
    /// While it runs, a process of it holds a descriptor of this kind: a part of the link's text, or a family's name.
    Holds(&'static str),
    /// The same, and can write by it.
    HoldsForWriting(&'static str),
    /// While it runs, this is true of its processes.
    Seen(fn(&[u32]) -> bool),
    /// This, which the host around it prints.
    HostSays(&'static str),
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) category: Category,
    /// Completes "it …".
    pub(crate) name: &'static str,
    pub(crate) language: Language,
    pub(crate) program: &'static str,
    /// A second command in a sandbox of its own, after the first. That it is refused is no failure of the suite.
    pub(crate) second: Option<&'static str>,
    pub(crate) judge: Judge,
    pub(crate) who: Who,
    /// More flags for the launcher.
    pub(crate) flags: &'static [&'static str],
    /// Where it runs.
    pub(crate) at: &'static str,
    /// A bash program that the host runs first, as the user.
    pub(crate) before: &'static str,
    /// One that it runs afterwards: what a person would do next.
    pub(crate) then: &'static str,
    /// One that cleans up on the machine.
    pub(crate) clean: &'static str,
    /// A Python program of the host that starts the command (`run()`), and hands something down to it.
    pub(crate) under: Option<&'static str>,
    /// Whether the launcher may refuse to start it at all: the place is not one to be made safe.
    pub(crate) may_be_refused: bool,
    /// Why this machine cannot do it bare, if it cannot.
    pub(crate) lacking: fn() -> Option<&'static str>,
}

fn nothing() -> Option<&'static str> {
    None
}

const fn attempt(
    category: Category,
    name: &'static str,
    language: Language,
    program: &'static str,
    judge: Judge,
) -> Attempt {
    Attempt {
        category,
        name,
        language,
        program,
        second: None,
        judge,
        who: Who::Anyone,
        flags: &[],
        at: "@WS@",
        before: "",
        then: "",
        clean: "",
        under: None,
        may_be_refused: false,
        lacking: nothing,
    }
}

/// An attempt in bash. `ready` waits until the host has looked.
pub(crate) const fn bash(
    category: Category,
    name: &'static str,
    program: &'static str,
    judge: Judge,
) -> Attempt {
    attempt(category, name, Language::Bash, program, judge)
}

/// An attempt in Python. `call(n, …)` is a system call, `ready()` waits until the host has looked.
pub(crate) const fn python(
    category: Category,
    name: &'static str,
    program: &'static str,
    judge: Judge,
) -> Attempt {
    attempt(category, name, Language::Python, program, judge)
}

impl Attempt {
    pub(crate) const fn only(self, who: Who) -> Self {
        Self { who, ..self }
    }

    pub(crate) const fn and_then(self, second: &'static str) -> Self {
        Self { second: Some(second), ..self }
    }

    pub(crate) const fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    pub(crate) const fn at(self, at: &'static str) -> Self {
        Self { at, ..self }
    }

    pub(crate) const fn before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    pub(crate) const fn host_then(self, then: &'static str) -> Self {
        Self { then, ..self }
    }

    pub(crate) const fn clean(self, clean: &'static str) -> Self {
        Self { clean, ..self }
    }

    pub(crate) const fn under(self, under: &'static str) -> Self {
        Self { under: Some(under), ..self }
    }

    pub(crate) const fn or_refused(self) -> Self {
        Self { may_be_refused: true, ..self }
    }

    pub(crate) const fn unless(self, lacking: fn() -> Option<&'static str>) -> Self {
        Self { lacking, ..self }
    }

    /// All text of it, for finding out which things of the host it speaks of.
    pub(crate) fn text(&self) -> String {
        let mut text =
            [self.program, self.second.unwrap_or(""), self.before, self.then, self.clean].join("\n");
        text.push_str(self.under.unwrap_or(""));
        text.push_str(self.at);
        text.push_str(&self.flags.join("\n"));
        text
    }
}

/// An everyday job: it must work bare, and inside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// What must be installed.
    pub(crate) needs: &'static [&'static str],
    /// In bash, with `set -euo pipefail`.
    pub(crate) program: &'static str,
    /// What must hold outside afterwards, in bash.
    pub(crate) holds: &'static str,
    pub(crate) at: &'static str,
    pub(crate) flags: &'static [&'static str],
}

/// A job.
pub(crate) const fn job(name: &'static str, needs: &'static [&'static str], program: &'static str) -> Job {
    Job { name, needs, program, holds: "", at: "@WS@", flags: &[] }
}

impl Job {
    pub(crate) const fn holds(self, holds: &'static str) -> Self {
        Self { holds, ..self }
    }

    pub(crate) const fn at(self, at: &'static str) -> Self {
        Self { at, ..self }
    }

    pub(crate) const fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }
}
