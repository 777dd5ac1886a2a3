//! What all runs on behalf of one person share: the binary where that person can read it, and a home to copy.
//! Gone when dropped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::person::Person;

/// Programs of the system: what all attempts may use.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What runs are made from.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) person: Person,
    pub(crate) secret: String,
    folder: TempDir,
}

/// Where scenes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Disk,
    Memory,
}

/// How much there is to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A workspace that is one small repository.
    Light,
    /// With repositories inside, a submodule and a linked worktree.
    Full,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Full => "full",
        }
    }
}

impl Bench {
    /// For a person: on the disk, as workspaces are, or in memory, where a suite is faster.
    pub(crate) fn new(person: Person, place: Place) -> Self {
        let memory = Path::new("/dev/shm");
        let place = match place {
            Place::Memory if memory.is_dir() => memory.to_owned(),
            Place::Memory | Place::Disk => std::env::temp_dir(),
        };
        let folder = tempfile::Builder::new().prefix("codetether-bench-").tempdir_in(place).unwrap();
        let secret = format!("sesame-{}", uuid::Uuid::now_v7().simple());
        let bench = Self { person, secret, folder };
        bench.open(bench.folder.path());
        run(Command::new("mkdir").arg("-m").arg("755").arg(bench.bin()));
        let built = std::env::var_os("CODETETHER_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_codetether")), PathBuf::from);
        // A link costs nothing, but the build folder may be on another file system.
        let linked =
            Command::new("ln").arg(&built).arg(bench.binary()).stderr(Stdio::null()).status().unwrap();
        if !linked.success() {
            run(Command::new("cp").arg(&built).arg(bench.binary()));
        }
        for kind in [Kind::Light, Kind::Full] {
            bench.furnish(kind);
        }
        bench
    }

    fn furnish(&self, kind: Kind) {
        let mut make = self.command("bash");
        make.arg("-c")
            .arg(include_str!("victim.sh"))
            .arg("victim")
            .arg(self.template(kind))
            .arg(&self.secret);
        run(make.arg(kind.name()));
    }

    /// The folder of the binary, with nothing else in it.
    pub(crate) fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// The binary under test.
    pub(crate) fn binary(&self) -> PathBuf {
        self.bin().join("codetether")
    }

    /// The home that scenes are copies of.
    pub(crate) fn template(&self, kind: Kind) -> PathBuf {
        self.folder.path().join(kind.name())
    }

    /// A place for the person's scenes.
    pub(crate) fn place(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}"))
    }

    /// Gives a folder to the person.
    fn open(&self, folder: &Path) {
        run(Command::new("chmod").arg("755").arg(folder));
        if self.person == Person::Normal {
            run(Command::new("chown").arg("1000:1000").arg(folder));
        }
    }

    /// A command as the person, with nothing of ours in its environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.person.command(program);
        command.env_clear().env("PATH", SYSTEM_PATH).env("LANG", "C.UTF-8").env("TERM", "dumb");
        command.stdin(Stdio::null()).current_dir("/");
        command
    }

    /// The `PATH` of who runs the suite, as far as the person can use it, before that of the system.
    pub(crate) fn long_path(&self) -> OsString {
        let ours = std::env::var_os("PATH").unwrap_or_default();
        let usable = std::env::split_paths(&ours).filter(|folder| {
            let mut test = self.command("test");
            folder.is_absolute() && test.arg("-x").arg(folder).status().is_ok_and(|status| status.success())
        });
        std::env::join_paths(usable.chain(std::env::split_paths(SYSTEM_PATH))).unwrap()
    }
}

/// Runs to the end, which must be a good one.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
