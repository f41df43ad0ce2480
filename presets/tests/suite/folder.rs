//! A folder on disk shows what is inside it, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;

use temps_presets::{Folder, SourceTree};

#[test]
fn nothing_outside_is_read() {
    let outside = tempfile::tempdir().expect("a folder");
    let root = outside.path().join("source");
    fs::create_dir_all(root.join("src")).expect("a folder");
    fs::write(outside.path().join("secret"), "x").expect("a file");
    fs::write(root.join("src/main.go"), "package main").expect("a file");
    symlink(outside.path().join("secret"), root.join("link")).expect("a link");
    symlink("src/main.go", root.join("inner")).expect("a link");
    fs::write(root.join("large"), vec![b'x'; 5 << 20]).expect("a file");
    let tree = Folder::new(&root);
    assert_eq!(tree.read("src/main.go").as_deref(), Some("package main"));
    assert_eq!(tree.read("inner").as_deref(), Some("package main"));
    for hidden in
        ["link", "../secret", "/etc/hostname", "src/../../secret", "large", "src", "missing"]
    {
        assert_eq!(tree.read(hidden), None, "{hidden}");
    }
    assert!(
        !tree.exists("link") && !tree.exists("../secret") && tree.exists("src") && tree.exists("")
    );
    assert_eq!(tree.list(""), ["inner", "large", "link", "src/"]);
    assert_eq!(tree.list("src/"), ["main.go"]);
}
