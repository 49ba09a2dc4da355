//! What it takes to ask another resolver: how a question is written so that its answer cannot be guessed, which answers count,
//! which server is asked, and where servers are learned from. No sockets, no clock.
//!
//! Reading order: `address` (how a server is written down), `learn` (which ones the network told), `question` (written),
//! `answer` (judged), `manners` (what a server can do), `health` (which one is asked), `name` (walking names of a message).

pub mod address;
pub mod answer;
pub mod health;
pub mod learn;
pub mod manners;
pub mod name;
pub mod question;
