//! Answers made from a wildcard, proven where hickory does not see the proof: when the record that shows that no closer name
//! exists (NSEC) stands at the wildcard itself, as it does in every zone whose wildcard is the last name before a gap
//! (RFC 4035 5.3.4).

use hickory_proto::{
    dnssec::{
        Proof,
        rdata::{DNSSECRData, NSEC},
    },
    op::{Message, ResponseCode},
    rr::{Name, RData},
};

/// Every record of the answer is signed well; is for every name made from a wildcard proven that it does not exist itself,
/// nor anything between it and the wildcard?
pub(super) fn is_proven(message: &Message) -> bool {
    let signed = message.answers.iter().all(|record| record.proof == Proof::Secure);
    if !signed || message.answers.is_empty() || message.response_code != ResponseCode::NoError {
        return false;
    }
    let nsecs: Vec<(&Name, &NSEC)> = message
        .authorities
        .iter()
        .filter(|record| record.proof == Proof::Secure)
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
            _ => None,
        })
        .collect();
    let mut made = message.answers.iter().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => {
            let labels = rrsig.input().num_labels;
            (labels < record.name.num_labels()).then_some((&record.name, usize::from(labels)))
        }
        _ => None,
    });
    made.all(|(name, labels)| {
        nsecs
            .iter()
            .any(|(owner, nsec)| covers(owner, nsec, name, labels))
    })
}

/// `labels`: those that the wildcard shares with every name made from it.
fn covers(owner: &Name, nsec: &NSEC, name: &Name, labels: usize) -> bool {
    let next = nsec.next_domain_name();
    let between = owner < name && (name < next || next <= owner && next.zone_of(name));
    // RFC 6840 4.1: a record of the zone above says nothing of what is below the cut.
    let of_above = nsec.is_ancestor_delegation() && owner.zone_of(name);
    between && !of_above && shared(name, owner).max(shared(name, next)) <= labels
}

/// Labels that both names have at their ends.
fn shared(one: &Name, other: &Name) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev());
    pairs
        .take_while(|(one, other)| one.eq_ignore_ascii_case(other))
        .count()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType;

    use super::*;

    #[test]
    fn a_gap_proves_only_what_lies_in_it_and_nothing_closer() {
        let name = |text| Name::from_ascii(text).expect("a name");
        let covers = |owner, next, asked| {
            let nsec = NSEC::new(name(next), [RecordType::A]);
            covers(&name(owner), &nsec, &name(asked), 1)
        };
        assert!(covers("*.example.", "b.example.", "a.example."));
        assert!(
            covers("*.example.", "example.", "zz.example."),
            "the last gap of the zone"
        );
        assert!(!covers("b.example.", "c.example.", "a.example."));
        assert!(!covers("*.example.", "a.example.", "a.example."), "it exists");
        // `x.b` exists, so `b` does, and the wildcard of the zone does not count below it.
        assert!(!covers("x.b.example.", "c.example.", "y.b.example."));
    }
}
