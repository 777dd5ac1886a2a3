//! Attempts by descriptors that the command inherits from what started it.

use crate::attempt::Category::Descriptors;
use crate::attempt::Judge::{Harms, Leaks, Outside, Reaches, Seen};
use crate::attempt::{Attempt, Who, bash, python};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Descriptors, "reads an open secret", "cat <&7", Leaks)
        .under("os.dup2(os.open('@HOME@/.netrc', os.O_RDONLY), 7)\nrun()"),
    bash(
        Descriptors,
        "reads an open secret of a high number",
        "python3 -c \"import os; print(os.pread(900, 100, 0))\"",
        Leaks,
    )
    .under("os.dup2(os.open('@HOME@/.netrc', os.O_RDONLY), 900)\nrun()"),
    bash(Descriptors, "writes an open file", "echo x >&7", Outside)
        .under("os.dup2(os.open('@OUT@/file', os.O_WRONLY), 7)\nrun()"),
    bash(Descriptors, "opens an open file again to write", "echo x >/proc/self/fd/7", Outside)
        .under("os.dup2(os.open('@OUT@/file', os.O_RDONLY), 7)\nrun()"),
    python(
        Descriptors,
        "opens a secret from an open folder",
        "print(os.read(os.open('.ssh/id_ed25519', os.O_RDONLY, dir_fd=7), 100))",
        Leaks,
    )
    .under("os.dup2(os.open('@HOME@', os.O_RDONLY), 7)\nrun()"),
    python(
        Descriptors,
        "opens a secret from the open root",
        "print(os.read(os.open('@HOME@/.ssh/id_ed25519'[1:], os.O_RDONLY, dir_fd=7), 100))",
        Leaks,
    )
    .under("os.dup2(os.open('/', os.O_PATH), 7)\nrun()"),
    python(
        Descriptors,
        "changes to an open folder",
        "os.fchdir(7)\nopen('out/file', 'a').write('x')",
        Outside,
    )
    .under("os.dup2(os.open('@RUN@/..', os.O_RDONLY), 7)\nrun()"),
    python(
        Descriptors,
        "speaks on an open connection",
        "import socket\nsocket.socket(fileno=7).send(b'@TOKEN@')",
        Reaches,
    )
    .under(
        r#"
import socket
a = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
a.connect('@UNIXD@')
os.dup2(a.fileno(), 7)
run()
"#,
    ),
    python(Descriptors, "ends a process by an open handle", "call(424, 7, 9, 0, 0)", Harms)
        .under("os.dup2(os.pidfd_open(@V.PID@), 7)\nrun()"),
    python(Descriptors, "reads an open piece of memory", "import mmap\nprint(mmap.mmap(7, 64)[:])", Leaks)
        .under(
            r#"
fd = os.memfd_create('x')
os.write(fd, open('@HOME@/.netrc', 'rb').read().ljust(64))
os.dup2(fd, 7)
run()
"#,
        ),
    python(
        Descriptors,
        "goes back to an open namespace",
        "call(308, 7, 0)\nprint(open('@HOME@/.ssh/id_ed25519').read())",
        Leaks,
    )
    .under("os.dup2(os.open('/proc/self/ns/mnt', os.O_RDONLY), 7)\nrun()")
    .only(Who::Root),
    python(
        Descriptors,
        "opens again to write what it was given to read",
        "open('/proc/self/fd/0', 'w').write('x')",
        Outside,
    )
    .under("os.dup2(os.open('@OUT@/file', os.O_RDONLY), 0)\nrun()"),
    python(
        Descriptors,
        "opens again to read what it was given to write",
        "print(open('/proc/self/fd/2').read(), flush=True)",
        Leaks,
    )
    .under(
        r#"
import shutil
shutil.copy('@HOME@/.netrc', '@OUT@/log')
os.dup2(os.open('@OUT@/log', os.O_WRONLY | os.O_APPEND), 2)
run()
"#,
    ),
    bash(
        Descriptors,
        "opens a secret in a folder that it was given as its input",
        "cat /proc/self/fd/0/.ssh/id_ed25519; cd /proc/self/fd/0; cat .ssh/id_ed25519",
        Leaks,
    )
    .under("os.dup2(os.open('@HOME@', os.O_RDONLY), 0)\nrun()"),
    bash(
        Descriptors,
        "climbs up from a folder that it was given as its input",
        "cat /proc/self/fd/0/../.ssh/id_ed25519; cd /proc/self/fd/0; cat ../.ssh/id_ed25519",
        Leaks,
    )
    .under("os.dup2(os.open('@HOME@/bin', os.O_RDONLY), 0)\nrun()"),
    python(
        Descriptors,
        "is sent a folder by a descriptor that it was given",
        r#"
import socket
message, fds, _, _ = socket.recv_fds(socket.socket(fileno=7), 10, 1)
print(os.read(os.open('.ssh/id_ed25519', os.O_RDONLY, dir_fd=fds[0]), 100))
"#,
        Leaks,
    )
    .under(
        r#"
import socket
a, b = socket.socketpair()
socket.send_fds(a, [b'x'], [os.open('@HOME@', os.O_RDONLY)])
os.dup2(b.fileno(), 7)
os.set_inheritable(a.fileno(), True)
run()
"#,
    ),
    bash(Descriptors, "has any descriptor but the first three", "ready", Seen(has_more))
        .under("os.dup2(os.open('/etc/passwd', os.O_RDONLY), 7)\nrun()"),
];

fn has_more(pids: &[u32]) -> bool {
    let numbers = pids
        .iter()
        .flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten());
    let mut numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.any(|number| number > 2)
}
