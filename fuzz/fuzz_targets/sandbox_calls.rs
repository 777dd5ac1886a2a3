//! Any system call with any arguments, and arguments near those that the table of denied calls speaks of: the compiled
//! program gives the answer that the table declares.
#![no_main]

use codetether_sandbox::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, [u64; 6], usize, u64)| {
    let (number, arguments, choice, flip) = input;
    fuzzing::call(number, arguments);
    // The numbers that there are.
    fuzzing::call(number % 512, arguments);
    fuzzing::call_near(choice, arguments, flip);
});
