//! `sql`, against a real PostgreSQL server.

mod bench;
mod connecting;
mod failures;
mod gates;
mod values;

use super::support::{Cluster, Stop};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until a process and a folder are gone.
#[track_caller]
fn is_gone(process: u32, folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while PathBuf::from(format!("/proc/{process}")).exists() || folder.exists() {
        assert!(Instant::now() < deadline, "the server {process} or its folder {} is left", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Not a test by itself: the next one runs it and kills it.
#[test]
#[ignore = "waits to be killed"]
fn a_server_whose_test_is_killed() {
    let cluster = Cluster::new();
    println!("\nserver {} {}", cluster.process(), cluster.socket().display());
    std::thread::sleep(Duration::from_mins(5));
}

#[test]
fn servers_of_the_tests_go_with_them() {
    let cluster = Cluster::new();
    let (process, folder) = (cluster.process(), cluster.socket().to_owned());
    assert_eq!(cluster.database().value("select 1 + 1"), "2");
    cluster.stop(Stop::Fast);
    cluster.start();
    let again = cluster.process();
    drop(cluster);
    is_gone(process, &folder);
    is_gone(again, &folder);

    let mut child = Command::new(std::env::current_exe().expect("our own path"))
        .args(["--exact", "sql::a_server_whose_test_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary starts");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("server ")).expect("a line about the server");
    let words: Vec<&str> = line.split(' ').collect();
    let process = words[1].parse().expect("a process id");
    assert!(PathBuf::from(words[2]).exists());
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    is_gone(process, Path::new(words[2]));
}
