//! Statements that fail, servers that go away, hang, or talk nonsense.

use super::bench::{Bench, step};
use crate::support::{Cluster, Stop};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_refusal_has_the_name_and_the_place_of_the_error() {
    let bench = Bench::new();
    bench.database.execute("create table t (id int primary key, name text not null); insert into t values (1, 'x')");
    // The statement begins on line 13 of the file, in column 9.
    for (sql, class, words) in [
        ("selec 1", "syntax_error", "at line 13, column 9"),
        ("select 1,\n  * form t", "syntax_error", "at line 14, column 13"),
        ("select {{ 'long value' }},\n {{ 2 }} + nope from t", "undefined_column", "at line 14, column 20"),
        ("select 1;\n-- a comment\nselect * from nowhere", "undefined_table", "statement 2 of 2"),
        ("select 1;\n-- a comment\nselect * from nowhere", "undefined_table", "at line 15, column 23"),
        ("select 'é€😀' || nope", "undefined_column", "at line 13, column 25"),
        ("select 1/0", "division_by_zero", "division by zero"),
        ("insert into t values (2, 'y')", "read_only_sql_transaction", "this step only reads"),
        ("create table {{ 'u' | ident }} (a int)", "read_only_sql_transaction", "this step only reads"),
        ("set transaction read write; insert into t values (2, 'y')", "active_sql_transaction", "statement 1 of 2"),
        ("select set_config('transaction_read_only', 'off', false)", "active_sql_transaction", "before any query"),
        ("select nextval('s')", "undefined_table", "\"s\""),
        ("create user u password {{ 'x' }}", "syntax_error", "a value can stand in select"),
        (
            "do $$ begin raise exception 'own' using errcode = 'MY001', hint = 'look', detail = 'more'; end $$",
            "sqlstate_MY001",
            "own (more); hint: look",
        ),
    ] {
        _ = bench.read(sql).ends("failed", class, words);
    }
    _ = bench.change("insert into t values (2, 'y'); insert into t values (1, 'z')").ends(
        "failed",
        "unique_violation",
        "Key (id)=(1) already exists.); the transaction was not committed, nothing was changed",
    );
    _ = bench.change("insert into t values (9, null)").ends("failed", "not_null_violation", "null value");
    assert_eq!(bench.database.value("select count(*) from t"), "1");
    let shown = bench.run(&step("look", "diagnose", "select *\n from nowhere", ""));
    let id = shown.id();
    _ = bench.call(&["show", &id]).exits(0).says("undefined_table").says("^");
}

#[test]
fn an_error_may_be_a_finding() {
    let bench = Bench::new();
    let look = step("look", "diagnose", "select * from nowhere", "") + "    tolerate: [undefined_table]\n";
    let more = "  - { id: known, validate: It is told, expect: \"look.error == 'undefined_table'\" }\n";
    let ran = bench.run(&(look + more));
    _ = ran.output.exits(0).says("RESOLVED");
    let step = step("look", "diagnose", "select 1", "") + "    tolerate: [undefined_tabel]\n";
    bench.write(&step);
    _ = bench.call(&["check", "case"]).exits(3).says("unknown-error-class").says("undefined_table");
}

#[test]
fn statements_stand_or_fall_together_or_by_themselves() {
    let bench = Bench::new();
    bench.database.execute("create table t (a int primary key)");
    let script =
        "insert into t values (1); insert into t values (2); insert into t values (1); insert into t values (4)";
    _ = bench.change(script).ends("failed", "unique_violation", "statement 3 of 4");
    assert_eq!(bench.database.value("select count(*) from t"), "0");
    let _ =
        bench.change_apart(script).ends("unknown", "unique_violation", "statements 1 to 2 of 4 were done and stand");
    assert_eq!(bench.database.value("select count(*) from t"), "2");
    _ = bench.change_apart("insert into t values (1)").ends("failed", "unique_violation", "duplicate key");
    _ = bench.change_apart("create index concurrently i on t (a)").succeeds();
    _ = bench.change_apart("vacuum t").succeeds();
    _ = bench.change("vacuum t").ends("failed", "active_sql_transaction", "VACUUM");
    let deferred = "create table d (a int unique deferrable initially deferred); insert into d values (1), (1)";
    _ = bench.change(deferred).ends("failed", "unique_violation", "nothing was changed");
    let half =
        "create procedure p() language plpgsql as $$ begin insert into t values (50); commit; perform 1/0; end $$";
    _ = bench.change(half).succeeds();
    _ = bench.change_apart("call p()").ends("unknown", "division_by_zero", "committed on its way");
    assert_eq!(bench.database.value("select count(*) from t where a = 50"), "1");
}

#[test]
fn time_is_over_on_the_server_too() {
    let bench = Bench::new();
    bench.database.execute("create table t (a int)");
    let run = |kind: &str, sql: &str, more: &str| {
        let steps = step("act", kind, sql, more).replace("timeout: 20s", "timeout: 700ms");
        let began = Instant::now();
        let ended = bench.run(&steps).ended("act");
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        bench.database.is_left_alone();
        ended
    };
    _ = run("diagnose", "select pg_sleep(300)", "").ends("timed_out", "timeout", "told to stop, and did");
    _ = run("remediate", "insert into t values (1); select pg_sleep(300)", "").ends(
        "failed",
        "timeout",
        "not committed, nothing was changed",
    );
    _ = run("remediate", "insert into t values (1); select pg_sleep(300)", "transaction: false").ends(
        "unknown",
        "timeout",
        "statement 1 of 2 was done and stands",
    );
    assert_eq!(bench.database.value("select count(*) from t"), "1");
    // Waiting for a lock is no different.
    let blocker = Bench::new();
    drop(blocker);
    _ = run("diagnose", "select count(*) from generate_series(1, 1e12::int8)", "").ends(
        "timed_out",
        "timeout",
        "told to stop",
    );
}

#[test]
fn a_run_that_ends_stops_its_statements() {
    let bench = Bench::new();
    bench.write(&step("look", "diagnose", "select pg_sleep(300)", ""));
    let mut child = bench
        .command(&["run", "case", "--env", "free"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let ours = "datname = current_database() and application_name like 'runwright %'";
    bench.database.waits_until(&format!(
        "select count(*) = 1 from pg_stat_activity where {ours} and query like '%sleep(300)%' and state = 'active'"
    ));
    let name = bench.database.value(&format!("select application_name from pg_stat_activity where {ours}"));
    let id = bench.sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(name, format!("runwright {id}/look/1"));
    let pid = rustix::process::Pid::from_raw(child.id().try_into().expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    child.wait().expect("it ends");
    bench.database.is_left_alone();
    // Killed outright, the server finds out by itself.
    let mut child = bench
        .command(&["run", "case", "--env", "free"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    bench.database.waits_until(&format!(
        "select count(*) = 1 from pg_stat_activity where {ours} and query like '%sleep(300)%' and state = 'active'"
    ));
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    bench.database.is_left_alone();
}

/// A bench whose server is its own, so that it can be stopped.
fn own_server() -> (Cluster, Bench) {
    let cluster = Cluster::new();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port);
    (cluster, Bench::with(&format!("{{ postgres: \"{url}\", PASSWORD }}")))
}

/// Stops the server while a step runs, as soon as a query of it is seen.
fn while_it_runs(cluster: &Cluster, bench: &Bench, steps: &str, query: &str, act: impl FnOnce()) -> super::bench::Ran {
    bench.write(steps);
    let child = bench
        .command(&["run", "case", "--env", "free"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let database = cluster.named("postgres");
    database.waits_until(&format!("select count(*) = 1 from pg_stat_activity where application_name like 'runwright %' and query like '{query}' and state = 'active'"));
    act();
    let output = crate::support::Output::new("run".to_owned(), &child.wait_with_output().expect("it ends"));
    bench.ran(output)
}

#[test]
fn a_server_may_vanish() {
    let (cluster, bench) = own_server();
    let database = cluster.named("postgres");
    database.execute("create table t (a int)");
    let vanish = || cluster.stop(Stop::Immediate);
    let read = step("act", "diagnose", "select pg_sleep(300)", "");
    let ran = while_it_runs(&cluster, &bench, &read, "%sleep(300)%", vanish);
    let ended = ran.ended("act");
    assert_eq!(ended.outcome, "failed", "{ended:#?}");
    assert!(["connection", "crash_shutdown", "admin_shutdown"].contains(&ended.error.as_str()), "{ended:#?}");
    // Nobody is there.
    _ = bench.read("select 1").ends("failed", "refused", "refused the connection");
    cluster.start();
    let change = step("act", "remediate", "insert into t values (1); select pg_sleep(300)", "");
    let ended = while_it_runs(&cluster, &bench, &change, "%sleep(300)%", vanish).ended("act");
    assert_eq!(ended.outcome, "failed", "{ended:#?}");
    assert!(ended.message.contains("nothing was changed"), "{ended:#?}");
    cluster.start();
    assert_eq!(database.value("select count(*) from t"), "0");
    let apart = step("act", "remediate", "insert into t values (1); select pg_sleep(300)", "transaction: false");
    let ended = while_it_runs(&cluster, &bench, &apart, "%sleep(300)%", vanish).ended("act");
    assert_eq!(ended.outcome, "unknown", "{ended:#?}");
    assert!(ended.message.contains("statement 1 of 2 was done and stands; its end was not seen"), "{ended:#?}");
    cluster.start();
    assert_eq!(database.value("select count(*) from t"), "1");
    // A commit that hangs in a deferred trigger is where nobody knows.
    database.execute(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(300); return new; end $$; \
         create constraint trigger late after insert on t deferrable initially deferred for each row execute function slow()",
    );
    let commit = step("act", "remediate", "insert into t values (2)", "");
    let ended = while_it_runs(&cluster, &bench, &commit, "commit", vanish).ended("act");
    assert_eq!(ended.outcome, "unknown", "{ended:#?}");
    assert!(ended.message.contains("the commit was sent"), "{ended:#?}");
    cluster.start();
    // Ended by an administrator: told, and clear.
    let ended = while_it_runs(&cluster, &bench, &read, "%sleep(300)%", || cluster.stop(Stop::Fast)).ended("act");
    _ = ended.ends("failed", "admin_shutdown", "terminating connection");
    cluster.start();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'runwright %'";
    let ended = while_it_runs(&cluster, &bench, &read, "%sleep(300)%", || database.execute(end)).ended("act");
    _ = ended.ends("failed", "admin_shutdown", "terminating connection");
    let cancel = end.replace("terminate", "cancel");
    let ended = while_it_runs(&cluster, &bench, &read, "%sleep(300)%", || database.execute(&cancel)).ended("act");
    _ = ended.ends("failed", "query_canceled", "canceling statement due to user request");
    let stop = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'runwright %' and query = 'commit'";
    let ended = while_it_runs(&cluster, &bench, &commit, "commit", || database.execute(stop)).ended("act");
    assert_eq!(ended.outcome, "unknown", "{ended:#?}");
}

/// A server of our own that does what it likes with each connection; how long it is kept is its business.
fn fake(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let serve = std::sync::Arc::new(serve);
        for stream in listener.incoming().flatten() {
            let serve = std::sync::Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    Bench::with(&format!("{{ postgres: \"postgres://postgres@127.0.0.1:{port}/d\", PASSWORD }}"))
}

/// Reads what a client says first.
fn startup(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).is_ok_and(|count| count > 8));
}

/// Login is fine, and the session is open.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";

/// Passes everything on to the real server until one side closes, or stops when `until` is seen from the client.
fn relay(mut client: TcpStream, port: u16, until: &'static [u8], then: impl FnOnce(TcpStream)) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
    let mut back = server.try_clone().expect("a handle");
    let mut forth = client.try_clone().expect("a handle");
    std::thread::spawn(move || {
        _ = std::io::copy(&mut back, &mut forth);
    });
    let mut buffer = [0; 16_384];
    loop {
        let count = client.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            return;
        }
        if buffer[..count].windows(until.len()).any(|window| window == until) {
            // What the server still says to the client does not matter: it is not asked.
            then(client);
            return;
        }
        if server.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

#[test]
fn servers_that_are_none() {
    let quick = |bench: &Bench, outcome: &str, class: &str, words: &str| {
        let steps = step("act", "diagnose", "select 1", "").replace("timeout: 20s", "timeout: 2s");
        let began = Instant::now();
        _ = bench.run(&steps).ended("act").ends(outcome, class, words);
        assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
    };
    let hangs = fake(|stream| {
        std::thread::sleep(Duration::from_mins(1));
        drop(stream);
    });
    quick(&hangs, "timed_out", "timeout", "no session within 2s");
    let closes = fake(drop);
    quick(&closes, "failed", "connection", "no session");
    let web = fake(|mut stream| {
        startup(&mut stream);
        _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nno\r\n");
        _ = stream.read(&mut [0; 64]);
    });
    quick(&web, "failed", "bad_answer", "does not answer like PostgreSQL");
    let floods = fake(|mut stream| {
        startup(&mut stream);
        let zeros = vec![b'R'; 1 << 20];
        for _ in 0..1024 {
            if stream.write_all(&zeros).is_err() {
                return;
            }
        }
    });
    quick(&floods, "failed", "bad_answer", "too much");
    let mute = fake(|mut stream| {
        startup(&mut stream);
        _ = stream.write_all(WELCOME);
        std::thread::sleep(Duration::from_mins(1));
    });
    quick(&mute, "timed_out", "timeout", "does not answer when it is told to stop");
    let garbled = fake(|mut stream| {
        startup(&mut stream);
        _ = stream.write_all(WELCOME);
        _ = stream.read(&mut [0; 4096]);
        _ = stream.write_all(b"?\0\0\0\x08what");
        _ = stream.read(&mut [0; 64]);
    });
    quick(&garbled, "failed", "bad_answer", "cannot be used");
    // Any bytes at all, at any moment: an end with a class, no panic and no hang.
    for seed in 0..12_u64 {
        let noise = fake(move |mut stream| {
            startup(&mut stream);
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut bytes = vec![0; 4096];
            for byte in &mut bytes {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Mostly small numbers, so that lengths fit and the reader goes on.
                *byte = if seed % 2 == 0 { state.to_le_bytes()[0] } else { state.to_le_bytes()[0] % 12 };
            }
            if seed % 3 != 0 {
                _ = stream.write_all(WELCOME);
            }
            let tags = [b'R', b'Z', b'T', b'D', b'C', b'1', b't', b'E', b'N', b'S'];
            for (at, chunk) in bytes.chunks(16).enumerate() {
                let head = [tags[at % tags.len()], 0, 0, 0, 4 + u8::try_from(chunk.len()).expect("small")];
                if stream.write_all(&head).and_then(|()| stream.write_all(chunk)).is_err() {
                    return;
                }
            }
            _ = stream.read(&mut [0; 64]);
        });
        let ended = noise.run(&step("act", "diagnose", "select 1", "").replace("20s", "1s")).ended("act");
        assert!(
            ["failed", "timed_out"].contains(&ended.outcome.as_str()) && !ended.error.is_empty(),
            "{seed}: {ended:#?}"
        );
    }
}

#[test]
fn an_answer_may_stop_half_way() {
    let port = Cluster::shared().port;
    let steps = |kind: &str| step("act", kind, "select 'half way'", "").replace("timeout: 20s", "timeout: 2s");
    let cut = |then: fn(TcpStream)| {
        let relayed = fake(move |stream| relay(stream, port, b"half way", then));
        relayed.retarget(|target| target.replace("/d\"", "/postgres\""))
    };
    let hang_up: fn(TcpStream) = |stream| stream.shutdown(std::net::Shutdown::Both).expect("it is closed");
    let closed = cut(hang_up);
    _ = closed.run(&steps("diagnose")).ended("act").ends("failed", "connection", "the connection broke");
    let large: fn(TcpStream) = |mut stream| {
        // One row of one gigabyte: the head of the message says so, and it comes.
        _ = stream.write_all(b"1\0\0\0\x04t\0\0\0\x06\0\0T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0Z\0\0\0\x05T");
        _ = stream.read(&mut [0; 4096]);
        _ = stream.write_all(b"2\0\0\0\x04D\x40\0\0\0\0\x01\x3f\xff\xff\xf0");
        let block = vec![b'x'; 1 << 20];
        for _ in 0..1024 {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    };
    _ = cut(large).run(&steps("diagnose")).ended("act").ends("failed", "bad_answer", "too much");
    let hung: fn(TcpStream) = |stream| {
        std::thread::sleep(Duration::from_mins(1));
        drop(stream);
    };
    let ended = cut(hung).run(&steps("remediate")).ended("act");
    // Nothing was committed, since nobody asked for it.
    assert_eq!((ended.outcome.as_str(), ended.error.as_str()), ("failed", "timeout"), "{ended:#?}");
    let commit = fake(move |stream| relay(stream, port, b"commit\0", hang_up))
        .retarget(|target| target.replace("/d\"", "/postgres\""));
    _ = commit.run(&steps("remediate")).ended("act").ends("unknown", "connection", "the commit was sent");
}
