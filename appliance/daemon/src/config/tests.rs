use super::*;

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(parse("", &Config::default()), Ok(Config::default()));
}

#[test]
fn every_fault_is_listed_at_once() {
    let text = "colour = 'red'\n[listen]\nhttp = ['nonsense']\nproxy = 7\n[swarm]\nlsd = 'yes'\nupload_bytes_per_sec = 5\n";
    let faults = parse(text, &Config::default()).expect_err("five faults");
    assert_eq!(faults.len(), 5, "{faults:#?}");
    assert!(faults.iter().any(|f| f == "colour: unknown key"));
    assert!(faults.iter().any(|f| f.starts_with("listen.http: \"nonsense\"")));
}

#[test]
fn values_of_the_file_are_taken() {
    let text = "content = '/mnt/disk'\nadvertise = '192.168.1.2'\n[listen]\nbt = '0.0.0.0:1'\n\
                [store]\nvisited_bytes_max = 7\n[swarm]\nlsd = false\ndht_bootstrap = []\n";
    let config = parse(text, &Config::default()).expect("all keys are known");
    assert_eq!(config.content, Some("/mnt/disk".into()));
    assert_eq!(config.advertise, Some(Ipv4Addr::new(192, 168, 1, 2)));
    assert_eq!(config.bt.port(), 1);
    assert_eq!(config.visited_bytes_max, 7);
    assert!(!config.lsd);
    assert!(config.dht_bootstrap.is_empty());
}

#[test]
fn utp_and_the_dht_cannot_share_a_udp_port() {
    let text = "[listen]\nbt = '0.0.0.0:4000'\ndht = ['0.0.0.0:4000']\n";
    let faults = parse(text, &Config::default()).expect_err("they clash");
    assert!(faults[0].contains("4000"));
}

#[test]
fn a_schedule_is_read_line_by_line_and_its_rates_are_checked() {
    let text = "[swarm]\nupload = false\nschedule = ['mon-fri 7-23 up=100000', 'daily 23-7 down=0']\n";
    let config = parse(text, &Config::default()).expect("all keys are known");
    assert!(!config.upload);
    assert_eq!(config.schedule.len(), 12);
    let text = "[swarm]\nschedule = ['mon 7-8 up=5', 'someday']\n";
    let faults = parse(text, &Config::default()).expect_err("two faults");
    assert_eq!(faults.len(), 2, "{faults:#?}");
}
