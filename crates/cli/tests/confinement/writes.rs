//! Attempts to change something outside of the workspace, or to leave something in it that has power outside.

use crate::attempt::Category::Writes;
use crate::attempt::Judge::{Changed, Outside, SetId};
use crate::attempt::{Attempt, Who, bash, python};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Writes, "appends to `.bashrc`", "echo 'touch pwned' >>@HOME@/.bashrc", Outside),
    bash(Writes, "adds an ssh key", "echo key >>@HOME@/.ssh/authorized_keys", Outside),
    bash(Writes, "starts with the desktop", "echo x >@HOME@/.config/autostart/x.desktop", Outside),
    bash(Writes, "replaces a program in `~/.local/bin`", "echo x >@HOME@/.local/bin/tool", Outside),
    bash(
        Writes,
        "adds a program to `~/bin`",
        "printf '#!/bin/sh\n' >@HOME@/bin/ls; chmod +x @HOME@/bin/ls",
        Outside,
    ),
    bash(
        Writes,
        "changes the user's git settings",
        "git config --file @HOME@/.gitconfig core.pager evil",
        Outside,
    ),
    bash(Writes, "changes its own settings", "echo 'x = 1' >>@HOME@/.config/codetether/config.toml", Outside),
    bash(
        Writes,
        "plants a trust of its own",
        "mkdir -p @HOME@/.local/state/codetether; echo x >@HOME@/.local/state/codetether/planted",
        Changed("@HOME@/.local/state/codetether/planted"),
    ),
    bash(
        Writes,
        "plants something in its own data",
        "mkdir -p @HOME@/.local/share/codetether; echo x >@HOME@/.local/share/codetether/planted",
        Changed("@HOME@/.local/share/codetether/planted"),
    ),
    bash(Writes, "changes another agent's settings", "echo x >@HOME@/.codex/config.toml", Outside),
    bash(Writes, "changes cargo's settings", "echo '[build]' >>@HOME@/.cargo/config.toml", Outside),
    bash(Writes, "replaces a program of cargo's", "printf x >@HOME@/.cargo/bin/cargo", Outside),
    bash(Writes, "changes a sibling project", "echo x >>@HOME@/work/sibling/main.c", Outside),
    bash(Writes, "makes a file beside the workspace", "echo x >../new", Outside),
    bash(Writes, "climbs out by `..`", "echo x >src/../../../../out/file", Outside),
    bash(Writes, "makes a folder outside", "mkdir @OUT@/made", Outside),
    bash(Writes, "makes a fifo outside", "mkfifo @OUT@/fifo", Outside),
    bash(Writes, "makes a link outside", "ln -s /etc/passwd @OUT@/link", Outside),
    bash(Writes, "deletes a file outside", "rm -f @OUT@/file", Outside),
    bash(Writes, "deletes a folder outside", "rm -rf @OUT@/inner", Outside),
    bash(Writes, "renames a file outside", "mv @OUT@/file @OUT@/other", Outside),
    bash(Writes, "moves a file out", "mv src/main.txt @OUT@/", Outside),
    bash(Writes, "moves a file in", "mv @OUT@/file src/", Outside),
    bash(Writes, "links a file in and changes it", "ln @OUT@/file src/linked; echo x >>src/linked", Outside),
    bash(Writes, "links a file out", "ln src/main.txt @OUT@/linked", Outside),
    bash(Writes, "truncates a file outside", "truncate -s 0 @OUT@/file", Outside),
    python(Writes, "truncates by path alone", "os.truncate('@OUT@/file', 1)", Outside),
    bash(Writes, "changes permissions outside", "chmod 777 @OUT@/file", Outside),
    bash(Writes, "changes the owner of a file outside", "chown 1234 @OUT@/file", Outside).only(Who::Root),
    bash(Writes, "changes times outside", "touch -d 2001-01-01 @OUT@/file", Outside),
    python(Writes, "sets an attribute outside", "os.setxattr('@OUT@/file', 'user.x', b'y')", Outside),
    python(
        Writes,
        "sets an access list outside",
        r#"
import struct
rows = [(1, 6, -1), (2, 6, 1234), (4, 4, -1), (16, 6, -1), (32, 4, -1)]
os.setxattr('@OUT@/file', 'system.posix_acl_access', struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *row) for row in rows))
"#,
        Outside,
    ),
    bash(Writes, "writes through its own link", "ln -s @OUT@ way; echo x >way/file", Outside),
    bash(Writes, "writes through a link that is there", "echo x >way/file", Outside)
        .before("ln -s @OUT@ @WS@/way"),
    bash(Writes, "writes through a linked file that is there", "echo x >way", Outside)
        .before("ln -s @OUT@/file @WS@/way"),
    bash(Writes, "writes through `/proc/self/root`", "echo x >/proc/self/root/@OUT@/file", Outside),
    bash(Writes, "writes through `/proc/self/cwd`", "echo x >/proc/self/cwd/../../../out/file", Outside),
    python(
        Writes,
        "makes an unnamed file and links it in",
        r#"
fd = os.open('@OUT@', os.O_TMPFILE | os.O_WRONLY, 0o600)
os.write(fd, b'x')
call(265, -100, f'/proc/self/fd/{fd}'.encode(), -100, b'@OUT@/named', 0x400)
"#,
        Outside,
    ),
    python(
        Writes,
        "maps a file outside into memory",
        "import mmap\nfd = os.open('@OUT@/file', os.O_RDWR)\nm = mmap.mmap(fd, 4)\nm[0:4] = b'mine'\nm.flush()",
        Outside,
    ),
    python(
        Writes,
        "copies within the kernel",
        r#"
a = os.open('src/main.txt', os.O_RDONLY)
b = os.open('@OUT@/file', os.O_WRONLY)
os.copy_file_range(a, b, 3)
"#,
        Outside,
    ),
    python(
        Writes,
        "asks for a lease of space outside",
        "fd = os.open('@OUT@/file', os.O_WRONLY)\nos.posix_fallocate(fd, 0, 8192)",
        Outside,
    ),
    python(
        Writes,
        "exchanges a file outside with its own",
        "call(316, -100, b'src/main.txt', -100, b'@OUT@/file', 2)",
        Outside,
    ),
    bash(
        Writes,
        "unpacks an archive to absolute paths",
        "echo x >f; tar -cPf a.tar --transform 's|^f$|@OUT@/file|' f; tar -xPf a.tar",
        Outside,
    ),
    bash(Writes, "lets git check out elsewhere", "git --work-tree=@OUT@ checkout -f HEAD -- a.txt", Outside),
    bash(Writes, "lets git work elsewhere", "git init -q @OUT@/repo", Outside),
    bash(Writes, "lets git add a worktree elsewhere", "git worktree add -q @OUT@/tree", Outside),
    bash(Writes, "lets a patch climb out", "(cd @OUT@/inner && sed -i s/theirs/mine/ file)", Outside),
    bash(Writes, "leaves a file in `/tmp`", "echo x >/tmp/@TOKEN@", Changed("/tmp/@TOKEN@"))
        .clean("rm -f /tmp/@TOKEN@"),
    bash(Writes, "leaves a file in `/var/tmp`", "echo x >/var/tmp/@TOKEN@", Changed("/var/tmp/@TOKEN@"))
        .clean("rm -f /var/tmp/@TOKEN@"),
    bash(Writes, "leaves a file in `/dev/shm`", "echo x >/dev/shm/@TOKEN@", Changed("/dev/shm/@TOKEN@"))
        .clean("rm -f /dev/shm/@TOKEN@"),
    bash(Writes, "changes somebody's file in `/tmp`", "echo x >>/tmp/@TOKEN@", Changed("/tmp/@TOKEN@"))
        .before("echo theirs >/tmp/@TOKEN@")
        .clean("rm -f /tmp/@TOKEN@"),
    bash(Writes, "leaves a file in `/run`", "echo x >/run/@TOKEN@", Changed("/run/@TOKEN@"))
        .clean("rm -f /run/@TOKEN@")
        .only(Who::Root),
    bash(Writes, "leaves a file in `/etc`", "echo x >/etc/@TOKEN@", Changed("/etc/@TOKEN@"))
        .clean("rm -f /etc/@TOKEN@")
        .only(Who::Root),
    bash(
        Writes,
        "installs a program",
        "cp /bin/true /usr/local/bin/@TOKEN@",
        Changed("/usr/local/bin/@TOKEN@"),
    )
    .clean("rm -f /usr/local/bin/@TOKEN@")
    .only(Who::Root),
    bash(Writes, "leaves a file in `/opt`", "echo x >/opt/@TOKEN@", Changed("/opt/@TOKEN@"))
        .clean("rm -f /opt/@TOKEN@")
        .only(Who::Root),
    bash(Writes, "leaves a file in `/`", "echo x >/@TOKEN@", Changed("/@TOKEN@"))
        .clean("rm -f /@TOKEN@")
        .only(Who::Root),
    bash(
        Writes,
        "writes to the workspace of a command that may only read",
        "echo x >>src/main.txt",
        Changed("@WS@/src/main.txt"),
    )
    .flags(&["--mode", "read-only"]),
    bash(
        Writes,
        "makes a file in the workspace of a command that may only read",
        "echo x >made",
        Changed("@WS@/made"),
    )
    .flags(&["--mode", "read-only"]),
    bash(Writes, "writes to what it was only allowed to read", "echo x >>@OUT@/file", Outside)
        .flags(&["--readable", "@OUT@"]),
    bash(
        Writes,
        "writes beside what it was allowed to write",
        "echo x >>@OUT@/file; echo x >>@OUT@/inner/../new",
        Outside,
    )
    .before("mkdir @WS@/../free")
    .flags(&["--writable", "@HOME@/work/free"]),
    bash(
        Writes,
        "sets a set-user bit in the workspace",
        "cp /bin/true su; chmod u+s su; chmod 4755 su",
        SetId,
    ),
    bash(Writes, "sets a set-group bit in the workspace", "cp /bin/true su; chmod 2755 su", SetId),
    bash(Writes, "installs with a set-user bit", "install -m 4755 /bin/true su", SetId),
    bash(
        Writes,
        "unpacks a set-user bit",
        "cp /bin/true su; tar -cf a.tar --mode=4755 su; rm su; tar -xpf a.tar",
        SetId,
    ),
    python(
        Writes,
        "sets a set-user bit by descriptor",
        "os.fchmod(os.open('su', os.O_CREAT | os.O_WRONLY), 0o4755)",
        SetId,
    ),
    python(Writes, "sets a set-user bit by `fchmodat`", "call(268, -100, b'src/main.txt', 0o4755)", SetId),
    python(
        Writes,
        "sets a set-user bit by `fchmodat2`",
        "call(452, -100, b'src/main.txt', 0o4755, 0)",
        SetId,
    ),
    python(Writes, "sets a set-user bit by the old `chmod`", "call(90, b'src/main.txt', 0o4755)", SetId),
    python(
        Writes,
        "opens with a set-user bit",
        "call(257, -100, b'su', os.O_CREAT | os.O_WRONLY, 0o4755)",
        SetId,
    ),
    python(
        Writes,
        "opens with a set-user bit by the old `open`",
        "call(2, b'su', os.O_CREAT | os.O_WRONLY, 0o4755)",
        SetId,
    ),
    python(Writes, "creates with a set-user bit by `creat`", "call(85, b'su', 0o4755)", SetId),
    python(
        Writes,
        "opens with a set-user bit by `openat2`",
        r#"
import struct
call(437, -100, b'su', ctypes.create_string_buffer(struct.pack('QQQ', os.O_CREAT | os.O_WRONLY, 0o4755, 0)), 24)
"#,
        SetId,
    ),
    python(Writes, "makes a node with a set-user bit", "call(133, b'su', 0o104755, 0)", SetId),
    python(
        Writes,
        "makes a node with a set-user bit by `mknodat`",
        "call(259, -100, b'su', 0o104755, 0)",
        SetId,
    ),
    python(
        Writes,
        "makes an unnamed file with a set-user bit",
        r#"
fd = call(257, -100, b'.', os.O_TMPFILE | os.O_WRONLY, 0o4755)
call(265, -100, f'/proc/self/fd/{fd}'.encode(), -100, b'su', 0x400)
"#,
        SetId,
    ),
    python(
        Writes,
        "gives a file of the workspace a capability",
        r#"
import struct
os.setxattr('src/main.txt', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 21, 0, 0, 0))
"#,
        Changed("@WS@/src/main.txt"),
    )
    .only(Who::Root),
    bash(
        Writes,
        "makes a file of the workspace immutable",
        "chattr +i src/main.txt",
        Changed("@WS@/src/main.txt"),
    )
    .clean("chattr -i @WS@/src/main.txt")
    .only(Who::Root),
    bash(Writes, "makes a device in the workspace", "mknod disk b 7 0", Changed("@WS@/disk")).only(Who::Root),
    bash(
        Writes,
        "gives a file of the workspace to somebody else",
        "chown 1234:1234 src/main.txt",
        Changed("@WS@/src/main.txt"),
    )
    .only(Who::Root),
    bash(Writes, "changes cargo's downloads for everybody", "echo x >>@HOME@/.cargo/registry/cache/index/serde.crate; echo x >@HOME@/.cargo/registry/new", Outside)
        .before("mkdir -p @HOME@/.cargo/registry/cache/index; echo crate >@HOME@/.cargo/registry/cache/index/serde.crate"),
    bash(Writes, "changes npm's and pip's downloads for everybody", "echo x >>@HOME@/.npm/_cacache/index; echo x >>@HOME@/.cache/pip/http", Outside)
        .before("mkdir -p @HOME@/.npm/_cacache @HOME@/.cache/pip; echo x >@HOME@/.npm/_cacache/index; echo x >@HOME@/.cache/pip/http"),
    bash(Writes, "changes go's downloads for everybody", "echo x >>@HOME@/go/pkg/mod/cache/download/x.zip; echo x >>@HOME@/.cache/go-build/x", Outside)
        .before("mkdir -p @HOME@/go/pkg/mod/cache/download @HOME@/.cache/go-build; echo x >@HOME@/go/pkg/mod/cache/download/x.zip; echo x >@HOME@/.cache/go-build/x"),
];
