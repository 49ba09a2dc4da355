//! RFC 2131 as scenarios: what a client says, and what it must hear.

use std::net::Ipv4Addr;

use dhcproto::{
    Encodable,
    v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode, UnknownOption},
};

use super::{scene::*, *};

#[test]
fn a_new_device_is_offered_and_given_an_address_with_everything_it_needs() {
    let mut home = Home::new();
    let (answer, offer) = home.ask(&message(MessageType::Discover, MAC)).expect("an offer");
    assert_eq!(offer.opts().msg_type(), Some(MessageType::Offer));
    assert_eq!(answer.to, To::Frame(addr(100)));
    assert!(answer.probe && answer.addr == addr(100));
    assert_eq!(
        (offer.yiaddr(), offer.xid(), offer.opcode()),
        (addr(100), 0x1234_5678, Opcode::BootReply)
    );
    let (answer, ack) = home.ask(&selecting(MAC, addr(100))).expect("an acknowledgement");
    assert!(!answer.probe, "it was probed before it was offered");
    let options = ack.opts();
    for (code, expected) in [
        (
            OptionCode::SubnetMask,
            DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        ),
        (OptionCode::Router, DhcpOption::Router(vec![addr(1)])),
        (
            OptionCode::DomainNameServer,
            DhcpOption::DomainNameServer(vec![OWN, addr(1)]),
        ),
        (OptionCode::DomainName, DhcpOption::DomainName("home.arpa".into())),
        (OptionCode::AddressLeaseTime, DhcpOption::AddressLeaseTime(86_400)),
        (OptionCode::ServerIdentifier, DhcpOption::ServerIdentifier(OWN)),
        (OptionCode::Renewal, DhcpOption::Renewal(43_200)),
        (OptionCode::Rebinding, DhcpOption::Rebinding(75_600)),
    ] {
        assert_eq!(options.get(code), Some(&expected));
    }
    assert_eq!(
        wpad(&ack).as_deref(),
        Some(&b"http://192.168.1.2/wpad.dat"[..]),
        "no terminator"
    );
    assert!(answer.bytes.len() >= 300);
}

#[test]
fn only_wanted_options_are_sent_but_252_always() {
    let mut home = Home::new();
    let list = vec![OptionCode::SubnetMask, OptionCode::DomainSearch];
    let asked = with(
        message(MessageType::Discover, MAC),
        DhcpOption::ParameterRequestList(list),
    );
    let (_, offer) = home.ask(&asked).expect("an offer");
    let mut codes: Vec<u8> = offer.opts().iter().map(|(code, _)| u8::from(*code)).collect();
    codes.sort_unstable();
    assert_eq!(codes, [1, 51, 53, 54, 58, 59, 119, 252]);
}

#[test]
fn a_device_that_goes_around_us_hears_of_no_proxy_and_the_routers_resolver() {
    let mut home = Home::new();
    let (_, offer) = home
        .ask(&message(MessageType::Discover, [2, 0, 0, 0, 0, 0x66]))
        .expect("an offer");
    assert_eq!(wpad(&offer), None);
    assert_eq!(
        offer.opts().get(OptionCode::DomainNameServer),
        Some(&DhcpOption::DomainNameServer(vec![addr(1)]))
    );
}

#[test]
fn replies_go_where_the_client_can_hear_them() {
    let mut home = Home::new();
    let loud = message(MessageType::Discover, MAC);
    let mut flagged = loud.clone();
    flagged.set_flags(Flags::default().set_broadcast());
    assert_eq!(home.ask(&flagged).expect("an offer").0.to, To::Everybody);
    let its = home.join(MAC).expect("it joins");
    let (answer, ack) = home.ask(&renewing(MAC, its)).expect("renewed");
    assert_eq!((answer.to, ack.ciaddr(), ack.yiaddr()), (To::Addr(its), its, its));
    let mut relayed = loud.clone();
    relayed.set_giaddr(addr(9));
    let relayed = with(
        relayed,
        DhcpOption::Unknown(UnknownOption::new(OptionCode::from(82), vec![1, 2, 7, 7])),
    );
    let (answer, _) = home.ask(&relayed).expect("an offer");
    assert_eq!(answer.to, To::Relay(addr(9)));
    let back = Packet::read(&answer.bytes).expect("it is good");
    let (last, value) = back.options().last().expect("there are options");
    assert!(
        last == code::RELAY && value.starts_with(&[1, 2, 7, 7]),
        "{last} {value:?}"
    );
    let mut far = loud;
    far.set_giaddr(Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(home.ask(&far).map(|_| ()), Err(Why::Outside));
}

/// In a home where MAC has .100 and somebody else .101.
#[track_caller]
fn hold(table: Vec<(&str, Message, Result<Kind, Why>)>) {
    let its = addr(100);
    for (what, message, expected) in table {
        let mut home = Home::new();
        assert_eq!(home.join(MAC), Some(its));
        assert_eq!(home.join([2, 0, 0, 0, 0, 9]), Some(addr(101)));
        home.now += 10;
        let heard = home.ask(&message);
        assert_eq!(
            heard.as_ref().map(|(answer, _)| answer.kind).map_err(|why| *why),
            expected,
            "{what}"
        );
        if let Ok((answer, _)) = heard
            && answer.kind == Kind::Nak
        {
            assert_eq!(answer.to, To::Everybody, "{what}");
        }
    }
}

#[test]
fn a_request_is_acknowledged_refused_or_left_alone_as_rfc_2131_says() {
    let its = addr(100);
    // What the client says, and the kind of the answer. MAC has .100, somebody else has .101.
    let table: Vec<(&str, Message, Result<Kind, Why>)> = vec![
        ("selecting us again", selecting(MAC, its), Ok(Kind::Ack)),
        (
            "selecting what another has",
            selecting(MAC, addr(101)),
            Ok(Kind::Nak),
        ),
        (
            "selecting outside the network",
            selecting(MAC, Ipv4Addr::new(10, 0, 0, 1)),
            Ok(Kind::Nak),
        ),
        ("selecting our own address", selecting(MAC, OWN), Ok(Kind::Nak)),
        (
            "selecting the router's address",
            selecting(MAC, addr(1)),
            Ok(Kind::Nak),
        ),
        (
            "selecting outside the pool",
            selecting(MAC, addr(20)),
            Ok(Kind::Nak),
        ),
        (
            "selecting the broadcast address",
            selecting(MAC, addr(255)),
            Ok(Kind::Nak),
        ),
        ("rebooting with its address", rebooting(MAC, its), Ok(Kind::Ack)),
        (
            "rebooting with another's",
            rebooting(MAC, addr(101)),
            Ok(Kind::Nak),
        ),
        (
            "rebooting from another network",
            rebooting(MAC, Ipv4Addr::new(10, 0, 0, 1)),
            Ok(Kind::Nak),
        ),
    ];
    hold(table);
}

#[test]
fn a_renewal_is_acknowledged_refused_or_left_alone_as_rfc_2131_says() {
    let its = addr(100);
    let table: Vec<(&str, Message, Result<Kind, Why>)> = vec![
        ("renewing", renewing(MAC, its), Ok(Kind::Ack)),
        ("renewing another's", renewing(MAC, addr(101)), Ok(Kind::Nak)),
        ("renewing a reserved one", renewing(MAC, addr(150)), Ok(Kind::Nak)),
        (
            "a stranger renewing a free one",
            renewing([2, 0, 0, 0, 0, 8], addr(120)),
            Ok(Kind::Ack),
        ),
        (
            "a stranger rebooting with a free one",
            rebooting([2, 0, 0, 0, 0, 8], addr(120)),
            Ok(Kind::Ack),
        ),
        (
            "neither address",
            message(MessageType::Request, MAC),
            Err(Why::NotIts),
        ),
        (
            "two different addresses",
            with(renewing(MAC, its), DhcpOption::RequestedIpAddress(addr(120))),
            Err(Why::NotIts),
        ),
        ("an offer", message(MessageType::Offer, MAC), Err(Why::NoQuestion)),
        (
            "an acknowledgement",
            message(MessageType::Ack, MAC),
            Err(Why::NoQuestion),
        ),
    ];
    hold(table);
}

#[test]
fn a_client_that_chose_another_server_frees_what_it_was_offered() {
    let mut home = Home::new();
    let (_, offer) = home.ask(&message(MessageType::Discover, MAC)).expect("an offer");
    let mut other = rebooting(MAC, addr(77));
    other.opts_mut().insert(DhcpOption::ServerIdentifier(addr(1)));
    assert_eq!(home.ask(&other).map(|_| ()), Err(Why::OtherServer(addr(1))));
    assert!(home.table.is_free(offer.yiaddr(), home.now));
    // A lease in force stays in force, though.
    let its = home.join(MAC).expect("it joins");
    let _ = home.ask(&other);
    assert!(!home.table.is_free(its, home.now));
}

#[test]
fn a_released_address_is_kept_for_its_device_as_long_as_there_are_others() {
    let mut home = Home::new();
    let its = home.join(MAC).expect("it joins");
    let mut release = message(MessageType::Release, MAC);
    release.set_ciaddr(its);
    let release = with(release, DhcpOption::ServerIdentifier(OWN));
    assert_eq!(home.ask(&release).map(|_| ()), Err(Why::Noted));
    assert!(home.table.is_free(its, home.now));
    assert_eq!(home.join([2, 0, 0, 0, 0, 9]), Some(addr(101)));
    assert_eq!(home.join(MAC), Some(its));
    // One that names no server.
    assert_eq!(home.join([2, 0, 0, 0, 0, 7]), Some(its));
    let mut plain = message(MessageType::Release, MAC);
    plain.set_ciaddr(its);
    assert_eq!(home.ask(&plain).map(|_| ()), Err(Why::Noted));
    assert_eq!(home.join(MAC), Some(its));
    // One that came with an identifier, and goes without.
    let named = with(
        message(MessageType::Discover, [2, 0, 0, 0, 0, 8]),
        DhcpOption::ClientIdentifier(vec![255, 1, 2, 3]),
    );
    let (_, offer) = home.ask(&named).expect("an offer");
    let mut nameless = release.clone();
    nameless.set_ciaddr(offer.yiaddr());
    nameless.set_chaddr(&[2, 0, 0, 0, 0, 8]);
    assert_eq!(home.ask(&nameless).map(|_| ()), Err(Why::Noted));
    assert!(home.table.is_free(offer.yiaddr(), home.now));
    // Nobody can release for somebody else.
    let mut forged = release;
    forged.set_chaddr(&[2, 0, 0, 0, 0, 9]);
    assert_eq!(home.ask(&forged).map(|_| ()), Err(Why::NotIts));
    assert!(!home.table.is_free(its, home.now));
}

#[test]
fn a_declined_address_is_not_given_to_anybody_for_a_while() {
    let mut home = Home::new();
    let its = home.join(MAC).expect("it joins");
    let decline = with(
        message(MessageType::Decline, MAC),
        DhcpOption::RequestedIpAddress(its),
    );
    let decline = with(decline, DhcpOption::ServerIdentifier(OWN));
    assert_eq!(home.ask(&decline).map(|_| ()), Err(Why::Noted));
    assert_eq!(home.join(MAC), Some(addr(101)));
    assert_eq!(
        home.ask(&selecting([2, 0, 0, 0, 0, 9], its))
            .map(|(answer, _)| answer.kind),
        Ok(Kind::Nak)
    );
    home.now += 120;
    assert!(home.table.is_free(its, home.now));
}

#[test]
fn inform_gets_settings_and_never_a_lease() {
    let mut home = Home::new();
    let mut inform = message(MessageType::Inform, MAC);
    inform.set_ciaddr(addr(33));
    let (answer, ack) = home.ask(&inform).expect("an answer");
    assert_eq!(
        (answer.to, ack.yiaddr(), ack.ciaddr()),
        (To::Addr(addr(33)), NOBODY, addr(33))
    );
    assert_eq!(ack.opts().get(OptionCode::AddressLeaseTime), None);
    assert!(ack.opts().get(OptionCode::DomainNameServer).is_some());
    assert!(wpad(&ack).is_some());
    assert_eq!(home.table.rows().count(), 0);
    inform.set_ciaddr(Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(home.ask(&inform).map(|_| ()), Err(Why::Outside));

    // INFORM-only: 252 and nothing else; all other messages stay without an answer.
    home.serving.mode = Mode::Inform;
    inform.set_ciaddr(addr(33));
    let (_, ack) = home.ask(&inform).expect("an answer");
    let mut codes: Vec<u8> = ack.opts().iter().map(|(code, _)| u8::from(*code)).collect();
    codes.sort_unstable();
    assert_eq!(codes, [53, 54, 252]);
    for other in [
        message(MessageType::Discover, MAC),
        rebooting(MAC, addr(100)),
        selecting(MAC, addr(100)),
    ] {
        assert_eq!(home.ask(&other).map(|_| ()), Err(Why::Mode));
    }
}

#[test]
fn a_reservation_is_its_devices_and_nobody_elses() {
    let mut home = Home::new();
    let reserved = [2, 0, 0, 0, 0, 0x55];
    let id = |text: &[u8]| DhcpOption::ClientIdentifier(text.to_vec());
    assert_eq!(home.join(reserved), Some(addr(150)));
    // The same hardware under another identifier: a boot loader.
    let again = with(message(MessageType::Discover, reserved), id(b"boot"));
    assert_eq!(home.ask(&again).expect("an offer").1.yiaddr(), addr(150));
    let wish = with(
        message(MessageType::Discover, MAC),
        DhcpOption::RequestedIpAddress(addr(150)),
    );
    assert_eq!(home.ask(&wish).expect("an offer").1.yiaddr(), addr(100));
    // A device that gets a reservation later is moved at its next renewal.
    let moved = [2, 0, 0, 0, 0, 0x77];
    let old = home.join(moved).expect("it joins");
    home.serving.reserved.insert(moved, addr(160));
    assert_eq!(
        home.ask(&renewing(moved, old)).map(|(answer, _)| answer.kind),
        Ok(Kind::Nak)
    );
    assert_eq!(home.join(moved), Some(addr(160)));
}

#[test]
fn the_identifier_tells_clients_apart_and_goes_back_as_it_came() {
    let mut home = Home::new();
    let one = with(
        message(MessageType::Discover, MAC),
        DhcpOption::ClientIdentifier(vec![255, 1, 2, 3]),
    );
    let other = with(
        message(MessageType::Discover, MAC),
        DhcpOption::ClientIdentifier(vec![255, 1, 2, 4]),
    );
    let (_, first) = home.ask(&one).expect("an offer");
    let (_, second) = home.ask(&other).expect("an offer");
    assert_ne!(first.yiaddr(), second.yiaddr());
    assert_eq!(
        first.opts().get(OptionCode::ClientIdentifier),
        Some(&DhcpOption::ClientIdentifier(vec![255, 1, 2, 3]))
    );
}

#[test]
fn one_device_cannot_take_the_whole_pool_under_many_identifiers() {
    let mut home = Home::new();
    let offers = (0..50u8).filter(|n| {
        let asked = with(
            message(MessageType::Discover, MAC),
            DhcpOption::ClientIdentifier(vec![255, *n]),
        );
        home.ask(&asked).is_ok()
    });
    assert_eq!(offers.count(), 16);
}

#[test]
fn a_flood_of_strangers_leaves_the_pool_usable_and_known_devices_renew() {
    let mut home = Home::new();
    let known: Vec<Mac> = (0..50).map(|n| [2, 0, 0, 0, 1, n]).collect();
    let theirs: Vec<_> = known
        .iter()
        .map(|mac| {
            home.now += 600;
            home.join(*mac).expect("it joins")
        })
        .collect();
    home.now += 600;
    for n in 0..10_000u32 {
        let [_, _, high, low] = n.to_be_bytes();
        home.join([6, 6, 6, 6, high, low]);
        home.now += u64::from(n % 160 == 0);
    }
    for (mac, addr) in known.iter().zip(&theirs) {
        let heard = home.ask(&renewing(*mac, *addr)).map(|(answer, _)| answer.kind);
        assert_eq!(heard, Ok(Kind::Ack));
    }
    assert!(home.table.rows().count() <= 100);
    home.now += 120;
    assert!(home.join(MAC).is_some(), "the pool is usable again");
}

#[test]
fn without_a_disk_known_devices_renew_and_new_ones_get_short_leases() {
    let mut home = Home::new();
    let its = home.join(MAC).expect("it joins");
    home.serving.durable = false;
    let secs = |message: &Message| match message.opts().get(OptionCode::AddressLeaseTime) {
        Some(DhcpOption::AddressLeaseTime(secs)) => *secs,
        _ => 0,
    };
    home.now += 43_200;
    let (_, ack) = home.ask(&renewing(MAC, its)).expect("renewed");
    assert_eq!(secs(&ack), 43_200, "what is on disk is not exceeded");
    let (_, offer) = home
        .ask(&message(MessageType::Discover, [2, 0, 0, 0, 0, 9]))
        .expect("an offer");
    assert_eq!(secs(&offer), 120);
    assert_ne!(offer.yiaddr(), its);

    // Decided while the disk seemed to work, and asked again when it turned out not to.
    let late = [2, 0, 0, 0, 0, 10];
    let asked = renewing(late, addr(180));
    let packet = Packet::read(&asked.to_vec().expect("it can be written")).expect("it is good");
    home.serving.durable = true;
    let hopeful = decide(&packet, addr(180), &home.table, &home.serving, home.now);
    home.table.apply(hopeful.change, home.now);
    home.serving.durable = false;
    assert_eq!(secs(&home.ask(&asked).expect("an answer").1), 120);
}

#[test]
fn a_reply_never_exceeds_what_the_client_takes() {
    let mut home = Home::new();
    home.serving.hand_out.routes = (0..16)
        .map(|n| Route {
            network: Ipv4Addr::new(10, n, 0, 0),
            prefix: 32,
            gateway: addr(1),
        })
        .collect();
    home.serving.hand_out.domain = ["a-label-of-some-length"; 9].join(".");
    let id = vec![255; 200];
    for told in [0, 300, 576, 600, 1500, 65_535] {
        let asked = with(
            message(MessageType::Discover, MAC),
            DhcpOption::ClientIdentifier(id.clone()),
        );
        let asked = with(asked, DhcpOption::MaxMessageSize(told));
        let (answer, offer) = home.ask(&asked).expect("an offer");
        assert!(
            answer.bytes.len() <= usize::from(told.clamp(576, 1500)) - 28,
            "{told}"
        );
        assert!(offer.opts().get(OptionCode::ClientIdentifier).is_some());
        assert!(offer.opts().get(OptionCode::AddressLeaseTime).is_some());
    }
}

#[test]
fn a_latin_1_host_name_hides_nothing_behind_it() {
    let mut bytes = message(MessageType::Discover, MAC)
        .to_vec()
        .expect("it can be written");
    bytes.truncate(240);
    bytes.extend(b"\x0c\x05K\xfcche\x35\x01\x01\x32\x04\xc0\xa8\x01\x96\xff");
    let packet = Packet::read(&bytes).expect("it is good");
    assert_eq!(
        (packet.kind, packet.addr(code::REQUESTED)),
        (Kind::Discover, Some(addr(150)))
    );
    assert_eq!(shown(&packet).as_deref(), Some("Küche"));
}

#[test]
fn options_in_the_fields_for_names_are_read_too() {
    let mut bytes = message(MessageType::Discover, MAC)
        .to_vec()
        .expect("it can be written");
    bytes.truncate(240);
    bytes.extend(b"\x34\x01\x03\x35\x01\x01\xff");
    bytes[108..115].copy_from_slice(b"\x32\x04\xc0\xa8\x01\x78\xff");
    bytes[44..50].copy_from_slice(b"\x0c\x03abc\xff");
    let packet = Packet::read(&bytes).expect("it is good");
    assert_eq!(packet.addr(code::REQUESTED), Some(addr(120)));
    assert_eq!(packet.option(code::HOST), Some(&b"abc"[..]));
}
