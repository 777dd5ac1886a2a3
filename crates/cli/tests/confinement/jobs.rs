//! Everyday jobs: what a person lets an agent do all day. Each must work bare, else it proves nothing, and inside.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Command;

use crate::attempt::{Job, Language, job};
use crate::bench::{Bench, Place};
use crate::person::Person;
use crate::run::{self, Program, Way};
use crate::scene::Scene;
use crate::table;

pub(crate) const JOBS: &[Job] = &[
    job("core utilities", &[], r#"
printf 'b
a
' >l
sort l | tee s
wc -l <s
cut -c1 s
tr a-z A-Z <s
head -1 s
tail -1 s
stat -c %s s
du -sh .
df . >/dev/null
uname -a
id
whoami || true
date
basename $PWD
seq 3
od -c s
expr 1 + 1
test -r /etc/passwd
cp s t
mv t u
ln u v
ln -s u w
rm v w
mkdir -p d/e
rmdir d/e
chmod 600 u
touch -d yesterday u
truncate -s 5 u
md5sum u
readlink -f u
"#),
    job("find, grep and sed", &[], r#"
mkdir -p x/y
echo hello >x/y/f
find . -name f -print0 | xargs -0 grep -q hello
sed -i s/hello/bye/ x/y/f
grep -rn bye x
find x -type f -exec rm {} +
test ! -e x/y/f
"#)
        .holds("test -d x/y && test ! -e x/y/f"),
    job("awk, diff and patch", &["patch"], r#"
printf '1 2
3 4
' >n
test $(awk '{s+=$2} END {print s}' n) = 6
cp n m
echo 5 >>m
diff -u n m >p || true
patch -s n p
cmp n m
"#),
    job("tar, gzip and xz", &["xz"], r#"
tar -czf a.tgz src
mkdir o
tar -xzf a.tgz -C o
cmp o/src/main.txt src/main.txt
gzip -k src/main.txt
zcat src/main.txt.gz | cmp - src/main.txt
xz -k src/main.txt
tar -cJf a.txz src
tar -tJf a.txz
"#),
    job("here-documents and pipes", &[], r#"
cat <<END >h
line $((1+1))
END
grep -q 'line 2' h
diff <(echo a) <(echo a)
echo x | { read -r y; test $y = x; }
exec 5<h
read -r z <&5
(echo $z >/dev/stderr) 2>&1 | cat
(echo done >/dev/stdout) | cat
yes | head -1000 >/dev/null || true
"#),
    job("background processes and signals", &[], r#"
sleep 100 & p=$!
kill $p
wait $p || test $? = 143
(sleep 0.05; echo x >late) & wait; test -e late; trap 'echo t >trapped' USR1; kill -USR1 $$; test -e trapped; timeout 5 true; nice true; nohup true; setsid true; timeout 0.1 sleep 5 || test $? = 124
"#),
    job("a named pipe", &[], "mkfifo p; (echo x >p) & read -r l <p; test $l = x; rm p; wait"),
    job("locks", &["flock"], r#"
flock l true
exec 9>l
flock 9
! flock -n l false || exit 1
python3 -c "import fcntl; f = open('k', 'w'); fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"
"#),
    job("links of both kinds", &[], r#"
ln -s src/main.txt s
cat s
ln src/main.txt h
echo two >>h
grep -q two s
ln -sfn src d
ls d/
rm s h d
"#),
    job("times, modes and attributes", &[], r#"
touch -d '2020-01-01' f
test $(stat -c %Y f) -lt 1600000000
chmod 750 f
test $(stat -c %a f) = 750
umask 077
touch g
test $(stat -c %a g) = 600
python3 -c "import os; os.utime('f', (1, 2)); os.setxattr('f', 'user.x', b'y'); assert os.getxattr('f', 'user.x') == b'y'"
"#),
    job("temporary files", &[], r#"
d=$(mktemp -d)
f=$(mktemp)
echo x >$d/a
mv $d/a $f
test -s $f
echo x >/tmp/@TOKEN@
echo x >/var/tmp/@TOKEN@
echo x >${TMPDIR:-/tmp}/@TOKEN@
python3 -c 'import tempfile; t = tempfile.NamedTemporaryFile(); t.write(b"x"); tempfile.mkdtemp()'
rm -rf $d $f /tmp/@TOKEN@ /var/tmp/@TOKEN@
"#),
    job("a file in the home", &[], r#"
mkdir -p ~/.cache/thing ~/.config/thing
echo x >~/.cache/thing/f
cat ~/.cache/thing/f
cd ~
cd -
"#),
    job("shared memory", &[], r#"
python3 -c "
from multiprocessing import Pool, shared_memory, Lock
s = shared_memory.SharedMemory(create=True, size=100)
s.close(); s.unlink()
with Pool(2) as p:
    assert p.map(abs, [-1, -2]) == [1, 2]
"
echo x >/dev/shm/@TOKEN@
rm /dev/shm/@TOKEN@
"#),
    job("devices", &[], r#"
echo x >/dev/null
head -c 10 /dev/zero | wc -c
head -c 10 /dev/urandom >/dev/null
head -c 1 /dev/random >/dev/null
echo x >/dev/full || true
test -c /dev/tty
ls /dev/fd/ >/dev/null
"#),
    job("processes in `ps`", &["ps"], r#"
sleep 20 & ps aux | grep -v grep | grep -c 'sleep 20'
ps -ef >/dev/null
ps -o pid,args
kill %1
cat /proc/self/status >/dev/null
cat /proc/meminfo /proc/cpuinfo /proc/loadavg >/dev/null
nproc
ulimit -a >/dev/null
cat /proc/sys/kernel/pid_max
"#),
    job("a terminal of its own", &["script"], r#"
script -qec 'test -t 0 && tty && stty size && echo from inside' /dev/null </dev/null | grep -c 'from inside'
python3 -c "
import pty, os
pid, fd = pty.fork()
if pid == 0:
    os.execvp('sh', ['sh', '-c', 'test -t 1 && echo is a terminal; echo x >/dev/tty'])
text = b''
try:
    while True:
        piece = os.read(fd, 100)
        if not piece:
            break
        text += piece
except OSError:
    pass
assert b'is a terminal' in text, text
"
"#),
    job("locale and time zone", &[], r#"
export LC_ALL=C.UTF-8
printf 'ä
' | wc -m | grep -c 2
TZ=Europe/Berlin date
python3 -c "print('ü', __import__('locale').setlocale(0, ''))"
test "$LANG" = C.UTF-8
"#),
    job("users and hosts by name", &["getent"], r#"
getent passwd root
getent hosts localhost
hostname || uname -n
python3 -c "import socket, getpass; socket.gethostbyname('localhost'); getpass.getuser(); socket.getaddrinfo('localhost', 80)"
test -n "$HOME" -a -n "$USER" -a -n "$PATH"
"#),
    job("a server on the loopback", &["curl"], r#"
python3 -c "
import http.server, threading, urllib.request
s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=s.serve_forever, daemon=True).start()
port = s.server_address[1]
assert b'one' in urllib.request.urlopen(f'http://localhost:{port}/src/main.txt').read()
import subprocess
assert b'one' in subprocess.check_output(['curl', '-sS', f'http://127.0.0.1:{port}/src/main.txt'])
"
"#),
    job("a server for IPv6 and datagrams", &[], r#"
python3 -c "
import socket
s = socket.create_server(('::1', 0), family=socket.AF_INET6)
c = socket.create_connection(s.getsockname()[:2])
u = socket.socket(type=socket.SOCK_DGRAM)
u.bind(('127.0.0.1', 0))
socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', u.getsockname())
assert u.recv(1) == b'x'
a = socket.create_server(('0.0.0.0', 0))
socket.create_connection(('127.0.0.1', a.getsockname()[1]))
"
"#),
    job("unix sockets of its own", &[], r#"
python3 -c "
import socket, os
for name in ['s.sock', '/tmp/@TOKEN@', chr(0) + '@TOKEN@']:
    s = socket.socket(socket.AF_UNIX)
    s.bind(name); s.listen()
    c = socket.socket(socket.AF_UNIX)
    c.connect(name); c.send(b'x')
    assert s.accept()[0].recv(1) == b'x'
a, b = socket.socketpair()
a.send(b'x'); b.recv(1)
os.unlink('s.sock'); os.unlink('/tmp/@TOKEN@')
"
"#),
    job("asynchronous input and output", &[], r#"
python3 -c "
import asyncio, select, signal, os, threading
async def main():
    p = await asyncio.create_subprocess_exec('echo', 'x', stdout=-1)
    assert (await p.communicate())[0] == b'x\n'
    await asyncio.sleep(0)
asyncio.run(main())
os.eventfd(0); select.epoll(); os.memfd_create('x'); os.pidfd_open(os.getpid()); threading.Thread(target=print).start()
"
"#),
    job("git: add and commit", &[], r#"
echo x >new
git status --short | grep -c new
git add -A
git commit -qm 'A change'
git log -1 --format=%an%ae | grep -c 'Adaada@example.com'
git diff HEAD~1 --stat
git show --stat
git blame a.txt >/dev/null
"#)
        .holds(r#"
test -z "$(git status --porcelain)" && test "$(git log -1 --format=%s)" = 'A change' && git fsck
"#),
    job("git: stash", &[], "echo x >>a.txt; git stash -q; git diff --quiet; git stash pop -q; ! git diff --quiet").holds("git diff --quiet && exit 1 || exit 0"),
    job("git: branch, merge and rebase", &[], r#"
git checkout -qb other
echo o >o
git add o
git commit -qm o
git checkout -q main
echo m >m
git add m
git commit -qm m
git merge -q --no-edit other
git checkout -q other
git rebase -q main
git branch -d other 2>/dev/null || true
git checkout -q main
git tag v1
git reset -q --hard HEAD~1
git cherry-pick v1 -m 1 || true
git reflog >/dev/null
"#)
        .holds("git fsck && git rev-parse v1"),
    job("git: a worktree inside", &[], r#"
git worktree add -q wt -b wt
cd wt
echo x >x
git add x
git commit -qm x
cd ..
git worktree list | grep -c wt
git worktree remove wt
"#)
        .holds("git log wt -1 --format=%s | grep -c x"),
    job("git: in a linked worktree", &[], r#"
echo x >x
git add x
git commit -qm side
git status
git stash list
git fetch -q . || true
git branch more
"#).at("@HOME@/work/tree")
        .holds("test \"$(git log -1 --format=%s)\" = side && git -C ../project rev-parse more"),
    job("git: in a submodule", &[], r#"
cd sub
git checkout -qb here
echo x >x
git add x
git commit -qm sub
cd ..
git add sub
git commit -qm 'Move sub'
git submodule status
"#)
        .holds(r#"
git log -1 --format=%s | grep -c 'Move sub' && git -C sub log -1 --format=%s | grep -c sub
"#),
    job("git: in a nested repository", &[], "cd nested; echo x >x; git add x; git commit -qm n; git checkout -qb b; git stash list").holds("git -C nested log -1 --format=%s | grep -c n"),
    job("git: a new repository and a clone", &[], r#"
git init -q fresh
cd fresh
echo x >x
git add x
git commit -qm x
cd ..
git clone -q fresh copy
git -C copy log --oneline
git clone -q --bare fresh bare.git
cd copy
echo y >x
git commit -qam y
git push -q ../bare.git HEAD:refs/heads/new
git gc -q
git apply </dev/null 2>/dev/null || true
"#)
        .holds("git -C bare.git rev-parse new"),
    job("git: clean, move and remove", &[], r#"
touch junk
git clean -qfd -e nested -e one
git mv a.txt b.txt
git rm -q src/main.txt
git commit -qm moved
git archive HEAD | tar -t >/dev/null
git grep -n one || true
git bisect start
git bisect reset
git notes add -m x
git describe --always
"#)
        .holds("test -e b.txt && test ! -e a.txt"),
    job("make and a C compiler", &["make", "cc"], r#"
printf '#include <stdio.h>
int main(void) { puts("built"); return 0; }
' >m.c
printf 'prog: m.c
	cc -O1 -o $@ $<
check: prog
	./prog | grep -c built
' >Makefile
make -j2 -s check
"#).holds("test -x prog"),
    job("a shared library", &["cc"], r#"
echo 'int two(void) { return 2; }' >l.c
cc -shared -fPIC -o libl.so l.c
python3 -c "import ctypes; assert ctypes.CDLL('./libl.so').two() == 2"
"#),
    job("cmake", &["cmake", "cc"], r#"
printf 'cmake_minimum_required(VERSION 3.10)
project(p C)
add_executable(p m.c)
' >CMakeLists.txt
echo 'int main(void) { return 0; }' >m.c
cmake -S . -B b >/dev/null
cmake --build b >/dev/null
b/p
"#),
    job("cargo: build and test", &["cargo"], r#"
cargo init -q --name tiny --vcs none rs
cd rs
printf '#[test]
fn it_listens() {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(std::env::temp_dir().join("x"), "x").unwrap();
}
' >>src/main.rs
cargo build -q --offline
cargo run -q --offline | grep -c Hello
cargo test -q --offline
cargo metadata --offline --format-version 1 >/dev/null
"#)
        .holds("test -x rs/target/debug/tiny"),
    job("cargo: a dependency by path, and clippy and fmt", &["cargo"], r#"
cargo init -q --vcs none --lib dep
cargo init -q --vcs none --name top top
cd top
cargo add -q --offline --path ../dep
printf 'fn main() { println!("{}", dep::add(1, 1)); }
' >src/main.rs
cargo run -q --offline | grep -c 2
cargo fmt
rustc --version
test -n "$(ls ~/.cargo)"
"#),
    job("node and a package from a folder", &["node", "npm"], r#"
mkdir js js/dep
cd js
echo '{"name":"dep","version":"1.0.0","main":"i.js"}' >dep/package.json
echo 'module.exports = 2' >dep/i.js
echo '{"name":"top","version":"1.0.0","scripts":{"test":"node t.js"}}' >package.json
echo 'if (require("dep") !== 2) process.exit(1); const w = require("worker_threads"); require("http").createServer().listen(0, "127.0.0.1", function () { this.close() })' >t.js
npm install --offline --no-audit --no-fund --silent ./dep
npm test --silent
node -e 'const f = require("os").tmpdir() + "/@TOKEN@"; require("fs").writeFileSync(f, "x"); require("fs").unlinkSync(f); WebAssembly.compile(new Uint8Array([0,97,115,109,1,0,0,0]))'
"#)
        .holds("test -e js/node_modules/dep/i.js"),
    job("npm: a new package", &["node", "npm"], r#"
mkdir n
cd n
npm init -y >/dev/null
npm pkg set name=x
npm pack --silent
test -e *.tgz
"#).holds("test -e n/package.json"),
    job("python: a virtual environment and a wheel", &["venv"], r#"
python3 -m venv v
mkdir w
printf 'x = 1
' >w/mine.py
python3 -c "
import zipfile
z = zipfile.ZipFile('mine-1-py3-none-any.whl', 'w')
z.writestr('mine.py', 'x = 1')
z.writestr('mine-1.dist-info/METADATA', 'Metadata-Version: 2.1\nName: mine\nVersion: 1\n')
z.writestr('mine-1.dist-info/WHEEL', 'Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
z.writestr('mine-1.dist-info/RECORD', 'mine.py,,\nmine-1.dist-info/METADATA,,\nmine-1.dist-info/WHEEL,,\nmine-1.dist-info/RECORD,,\n')
z.close()
"
v/bin/pip install -q --no-index --disable-pip-version-check ./mine-1-py3-none-any.whl
v/bin/python -c 'import mine; assert mine.x == 1'
"#)
        .holds("v/bin/python -c 'import mine'"),
    job("python: unit tests", &[], r#"
printf 'import unittest, subprocess, tempfile, sqlite3
class T(unittest.TestCase):
    def test_it(self):
        with tempfile.TemporaryDirectory() as d:
            open(d + "/x", "w").write("x")
        self.assertEqual(subprocess.check_output(["echo", "x"]), b"x\\n")
        db = sqlite3.connect("t.db")
        db.execute("pragma journal_mode=wal")
        db.execute("create table t (x)")
        db.commit()
' >test_it.py
python3 -m unittest -q
test -d __pycache__
"#).holds("test -e t.db"),
    job("go", &["go"], r#"
mkdir g
cd g
go mod init x 2>/dev/null
printf 'package main
func main() { println("x") }
' >m.go
GOFLAGS=-mod=mod go build
go test ./... || true
test -x x
"#),
    job("perl", &["perl"], r#"
perl -e 'use File::Temp; my $t = File::Temp->new; print $t "x"; print "ok\n"' | grep -c ok
perl -pi -e 's/one/two/' src/main.txt
grep -q two src/main.txt
"#),
    job("jq", &["jq"], "echo '{\"a\":[1,2]}' | jq -e '.a[1] == 2'"),
    job("a database of its own", &[], r#"
python3 -c "
import sqlite3
a = sqlite3.connect('d.db'); a.execute('create table t (x)'); a.execute('insert into t values (1)'); a.commit()
assert sqlite3.connect('d.db').execute('select x from t').fetchone() == (1,)
import dbm
dbm.open('k', 'c')['a'] = 'b'
"
"#),
    job("a debugger's and profiler's friend: a core of threads", &[], r#"
python3 -c "
import threading, concurrent.futures as c
with c.ThreadPoolExecutor(32) as p: assert sum(p.map(lambda x: x, range(100))) == 4950
with c.ProcessPoolExecutor(4) as p: assert sum(p.map(abs, range(10))) == 45
t = [threading.Thread(target=lambda: None) for _ in range(100)]
[x.start() for x in t]; [x.join() for x in t]
"
"#),
    job("sparse and larger files", &[], r#"
truncate -s 5G sparse
head -c 20M /dev/zero >large
cp --reflink=auto large copy
cmp large copy
fallocate -l 1M pre
dd if=large of=part bs=1M count=2 status=none
rm sparse large copy
"#).holds("test $(stat -c %s part) = 2097152"),
    job("a file beside, where that was allowed", &[], "echo x >@OUT@/inner/new; cat @OUT@/file").flags(&["--writable", "@OUT@/inner", "--readable", "@OUT@"]).holds("test -e @OUT@/inner/new"),
    job("a variable, where that was allowed", &[], "test \"$HARMLESS\" = yes").flags(&["--env", "HARMLESS"]),
    job("exit codes", &[], r#"
(exit 7) || test $? = 7; sh -c 'kill -9 $$' || test $? = 137; false || true; not-a-command 2>/dev/null || test $? = 127; ./a.txt 2>/dev/null || test $? = 126
"#),
    job("reading without writing", &[], r#"
cat a.txt
git log -1 >/dev/null
git status --short >/dev/null
echo x >/tmp/@TOKEN@
rm /tmp/@TOKEN@
! touch made 2>/dev/null || test -z "${CODETETHER_SANDBOX:-}"
"#).flags(&["--mode", "read-only"]),
];

/// Runs all that can be run, bare and inside; prints the table, and gives back what went wrong.
pub(crate) fn all(person: Person, tier: &'static str) -> Vec<String> {
    let bench = Bench::new(person, Place::Disk);
    let path = bench.long_path();
    let chosen: Vec<Job> = match std::env::var("CODETETHER_ATTEMPTS") {
        Ok(part) => JOBS.iter().filter(|job| job.name.contains(&part)).copied().collect(),
        Err(_) => JOBS.to_vec(),
    };
    let tools: BTreeSet<&str> = chosen.iter().flat_map(|job| job.needs).copied().collect();
    let absent: BTreeSet<&str> = tools.into_iter().filter(|tool| !is_there(&bench, &path, tool)).collect();
    let missing = |job: &Job| job.needs.iter().copied().find(|tool| absent.contains(tool));
    let (in_, out): (Vec<Job>, Vec<Job>) = chosen.into_iter().partition(|job| missing(job).is_none());
    let results = table::each(&in_, |number, job| {
        let bare = one(&bench, 2 * number, &path, job, Way::Bare);
        let inside = one(&bench, 2 * number + 1, &path, job, Way::Confined(tier));
        (bare, inside)
    });
    let rows =
        in_.iter().zip(&results).map(|(job, (_, inside))| ("jobs".to_owned(), inside.is_ok(), job.name));
    eprint!("{}", table::table(&format!("tier {tier}, as {}: working of all", person.name()), rows));
    for job in &out {
        eprintln!("  left out: {} (no `{}`)", job.name, missing(job).unwrap_or_default());
    }
    let wrong = in_.iter().zip(results).flat_map(|(job, (bare, inside))| {
        let say = |how: &str, outcome: Result<(), String>| {
            outcome.err().map(|log| format!("{} {how}: {log}", job.name))
        };
        [say("bare, where it proves nothing", bare), say("inside", inside)].into_iter().flatten()
    });
    wrong.collect()
}

/// Whether the person has a tool.
fn is_there(bench: &Bench, path: &OsString, tool: &str) -> bool {
    let test = match tool {
        "venv" => "import venv, ensurepip".to_owned(),
        // A name alone may be a wrapper whose program this person cannot reach.
        "cargo" | "node" | "npm" => {
            format!("import subprocess; subprocess.run(['{tool}', '--version'], check=True)")
        }
        tool => format!("import shutil, sys; sys.exit(shutil.which('{tool}') is None)"),
    };
    let mut command = bench.command("python3");
    toolchains(&mut command, path);
    command.args(["-c", &test]).output().is_ok_and(|output| output.status.success())
}

/// Where toolchains of who runs the suite are, for a person with another home.
fn environment(path: &OsString) -> Vec<(&'static str, OsString)> {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let rustup =
        std::env::var_os("RUSTUP_HOME").unwrap_or_else(|| std::path::Path::new(&home).join(".rustup").into());
    let pyenv =
        std::env::var_os("PYENV_ROOT").unwrap_or_else(|| std::path::Path::new(&home).join(".pyenv").into());
    vec![("PATH", path.clone()), ("RUSTUP_HOME", rustup), ("PYENV_ROOT", pyenv), ("HARMLESS", "yes".into())]
}

fn toolchains(command: &mut Command, path: &OsString) {
    for (name, value) in environment(path) {
        command.env(name, value);
    }
}

fn one(bench: &Bench, number: usize, path: &OsString, job: &Job, way: Way) -> Result<(), String> {
    let scene = Scene::new(bench, number, way, &[job.program, job.holds, job.at].join("\n"));
    let text = format!("set -euo pipefail\n{}", job.program);
    let program = Program {
        language: Language::Bash,
        text: &text,
        flags: job.flags,
        at: job.at,
        under: None,
        environment: &environment(path),
    };
    let outcome = run::run(&scene, &program, |_| ());
    if !outcome.status.is_some_and(|status| status.success()) {
        return Err(format!("{:?}: {}", outcome.status.map(|status| status.to_string()), outcome.printed));
    }
    if !job.holds.is_empty() {
        let output = scene.host(job.holds, job.at);
        if !output.status.success() {
            return Err(format!("it did not hold outside: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(())
}
