//! The review of the operator's document.

use crate::library::shelf::{Ran, Shelf};
use std::path::Path;
use std::process::Command;

/// Ten sections with a command each, and a link that leads somewhere.
fn good() -> String {
    let mut text = "# Operator Runbook\n\nFor the reasons, see `docs/adr/0001.md`.\n\n\n\nMore in `docs/CONFIGURATION.md` once it is\nthere.\n".to_owned();
    for section in 1..=10 {
        text += &format!("\n## {section}. Section\n\n```sh\nsudo systemctl restart postgresql\n```\n");
    }
    text + "\nThe end.\n"
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(arguments);
    let output = git.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder).output().expect("git is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A repository whose last commit is `base`, with the document and its plan on top.
fn repository(shelf: &Shelf, document: &str, plan: &str) {
    let folder = shelf.sandbox.path("repository");
    std::fs::remove_dir_all(&folder).ok();
    for (name, text) in [("README.md", "a\n"), ("docs/adr/0001.md", "why\n")] {
        _ = shelf.sandbox.write(&format!("repository/{name}"), text);
    }
    let plan = format!("# The plan\n\n```markdown\n{plan}```\n\n## Cross-references\n\n```sh\ntrue\n```\n");
    _ = shelf.sandbox.write("repository/docs/plan.md", &plan);
    git(&folder, &["init", "--quiet", "--initial-branch=base"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "--quiet", "--message=base"]);
    _ = shelf.sandbox.write("repository/docs/runbook/postgres.md", document);
    git(&folder, &["add", "--intent-to-add", "."]);
}

fn review(shelf: &Shelf, who: &str) -> Ran {
    let repository = format!("repository={}", shelf.sandbox.path("repository").display());
    let more = ["-i", &repository, "-i", "plan=docs/plan.md", "-i", "base=base"];
    shelf.run("vestige-runbook-review", &format!("second_pair: {{ who: {who} }}"), &more)
}

#[test]
fn a_good_document_passes_all_rows() {
    let shelf = Shelf::new();
    repository(&shelf, &good(), &good());
    _ = review(&shelf, "ana").exits(0).reached(&[
        "vestige-runbook-review.folder",
        "vestige-runbook-review.ascii",
        "vestige-runbook-review.in_order",
        "vestige-runbook-review.resolve",
        "vestige-runbook-review.blocks",
        "vestige-runbook-review.pasted",
        "vestige-runbook-review.same_bytes",
        "vestige-runbook-review.no_longer",
        "vestige-runbook-review.alone",
        "vestige-runbook-review.reproduced",
    ]);
}

#[test]
fn every_fault_of_a_document_is_found_by_its_row_and_by_no_other() {
    let shelf = Shelf::new();
    let rows = ["ascii", "in_order", "resolve", "blocks", "pasted", "same_bytes", "no_longer", "alone", "reproduced"];
    let faults = |document: &str, plan: &str, extra: bool, who: &str| {
        repository(&shelf, document, plan);
        if extra {
            _ = shelf.sandbox.write("repository/README.md", "b\n");
        }
        let ran = review(&shelf, who).exits(1);
        let text = ran.output.all();
        rows.into_iter()
            .filter(|row| text.contains(&format!("because          `{row}` does not hold")))
            .collect::<Vec<_>>()
    };
    let bad = |from: &str, to: &str| good().replacen(from, to, 1);
    let both = |text: String| faults(&text, &text, false, "ana");
    assert_eq!(both(bad("The end.", "The end \u{2014} really.")), ["ascii"]);
    assert_eq!(both(bad("## 7. Section", "## 8. Section")), ["in_order"]);
    assert_eq!(both(bad("## 10. Section", "### 10. Section")), ["in_order"]);
    assert_eq!(both(bad("docs/adr/0001.md", "docs/adr/0002.md")), ["resolve"]);
    assert_eq!(both(bad("sudo systemctl", &format!("{}sudo systemctl", "true\n".repeat(30)))), ["blocks"]);
    assert_eq!(both(bad("restart postgresql", "restart <service>")), ["pasted"]);
    // With a comment that says what it stands for, it is fine.
    repository(
        &shelf,
        &bad("restart postgresql", "restart <service>  # its unit"),
        &bad("restart postgresql", "restart <service>  # its unit"),
    );
    _ = review(&shelf, "ana").exits(0);
    assert_eq!(faults(&good(), &bad("The end.", "The End."), false, "ana"), ["same_bytes"]);
    assert_eq!(faults(&(good() + "More.\n"), &good(), false, "ana"), ["same_bytes", "no_longer"]);
    assert_eq!(faults(&good(), &good(), true, "ana"), ["alone"]);
    assert_eq!(faults(&good(), &good(), false, "nobody"), ["reproduced"]);
}
