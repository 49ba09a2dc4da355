//! A home for the LAN tests: the Internet, a router, the box with Granary on it, and a device.

use crate::{
    Granary, Setup,
    internet::{self, Internet},
    netns::{Host, Lan},
    wait::soon,
    wire::{self, Message},
};

pub const ROUTER: &str = "192.168.7.1";
pub const BOX: &str = "192.168.7.2";
/// The address of the device where nothing else gives it one.
pub const DEVICE: &str = "192.168.7.9";

/// The last field goes last: everything runs on it.
pub struct Home {
    pub internet: Internet,
    pub router: Host,
    pub granary: Host,
    pub device: Host,
    pub world: Host,
    pub lan: Lan,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// With a router that only forwards packets, and a device without an address.
    #[track_caller]
    pub fn new() -> Self {
        let lan = Lan::new();
        let router = lan.host("router").with("192.168.7.1/24");
        let granary = lan.host("box").with("192.168.7.2/24");
        granary.ip(&format!("route add default via {ROUTER}"));
        let device = lan.host("device");
        let world = lan.lone_host("world");
        lan.cable(&router, "wan", &world, "eth0");
        router.add_addr("wan", "100.64.0.1/30");
        world.add_addr("eth0", "100.64.0.2/30");
        router.ip("route add default via 100.64.0.2");
        world.ip("route add 192.168.7.0/24 via 100.64.0.1");
        router.sysctl("net/ipv4/ip_forward", "1");
        let internet = Internet::start(&world);
        Self {
            internet,
            router,
            granary,
            device,
            world,
            lan,
        }
    }

    /// Gives the device its address, a route, and this text as resolv.conf.
    #[track_caller]
    pub fn settle_device(&self, resolv_conf: &str) {
        self.device.add_addr("eth0", &format!("{DEVICE}/24"));
        self.device.ip(&format!("route add default via {ROUTER}"));
        self.device.resolv_conf(resolv_conf);
    }

    /// The web half on the box, with the starter site.
    #[track_caller]
    pub fn web(&self) -> Granary {
        Setup::default()
            .verb("web")
            .arg("--starter")
            .on(&self.granary)
            .start()
    }

    /// The LAN half on the box, with the Internet's resolver as its upstream.
    #[track_caller]
    pub fn lan_half(&self, args: &[&str]) -> Granary {
        let mut setup = Setup::default().verb("lan").on(&self.granary);
        setup = setup
            .arg("--upstream-dns")
            .arg(format!("{}:53", internet::RESOLVER));
        for arg in args {
            setup = setup.arg(*arg);
        }
        setup.start()
    }

    /// One question of the device to the box.
    #[track_caller]
    pub fn ask(&self, name: &str, kind: &str) -> Message {
        let server = format!("{BOX}:53").parse().expect("an address");
        self.device
            .within(|| wire::ask(server, &Message::query(name, kind), soon()))
            .unwrap_or_else(|err| panic!("{name} {kind}: {err:#}"))
    }
}

/// The address of the site that comes with the program.
#[track_caller]
pub fn starter(web: &Granary) -> String {
    let infohash = web.ready()["starter"]
        .as_str()
        .expect("the starter site is seeded");
    format!("http://{infohash}-ih.btlink/")
}
