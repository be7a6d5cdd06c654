//! A made-up machine: a directory that the checks take for `/`.

use std::fs;
use std::os::unix::fs::symlink;

use super::Host;

pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) host: Host,
}

impl Machine {
    /// With nothing in it.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let host = Host { plugin_dir: None, linked: Vec::new(), runtime_dir: root.join("run/dpdk"), root };
        Self { dir, host }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn link(&self, path: &str, to: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.dir.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    /// Makes a file that root cannot read either: a directory in its place.
    pub(crate) fn forbid(&self, path: &str) {
        let path = self.dir.path().join(path);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path).unwrap();
    }
}
