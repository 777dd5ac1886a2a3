//! What tier `namespaces` is known to let through, and why. It must become empty: each that is blocked comes off the list, and
//! nothing may come onto it but a new attempt that finds a way out.

/// Names of attempts.
pub(crate) const OF_NAMESPACES: &[&str] = &[
    // Repositories that a command made are disarmed where a walk finds them, or a `.git` file leads to them. Among packages it looks near
    // the top alone: asking the kernel about each of the tens of thousands of folders there would cost every command a tenth of a
    // second. The outer repository's index names such a submodule, but it need not be in the index yet: a branch that a
    // person checks out later can have it.
    "makes a submodule deep among packages",
];
