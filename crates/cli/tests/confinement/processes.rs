//! Attempts to harm or rob other processes, and to outlive the command.

use crate::attempt::Category::Processes;
use crate::attempt::Judge::{Harms, HostSays, Leaks, Survives};
use crate::attempt::{Attempt, Who, bash, python};

/// The host's side of a terminal: gives it to the command, waits, and says what was put into it as if typed.
const TERMINAL: &str = "\
import fcntl, select, termios, tty
controller, terminal = os.openpty()
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(terminal, fd)
    os.close(controller)
    run()
os.waitpid(pid, 0)
tty.setraw(terminal)
while select.select([terminal], [], [], 0.1)[0]:
    print('typed', os.read(terminal, 100))
print('echoed')
print(os.read(controller, 9999).decode().replace('\\r', ''))
";

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Processes, "ends a process", "kill -KILL @V.PID@", Harms),
    bash(Processes, "stops a process", "kill -STOP @V.PID@", Harms),
    python(Processes, "ends a process by a handle", "call(424, os.pidfd_open(@V.PID@), 9, 0, 0)", Harms),
    python(Processes, "ends a thread", "call(234, @V.PID@, @V.TID@, 9)", Harms),
    python(Processes, "sends a signal with a value", r#"
info = ctypes.create_string_buffer(128)
ctypes.cast(info, ctypes.POINTER(ctypes.c_int))[0] = 15
ctypes.cast(info, ctypes.POINTER(ctypes.c_int))[2] = -1
call(129, @V.PID@, 15, info)
"#, Harms),
    python(Processes, "lets the kernel send a signal", r#"
import fcntl, socket
a, b = socket.socketpair()
fcntl.fcntl(a, 10, 9)
fcntl.fcntl(a, fcntl.F_SETOWN, @V.PID@)
fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC)
b.send(b'x')
"#, Harms),
    python(Processes, "lowers a process's priority", "os.setpriority(os.PRIO_PROCESS, @V.PID@, 15)", Harms),
    python(Processes, "limits a process", "import resource\nresource.prlimit(@V.PID@, resource.RLIMIT_NOFILE, (3, 3))", Harms),
    python(Processes, "keeps a process to one processor", "os.sched_setaffinity(@V.PID@, {0})", Harms)
        .unless(|| (std::thread::available_parallelism().map_or(1, |n| n.get()) < 2).then_some("there is but one processor")),
    bash(Processes, "offers a process to the killer of memory hogs", "echo 900 >/proc/@V.PID@/oom_score_adj", Harms),
    python(Processes, "attaches to a process", "call(101, 16, @V.PID@, None, None)\nready()", Harms),
    python(Processes, "seizes a process", "call(101, 0x4206, @V.PID@, None, None)\nready()", Harms),
    python(Processes, "reads another's memory", r#"
import struct
text = ctypes.create_string_buffer(128)
mine = ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(text), 100))
theirs = ctypes.create_string_buffer(struct.pack('QQ', @V.MEM@, 100))
call(310, @V.PID@, mine, 1, theirs, 1, 0)
print(text.value)
"#, Leaks),
    python(Processes, "writes another's memory", r#"
import struct
text = ctypes.create_string_buffer(b'mine')
mine = ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(text), 4))
theirs = ctypes.create_string_buffer(struct.pack('QQ', @V.MEM@, 4))
call(311, @V.PID@, mine, 1, theirs, 1, 0)
"#, Harms),
    python(Processes, "takes another's descriptor", "fd = call(438, os.pidfd_open(@V.PID@), @V.FD@, 0)\nprint(os.pread(fd, 100, 0))", Leaks),
    python(Processes, "reads shared memory", r#"
libc.shmat.restype = ctypes.c_void_p
p = libc.shmat(@V.SHM@, None, 0o10000)
print(ctypes.string_at(p, 60) if p != 2**64 - 1 else '')
"#, Leaks),
    python(Processes, "writes shared memory", r#"
libc.shmat.restype = ctypes.c_void_p
p = libc.shmat(@V.SHM@, None, 0)
if p != 2**64 - 1: ctypes.memmove(p, b'mine', 4)
"#, Harms),
    python(Processes, "sends to a queue", "call(69, @V.MSG@, ctypes.create_string_buffer(b'\\1\\0\\0\\0\\0\\0\\0\\0mine'), 4, 0)", Harms),
    python(Processes, "removes a queue", "call(71, @V.MSG@, 0, 0)", Harms),
    python(Processes, "sets a semaphore", "libc.semctl(@V.SEM@, 0, 16, 7)", Harms),
    python(Processes, "sends to a named queue", "fd = libc.mq_open(b'@V.MQ@', os.O_WRONLY)\nlibc.mq_send(fd, b'mine', 4, 0)", Harms),
    python(Processes, "reads a named piece of memory", "print(open('@V.POSIX@').read())", Leaks),
    python(Processes, "writes a named piece of memory", "open('@V.POSIX@', 'w').write('mine')", Harms),
    python(Processes, "reads a key of the kernel's", "text = ctypes.create_string_buffer(200)\ncall(250, 11, @V.KEY@, text, 200, 0)\nprint(text.value)", Leaks),
    python(Processes, "finds a key of the kernel's by its name", r#"
text = ctypes.create_string_buffer(200)
for ring in (-3, -4, -5):
    try:
        key = call(250, 10, ring, b'user', b'@TOKEN@', 0)
        call(250, 11, key, text, 200, 0)
        print(text.value)
    except OSError as error:
        print(error)
'@V.KEY@'
"#, Leaks),
    python(Processes, "changes a key of the kernel's", "call(250, 2, @V.KEY@, b'mine', 4, 0)", Harms),
    python(Processes, "plants a key of the kernel's", "call(248, b'user', b'@TOKEN@-planted', b'x', 1, -4); '@V.KEY@'", Harms),
    bash(Processes, "leaves a process behind", r#"
{ echo x >up; sleep 300; true; } </dev/null >/dev/null 2>&1 & disown
until test -e up; do sleep 0.01; done
"#, Survives),
    bash(Processes, "leaves a process in a session of its own", r#"
setsid bash -c 'echo x >up; sleep 300; true # @TOKEN@' </dev/null >/dev/null 2>&1 & disown
until test -e up; do sleep 0.01; done
"#, Survives),
    python(Processes, "forks twice and away", r#"
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open('/dev/null', os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.write(w, b'x')
        while True:
            libc.pause()
    os._exit(0)
os.wait()
os.read(r, 1)
"#, Survives),
    python(Processes, "leaves one behind that no signal ends", r#"
import signal
if os.fork() == 0:
    os.setsid()
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    null = os.open('/dev/null', os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    while True:
        signal.pause()
"#, Survives),
    bash(Processes, "types into the terminal", "python3 -c \"import fcntl, termios; [fcntl.ioctl(0, termios.TIOCSTI, bytes([b])) for b in b'evil']\"", HostSays("evil"))
        .under(TERMINAL).unless(no_typing),
    bash(Processes, "types into the terminal by its name", r#"
python3 -c "import fcntl, termios, os; fd = os.open('/dev/tty', os.O_RDWR); [fcntl.ioctl(fd, termios.TIOCSTI, bytes([b])) for b in b'evil']"
"#, HostSays("evil"))
        .under(TERMINAL).unless(no_typing),
    python(Processes, "types into the terminal by a longer number", r#"
import termios
for b in b'evil':
    call(16, 0, 0x100005412, ctypes.create_string_buffer(bytes([b])))
"#, HostSays("evil")).under(TERMINAL).unless(no_typing),
    python(Processes, "becomes root by a program that may", r#"
import subprocess
child = subprocess.Popen(['su', '-c', 'true', 'root'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
child.stdout.read(1)
ready()
child.kill()
"#, crate::attempt::Judge::Seen(one_is_root)).only(Who::NormalUser),
];

fn no_typing() -> Option<&'static str> {
    let setting =
        std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").unwrap_or_else(|_| "1".to_owned());
    (setting.trim() != "1" && !rustix::process::geteuid().is_root()).then_some("the kernel forbids it to all")
}

fn one_is_root(pids: &[u32]) -> bool {
    crate::processes_seen::status(pids, "Uid").iter().any(|ids| ids.split_whitespace().nth(1) == Some("0"))
}
