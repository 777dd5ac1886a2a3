//! Lets the linker keep one copy of functions that came out alike, in release builds: a seventh of the binary. Only
//! functions whose address nobody compares. On other targets the linker may be one that does not know how.

#![allow(clippy::print_stdout, reason = "it is how a build script speaks")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let lld = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if lld && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=safe");
    }
}
