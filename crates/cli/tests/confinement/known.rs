//! What tier `namespaces` is known to let through, and why. It must become empty: each that is blocked comes off the list, and
//! nothing may come onto it but a new attempt that finds a way out.

/// Names of attempts.
pub(crate) const OF_NAMESPACES: &[&str] = &[
    // A repository that a command makes is its own, and git outside enters it where it was added as a submodule.
    "makes a submodule of a new repository",
];
