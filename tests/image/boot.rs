//! The card as a home meets it: `make test-image`. Starts what `make image` built in QEMU, on a LAN made of namespaces with a
//! router and a client that knows nothing of it; asks for names and pages; cuts the power; asks again. As root. Prints what it
//! measured and ends with 1 when something was not as it should be.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use harness::{
    card::{self, Card, Start},
    http,
    netns::{Host, Lan},
    router::Router,
    wire::{self, Message},
};

const ADDRESS: &str = "192.168.7.2";
/// Emulated, on a machine that does something else besides.
const DEADLINE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("test-image: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let folder = card::workshop()?
        .parent()
        .and_then(Path::parent)
        .context("the workshop lies in TARGET/PROFILE")?
        .join("image/qemu-arm64");
    contents_are_as_agreed(&folder)?;

    let lan = Lan::new();
    let router = lan.host("router").with("192.168.7.1/24");
    let _router = Router::start(
        &router,
        &format!(
            "interface=eth0\nbind-interfaces\ndhcp-range=192.168.7.100,192.168.7.150,1h\n\
             dhcp-host={},{ADDRESS}\naddress=/example.org/203.0.113.5\n",
            card::MAC
        ),
    );
    let client = lan.host("client").with("192.168.7.50/24");
    let board = lan.host("board");
    let copy = copy(&folder, lan.dir())?;

    println!("start                to names   to pages   processor");
    for (what, start) in [
        ("kernel, fresh card", Start::Direct),
        ("kernel, power was cut", Start::Direct),
        ("firmware and GRUB", Start::Firmware),
    ] {
        let mut card = Card::start(&board, &copy, start)?;
        let outcome = visit(&mut card, &client);
        let (names, pages) =
            outcome.with_context(|| format!("{what}; the console:\n{}", card.last_words()))?;
        println!(
            "{what:21} {:5.1} s    {:5.1} s    {:5.1} s",
            names.as_secs_f64(),
            pages.as_secs_f64(),
            card.cpu_secs()
        );
        card.cut_power();
    }
    Ok(())
}

/// What lies on the card is agreed on line by line, so that nothing comes or goes unseen.
fn contents_are_as_agreed(folder: &Path) -> Result<()> {
    let built = fs::read_to_string(folder.join("contents.txt")).context("no card is built: make image")?;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/image/qemu-arm64.txt");
    let agreed = fs::read_to_string(&golden).with_context(|| format!("read {}", golden.display()))?;
    let differences = |what: &str, from: &str, other: &str| -> Vec<String> {
        let have: std::collections::BTreeSet<_> = other.lines().collect();
        let lines = from.lines().filter(|line| !have.contains(line));
        lines.map(|line| format!("  {what} {line}")).collect()
    };
    let mut all = differences("new: ", &built, &agreed);
    all.extend(differences("gone:", &agreed, &built));
    if !all.is_empty() {
        bail!(
            "the card holds something else than {} says:\n{}\nWhen that is meant, copy contents.txt there.",
            golden.display(),
            all.join("\n")
        );
    }
    println!("contents: {} entries, as agreed", agreed.lines().count());
    Ok(())
}

/// A card of our own, because it is written to. Holes stay holes.
fn copy(folder: &Path, to: &Path) -> Result<PathBuf> {
    let copy = to.join("card.img");
    let status = Command::new("cp")
        .arg("--sparse=always")
        .arg(folder.join("granary-qemu-arm64.img"))
        .arg(&copy)
        .status()?;
    ensure!(status.success(), "copy the card: {status}");
    Ok(copy)
}

/// Guest time until the first name was answered, and until the first page was.
fn visit(card: &mut Card, client: &Host) -> Result<(Duration, Duration)> {
    let names: SocketAddr = format!("{ADDRESS}:53").parse()?;
    let pages: SocketAddr = format!("{ADDRESS}:80").parse()?;
    let ask = |name: &'static str| client.within(|| wire::ask(names, &Message::query(name, "A"), PAUSE * 3));

    let own = until(card, "its own name", || ask("granary.home.arpa").ok())?;
    let to_names = card.guest_time().context("the kernel printed nothing")?;
    ensure!(
        own.data("A") == [ADDRESS],
        "granary.home.arpa is {:?}",
        own.data("A")
    );
    let other = until(card, "a name that the router knows", || {
        ask("example.org")
            .ok()
            .filter(|answer| !answer.data("A").is_empty())
    })?;
    ensure!(
        other.data("A") == ["203.0.113.5"],
        "example.org is {:?}",
        other.data("A")
    );

    let get = |target: &str| client.within(|| http::get(pages, target, &[("Host", ADDRESS)]));
    let page = until(card, "its page", || get("/").ok())?;
    let to_pages = card.guest_time().context("the kernel printed nothing")?;
    ensure!(
        page.status < 400,
        "the page is a {}: {}",
        page.status,
        page.text()
    );
    let script = get("/wpad.dat")?;
    ensure!(
        script.text().contains("FindProxyForURL"),
        "wpad.dat is {}: {}",
        script.status,
        script.text()
    );
    closed(client)?;
    Ok((to_names, to_pages))
}

/// No door but those that are listed: what a scanner would try first says "closed".
fn closed(client: &Host) -> Result<()> {
    for port in [22, 23, 111, 443, 5355, 8080] {
        let address: SocketAddr = format!("{ADDRESS}:{port}").parse()?;
        let connected =
            client.within(|| std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)));
        ensure!(connected.is_err(), "port {port} is open");
    }
    Ok(())
}

fn until<T>(card: &mut Card, what: &str, mut attempt: impl FnMut() -> Option<T>) -> Result<T> {
    loop {
        card.look()?;
        if let Some(found) = attempt() {
            return Ok(found);
        }
        if card.since_power() > DEADLINE {
            bail!("waited {} s in vain for {what}", DEADLINE.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}
