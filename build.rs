//! Placeholder: dpdk-sys does the finding and linking; this passes its findings on to the crate.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
