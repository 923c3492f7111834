//! Pickles of small state dicts, and hostile ones.

use super::*;

fn root(bytes: &[u8]) -> String {
    match Pickle::read(bytes, 0) {
        Ok(pickle) => format!("{:?}", pickle.node(pickle.root)),
        Err(error) => error.to_string(),
    }
}

#[test]
fn integers_of_every_length_are_read() {
    for (bytes, value) in [
        (&b"\x80\x02K\xff."[..], "Int(255)"),
        (b"\x80\x02M\xff\xff.", "Int(65535)"),
        (b"\x80\x02J\xff\xff\xff\xff.", "Int(-1)"),
        (b"\x80\x02\x8a\x00.", "Int(0)"),
        (b"\x80\x02\x8a\x01\x80.", "Int(-128)"),
        (b"\x80\x02\x8a\x03\xff\xff\x00.", "Int(65535)"),
    ] {
        assert_eq!(root(bytes), value);
    }
}

#[test]
fn a_memo_that_doubles_itself_stays_small() {
    // a = [a_previous, a_previous], sixty times over.
    let mut bytes = b"\x80\x02]q\x00".to_vec();
    for i in 0..60u8 {
        bytes.extend([b'h', i, b'h', i, 0x86, b'q', i + 1]);
    }
    bytes.push(b'.');
    let pickle = Pickle::read(&bytes, 0).unwrap();
    assert_eq!(pickle.nodes().len(), 61);
}

#[test]
fn damage_is_named_with_its_place() {
    insta::assert_snapshot!(root(b"\x80\x02X\xff\xff\xff\x7fab"), @"torch: pickle at byte 7: ends where 2147483647 more bytes were expected; is the file whole?");
    insta::assert_snapshot!(root(b"\x80\x09."), @"torch: pickle at byte 2: protocol 9 is not known; 2 to 5 are");
    insta::assert_snapshot!(root(b"\x80\x02h\x05."), @"torch: pickle at byte 4: a memo slot is read before it is written");
    insta::assert_snapshot!(root(b"\x80\x02(K\x01."), @"Int(1)");
    insta::assert_snapshot!(root(b"\x80\x02K\x01(\x85."), @"torch: pickle at byte 6: a value is missing on the stack");
    insta::assert_snapshot!(root(b"\x80\x02}K\x01(e."), @"torch: pickle at byte 7: something is appended to what is not a list");
    insta::assert_snapshot!(root(b"I01\n."), @"torch: pickle at byte 1: opcode 0x49 is not part of protocols 2 to 5, which torch.save writes");
}

#[test]
fn a_call_is_recorded_and_not_made() {
    let bytes = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.";
    insta::assert_snapshot!(root(bytes), @"Object(Object { callable: 0, args: 2, state: None, items: [], list: [] })");
}
