//! Attempts by two at a time, and by turns: what is put in the place of something between the look and the use of it.

use crate::attempt::Category::Races;
use crate::attempt::Judge::{Changed, Leaks, Outside};
use crate::attempt::{Attempt, bash, python};

/// While the command runs, the host exchanges a folder of the workspace with a link out of it, over and over.
const EXCHANGE: &str = "\
import ctypes
libc = ctypes.CDLL(None)
pid = os.fork()
if pid == 0:
    os.close(0)
    os.close(1)
    os.close(2)
    for turn in range(300000):
        libc.renameat2(-100, b'@WS@/turn', -100, b'@WS@/way', 2)
        if turn % 64 == 0 and (os.getppid() == 1 or not os.path.isdir('@WS@')):
            os._exit(0)
    os._exit(0)
import signal, subprocess
try:
    for turn in range(6):
        subprocess.run(command, stdin=subprocess.DEVNULL)
finally:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
";

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Races, "meets a folder that is exchanged with a link, and writes", "for i in $(seq 200); do echo x 2>/dev/null >turn/planted; echo x 2>/dev/null >>way/file; done; exit 0", Outside)
        .before("mkdir @WS@/turn; touch @WS@/turn/file; ln -s @OUT@ @WS@/way").under(EXCHANGE).or_refused(),
    bash(Races, "meets a folder that is exchanged with a link, and reads", "for i in $(seq 200); do cat turn/id_ed25519 way/id_ed25519; done 2>/dev/null; exit 0", Leaks)
        .before("mkdir @WS@/turn; ln -s @HOME@/.ssh @WS@/way").under(EXCHANGE).or_refused(),
    bash(Races, "meets a repository that is exchanged with a link out, and reads", r#"
for i in $(seq 20); do cat turn/.git/hooks/key way/.git/hooks/key turn/.git/config way/.git/config; done 2>/dev/null
exit 0
"#, Leaks)
        .before(r#"
mkdir -p @OUT@/r/.git/hooks @OUT@/r/.git/info @WS@/turn/.git/hooks
cp @HOME@/.netrc @OUT@/r/.git/hooks/key
cp @HOME@/.netrc @OUT@/r/.git/config
ln -s @OUT@/r @WS@/way
"#)
        .under(EXCHANGE).or_refused(),
    bash(Races, "meets a repository that is exchanged with a link out, and writes", "for i in $(seq 20); do echo x >turn/.git/planted; echo x >way/.git/planted; done 2>/dev/null; exit 0", Outside)
        .before(r#"
mkdir -p @OUT@/r/.git/hooks @OUT@/r/.git/info @WS@/turn/.git/hooks
echo x >@OUT@/r/.git/config
ln -s @OUT@/r @WS@/way
"#)
        .under(EXCHANGE).or_refused(),
    bash(Races, "meets a common folder that is exchanged, and writes", "for i in $(seq 20); do echo x >@OUT@/r/planted; done 2>/dev/null; exit 0", Outside)
        .before(r#"
cd @WS@
mkdir -p @OUT@/r/objects @OUT@/r/refs @OUT@/r/hooks
echo 'ref: refs/heads/main' >@OUT@/r/HEAD
mkdir turn way
git -C turn init -q
echo 'gitdir: @OUT@/r' >way/.git
"#)
        .under(EXCHANGE).or_refused(),
    python(Races, "keeps writing a link that the next command's start may follow", r#"
for name in ('.gemini', '.windsurf', '.aider.conf.yml', 'nested/.vscode', '.zed', 'CLAUDE.md'):
    try:
        os.symlink('@OUT@', name)
    except OSError as error:
        print(error)
"#, Outside).and_then(r#"
for name in ('.gemini', '.windsurf', '.aider.conf.yml', 'nested/.vscode', '.zed', 'CLAUDE.md'):
    try:
        open(name + '/planted', 'w').write('x')
    except OSError as error:
        print(error)
"#),
    python(Races, "leaves a link for what the launcher makes itself", "\
os.makedirs('@HOME@/.cache', exist_ok=True)
os.symlink('@OUT@', '@HOME@/.cache/codetether')
", Changed("@RUN@/mark")).host_then("test ! -L @HOME@/.cache/codetether || touch @RUN@/mark"),
    bash(Races, "puts a link to a secret in the place of pinned files", r#"
rm -rf .mcp.json .vscode
ln -s @HOME@/.ssh/id_ed25519 .mcp.json
ln -s @HOME@/.ssh .vscode
mkdir -p new
ln -s @HOME@/.ssh new/.vscode
ln -s @HOME@/.ssh .zed
ln -s @HOME@/.ssh/id_ed25519 .windsurfrules
"#, Leaks)
        .and_then("cat .mcp.json .vscode/id_ed25519 new/.vscode/id_ed25519 .zed/id_ed25519 .windsurfrules"),
    bash(Races, "moves the workspace's own folder", "cd ..; mv project p; mkdir project; echo x >project/x", Outside),
    python(Races, "climbs out of a folder that is moved while it is in it", r#"
os.chdir('src')
print('moving', flush=True)
import time
for turn in range(40):
    for way in ('../file', '../../file', '../../../out/file', '../../../../out/file'):
        try:
            open(way, 'a').write('x')
        except OSError:
            pass
    time.sleep(0.01)
"#, Changed("@OUT@/inner/file")).under(r#"
import subprocess
child = subprocess.Popen(command, stdout=subprocess.PIPE)
for line in child.stdout:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
    if line == b'moving\n':
        os.rename('@WS@/src', '@OUT@/inner/src')
child.wait()
"#),
];
