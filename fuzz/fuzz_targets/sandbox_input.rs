//! Any bytes as what the processes of a sandbox tell each other: a policy, a command, frames. Reading them never breaks, and
//! what can be read means one thing; no policy opens what is to be masked.
#![no_main]

use codetether_sandbox::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::policy(bytes);
    fuzzing::job(bytes);
    fuzzing::frames(bytes);
});
