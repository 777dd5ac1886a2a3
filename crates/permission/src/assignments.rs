//! Variables that change what runs when they are set: where programs are looked for, what is loaded into them, what
//! they start, which settings they read.

/// Exact names.
const NAMES: &[&str] = &[
    "AR",
    "AS",
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "CC",
    "CDPATH",
    "CLASSPATH",
    "CPP",
    "CXX",
    "DOCKER_HOST",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "HOME",
    "HOSTALIASES",
    "HOSTFILE",
    "IFS",
    "INPUTRC",
    "JDK_JAVA_OPTIONS",
    "JAVA_TOOL_OPTIONS",
    "LD",
    "LESS",
    "LESSOPEN",
    "LESSCLOSE",
    "LOCPATH",
    "MAKE",
    "MAKEFILES",
    "MAKEFLAGS",
    "MANPAGER",
    "MFLAGS",
    "NLSPATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS4",
    "RUSTC",
    "RUSTDOC",
    "SHELL",
    "SHELLOPTS",
    "SUDO_ASKPASS",
    "TAR_OPTIONS",
    "TERMINFO",
    "TERMCAP",
    "TMPDIR",
    "VISUAL",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_DATA_HOME",
    "XDG_DATA_DIRS",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];
/// Beginnings.
const PREFIXES: &[&str] = &[
    "LD_",
    "DYLD_",
    "GIT_",
    "BASH_FUNC_",
    "PYTHON",
    "PERL",
    "RUBY",
    "GEM_",
    "BUNDLE_",
    "NODE_",
    "NPM_",
    "npm_",
    "YARN_",
    "PNPM_",
    "CARGO",
    "RUSTUP",
    "RUSTC_",
    "GO",
    "CGO_",
    "SSH_",
    "PIP_",
    "UV_",
    "LUA",
    "PHP",
    "GRADLE_",
    "MAVEN_",
    "ANT_",
    "JAVA",
    "KUBE",
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "CODETETHER_",
    "MALLOC_",
    "FZF_",
    "R_",
    "CMAKE_",
    "PKG_CONFIG",
];
/// Endings.
const SUFFIXES: &[&str] = &[
    "_PRELOAD",
    "_WRAPPER",
    "_COMMAND",
    "_CMD",
    "_EDITOR",
    "_PAGER",
    "_OPTIONS",
    "_OPTS",
    "_ARGS",
    "_CONFIG",
    "_CONFIG_PATH",
    "_PATH",
    "_HOME",
    "_EXEC",
    "_SHELL",
    "_PLUGIN",
    "_PLUGINS",
    "FLAGS",
    "_PROXY",
    "_proxy",
    "_LOADER",
    "_HOOK",
    "_HOOKS",
    "_STARTUP",
    "_RC",
    "_INIT",
    "_LIBRARY",
    "_PROGRAM",
    "_RUNNER",
    "_LINKER",
    "_COMPILER",
];
/// Names that a beginning or an ending above would take in, and that change no program.
const HARMLESS: &[&str] = &[
    "CARGO_INCREMENTAL",
    "CARGO_NET_OFFLINE",
    "CARGO_TERM_COLOR",
    "CARGO_TERM_PROGRESS_WHEN",
    "CARGO_TERM_QUIET",
    "CARGO_TERM_VERBOSE",
    "CARGO_BUILD_JOBS",
    "GIT_AUTHOR_DATE",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_DATE",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_OPTIONAL_LOCKS",
    "GIT_TERMINAL_PROMPT",
    "GOARCH",
    "GOOS",
    "GOMAXPROCS",
    "NODE_ENV",
    "NODE_DEBUG",
    "NODE_NO_WARNINGS",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
];

/// Whether setting the variable may change what a command runs.
pub(crate) fn changes_what_runs(name: &str) -> bool {
    let lists = NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    lists && !HARMLESS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loads_or_starts_something_changes_what_runs() {
        for name in
            ["PATH", "LD_PRELOAD", "GIT_EXTERNAL_DIFF", "RUSTC_WRAPPER", "http_proxy", "MY_PAGER", "CFLAGS"]
        {
            assert!(changes_what_runs(name), "{name}");
        }
        for name in ["FOO", "RUST_LOG", "LANG", "NODE_ENV", "CI", "GOOS", "PORT"] {
            assert!(!changes_what_runs(name), "{name}");
        }
    }
}
