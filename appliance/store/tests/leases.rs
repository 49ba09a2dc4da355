//! What was confirmed to a device is on disk, whatever happens to the power, the disk or the file.

mod world;

use std::{
    fs,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use granary_store::{Error, LeaseRow, Leases};
use world::{
    Dice, quick_folder,
    sim::{Failure, Plant, SimDisk},
};

fn row(n: u32, ends: u64) -> LeaseRow {
    LeaseRow {
        addr: Ipv4Addr::from_bits(0xc0a8_0100 + n),
        client: vec![1, n as u8, 7],
        mac: [2, 0, 0, 0, 0, n as u8],
        since: 5,
        ends,
        name: n.is_multiple_of(2).then(|| format!("device {n}")),
    }
}

#[test]
fn rows_are_read_as_they_were_written_and_forgotten_when_old() {
    let folder = quick_folder();
    let (leases, trouble) = Leases::open(folder.path()).expect("opens");
    assert_eq!(trouble, None);
    leases.commit(&[row(1, 10), row(2, 20)]).expect("commits");
    leases.commit(&[row(1, 30)]).expect("commits");
    drop(leases);
    let (leases, trouble) = Leases::open(folder.path()).expect("opens again");
    assert_eq!(
        (leases.all().expect("reads"), trouble),
        (vec![row(1, 30), row(2, 20)], None)
    );
    leases.forget(25).expect("forgets");
    assert_eq!(leases.all().expect("reads"), [row(1, 30)]);
}

#[test]
fn a_damaged_file_is_kept_aside_and_a_new_one_begun() {
    let folder = quick_folder();
    let file = folder.path().join("leases.redb");
    for junk in [vec![], b"no database".to_vec(), vec![0xaa; 100_000]] {
        fs::write(&file, &junk).expect("writes");
        let (leases, trouble) = Leases::open(folder.path()).expect("opens");
        assert!(
            trouble.expect("it is told").contains("leases.redb.damaged"),
            "{} bytes",
            junk.len()
        );
        leases.commit(&[row(1, 10)]).expect("commits");
        assert_eq!(leases.all().expect("reads"), [row(1, 10)]);
    }
    let kept = fs::read_dir(folder.path()).expect("lists").flatten();
    let kept = kept.filter(|file| file.file_name().to_string_lossy().contains("damaged"));
    assert_eq!(kept.count(), 3);
}

#[test]
fn no_committed_lease_is_lost_in_a_power_cut() {
    let mut images = 0;
    for seed in 1..=20u64 {
        let disk = SimDisk::new(Plant::Nothing);
        let promised: Arc<Mutex<Vec<LeaseRow>>> = Arc::default();
        let bad: Arc<Mutex<Vec<String>>> = Arc::default();
        let (leases, _) = Leases::open_on(Arc::new(disk.clone())).expect("opens");
        let seen = Arc::new(Mutex::new(0));
        let first = disk.ops();
        let hook = {
            let (promised, bad, seen) = (promised.clone(), bad.clone(), seen.clone());
            move |image: &world::sim::Image| {
                *seen.lock().unwrap() += 1;
                let after = SimDisk::from_image(image);
                let found = Leases::open_on(Arc::new(after))
                    .and_then(|(leases, trouble)| Ok((leases.all()?, trouble)));
                match found {
                    Ok((rows, None)) => {
                        for row in promised.lock().unwrap().iter() {
                            if !rows
                                .iter()
                                .any(|other| other.addr == row.addr && other.ends >= row.ends)
                            {
                                bad.lock().unwrap().push(format!("{} is lost", row.addr));
                            }
                        }
                    }
                    other => bad.lock().unwrap().push(format!("{other:?}")),
                }
            }
        };
        let mut dice = Dice(seed);
        disk.cut_at((0..60).map(|_| first + dice.roll(600)).collect(), seed, hook);
        for n in 0..60u64 {
            let batch: Vec<_> = (0..=dice.roll(12))
                .map(|_| row(dice.roll(40) as u32, 100 + n))
                .collect();
            leases.commit(&batch).expect("commits");
            let mut promised = promised.lock().unwrap();
            for row in batch {
                promised.retain(|old| old.addr != row.addr);
                promised.push(row);
            }
        }
        assert!(
            bad.lock().unwrap().is_empty(),
            "seed {seed}: {:?}",
            bad.lock().unwrap()
        );
        images += *seen.lock().unwrap();
    }
    println!("power cuts survived: {images}");
    assert!(images >= 400, "{images}");
}

#[test]
fn a_full_disk_refuses_and_gives_everything_back_when_there_is_space_again() {
    let disk = SimDisk::new(Plant::Nothing);
    let (leases, _) = Leases::open_on(Arc::new(disk.clone())).expect("opens");
    leases.commit(&[row(1, 10)]).expect("commits");
    disk.fail(Some(Failure {
        at: disk.ops(),
        for_ever: true,
        errno: 28,
    }));
    for _ in 0..3 {
        let refused = leases.commit(&[row(2, 10)]);
        assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    }
    disk.fail(None);
    leases.commit(&[row(3, 10)]).expect("commits again");
    assert_eq!(leases.all().expect("reads"), [row(1, 10), row(3, 10)]);
}
