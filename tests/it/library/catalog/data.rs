//! Dumps, restores, and what is looked at afterwards.

use super::Bench;
use crate::library::shelf::Ran;
use crate::support::{CATALOG_PASSWORD, CatalogPlan, Output, Simulator, postgres_programs};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server with dumps to make and to restore, whose conformance suite may ask it.
fn bench() -> Bench {
    let bench = Bench::start();
    bench.ready_for_data();
    bench
}

impl Bench {
    fn ready_for_data(&self) {
        let backups = self.shelf.sandbox.path("backups");
        std::fs::set_permissions(&backups, std::fs::Permissions::from_mode(0o700)).unwrap();
        let own = format!("#!/bin/sh\nexec '{}' conformance \"$@\"\n", Simulator::program().display());
        let go = self.shelf.sandbox.program("go", &own);
        self.shelf.set("catalog_conformance", go.display().to_string());
        self.shelf.set("catalog_source", self.shelf.sandbox.folder().display().to_string());
        // Bob reads team-b, and the suite reads everything.
        let api = "rbac.authorization.k8s.io";
        let subject = |kind: &str, name: &str| json!([{ "kind": kind, "name": name, "apiGroup": api }]);
        let role = json!({ "apiGroup": api, "kind": "ClusterRole", "name": "catalog-operator" });
        self.catalog.apply(&[
            json!({ "apiVersion": format!("{api}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": "conformance" },
                    "subjects": subject("User", "conformance"), "roleRef": role }),
            json!({ "apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": { "name": "b", "namespace": "team-b" },
                    "subjects": subject("Group", "team-b-engineers"), "roleRef": role }),
        ]);
    }

    /// The dumps that are there.
    fn dumps(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.shelf.sandbox.path("backups")).unwrap();
        let mut all: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    }

    /// A dump made by the runbook.
    fn dump(&self) -> PathBuf {
        let ran = self.run("catalog-dump", "", &[]).exits(0);
        PathBuf::from(ran.value("catalog-dump.file", "path").as_str().unwrap())
    }

    /// A program of PostgreSQL as the server's role.
    fn program(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(postgres_programs().join(name));
        command.args(arguments).env("PGPASSWORD", CATALOG_PASSWORD);
        Output::new(format!("{name} {}", arguments.join(" ")), &command.output().expect("it starts"))
    }

    /// How many pods the deployment wants.
    fn replicas(&self) -> i64 {
        self.catalog.kubectl("get deployment catalog-server -o json").json()["spec"]["replicas"].as_i64().unwrap()
    }

    /// The servers of the catalog by name.
    fn servers(&self) -> String {
        self.catalog
            .database
            .value("select string_agg(namespace || '/' || name, ' ' order by namespace, name) from \"Context\"")
    }

    /// Restores, up to the gate that asks for the name of the database.
    fn restore(&self, dump: &Path, more: &[&str]) -> Ran {
        let dump = format!("catalog_dump={}", dump.display());
        self.run("catalog-restore", "", &[&["-i", &dump, "-i", "catalog_urgency=emergency"], more].concat())
    }

    /// Restores, and types what the gate asks for.
    fn restored(&self, dump: &Path, more: &[&str]) -> Ran {
        let parked = self.restore(dump, more).exits(5);
        self.shelf.approve(&parked, "restore")
    }
}

#[test]
fn a_full_dump_is_read_to_its_end_and_lists_every_table() {
    let bench = bench();
    let ran = bench.run("catalog-dump", "", &[]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&["catalog-dump.dump", "catalog-dump.listed", "catalog-dump.size", "catalog-dump.digest"]);
    let file = bench.dumps().remove(0);
    assert_eq!(ran.value("catalog-dump.file", "path"), file.display().to_string());
    let meta = file.metadata().unwrap();
    assert_eq!(ran.value("catalog-dump.size", "bytes"), meta.len());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600, "nobody else may read it");
    let listed = bench.program("pg_restore", &["--list", file.to_str().unwrap()]).exits(0);
    for table in ["Context", "audit_events", "refresh_jobs", "catalog_refresh_status"] {
        assert!(listed.stdout.contains(&format!("TABLE DATA public {table} ")), "{listed}");
    }
    // A second one does not replace the first.
    _ = bench.run("catalog-dump", "", &[]).exits(0);
    assert_eq!(bench.dumps().len(), 2);
}

#[test]
fn a_pattern_that_matches_no_table_stops_a_partial_dump() {
    let bench = bench();
    // The fault: the three patterns of the document, of which one matches nothing, and no word about it.
    let url = bench.catalog.dsn();
    let file = bench.shelf.sandbox.path("document.dump").display().to_string();
    let globs = ["--table=mcp_*", "--table=audit_*", "--table=refresh_*"];
    let said = bench.program("pg_dump", &[&["-d", &url, "-Fc", "-f", &file], globs.as_slice()].concat()).exits(0);
    assert!(said.stderr.is_empty(), "{said}");
    // Found before anything is written.
    let ran = bench.run("catalog-dump", "", &["-i", "catalog_tables=mcp_*,audit_*,refresh_*"]).exits(1);
    let ran =
        ran.came_to(&["catalog-dump.each_matches"], &["does_not_hold"]).came_to(&["catalog-dump.dump"], &["skipped"]);
    assert_eq!(ran.value("catalog-dump.each_matches", "nothing"), json!(["mcp_*"]));
    assert!(bench.dumps().is_empty());
    // Patterns that match: those tables, and no others.
    let ran = bench.run("catalog-dump", "", &["-i", "catalog_tables=Con*,audit_*,refresh_*"]).exits(0);
    let ran = ran.reached(&["catalog-dump.each_matches", "catalog-dump.dump"]);
    assert_eq!(ran.value("catalog-dump.listed", "tables"), json!(["Context", "audit_events", "refresh_jobs"]));
    let listed = bench.program("pg_restore", &["--list", bench.dumps()[0].to_str().unwrap()]).exits(0);
    assert_eq!(listed.stdout.matches("TABLE DATA").count(), 3, "{listed}");
}

#[test]
fn a_dump_that_is_not_whole_is_never_there_by_its_name() {
    let bench = bench();
    // pg_dump says that all is well, and the file is cut off: its table of contents is whole all the same.
    let real = postgres_programs().join("pg_dump");
    let script = format!(
        "#!/bin/bash\n'{}' \"$@\" || exit\nfor word; do case \"$word\" in --file=*) truncate --size=-300 \"${{word#--file=}}\";; esac; done\n",
        real.display()
    );
    bench.shelf.sandbox.program("pg_dump", &script);
    let ran = bench.run("catalog-dump", "", &[]);
    assert_ne!(ran.output.code, 0, "{}", ran.output);
    _ = ran.came_to(&["catalog-dump.dump"], &["failed"]);
    assert!(bench.dumps().is_empty(), "{:?}", bench.dumps());
    std::fs::remove_file(bench.shelf.sandbox.path("bin/pg_dump")).unwrap();
    // A password that is not the role's: nothing is known of the database, so nothing is dumped.
    bench.shelf.set("catalog_db_password", "no-such-password");
    let ran = bench.run("catalog-dump", "", &[]).exits(1);
    _ = ran.came_to(&["catalog-dump.server"], &["failed"]).came_to(&["catalog-dump.dump"], &["skipped"]);
    assert!(bench.dumps().is_empty());
}

#[test]
fn a_restore_brings_the_data_back_and_as_many_pods_as_there_were() {
    let bench = bench();
    let dump = bench.dump();
    let before = bench.servers();
    bench.catalog.database.execute("delete from \"Context\" where namespace = 'team-a'; insert into \"Context\" (name, namespace) values ('wrong', 'team-b')");
    let broken = bench.servers();
    bench.catalog.kubernetes.control(&json!({ "clear_requests": true }));
    let parked = bench.restore(&dump, &[]).exits(5).tells("PARKED");
    let parked = parked.reached(&["catalog-restore.stop", "catalog-restore.no_pods", "catalog-dump.dump"]);
    assert_eq!(bench.replicas(), 0);
    assert_eq!(bench.servers(), broken, "nothing is replaced before the gate");
    let ran = bench.shelf.approve(&parked, "restore").exits(0).tells("RESOLVED");
    let ran = ran.reached(&[
        "catalog-restore.dump_whole",
        "catalog-restore.restore",
        "catalog-restore.start",
        "catalog-restore.serving",
        "catalog-restore.validated",
        "catalog-validate-restore.conformance",
    ]);
    assert_eq!(bench.servers(), before);
    assert_eq!(ran.value("catalog-restore.before", "wanted"), 3);
    assert_eq!(bench.replicas(), 3);
    bench.catalog.serves(3);
    let scaled: Vec<_> = bench.catalog.writes().into_iter().filter(|write| write.contains("deployments")).collect();
    assert_eq!(scaled.len(), 2, "down and up, nothing else: {scaled:?}");
    assert_eq!(bench.dumps().len(), 2, "what was there is kept");
    // And back: what was there before the restore.
    let undone = bench.shelf.undo(&ran).exits(5);
    assert_eq!(bench.replicas(), 0, "down before the data is replaced");
    let undone = bench.shelf.approve(&undone, "restore/undo");
    assert_eq!(bench.servers(), broken, "{}", undone.output);
    assert_eq!(bench.replicas(), 3, "{}", undone.output);
    bench.catalog.serves(3);
}

#[test]
fn a_bad_dump_is_found_before_the_server_is_stopped() {
    let bench = bench();
    let dump = bench.dump();
    bench.catalog.kubernetes.control(&json!({ "clear_requests": true }));
    // Cut off: the table of contents can still be listed.
    let cut = bench.shelf.sandbox.path("cut.dump");
    let bytes = std::fs::read(&dump).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 300]).unwrap();
    _ = bench.program("pg_restore", &["--list", cut.to_str().unwrap()]).exits(0);
    let ran = bench.restore(&cut, &[]).exits(1).came_to(&["catalog-restore.dump_whole"], &["failed", "does_not_hold"]);
    _ = ran.came_to(&["catalog-restore.stop", "catalog-restore.outage"], &["skipped"]);
    // Something else altogether, and a file that is not there.
    let text = bench.shelf.sandbox.write("text.dump", "-- no dump\n");
    _ = bench.restore(&text, &[]).exits(1).came_to(&["catalog-restore.stop"], &["skipped"]);
    let nowhere = bench.shelf.sandbox.path("nowhere.dump");
    _ = bench.restore(&nowhere, &[]).exits(1).came_to(&["catalog-restore.stop"], &["skipped"]);
    assert!(bench.catalog.writes().is_empty(), "{:?}", bench.catalog.writes());
    bench.catalog.serves(3);
}

#[test]
fn pods_that_do_not_go_keep_the_database_as_it_is_and_the_server_down() {
    let bench = bench();
    let dump = bench.dump();
    bench.catalog.database.execute("delete from \"Context\" where namespace = 'team-a'");
    let broken = bench.servers();
    bench.catalog.kubernetes.control(&json!({ "gone_after_ms": 60_000 }));
    bench.shelf.set("catalog_gone_within", "2s");
    let ran = bench.restore(&dump, &[]).exits(6).tells("the catalog-server is left at 0 pods");
    let ran = ran.came_to(&["catalog-restore.no_pods"], &["does_not_hold", "failed"]);
    let ran = ran.reached(&["catalog-restore.stop"]);
    assert_eq!((bench.servers(), bench.replicas()), (broken, 0));
    bench.catalog.kubernetes.control(&json!({ "gone_after_ms": 100 }));
    let undone = bench.shelf.undo(&ran);
    assert_eq!(bench.replicas(), 3, "{}", undone.output);
}

#[test]
fn a_restore_that_fails_changes_nothing_and_keeps_the_server_down() {
    let bench = bench();
    let dump = bench.dump();
    bench.catalog.database.execute("delete from \"Context\" where namespace = 'team-a'");
    // Somebody's view hangs on a table: it cannot be dropped, in the middle of the restore.
    bench.catalog.database.execute("create view watched as select id from audit_events");
    let broken = bench.servers();
    let failed = bench.restored(&dump, &[]).exits(6).tells("the catalog-server is left at 0 pods");
    let failed = failed.came_to(&["catalog-restore.restore"], &["failed"]).tells("cannot drop");
    let failed = failed.came_to(&["catalog-restore.start"], &["skipped"]);
    assert_eq!((bench.servers(), bench.replicas()), (broken, 0), "{}", failed.output);
    // Mended, and run again: there are no pods now, so their number is what the run before found.
    bench.catalog.database.execute("drop view watched");
    let ran = bench.restored(&dump, &["-i", "catalog_safety_dump=false"]).exits(0).tells("RESOLVED");
    assert_eq!(ran.value("catalog-restore.before", "now_there"), 0);
    assert_eq!(bench.replicas(), 3);
    assert!(bench.servers().contains("team-a/github"));
    bench.catalog.serves(3);
}

#[test]
fn a_restore_whose_end_was_not_seen_is_told_by_the_tables_themselves() {
    let bench = bench();
    let dump = bench.dump();
    let before = bench.servers();
    bench.catalog.database.execute("delete from \"Context\" where namespace = 'team-a'");
    // It restores, and is killed before it can say so.
    let real = postgres_programs().join("pg_restore");
    let script = format!(
        "#!/bin/bash\n'{}' \"$@\" || exit\ncase \" $* \" in *' --single-transaction '*) kill -KILL $$;; esac\n",
        real.display()
    );
    bench.shelf.sandbox.program("pg_restore", &script);
    let ran = bench.restored(&dump, &[]).exits(0).tells("RESOLVED").reached(&["catalog-restore.restore"]);
    assert_eq!(bench.servers(), before, "{}", ran.output);
    assert_eq!(bench.replicas(), 3);
    // Killed before it did anything: the tables are the old ones, so it was not done, and nothing is started.
    let script = format!(
        "#!/bin/bash\ncase \" $* \" in *' --single-transaction '*) kill -KILL $$;; esac\nexec '{}' \"$@\"\n",
        real.display()
    );
    bench.shelf.sandbox.program("pg_restore", &script);
    bench.catalog.database.execute("delete from \"Context\" where namespace = 'team-b'");
    let broken = bench.servers();
    let ran = bench.restored(&dump, &[]);
    assert_ne!(ran.output.code, 0, "{}", ran.output);
    assert_eq!((bench.servers(), bench.replicas()), (broken, 0), "{}", ran.output);
}

#[test]
fn what_only_the_superuser_may_do_is_left_out_and_warnings_are_no_errors() {
    let bench = bench();
    // Extensions that only the superuser may make, in the database and so in the dump
    bench.catalog.database.execute("create extension pageinspect; create extension pgstattuple");
    let dump = bench.dump();
    // The fault: what does harm and what does none ends with 1.
    let url = bench.catalog.dsn();
    let copy = ["--clean", "--if-exists", "-d", url.as_str(), dump.to_str().unwrap()];
    _ = bench.catalog.kubectl("scale deployment/catalog-server --replicas=0").exits(0);
    bench.catalog.serves(0);
    let said = bench.program("pg_restore", &copy).exits(1);
    assert!(said.stderr.contains("must be owner of extension"), "{said}");
    bench.catalog.database.execute("delete from \"Context\" where namespace = 'team-a'");
    let ran = bench.restored(&dump, &["-i", "catalog_replicas=2"]).exits(0).tells("RESOLVED");
    let left = ran.value("catalog-restore.contents", "left_out");
    assert!(left.to_string().contains("EXTENSION - pageinspect"), "{left}");
    assert!(bench.servers().contains("team-a/github"));
    assert_eq!(bench.replicas(), 2);
    // An extension that is not there cannot be made by the role: found before the stop.
    bench.catalog.database.execute("drop extension pageinspect");
    let ran = bench.restore(&dump, &[]).exits(1).came_to(&["catalog-restore.database"], &["does_not_hold"]);
    assert_eq!(ran.value("catalog-restore.database", "no_extension"), json!(["pageinspect"]));
    assert_eq!(bench.replicas(), 2);
}

#[test]
fn a_planned_restore_waits_for_its_window() {
    let bench = bench();
    let dump = format!("catalog_dump={}", bench.dump().display());
    let planned = ["-i", &dump, "-i", "catalog_urgency=planned"];
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    let at = |hours: i8| format!("{:02}:00", (hour + hours).rem_euclid(24));
    // A window that is not now, whenever this runs
    bench.window(&format!("{}-{} UTC", at(3), at(5)));
    let ran = bench.run("catalog-restore", "", &planned).exits(5);
    _ = ran.tells("PARKED").tells(&at(3)).tells("announce");
    assert_eq!(bench.replicas(), 3);
    bench.catalog.serves(3);
    // And one that is: as far as the gate that asks for the name of the database.
    bench.window(&format!("{}-{} UTC", at(-1), at(3)));
    let ran = bench.run("catalog-restore", "", &planned).exits(5);
    let ran = bench.shelf.approve(&ran, "announce").exits(5);
    let told = ["answer", &ran.name(), "announce", "result=done"];
    _ = crate::support::finish(&mut bench.shelf.command(told)).exits(0);
    let ran = bench.shelf.resume(&ran).exits(5);
    _ = ran.reached(&["catalog-restore.announce", "catalog-restore.stop", "catalog-restore.no_pods"]);
    assert_eq!(bench.replicas(), 0);
}

impl Bench {
    /// The library's copy with another window.
    fn window(&self, window: &str) {
        let path = "runbooks/catalog-server/catalog-restore.yaml";
        let text = std::fs::read_to_string(crate::support::repository(path)).unwrap();
        assert!(text.contains("Sun 02:00-05:00 UTC\""));
        let copy = self.shelf.sandbox.path("library/catalog-server/catalog-restore.yaml");
        std::fs::write(&copy, text.replace("\"Sun 02:00-05:00 UTC\"", &format!("\"{window}\""))).unwrap();
    }
}

#[test]
fn a_server_is_whole_when_it_is_ready_complete_separated_and_conformant() {
    let bench = bench();
    let ran = bench.run("catalog-validate-restore", "", &[]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&[
        "catalog-validate-restore.ready",
        "catalog-validate-restore.plugins",
        "catalog-validate-restore.sees_own",
        "catalog-validate-restore.refused_elsewhere",
        "catalog-validate-restore.conformance",
    ]);
    assert_eq!(ran.value("catalog-validate-restore.conformance", "passed"), 8);
    assert_eq!(ran.value("catalog-validate-restore.plugins", "names").as_array().unwrap().len(), 8);
}

#[test]
fn a_server_that_is_not_whole_is_told_part_by_part() {
    let bench = bench();
    // A plugin is ill, alice gets into team-b, and a plugin that must be there is not.
    bench.catalog.control(&json!({ "sick": ["mcp"] }));
    bench.shelf.set("catalog_ready_within", "2s");
    bench.bind("team-b", "leak", "catalog-operator", "team-a-engineers");
    let more = ["-i", "catalog_plugins=mcp,benchmarks"];
    let ran = bench.run("catalog-validate-restore", "", &more).exits(1).tells("NOT RESOLVED");
    let ran = ran.came_to(&["catalog-validate-restore.plugins"], &["does_not_hold"]);
    let ran = ran.came_to(&["catalog-validate-restore.ready"], &["does_not_hold", "failed"]);
    let ran = ran.came_to(&["catalog-validate-restore.refused_elsewhere"], &["does_not_hold", "failed"]);
    let ran = ran.came_to(&["catalog-validate-restore.conformance"], &["does_not_hold"]);
    assert_eq!(ran.value("catalog-validate-restore.plugins", "absent"), json!(["benchmarks"]));
    assert_eq!(
        ran.value("catalog-validate-restore.conformance", "failures"),
        json!(["TestHealthEndpoints", "TestPluginDiscovery"])
    );
    // A suite that skips every test ends with success, and proves nothing.
    let skips = "#!/bin/sh\necho '--- SKIP: TestHealthEndpoints (0.00s)'\necho 'ok  \tconformance\t0.01s'\n";
    let go = bench.shelf.sandbox.program("go", skips);
    bench.catalog.control(&json!({ "reset": true }));
    bench.shelf.set("catalog_conformance", go.display().to_string());
    let ran = bench.run("catalog-validate-restore", "", &[]).exits(1);
    let ran = ran.came_to(&["catalog-validate-restore.conformance"], &["does_not_hold"]);
    assert_eq!(ran.value("catalog-validate-restore.conformance", "passed"), 0);
}

#[test]
fn nobody_listens_after_a_restore() {
    let bench = Bench::with(&CatalogPlan { replicas: 0, ..CatalogPlan::default() });
    bench.ready_for_data();
    bench.shelf.set("catalog_ready_within", "2s");
    let ran = bench.run("catalog-validate-restore", "", &[]).exits(1);
    _ = ran.came_to(&["catalog-validate-restore.ready"], &["failed", "cannot_tell"]);
}
