//! What it takes to ask another resolver: how a question is written so that its answer cannot be guessed, which answers count,
//! which server is asked, and where servers are learned from. No sockets, no clock.
//!
//! Reading order: `question` (written), `answer` (judged), `name` (walking names of a message).

pub mod answer;
pub mod name;
pub mod question;
