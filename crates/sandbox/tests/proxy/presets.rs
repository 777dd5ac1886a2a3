//! Presets: which hosts come from which configuration, and that a workspace's own files give none.

use codetether_sandbox::proxy::{Allow, Place, Preset};
use tempfile::TempDir;

/// A machine with these files (`home/…`, `root/…`) and this environment; what a preset gives there, one rule a line with
/// where it comes from.
fn rules(preset: Preset, files: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    let machine = TempDir::new().unwrap();
    for (path, text) in files {
        let path = machine.path().join(path);
        codetether_files::create_dir_all(path.parent().unwrap()).unwrap();
        codetether_files::write_atomic(&path, text.as_bytes(), &Default::default()).unwrap();
    }
    let at = |text: &str| text.replace("MACHINE", &machine.path().display().to_string());
    let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| at(value));
    let place =
        Place { home: machine.path().join("home"), root: machine.path().join("root"), variable: &variable };
    let shown = |text: String| text.replace(&machine.path().display().to_string(), "MACHINE");
    match preset.rules(&place) {
        Ok(rules) => {
            let line = |rule: &codetether_sandbox::proxy::Rule| format!("{rule} {}\n", rule.origin);
            shown(rules.iter().map(line).collect())
        }
        Err(problem) => shown(problem.to_string()),
    }
}

/// The rules with their places, written shortly.
fn expected(preset: &str, lines: &[(&str, &str)]) -> String {
    lines.iter().map(|(rule, from)| format!("{rule} by the preset `{preset}`, from {from}\n")).collect()
}

const DEFAULT: &str = "the client's default";

#[test]
fn cargo_goes_to_crates_io_unless_something_takes_its_place() {
    let crates_io = [("index.crates.io", DEFAULT), ("static.crates.io", DEFAULT)];
    let cargo = |files: &[(&str, &str)], variables: &[(&str, &str)]| rules(Preset::Cargo, files, variables);
    assert_eq!(cargo(&[], &[]), expected("cargo", &crates_io));
    let mirror = "[source.crates-io]\nreplace-with = 'one'\n[source.one]\nreplace-with = 'two'\n\
                  [source.two]\nregistry = 'sparse+https://me:hush@mirror.corp/index/'\n";
    assert_eq!(
        cargo(&[("home/.cargo/config.toml", mirror)], &[]),
        expected(
            "cargo",
            &[("mirror.corp:443/private", "`source.two.registry` in `MACHINE/home/.cargo/config.toml`")]
        )
    );
    let registries = "[registries.ours]\nindex = 'sparse+http://10.0.0.5:8000/api/'\n\
                      [registries.git]\nindex = 'ssh://git@git.corp/index'\n";
    assert_eq!(
        cargo(
            &[("home/c/config", registries), ("home/c/config.toml", mirror)],
            &[("CARGO_HOME", "MACHINE/home/c")]
        ),
        expected(
            "cargo",
            &[
                crates_io[0],
                crates_io[1],
                ("10.0.0.5:8000/private", "`registries.ours.index` in `MACHINE/home/c/config`"),
            ]
        )
    );
    assert_eq!(
        cargo(
            &[("home/.cargo/config.toml", registries)],
            &[("CARGO_REGISTRIES_OURS_INDEX", "sparse+https://new.corp/")]
        ),
        expected(
            "cargo",
            &[
                crates_io[0],
                crates_io[1],
                ("new.corp:443/private", "the variable `CARGO_REGISTRIES_OURS_INDEX`"),
            ]
        )
    );
    let vendored = "[source.crates-io]\nreplace-with = 'disk'\n[source.disk]\ndirectory = 'vendor'\n";
    assert_eq!(cargo(&[("home/.cargo/config.toml", vendored)], &[]), "");
    let git = "[registries.crates-io]\nprotocol = 'git'\n";
    assert_eq!(
        cargo(&[("home/.cargo/config.toml", git)], &[]),
        expected("cargo", &[crates_io[0], crates_io[1], ("github.com", DEFAULT)])
    );
    let circle = "[source.crates-io]\nreplace-with = 'a'\n[source.a]\nreplace-with = 'crates-io'\n";
    assert!(cargo(&[("home/.cargo/config.toml", circle)], &[]).len() < 200);
}

#[test]
fn cargo_downloads_from_where_an_index_that_it_knows_says() {
    let mirror = "include = ['more.toml']\n[source.crates-io]\nreplace-with = 'm'\n";
    let more = "[source.m]\nregistry = 'sparse+https://mirror.corp/index/'\n";
    let index = |dl: &str| format!("{{\"api\": null, \"dl\": \"{dl}\"}}");
    let files = [
        ("home/.cargo/config.toml", mirror),
        ("home/.cargo/more.toml", more),
        ("home/.cargo/registry/index/mirror.corp-0123/config.json", &index("https://files.corp/{crate}/x")),
        ("home/.cargo/registry/index/other.corp-0123/config.json", &index("https://evil.example/")),
        ("home/.cargo/registry/index/mirror.corp.evil-0123/config.json", &index("https://evil.example/")),
        ("home/.cargo/registry/index/mirror.corp-4567/config.json", &index("http://127.0.0.1:1/{crate}")),
    ];
    assert_eq!(
        rules(Preset::Cargo, &files, &[]),
        expected(
            "cargo",
            &[
                ("mirror.corp:443/private", "`source.m.registry` in `MACHINE/home/.cargo/more.toml`"),
                ("files.corp", "`dl` in `MACHINE/home/.cargo/registry/index/mirror.corp-0123/config.json`"),
            ]
        )
    );
}

#[test]
fn npm_goes_to_its_registry_and_to_those_of_scopes() {
    let npm = |files: &[(&str, &str)], variables: &[(&str, &str)]| rules(Preset::Npm, files, variables);
    assert_eq!(npm(&[], &[]), expected("npm", &[("registry.npmjs.org", DEFAULT)]));
    let user = "; ours\n//mirror.corp/:_authToken=hush\nregistry=\"http://localhost:4873/\"\n\
                @ours:registry = https://${NPM_HOST}/npm/\n[other]\nregistry=https://evil.example/\n";
    assert_eq!(
        npm(
            &[("home/.npmrc", user), ("root/etc/npmrc", "registry=https://machine.corp\n")],
            &[("NPM_HOST", "scoped.corp:8443")]
        ),
        expected(
            "npm",
            &[
                ("localhost:4873/private", "`registry` in `MACHINE/home/.npmrc`"),
                ("scoped.corp:8443/private", "`@ours:registry` in `MACHINE/home/.npmrc`"),
            ]
        )
    );
    assert_eq!(
        npm(
            &[("home/rc", "prefix=~/node\n"), ("home/node/etc/npmrc", "registry=https://global.corp\n")],
            &[("NPM_CONFIG_USERCONFIG", "MACHINE/home/rc")]
        ),
        expected("npm", &[("global.corp:443/private", "`registry` in `MACHINE/home/node/etc/npmrc`")])
    );
    assert_eq!(
        npm(
            &[("home/.npmrc", user)],
            &[("npm_config_registry", "https://env.corp/"), ("NPM_HOST", "scoped.corp")]
        )
        .lines()
        .next(),
        Some("env.corp:443/private by the preset `npm`, from the variable `npm_config_registry`")
    );
    assert_eq!(
        npm(&[("home/.npmrc", "registry=https://${UNSET}/\n")], &[]),
        "cannot allow the host that `registry` in `MACHINE/home/.npmrc` names for `npm`: it holds a character that no host has; write other scripts as `xn--…`; mend it, or name the hosts instead of the preset"
    );
}

#[test]
fn pip_goes_to_its_indexes() {
    let pip = |files: &[(&str, &str)], variables: &[(&str, &str)]| rules(Preset::Pip, files, variables);
    let pypi = [("pypi.org", DEFAULT), ("files.pythonhosted.org", DEFAULT)];
    assert_eq!(pip(&[], &[]), expected("pip", &pypi));
    let user = "[global]\nindex_url = https://me:hush@mirror.corp/simple\nextra-index-url =\n    https://extra.corp:8443/simple\n    # no\n    https://pypi.org/simple\n[list]\nindex-url = https://evil.example/\n";
    let machine = "[install]\nfind-links: file:///srv/wheels http://wheels.corp/\n[global]\nindex-url=https://old.corp\n";
    assert_eq!(
        pip(&[("home/.config/pip/pip.conf", user), ("root/etc/pip.conf", machine)], &[]),
        expected(
            "pip",
            &[
                ("mirror.corp:443/private", "`global.index-url` in `MACHINE/home/.config/pip/pip.conf`"),
                (
                    "extra.corp:8443/private",
                    "`global.extra-index-url` in `MACHINE/home/.config/pip/pip.conf`"
                ),
                pypi[0],
                pypi[1],
                ("wheels.corp:80/private", "`install.find-links` in `MACHINE/root/etc/pip.conf`"),
            ]
        )
    );
    assert_eq!(
        pip(
            &[("home/.pip/pip.conf", user), ("home/named", "[global]\nno-index = true\n")],
            &[("PIP_CONFIG_FILE", "MACHINE/home/named")]
        ),
        ""
    );
    assert_eq!(
        pip(
            &[("home/.pip/pip.conf", user)],
            &[("PIP_CONFIG_FILE", "/dev/null"), ("PIP_INDEX_URL", "http://10.0.0.1:3141/root/pypi"),]
        ),
        expected("pip", &[("10.0.0.1:3141/private", "the variable `PIP_INDEX_URL`")])
    );
    assert_eq!(
        pip(&[("home/.pip/pip.conf", "[global]\nnonsense\n")], &[]),
        "cannot take the hosts of `pip` from `MACHINE/home/.pip/pip.conf`: a line has neither `=` nor `:`; mend the file, or name the hosts instead of the preset"
    );
}

#[test]
fn go_goes_to_its_proxies_and_its_database() {
    let go = |files: &[(&str, &str)], variables: &[(&str, &str)]| rules(Preset::Go, files, variables);
    let (proxy, sums) = (("proxy.golang.org", DEFAULT), ("sum.golang.org", DEFAULT));
    assert_eq!(go(&[], &[]), expected("go", &[proxy, sums]));
    let file = [("home/.config/go/env", "GOSUMDB=off\nGOPROXY=http://athens.corp:3000|direct\n")];
    assert_eq!(
        go(&file, &[]),
        expected("go", &[("athens.corp:3000/private", "`GOPROXY` in `MACHINE/home/.config/go/env`")])
    );
    assert_eq!(
        go(&file, &[("GOPROXY", "https://proxy.golang.org,off,https://evil.example")]),
        expected("go", &[proxy])
    );
    assert_eq!(
        go(&file, &[("GOENV", "off"), ("GOSUMDB", "sums.corp+0123+key https://db.corp/x")]),
        expected("go", &[proxy, ("db.corp:443/private", "the variable `GOSUMDB`")])
    );
    assert_eq!(
        go(&[], &[("GOPROXY", "off"), ("GOSUMDB", "sums.corp+k")]),
        expected("go", &[("sums.corp:443/private", "the variable `GOSUMDB`")])
    );
}

#[test]
fn configuration_that_cannot_be_used_is_an_error_without_its_secrets() {
    let broken = [("home/.cargo/config.toml", "[registry]\ntoken = \"hush\nx")];
    let said = rules(Preset::Cargo, &broken, &[]);
    assert!(
        said.starts_with("cannot take the hosts of `cargo` from `MACHINE/home/.cargo/config.toml`: "),
        "{said}"
    );
    assert!(!said.contains("hush"), "{said}");
    let metadata = rules(Preset::Npm, &[], &[("npm_config_registry", "http://x:hush@169.254.169.254/")]);
    assert_eq!(
        metadata,
        "cannot allow the host that the variable `npm_config_registry` names for `npm`: it is a cloud's metadata address; mend it, or name the hosts instead of the preset"
    );
    let long = "#".repeat(1024 * 1024 + 1);
    let said = rules(Preset::Pip, &[("home/.pip/pip.conf", &long)], &[]);
    assert!(said.contains("it is longer than a mebibyte"), "{said}");
}

#[test]
fn names_of_presets_and_rules_are_read_together() {
    let nothing = |_: &str| None;
    let home = TempDir::new().unwrap();
    let place = Place { home: home.path().into(), root: home.path().into(), variable: &nothing };
    let allow = Allow::parse(&["go", "*.example.org", "go.dev:8443"], &place).unwrap();
    let shown: Vec<String> = allow.rules().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["proxy.golang.org", "sum.golang.org", "*.example.org", "go.dev:8443"]);
    let problem = Allow::parse(&["gos"], &place).unwrap_err().to_string();
    assert!(
        problem.starts_with("cannot allow `gos`: it is neither a preset (cargo, npm, pip, go)"),
        "{problem}"
    );
}

#[test]
fn a_workspace_has_no_say() {
    // Nothing that a preset reads is found from the folder that it runs in.
    let workspace = [
        ("work/.npmrc", "registry=https://evil.example\n"),
        ("work/.cargo/config.toml", "[registries.evil]\nindex = 'sparse+https://evil.example/'\n"),
        ("work/pip.conf", "[global]\nindex-url = https://evil.example/\n"),
        ("work/go.env", "GOPROXY=https://evil.example\n"),
    ];
    for preset in Preset::ALL {
        let variables = [("VIRTUAL_ENV", "MACHINE/work"), ("PWD", "MACHINE/work"), ("GOFLAGS", "-mod=mod")];
        let given = rules(preset, &workspace, &variables);
        assert!(!given.contains("evil") && !given.is_empty(), "{given}");
    }
}
