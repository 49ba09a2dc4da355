//! Well-known lists, as data for the page. None is chosen; what they block is their makers' decision.

/// A list that many homes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggested {
    pub name: &'static str,
    pub url: &'static str,
    /// What it is about, in one sentence.
    pub about: &'static str,
}

pub const SUGGESTED: &[Suggested] = &[
    Suggested {
        name: "OISD small",
        url: "https://small.oisd.nl/",
        about: "Advertisements, made so that nothing people want stops working.",
    },
    Suggested {
        name: "HaGeZi Light",
        url: "https://raw.githubusercontent.com/hagezi/dns-blocklists/main/adblock/light.txt",
        about: "Advertisements and trackers, with little that breaks.",
    },
    Suggested {
        name: "AdGuard DNS filter",
        url: "https://adguardteam.github.io/HostlistsRegistry/assets/filter_1.txt",
        about: "Advertisements and trackers.",
    },
    Suggested {
        name: "StevenBlack",
        url: "https://raw.githubusercontent.com/StevenBlack/hosts/master/hosts",
        about: "Advertisements and malware, put together from several hosts files.",
    },
    Suggested {
        name: "Peter Lowe",
        url: "https://pgl.yoyo.org/adservers/serverlist.php?hostformat=hosts&showintro=0&mimetype=plaintext",
        about: "A short hand-kept list of advertisement servers.",
    },
    Suggested {
        name: "URLhaus",
        url: "https://urlhaus.abuse.ch/downloads/hostfile/",
        about: "Sites that spread malware now.",
    },
];

#[cfg(test)]
mod tests {
    use proto::guard::{self, Policy};

    use super::*;

    #[test]
    fn every_suggestion_can_be_fetched_at_all() {
        for one in SUGGESTED {
            let url = guard::allowed_url(one.url, &Policy::default().for_web());
            assert_eq!(url.map(|url| url.scheme), Ok(guard::Scheme::Https), "{}", one.url);
        }
    }
}
