use super::super::view::view as shown;
use super::{IndexMap, Value, restore_of, sha256};
use crate::expr::{Rendered, UnknownSort, unknown};
use crate::plan::{Act, Machine, WriteAct};

fn write(file: &str) -> Act {
    Act::Write(WriteAct {
        file: Rendered::text(file),
        text: Rendered::text("new\n"),
        mode: None,
        owner: None,
        follow: false,
        machine: Machine::Here,
    })
}

/// What a `write` of `new` over `old` leaves on record.
fn fields(old: Option<&str>) -> IndexMap<String, Value> {
    IndexMap::from([
        ("changed".to_owned(), Value::from(old != Some("new\n"))),
        ("created".to_owned(), Value::from(old.is_none())),
        ("file".to_owned(), Value::from("/etc/a b")),
        ("before_sha256".to_owned(), old.map_or_else(|| Value::from(()), |old| Value::from(sha256(old.as_bytes())))),
        ("after_sha256".to_owned(), Value::from(sha256(b"new\n"))),
    ])
}

#[test]
fn the_old_bytes_come_back_and_a_made_file_goes() {
    let act = restore_of(&write("/etc/a b"), &fields(Some("old\n")), Some(b"old\n".to_vec())).unwrap().unwrap();
    let view = shown(&act);
    assert_eq!(view.text, "restore '/etc/a b' as it was before (sha256 01d09d19…, 4 bytes)");
    assert!(view.holes.is_empty());
    assert!(!format!("{act:?}").contains("111, 108, 100"), "the bytes are shown: {act:?}");
    let Act::Restore(restore) = act else { panic!("{act:?}") };
    assert_eq!(restore.before.as_deref(), Some(&b"old\n"[..]));
    assert_eq!(restore.after_sha256, sha256(b"new\n"));

    let act = restore_of(&write("/etc/a b"), &fields(None), None).unwrap().unwrap();
    assert_eq!(shown(&act).text, "remove '/etc/a b' again");
    assert!(restore_of(&write("/etc/a b"), &fields(Some("new\n")), None).unwrap().is_none());
}

#[test]
fn what_cannot_be_restored_to_the_byte_is_refused() {
    let old = || Some(b"old\n".to_vec());
    let with = |name: &str, value: Value| {
        let mut fields = fields(Some("old\n"));
        fields.insert(name.to_owned(), value);
        fields
    };
    let hole = || unknown(UnknownSort::Unobtained, "too large");
    let masked = "‹secret token›\n".as_bytes().to_vec();
    let cases = [
        (fields(Some("old\n")), Some(masked), "a secret in it was masked, or it was cut"),
        (fields(Some("old\n")), Some(b"old".to_vec()), "to the byte"),
        (fields(Some("old\n")), None, "were not kept"),
        (IndexMap::new(), old(), "does not say what `file` was"),
        (with("changed", hole()), old(), "`changed` was is not known: too large"),
        (with("after_sha256", hole()), old(), "`after_sha256` was is not known"),
        (with("created", Value::from("yes")), old(), "neither true nor false"),
        (with("before_sha256", Value::from(())), old(), "no text"),
        (with("file", Value::from("/etc/c")), old(), "names /etc/a b"),
    ];
    for (fields, before, words) in cases {
        let said = restore_of(&write("/etc/a b"), &fields, before).unwrap_err();
        assert!(said.contains(words) && !said.contains('\n'), "{said}");
    }
    let other = Act::Restore(match restore_of(&write("/etc/a b"), &fields(None), None) {
        Ok(Some(Act::Restore(restore))) => restore,
        other => panic!("{other:?}"),
    });
    assert!(restore_of(&other, &fields(None), None).is_err());
}
