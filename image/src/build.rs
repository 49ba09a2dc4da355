//! From packages, overlay and board to the card. Every step is a function of its inputs: two builds are the same bytes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    apt::{Archive, Suite},
    board::{Board, Firmware},
    boot, disk, initrd,
    layout::{Kind, Layout},
    libraries,
    lock::{Lock, Place},
    modules::{self, Index},
    root,
    run::{command, run},
    system::System,
    units,
};

/// What a build is made from.
pub struct Plan {
    pub tree: PathBuf,
    pub board: String,
    /// Name of the folder of the results, in `cache`.
    pub into: String,
    /// Downloads, unpacked kernels and what comes out.
    pub cache: PathBuf,
    pub binary: PathBuf,
    pub mirror: Option<String>,
    /// Date of everything on the card, instead of the lock's.
    pub epoch: Option<u64>,
}

/// Where the results of a build lie.
pub struct Results {
    pub card: PathBuf,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub squashfs: PathBuf,
    pub contents: PathBuf,
}

impl Results {
    /// `name` is the board's, unless a build was to go elsewhere.
    pub fn of(cache: &Path, name: &str) -> Self {
        let folder = cache.join(name);
        Self {
            card: folder.join(format!("granary-{name}.img")),
            kernel: folder.join("vmlinuz"),
            initrd: folder.join("initrd"),
            squashfs: folder.join("root.squashfs"),
            contents: folder.join("contents.txt"),
        }
    }
}

/// An unpacked kernel.
struct Kernel {
    folder: PathBuf,
    version: String,
    index: Index,
}

pub fn build(plan: &Plan) -> Result<Results> {
    let read = |below: &str| {
        let path = plan.tree.join(below);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let system = System::parse(&read("image/system.toml")?)?;
    let lock = Lock::parse(&read("image/system.lock")?)?;
    let layout = Layout::parse(&read("image/layout/partitions.toml")?).map_err(|fault| anyhow!(fault))?;
    let board = board(&plan.tree, &plan.board)?;
    let epoch = plan.epoch.unwrap_or(lock.epoch);

    let results = Results::of(&plan.cache, &plan.into);
    let work = plan.cache.join(&plan.into).join("work");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).with_context(|| format!("make {}", work.display()))?;

    let archive = archive(plan, &system, board.kernel_place() == Place::KernelBackports)?;
    say("packages");
    let debs = archive.fetch(lock.of(Place::Root))?;
    let tools = archive.fetch(lock.of(Place::Tool))?;
    let kernel = kernel(&plan.cache, &archive, &lock, &board)?;

    say("root");
    let folder = work.join("root");
    root::unpack(&folder, &debs)?;
    root::furnish(&folder, &system.trim, &plan.tree.join("overlay"), &plan.binary)?;
    fs::write(
        folder.join("usr/lib/granary/release"),
        release(plan, &board, &layout, epoch),
    )?;
    fs::write(folder.join("usr/lib/granary/packages"), bill(&lock, &board))?;
    install_modules(&kernel, &folder, &system, &board)?;
    units::enable(&folder)?;
    libraries::check(&folder)?;
    fs::write(&results.contents, root::contents(&folder)?)?;

    say("squashfs");
    squash(&folder, &results.squashfs, epoch)?;
    say("boot files and card");
    let unpacked = unpack_tools(&work, &tools)?;
    let names = [system.initrd.modules.clone(), board.initrd_modules.clone()].concat();
    initrd::write(
        &results.initrd,
        &plan.tree.join("image/initrd/init"),
        &unpacked.join("usr/bin/busybox"),
        &kernel.modules(),
        &kernel.index,
        &names,
    )?;
    compress_kernel(&kernel, &results.kernel)?;
    let sources = boot::Sources {
        board: &board,
        layout: &layout,
        tools: &unpacked,
        kernel: &kernel.folder,
        kernel_image: kernel.image(),
        kernel_compressed: &results.kernel,
        initrd: &results.initrd,
    };
    let parts = partitions(&work, &sources, &results.squashfs, epoch)?;
    disk::write(&results.card, &layout, &parts, board.hybrid_mbr)?;
    fs::remove_dir_all(&work)?;
    Ok(results)
}

/// Builds once more, elsewhere, and compares: the date of the build, the machine and the order of its files must not show.
pub fn again(plan: Plan, first: &Results) -> Result<()> {
    let into = format!("{}-again", plan.board);
    let second = build(&Plan { into, ..plan })?;
    let compared = run(command("cmp").args([&first.card, &second.card]));
    compared.context("two builds of the same card differ; their folders are kept")?;
    fs::remove_dir_all(second.card.parent().context("a card lies in a folder")?)?;
    println!("built twice: the same bytes");
    Ok(())
}

pub fn board(tree: &Path, name: &str) -> Result<Board> {
    let path = tree.join("hw").join(name).join("board.toml");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("there is no board {name}: read {}", path.display()))?;
    Board::parse(&text).map_err(|fault| anyhow!("hw/{name}/board.toml: {fault}"))
}

fn archive(plan: &Plan, system: &System, backports: bool) -> Result<Archive> {
    let suite = Suite {
        release: &system.archive.release,
        components: &system.archive.components,
        backports,
        mirror: plan.mirror.as_deref(),
    };
    let folder = plan
        .cache
        .join(if backports { "archive-backports" } else { "archive" });
    Archive::open(&folder, &suite)
}

impl Kernel {
    fn modules(&self) -> PathBuf {
        self.folder.join("usr/lib/modules").join(&self.version)
    }

    /// Since 7.0 it lies beside its modules.
    fn image(&self) -> PathBuf {
        let old = self.folder.join(format!("boot/vmlinuz-{}", self.version));
        if old.exists() {
            old
        } else {
            self.modules().join("vmlinuz")
        }
    }
}

/// Unpacked once for all builds with this version.
fn kernel(cache: &Path, archive: &Archive, lock: &Lock, board: &Board) -> Result<Kernel> {
    let place = board.kernel_place();
    let Some(package) = lock.of(place).next() else {
        bail!(
            "image/system.lock has no kernel for {}: run `cargo image lock`",
            board.name
        );
    };
    let folder = cache.join(format!("kernel-{}", package.version.replace([':', '~'], "-")));
    if !folder.exists() {
        say("kernel");
        let part = folder.with_extension("part");
        let _ = fs::remove_dir_all(&part);
        for deb in archive.fetch(lock.of(place))?.values() {
            root::unpack_one(&part, deb)?;
        }
        fs::rename(&part, &folder)?;
    }
    let mut versions = fs::read_dir(folder.join("usr/lib/modules"))
        .with_context(|| format!("{} holds no modules", folder.display()))?;
    let version = versions.next().context("the kernel has no modules")??.file_name();
    let version = version.to_string_lossy().into_owned();
    let index = modules::index(&folder.join("usr"), &version)?;
    Ok(Kernel {
        folder,
        version,
        index,
    })
}

fn install_modules(kernel: &Kernel, root: &Path, system: &System, board: &Board) -> Result<()> {
    let names = [
        system.initrd.modules.clone(),
        board.initrd_modules.clone(),
        system.modules.wanted.clone(),
        board.modules.clone(),
    ]
    .concat();
    let paths = kernel.index.closure(&names)?;
    let to = root.join("usr/lib/modules").join(&kernel.version);
    modules::copy(&kernel.modules(), &paths, |path| to.join(path))?;
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        fs::copy(kernel.modules().join(name), to.join(name)).with_context(|| format!("copy {name}"))?;
    }
    run(command("depmod")
        .arg("-b")
        .arg(root.join("usr"))
        .arg(&kernel.version))?;
    Ok(())
}

fn squash(folder: &Path, to: &Path, epoch: u64) -> Result<()> {
    let _ = fs::remove_file(to);
    let epoch = epoch.to_string();
    run(command("mksquashfs")
        .env_remove("SOURCE_DATE_EPOCH")
        .args([folder, to])
        .args(["-comp", "zstd", "-Xcompression-level", "19", "-b", "256K"])
        .args(["-noappend", "-no-xattrs", "-all-root", "-quiet", "-no-progress"])
        .args(["-mkfs-time", &epoch, "-all-time", &epoch]))?;
    Ok(())
}

fn unpack_tools(work: &Path, tools: &BTreeMap<String, PathBuf>) -> Result<PathBuf> {
    let folder = work.join("tools");
    for deb in tools.values() {
        root::unpack_one(&folder, deb)?;
    }
    Ok(folder)
}

/// GRUB unpacks it; without its name and date, which would differ.
fn compress_kernel(kernel: &Kernel, to: &Path) -> Result<()> {
    let bytes = run(command("gzip").args(["-9", "-n", "-c"]).arg(kernel.image()))?;
    fs::write(to, bytes)?;
    Ok(())
}

/// A file for every partition.
fn partitions(
    work: &Path,
    sources: &boot::Sources,
    squashfs: &Path,
    epoch: u64,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut parts = BTreeMap::new();
    for (number, part) in (1u32..).zip(&sources.layout.partitions) {
        let mut file = work.join(format!("{}.part", part.name));
        match (part.kind, sources.fat(number, part)?) {
            (_, Some(fat)) => fat.write(&file, work, epoch)?,
            (Kind::Data, None) => disk::data(&file, sources.layout, epoch)?,
            // Both slots of a fresh card hold the same system.
            (_, None) => file = squashfs.into(),
        }
        parts.insert(part.name.clone(), file);
    }
    Ok(parts)
}

/// Shell reads it too.
fn release(plan: &Plan, board: &Board, layout: &Layout, epoch: u64) -> String {
    let firmware = match board.firmware {
        Firmware::Uefi => "uefi",
        Firmware::RpiTryboot => "rpi-tryboot",
    };
    let number = |name: &str| layout.number(name).unwrap_or_default();
    format!(
        "version={}\nboard={}\nfirmware={firmware}\nboot_a={}\nboot_b={}\nepoch={epoch}\n",
        env!("CARGO_PKG_VERSION"),
        plan.board,
        number("boot-a"),
        number("boot-b"),
    )
}

/// What is on the card, for people and programs that look for known holes.
fn bill(lock: &Lock, board: &Board) -> String {
    let on_card = lock.packages.iter().filter(|one| {
        one.place == Place::Root || one.place == Place::Tool || one.place == board.kernel_place()
    });
    on_card
        .map(|one| format!("{} {} {}\n", one.name, one.version, one.sha256))
        .collect()
}

fn say(step: &str) {
    eprintln!("image: {step}");
}
