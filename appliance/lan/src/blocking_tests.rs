use std::{fs, path::Path};

use house::{clock::Clock, health::Health, tasks::Tasks};
use proto::dns::blocklist::Compiler;
use tokio::sync::watch;

use super::*;
use crate::{frame::Config, interfaces::Interfaces, settings::Settings};

struct World {
    folder: tempfile::TempDir,
    settings: watch::Sender<Arc<Settings>>,
    health: Health,
    tasks: Tasks,
    blocking: Blocking,
}

fn enabled() -> Settings {
    let mut settings = Settings::default();
    settings.block.enabled = true;
    settings
}

impl World {
    fn new(settings: Settings, list: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        if let Some(list) = list {
            put(folder.path(), list);
        }
        let (tasks, health) = (Tasks::new(), Health::default());
        let (settings, receiver) = watch::channel(Arc::new(settings));
        let config = Config {
            state: folder.path().into(),
            settings: None,
            control: folder.path().join("lan.sock"),
            dns: Vec::new(),
            dot: Vec::new(),
            doh: Vec::new(),
            advertise: None,
            interfaces: vec!["lo".into()],
            upstreams: Vec::new(),
            dhcp: None,
            http_port: 80,
        };
        let house = House {
            config: Arc::new(config),
            interfaces: Interfaces::start(&["lo".into()], &tasks),
            tasks: tasks.clone(),
            clock: Clock::default(),
            health: health.clone(),
            settings: receiver,
        };
        Self {
            blocking: Blocking::start(&house),
            folder,
            settings,
            health,
            tasks,
        }
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = (**self.settings.borrow()).clone();
        change(&mut settings);
        self.settings.send_replace(Arc::new(settings));
    }

    fn trouble(&self) -> String {
        let troubles = self.health.troubles();
        troubles
            .into_iter()
            .find(|(room, _)| *room == "blocking")
            .map(|(_, reason)| reason)
            .unwrap_or_default()
    }

    fn blocks(&self, name: &str) -> bool {
        self.blocking.is_blocked(&wire(name))
    }
}

fn put(folder: &Path, text: &str) {
    let mut compiler = Compiler::new(rand::random(), 1000);
    compiler.read(text.as_bytes());
    compiler.end();
    fs::write(folder.join("part"), compiler.finish()).expect("written");
    fs::rename(folder.join("part"), folder.join(FILE)).expect("renamed");
}

fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

#[track_caller]
fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "not in time: {place}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_blocked_until_the_household_asks_for_it() {
    let world = World::new(Settings::default(), Some("ads.example"));
    assert!(!world.blocks("ads.example"));
    world.set(|settings| settings.block.enabled = true);
    until(|| world.blocks("x.ads.example")).await;
    assert_eq!(world.blocking.facts().names, 1);
    assert_eq!(world.trouble(), "");
    world.set(|settings| settings.block.enabled = false);
    until(|| !world.blocks("ads.example")).await;
    until(|| world.blocking.names() == 0).await;
}

#[tokio::test]
async fn the_households_own_words_count_at_once_and_over_the_list() {
    let world = World::new(enabled(), Some("ads.example"));
    until(|| world.blocks("ads.example")).await;
    let before = world.blocking.generation();
    world.set(|settings| {
        settings.block.allow = vec!["good.ads.example".into()];
        settings.block.deny = vec!["games.example".into()];
    });
    until(|| world.blocks("www.games.example")).await;
    assert!(!world.blocks("good.ads.example") && world.blocks("bad.ads.example"));
    assert_ne!(world.blocking.generation(), before);
}

#[tokio::test]
async fn a_missing_or_damaged_list_blocks_nothing_and_is_told() {
    let world = World::new(enabled(), None);
    until(|| world.trouble().contains("no block list")).await;
    assert!(!world.blocks("ads.example"));
    for damaged in [&b"0.0.0.0 ads.example"[..], &[0; 100], b""] {
        fs::write(world.folder.path().join(FILE), damaged).expect("written");
        world.blocking.reload();
        until(|| world.trouble().contains("cannot be used")).await;
        assert!(!world.blocks("ads.example"));
    }
    put(world.folder.path(), "ads.example");
    world.blocking.reload();
    until(|| world.blocks("ads.example")).await;
    until(|| world.trouble().is_empty()).await;
}

#[tokio::test]
async fn a_new_list_takes_over_without_a_moment_in_which_nothing_is_blocked() {
    let world = World::new(enabled(), Some("ads.example\nold.example"));
    until(|| world.blocks("ads.example")).await;
    put(world.folder.path(), "ads.example\nnew.example");
    world.blocking.reload();
    until(|| {
        assert!(world.blocks("ads.example"), "a gap");
        world.blocks("new.example")
    })
    .await;
    assert!(!world.blocks("old.example"));
}

#[tokio::test]
async fn a_pause_lets_everything_through_and_ends_by_itself() {
    let world = World::new(enabled(), Some("ads.example"));
    until(|| world.blocks("ads.example")).await;
    world.blocking.pause(Duration::from_millis(200));
    assert!(!world.blocks("ads.example"));
    assert_eq!(world.blocking.facts().paused_secs, Some(1));
    until(|| world.blocks("ads.example")).await;
    assert_eq!(world.blocking.facts().paused_secs, None);

    world.blocking.pause(Duration::from_secs(300));
    assert!(!world.blocks("ads.example"));
    world.blocking.pause(Duration::ZERO);
    assert!(world.blocks("ads.example"));
    assert!(world.tasks.stop(Duration::from_secs(5)).await.is_empty());
}
