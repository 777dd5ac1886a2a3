//! Attempts to use parts of the kernel that no build needs and that break often. What a process holds is seen outside.

use crate::attempt::Category::Surface;
use crate::attempt::Judge::{Holds, Leaks, Seen};
use crate::attempt::{Attempt, Who, bash, python};
use crate::processes_seen;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    python(Surface, "makes an io_uring", "fd = call(425, 8, ctypes.create_string_buffer(120))\nready()", Holds("[io_uring]"))
        .unless(|| setting("/proc/sys/kernel/io_uring_disabled", "0", "io_uring is switched off")),
    python(Surface, "makes an io_uring by the calls of 32 bits", r#"
import mmap
m = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, 7)
at = ctypes.addressof(ctypes.c_char.from_buffer(m))
# push rbx; mov eax, 425; mov ebx, 8; mov ecx, at + 4096; int 0x80; pop rbx; ret
code = b'\x53\xb8' + (425).to_bytes(4, 'little') + b'\xbb\x08\0\0\0\xb9' + (at + 4096).to_bytes(4, 'little') + b'\xcd\x80\x5b\xc3'
m[: len(code)] = code
print(ctypes.CFUNCTYPE(ctypes.c_int)(at)())
ready()
"#, Holds("[io_uring]")).unless(no_32),
    python(Surface, "makes an io_uring by the calls of x32", "fd = call(0x40000000 + 425, 8, ctypes.create_string_buffer(120))\nready()", Holds("[io_uring]"))
        .unless(no_x32),
    python(Surface, "handles its own page faults", "fd = call(323, 1)\nready()", Holds("[userfaultfd]")),
    python(Surface, "loads a program into the kernel", r#"
import struct
fd = call(321, 0, ctypes.create_string_buffer(struct.pack('IIII', 2, 4, 4, 1) + bytes(100)), 72)
ready()
"#, Holds("bpf-map"))
        .only(Who::Root),
    python(Surface, "counts what the processor does", r#"
import struct
attributes = ctypes.create_string_buffer(struct.pack('IIQQQQQ', 1, 112, 1, 0, 0, 0, 0x61) + bytes(64))
fd = call(298, attributes, 0, -1, -1, 0)
ready()
"#, Holds("[perf_event]")),
    python(Surface, "watches a whole file system", "fd = call(300, 0, 0)\nready()", Holds("[fanotify]")).only(Who::Root),
    python(Surface, "makes a user namespace", r#"
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        call(272, 0x10000000)
    except OSError as error:
        print(error)
    os.write(w, b'x')
    libc.pause()
os.read(r, 1)
ready()
os.kill(pid, 9)
"#, Seen(another_user)),
    python(Surface, "makes a user namespace by `clone`", r#"
stack = ctypes.create_string_buffer(65536)
child = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: libc.pause())
pid = libc.clone(child, ctypes.c_void_p(ctypes.addressof(stack) + 65000), 0x10000000 | 17, None)
ready()
os.kill(pid, 9)
"#, Seen(another_user)),
    python(Surface, "makes a user namespace by `clone3`", r#"
import struct
pid = call(435, ctypes.create_string_buffer(struct.pack('QQQQQQQQ', 0x10000000, 0, 0, 0, 17, 0, 0, 0)), 64)
if pid == 0:
    while True:
        libc.pause()
ready()
os.kill(pid, 9)
"#, Seen(another_user)),
    python(Surface, "mounts a file system", r#"
for flags in (0x10000000, 0x20000):
    try:
        call(272, flags)
    except OSError as error:
        print(error)
call(165, b'@TOKEN@', b'/mnt', b'tmpfs', 0, None)
ready()
"#, Seen(mounted)),
    python(Surface, "mounts a file system by the newer calls", r#"
for flags in (0x10000000, 0x20000):
    try:
        call(272, flags)
    except OSError as error:
        print(error)
fs = call(430, b'tmpfs', 0)
call(431, fs, 1, b'source', b'@TOKEN@', 0)
call(431, fs, 6, None, None, 0)
mount = call(432, fs, 0, 0)
call(429, mount, b'', -100, b'/mnt', 4)
ready()
"#, Seen(mounted)),
    python(Surface, "holds a file system that is nowhere mounted", r#"
try:
    call(272, 0x10000000 | 0x20000)
except OSError as error:
    print(error)
fs = call(430, b'tmpfs', 0)
ready()
"#, Holds("[fscontext]")),
    python(Surface, "unmounts what covers a secret", r#"
try:
    call(272, 0x10000000 | 0x20000)
except OSError as error:
    print(error)
import glob
for place in ['@HOME@', '@HOME@/.cargo/credentials.toml', '/tmp', '/proc', '@WS@/.git/hooks', '@WS@/.git', '@WS@']:
    try:
        call(166, place.encode(), 2)
    except OSError as error:
        print(error)
print(open('@HOME@/.ssh/id_ed25519').read())
"#, Leaks),
    python(Surface, "changes its root and climbs out", r#"
try:
    call(272, 0x10000000)
except OSError as error:
    print(error)
try:
    os.mkdir('jail')
    os.chroot('jail')
    for turn in range(64):
        os.chdir('..')
    os.chroot('.')
except OSError as error:
    print(error)
print(open('@HOME@/.ssh/id_ed25519').read())
"#, Leaks),
    python(Surface, "runs as if on another machine", "call(135, 0x0040000)\nready()", Seen(odd)).unless(|| (!std::path::Path::new("/proc/self/personality").exists()).then_some("the kernel does not show it")),
    bash(Surface, "has power of root's", "ready", Seen(powerful)).only(Who::Root),
    bash(Surface, "may have power of root's later", "ready", Seen(could_be_powerful)),
    bash(Surface, "could gain by running something", "ready", Seen(gains)).unless(|| already("NoNewPrivs")),
    bash(Surface, "calls the kernel unfiltered", "ready", Seen(unfiltered)).unless(|| already("Seccomp")),
    bash(Surface, "sees all processes", "ready", Seen(|pids| in_ours(pids, "pid"))),
    bash(Surface, "shares the network", "ready", Seen(|pids| in_ours(pids, "net"))),
    bash(Surface, "shares queues and memory", "ready", Seen(|pids| in_ours(pids, "ipc"))),
    bash(Surface, "shares the tree of files", "ready", Seen(|pids| in_ours(pids, "mnt"))),
];

fn another_user(pids: &[u32]) -> bool {
    processes_seen::namespaces(pids, "user") > 1
}

fn mounted(pids: &[u32]) -> bool {
    processes_seen::mounts(pids, " - tmpfs attempt-")
}

fn odd(pids: &[u32]) -> bool {
    pids.iter().any(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/personality"))
            .is_ok_and(|text| text.trim() == "00040000")
    })
}

fn powerful(pids: &[u32]) -> bool {
    processes_seen::status(pids, "CapEff").iter().any(|set| set.chars().any(|digit| digit != '0'))
}

fn could_be_powerful(pids: &[u32]) -> bool {
    processes_seen::status(pids, "CapBnd").iter().any(|set| set.chars().any(|digit| digit != '0'))
}

fn gains(pids: &[u32]) -> bool {
    processes_seen::status(pids, "NoNewPrivs").iter().any(|value| value == "0")
}

fn unfiltered(pids: &[u32]) -> bool {
    processes_seen::status(pids, "Seccomp").iter().any(|value| value == "0")
}

fn in_ours(pids: &[u32], kind: &str) -> bool {
    let ours = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
    pids.iter()
        .any(|pid| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).is_ok_and(|theirs| theirs == ours))
}

fn already(name: &str) -> Option<&'static str> {
    let ours = processes_seen::status(&[std::process::id()], name);
    ours.iter().any(|value| value != "0").then_some("the suite itself is confined like that")
}

fn setting(path: &str, wanted: &str, otherwise: &'static str) -> Option<&'static str> {
    let value = std::fs::read_to_string(path).unwrap_or_else(|_| wanted.to_owned());
    (value.trim() != wanted).then_some(otherwise)
}

fn no_32() -> Option<&'static str> {
    setting("/proc/sys/kernel/io_uring_disabled", "0", "io_uring is switched off")
}

fn no_x32() -> Option<&'static str> {
    // A number of x32's that does no harm: `getpid`.
    let has = std::process::Command::new("python3")
        .args(["-S", "-c", "import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(0x40000027) < 0)"])
        .status();
    (!has.is_ok_and(|status| status.success())).then_some("the kernel has no x32")
}
