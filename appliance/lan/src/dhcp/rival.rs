//! Whether another server answers on this LAN. Two servers give one address to two devices and confuse a whole home, so we look
//! before the first answer, keep looking, and fall silent when there is one.
//!
//! We come back by a person's click (settings saved or reloaded look anew), or when nothing was heard of the other server for
//! half an hour although it was asked every minute: then it was a visitor, or the router's server has been switched off.

use std::{net::Ipv4Addr, time::Duration};

use tokio::time::Instant;

use super::offers::Heard;
use crate::api::{DhcpServer, DhcpState, spelled};

/// A home's router answers within a second; a second try and a third are against lost frames.
const LOOK: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SERVING_EVERY: Duration = Duration::from_secs(300);
const SILENT_EVERY: Duration = Duration::from_secs(60);
const GONE_AFTER: Duration = Duration::from_secs(1800);
/// A client that names another server makes us look, at most so often.
const HINT_EVERY: Duration = Duration::from_secs(10);
const RIVALS_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Looking(Instant),
    Serving,
    Silent { heard: Instant },
}

#[derive(Debug)]
pub struct Rivals {
    phase: Phase,
    next_look: Instant,
    last_look: Option<Instant>,
    known: Vec<(DhcpServer, Instant)>,
}

impl Rivals {
    pub fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Looking(now),
            next_look: now,
            last_look: None,
            known: Vec::new(),
        }
    }

    /// A person wants us to try again.
    pub fn look_again(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Silent { .. }) {
            self.phase = Phase::Looking(now);
            self.next_look = now;
        }
    }

    /// A client chose another server.
    pub fn hint(&mut self, now: Instant) {
        if self.last_look.is_none_or(|last| now >= last + HINT_EVERY) {
            self.next_look = now;
        }
    }

    /// Another server gave or confirmed an address. Whether this silenced us just now.
    pub fn heard(&mut self, heard: &Heard, now: Instant) -> bool {
        self.known
            .retain(|(server, _)| server.server != Some(heard.server));
        self.known.push((heard.facts(), now));
        if self.known.len() > RIVALS_MAX {
            self.known.remove(0);
        }
        let was_silent = matches!(self.phase, Phase::Silent { .. });
        if !was_silent {
            self.next_look = now + SILENT_EVERY;
        }
        self.phase = Phase::Silent { heard: now };
        !was_silent
    }

    /// Goes on with time. Whether it is time to ask who serves here.
    pub fn tick(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Looking(since) if now >= since + LOOK => {
                self.phase = Phase::Serving;
                self.next_look = now + SERVING_EVERY;
            }
            Phase::Silent { heard } if now >= heard + GONE_AFTER => {
                self.phase = Phase::Looking(now);
                self.next_look = now;
            }
            _ => {}
        }
        if now < self.next_look {
            return false;
        }
        self.last_look = Some(now);
        self.next_look = now
            + match self.phase {
                Phase::Looking(_) => LOOK_EVERY,
                Phase::Serving => SERVING_EVERY,
                Phase::Silent { .. } => SILENT_EVERY,
            };
        true
    }

    /// When [`Rivals::tick`] has something to do.
    pub fn next(&self) -> Instant {
        match self.phase {
            Phase::Looking(since) => self.next_look.min(since + LOOK),
            Phase::Serving => self.next_look,
            Phase::Silent { heard } => self.next_look.min(heard + GONE_AFTER),
        }
    }

    pub fn serves(&self) -> bool {
        self.phase == Phase::Serving
    }

    pub fn state(&self) -> DhcpState {
        match self.phase {
            Phase::Looking(_) => DhcpState::Looking,
            Phase::Serving => DhcpState::Serving,
            Phase::Silent { .. } => DhcpState::Silent,
        }
    }

    /// Why we are silent, in words for people.
    pub fn reason(&self) -> Option<String> {
        let Phase::Silent { .. } = self.phase else {
            return None;
        };
        let (server, _) = self.known.last()?;
        let addr = server.server.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mac = server.mac.clone().unwrap_or_else(|| spelled([0; 6]));
        Some(format!(
            "another DHCP server answers on this network ({addr}, {mac}). Two servers would give one address to two devices, so \
             this box gives none. Switch the other one off, then save the settings again; or choose another mode."
        ))
    }

    /// Servers and when they were last heard, the last one last.
    pub fn known(&self) -> &[(DhcpServer, Instant)] {
        &self.known
    }
}

#[cfg(test)]
mod tests {
    use proto::dhcp::{Packet, read_udp};

    use super::*;
    use crate::dhcp::offers::discover_frame;

    fn offer() -> Heard {
        let frame = discover_frame([2; 6], [2, 0, 0, 0, 0, 9], 7);
        let mut bytes = read_udp(&frame).expect("it is a datagram").payload.to_vec();
        bytes[0] = 2;
        let packet = Packet::read(&bytes).expect("it is good");
        Heard {
            server: Ipv4Addr::new(192, 168, 1, 1),
            mac: [2, 0, 0, 0, 0, 1],
            packet,
        }
    }

    #[test]
    fn the_first_answer_comes_only_after_three_looks_around() {
        let start = Instant::now();
        let mut rivals = Rivals::new(start);
        let looks = (0..30).filter(|tenth| rivals.tick(start + LOOK_EVERY / 10 * *tenth));
        assert_eq!(looks.count(), 3);
        assert_eq!((rivals.state(), rivals.serves()), (DhcpState::Looking, false));
        rivals.tick(start + LOOK);
        assert!(rivals.serves());
    }

    #[test]
    fn one_answer_of_another_server_silences_us_until_a_click_or_half_an_hour_without_it() {
        let start = Instant::now();
        let mut rivals = Rivals::new(start);
        rivals.tick(start + LOOK);
        assert!(rivals.serves());
        assert!(rivals.heard(&offer(), start + LOOK), "it is news once");
        assert!(!rivals.heard(&offer(), start + LOOK));
        assert_eq!(rivals.state(), DhcpState::Silent);
        let reason = rivals.reason().expect("people are told");
        assert!(
            reason.contains("192.168.1.1") && reason.contains("02:00:00:00:00:01"),
            "{reason}"
        );

        rivals.tick(start + GONE_AFTER);
        assert_eq!(rivals.state(), DhcpState::Silent, "not yet");
        rivals.tick(start + LOOK + GONE_AFTER);
        assert_eq!(rivals.state(), DhcpState::Looking);

        rivals.heard(&offer(), start + GONE_AFTER);
        rivals.look_again(start + GONE_AFTER);
        assert_eq!(rivals.state(), DhcpState::Looking, "a click");
        assert!(rivals.tick(start + GONE_AFTER), "it looks at once");
    }

    #[test]
    fn a_client_that_chose_another_server_makes_us_look_but_not_too_often() {
        let start = Instant::now();
        let mut rivals = Rivals::new(start);
        rivals.tick(start);
        rivals.tick(start + LOOK);
        let later = start + LOOK + HINT_EVERY;
        rivals.hint(later);
        assert!(rivals.tick(later) && rivals.serves());
        rivals.hint(later + LOOK_EVERY);
        assert!(!rivals.tick(later + LOOK_EVERY));
    }
}
