//! Which system calls a command may not make, as programs for seccomp: a list of what is denied, since a list of what
//! is allowed would break builds with every new kernel. Pure; installing them is [`super::enter`]'s.

use std::collections::BTreeMap;

use libc::{c_long, c_ulong};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, sock_filter,
};

use super::fault::Fault;

/// What kinds of sockets are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// Unix, internet and netlink: the network is a namespace of its own.
    OwnNetwork,
    /// Unix alone: the network is the host's.
    UnixOnly,
}

/// Always denied, whatever the arguments.
const DENIED: &[c_long] = &[
    // asynchronous calls that no filter sees
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_process_madvise,
    // parts of the kernel that attacks like
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_fanotify_init,
    // mounts and namespaces
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_chroot,
    libc::SYS_setns,
    // the machine
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // files by number instead of name
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
];

#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[c_long] = &[
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[c_long] = &[];

/// Answered as if this kernel did not have them: what they are asked to do is in memory, where no filter sees it, and
/// programs fall back to calls that say it in registers.
pub(crate) const UNKNOWN: &[c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// Not in `libc` for every target yet.
const OPEN_TREE_ATTR: c_long = 467;
const FCHMODAT2: c_long = 452;

/// Flags of `clone` and `unshare` that make namespaces.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// For `unshare` alone; in `clone` these are bits of the signal.
const NEW_TIME: u64 = 0x80;

/// Bits that make a program run as its owner or group.
const SET_ID: [u64; 2] = [libc::S_ISUID as u64, libc::S_ISGID as u64];

/// Netlink's families: routes (which `getaddrinfo` asks) and what devices appear.
const NETLINK: [u64; 2] = [libc::NETLINK_ROUTE as u64, libc::NETLINK_KOBJECT_UEVENT as u64];

/// Calls that are numbered from here on are x32's: the same kernel by another door.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// A call that is denied, where all of these hold of its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) call: c_long,
    pub(crate) all_of: Vec<Test>,
}

/// Something that holds of an argument or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) argument: u8,
    pub(crate) holds: Holds,
}

/// What holds of it. All but the first look at the lower 32 bits alone, as the kernel does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// All these bits are set.
    Bits(u64),
    /// As a mode it is that of such a file.
    Kind(libc::mode_t),
    Is(u64),
    IsNot(u64),
}

/// The program: one, since the kernel looks through each for every call that there is when it is installed, and runs each
/// for most that are made.
pub(crate) fn program(sockets: Sockets) -> Result<BpfProgram, Fault> {
    let mut all = answered_as_unknown();
    all.extend(compiled(&denials(sockets))?);
    Ok(all)
}

/// Before all else: `seccompiler` looks at the architecture alone, which is the same for x32, and has one answer for all
/// that is denied.
fn answered_as_unknown() -> BpfProgram {
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let unknown =
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
    // the number of the call is the first thing in `seccomp_data`
    let mut steps = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    #[cfg(target_arch = "x86_64")]
    steps.extend([step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32), unknown.clone()]);
    for call in UNKNOWN {
        // No number of a call is larger.
        let call = u32::try_from(*call).unwrap_or(u32::MAX);
        steps.extend([step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call), unknown.clone()]);
    }
    steps
}

fn compiled(denials: &[Denial]) -> Result<BpfProgram, Fault> {
    let mut rules: BTreeMap<c_long, Vec<Rule>> = BTreeMap::new();
    for Denial { call, all_of } in denials {
        let rules = rules.entry(*call).or_default();
        // A call without any is denied always.
        if !all_of.is_empty() {
            let all_of = all_of.iter().map(condition).collect::<Result<_, _>>()?;
            rules.push(Rule::new(all_of).map_err(wrong)?);
        }
    }
    let arch = std::env::consts::ARCH.try_into().map_err(wrong)?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch).and_then(TryInto::try_into).map_err(wrong)
}

fn condition(test: &Test) -> Result<Condition, Fault> {
    let (length, op, value) = match test.holds {
        Holds::Bits(bits) => (Len::Qword, Op::MaskedEq(bits), bits),
        Holds::Kind(kind) => (Len::Dword, Op::MaskedEq(libc::S_IFMT.into()), kind.into()),
        Holds::Is(value) => (Len::Dword, Op::Eq, value),
        Holds::IsNot(value) => (Len::Dword, Op::Ne, value),
    };
    Condition::new(test.argument, length, op, value).map_err(wrong)
}

/// Everything that is denied.
pub(crate) fn denials(sockets: Sockets) -> Vec<Denial> {
    let mut denials: Vec<Denial> =
        DENIED.iter().chain(DENIED_HERE).map(|call| Denial { call: *call, all_of: Vec::new() }).collect();
    let mut deny = |call: c_long, any_of: Vec<Vec<Test>>| {
        denials.extend(any_of.into_iter().map(|all_of| Denial { call, all_of }));
    };

    let namespaces = |extra: &[u64]| -> Vec<Vec<Test>> {
        let flags = NAMESPACES.iter().map(|flag| u64::from(flag.unsigned_abs()));
        flags.chain(extra.iter().copied()).map(|flag| vec![has(0, flag)]).collect()
    };
    deny(libc::SYS_clone, namespaces(&[]));
    deny(libc::SYS_unshare, namespaces(&[NEW_TIME]));

    // 0xffffffff asks which one it is; 0 is the usual one.
    deny(libc::SYS_personality, vec![vec![is_not(0, 0), is_not(0, 0xffff_ffff)]]);

    // typing into, and pasting to, the terminal
    deny(libc::SYS_ioctl, vec![vec![is(1, libc::TIOCSTI)], vec![is(1, libc::TIOCLINUX)]]);

    let set_id = |argument: u8, and: &[Test]| -> Vec<Vec<Test>> {
        SET_ID.iter().map(|bit| [&[has(argument, *bit)], and].concat()).collect()
    };
    deny(libc::SYS_fchmod, set_id(1, &[]));
    deny(libc::SYS_fchmodat, set_id(2, &[]));
    deny(FCHMODAT2, set_id(2, &[]));
    for kind in [libc::S_IFCHR, libc::S_IFBLK] {
        deny(libc::SYS_mknodat, vec![vec![kind_is(2, kind)]]);
    }
    deny(libc::SYS_mknodat, set_id(2, &[]));
    for creates in [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY] {
        // Without one of these the mode is whatever is in the register.
        let creates = u64::from(creates.unsigned_abs());
        deny(libc::SYS_openat, set_id(3, &[has(2, creates)]));
        #[cfg(target_arch = "x86_64")]
        deny(libc::SYS_open, set_id(2, &[has(1, creates)]));
    }
    #[cfg(target_arch = "x86_64")]
    {
        deny(libc::SYS_chmod, set_id(1, &[]));
        deny(libc::SYS_creat, set_id(1, &[]));
        for kind in [libc::S_IFCHR, libc::S_IFBLK] {
            deny(libc::SYS_mknod, vec![vec![kind_is(1, kind)]]);
        }
        deny(libc::SYS_mknod, set_id(1, &[]));
    }

    let families: &[libc::c_int] = match sockets {
        Sockets::OwnNetwork => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
        Sockets::UnixOnly => &[libc::AF_UNIX],
    };
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        deny(call, vec![families.iter().map(|family| is_not(0, u64::from(family.unsigned_abs()))).collect()]);
    }
    let other_netlink = NETLINK.map(|protocol| is_not(2, protocol));
    let netlink = is(0, libc::AF_NETLINK.unsigned_abs());
    deny(libc::SYS_socket, vec![[&[netlink][..], &other_netlink].concat()]);
    denials
}

fn has(argument: u8, bits: u64) -> Test {
    Test { argument, holds: Holds::Bits(bits) }
}

fn kind_is(argument: u8, kind: libc::mode_t) -> Test {
    Test { argument, holds: Holds::Kind(kind) }
}

fn is(argument: u8, value: impl Into<c_ulong>) -> Test {
    Test { argument, holds: Holds::Is(value.into()) }
}

fn is_not(argument: u8, value: u64) -> Test {
    Test { argument, holds: Holds::IsNot(value) }
}

fn wrong(error: seccompiler::BackendError) -> Fault {
    Fault::new("making the list of denied system calls", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::{ABSENT, ALLOW, ARCH, DENY, judge_by};
    use super::*;

    fn judge(sockets: Sockets, call: c_long, arguments: &[u64]) -> u32 {
        let mut all = [0xdead_beef_dead_f1ff; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        judge_by(&program(sockets).unwrap(), ARCH, u32::try_from(call).unwrap(), all)
    }

    #[test]
    fn what_is_denied_is_denied_and_what_programs_need_is_not() {
        let own = |call, arguments: &[u64]| judge(Sockets::OwnNetwork, call, arguments);
        for call in DENIED.iter().chain(DENIED_HERE) {
            assert_eq!(own(*call, &[]), DENY, "{call}");
        }
        for call in UNKNOWN {
            assert_eq!(own(*call, &[]), ABSENT, "{call}");
        }
        for call in
            [libc::SYS_read, libc::SYS_execve, libc::SYS_mmap, libc::SYS_seccomp, libc::SYS_memfd_create]
        {
            assert_eq!(own(call, &[]), ALLOW, "{call}");
        }
    }

    #[test]
    fn threads_are_not_namespaces() {
        let thread = 0x003d_0f00;
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_clone, &[thread]), ALLOW);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_clone, &[libc::SIGCHLD as u64]), ALLOW);
        for flag in NAMESPACES {
            let flag = flag.unsigned_abs().into();
            assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_clone, &[thread | flag]), DENY, "{flag:#x}");
            assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_unshare, &[flag]), DENY, "{flag:#x}");
        }
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_unshare, &[NEW_TIME]), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_unshare, &[libc::CLONE_FILES as u64]), ALLOW);
    }

    #[test]
    fn a_mode_counts_only_where_a_file_is_made() {
        let create = libc::O_CREAT as u64;
        let temporary = libc::O_TMPFILE as u64;
        let open = |flags, mode| judge(Sockets::OwnNetwork, libc::SYS_openat, &[3, 0, flags, mode]);
        assert_eq!(open(create, 0o4755), DENY);
        assert_eq!(open(temporary, 0o2755), DENY);
        assert_eq!(open(create, 0o1777), ALLOW);
        assert_eq!(open(libc::O_DIRECTORY as u64, 0o4755), ALLOW);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_fchmod, &[3, 0o4755]), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_fchmodat, &[3, 0, 0o2755]), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, FCHMODAT2, &[3, 0, 0o755]), ALLOW);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_mknodat, &[3, 0, 0o020_666]), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_mknodat, &[3, 0, 0o010_666]), ALLOW);
    }

    #[test]
    fn upper_halves_of_arguments_fool_nobody() {
        // The kernel looks at 32 bits of these; so does the filter.
        let high = 1 << 40;
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_ioctl, &[0, libc::TIOCSTI | high]), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_socket, &[libc::AF_VSOCK as u64 | high]), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_fchmod, &[3, 0o4755 | high]), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_clone, &[libc::CLONE_NEWUSER as u64 | high]), DENY);
    }

    #[test]
    fn sockets_are_of_few_families() {
        let socket = |sockets, family: i32, protocol| {
            judge(sockets, libc::SYS_socket, &[family as u64, libc::SOCK_STREAM as u64, protocol])
        };
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK] {
            assert_eq!(socket(Sockets::OwnNetwork, family, 0), ALLOW, "{family}");
            let there = if family == libc::AF_UNIX { ALLOW } else { DENY };
            assert_eq!(socket(Sockets::UnixOnly, family, 0), there, "{family}");
        }
        for family in [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, libc::AF_BLUETOOTH, libc::AF_CAN, 44] {
            assert_eq!(socket(Sockets::OwnNetwork, family, 0), DENY, "{family}");
        }
        assert_eq!(socket(Sockets::OwnNetwork, libc::AF_NETLINK, libc::NETLINK_NETFILTER as u64), DENY);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_socketpair, &[libc::AF_UNIX as u64]), ALLOW);
        assert_eq!(judge(Sockets::OwnNetwork, libc::SYS_socketpair, &[libc::AF_TIPC as u64]), DENY);
    }

    #[test]
    fn a_personality_can_be_asked_but_not_set() {
        let personality = |value| judge(Sockets::OwnNetwork, libc::SYS_personality, &[value]);
        assert_eq!(personality(0xffff_ffff), ALLOW);
        assert_eq!(personality(0), ALLOW);
        assert_eq!(personality(0x0004_0000), DENY);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn no_other_door_leads_to_the_same_calls() {
        let program = program(Sockets::OwnNetwork).unwrap();
        // x32 read, and its own ioctl
        assert_eq!(judge_by(&program, ARCH, X32, [0; 6]), ABSENT);
        assert_eq!(judge_by(&program, ARCH, X32 + 514, [0; 6]), ABSENT);
        // i386
        assert_eq!(judge_by(&program, 0x4000_0003, 3, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
