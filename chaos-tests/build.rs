//! Makes the folder of the small app that stories deploy: one program that needs nothing beside it. Its image is all
//! that passes from node to node, and takes no time to do so.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = "apps/small";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let variable = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let (source, folder) = (Path::new(SOURCE), variable("OUT_DIR").join("small"));
    fs::create_dir_all(&folder).expect("cargo's folder can be written to");
    fs::copy(source.join("Dockerfile"), folder.join("Dockerfile")).expect("the app is there");
    let mut compiler = Command::new(variable("RUSTC"));
    compiler.args(["--edition=2024", "-Copt-level=2", "-Cstrip=symbols"]);
    compiler.arg("-Ctarget-feature=+crt-static").arg(source.join("app.rs"));
    let compiled = compiler.arg("-o").arg(folder.join("app")).status();
    assert!(compiled.expect("rustc can be run").success(), "the small app does not compile");
}
