//! One figure: what was measured, and what it should be.

use std::fmt;
use std::time::Duration;

/// A measured value beside its aim.
pub(crate) struct Figure {
    what: &'static str,
    aim: Aim,
    measured: f64,
    unit: &'static str,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    Below(f64),
    AtLeast(f64),
    Within(f64, f64),
}

impl Figure {
    pub(crate) fn new(what: &'static str, aim: Aim, measured: f64, unit: &'static str) -> Self {
        Self { what, aim, measured, unit }
    }

    pub(crate) fn milliseconds(what: &'static str, below: f64, measured: Duration) -> Self {
        Self::new(what, Aim::Below(below), measured.as_secs_f64() * 1_000.0, "ms")
    }

    pub(crate) fn megabytes(what: &'static str, below: f64, bytes: u64) -> Self {
        Self::new(what, Aim::Below(below), bytes as f64 / 1e6, "MB")
    }

    pub(crate) fn microseconds(what: &'static str, below: f64, measured: Duration) -> Self {
        Self::new(what, Aim::Below(below), measured.as_secs_f64() * 1e6, "µs")
    }

    /// How much of so many bytes is gone through in a second.
    pub(crate) fn megabytes_a_second(
        what: &'static str,
        at_least: f64,
        bytes: usize,
        measured: Duration,
    ) -> Self {
        Self::new(what, Aim::AtLeast(at_least), bytes as f64 / 1e6 / measured.as_secs_f64(), "MB/s")
    }

    pub(crate) fn is_met(&self) -> bool {
        match self.aim {
            Aim::Below(aim) => self.measured < aim,
            Aim::AtLeast(aim) => self.measured >= aim,
            Aim::Within(least, most) => (least..=most).contains(&self.measured),
        }
    }

    pub(crate) fn heading() -> String {
        format!("{:<58}{:>14}{:>14}", "figure", "aim", "measured")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aim = match self.aim {
            Aim::Below(aim) => format!("< {aim} {}", self.unit),
            Aim::AtLeast(aim) => format!("≥ {aim} {}", self.unit),
            Aim::Within(least, most) => format!("{least} – {most}"),
        };
        let measured = format!("{:.2} {}", self.measured, self.unit);
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        write!(f, "{:<58}{aim:>14}{measured:>14}  {verdict}", self.what)
    }
}

/// The middle of several runs; nothing counts as zero.
pub(crate) fn median<T: Ord + Copy + Default>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
