//! The household's own names over the lists': what is allowed, what is blocked besides.

use super::{Compiler, Key, List, Listed};

/// Names that the household allows and blocks, each with everything below.
pub struct Own(List<Vec<u8>>);

impl Own {
    /// What is no name is left out; the settings were checked before. `key`: random.
    pub fn new(key: Key, allow: &[String], block: &[String]) -> Self {
        let mut compiler = Compiler::new(key, allow.len() + block.len());
        for name in allow {
            compiler.except(name);
        }
        for name in block {
            compiler.block(name);
        }
        Self(List::open(compiler.finish()).expect("it was made here"))
    }

    /// Is `name` (wire form, lower case) to be blocked? The household's word stands over the list's; of two words of the
    /// household the one about the longer name counts, and of equally long ones the kinder.
    pub fn is_blocked<B: AsRef<[u8]>>(&self, list: Option<&List<B>>, name: &[u8]) -> bool {
        let (allow, block) = (self.0.longest_excepted(name), self.0.longest_blocked(name));
        match (allow, block) {
            (None, None) => list.is_some_and(|list| list.look_up(name) == Listed::Blocked),
            _ => block > allow,
        }
    }
}
