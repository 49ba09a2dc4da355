//! What one server can do, learned from its answers: EDNS, cookies, the case of letters; and what to do when an answer is
//! not good enough. A pure state machine.

use std::time::{Duration, Instant};

use super::{
    answer::{BADCOOKIE, FORMERR, Facts, NOTIMP},
    question::{Cookie, Dress, Edns, Sent},
};

/// A server that lacks something is tried with it again after so long: it may have been replaced.
const FORGET: Duration = Duration::from_secs(600);
const SUSPECT: Duration = Duration::from_secs(20);
const SILENCES: u32 = 2;
/// Datagrams that pretend to be the answer before the question moves to TCP, where nobody can guess.
pub const MISMATCHES_MAX: u32 = 3;

/// Why an exchange gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    Silent,
    /// The kernel says that nobody is there.
    Unreachable,
    /// Too many datagrams that are no answer.
    Guessed,
    /// The right answer in other letters.
    Case,
    /// Not enough of a message to use.
    Garbage,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Take,
    /// The same transport again, in the dress that is now right.
    Again,
    Tcp,
    Fail(Miss),
}

#[derive(Debug, Clone)]
pub struct Manners {
    cookie: Cookie,
    gives_cookies: bool,
    plain_until: Option<Instant>,
    lower_until: Option<Instant>,
    knows_edns: bool,
    silences: u32,
}

impl Manners {
    /// `client`: random, another one for each server (RFC 7873 4.1).
    pub fn new(client: [u8; 8]) -> Self {
        Self {
            cookie: Cookie::new(client),
            gives_cookies: false,
            plain_until: None,
            lower_until: None,
            knows_edns: false,
            silences: 0,
        }
    }

    /// How the next question to this server looks. Cookies tell a stranger on the way nothing that the address does not.
    pub fn dress(&self, id: u16, case: [u64; 4], now: Instant) -> Dress {
        let lacks = |until: Option<Instant>| until.is_some_and(|until| now < until);
        Dress {
            id,
            case: (!lacks(self.lower_until)).then_some(case),
            edns: (!lacks(self.plain_until)).then_some(Edns {
                cookie: Some(self.cookie),
            }),
        }
    }

    /// A question stayed without an answer. Some old middle boxes drop what they do not know, so a server that was never
    /// seen to know EDNS is asked without it for a short time; it may as well have been away.
    pub fn silent(&mut self, now: Instant) {
        self.silences = self.silences.saturating_add(1);
        if !self.knows_edns && self.silences.is_multiple_of(SILENCES) {
            self.plain_until = Some(now + SUSPECT);
        }
    }

    /// A cookie is for the network address it was got from.
    pub fn moved(&mut self, client: [u8; 8]) {
        self.cookie = Cookie::new(client);
        self.gives_cookies = false;
    }

    /// Judges one exchange. `message` is the answer that belongs to `facts`.
    pub fn next(
        &mut self,
        outcome: Result<(&Facts, &[u8]), Miss>,
        sent: &Sent,
        by_tcp: bool,
        now: Instant,
    ) -> Next {
        match outcome {
            Ok((facts, message)) => self.answered(facts, message, sent, by_tcp, now),
            Err(Miss::Case) if by_tcp => {
                // Nobody guesses inside a connection: the server itself does not keep letters.
                self.lower_until = Some(now + FORGET);
                Next::Again
            }
            Err(Miss::Case | Miss::Guessed) if !by_tcp => Next::Tcp,
            Err(miss) => Next::Fail(miss),
        }
    }

    fn answered(&mut self, facts: &Facts, message: &[u8], sent: &Sent, by_tcp: bool, now: Instant) -> Next {
        if facts.truncated {
            return if by_tcp {
                Next::Fail(Miss::Garbage)
            } else {
                Next::Tcp
            };
        }
        let had_edns = sent.cookie.is_some();
        // RFC 6891 7: a server from before EDNS. Known to know it, it means the question itself.
        if had_edns && !facts.edns && matches!(facts.rcode, FORMERR | NOTIMP) && !self.knows_edns {
            self.plain_until = Some(now + FORGET);
            return Next::Again;
        }
        if facts.bare {
            return Next::Fail(Miss::Garbage);
        }
        if !had_edns {
            return Next::Take;
        }
        self.knows_edns |= facts.edns;
        if facts.cookie {
            let server = facts.server_cookie(message);
            self.gives_cookies |= !server.is_empty();
            if !server.is_empty() {
                self.cookie.set_server(server);
            }
            return match facts.rcode {
                // RFC 7873 5.3: once more with the new cookie, then by TCP, which needs none.
                BADCOOKIE if by_tcp => Next::Fail(Miss::Garbage),
                BADCOOKIE if sent.cookie.is_some_and(|old| old.server() == server) => Next::Tcp,
                BADCOOKIE => Next::Again,
                _ => Next::Take,
            };
        }
        if self.gives_cookies {
            // RFC 7873 5.3: a cookie is expected and missing: forged, or another machine behind the same address.
            self.gives_cookies = false;
            self.cookie.set_server(&[]);
            return if by_tcp { Next::Take } else { Next::Tcp };
        }
        Next::Take
    }
}

#[cfg(test)]
mod tests {
    use super::{super::question::Question, *};

    fn sent(manners: &Manners, now: Instant) -> Sent {
        let question = Question {
            name: b"\x03www\x00",
            qtype: 1,
            qclass: 1,
            dnssec_ok: false,
            checking_disabled: false,
        };
        Sent::new(&question, &manners.dress(7, [5; 4], now)).expect("a name")
    }

    fn facts(rcode: u16, edns: bool) -> Facts {
        Facts {
            rcode,
            edns,
            ..Facts::default()
        }
    }

    #[test]
    fn a_server_from_before_edns_is_asked_without_it_for_a_while() {
        let (mut manners, now) = (Manners::new([1; 8]), Instant::now());
        let old = sent(&manners, now);
        assert_eq!(
            manners.next(Ok((&facts(FORMERR, false), &[])), &old, false, now),
            Next::Again
        );
        assert!(manners.dress(7, [0; 4], now).edns.is_none());
        let plain = sent(&manners, now);
        assert_eq!(
            manners.next(Ok((&facts(0, false), &[])), &plain, false, now),
            Next::Take
        );
        assert!(manners.dress(7, [0; 4], now + FORGET).edns.is_some());
    }

    #[test]
    fn a_server_that_knows_edns_may_find_a_question_wrong() {
        let (mut manners, now) = (Manners::new([1; 8]), Instant::now());
        let asked = sent(&manners, now);
        assert_eq!(
            manners.next(Ok((&facts(0, true), &[])), &asked, false, now),
            Next::Take
        );
        assert_eq!(
            manners.next(Ok((&facts(NOTIMP, false), &[])), &asked, false, now),
            Next::Take
        );
        (0..9).for_each(|_| manners.silent(now));
        assert!(manners.dress(7, [0; 4], now).edns.is_some());
    }

    #[test]
    fn silence_of_a_server_never_heard_with_edns_drops_it_for_a_short_time() {
        let (mut manners, now) = (Manners::new([1; 8]), Instant::now());
        manners.silent(now);
        assert!(manners.dress(7, [0; 4], now).edns.is_some());
        manners.silent(now);
        assert!(manners.dress(7, [0; 4], now).edns.is_none());
        assert!(manners.dress(7, [0; 4], now + SUSPECT).edns.is_some());
    }

    #[test]
    fn guesses_and_other_letters_lead_to_tcp_and_only_there_letters_are_given_up() {
        let (mut manners, now) = (Manners::new([1; 8]), Instant::now());
        let asked = sent(&manners, now);
        assert_eq!(manners.next(Err(Miss::Guessed), &asked, false, now), Next::Tcp);
        assert_eq!(manners.next(Err(Miss::Case), &asked, false, now), Next::Tcp);
        assert!(manners.dress(7, [0; 4], now).case.is_some());
        assert_eq!(manners.next(Err(Miss::Case), &asked, true, now), Next::Again);
        assert!(manners.dress(7, [0; 4], now).case.is_none());
    }

    #[test]
    fn a_torn_answer_is_asked_again_by_tcp() {
        let (mut manners, now) = (Manners::new([1; 8]), Instant::now());
        let asked = sent(&manners, now);
        let torn = Facts {
            truncated: true,
            ..Facts::default()
        };
        assert_eq!(manners.next(Ok((&torn, &[])), &asked, false, now), Next::Tcp);
        assert_eq!(
            manners.next(Ok((&torn, &[])), &asked, true, now),
            Next::Fail(Miss::Garbage)
        );
    }
}
