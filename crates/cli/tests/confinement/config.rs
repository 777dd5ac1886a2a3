//! Attempts to get more by files of the workspace that tools outside obey, and by what the launcher itself is told.

use crate::attempt::Category::Config;
use crate::attempt::Judge::{Changed, Leaks, Outside};
use crate::attempt::{Attempt, bash, python};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Config, "changes the project's settings of it", "echo 'mode = \"bypass\"' >>.codetether/config.toml", Changed("@WS@/.codetether/config.toml")),
    bash(Config, "replaces the project's settings of it", "echo x >c; mv -f c .codetether/config.toml", Changed("@WS@/.codetether/config.toml")),
    bash(Config, "puts a folder in the place of the project's settings", "mv .codetether c; mkdir .codetether; echo x >.codetether/config.toml", Changed("@WS@/.codetether/config.toml")),
    bash(Config, "adds a file to the project's settings", "echo x >.codetether/more.toml", Changed("@WS@/.codetether/more.toml")),
    bash(Config, "deletes the project's settings", "rm -rf .codetether", Changed("@WS@/.codetether/config.toml")),
    bash(Config, "changes which tool servers are started", "echo '{\"mcpServers\":{}}' >.mcp.json", Changed("@WS@/.mcp.json")),
    bash(Config, "replaces which tool servers are started", "echo '{\"mcpServers\":{}}' >m; mv -f m .mcp.json", Changed("@WS@/.mcp.json")),
    bash(Config, "puts a link in the place of the tool servers", "echo '{}' >m; ln -sf m .mcp.json", Changed("@WS@/.mcp.json")),
    bash(Config, "changes an editor's tasks", "echo '{\"tasks\":[]}' >.vscode/tasks.json", Changed("@WS@/.vscode/tasks.json")),
    bash(Config, "adds an editor's settings", "echo '{}' >.vscode/settings.json", Changed("@WS@/.vscode/settings.json")),
    bash(Config, "puts another folder in the place of an editor's", "mv .vscode v; mkdir .vscode; echo '{\"tasks\":[]}' >.vscode/tasks.json", Changed("@WS@/.vscode/tasks.json")),
    bash(Config, "changes another editor's settings", "echo '<x/>' >.idea/workspace.xml", Changed("@WS@/.idea/workspace.xml")),
    bash(Config, "changes another agent's hooks", "echo '{\"hooks\":{}}' >.claude/settings.json", Changed("@WS@/.claude/settings.json")),
    bash(Config, "adds another agent's settings", "echo '{\"hooks\":{}}' >.claude/settings.local.json", Changed("@WS@/.claude/settings.local.json")),
    bash(Config, "changes a third agent's tool servers", "echo '{\"mcpServers\":{}}' >.cursor/mcp.json", Changed("@WS@/.cursor/mcp.json")),
    bash(Config, "changes an editor's tasks in a package", "echo '{\"tasks\":[]}' >pkg/.vscode/tasks.json", Changed("@WS@/pkg/.vscode/tasks.json"))
        .before("cd @WS@; mkdir -p pkg/.vscode; echo '{}' >pkg/.vscode/tasks.json"),
    bash(Config, "puts another package in the place of one with an editor's tasks", "mv pkg p; mkdir -p pkg/.vscode; echo '{\"tasks\":[]}' >pkg/.vscode/tasks.json", Changed("@WS@/pkg/.vscode/tasks.json"))
        .before("cd @WS@; mkdir -p pkg/.vscode; echo '{}' >pkg/.vscode/tasks.json"),
    bash(Config, "changes what a shell loads on entering", "echo 'touch pwned' >>.envrc", Changed("@WS@/.envrc"))
        .before("echo x=1 >@WS@/.envrc"),
    bash(Config, "turns itself off by the project's settings", "echo x >>@OUT@/file", Outside)
        .before(r#"
printf 'mode = "bypass"
[sandbox]
mode = "unconfined"
writable = ["/"]
bypass = "unconfined"
' >@WS@/.codetether/config.toml
"#),
    bash(Config, "names more to write by the project's settings", "echo x >>@OUT@/file", Outside)
        .before("printf '[sandbox]\nwritable = [\"@OUT@\"]\n' >@WS@/.codetether/config.toml"),
    bash(Config, "turns itself off by the environment", r#"
CODETETHER_SANDBOX= CODETETHER_SANDBOX_MODE=unconfined @BIN@ sandbox run --mode unconfined -- sh -c 'echo x >>@OUT@/file' || echo x >>@OUT@/file
"#, Outside)
        .flags(&["--readable", "@BINDIR@"]),
    bash(Config, "starts a wider sandbox inside", "@BIN@ sandbox run --writable @OUT@ -- sh -c 'echo x >>@OUT@/file' || echo x >>@OUT@/file", Outside)
        .flags(&["--readable", "@BINDIR@"]),
    bash(Config, "says that it is in no sandbox", "export CODETETHER_SANDBOX=; cat @HOME@/.ssh/id_ed25519", Leaks),
    python(Config, "puts a link in the place of a folder that it may write", "import shutil\nshutil.rmtree('build')\nos.symlink('@OUT@', 'build')", Outside)
        .before("mkdir @WS@/build").flags(&["--writable", "@WS@/build"]).and_then("open('@OUT@/planted', 'w').write('x')\nopen('build/planted', 'w').write('x')"),
    python(Config, "puts a link in the place of a folder that it may read", "import shutil\nshutil.rmtree('data')\nos.symlink('@HOME@/.ssh', 'data')", Leaks)
        .before("mkdir @WS@/data").flags(&["--readable", "@WS@/data"]).and_then("print(open('@HOME@/.ssh/id_ed25519').read())"),
    bash(Config, "points a repository at a folder with secrets", r#"
rm -rf .git
echo 'gitdir: @HOME@/.ssh' >.git
rm -rf nested/.git
echo 'gitdir: @HOME@/.ssh' >nested/.git
mkdir n
echo 'gitdir: @HOME@/.ssh' >n/.git
"#, Leaks)
        .and_then("cat @HOME@/.ssh/id_ed25519"),
    bash(Config, "points a new repository at a folder to write", "mkdir n; echo 'gitdir: @OUT@' >n/.git", Outside).and_then("echo x >>@OUT@/file"),
    bash(Config, "points a folder that was no repository at one to write", "echo 'gitdir: @OUT@' >.git", Outside)
        .at("@HOME@/work/plain").before("mkdir @HOME@/work/plain").and_then("echo x >>@OUT@/file"),
    bash(Config, "points a folder that was no repository at something like one", "echo 'gitdir: @OUT@/git' >.git", Outside)
        .at("@HOME@/work/plain").before(r#"
mkdir @HOME@/work/plain
mkdir -p @OUT@/git/objects @OUT@/git/refs
echo 'ref: refs/heads/main' >@OUT@/git/HEAD
"#).and_then("echo x >>@OUT@/git/HEAD; echo x >@OUT@/git/new"),
    bash(Config, "makes a folder outside the common one of its repository", "echo @OUT@ >.git/commondir", Outside)
        .and_then("echo x >>@OUT@/file"),
    bash(Config, "points a linked worktree at another common folder", "echo @OUT@ >@WS@/.git/worktrees/tree/commondir", Changed("@OUT@/file"))
        .at("@HOME@/work/tree").and_then("echo x >>@OUT@/file"),
    bash(Config, "points a submodule's folder outside", "rm -rf .git/modules/sub; ln -s @OUT@ .git/modules/sub; rm -rf .git/modules; ln -s @OUT@ .git/modules", Outside)
        .and_then("echo x >>@OUT@/file"),
    bash(Config, "borrows a folder with secrets for its objects", "mkdir -p .git/objects/info; echo @HOME@/.ssh >>.git/objects/info/alternates", Leaks)
        .and_then("cat @HOME@/.ssh/id_ed25519"),
    bash(Config, "puts a link in the place of an environment of Python's", r#"
mkdir -p .venv/bin
ln -s @HOME@/.ssh .venv/lib
printf 'home = @HOME@/.ssh
' >.venv/pyvenv.cfg
ln -s @HOME@ node_modules
"#, Leaks)
        .and_then("cat @HOME@/.ssh/id_ed25519 .venv/lib/id_ed25519"),
    bash(Config, "names a folder with secrets as a toolchain", r#"
printf '[toolchain]
path = "@HOME@/.ssh"
' >rust-toolchain.toml
mkdir -p .cargo
printf '[build]
target-dir = "@OUT@"
' >.cargo/config.toml
printf '@HOME@/.ssh
' >.nvmrc
printf '@HOME@/.ssh' >.python-version
"#, Leaks)
        .and_then("cat @HOME@/.ssh/id_ed25519"),
    bash(Config, "changes an editor's tasks where a link has them", "echo '{\"tasks\":[]}' >tools/vscode/tasks.json", Changed("@WS@/tools/vscode/tasks.json"))
        .before("cd @WS@; mkdir tools; mv .vscode tools/vscode; ln -s tools/vscode .vscode"),
    bash(Config, "changes the tool servers where a link has them", "echo '{\"mcpServers\":{}}' >tools/mcp.json", Changed("@WS@/tools/mcp.json"))
        .before("cd @WS@; mkdir tools; mv .mcp.json tools/mcp.json; ln -s tools/mcp.json .mcp.json"),
    bash(Config, "changes an editor's tasks that are a link", "echo '{\"tasks\":[]}' >conf/tasks.json", Changed("@WS@/conf/tasks.json"))
        .before("cd @WS@; mkdir conf; mv .vscode/tasks.json conf; ln -s ../conf/tasks.json .vscode/tasks.json"),
];
