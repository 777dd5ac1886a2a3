//! Attempts by what the kernel shows of processes, and of itself, in `/proc` and `/sys`.

use crate::attempt::Category::Proc;
use crate::attempt::Judge::{Harms, Holds, HoldsForWriting, Leaks};
use crate::attempt::{Attempt, Who, bash, python};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Proc, "reads another's environment", "cat /proc/@V.PID@/environ", Leaks),
    bash(Proc, "reads everybody's arguments", "cat /proc/[0-9]*/cmdline; ps axww; : @V.PID@", Leaks),
    bash(Proc, "reads everybody's environment", "cat /proc/[0-9]*/environ; : @V.PID@", Leaks),
    python(Proc, "reads another's memory as a file", "file = open('/proc/@V.PID@/mem', 'rb')\nfile.seek(@V.MEM@)\nprint(file.read(64))", Leaks),
    python(Proc, "writes another's memory as a file", "file = open('/proc/@V.PID@/mem', 'r+b', 0)\nfile.seek(@V.MEM@)\nfile.write(b'mine')", Harms),
    bash(Proc, "reads what another has open", "cat /proc/@V.PID@/fd/@V.FD@", Leaks),
    bash(Proc, "sees through another's root", "cat /proc/@V.PID@/root@HOME@/.ssh/id_ed25519", Leaks),
    bash(Proc, "sees through another's folder", "cat /proc/@V.PID@/cwd/home/.ssh/id_ed25519", Leaks),
    bash(Proc, "sees through anybody's root", "for p in /proc/[0-9]*; do cat $p/root@HOME@/.ssh/id_ed25519; done", Leaks),
    python(Proc, "would name what the kernel runs for a dump", "file = open('/proc/sys/kernel/core_pattern', 'r+')\nready()", HoldsForWriting("/proc/sys/kernel/core_pattern")).only(Who::Root),
    python(Proc, "would name what the kernel runs for a module", "file = open('/proc/sys/kernel/modprobe', 'r+')\nready()", HoldsForWriting("/proc/sys/kernel/modprobe")).only(Who::Root).unless(|| absent("/proc/sys/kernel/modprobe")),
    python(Proc, "would change the kernel's settings", "file = open('/proc/sys/kernel/printk_ratelimit_burst', 'r+')\nready()", HoldsForWriting("/proc/sys/kernel/printk_ratelimit_burst")).only(Who::Root),
    python(Proc, "would change how addresses are laid out", "file = open('/proc/sys/kernel/randomize_va_space', 'r+')\nready()", HoldsForWriting("/proc/sys/kernel/randomize_va_space")).only(Who::Root),
    python(Proc, "would change settings of memory", "file = open('/proc/sys/vm/overcommit_memory', 'r+')\nready()", HoldsForWriting("/proc/sys/vm/overcommit_memory")).only(Who::Root),
    python(Proc, "would change settings of file systems", "file = open('/proc/sys/fs/protected_hardlinks', 'r+')\nready()", HoldsForWriting("/proc/sys/fs/protected_hardlinks")).only(Who::Root),
    python(Proc, "would pull the emergency brake", "file = os.open('/proc/sysrq-trigger', os.O_WRONLY)\nready()", HoldsForWriting("/proc/sysrq-trigger")).only(Who::Root).unless(|| absent("/proc/sysrq-trigger")),
    python(Proc, "would read the kernel's memory", "file = os.open('/proc/kcore', os.O_RDONLY)\nready()", Holds("/proc/kcore")).only(Who::Root).unless(|| absent("/proc/kcore")),
    python(Proc, "would read the kernel's messages", "file = os.open('/dev/kmsg', os.O_RDONLY)\nready()", Holds("/dev/kmsg")).only(Who::Root),
    python(Proc, "would write the kernel's messages", "file = os.open('/dev/kmsg', os.O_WRONLY)\nready()", HoldsForWriting("/dev/kmsg")).only(Who::Root),
    python(Proc, "would read the disk", r#"
import glob, stat
fds = []
for name in glob.glob('/dev/*'):
    if stat.S_ISBLK(os.stat(name).st_mode) and name.startswith(('/dev/vd', '/dev/sd', '/dev/nvme', '/dev/loop', '/dev/xvd', '/dev/dm-')):
        try:
            fds.append(os.open(name, os.O_RDONLY))
        except OSError as error:
            print(error)
ready()
"#, Holds("/dev/")).only(Who::Root).unless(no_disk),
    python(Proc, "would read the machine's memory", "file = os.open('/dev/mem', os.O_RDONLY)\nready()", Holds("/dev/mem"))
        .only(Who::Root).unless(|| std::fs::File::open("/dev/mem").is_err().then_some("there is no `/dev/mem` to open")),
    python(Proc, "would read ports", "file = os.open('/dev/port', os.O_RDONLY)\nready()", Holds("/dev/port"))
        .only(Who::Root).unless(|| std::fs::File::open("/dev/port").is_err().then_some("there is no `/dev/port` to open")),
    python(Proc, "would run a machine of its own", "file = os.open('/dev/kvm', os.O_RDWR)\nready()", Holds("/dev/kvm"))
        .only(Who::Root).unless(|| std::fs::File::open("/dev/kvm").is_err().then_some("there is no `/dev/kvm` to open")),
    python(Proc, "would serve a file system", "file = os.open('/dev/fuse', os.O_RDWR)\nready()", Holds("/dev/fuse"))
        .only(Who::Root).unless(|| std::fs::File::open("/dev/fuse").is_err().then_some("there is no `/dev/fuse` to open")),
    python(Proc, "would change the kernel by `/sys`", r#"
for place in ('/sys/kernel/uevent_helper', '/sys/kernel/mm/transparent_hugepage/enabled', '/sys/power/state', '/sys/module/printk/parameters/time'):
    try:
        file = os.open(place, os.O_WRONLY)
        break
    except OSError as error:
        print(error)
ready()
"#, HoldsForWriting("/sys/")).only(Who::Root),
    python(Proc, "would leave its group of processes", r#"
import glob
held = []
for place in glob.glob('/sys/fs/cgroup/cgroup.procs') + glob.glob('/sys/fs/cgroup/*/cgroup.procs'):
    try:
        held.append(os.open(place, os.O_WRONLY))
    except OSError as error:
        print(error)
ready()
"#, HoldsForWriting("/cgroup.procs")).only(Who::Root).unless(no_groups),
    bash(Proc, "would make the killer of memory hogs spare it", "echo -500 >/proc/self/oom_score_adj; ready", crate::attempt::Judge::Seen(spared)).only(Who::Root).unless(no_sparing),
    python(Proc, "would open a device that is in the workspace", "file = os.open('log', os.O_RDONLY)\nready()", Holds("/log"))
        .only(Who::Root).before("mknod @WS@/log c 1 11"),
];

fn absent(path: &str) -> Option<&'static str> {
    (!std::path::Path::new(path).exists()).then_some("this machine has no such file")
}

fn no_sparing() -> Option<&'static str> {
    let sets = crate::processes_seen::status(&[std::process::id()], "CapEff");
    let may = sets.iter().any(|set| u64::from_str_radix(set, 16).is_ok_and(|set| set & (1 << 24) != 0));
    (!may).then_some("root has no power over resources here")
}

fn no_disk() -> Option<&'static str> {
    let is =
        |name: &str| ["vd", "sd", "nvme", "loop", "xvd", "dm-"].iter().any(|start| name.starts_with(start));
    let found =
        std::fs::read_dir("/dev").into_iter().flatten().flatten().any(|entry| {
            is(&entry.file_name().to_string_lossy()) && std::fs::File::open(entry.path()).is_ok()
        });
    (!found).then_some("there is no disk to open")
}

fn no_groups() -> Option<&'static str> {
    let found = std::fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name() == "cgroup.procs" || entry.path().join("cgroup.procs").exists());
    (!found).then_some("there are no groups of processes")
}

fn spared(pids: &[u32]) -> bool {
    pids.iter().any(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).is_ok_and(|text| text.trim() == "-500")
    })
}
