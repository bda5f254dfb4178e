//! The last lines of a run, and what is handed over: also of a record that is torn, or that a newer version wrote.

use crate::support::Sandbox;
use std::io::Write as _;

const TROUBLE: &str = "
contacts: { oncall: { reach: \"tel:1\", name: The on-call } }
steps:
  - { id: one, remediate: Works, run: [touch, one], undo: { run: [rm, one] } }
  - { id: tmp, remediate: For a while, temporary: true, run: [touch, tmp], undo: { run: [rm, tmp] } }
  - { id: stuck, remediate: Stays, temporary: true, run: [touch, stuck], undo: { run: [\"false\"] } }
  - { id: slow, remediate: Too slow, timeout: 300ms, run: [sleep, \"300\"], irreversible: It is nothing. }
  - { id: two, remediate: Not reached, run: [touch, two], undo: { run: [rm, two] } }
";

#[test]
fn what_became_of_changes_is_told_apart() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", TROUBLE);
    let output = sandbox.call(["run", "case", "--env", "free"]).exits(7);
    let output = output.says("changes          2 done, 1 taken back, 1 NOT KNOWN whether done");
    let output = output.tells("cleaned up NO 1 temporary change stands; 1 change is not known to be done or not");
    let output = output.tells("stuck (was to be taken back) false not taken back: `false` ended with exit code 1");
    let run = sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned();
    _ = output.says(&format!("undo with        runwright undo {run}"));
    let page = sandbox.call(["handover", "last"]).exits(0);
    assert!(page.stdout.lines().count() < 40, "{page}");
    let page = page.tells("tried tmp was done and taken back: For a while");
    let page =
        page.tells("NOT KNOWN whether done: slow: Too slow (`sleep` was ended because it took longer than 300ms)");
    let page = page.tells("done").tells("one: Works, passed by the environment's policy");
    _ = page.says("who        oncall: The on-call, tel:1").says(&format!("runwright undo {run}"));
    let json = sandbox.call(["handover", "last", "--json"]).exits(0).json();
    let open: Vec<_> = json["open_changes"].as_array().expect("a list").iter().map(|change| &change["step"]).collect();
    assert_eq!(open, ["one", "stuck", "slow"]);
    _ = sandbox.call(["handover", "last", "--markdown"]).exits(0).says("# Handover: A case").says("## Open");
    _ = sandbox.call(["handover", "nothing"]).exits(2).says("nothing");
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_torn_record_and_one_of_a_newer_version_are_handed_over() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", "steps:\n  - { id: who, diagnose: Who?, ask: Who? }\n");
    _ = sandbox.call(["run", "case"]).exits(5);
    let path = sandbox.only_run().join("transcript.jsonl");
    let text = std::fs::read_to_string(&path).expect("a transcript");
    let last = text.lines().last().expect("a line");
    let newer = last.replace("\"run_parked\"", "\"run_teleported\"");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("the transcript");
    write!(file, "{newer}\n{{\"seq\":9,\"ti").expect("two lines");
    for arguments in [&["handover", "last"][..], &["handover", "last", "--json"], &["show", "last"]] {
        let output = sandbox.call(arguments).exits(0);
        assert!(output.stdout.contains("who"), "{output}");
    }
    // The frozen runbook cannot be read by this version: the page has what the record says.
    let unreadable = text.replacen("diagnose: Who?", "meditate: Who?", 1);
    std::fs::write(&path, unreadable).expect("the transcript");
    _ = sandbox.call(["handover", "last"]).exits(0).says("parked").says("A case");
    // Nothing but a beginning.
    let first = format!("{}\n", text.lines().next().expect("a line"));
    std::fs::write(&path, first).expect("the transcript");
    _ = sandbox.call(["handover", "last"]).exits(0).says("INTERRUPTED").says("runwright resume");
}
