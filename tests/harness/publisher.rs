//! Somebody outside the home who publishes a site under a key, and publishes it again: a Granary of its own, driven by its
//! command line.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Granary, Setup, granary::cli, sample};

pub struct Publisher {
    pub granary: Granary,
    key: PathBuf,
    dir: tempfile::TempDir,
    /// `xs=urn:btpk:`, as a friend would send it.
    pub magnet: String,
    /// The site's host.
    pub host: String,
}

impl Publisher {
    #[track_caller]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("the temporary folder is writable");
        let key = dir.path().join("publisher.key");
        let made = run(&["keygen", "--out", &text(&key), "--json"]);
        let made: Value = serde_json::from_str(&made).expect("keygen prints JSON");
        let word = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        Self {
            granary: Granary::start(),
            magnet: word("magnet"),
            host: word("host"),
            key,
            dir,
        }
    }

    /// A Granary of a home that finds this publisher.
    pub fn home(&self) -> Setup {
        Setup::default()
            .peer(self.granary.addr("bt"))
            .arg("--dht-bootstrap")
            .arg(self.granary.addr("dht").to_string())
    }

    /// A version of the site, whose title is `Sample <seed>`; its infohash. `big`: bytes of its largest file.
    #[track_caller]
    pub fn make(&self, seed: u64, big: usize) -> String {
        let folder = self.dir.path().join(format!("garden-{seed}"));
        sample::site(&folder, seed, big);
        let control = text(&self.granary.control);
        let seeded = run(&[
            "seed",
            &text(&folder),
            "--name",
            "Frieda's garden",
            "--print",
            "infohash",
            "--no-wait",
            "--control",
            &control,
        ]);
        seeded.trim().to_owned()
    }

    /// The address points to this version from now on.
    #[track_caller]
    pub fn put(&self, infohash: &str) {
        let control = text(&self.granary.control);
        run(&["put", infohash, "--key", &text(&self.key), "--control", &control]);
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[track_caller]
fn run(args: &[&str]) -> String {
    let output = cli(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "granary {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
