//! The long form of `tests/faults.rs`: `cargo run --release -p granary-store --example faults -- --images 20000`.

#[path = "../tests/world/mod.rs"]
mod world;

use world::{
    sim::{Failure, Plant},
    trial::{cut_campaign, fail_campaign, torrents},
};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let wanted = args
        .iter()
        .position(|arg| arg == "--images")
        .and_then(|at| args.get(at + 1)?.parse::<u64>().ok());
    let wanted = wanted.unwrap_or(20_000);
    let (mut images, mut double, mut lost, mut bad, mut seed) = (0, 0, 0, 0, 1_000);
    while images < wanted {
        let score = cut_campaign(Plant::Nothing, torrents(), seed, 80, 100);
        (images, double) = (images + score.images, double + score.double);
        (lost, bad) = (lost + score.lost, bad + score.bad.len());
        score.bad.iter().for_each(|text| println!("{text}"));
        seed += 1;
        if seed % 10 == 0 {
            println!(
                "power cuts: {images} single, {double} double, {lost} with the state file lost, {bad} bad"
            );
        }
    }
    let mut runs = 0;
    for errno in [5, 19, 28, 30] {
        for for_ever in [false, true] {
            for at in (1..1500).step_by((1_000_000 / wanted.max(1)).clamp(1, 50) as usize) {
                runs += 1;
                if let Err(text) = fail_campaign(at, 60, Failure { at, for_ever, errno }) {
                    bad += 1;
                    println!("operation {at}, for ever: {for_ever}, errno {errno}: {text}");
                }
            }
        }
    }
    println!(
        "power cuts: {images} single, {double} double, {lost} with the state file lost; failed operations: {runs}; bad: {bad}"
    );
    assert_eq!(bad, 0, "see the lines above");
}
