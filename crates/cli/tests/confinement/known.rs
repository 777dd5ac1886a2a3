//! What tier `namespaces` is known to let through, and why. It must stay empty: each that is blocked comes off the list, and
//! nothing may come onto it but a new attempt that finds a way out.

/// Names of attempts.
pub(crate) const OF_NAMESPACES: &[&str] = &[];
