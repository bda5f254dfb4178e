use super::{Place, ended, id, noted, now, owner, parked};
use crate::engine::{RunStore, StoreError};
use crate::event::RunResult;
use crate::store::root::{unsafe_file_system, unsafe_owner};
use crate::store::{FindError, RunState, Store, new_run_id};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn check_modes(path: &Path) {
    let is_folder = fs::symlink_metadata(path).unwrap().is_dir();
    assert_eq!(mode(path), if is_folder { 0o700 } else { 0o600 }, "{}", path.display());
    if is_folder {
        for entry in fs::read_dir(path).unwrap() {
            check_modes(&entry.unwrap().path());
        }
    }
}

#[test]
fn everything_is_for_its_owner_only() {
    let place = Place::new();
    place.closed_run("a-run");
    let run = place.begin("open-run");
    let mut writer = run.evidence().begin("stdout").unwrap();
    writer.write(&[b'x'; 5000]).unwrap();
    writer.finish().unwrap();
    check_modes(place.store.path());
}

#[test]
fn a_store_of_wider_mode_is_narrowed_and_a_writable_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Store::open(&path, true).unwrap();
    assert_eq!(mode(&path), 0o700);
    for unsafe_mode in [0o770, 0o702, 0o720] {
        fs::set_permissions(&path, fs::Permissions::from_mode(unsafe_mode)).unwrap();
        let error = Store::open(&path, true).unwrap_err();
        assert!(error.to_string().contains("others may write to it"), "{error}");
        assert_eq!(mode(&path), unsafe_mode, "a refused folder is left alone");
    }
}

#[test]
fn a_store_of_another_user_is_refused() {
    assert_eq!(unsafe_owner(1000, 0, 0o700).unwrap(), "it belongs to user 1000, not to user 0");
    assert_eq!(unsafe_owner(1000, 1000, 0o40700), None);
    assert!(unsafe_owner(1000, 1000, 0o40_720).is_some());
}

#[test]
fn network_file_systems_are_refused() {
    assert_eq!(unsafe_file_system(0x6969), Some("NFS"));
    assert_eq!(unsafe_file_system(0xff53_4d42), Some("CIFS"));
    assert_eq!(unsafe_file_system(0x6573_5546), Some("FUSE"));
    assert_eq!(unsafe_file_system(0xef53), None, "ext4");
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("state/runwright");
    Store::open(&deep, false).unwrap();
    assert_eq!((mode(&deep), mode(&dir.path().join("state"))), (0o700, 0o700));
}

#[test]
fn a_link_to_the_store_is_followed_and_links_inside_are_not() {
    let place = Place::new();
    let link = place.dir.path().join("link");
    symlink(place.store.path(), &link).unwrap();
    let by_link = Store::open(&link, true).unwrap();
    assert_eq!(by_link.id(), place.store.id());
    let run = place.closed_run("a-run");
    let elsewhere = place.dir.path().join("elsewhere");
    fs::rename(place.path("runs/a-run"), &elsewhere).unwrap();
    symlink(&elsewhere, place.path("runs/a-run")).unwrap();
    assert!(matches!(by_link.read(&run), Err(StoreError::Io { .. })));
    fs::remove_file(place.path("runs/a-run")).unwrap();
    fs::rename(&elsewhere, place.path("runs/a-run")).unwrap();
    fs::rename(place.transcript("a-run"), &elsewhere).unwrap();
    symlink(&elsewhere, place.transcript("a-run")).unwrap();
    assert!(matches!(by_link.read(&run), Err(StoreError::Io { .. })));
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_does_not_hang() {
    let place = Place::new();
    let run = place.closed_run("a-run");
    let path = place.transcript("a-run");
    fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(place.store.read(&run), Err(StoreError::Refused { .. })));
}

#[test]
fn the_store_keeps_its_name() {
    let place = Place::new();
    assert_eq!(place.store.id().len(), 32);
    assert_eq!(place.again().id(), place.store.id());
    assert_ne!(Place::new().store.id(), place.store.id());
}

#[test]
fn stores_opened_at_once_agree_on_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let names: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Store::open(&path, true).unwrap().id().to_owned())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(names.len(), 1);
}

#[test]
fn new_names_have_the_time_and_four_letters() {
    let name = new_run_id(now()).unwrap();
    assert!(name.as_str().starts_with("20261121-0114-"), "{name}");
    assert_eq!(name.as_str().len(), 18);
    let several: BTreeSet<_> = (0..20).map(|_| new_run_id(now()).unwrap()).collect();
    assert!(several.len() > 15);
}

#[test]
fn a_name_is_used_once() {
    let place = Place::new();
    drop(place.begin("a-run"));
    let Err(error) = place.store.create(&id("a-run"), &owner()) else { panic!("made twice") };
    assert!(error.to_string().contains("there is a run of this name already"), "{error}");
    let (one, two) = (place.store.create_new(&owner()).unwrap(), place.store.create_new(&owner()).unwrap());
    assert_ne!(one.id(), two.id());
}

#[test]
fn runs_are_found_by_a_beginning_and_as_the_last() {
    let place = Place::new();
    assert!(matches!(place.store.find("last"), Err(FindError::None(_))));
    for name in ["20261120-0100-aaaa", "20261121-0100-bbbb", "20261121-0200-cccc"] {
        place.closed_run(name);
    }
    let found = |text: &str| place.store.find(text).map(|run| run.to_string()).map_err(|error| error.to_string());
    assert_eq!(found("20261120").unwrap(), "20261120-0100-aaaa");
    assert_eq!(found("20261121-02").unwrap(), "20261121-0200-cccc");
    assert_eq!(found("last").unwrap(), "20261121-0200-cccc");
    assert_eq!(found("20261121").unwrap_err(), "`20261121` fits 2 runs: 20261121-0100-bbbb, 20261121-0200-cccc");
    assert_eq!(found("9").unwrap_err(), "no run `9` in this store");
    assert_eq!(found("").unwrap_err(), "no run `` in this store");
}

#[test]
fn the_list_says_how_each_run_stands() {
    let place = Place::new();
    place.closed_run("a-closed");
    drop(place.begin("b-killed"));
    let mut run = place.begin("c-parked");
    run.append(&mut [noted(&"long ".repeat(20_000)), parked()]).unwrap();
    assert_eq!(run.close().unwrap(), run.head());
    drop(run);
    let live = place.begin("d-live");
    fs::create_dir(place.path("runs/e-empty")).unwrap();
    let runs = place.store.runs().unwrap();
    let states: Vec<_> = runs.iter().map(|run| (run.id.as_str(), run.state.clone())).collect();
    assert_eq!(
        states,
        [
            ("a-closed", RunState::Ended(RunResult::Resolved)),
            ("b-killed", RunState::Interrupted),
            ("c-parked", RunState::Parked(Vec::new())),
            ("d-live", RunState::Running),
        ]
    );
    assert_eq!(runs[0].title, "Fail the database over");
    assert_eq!(runs[0].environment.as_deref(), Some("prod"));
    assert_eq!(runs[0].operator.name, "anna");
    assert!(place.store.is_live(live.id()));
    assert_eq!(place.store.owner(live.id()), Some(owner()));
    drop(live);
    assert!(!place.store.is_live(&id("d-live")));
}

#[test]
fn a_removed_run_stays_in_the_ledger() {
    let place = Place::new();
    let run = place.closed_run("a-run");
    let live = place.begin("b-live");
    assert!(place.store.prune(live.id(), now()).is_err());
    place.store.prune(&run, now()).unwrap();
    assert!(!place.path("runs/a-run").exists());
    assert!(matches!(place.store.read(&run), Err(StoreError::NoRun(_))));
    let report = place.store.verify_all().unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert!(report.notes[0].sentence.contains("removed on purpose"));
}

#[test]
fn closing_is_repeatable_and_nothing_follows_an_end() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    run.append(&mut [ended()]).unwrap();
    let head = run.close().unwrap();
    assert_eq!(run.close().unwrap(), head);
    assert!(matches!(run.append(&mut [noted("late")]), Err(StoreError::Refused { .. })));
    assert_eq!(place.store.ledger().unwrap().len(), 1);
    assert_eq!(place.store.ledger().unwrap()[0].head, head);
}

#[test]
fn one_run_at_a_time_holds_a_target() {
    let place = Place::new();
    let what = "runbook db-failover on cluster 7f3a";
    assert_eq!(place.store.holder(what).unwrap(), None);
    let hold = place.store.hold(what, &id("a-run"), &owner()).unwrap();
    let error = place.again().hold(what, &id("b-run"), &owner()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "runbook db-failover on cluster 7f3a is held by run `a-run` (anna, process 4711 on ops1, since 2026-11-21 01:14:09 UTC)"
    );
    assert_eq!(place.store.holder(what).unwrap().unwrap().run, id("a-run"));
    place.store.hold("another target", &id("b-run"), &owner()).unwrap();
    drop(hold);
    assert_eq!(place.store.holder(what).unwrap(), None);
    place.store.hold(what, &id("b-run"), &owner()).unwrap();
}
