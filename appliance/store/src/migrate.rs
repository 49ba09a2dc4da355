//! Format versions of `state.redb`. A migration works on a copy that replaces the file only when it is whole and
//! durable; migrations are appended here, never edited, and each has an old file in `testdata/`.

use std::sync::Arc;

use redb::WriteTransaction;

use crate::{
    Error,
    copy::Copy,
    disk::{Disk, Place},
    file::Db,
    rebuild,
    state::{STATE_FILE, make_tables, meta, set_meta},
    tables::{FORMAT, check_state},
};

/// What a migration works on.
const WORK: &str = "state.redb.migrating";

/// Takes a file from the format of its index + 1 to the next one.
pub(crate) type Step = fn(&WriteTransaction) -> Result<(), Error>;

/// `STEPS[0]` leads from format 1 to format 2. The program's own format is `STEPS.len() + 1`.
pub(crate) const STEPS: &[Step] = &[];

const _: () = assert!(STEPS.len() + 1 == FORMAT as usize);

/// Removes the rest of a migration that a crash ended: the file itself was not touched.
pub(crate) fn clean(disk: &dyn Disk) -> Result<(), Error> {
    match disk.list(Place::State) {
        Ok(names) if names.iter().any(|name| name == WORK) => Ok(disk.remove(Place::State, WORK)?),
        Ok(_) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

/// Brings an existing file to this program's format. `look`: at all its checksums first, because a table whose name is
/// damaged would be taken for a missing one.
pub(crate) fn run(disk: &Arc<dyn Disk>, db: &Db, rows: &Copy, look: bool) -> Result<(), Error> {
    run_steps(disk, db, rows, STEPS, look)
}

pub(crate) fn run_steps(
    disk: &Arc<dyn Disk>,
    db: &Db,
    rows: &Copy,
    steps: &[Step],
    look: bool,
) -> Result<(), Error> {
    let known = steps.len() as u32 + 1;
    let found = format_of(db, look)?;
    if found > known {
        return Err(Error::TooNew {
            found,
            known,
            path: STATE_FILE.into(),
        });
    }
    if look {
        db.check()?;
    }
    if found == known {
        db.open_writing(false)?;
        // A start on a whole file costs no commit; a table added by a release is made here.
        return match db.read(check_state) {
            Ok(()) => Ok(()),
            Err(_) => rebuild::add_tables(db, rows),
        };
    }
    tracing::info!(
        from = found,
        to = known,
        "bringing the store's state to a new format"
    );
    db.shut();
    disk.copy(Place::State, STATE_FILE, WORK)?;
    let copy = Db::new(disk.clone(), Place::State, WORK.into(), 4 << 20);
    copy.open_writing(false)?;
    copy.write(|txn| {
        for step in &steps[found as usize - 1..] {
            step(txn)?;
        }
        make_tables(txn)?;
        set_meta(txn, "format", u64::from(known))
    })?;
    copy.shut();
    disk.rename(Place::State, WORK, STATE_FILE)?;
    disk.sync_folder(Place::State)?;
    db.open_writing(false)
}

/// A file without a format was being made when the power went: nothing was ever acknowledged from it.
fn format_of(db: &Db, look: bool) -> Result<u32, Error> {
    let found = db.read(|txn| match meta(txn, "format") {
        Ok(found) => Ok(found),
        Err(Error::Damaged(_)) if txn.list_tables()?.next().is_none() => Ok(None),
        Err(err) => Err(err),
    })?;
    match found {
        Some(found) => u32::try_from(found).map_err(|_| Error::Damaged("format number".into())),
        None => {
            if look {
                db.check()?;
            }
            db.open_writing(false)?;
            db.write(make_tables)?;
            Ok(FORMAT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{disk::Folders, tables::SETTINGS};

    fn with_old_file(format: u32) -> (tempfile::TempDir, Arc<dyn Disk>, Db) {
        let dir = tempfile::tempdir().expect("folder");
        let old = format!("{}/testdata/format-{format}.redb", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(old, dir.path().join(STATE_FILE)).expect("old file");
        let disk: Arc<dyn Disk> = Arc::new(Folders::new(dir.path(), dir.path()));
        let db = Db::new(disk.clone(), Place::State, STATE_FILE.into(), 1 << 20);
        (dir, disk, db)
    }

    fn migrate(disk: &Arc<dyn Disk>, db: &Db, steps: &[Step]) -> Result<(), Error> {
        run_steps(disk, db, &Copy::new(disk.clone()), steps, true)
    }

    fn step(txn: &WriteTransaction) -> Result<(), Error> {
        txn.open_table(SETTINGS)?.insert("moved", &b"yes"[..])?;
        Ok(())
    }

    fn setting(db: &Db, key: &str) -> Option<Vec<u8>> {
        let read = db.read(|txn| {
            Ok(txn
                .open_table(SETTINGS)?
                .get(key)?
                .map(|raw| raw.value().to_vec()))
        });
        read.expect("reads")
    }

    #[test]
    fn a_file_of_each_old_format_opens() {
        for format in 1..=FORMAT {
            let (_dir, disk, db) = with_old_file(format);
            migrate(&disk, &db, STEPS).expect("opens");
            assert_eq!(setting(&db, "colour").as_deref(), Some(&b"green"[..]));
        }
    }

    #[test]
    fn a_migration_works_on_a_copy_and_the_older_program_refuses_its_result() {
        let (dir, disk, db) = with_old_file(1);
        std::fs::write(dir.path().join(WORK), b"the rest of a migration that was cut").expect("writes");
        clean(disk.as_ref()).expect("cleans");
        let broken: Step = |_| Err(Error::Damaged("planted".into()));
        assert!(migrate(&disk, &db, &[step, broken]).is_err());
        assert_eq!(
            setting(&db, "moved"),
            None,
            "the file is untouched until the copy is whole"
        );
        clean(disk.as_ref()).expect("cleans");
        migrate(&disk, &db, &[step]).expect("migrates");
        assert_eq!(setting(&db, "moved").as_deref(), Some(&b"yes"[..]));
        assert_eq!(setting(&db, "colour").as_deref(), Some(&b"green"[..]));
        db.shut();
        assert!(matches!(
            migrate(&disk, &db, &[]),
            Err(Error::TooNew {
                found: 2,
                known: 1,
                ..
            })
        ));
    }
}
