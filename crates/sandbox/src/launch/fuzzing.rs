//! What must hold of what comes in from elsewhere, whatever the bytes: for the fuzz targets, and in short for the tests. Not
//! part of the product.

#![allow(clippy::unwrap_used, reason = "what cannot be set up here proves nothing")]

use std::io::Write;
use std::sync::LazyLock;

use libc::c_long;
use seccompiler::{BpfProgram, sock_filter};

use super::filter::{self, Denial, Holds, Sockets, Test};
use super::layout::{Access, Layout, Place};
use super::survey::{Mask, Pin, Survey};
use super::wire::{self, Job, LONGEST};
use super::{Policy, Report};

/// More is never read at a time by a test.
const INPUT_MAX: usize = 64 << 10;

pub(crate) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
pub(crate) const DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
pub(crate) const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();

#[cfg(target_arch = "x86_64")]
pub(crate) const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(crate) const ARCH: u32 = 0xc000_00b7;

/// A policy as `sandbox keep` reads it: one that can be read means the same when it is passed on, and its plan lets nothing
/// be written that it does not name and opens nothing that is to be masked.
///
/// # Panics
/// When that does not hold.
pub fn policy(bytes: &[u8]) {
    let Ok(policy) = serde_json::from_slice::<Policy>(bytes) else { return };
    let again = serde_json::to_vec(&policy).unwrap();
    assert_eq!(serde_json::from_slice::<Policy>(&again).unwrap(), policy);
    let secret = policy.root.join("secret");
    let survey = Survey {
        home: "/home/ada".into(),
        memory: 1 << 14,
        system: vec!["/usr".into()],
        pins: vec![Pin::frozen(policy.root.join(".git/hooks"), "they are run outside")],
        masks: vec![Mask { path: secret.clone(), folder: false, why: "a secret".into() }],
        ..Survey::default()
    };
    let layout = Layout::of(&policy, &survey);
    for (path, spot) in &layout.spots {
        let named = *path == policy.root || policy.writable.iter().any(|grant| grant.path == *path);
        let writes = spot.place == Place::Host(Access::Write);
        assert!(!writes || (named && policy.writes()), "{} can be written", path.display());
    }
    let secret = layout.at(&secret).map(|(_, spot)| &spot.place);
    assert_eq!(secret, Some(&Place::Masked { folder: false }));
}

/// A command as bytes: one that can be read is one, and is passed on as it is.
///
/// # Panics
/// When that does not hold.
pub fn job(bytes: &[u8]) {
    let Ok(job) = Job::decode(bytes) else { return };
    assert!(!job.argv.is_empty(), "a command without a program");
    let names = job.env.iter().map(|(name, _)| name.as_encoded_bytes());
    for name in names {
        assert!(!name.is_empty() && !name[1..].contains(&b'='), "a name that is none: {name:?}");
    }
    assert_eq!(Job::decode(&job.encode().unwrap()).unwrap(), job);
}

/// Bytes from the other end of a pair of sockets: each frame is what its length says and no longer than the longest; what is
/// cut off is an error and no frame; what is no report is an error.
///
/// # Panics
/// When that does not hold.
pub fn frames(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(INPUT_MAX)];
    for as_reports in [false, true] {
        let (near, far) = wire::pair().unwrap();
        // It fits into what the kernel keeps of a socket.
        std::fs::File::from(near).write_all(bytes).unwrap();
        let mut rest = bytes;
        loop {
            let frame =
                rest.split_first_chunk().map(|(head, body)| (u32::from_ne_bytes(*head) as usize, body));
            let expected = frame.and_then(|(length, body)| {
                (length <= LONGEST).then(|| body.split_at_checked(length)).flatten()
            });
            if as_reports {
                let report = wire::next_report(&far);
                let Some((body, after)) = expected else {
                    assert_eq!(report.is_ok_and(|report| report.is_none()), rest.is_empty());
                    break;
                };
                let meant = serde_json::from_slice::<Report>(body).ok();
                assert_eq!(report.ok().flatten().map(|(report, _)| report), meant);
                rest = after;
            } else {
                let got = wire::receive(&far);
                let Some((body, after)) = expected else {
                    assert_eq!(got.is_ok_and(|got| got.is_none()), rest.is_empty());
                    break;
                };
                assert_eq!(got.unwrap().unwrap().0, body);
                rest = after;
            }
        }
    }
}

/// A system call by its number, and its arguments: the compiled program gives the answer that the table declares.
///
/// # Panics
/// When that does not hold.
pub fn call(call: u32, arguments: [u64; 6]) {
    for (program, denials) in &*TABLES {
        let got = judge_by(program, ARCH, call, arguments);
        assert_eq!(got, declared(denials, call, arguments), "{call} {arguments:x?}");
    }
}

/// What is installed, and what it is made of.
static TABLES: LazyLock<[(BpfProgram, Vec<Denial>); 2]> = LazyLock::new(|| {
    [Sockets::OwnNetwork, Sockets::UnixOnly]
        .map(|sockets| (filter::program(sockets).unwrap(), filter::denials(sockets)))
});

/// The same with a call that is in the table, and with arguments near those that it speaks of: chance alone seldom finds
/// them.
///
/// # Panics
/// As [`call`].
pub fn call_near(choice: usize, mut arguments: [u64; 6], flip: u64) {
    let (_, denials) = &TABLES[0];
    let denial = &denials[choice % denials.len()];
    for Test { argument, holds } in &denial.all_of {
        let value = match holds {
            Holds::Bits(bits) => *bits,
            Holds::Kind(kind) => u64::from(*kind),
            Holds::Is(value) | Holds::IsNot(value) => *value,
        };
        let argument = &mut arguments[usize::from(*argument)];
        // At most a bit from it, and the upper half as it came.
        let off = if flip & 64 > 0 { 1 << (flip & 63) } else { 0 };
        *argument = (*argument & !0xffff_ffff | value) ^ off;
    }
    call(u32::try_from(denial.call).unwrap(), arguments);
}

/// What the table says, read without `seccompiler`.
fn declared(denials: &[Denial], call: u32, arguments: [u64; 6]) -> u32 {
    let number = c_long::from(call);
    #[cfg(target_arch = "x86_64")]
    if call >= 0x4000_0000 {
        return ABSENT;
    }
    if filter::UNKNOWN.contains(&number) {
        return ABSENT;
    }
    let holds = |test: &Test| {
        let argument = arguments[usize::from(test.argument)];
        let low = argument & 0xffff_ffff;
        match test.holds {
            Holds::Bits(bits) => argument & bits == bits,
            Holds::Kind(kind) => low & u64::from(libc::S_IFMT) == u64::from(kind),
            Holds::Is(value) => low == value,
            Holds::IsNot(value) => low != value,
        }
    };
    let is_denied = denials.iter().any(|denial| denial.call == number && denial.all_of.iter().all(holds));
    if is_denied { DENY } else { ALLOW }
}

/// What classic BPF makes of one call: an interpreter of the few instructions that filters consist of.
pub(crate) fn judge_by(program: &[sock_filter], arch: u32, call: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(call.to_ne_bytes());
    data.extend(arch.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    for argument in arguments {
        data.extend(argument.to_ne_bytes());
    }
    let (mut at, mut a) = (0, 0_u32);
    loop {
        let step = &program[at];
        at += 1;
        let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
        match u32::from(step.code) {
            code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                let from = step.k as usize;
                a = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
            }
            code if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => a &= step.k,
            code if code == libc::BPF_JMP | libc::BPF_JA => at += step.k as usize,
            code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => at += jump(a == step.k),
            code if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => at += jump(a >= step.k),
            code if code == libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K => at += jump(a > step.k),
            code if code == libc::BPF_RET | libc::BPF_K => return step.k,
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A policy with parts of it exchanged for anything.
    fn policies() -> impl Strategy<Value = Vec<u8>> {
        let path = "(/|/tmp|/home/ada|/w|/w/secret|/w/[a-z.]{0,4}|[a-z/.]{0,8})";
        let grants = prop::collection::vec(path, 0..3);
        let mode = prop::sample::select(vec!["read-only", "workspace-write", "unconfined", "x"]);
        let net = prop::sample::select(vec![r#""off""#, r#"{"allow":["a.example"]}"#, "{}"]);
        (mode, path, grants.clone(), grants, net, any::<u64>()).prop_map(|(mode, root, writable, readable, net, bytes)| {
            let list = |paths: Vec<String>| {
                paths.iter().map(|path| format!(r#"{{"path":"{path}"}}"#)).collect::<Vec<_>>().join(",")
            };
            format!(
                r#"{{"mode":"{mode}","root":"{root}","writable":[{}],"readable":[{}],"net":{net},"env":["A"],"limits":{{"memory":{bytes},"processes":{},"millis":null,"file":null}},"tier":null}}"#,
                list(writable),
                list(readable),
                bytes % (1 << 33)
            )
            .into_bytes()
        })
    }

    fn cut() -> impl Strategy<Value = Vec<u8>> {
        let frame = (prop::collection::vec(any::<u8>(), 0..40), -2_i32..=2).prop_map(|(body, off)| {
            let length = i32::try_from(body.len()).unwrap_or_default().saturating_add(if off.abs() < 2 {
                0
            } else {
                off
            });
            [length.to_ne_bytes().as_slice(), &body].concat()
        });
        let report =
            prop::sample::select(vec![&br#""ready""#[..], br#"{"code":3}"#, br#"{"note":"x"}"#, b"null"]);
        let report = report.prop_map(|json| [(json.len() as u32).to_ne_bytes().as_slice(), json].concat());
        prop::collection::vec(prop_oneof![frame, report], 0..5).prop_map(|frames| frames.concat())
    }

    proptest! {
        #[test]
        fn a_policy_that_can_be_read_means_one_thing(bytes in policies()) {
            policy(&bytes);
        }

        #[test]
        fn a_command_that_can_be_read_is_one(
            head in "[0-9]{0,3}\0[0-9]{0,2}\0",
            parts in prop::collection::vec("[a=/]{0,4}", 0..6),
        ) {
            job(format!("{head}{}\0", parts.join("\0")).as_bytes());
        }

        #[test]
        fn frames_are_whole_or_errors(bytes in cut()) {
            frames(&bytes);
        }

        #[test]
        fn the_program_says_what_the_table_says(
            number in prop_oneof![0_u32..512, any::<u32>()],
            arguments in any::<[u64; 6]>(),
            choice in any::<usize>(),
            flip in any::<u64>(),
        ) {
            call(number, arguments);
            call_near(choice, arguments, flip);
        }
    }

    #[test]
    fn no_policy_opens_what_is_masked_by_granting_it_exactly() {
        let bytes = br#"{"mode":"workspace-write","root":"/w","writable":[{"path":"/w/secret"}],"readable":[],"net":"off","env":[],"limits":{"memory":null,"processes":1,"millis":null,"file":null},"tier":null}"#;
        assert!(serde_json::from_slice::<Policy>(bytes).is_ok());
        policy(bytes);
    }
}
