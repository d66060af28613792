//! What headers say.

use super::*;

#[test]
fn times_have_fractions_and_signs() {
    for (text, expected) in [
        ("0", Some((0, 0))),
        ("1.5", Some((1, 500_000_000))),
        ("-1.25", Some((-2, 750_000_000))),
        ("-3", Some((-3, 0))),
        ("1.1234567899", Some((1, 123_456_789))),
        ("1.", Some((1, 0))),
        ("", None),
        ("x", None),
        ("1.x", None),
        ("--1", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(time(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn an_empty_value_takes_a_record_back() {
    let mut pending = Pending::default();
    pending
        .read(b"10 path=a\n8 path=\n11 path=bc\n")
        .expect("records");
    assert_eq!(pending.path.as_deref(), Some(&b"bc"[..]));
    pending.read(b"8 path=\n").expect("a record");
    assert_eq!(pending.path, None);
}

#[test]
fn records_of_a_wrong_length_are_refused() {
    for data in [
        &b"8 path=a\n"[..],
        b"11 path=a\n",
        b"0 path=a\n",
        b"path=a\n",
        b"10 pathha\n",
        b"18446744073709551616 a=b\n",
        b"+10 path=a\n",
    ] {
        Pending::default().read(data).expect_err("no record");
    }
}
