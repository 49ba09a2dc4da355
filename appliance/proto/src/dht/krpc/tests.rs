use super::*;

fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../testdata/dht.json")).expect("json")
}

fn packets() -> Vec<(String, Vec<u8>)> {
    let vectors = vectors();
    let text = vectors["packets"].as_object().expect("packets").iter();
    let text = text.map(|(name, p)| (name.clone(), p.as_str().expect("text").as_bytes().to_vec()));
    let hex = vectors["packets_hex"]
        .as_object()
        .expect("hex")
        .iter()
        .map(|(name, p)| {
            (
                name.clone(),
                data_encoding::HEXLOWER
                    .decode(p.as_str().expect("hex").as_bytes())
                    .expect("hex"),
            )
        });
    text.chain(hex).collect()
}

fn packet(name: &str) -> Vec<u8> {
    packets()
        .into_iter()
        .find(|(n, _)| n == name)
        .expect("known name")
        .1
}

#[test]
fn every_sample_packet_is_encoded_back_to_the_same_bytes() {
    let packets = packets();
    assert!(packets.len() >= 13);
    for (name, bytes) in packets.iter().filter(|(name, _)| name != "find_node_reply") {
        let message = decode(bytes).unwrap_or_else(|r| panic!("{name}: {r:?}"));
        assert_eq!(&message.encode(), bytes, "{name}");
    }
    // The sample has a node list of nine bytes, which holds no node.
    let bytes = packet("find_node_reply");
    let Body::Reply(reply) = decode(&bytes).expect("reply").body else {
        panic!("a reply")
    };
    assert_eq!(reply.nodes, Some(Vec::new()));
}

#[test]
fn sample_packets_mean_what_the_beps_say() {
    let bytes = packet("announce_peer");
    let Body::Query(query) = decode(&bytes).expect("query").body else {
        panic!("a query")
    };
    assert_eq!(query.id, Id(*b"abcdefghij0123456789"));
    let Ask::AnnouncePeer(announce) = query.ask else {
        panic!("announce")
    };
    assert_eq!(
        (announce.port, announce.implied_port, announce.token),
        (6881, true, &b"aoeusnth"[..])
    );

    let bytes = packet("get_peers_reply_values");
    let Body::Reply(reply) = decode(&bytes).expect("reply").body else {
        panic!("a reply")
    };
    let values: Vec<_> = reply
        .values
        .expect("values")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(values, ["97.120.106.101:11893", "105.100.104.116:28269"]);

    let bytes = packet("get_ro");
    let message = decode(&bytes).expect("query");
    assert!(message.read_only && message.canonical);

    let bytes = packet("error_seq");
    let Body::Error { code, .. } = decode(&bytes).expect("error").body else {
        panic!("an error")
    };
    assert_eq!(code, Code::SeqTooLow as i64);
}

#[test]
fn a_stored_value_keeps_its_bytes() {
    let bytes = packet("put");
    let Body::Query(query) = decode(&bytes).expect("put").body else {
        panic!("a query")
    };
    let Ask::Put(put) = query.ask else { panic!("put") };
    assert_eq!(&put.v[..7], b"d2:ih20");
    let signed = put.signed.expect("mutable");
    assert_eq!((signed.salt, signed.seq), (&b"n"[..], 1));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    assert_eq!(
        data_encoding::HEXLOWER.encode(hash.as_ref()),
        vectors()["put_sha1"].as_str().expect("sha1")
    );
}

#[test]
fn keys_we_do_not_know_are_kept_everywhere() {
    let query = b"d1:ad2:id20:abcdefghij01234567894:junkd1:xi1ee6:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t1:x1:v4:LT\x02\x081:y1:q2:zzi9ee";
    let message = decode(query).expect("query");
    assert_eq!(message.encode(), query);
    assert_eq!(message.extra, [(&b"zz"[..], &b"i9e"[..])]);
    let other = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q4:vote1:t20:aaaaaaaaaabbbbbbbbbb1:y1:qe";
    assert_eq!(decode(other).expect("query").encode(), other);
    let reply = b"d2:ip3:abc1:rd2:id20:abcdefghij01234567895:token2:xx1:xli1eee1:t2:aa1:y1:re";
    assert_eq!(decode(reply).expect("reply").encode(), reply);
}

#[test]
fn unsorted_datagrams_are_read_and_marked() {
    let bytes = b"d1:y1:r1:t2:aa1:rd2:id20:abcdefghij0123456789ee";
    let message = decode(bytes).expect("tolerated");
    assert!(!message.canonical);
}

#[test]
fn what_is_no_message_is_refused_and_only_queries_are_told() {
    let cases: [(&[u8], bool); 10] = [
        (b"", false),
        (b"le", false),
        (b"de", false),
        (b"d1:t0:1:y1:qe", false),
        (b"d1:t21:aaaaaaaaaaaaaaaaaaaaa1:y1:qe", false),
        (b"d1:t2:aa1:y1:xe", false),
        (b"d1:rd2:id19:abcdefghij012345678e1:t2:aa1:y1:re", false),
        (b"d1:q4:ping1:t2:aa1:y1:qe", true),
        (b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe", true),
        (b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti70000e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe", true),
    ];
    for (bytes, told) in cases {
        let refusal = decode(bytes).expect_err("no message");
        assert_eq!(
            refusal.tid.is_some(),
            told,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_datagram_panics_and_a_message_is_stable(
        flips in proptest::collection::vec((0usize..300, proptest::num::u8::ANY), 0..6),
        which in 0usize..13,
    ) {
        let mut bytes = packets().swap_remove(which).1;
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        if let Ok(message) = decode(&bytes) {
            let once = message.encode();
            let again = decode(&once).map(|m| m.encode());
            proptest::prop_assert_eq!(again, Ok(once.clone()));
        }
    }
}
