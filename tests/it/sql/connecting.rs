//! Who connects to what: addresses, TLS, passwords, and nothing from the surroundings.

use super::bench::{Bench, Ended, step};
use crate::support::{Cluster, PASSWORD};
use std::net::TcpListener;

const LOOK: &str = "select current_user::text as who, coalesce((select version from pg_stat_ssl where pid = pg_backend_pid()), 'plain') as tls";

/// Looks at the session of a target; `URL` and the certificate files are filled in.
fn look(target: &str) -> Ended {
    Bench::with(target).read(LOOK)
}

/// The same with files of the shared server: `{ca.crt}`.
fn with_files(target: &str) -> String {
    let files = ["ca.crt", "other.crt", "client.crt", "client.key"];
    files.iter().fold(target.to_owned(), |text, name| {
        text.replace(&format!("<{name}>"), &Cluster::shared().path(name).display().to_string())
    })
}

fn at(host: &str, query: &str) -> String {
    format!("postgres://postgres@{host}:{}/postgres{query}", Cluster::shared().port)
}

#[test]
fn encryption_is_what_the_target_says() {
    let case = |host: &str, query: &str, tls: &str| {
        look(&with_files(&format!("{{ postgres: \"{}\", PASSWORD, tls: {{ {tls} }} }}", at(host, query))))
    };
    for (host, query, tls, wanted) in [
        ("127.0.0.1", "", "", "plain"),
        ("localhost", "", "", "plain"),
        ("127.0.0.1", "?sslmode=disable", "", "plain"),
        // Anybody may answer.
        ("127.0.0.1", "?sslmode=require", "", "TLSv1.3"),
        // The authority is right, the name is not looked at.
        ("127.0.0.1", "?sslmode=require", "ca: <ca.crt>", "TLSv1.3"),
        ("127.0.0.1", "?sslmode=verify-ca", "ca: <ca.crt>", "TLSv1.3"),
        ("localhost", "?sslmode=verify-full", "ca: <ca.crt>", "TLSv1.3"),
        ("127.0.0.1", "?sslmode=verify-full", "ca: <ca.crt>, server_name: localhost", "TLSv1.3"),
    ] {
        let ended = case(host, query, tls).succeeds();
        assert_eq!(ended.field("first")["tls"], wanted, "{host} {query} {tls}");
    }
    for (host, query, tls, class, words) in [
        ("127.0.0.1", "?sslmode=require", "ca: <other.crt>", "tls", "no trusted connection"),
        ("127.0.0.1", "?sslmode=verify-ca", "ca: <other.crt>", "tls", "no trusted connection"),
        ("localhost", "?sslmode=verify-full", "ca: <other.crt>", "tls", "no trusted connection"),
        ("127.0.0.1", "?sslmode=verify-full", "ca: <ca.crt>", "tls", "not valid for name"),
        ("localhost", "?sslmode=verify-full", "ca: <ca.crt>, server_name: other.example", "tls", "not valid for name"),
        // The machine does not know the authority of the tests.
        ("localhost", "?sslmode=verify-full", "", "tls", "no trusted connection"),
        ("localhost", "?sslmode=verify-ca", "ca: /nowhere/ca.pem", "not_found", "/nowhere/ca.pem"),
        ("localhost", "?sslmode=verify-ca", "ca: <client.key>", "tls", "no certificate"),
        ("localhost", "?sslmode=verify-ca", "ca: <ca.crt>, cert: <client.crt>", "bad_value", "together"),
    ] {
        _ = case(host, query, tls).ends("failed", class, words);
    }
}

#[test]
fn a_certificate_may_stand_for_a_password() {
    let cluster = Cluster::shared();
    let database = cluster.named("postgres");
    database.execute("do $$ begin create role by_certificate login; exception when duplicate_object then null; end $$");
    let url = format!("postgres://by_certificate@127.0.0.1:{}/postgres?sslmode=verify-ca", cluster.port);
    let tls = "ca: <ca.crt>, cert: <client.crt>, key: <client.key>";
    let ended = look(&with_files(&format!("{{ postgres: \"{url}\", tls: {{ {tls} }} }}"))).succeeds();
    assert_eq!(ended.field("first")["who"], "by_certificate");
    let ended = look(&with_files(&format!("{{ postgres: \"{url}\", tls: {{ ca: <ca.crt> }} }}")));
    _ = ended.ends("failed", "denied", "certificate");
}

#[test]
fn a_socket_of_this_machine_is_loopback() {
    let socket = Cluster::shared().socket().display().to_string();
    let port = Cluster::shared().port;
    for address in [
        format!("postgres:///postgres?host={socket}&port={port}&user=postgres"),
        format!("host={socket} port={port} user=postgres dbname=postgres"),
    ] {
        let ended = look(&format!("{{ postgres: \"{address}\", PASSWORD, allow: loopback }}")).succeeds();
        assert_eq!(ended.field("first")["tls"], "plain");
        let ended = look(&format!("{{ postgres: \"{address}\", PASSWORD, allow: [private, public] }}"));
        _ = ended.ends("failed", "address", "loopback");
    }
    let ended = look(&format!("{{ postgres: \"postgres:///d?host={socket}&port=1&user=u\" }}"));
    _ = ended.ends("failed", "not_found", "no connection");
}

#[test]
fn addresses_are_checked_where_they_lead() {
    for allow in ["private", "10.0.0.0/8", "[public, link_local]", "db.example"] {
        for host in ["127.0.0.1", "localhost"] {
            let ended = look(&format!("{{ postgres: \"{}\", PASSWORD, allow: {allow} }}", at(host, "")));
            _ = ended.ends("failed", "address", "does not allow");
        }
    }
    for allow in ["loopback", "127.0.0.0/8", "localhost"] {
        let ended = look(&format!("{{ postgres: \"{}\", PASSWORD, allow: {allow} }}", at("localhost", "")));
        _ = ended.succeeds();
    }
    let ended = look(&format!("{{ postgres: \"{}\", PASSWORD }}", at("no-such-host.invalid", "?sslmode=disable")));
    _ = ended.ends("failed", "dns", "no-such-host.invalid");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let ended = look(&format!("{{ postgres: \"postgres://u@127.0.0.1:{free}/d\" }}"));
    _ = ended.ends("failed", "refused", "refused the connection");
}

#[test]
fn logins_that_fail_say_why() {
    let bench = Bench::new();
    bench.database.execute("do $$ begin create role plain_user login password 'plain-user-password'; exception when duplicate_object then null; end $$");
    let port = Cluster::shared().port;
    let url = |user: &str, database: &str| format!("postgres://{user}@127.0.0.1:{port}/{database}");
    for (target, class, words) in [
        (
            format!(
                "{{ postgres: \"{}\", auth: {{ password: \"{{{{ 'wrong-password-here' }}}}\" }} }}",
                url("postgres", "postgres")
            ),
            "denied",
            "gives no session: password authentication failed",
        ),
        (format!("{{ postgres: \"{}\" }}", url("postgres", "postgres")), "denied", "wants a password"),
        (
            format!("{{ postgres: \"{}\", PASSWORD }}", url("nobody_here", "postgres")),
            "denied",
            "password authentication failed",
        ),
        (
            format!("{{ postgres: \"{}\", PASSWORD }}", url("postgres", "no_such_database")),
            "invalid_catalog_name",
            "does not exist",
        ),
        (
            format!("{{ postgres: \"{}\", auth: {{ user: x }} }}", url("postgres", "postgres")),
            "bad_value",
            "has a user in its address and one in `auth`",
        ),
        (
            format!("{{ postgres: \"postgres://127.0.0.1:{port}/postgres\", PASSWORD }}"),
            "bad_value",
            "no user for `db`",
        ),
    ] {
        let bench = Bench::with(&target);
        let ran = bench.run(&step("look", "diagnose", "select 1", ""));
        let said = ran.output.all();
        if class == "bad_value" {
            assert!(said.contains(words), "{words}\n{said}");
        } else {
            _ = ran.ended("look").ends("failed", class, words);
        }
        assert!(!said.contains(PASSWORD), "{said}");
    }
    let target = format!(
        "{{ postgres: \"postgres://127.0.0.1:{port}/postgres\", auth: {{ user: plain_user, password: \"{{{{ 'plain-user-password' }}}}\" }} }}"
    );
    assert_eq!(look(&target).succeeds().field("first")["who"], "plain_user");
}

#[test]
fn the_surroundings_do_not_count() {
    let bench = Bench::new();
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = trap.local_addr().expect("an address").port().to_string();
    let home = bench.sandbox.path("home");
    std::fs::create_dir_all(&home).expect("a folder");
    let line = format!("*:*:*:*:{PASSWORD}\n");
    std::fs::write(home.join(".pgpass"), &line).expect("a file");
    std::fs::write(home.join(".pg_service.conf"), format!("[trap]\nhost=127.0.0.1\nport={port}\n")).expect("a file");
    let pgpass = bench.sandbox.write("pgpass", &line);
    let trapped = |bench: &Bench| {
        let mut command = bench.command(&["run", "case", "--env", "free"]);
        command.envs([("PGHOST", "127.0.0.1"), ("PGHOSTADDR", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", "trap")]);
        command.envs([
            ("PGDATABASE", "trap"),
            ("PGPASSWORD", PASSWORD),
            ("PGSERVICE", "trap"),
            ("PGSSLMODE", "require"),
        ]);
        command.envs([("PGOPTIONS", "-c search_path=trap"), ("PGAPPNAME", "trap"), ("PGCLIENTENCODING", "LATIN1")]);
        command.envs([("HOME", home.display().to_string()), ("PGPASSFILE", pgpass.display().to_string())]);
        command.env("PGCONNECT_TIMEOUT", "1").env("USER", "postgres");
        bench.ran(super::bench::finish(command))
    };
    let sql = "select current_user::text as who, current_database()::text as db, current_setting('search_path') as path, \
               current_setting('client_encoding') as encoding, current_setting('application_name') like 'runwright %' as named, \
               inet_server_port() as port";
    bench.write(&step("look", "diagnose", sql, ""));
    let found = trapped(&bench).ended("look").succeeds().field("first");
    let database = bench.database.name.clone();
    let wanted = serde_json::json!({
        "who": "postgres", "db": database, "path": "\"$user\", public", "encoding": "UTF8", "named": true, "port": Cluster::shared().port
    });
    assert_eq!(found, wanted);
    // Without a password of its own a target gets none.
    let bench = Bench::with("{ postgres: \"URL\" }");
    bench.write(&step("look", "diagnose", "select 1", ""));
    _ = trapped(&bench).ended("look").ends("failed", "denied", "wants a password");
    trap.set_nonblocking(true).expect("a trap");
    assert!(trap.accept().is_err(), "somebody fell into the trap");
}

#[test]
fn an_address_may_come_from_values() {
    let bench = Bench::with("{ postgres: \"postgres://postgres@{{ host }}:{{ port }}/{{ name }}\", PASSWORD }");
    let steps = step("look", "diagnose", LOOK, "");
    bench.write(&steps);
    let path = bench.sandbox.path("case.yaml");
    let text = std::fs::read_to_string(&path).expect("the runbook");
    let inputs = "inputs:\n  host: { type: string }\n  port: { type: integer }\n  name: { type: string }";
    std::fs::write(&path, text.replace("inputs:", inputs)).expect("the runbook");
    let port = format!("port={}", Cluster::shared().port);
    let run = |host: &str, name: &str| {
        let output = bench.call(&["run", "case", "--env", "free", "-i", host, "-i", &port, "-i", name]);
        bench.ran(output)
    };
    let name = format!("name={}", bench.database.name);
    _ = run("host=127.0.0.1", &name).ended("look").succeeds();
    // A value cannot become another host, a setting or a password.
    for (host, name) in
        [("host=127.0.0.1/x?", "name=d"), ("host=u:p@h", "name=d"), ("host=127.0.0.1", "name=d?sslmode=disable&host=x")]
    {
        let ran = run(host, name);
        let ended = ran.ended("look");
        assert!(["dns", "invalid_catalog_name"].contains(&ended.error.as_str()), "{host} {name}: {ended:#?}");
    }
}
