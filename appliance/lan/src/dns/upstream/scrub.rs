//! An answer with records that nobody asked for, written anew without them. Rare, so it may cost a full parse.

use hickory_proto::{
    op::Message,
    rr::{Name, RData, Record},
};

/// Aliases followed, as where strays are found.
const ALIASES_MAX: usize = 16;

/// `None`: it cannot be read.
pub(super) fn without_strays(message: &[u8]) -> Option<Vec<u8>> {
    let mut parsed = Message::from_vec(message).ok()?;
    let mut chain: Vec<Name> = vec![parsed.queries.first()?.name().clone()];
    loop {
        let known = chain.len();
        for record in &parsed.answers {
            if let RData::CNAME(target) = &record.data
                && chain.contains(&record.name)
                && !chain.contains(&target.0)
                && chain.len() <= ALIASES_MAX
            {
                chain.push(target.0.clone());
            }
        }
        if chain.len() == known {
            break;
        }
    }
    let belongs = |record: &Record| {
        let dname = record.record_type() == hickory_proto::rr::RecordType::from(39);
        chain.contains(&record.name) || dname && chain.iter().any(|name| record.name.zone_of(name))
    };
    parsed.answers.retain(belongs);
    parsed.to_vec().ok()
}
