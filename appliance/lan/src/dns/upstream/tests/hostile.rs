//! Whatever an upstream sends, it is an answer to the question, an error, or waited out; and the next question is answered.

use std::time::Duration;

use tokio::time::timeout;

use super::world::*;

/// 300 ways to spoil a good answer.
fn spoiled(asked: &Asked) -> Vec<u8> {
    let mut message = good(asked, 66);
    let (nth, end) = (asked.nth, asked.question_end());
    match nth % 10 {
        // Cut anywhere, from nothing at all.
        0 | 1 => message.truncate(nth / 5 % message.len()),
        // Counts that lie.
        2 => message[4 + nth / 10 % 8] = 0xff,
        // Names in circles and beyond the end.
        3 => message[end..end + 2]
            .copy_from_slice(&(0xc000 | ((nth as u16).wrapping_mul(7) % 0x3fff)).to_be_bytes()),
        // Labels of forbidden kinds.
        4 => message[end] = 0x40 + (nth / 10 * 4 % 0x7c) as u8,
        // Lengths of records that lie.
        5 => message[end + 10..end + 12].copy_from_slice(&(nth as u16).wrapping_mul(211).to_be_bytes()),
        // EDNS whose options lie.
        6 => {
            let at = message.len() - 2;
            message.truncate(at);
            message.extend_from_slice(&[0, 6, 0, (nth / 10) as u8, 0xff, nth as u8, 1, 2]);
        }
        // A row of aliases without end.
        7 => {
            message.truncate(end);
            message[6..12].copy_from_slice(&[1, 0, 0, 0, 0, 0]);
            for _ in 0..256 {
                message.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
            }
        }
        // Noise behind the question.
        8 => {
            for (at, byte) in message[end..].iter_mut().enumerate() {
                *byte = (at * 31 + nth * 17) as u8;
            }
        }
        // Header bits of all kinds.
        _ => message[2 + nth / 10 % 2] ^= 1 << (nth / 20 % 8),
    }
    message
}

#[tokio::test]
async fn three_hundred_hostile_answers_do_no_harm() {
    let nobody = world(&[]);
    let hostile = fake(&nobody.tasks, |asked| vec![spoiled(asked)]).await;
    let mut world = world(&[hostile.text()]);
    while hostile.asked().len() < 300 {
        let upstreams = world.upstreams();
        let asks = (0..12).map(|n| {
            let upstreams = upstreams.clone();
            async move {
                let wanted = query(&format!("n{n}.example"));
                let answered = timeout(Duration::from_millis(300), upstreams.ask(&wanted)).await;
                if let Ok(Ok(message)) = answered {
                    assert_eq!(message[..2], [0, 0]);
                    let bare = message[4..6] == [0, 0];
                    assert!(bare || message[12..12 + wanted.name.len()] == *wanted.name);
                }
            }
        });
        futures_util::future::join_all(asks).await;
        world = super::world::world(&[hostile.text()]);
    }
    let honest = fake(&nobody.tasks, |asked| vec![good(asked, 1)]).await;
    let both = super::world::world(&[hostile.text(), honest.text()]);
    let message = both.upstreams().ask(&query("example")).await;
    assert!(message.is_ok());
}

#[tokio::test]
async fn a_guesser_with_every_id_gets_nowhere() {
    // The attacker sees neither the question nor the port; here it is even given the port, and still guesses id, letters
    // and cookie.
    let nobody = world(&[]);
    let target = fake(&nobody.tasks, |asked| {
        if asked.by_tcp {
            return vec![good(asked, 1)];
        }
        let mut guesses: Vec<_> = (0..500_u16)
            .map(|n| {
                let mut guess = good(asked, 66);
                guess[..2].copy_from_slice(&(asked.id() ^ (n + 1)).to_be_bytes());
                guess
            })
            .collect();
        let mut last = good(asked, 66);
        last[12..20].make_ascii_lowercase();
        guesses.push(last);
        guesses
    })
    .await;
    let world = world(&[target.text()]);
    let upstreams = world.upstreams();
    for n in 0..20 {
        let wanted = query(&format!("many-letters-make-guessing-hard-{n}.example"));
        let message = upstreams.ask(&wanted).await.expect("by TCP");
        assert_eq!(last_of(&message), 1);
    }
}
