//! Replies as servers write them, and as none should.

use super::*;
use crate::mail::reply::{Cause, Failure, Phase, Reply};
use proptest::prelude::*;

fn all(chunks: &[&[u8]]) -> Vec<(u16, String)> {
    let (mut replies, mut found) = (Replies::default(), Vec::new());
    for chunk in chunks {
        replies.arrived(chunk);
        while let Some(Received { code, text }) = replies.next().expect("replies") {
            found.push((code, text));
        }
    }
    found
}

#[test]
fn replies_as_real_servers_write_them() {
    let gbk = b"250 \xd3\xca\xbc\xfe\xd2\xd1\xbd\xd3\xca\xd5\r\n";
    let latin_1 = b"550-5.1.1 utilisateur\r\n550 inconnu \xe0 cette adresse\r\n";
    for (bytes, code, text) in [
        (&b"250 2.0.0 Ok: queued as 4F\r\n"[..], 250, "2.0.0 Ok: queued as 4F"),
        (b"250\r\n", 250, ""),
        (b"250\n", 250, ""),
        (b"250 \r\n", 250, ""),
        (b"354 go on\n", 354, "go on"),
        (b"250-mx.example.com\r\n250-SIZE 1000\n250 PIPELINING\r\n", 250, "mx.example.com\nSIZE 1000\nPIPELINING"),
        (b"250-\r\n250-x\r\n250\r\n", 250, "\nx"),
        (b"550 5.7.606 banned\r\n", 550, "5.7.606 banned"),
        (gbk, 250, "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        (latin_1, 550, "5.1.1 utilisateur\ninconnu \u{fffd} cette adresse"),
    ] {
        let found = all(&[bytes]);
        assert_eq!(found.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [code], "{text}");
        if bytes != gbk {
            assert_eq!(found[0].1, text);
        }
    }
}

#[test]
fn what_is_no_reply_is_told_from_one() {
    for bytes in
        [&b"250ok\r\n"[..], b"hello\r\n", b"25 ok\r\n", b"\r\n", b"999 what\r\n", b"100 wait\r\n", b"\x16\x03\x01"]
    {
        let mut replies = Replies::default();
        replies.arrived(bytes);
        assert_eq!(replies.next(), Err(Garbled { begun: None }), "{}", String::from_utf8_lossy(bytes));
    }
}

/// Feeds the same bytes for ever; gives the end and the most bytes that were kept.
fn endless(first: &[u8], then: &[u8]) -> (Garbled, usize) {
    let (mut replies, mut most) = (Replies::default(), 0);
    replies.arrived(first);
    for _ in 0..10_000_000 / then.len() {
        match replies.next() {
            Ok(_) => replies.arrived(then),
            Err(garbled) => return (garbled, most),
        }
        most = most.max(replies.ahead.capacity() + replies.current.capacity());
    }
    panic!("10 MB of one reply were taken");
}

#[test]
fn a_reply_without_an_end_is_ended_with_its_code_and_little_memory() {
    for (first, then) in [
        (&b"250 "[..], &[b'x'; 4096][..]),
        (b"250-", b"250-\r\n"),
        (b"250-", b"250-5\n"),
        (b"250-", b"250-word\r\n"),
        (b"250 ", b"\r"),
    ] {
        let (garbled, most) = endless(first, then);
        assert_eq!(garbled.begun.map(|begun| begun.code), Some(250));
        assert!(most < 64 << 10, "{most} bytes were kept");
    }
}

#[test]
fn a_reply_that_is_cut_off_is_known_by_its_code() {
    for (bytes, code) in
        [(&b"250 2.0.0 Ok: que"[..], Some(250)), (b"550-5.1.1", Some(550)), (b"250", None), (b"25", None)]
    {
        let mut replies = Replies::default();
        replies.arrived(bytes);
        assert_eq!(replies.next(), Ok(None));
        assert_eq!(replies.begun().map(|begun| begun.code), code);
    }
}

/// A reply of one to three lines, in any text of any encoding, with either line end.
fn reply() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let line = (prop::collection::vec(any::<u8>(), 0..60), any::<bool>());
    (200u16..600, prop::collection::vec(line, 1..4)).prop_map(|(code, lines)| {
        let mut bytes = Vec::new();
        for (number, (text, is_crlf)) in lines.iter().enumerate() {
            let is_last = number + 1 == lines.len();
            bytes.extend(code.to_string().bytes());
            if !is_last || !text.is_empty() {
                bytes.push(if is_last { b' ' } else { b'-' });
            }
            bytes.extend(text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
            bytes.extend(if *is_crlf { &b"\r\n"[..] } else { b"\n" });
        }
        (code, bytes)
    })
}

proptest! {
    #[test]
    fn the_code_decides_whatever_the_text_and_wherever_it_is_cut(
        replies in prop::collection::vec(reply(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes: Vec<u8> = replies.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let codes: Vec<u16> = all(&chunks).into_iter().map(|(code, _)| code).collect();
        prop_assert_eq!(codes, replies.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_at_all_can_break_it(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let mut replies = Replies::default();
        'all: for chunk in &chunks {
            replies.arrived(chunk);
            loop {
                match replies.next() {
                    Ok(Some(received)) => prop_assert!((200..600).contains(&received.code)),
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
        }
    }

    /// Bytes that are neither letters nor digits make no words and no enhanced code: the code alone is there to decide.
    #[test]
    fn the_same_code_is_the_same_class_whatever_the_bytes_of_its_text(code in 200u16..600, text: Vec<u8>) {
        let text: Vec<u8> = text.into_iter().filter(|byte| !byte.is_ascii_alphanumeric() && *byte > b' ').collect();
        let (_, text) = all(&[code.to_string().as_bytes(), b" ", &text, b"\r\n"]).remove(0);
        for phase in Phase::ALL {
            let class = |text: &str| Failure::new(phase, Cause::Reply(Reply::new(code, text))).class();
            prop_assert_eq!(class(&text), class(""), "{:?}", phase);
        }
    }
}
