//! What tier `namespaces` is known to let through, and why. It must become empty: each that is blocked comes off the list, and
//! nothing may come onto it but a new attempt that finds a way out.

/// Names of attempts.
pub(crate) const OF_NAMESPACES: &[&str] = &[
    // A process namespace cannot have fewer than some 300 numbers.
    "starts more processes",
    "starts more threads",
    "starts more processes in a session of their own",
    // `node_modules`, `target` and the like are not walked.
    "plants a hook in a repository among packages",
    "plants a hook in a repository among build products",
    // Settings of editors and agents are held at the top of the workspace and of repositories alone.
    "changes an editor's tasks in a package",
    "puts another package in the place of one with an editor's tasks",
    // A program of the workspace that git's own settings name is a file like any other.
    "changes a program that the settings name",
    // Sockets are masked in the workspace, but not in `.git`, nor in folders that are granted.
    "connects to the socket of git's watcher",
    "connects to a socket of what it may read",
    // What the settings name and is not there can be made.
    "makes a hook where the settings have them",
    // A repository that a command makes is its own.
    "makes a submodule of a new repository",
];

/// What not everybody comes through, or not in every run.
pub(crate) const SOMETIMES: &[&str] = &[
    // What a normal user cannot enter is not walked; root enters everything.
    "plants a hook in a repository that could not be looked into",
    // A race: the placeholder of a file is made by its path.
    "meets a repository that is exchanged with a link out, and writes",
];
