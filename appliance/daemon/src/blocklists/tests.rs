use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::dns::blocklist::{List, Listed};
use store::Store;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server of lists on loopback: what it gives can be changed, and it counts who asks.
#[derive(Default)]
struct Server {
    text: Mutex<String>,
    status: Mutex<String>,
    asked: AtomicUsize,
    same: AtomicUsize,
}

impl Server {
    fn give(&self, status: &str, text: &str) {
        *self.status.lock().expect("no panic") = status.into();
        *self.text.lock().expect("no panic") = text.into();
    }

    /// The mark is the length of the text.
    async fn start(self: Arc<Self>, tasks: &Tasks) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        tasks.spawn("test.lists", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut piece = [0; 1];
                    if stream.read(&mut piece).await.unwrap_or(0) == 0 {
                        break;
                    }
                    head.extend(piece);
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                let text = self.text.lock().expect("no panic").clone();
                let status = self.status.lock().expect("no panic").clone();
                let mark = format!("\"m{}\"", text.len());
                self.asked.fetch_add(1, Ordering::SeqCst);
                let reply = if head.contains(&format!("if-none-match: {mark}")) {
                    self.same.fetch_add(1, Ordering::SeqCst);
                    "HTTP/1.1 304 Not Modified\r\n\r\n".to_string()
                } else {
                    let len = text.len();
                    format!("HTTP/1.1 {status}\r\netag: {mark}\r\ncontent-length: {len}\r\n\r\n{text}")
                };
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        addr
    }
}

struct World {
    folder: tempfile::TempDir,
    server: Arc<Server>,
    addr: SocketAddr,
    lists: Blocklists,
    db: Db,
    home: Home,
    tasks: Tasks,
}

async fn running_lan(folder: &Path, tasks: &Tasks) {
    let config = lan::Config {
        state: folder.into(),
        settings: None,
        control: folder.join("lan.sock"),
        dns: Vec::new(),
        dot: Vec::new(),
        doh: Vec::new(),
        advertise: None,
        interfaces: vec!["lo".into()],
        upstreams: Vec::new(),
        dhcp: None,
        http_port: 80,
    };
    let started = lan::Lan::start(config, Vec::new(), Clock::default(), Health::default(), tasks).await;
    started.map(|_| ()).expect("nothing is in its way");
}

fn start(folder: &Path, db: &Db, home: &Home, tasks: &Tasks) -> Blocklists {
    let config = Config {
        folder: folder.join("texts"),
        policy: Policy {
            allow_loopback: true,
            ..Policy::default()
        },
    };
    Blocklists::start(config, db, &Clock::default(), &Health::default(), home, tasks)
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tasks = Tasks::new();
        let server = Arc::new(Server::default());
        server.give("200 OK", "ads.example\n||track.example^\nwhat is this\n");
        let addr = server.clone().start(&tasks).await;
        running_lan(folder.path(), &tasks).await;
        let home = Home::new(folder.path().join("lan.sock"));
        let config = store::Config {
            state_dir: folder.path().into(),
            content_dir: folder.path().into(),
            segment_bytes_max: 1 << 30,
            pending_bytes_max: 1 << 20,
            visited_bytes_max: 1 << 30,
            free_floor_bytes: 0,
        };
        let db = Db::new(Store::open(config, 1_777_788_000).expect("a store"));
        Self {
            lists: start(folder.path(), &db, &home, &tasks),
            folder,
            server,
            addr,
            db,
            home,
            tasks,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/list.txt", self.addr)
    }

    fn blocks(&self, name: &str) -> bool {
        let file = std::fs::read(self.folder.path().join(lan::BLOCKLIST_FILE)).unwrap_or_default();
        let wire = proto::dns::name::from_text(name).expect("a name");
        List::open(file).is_ok_and(|list| list.look_up(&wire) == Listed::Blocked)
    }

    fn only(&self) -> ListFacts {
        let lists = self.lists.facts().lists;
        assert_eq!(lists.len(), 1, "{lists:?}");
        lists[0].clone()
    }

    fn asked(&self) -> usize {
        self.server.asked.load(Ordering::SeqCst)
    }
}

#[track_caller]
fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "not in time: {place}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_list_of_the_web_is_fetched_compiled_and_known_to_the_lan_half() {
    let world = World::new().await;
    assert_eq!(
        world.lists.facts(),
        Facts::default(),
        "nothing is chosen for anybody"
    );
    let id = world
        .lists
        .add_url("Mine", &world.url())
        .await
        .expect("a good address");
    until(|| world.blocks("x.ads.example") && world.only().names == Some(2)).await;
    let facts = world.only();
    assert_eq!((facts.id, facts.name.as_str(), facts.left_out), (id, "Mine", 1));
    let mut settings = world.home.settings().await.expect("it runs");
    settings.block.enabled = true;
    world.home.set_settings(&settings).await.expect("good settings");
    for _ in 0..200 {
        if world.home.status().await.expect("it runs").block.names == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.home.status().await.expect("it runs").block.names, 2);

    // A list that is switched off blocks nothing; its text stays.
    world.lists.set_enabled(id, false).await.expect("it is there");
    until(|| !world.blocks("ads.example")).await;
    let asked = world.asked();
    world.lists.set_enabled(id, true).await.expect("it is there");
    until(|| world.blocks("ads.example")).await;
    assert_eq!(world.asked(), asked);
    world.lists.remove(id).await.expect("it is there");
    until(|| !world.blocks("ads.example") && !world.lists.facts().working).await;
    assert!(matches!(world.lists.remove(id).await, Err(Error::Unknown)));
    assert!(world.tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again_and_a_broken_answer_changes_nothing() {
    let world = World::new().await;
    world
        .lists
        .add_url("", &world.url())
        .await
        .expect("a good address");
    until(|| world.blocks("ads.example") && !world.lists.facts().working).await;
    assert_eq!(world.only().name, "127.0.0.1");
    let mut settings = world.home.settings().await.expect("it runs");
    settings.block.enabled = true;
    world.home.set_settings(&settings).await.expect("good settings");

    world.lists.refresh();
    until(|| world.server.same.load(Ordering::SeqCst) == 1 && !world.lists.facts().working).await;
    assert!(world.blocks("ads.example") && world.only().trouble.is_none());

    for (status, text, said) in [
        ("500 No", "later", "status 500"),
        ("200 OK", "  <!doctype html><title>Log in</title>", "web page"),
    ] {
        world.server.give(status, text);
        world.lists.refresh();
        until(|| world.only().trouble.is_some_and(|trouble| trouble.contains(said))).await;
        assert!(world.blocks("ads.example"), "the old list counts on");
    }
    world.server.give("200 OK", "new.example\n");
    world.lists.refresh();
    until(|| world.blocks("new.example")).await;
    assert!(!world.blocks("ads.example") && world.only().trouble.is_none());
}

#[tokio::test]
async fn a_text_that_a_person_gives_counts_and_everything_is_known_after_a_restart() {
    let world = World::new().await;
    let text = Bytes::from_static(b"0.0.0.0 games.example\n");
    let id = world
        .lists
        .add_text("For the children", text)
        .await
        .expect("short enough");
    until(|| world.blocks("games.example") && !world.lists.facts().working).await;
    let before = world.lists.facts();

    let again = start(world.folder.path(), &world.db, &world.home, &world.tasks);
    until(|| !again.facts().working && again.facts() == before).await;
    // The compiled file is lost: it is made anew from the text.
    std::fs::remove_file(world.folder.path().join(lan::BLOCKLIST_FILE)).expect("it was there");
    again.refresh();
    until(|| world.blocks("games.example")).await;
    again.remove(id).await.expect("it is there");
}

#[tokio::test]
async fn addresses_inside_the_home_and_nonsense_are_refused_with_a_reason() {
    let world = World::new().await;
    for bad in [
        "http://192.168.1.1/list",
        "ftp://lists.org/x",
        "udp://lists.org:6969/",
        "lists",
        "http://router/",
    ] {
        let refused = world.lists.add_url("x", bad).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{bad}: {refused:?}");
    }
    let long = "x".repeat(81);
    assert!(matches!(
        world.lists.add_url(&long, &world.url()).await,
        Err(Error::Refused(_))
    ));
    world
        .lists
        .add_url("x", &world.url())
        .await
        .expect("a good address");
    assert!(
        matches!(
            world.lists.add_url("y", &world.url()).await,
            Err(Error::Refused(_))
        ),
        "twice"
    );
    assert!(matches!(
        world.lists.set_enabled(99, true).await,
        Err(Error::Unknown)
    ));
    for i in 1..LISTS_MAX {
        world
            .lists
            .add_text(&i.to_string(), Bytes::new())
            .await
            .expect("below the bound");
    }
    assert!(matches!(
        world.lists.add_text("z", Bytes::new()).await,
        Err(Error::Refused(_))
    ));
    assert_eq!(world.lists.facts().lists.len(), LISTS_MAX);
}
