//! Power cuts while an address is published again and again: nothing ever leaves twice under one number, whatever the
//! killed one remembers and whatever the network forgets.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use data_encoding::HEXLOWER;
use harness::{Granary, Setup, http};
use proto::{
    bencode::{self, Value as Bencoded},
    id::InfoHash,
    record::{Mutable, torrent_value},
    secret::SecretKey,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

const KILLS: u32 = 40;
const SEED: u64 = 0x7265_636f;

/// A number and its bencoded value, as they came in.
type Put = (i64, Vec<u8>);

/// The only other node of the DHT: takes every put, answers, and remembers nothing but what it was sent. It never shows a
/// record to anybody, so only the killed one's own store stands between it and a second value.
struct Witness {
    addr: SocketAddr,
    puts: Arc<Mutex<Vec<Put>>>,
}

impl Witness {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let addr = socket.local_addr().expect("bound");
        let puts = Arc::new(Mutex::new(Vec::new()));
        let seen = puts.clone();
        // Ends with the test's process; it holds nothing but a socket.
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(reply) = answer(&buffer[..length], &seen) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Self { addr, puts }
    }

    fn puts(&self) -> Vec<Put> {
        self.puts.lock().expect("the witness does not panic").clone()
    }
}

fn answer(datagram: &[u8], seen: &Mutex<Vec<Put>>) -> Option<Vec<u8>> {
    let message = bencode::parse(datagram).ok()?;
    let method = message.get(b"q")?.bytes()?;
    let args = message.get(b"a")?;
    if method == b"put" {
        let put = (args.get(b"seq")?.int()?, args.get(b"v")?.raw.to_vec());
        seen.lock().expect("the witness does not panic").push(put);
    }
    let mut reply = vec![("id", Bencoded::bytes([0x77; 20]))];
    if matches!(method, b"get" | b"get_peers" | b"find_node") {
        reply.push(("nodes", Bencoded::bytes([])));
        reply.push(("token", Bencoded::bytes(b"token")));
    }
    let tid = message.get(b"t")?.bytes()?;
    let whole = [
        ("r", Bencoded::dict(reply)),
        ("t", Bencoded::bytes(tid)),
        ("y", Bencoded::bytes(b"r")),
    ];
    Some(Bencoded::dict(whole).encode())
}

/// Publishes rising numbers until it is cut off. What is refused under one number is tried under the next; `next` is the
/// number that has not been confirmed. Every try has a value of its own.
fn publish(granary: &Granary, next: &Mutex<i64>, random: &mut StdRng, told: &Mutex<BTreeMap<i64, Vec<u8>>>) {
    let secret = SecretKey::from_seed([9; 32]);
    loop {
        let seq = *next.lock().expect("not poisoned");
        let value = torrent_value(&InfoHash(random.random()));
        let item = Mutable::sign(&secret, b"", seq, &value).expect("within the rules");
        let body = json!({ "record": HEXLOWER.encode(&item.encode()), "deadline": 5 }).to_string();
        let reply = http::request_unix(&granary.control, "POST", "/api/v1/records", body.as_bytes());
        match reply.as_ref().map(|reply| reply.status) {
            Ok(200) => {
                let reply = reply.expect("just seen").json();
                assert!(reply["stored"].as_u64() >= Some(1), "{reply}");
                told.lock().expect("not poisoned").insert(seq, value);
            }
            // Stored before the last kill, or this number is below what is stored: the next one.
            Ok(409 | 422) => {}
            _ => return,
        }
        *next.lock().expect("not poisoned") = seq + 1;
    }
}

#[test]
fn forty_kills_while_publishing_never_put_two_values_under_one_number() {
    let witness = Witness::start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(SEED);
    let (next, told) = (Mutex::new(1), Mutex::new(BTreeMap::new()));
    for _ in 0..KILLS {
        let mut granary = Setup::default()
            .data(&data)
            .arg("--dht-bootstrap")
            .arg(witness.addr.to_string())
            .start();
        let life = Duration::from_millis(random.random_range(5..250));
        let mut values = StdRng::seed_from_u64(random.random());
        let pid = granary.process.pid();
        std::thread::scope(|scope| {
            scope.spawn(|| publish(&granary, &next, &mut values, &told));
            // Not a wait for anything: the moment of the cut is what is random here.
            std::thread::sleep(life);
            let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        });
        granary.kill();
    }
    let puts = witness.puts();
    let mut values: BTreeMap<i64, &[u8]> = BTreeMap::new();
    let mut highest = 0;
    for (seq, value) in &puts {
        let first = values.entry(*seq).or_insert(value);
        assert_eq!(first, value, "two values left under number {seq}");
        assert!(*seq >= highest, "number {seq} left after {highest}");
        highest = highest.max(*seq);
    }
    // What was called published did leave, and with that value.
    let told = told.into_inner().expect("not poisoned");
    for (seq, value) in &told {
        assert_eq!(values.get(seq), Some(&&value[..]), "number {seq}");
    }
    assert!(
        told.len() >= KILLS as usize,
        "only {} were published between the kills: this proves too little",
        told.len()
    );
    println!(
        "{KILLS} kills: {} numbers published, {} puts seen, one value each",
        told.len(),
        puts.len()
    );
}
