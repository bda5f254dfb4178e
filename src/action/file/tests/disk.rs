use super::super::disk::{MAX_BYTES, Place, Rights, owner};
use super::super::problem::Problem;
use crate::event::ErrorClass;
use rustix::fs::{Mode, XattrFlags};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use tempfile::TempDir;

/// A folder whose path has no links in it.
fn folder() -> (TempDir, std::path::PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let real = temp.path().canonicalize().unwrap();
    (temp, real)
}

#[track_caller]
fn refused(path: &Path, follow: bool) -> Problem {
    match Place::open(path, follow) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(problem) => problem,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn replaces_and_keeps_mode_and_attributes() {
    let (_temp, root) = folder();
    let file = root.join("conf");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4640)).unwrap();
    let has_attributes = rustix::fs::setxattr(&file, "user.note", b"kept", XattrFlags::empty()).is_ok();
    let before = fs::metadata(&file).unwrap();
    let place = Place::open(&file, false).unwrap();
    assert_eq!(place.bytes(), Some(&b"old"[..]));
    place.replace(b"new", Rights { mode: 0o777, user: None, group: None }).unwrap();
    let after = fs::metadata(&file).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_ne!(after.ino(), before.ino(), "the file was written in place");
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_eq!(names(&root), ["conf"]);
    if has_attributes {
        let mut value = [0_u8; 16];
        let length = rustix::fs::getxattr(&file, "user.note", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"kept");
    }
}

#[test]
fn a_new_file_has_exactly_the_mode_asked_for() {
    let (_temp, root) = folder();
    for mode in [0o600, 0o644, 0o777, 0o666] {
        let file = root.join(format!("{mode:o}"));
        let place = Place::open(&file, false).unwrap();
        assert_eq!(place.bytes(), None);
        place.replace(b"x", Rights { mode, user: None, group: None }).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, mode);
    }
}

#[test]
fn links_are_refused_at_every_component() {
    let (_temp, root) = folder();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("a/b/conf"), "x").unwrap();
    symlink(root.join("a"), root.join("link")).unwrap();
    symlink(root.join("a/b/conf"), root.join("a/b/leaf")).unwrap();
    symlink("nowhere", root.join("a/b/dangling")).unwrap();
    for path in ["link/b/conf", "a/b/leaf", "a/b/dangling", "a/../link/b/conf", "a/b/../../link/b/conf"] {
        let problem = refused(&root.join(path), false);
        assert_eq!(problem.class, ErrorClass::Denied, "{path}");
        assert!(problem.message.contains("symbolic link"), "{}", problem.message);
    }
    for path in ["link/b/conf", "a/b/leaf"] {
        let place = Place::open(&root.join(path), true).unwrap();
        place.replace(path.as_bytes(), Rights::default()).unwrap();
        assert_eq!(fs::read(root.join("a/b/conf")).unwrap(), path.as_bytes());
    }
    assert!(fs::symlink_metadata(root.join("a/b/leaf")).unwrap().is_symlink(), "the link itself was replaced");
    assert_eq!(refused(&root.join("a/b/dangling"), true).class, ErrorClass::NotFound);
    assert!(Place::open(&root.join("link/b/new"), true).unwrap().bytes().is_none());
}

#[test]
fn a_link_put_in_the_way_later_has_no_effect() {
    let (_temp, root) = folder();
    fs::create_dir_all(root.join("a")).unwrap();
    fs::create_dir_all(root.join("evil")).unwrap();
    fs::write(root.join("a/conf"), "mine").unwrap();
    fs::write(root.join("evil/conf"), "victim").unwrap();
    let place = Place::open(&root.join("a/conf"), false).unwrap();
    fs::rename(root.join("a"), root.join("moved")).unwrap();
    symlink(root.join("evil"), root.join("a")).unwrap();
    place.replace(b"new", Rights::default()).unwrap();
    assert_eq!(fs::read(root.join("evil/conf")).unwrap(), b"victim");
    assert_eq!(fs::read(root.join("moved/conf")).unwrap(), b"new");
}

#[test]
fn a_file_that_became_another_one_is_left_alone() {
    let (_temp, root) = folder();
    let file = root.join("conf");
    fs::write(&file, "old").unwrap();
    let place = Place::open(&file, false).unwrap();
    fs::write(&file, "somebody else's").unwrap();
    let problem = place.replace(b"new", Rights::default()).unwrap_err();
    assert!(problem.message.contains("meanwhile"), "{}", problem.message);
    assert_eq!(fs::read(&file).unwrap(), b"somebody else's");

    let place = Place::open(&file, false).unwrap();
    fs::write(&file, "somebody else's!").unwrap();
    assert!(place.remove().unwrap_err().message.contains("meanwhile"));
    fs::write(&file, "somebody else's").unwrap();

    let other = root.join("other");
    let place = Place::open(&other, false).unwrap();
    symlink(&file, &other).unwrap();
    place.replace(b"new", Rights::default()).unwrap_err();
    assert_eq!(fs::read(&file).unwrap(), b"somebody else's");
    assert_eq!(names(&root), ["conf", "other"], "a draft was left behind");
}

#[test]
fn only_a_regular_file_with_one_name() {
    let (_temp, root) = folder();
    fs::write(root.join("conf"), "x").unwrap();
    fs::hard_link(root.join("conf"), root.join("twin")).unwrap();
    assert!(refused(&root.join("conf"), false).message.contains("hard links"));
    assert!(refused(&root, false).message.contains("not a regular file"));
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    assert!(refused(&root.join("pipe"), false).message.contains("not a regular file"));
    assert!(refused(Path::new("/dev/null"), false).message.contains("not a regular file"));
    let problem = refused(&root.join("none/conf"), false);
    assert_eq!(problem.class, ErrorClass::NotFound);
    assert!(problem.message.contains("is not there; make it first"), "{}", problem.message);
    assert!(refused(&root.join("conf/x"), false).message.contains("is not a folder"));
    for path in ["", "/", "..", "conf/", "conf/."] {
        let path = if path.starts_with('c') { root.join("x").with_file_name(path) } else { path.into() };
        assert_eq!(refused(&path, false).class, ErrorClass::BadValue, "{}", path.display());
    }
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let (_temp, root) = folder();
    let file = fs::File::create(root.join("big")).unwrap();
    file.set_len(MAX_BYTES).unwrap();
    assert!(Place::open(&root.join("big"), false).is_ok());
    file.set_len(MAX_BYTES + 1).unwrap();
    assert!(refused(&root.join("big"), false).message.contains("larger than 16 MiB"));
}

#[test]
fn a_draft_left_by_a_kill_is_never_taken() {
    let (_temp, root) = folder();
    fs::write(root.join("conf"), "old").unwrap();
    fs::write(root.join(".runwright-00000000deadbeef.tmp"), "half of a dr").unwrap();
    let place = Place::open(&root.join("conf"), false).unwrap();
    assert_eq!(place.bytes(), Some(&b"old"[..]));
    place.replace(b"new", Rights::default()).unwrap();
    assert_eq!(fs::read(root.join("conf")).unwrap(), b"new");
    assert_eq!(fs::read(root.join(".runwright-00000000deadbeef.tmp")).unwrap(), b"half of a dr");
}

#[test]
fn an_owner_that_may_not_be_given_changes_nothing() {
    let (_temp, root) = folder();
    if rustix::process::geteuid().is_root() {
        // Root may give any owner: then the owner must arrive.
        let place = Place::open(&root.join("new"), false).unwrap();
        place.replace(b"x", Rights { mode: 0o600, user: Some(12345), group: Some(54321) }).unwrap();
        let there = fs::metadata(root.join("new")).unwrap();
        assert_eq!((there.uid(), there.gid(), there.mode() & 0o7777), (12345, 54321, 0o600));
        let place = Place::open(&root.join("new"), false).unwrap();
        place.replace(b"y", Rights::default()).unwrap();
        let there = fs::metadata(root.join("new")).unwrap();
        assert_eq!((there.uid(), there.gid(), there.mode() & 0o7777), (12345, 54321, 0o600));
    } else {
        let place = Place::open(&root.join("new"), false).unwrap();
        let problem = place.replace(b"x", Rights { mode: 0o600, user: Some(0), group: None }).unwrap_err();
        assert_eq!(problem.class, ErrorClass::Denied);
        assert!(names(&root).is_empty());
    }
}

#[test]
fn owners_by_name_and_number() {
    assert_eq!(owner("root").unwrap(), (Some(0), None));
    assert_eq!(owner("root:root").unwrap(), (Some(0), Some(0)));
    assert_eq!(owner("12:34").unwrap(), (Some(12), Some(34)));
    assert_eq!(owner(":34").unwrap(), (None, Some(34)));
    assert!(owner("no-such-user-here").unwrap_err().message.contains("/etc/passwd"));
}
