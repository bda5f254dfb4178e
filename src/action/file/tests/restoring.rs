//! What takes an `edit` or `write` back.

use super::super::change::sha256;
use super::super::preview;
use super::performing::{Memory, done, edit, folder, performed, write};
use crate::engine::{Cancel, Performed};
use crate::event::{ErrorClass, Outcome};
use crate::expr::{Piece, Rendered, SecretText, UnknownSort, Value, secret, unknown};
use crate::plan::{Act, restore_of};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

/// The act that takes back what was just performed, from what it left on record.
fn back(act: &Act, (result, kept): &(Performed, Vec<(String, Vec<u8>)>)) -> Act {
    assert_eq!(result.outcome, Outcome::Succeeded, "{:?}", result.message);
    let before = kept.iter().find(|(name, _)| name == "before").map(|(_, bytes)| bytes.clone());
    restore_of(act, &result.fields, before).unwrap().unwrap()
}

fn names(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[tokio::test]
async fn an_edited_file_gets_its_bytes_back_and_keeps_its_rights() {
    let (_temp, root) = folder();
    let file = root.join("conf.toml");
    let old = "# keep me\r\nsize = 5 # small\nlast = 'no line end'";
    fs::write(&file, old).unwrap();
    let act = edit(&file, vec![("size", Some(Value::from(9))), ("last", None)]);
    let made = done(act.clone()).await;
    let new = fs::read_to_string(&file).unwrap();
    // The rights that it has by then are those that it keeps.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let back = back(&act, &made);
    let diff = preview(&back).unwrap().unwrap();
    assert!(diff.contains("-size = 9 # small") && diff.contains("+size = 5 # small"), "{diff}");
    let (result, kept) = done(back.clone()).await;
    assert_eq!((result.outcome, result.error), (Outcome::Succeeded, None));
    assert_eq!(fs::read_to_string(&file).unwrap(), old);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(kept, [("before".to_owned(), new.clone().into_bytes()), ("diff".to_owned(), diff.into_bytes())]);
    assert_eq!(result.fields["changed"], Value::from(true));
    assert_eq!(result.fields["before_sha256"], Value::from(sha256(new.as_bytes())));
    assert_eq!(result.fields["after_sha256"], Value::from(sha256(old.as_bytes())));
    assert_eq!(names(&root), ["conf.toml"]);

    // Once more: it is there already.
    assert_eq!(preview(&back).unwrap().unwrap(), "no change");
    let inode = fs::metadata(&file).unwrap().ino();
    let (result, kept) = done(back).await;
    assert_eq!((result.outcome, &result.fields["changed"]), (Outcome::Succeeded, &Value::from(false)));
    assert!(kept.is_empty());
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
}

#[tokio::test]
async fn a_file_that_was_made_is_removed_and_bytes_that_are_no_text_come_back() {
    let (_temp, root) = folder();
    let file = root.join("new");
    let act = write(&file, Rendered::text("made\n"));
    let made = done(act.clone()).await;
    let back = back(&act, &made);
    let diff = preview(&back).unwrap().unwrap();
    assert!(diff.contains("+++ /dev/null") && diff.contains("-made"), "{diff}");
    let (result, kept) = done(back.clone()).await;
    assert_eq!(result.outcome, Outcome::Succeeded, "{:?}", result.message);
    assert!(names(&root).is_empty(), "{:?}", names(&root));
    assert_eq!(kept[0], ("before".to_owned(), b"made\n".to_vec()));
    assert_eq!(result.fields["changed"], Value::from(true));
    assert_eq!(result.fields["created"], Value::from(false));
    assert!(result.fields["after_sha256"].is_none());
    let (result, _) = done(back).await;
    assert_eq!((result.outcome, &result.fields["changed"]), (Outcome::Succeeded, &Value::from(false)));

    let bytes = b"\x7fELF\0\xff\xfe\n";
    fs::write(&file, bytes).unwrap();
    let made = done(act.clone()).await;
    let back = super::restoring::back(&act, &made);
    assert!(preview(&back).unwrap().unwrap().contains("5 bytes become 8 bytes, which is not shown because it is not"));
    assert_eq!(done(back).await.0.outcome, Outcome::Succeeded);
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[tokio::test]
async fn a_file_that_somebody_changed_since_is_left_alone() {
    let (_temp, root) = folder();
    let (old, made_file) = (root.join("old"), root.join("made"));
    fs::write(&old, "old\n").unwrap();
    let over = write(&old, Rendered::text("new\n"));
    let over = back(&over, &done(over.clone()).await);
    let made = write(&made_file, Rendered::text("new\n"));
    let made = back(&made, &done(made.clone()).await);
    for (act, file) in [(over.clone(), &old), (made, &made_file)] {
        fs::write(file, "somebody else's\n").unwrap();
        let shown = preview(&act).unwrap_err();
        let (result, kept) = done(act).await;
        assert_eq!((result.outcome, result.error), (Outcome::Failed, Some(ErrorClass::Conflict)));
        let message = result.message.unwrap();
        assert_eq!((shown.class, shown.message), (ErrorClass::Conflict, message.clone()));
        assert!(message.contains("somebody has changed it since") && !message.contains('\n'), "{message}");
        assert!(kept.is_empty());
        assert_eq!(fs::read_to_string(file).unwrap(), "somebody else's\n");
    }
    fs::remove_file(&old).unwrap();
    let (result, _) = done(over).await;
    assert_eq!((result.outcome, result.error), (Outcome::Failed, Some(ErrorClass::Conflict)));
    assert!(result.message.unwrap().contains("it is gone"));
    assert!(!old.exists());
}

#[tokio::test]
async fn a_restore_shows_no_secret_of_now_or_before() {
    let (_temp, root) = folder();
    let file = root.join("conf.toml");
    fs::write(&file, "user = \"app\"\npassword = \"previous-password\"\nlist = [\"previous-entry\"]\n").unwrap();
    let setting = |password: Value, list: Value| {
        edit(&file, vec![("password", Some(password)), ("list", Some(list)), ("user", Some(Value::from("web")))])
    };
    let hidden = |text: &str| secret(SecretText::new("db_password", text.to_owned()));
    let act = setting(hidden("hunter2-hunter2"), Value::from(vec![hidden("entry-of-now")]));
    let made = done(act.clone()).await;
    // At the time of the undo, the secret may be the same, another one, or not there.
    let hole = || unknown(UnknownSort::Unobtained, "it is not kept");
    let other = || hidden("rotated-since-then");
    for again in [act, setting(other(), Value::from(vec![other()])), setting(hole(), hole())] {
        let back = back(&again, &made);
        let diff = preview(&back).unwrap().unwrap();
        assert!(diff.contains("-user = \"web\"") && diff.contains("+user = \"app\""), "{diff}");
        for leak in ["hunter2", "previous", "rotated", "entry-of-now"] {
            assert!(!diff.contains(leak), "{diff}");
            assert!(!format!("{back:?}").contains(leak), "{back:?}");
        }
    }
    let file = root.join("env");
    fs::write(&file, "token=earlier-token\n").unwrap();
    let secret = Piece::Secret(SecretText::new("token", "s3cr3t-t0ken".to_owned()));
    let act = write(&file, Rendered { pieces: vec![Piece::Text("token=".to_owned()), secret] });
    let made = done(act.clone()).await;
    let back = back(&act, &made);
    let diff = preview(&back).unwrap().unwrap();
    assert!(diff.contains("18 bytes become 20 bytes, which is not shown because secrets stand in it"), "{diff}");
    let (result, _) = done(back).await;
    assert!(!format!("{:?}", result.fields).contains("token="), "{:?}", result.fields);
    assert_eq!(fs::read_to_string(&file).unwrap(), "token=earlier-token\n");
}

#[tokio::test]
async fn links_are_followed_only_where_the_change_did_and_a_stop_touches_nothing() {
    let (_temp, root) = folder();
    let (real, link) = (root.join("real"), root.join("link"));
    fs::write(&real, "old\n").unwrap();
    let Act::Write(mut over) = write(&real, Rendered::text("new\n")) else { panic!() };
    let plain = Act::Write(over.clone());
    let mut made = done(plain).await;
    fs::rename(&real, root.join("moved")).unwrap();
    std::os::unix::fs::symlink(root.join("moved"), &link).unwrap();
    over.file = Rendered::text(link.to_str().unwrap());
    made.0.fields.insert("file".to_owned(), Value::from(link.to_str().unwrap()));
    let strict = back(&Act::Write(over.clone()), &made);
    let (result, _) = done(strict).await;
    assert_eq!((result.outcome, result.error), (Outcome::Failed, Some(ErrorClass::Denied)));
    over.follow = true;
    let act = back(&Act::Write(over), &made);
    let stopped = Cancel::new();
    stopped.cancel();
    let result = performed(act.clone(), Memory::default(), stopped).await;
    assert_eq!(result.outcome, Outcome::Cancelled);
    let full = Memory { full: true, ..Memory::default() };
    let result = performed(act.clone(), full, Cancel::new()).await;
    assert_eq!((result.outcome, result.error), (Outcome::Failed, Some(ErrorClass::System)));
    assert_eq!(fs::read_to_string(root.join("moved")).unwrap(), "new\n");
    assert_eq!(done(act).await.0.outcome, Outcome::Succeeded);
    assert_eq!(fs::read_to_string(root.join("moved")).unwrap(), "old\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}
