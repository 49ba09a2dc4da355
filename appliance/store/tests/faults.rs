//! Power cuts and I/O errors, in memory: see `world/sim.rs` for what a cut can leave.

mod world;

use world::{
    sim::{Failure, Plant},
    trial::{cut_campaign, fail_campaign, torrents},
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

#[test]
fn every_acknowledged_change_survives_a_power_cut() {
    let (mut images, mut double, mut lost) = (0, 0, 0);
    for seed in 1..=30 {
        let score = cut_campaign(Plant::Nothing, torrents(), seed, 60, 60);
        assert!(score.bad.is_empty(), "{:#?}", score.bad);
        (images, double, lost) = (images + score.images, double + score.double, lost + score.lost);
    }
    println!("power cuts survived: {images} single, {double} double, {lost} with the state file lost");
    assert!(images >= 1_500 && double >= 350 && lost >= 350);
}

#[test]
fn no_record_goes_back_and_no_row_of_the_household_is_lost_in_a_power_cut() {
    let (mut images, mut double, mut lost) = (0, 0, 0);
    for seed in 1..=20 {
        let score = cut_campaign(Plant::Nothing, vec![], seed, 60, 60);
        assert!(score.bad.is_empty(), "{:#?}", score.bad);
        (images, double, lost) = (images + score.images, double + score.double, lost + score.lost);
    }
    println!("rows: power cuts survived: {images} single, {double} double, {lost} with the state file lost");
    assert!(images >= 1_000 && double >= 250 && lost >= 250);
}

#[test]
fn the_injector_finds_planted_bugs_in_rows() {
    for (plant, least) in [(Plant::NoStateSync, 40), (Plant::NoCopySync, 8)] {
        let found: usize = (1..=4)
            .map(|seed| cut_campaign(plant, vec![], seed, 40, 30).bad.len())
            .sum();
        println!("rows, {plant:?}: found in {found} images");
        assert!(found >= least, "{plant:?} was found {found} times");
    }
}

#[test]
fn the_injector_finds_planted_bugs() {
    for (plant, least) in [
        (Plant::NoContentSync, 40),
        (Plant::NoStateSync, 40),
        (Plant::NoFolderSync, 40),
        // Only a quarter of the images lose their state.
        (Plant::NoCopySync, 8),
    ] {
        let found: usize = (1..=4)
            .map(|seed| cut_campaign(plant, torrents(), seed, 40, 30).bad.len())
            .sum();
        println!("{plant:?}: found in {found} images");
        assert!(found >= least, "{plant:?} was not found");
    }
}

#[test]
fn an_error_at_any_operation_loses_nothing_promised() {
    let mut runs = 0;
    for errno in [EIO, ENOSPC, EROFS] {
        for for_ever in [false, true] {
            for at in (1..700).step_by(11) {
                let failure = Failure { at, for_ever, errno };
                if let Err(text) = fail_campaign(at, 40, failure) {
                    panic!("{failure:?}: {text}");
                }
                runs += 1;
            }
        }
    }
    println!("runs with an injected error survived: {runs}");
    assert_eq!(runs, 384);
}
