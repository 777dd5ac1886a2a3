//! The scene of one run: a fresh copy of the home, the listeners and processes of the host that the program speaks of,
//! and the names in its text filled in. Nothing of it is left when dropped.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::Command;

use crate::bench::{Bench, Kind, run};
use crate::listeners::Listeners;
use crate::run::Way;
use crate::victim::Victim;

/// One scene.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) way: Way,
    pub(crate) folder: PathBuf,
    /// In the command line of the program, and sent to listeners.
    pub(crate) token: String,
    pub(crate) listeners: Listeners,
    pub(crate) victim: Option<RefCell<Victim>>,
}

/// Makes a full copy at home in its new place: git's worktrees know their paths.
const MOVE_IN: &str = r#"
cp -a "$1/." "$2"
cd "$2/home/work"
sed -i "s|$1|$2|" tree/.git project/.git/worktrees/tree/gitdir project/.git/modules/sub/config project/.git/config project/.gitmodules
"#;

/// What a program speaks of that needs more than a small repository.
const MORE: &[&str] = &["nested", "one/two", "mv one", " sub", "sub/", "modules", "work/tree"];

impl<'a> Scene<'a> {
    /// A scene for a program with this text.
    pub(crate) fn new(bench: &'a Bench, number: usize, way: Way, text: &str) -> Self {
        let folder = bench.place(number);
        let full = MORE.iter().any(|word| text.contains(word));
        let template = bench.template(if full { Kind::Full } else { Kind::Light });
        if full {
            run(bench.command("bash").args(["-c", MOVE_IN, "scene"]).arg(template).arg(&folder));
        } else {
            run(bench.command("cp").arg("-a").arg(template).arg(&folder));
        }
        let token = format!("attempt-{}", uuid::Uuid::now_v7().simple());
        let listeners = Listeners::new(text, &folder, &token);
        let victim = text.contains("@V.").then(|| RefCell::new(Victim::new(bench, &folder, &token, text)));
        Self { bench, way, folder, token, listeners, victim }
    }

    /// `HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The workspace.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.home().join("work/project")
    }

    /// A text with its names filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut put = |name: &str, value: &str| {
            if text.contains(name) {
                text = text.replace(name, value);
            }
        };
        put("@WS@", &self.workspace().to_string_lossy());
        put("@HOME@", &self.home().to_string_lossy());
        put("@RUN@", &self.folder.join("run").to_string_lossy());
        put("@OUT@", &self.folder.join("out").to_string_lossy());
        put("@BIN@", &self.bench.binary().to_string_lossy());
        put("@BINDIR@", &self.bench.bin().to_string_lossy());
        put("@TOKEN@", &self.token);
        for (name, value) in self.listeners.names() {
            put(name, value);
        }
        if let Some(victim) = &self.victim {
            for (name, value) in victim.borrow().names() {
                put(name, value);
            }
        }
        let rest = text.match_indices("@V.").next();
        assert!(rest.is_none(), "a name is unknown: {}", &text[rest.unwrap().0..]);
        text
    }

    /// The environment of a person who has secrets in it.
    pub(crate) fn dress(&self, command: &mut Command) {
        let home = self.home();
        command.env("HOME", &home).env("USER", "ada").env("LOGNAME", "ada").env("SHELL", "/bin/bash");
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("XDG_RUNTIME_DIR", self.folder.join("run"));
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "ANTHROPIC_API_KEY",
            "GITHUB_TOKEN",
            "DATABASE_URL",
            "MY_OWN_THING",
            "DSN",
        ] {
            command.env(name, format!("x://{}", self.bench.secret));
        }
        command.env("SSH_AUTH_SOCK", self.folder.join("run/host.sock"));
        // By this, what it left behind is found.
        command.env("CODETETHER_ATTEMPT", &self.token);
    }

    /// Runs a bash program as the person on the host; what it prints.
    pub(crate) fn host(&self, program: &str, place: &str) -> std::process::Output {
        let mut command = self.bench.command("bash");
        command
            .env("HOME", self.home())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("XDG_RUNTIME_DIR", self.folder.join("run"));
        command.args(["-c", &self.fill(program)]).current_dir(self.fill(place)).output().unwrap()
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        crate::processes_seen::end_all_of(self);
        // A folder that nobody may enter stands in the way of those who are not root.
        let again = r#"chmod -R u+rwX "$1"; rm -rf "$1""#;
        let removed = codetether_files::remove_dir_all(&self.folder).is_ok()
            || Command::new("bash")
                .args(["-c", again, "scene"])
                .arg(&self.folder)
                .status()
                .is_ok_and(|status| status.success());
        if !std::thread::panicking() {
            assert!(removed, "{} is still there", self.folder.display());
        }
    }
}
