//! Files of another machine, changed in one move or not at all.

use super::{ended, field, run, runbook};
use crate::support::{Sandbox, Sshd};

#[test]
fn files_are_edited_and_written_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let file = sandbox.write("there/config.toml", "# keep me\n[pool]\nsize = 5 # small\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let fresh = sandbox.path("there/fresh.txt");
    let steps = format!(
        "
  - {{ id: size, target: web, remediate: More, irreversible: It is nothing., edit: {{ file: {file}, format: toml, set: {{ pool.size: 9 }} }} }}
  - {{ id: same, target: web, remediate: More, irreversible: It is nothing., edit: {{ file: {file}, format: toml, set: {{ pool.size: 9 }} }} }}
  - {{ id: fresh, target: web, remediate: Write, irreversible: It is nothing., write: {{ file: {fresh}, text: \"a\\nü\\n\", mode: \"0604\" }} }}
  - {{ id: again, target: web, remediate: Write, irreversible: It is nothing., write: {{ file: {fresh}, text: \"b\\n\" }} }}
",
        file = file.display(),
        fresh = fresh.display()
    );
    runbook(&sandbox, &sshd, &steps);
    let output = run(&sandbox);
    let run = sandbox.only_run();
    for step in ["size", "same", "fresh", "again"] {
        assert_eq!(ended(&run, step)["outcome"], "succeeded", "{}\n{output}", ended(&run, step));
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# keep me\n[pool]\nsize = 9 # small\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(std::fs::read_to_string(&fresh).unwrap(), "b\n");
    assert_eq!(std::fs::metadata(&fresh).unwrap().permissions().mode() & 0o7777, 0o604);
    let size = ended(&run, "size");
    assert_eq!((field(&size, "changed"), field(&size, "created")), (&true.into(), &false.into()));
    assert_eq!(size["evidence"][0]["excerpt"], "# keep me\n[pool]\nsize = 5 # small\n", "{size}");
    let diff = size["evidence"][1]["excerpt"].as_str().unwrap();
    assert!(diff.contains("-size = 5 # small") && diff.contains("+size = 9 # small"), "{diff}");
    assert_eq!(field(&ended(&run, "same"), "changed"), &serde_json::Value::from(false));
    assert_eq!(field(&ended(&run, "fresh"), "created"), &serde_json::Value::from(true));
    let names: Vec<_> =
        std::fs::read_dir(sandbox.path("there")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(sshd.logins(), 1);
}

#[test]
fn files_that_cannot_be_changed_safely_are_left_alone() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let file = sandbox.write("there/a.toml", "a = 1\n");
    std::os::unix::fs::symlink(&file, sandbox.path("there/link.toml")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("there"), sandbox.path("way")).unwrap();
    _ = sandbox.write("there/one", "x");
    std::fs::hard_link(sandbox.path("there/one"), sandbox.path("there/two")).unwrap();
    _ = sandbox.write("there/bad.toml", "a = \n");
    let rows = [
        ("there/link.toml", "symbolic link"),
        ("way/a.toml", "symbolic link"),
        ("there/one", "hard links"),
        ("there/none.toml", "use `write`"),
        ("no/a.toml", "is not there"),
        ("there/bad.toml", "not valid TOML"),
        ("there", "not a regular file"),
    ];
    for (name, words) in rows {
        let trial = Sandbox::library();
        let act = format!("edit: {{ file: {}, format: toml, set: {{ a: 2 }} }}", sandbox.path(name).display());
        let step = format!("  - {{ id: act, target: web, remediate: Do, irreversible: It is nothing., {act} }}\n");
        runbook(&trial, &sshd, &step);
        let output = run(&trial).exits(7);
        let said = output.all().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{name}: {output}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a = 1\n");
    let act = format!(
        "edit: {{ file: {}, format: toml, set: {{ a: 2 }}, follow: true }}",
        sandbox.path("way/link.toml").display()
    );
    let trial = Sandbox::library();
    runbook(
        &trial,
        &sshd,
        &format!("  - {{ id: act, target: web, remediate: Do, irreversible: It is nothing., {act} }}\n"),
    );
    _ = run(&trial);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a = 2\n");
    assert!(std::fs::symlink_metadata(sandbox.path("there/link.toml")).unwrap().is_symlink());
}
