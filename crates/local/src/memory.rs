//! Whether a model has room in memory, and how long a context has, before anything is loaded: an engine that runs out
//! aborts, or makes the kernel end something else.

use std::fs::File;
use std::io::Read;

use crate::server::Refused;

/// What weights take, in tenths of their file, with what reading them takes besides.
const WEIGHTS_TENTHS: u64 = 12;
/// Fewest tokens of a context that are of any use.
const WINDOW_MIN: u64 = 2_048;
/// What is left to others.
const SPARE: u64 = 256 << 20;

/// What a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of the state of one token.
    pub token: u64,
    /// Tokens that it was trained for.
    pub trained: u64,
}

impl Need {
    /// Tokens that there is room for in `available` bytes.
    ///
    /// # Errors
    /// When they are too few: what is needed and what is there.
    pub fn window(self, available: u64) -> Result<u64, Refused> {
        let weights = self.file.saturating_mul(WEIGHTS_TENTHS) / 10;
        let free = available.saturating_sub(weights).saturating_sub(SPARE);
        let window = (free / self.token.max(1)).min(self.trained);
        let least = WINDOW_MIN.min(self.trained);
        if window >= least && window > 0 {
            return Ok(window);
        }
        let needed = weights.saturating_add(SPARE).saturating_add(least.saturating_mul(self.token));
        let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
        Err(Refused(format!(
            "the model needs {} MB of memory and {} MB are free: end other programs, or choose a smaller model",
            megabytes(needed),
            megabytes(available)
        )))
    }
}

/// Bytes that can be had without swapping, as the kernel estimates them; none where it does not say.
#[must_use]
pub fn available() -> Option<u64> {
    let mut text = String::new();
    File::open("/proc/meminfo").ok()?.take(64 << 10).read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need { file: 1_000 << 20, token: 32 << 10, trained: 32_768 };

    #[test]
    fn the_context_is_what_memory_allows_and_no_more_than_was_trained() {
        assert_eq!(NEED.window(8_000 << 20), Ok(32_768));
        assert_eq!(NEED.window(1_712 << 20), Ok(8_192));
    }

    #[test]
    fn too_little_memory_is_refused_with_numbers() {
        let refused = NEED.window(1_400 << 20).unwrap_err().to_string();
        assert!(refused.starts_with("the model needs 1520 MB of memory and 1400 MB are free"), "{refused}");
    }

    #[test]
    fn this_machine_says_what_is_available() {
        assert!(available().unwrap() > 1 << 20);
    }
}
