//! Attempts to take more than was allowed. Each takes little more, so that bare it harms no machine.

use crate::attempt::Category::Resources;
use crate::attempt::Judge::{Changed, Larger, Seen};
use crate::attempt::{Attempt, bash, python};
use crate::processes_seen;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    python(Resources, "takes more memory", "block = bytearray(400 << 20)\nready()", Seen(fat))
        .flags(&["--mem", "128M"]),
    python(
        Resources,
        "takes more memory by a map",
        r#"
import mmap
m = mmap.mmap(-1, 400 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, 400 << 20, 4096): m[at] = 1
ready()
"#,
        Seen(fat),
    )
    .flags(&["--mem", "128M"]),
    python(
        Resources,
        "starts more processes",
        r#"
pids = []
try:
    for turn in range(150):
        pid = os.fork()
        if pid == 0:
            sys.stdin.readline()
            os._exit(0)
        pids.append(pid)
except OSError as error:
    print(error)
ready()
"#,
        Seen(many),
    )
    .flags(&["--pids", "64"]),
    python(
        Resources,
        "starts more threads",
        r#"
import threading
event = threading.Event()
try:
    for turn in range(150):
        threading.Thread(target=event.wait, daemon=True).start()
except RuntimeError as error:
    print(error)
ready()
"#,
        Seen(many),
    )
    .flags(&["--pids", "64"]),
    python(
        Resources,
        "starts more processes in a session of their own",
        r#"
try:
    for turn in range(150):
        if os.fork() == 0:
            os.setsid()
            sys.stdin.readline()
            os._exit(0)
except OSError as error:
    print(error)
ready()
"#,
        Seen(many),
    )
    .flags(&["--pids", "64"]),
    bash(Resources, "writes a larger file", "head -c 8M /dev/zero >large", Larger("@WS@/large", 1 << 20))
        .flags(&["--fsize", "1M"]),
    bash(Resources, "runs longer", "sleep 2; echo x >late", Changed("@WS@/late")).flags(&["--time", "1"]),
    bash(
        Resources,
        "runs longer and ignores signals",
        "trap '' TERM INT HUP XCPU ALRM; for i in 1 2 3 4; do sleep 0.5; done; echo x >late",
        Changed("@WS@/late"),
    )
    .flags(&["--time", "1"]),
    bash(
        Resources,
        "runs longer in the background",
        "setsid bash -c 'sleep 2; echo x >late' </dev/null >/dev/null 2>&1 & wait",
        Changed("@WS@/late"),
    )
    .flags(&["--time", "1"]),
    python(Resources, "dumps its memory", "import resource\nready()", Seen(may_dump)),
];

const LIMIT: u64 = 200 << 20;

fn fat(pids: &[u32]) -> bool {
    processes_seen::status(pids, "VmRSS").iter().any(|row| {
        row.split_whitespace()
            .next()
            .and_then(|kib| kib.parse::<u64>().ok())
            .is_some_and(|kib| kib << 10 > LIMIT)
    })
}

fn many(pids: &[u32]) -> bool {
    processes_seen::threads(pids) > 100
}

fn may_dump(pids: &[u32]) -> bool {
    pids.iter().any(|pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let row = text.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap_or("0 0");
        row.split_whitespace().nth(1).is_some_and(|hard| hard != "0")
    })
}
