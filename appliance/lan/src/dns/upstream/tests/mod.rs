//! Upstreams as they are met: scripted ones on loopback, and real ones.

mod encrypted;
mod hostile;
mod knot;
mod proving;
mod racing;
mod recursion;
mod rules;
mod world;
