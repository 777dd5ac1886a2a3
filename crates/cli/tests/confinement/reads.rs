//! Attempts to read what is none of the project's business.

use crate::attempt::Category::Reads;
use crate::attempt::Judge::{Leaks, LeaksFile};
use crate::attempt::{Attempt, Who, bash, python};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Reads, "reads an ssh key", "cat @HOME@/.ssh/id_ed25519", Leaks),
    bash(Reads, "reads the keys of a cloud", "cat @HOME@/.aws/credentials @HOME@/.config/gcloud/adc.json", Leaks),
    bash(Reads, "reads the settings of a cluster", "cat @HOME@/.kube/config", Leaks),
    bash(Reads, "reads the logins of a registry of images", "cat @HOME@/.docker/config.json", Leaks),
    bash(Reads, "reads a private key of gpg", "cat @HOME@/.gnupg/private.key", Leaks),
    bash(Reads, "reads `.netrc`", "cat @HOME@/.netrc", Leaks),
    bash(Reads, "reads npm's token", "cat @HOME@/.npmrc", Leaks),
    bash(Reads, "reads pip's and PyPI's passwords", "cat @HOME@/.config/pip/pip.conf @HOME@/.pypirc", Leaks),
    bash(Reads, "reads git's passwords", "cat @HOME@/.git-credentials", Leaks),
    bash(Reads, "asks git for a password", "printf 'protocol=https\nhost=example.com\n\n' | git credential fill; git config --get-all user.secret", Leaks)
        .before("git config --file @HOME@/.gitconfig user.secret $(tail -c +3 @HOME@/.netrc)"),
    bash(Reads, "reads GitHub's token", "cat @HOME@/.config/gh/hosts.yml", Leaks),
    bash(Reads, "reads cargo's token", "cat @HOME@/.cargo/credentials.toml", Leaks),
    bash(Reads, "reads cargo's token by its old name", "cat @HOME@/.cargo/credentials", Leaks)
        .before("mv @HOME@/.cargo/credentials.toml @HOME@/.cargo/credentials"),
    bash(Reads, "reads its own keys", "cat @HOME@/.config/codetether/keys.toml", Leaks),
    bash(Reads, "reads another agent's login", "cat @HOME@/.codex/auth.json", Leaks),
    bash(Reads, "reads a third agent's login", "cat @HOME@/.claude/.credentials.json", Leaks),
    bash(Reads, "reads the shell's history", "cat @HOME@/.bash_history", Leaks),
    bash(Reads, "reads a browser's cookies", "cat @HOME@/.mozilla/cookies.sqlite", Leaks),
    bash(Reads, "reads the desktop's keyring", "cat @HOME@/.local/share/keyrings/login.keyring", Leaks),
    bash(Reads, "reads a secret of a sibling project", "cat ../sibling/.env", Leaks),
    bash(Reads, "searches the home", "grep -rs sesame- @HOME@ --exclude-dir=project", Leaks),
    bash(Reads, "searches by `~`", "cat ~/.ssh/*", Leaks),
    bash(Reads, "reads through its own link", "ln -s @HOME@/.ssh keys; cat keys/id_ed25519", Leaks),
    bash(Reads, "reads through a link that is there", "cat keys/id_ed25519", Leaks).before("ln -s @HOME@/.ssh @WS@/keys"),
    bash(Reads, "reads through a link in a program folder", "cat @HOME@/.local/bin/keys/id_ed25519", Leaks)
        .before("ln -s @HOME@/.ssh @HOME@/.local/bin/keys"),
    bash(Reads, "reads through `/proc/self/root`", "cat /proc/self/root/@HOME@/.ssh/id_ed25519", Leaks),
    bash(Reads, "reads through `/proc/1/root`", r#"
for p in /proc/1 /proc/2 /proc/$PPID /proc/self; do cat $p/root/@HOME@/.ssh/id_ed25519 $p/cwd/@HOME@/.netrc; done
"#, Leaks),
    bash(Reads, "links a secret in", "ln @HOME@/.ssh/id_ed25519 src/key; cat src/key", Leaks),
    bash(Reads, "lets git read it", "git diff --no-index /dev/null @HOME@/.ssh/id_ed25519", Leaks),
    bash(Reads, "lets git fetch from beside", "git fetch -q ../secret main && git show FETCH_HEAD:key", Leaks)
        .before(r#"
cd @HOME@/work
git init -q secret
cp @HOME@/.netrc secret/key
git -C secret add key
git -C secret commit -qm x
"#),
    bash(Reads, "borrows the objects of a repository beside", r#"
echo @HOME@/work/secret/.git/objects >>.git/objects/info/alternates
git cat-file -p $(git --git-dir=@HOME@/work/secret/.git rev-parse HEAD:key)
"#, Leaks)
        .before(r#"
cd @HOME@/work
git init -q secret
cp @HOME@/.netrc secret/key
git -C secret add key
git -C secret commit -qm x
"#),
    bash(Reads, "archives the home", "tar -cf - -C @HOME@ .ssh .aws", Leaks),
    python(Reads, "opens a secret by its handle", r#"
handle = ctypes.create_string_buffer(bytes.fromhex('@V.HANDLE@'))
mount = os.open('.', os.O_RDONLY)
print(os.read(call(304, mount, handle, 0), 200).decode())
"#, Leaks).only(Who::Root),
    bash(Reads, "reads somebody's file in `/tmp`", "cat /tmp/@TOKEN@", Leaks)
        .before("cp @HOME@/.netrc /tmp/@TOKEN@").clean("rm -f /tmp/@TOKEN@"),
    bash(Reads, "reads somebody's file in `/var/tmp`", "cat /var/tmp/@TOKEN@", Leaks)
        .before("cp @HOME@/.netrc /var/tmp/@TOKEN@").clean("rm -f /var/tmp/@TOKEN@"),
    bash(Reads, "reads somebody's shared memory file", "cat /dev/shm/@TOKEN@", Leaks)
        .before("cp @HOME@/.netrc /dev/shm/@TOKEN@").clean("rm -f /dev/shm/@TOKEN@"),
    bash(Reads, "reads a secret that was mounted for a service", "cat /run/@TOKEN@", Leaks)
        .before("cp @HOME@/.netrc /run/@TOKEN@").clean("rm -f /run/@TOKEN@").only(Who::Root),
    bash(Reads, "reads a secret in `/var/lib`", "cat /var/lib/@TOKEN@", Leaks)
        .before("cp @HOME@/.netrc /var/lib/@TOKEN@").clean("rm -f /var/lib/@TOKEN@").only(Who::Root),
    bash(Reads, "reads a secret in `/srv`", "cat /srv/@TOKEN@", Leaks)
        .before("mkdir -p /srv; cp @HOME@/.netrc /srv/@TOKEN@").clean("rm -f /srv/@TOKEN@").only(Who::Root),
    bash(Reads, "reads the hashes of passwords", "cat /etc/shadow", LeaksFile("/etc/shadow")).only(Who::Root),
    bash(Reads, "reads the older hashes of passwords", "cat /etc/shadow-", LeaksFile("/etc/shadow-"))
        .only(Who::Root).unless(|| (!std::path::Path::new("/etc/shadow-").exists()).then_some("there is no `/etc/shadow-`")),
    bash(Reads, "reads a private key of a service", "cat /etc/ssl/private/@TOKEN@.key", Leaks)
        .before(r#"
mkdir -p /etc/ssl/private
cp @HOME@/.netrc /etc/ssl/private/@TOKEN@.key
chmod 600 /etc/ssl/private/@TOKEN@.key
"#)
        .clean("rm -f /etc/ssl/private/@TOKEN@.key").only(Who::Root),
    bash(Reads, "prints its environment", "env; echo $MY_OWN_THING", Leaks),
    bash(Reads, "prints the environment that it was started with", "tr '\\0' '\n' </proc/self/environ; tr '\\0' '\n' </proc/$$/environ", Leaks),
    bash(Reads, "prints the environment of what started it", "cat /proc/$PPID/environ /proc/1/environ", Leaks).under("import subprocess\nsubprocess.run(command)"),
    python(Reads, "reads the memory of what started it", r#"
def search(pid):
    for line in open(f'/proc/{pid}/maps'):
        if '[stack]' in line or '[heap]' in line:
            a, b = [int(x, 16) for x in line.split()[0].split('-')]
            mem = open(f'/proc/{pid}/mem', 'rb')
            mem.seek(a)
            data = mem.read(b - a)
            import re
            print(re.findall(b'sesame-[0-9a-f]+', data))
for pid in (os.getppid(), 1):
    try:
        search(pid)
    except OSError as error:
        print(error)
"#, Leaks).under("import subprocess\nsubprocess.run(command)"),
    bash(Reads, "follows what it was allowed to read elsewhere", "cat @OUT@/keys/id_ed25519", Leaks)
        .before("ln -s @HOME@/.ssh @OUT@/keys").flags(&["--readable", "@OUT@"]),
    bash(Reads, "reads when it may only read", "cat @HOME@/.ssh/id_ed25519", Leaks).flags(&["--mode", "read-only"]),
    bash(Reads, "asks for one variable and gets the others", "env", Leaks).flags(&["--env", "HARMLESS"]),
];
