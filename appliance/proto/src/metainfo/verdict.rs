//! One answer about one file, for people, scripts and corpora.

use super::{Error, Torrent, parse_torrent};

/// What we think of a `.torrent` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// We open it. The remarks say what is odd about it; usually there are none.
    Accepted {
        torrent: Box<Torrent>,
        remarks: Vec<String>,
    },
    /// We do not, and why.
    Refused(Error),
}

/// Judges the bytes of a `.torrent` file: the same reading that protects the daemon, nothing more lenient. Bytes that are
/// a bare info dictionary are not a torrent file and are refused.
pub fn verdict(raw: &[u8]) -> Verdict {
    match parse_torrent(raw) {
        Ok(torrent) => Verdict::Accepted {
            remarks: remarks(&torrent),
            torrent: Box::new(torrent),
        },
        Err(error) => Verdict::Refused(error),
    }
}

impl Verdict {
    pub fn accepted(&self) -> bool {
        matches!(self, Verdict::Accepted { .. })
    }
}

fn remarks(torrent: &Torrent) -> Vec<String> {
    let info = &torrent.info;
    let mut remarks = Vec::new();
    if !info.renamed.is_empty() {
        remarks.push(format!(
            "{} files have names that are not UTF-8 or are used twice; we show them under other names",
            info.renamed.len()
        ));
    }
    let collisions = info.case_collisions().len();
    if collisions > 0 {
        remarks.push(format!(
            "{collisions} files differ from another one in upper and lower case only"
        ));
    }
    if info.private {
        remarks.push("private: only its own trackers are asked".to_owned());
    }
    if info.infohash_v2.is_some() {
        remarks.push("a hybrid: we use its v1 half".to_owned());
    }
    remarks
}
