use tracing::{debug, error, info, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// What the journal keeps of what `speak` logs.
fn told(speak: impl FnOnce()) -> Vec<Line> {
    let journal = Journal::default();
    let subscriber = tracing_subscriber::registry().with(journal.layer(|| 77));
    tracing::subscriber::with_default(subscriber, speak);
    journal.lines(usize::MAX)
}

#[test]
fn a_line_has_its_time_room_message_and_fields() {
    let lines = told(|| {
        info!(target: "granary::swarm::find", site = "1234abcd", count = 3, "peers found");
        warn!(target: "granary_store::scrub", "a piece is rotten");
        error!(target: "granary", room = "store", reason = "full", "we go on with less");
    });
    let line = |level, room: &str, text: &str| Line {
        at: 77,
        level,
        room: room.into(),
        text: text.into(),
    };
    let expected = [
        line("error", "store", "we go on with less reason=full"),
        line("warn", "store", "a piece is rotten"),
        line("info", "swarm", "peers found site=1234abcd count=3"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_below_info_or_not_ours_is_left_out() {
    let lines = told(|| {
        debug!(target: "granary::gateway", "GET /secret/page.html");
        error!(target: "librqbit::session", "Holiday photos 2024: peer hung up");
        error!(target: "hyper::proto", "broken");
    });
    assert_eq!(lines, []);
}

#[test]
fn what_strangers_sent_stays_one_line_of_visible_characters() {
    let hostile = "a\r\nINFO forged\u{1b}[2Jb\0c\u{202e}txt.exe\u{85}";
    let lines = told(|| warn!(target: "granary::swarm", name = hostile, err = ?hostile, "refused {hostile}"));
    let [line] = lines.as_slice() else {
        panic!("one line: {lines:?}")
    };
    assert!(!line.text.chars().any(char::is_control), "{}", line.text);
    assert!(!line.text.contains('\u{202e}'), "{}", line.text);
    assert!(line.text.contains("\\u{202e}txt.exe") && line.text.contains("a\\r\\nINFO forged"));
}

#[test]
fn keys_and_tokens_lose_all_but_their_beginning() {
    let key = "c0ffee00".repeat(8);
    let token = "Abc_-".repeat(9);
    let infohash = "0123456789".repeat(4);
    let lines = told(|| info!(target: "granary::swarm", %key, "token {token} of {infohash}"));
    assert_eq!(
        lines[0].text,
        format!("token Abc_-Abc… of {infohash} key=c0ffee00…")
    );
}

#[test]
fn only_the_last_lines_are_kept_and_long_ones_are_cut() {
    let lines = told(|| {
        for number in 0..LINES_MAX + 7 {
            info!(target: "granary", number, "line");
        }
    });
    assert_eq!(lines.len(), LINES_MAX);
    assert_eq!(lines[0].text, format!("line number={}", LINES_MAX + 6));
    let long = "wört ".repeat(4000);
    let lines = told(|| {
        for _ in 0..LINES_MAX {
            info!(target: "granary", "{long}");
            info!(target: "granary", long, "short");
        }
    });
    let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
    assert!(bytes <= BYTES_MAX && bytes > BYTES_MAX / 2, "{bytes} bytes");
    assert!(
        lines
            .iter()
            .all(|line| line.text.len() <= LINE_BYTES_MAX + '…'.len_utf8())
    );
}

#[test]
fn the_number_that_claims_the_box_is_not_kept() {
    let lines =
        told(|| info!(target: "granary", pin = %"12345678", minutes = 30, "this box has no owner yet"));
    assert_eq!(lines[0].text, "this box has no owner yet minutes=30");
}
