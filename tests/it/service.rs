//! `service`: units that are looked at and changed. A stand-in for systemctl drives real processes.

use crate::support::{Entry, Journal, Sandbox, Services, Sshd, example};
use serde_json::json;

/// A place where no gate asks.
fn bench() -> (Sandbox, Services) {
    let sandbox = Sandbox::library();
    let services = Services::new(&sandbox);
    (sandbox, services)
}

/// A step that changes a service.
fn change(sandbox: &Sandbox, service: &str, rest: &str) -> crate::support::Output {
    let body = format!(
        "steps:\n  - id: act\n    remediate: Change it\n    service: {service}\n    irreversible: It is a test.\n{rest}\
         \u{20}\u{20}- {{ validate: It was done, assert: act.outcome == 'succeeded' }}\n"
    );
    let _ = sandbox.runbook("change", &body);
    sandbox.call(["run", "change", "--env", "free"])
}

#[test]
fn the_example_of_the_reference_runs() {
    let (sandbox, services) = bench();
    services
        .unit("app", "ExecStart=sh -c 'sleep 0.3; touch ready; exec env -u PWD sleep 300'\n")
        .systemctl("start", "app");
    let before = services.process("app").expect("it runs");
    let mark = sandbox.path("units/app.service.d/ready");
    let text = example("service-example").replace("/run/app.ready", &mark.display().to_string());
    let _ = sandbox.write("service-example.yaml", &text);
    _ = sandbox.call(["run", "service-example", "--env", "free"]).exits(0).says("RESOLVED");
    let after = services.process("app").expect("it runs");
    assert_ne!(before, after, "it was not restarted");
    assert!(mark.exists());
    assert_eq!(sandbox.field("restart", "before"), json!({ "value": "active" }));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_status_is_data_whatever_it_is() {
    let (sandbox, services) = bench();
    services.unit("up", "ExecStart=sleep 300\n").systemctl("start", "up");
    services.unit("down", "ExecStart=sleep 300\n");
    let body = "
steps:
  - { id: up, diagnose: One, service: { status: up }, expect: [running, state == 'active', sub == 'running', now >= since] }
  - { id: down, diagnose: Two, service: { status: down }, expect: [not running, state == 'inactive'] }
  - { id: missing, diagnose: Three, service: { status: nothing }, tolerate: [not_found], expect: error == 'not_found' }
";
    let _ = sandbox.runbook("look", body);
    let output = sandbox.runwright("run look").exits(0);
    assert!(!output.all().contains("does not hold") && !output.all().contains("cannot tell"), "{output}");
    sandbox.is_whole();
}

#[test]
fn a_unit_that_dies_at_once_has_failed_and_its_last_line_is_told() {
    let (sandbox, services) = bench();
    services.unit("app", "ExecStart=sh -c 'sleep 0.2; exit 3'\n");
    let mut journal = Journal::new(&sandbox.folder());
    journal.write(&[Entry::now("app", "FATAL config.toml:3: no such key")]);
    let stock = "/usr/bin/journalctl";
    assert!(std::path::Path::new(stock).exists(), "there is no journalctl: apt-get install systemd");
    let _ = sandbox
        .program("journalctl", &format!("#!/bin/sh\nexec {stock} --directory={} \"$@\"\n", journal.folder().display()));
    let output = change(&sandbox, "{ restart: app }", "").exits(7);
    let output = output.says("`app` does not run after `restart`").says("status 3");
    _ = output.says("FATAL config.toml:3: no such key");
    assert_eq!(sandbox.field("act", "state"), json!({ "value": "failed" }));
    assert_eq!(sandbox.field("act", "before"), json!({ "value": "inactive" }));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_unit_that_is_started_again_and_again_does_not_run() {
    let (sandbox, services) = bench();
    services.unit("app", "ExecStart=sh -c 'sleep 0.3; exit 1'\nRestart=always\n");
    _ = change(&sandbox, "{ start: app }", "").exits(7).says("`app` does not run after `start`");
    let body = "steps:\n  - { id: look, validate: It runs, service: { status: app }, expect: running }\n";
    let _ = sandbox.runbook("look", body);
    sandbox.is_whole();
}

#[test]
fn a_start_that_systemd_refuses_says_why() {
    let (sandbox, services) = bench();
    services.unit("slow", "Type=notify\nExecStart=sh -c 'sleep 0.1; exit 2'\n");
    services.unit("denied", "ExecStart=sleep 300\nDenied=yes\n");
    let output = change(&sandbox, "{ start: slow }", "").exits(7);
    _ = output.says("exit code 1").says("`slow` is failed (exit-code, status 2)");
    _ = change(&sandbox, "{ restart: denied }", "    tolerate: [denied]\n").exits(0);
    _ = change(&sandbox, "{ restart: nothing }", "").exits(7).says("there is no unit `nothing`");
    _ = change(&sandbox, "{ reload: slow }", "").exits(7).says("not applicable");
    sandbox.is_whole();
}

#[test]
fn start_stop_and_reload_do_what_they_say() {
    let (sandbox, services) = bench();
    services.unit("app", "ExecStart=sleep 300\nExecReload=touch reloaded\n");
    services.unit("once", "Type=oneshot\nExecStart=touch done\n");
    _ = change(&sandbox, "{ start: app }", "").exits(0);
    let process = services.process("app").expect("it runs");
    _ = change(&sandbox, "{ reload: app }", "").exits(0);
    assert_eq!(services.process("app"), Some(process));
    assert!(sandbox.path("units/app.service.d/reloaded").exists());
    _ = change(&sandbox, "{ stop: app }", "").exits(0);
    assert_eq!(services.process("app"), None);
    assert_eq!(sandbox.field("act", "state"), json!({ "value": "inactive" }));
    _ = change(&sandbox, "{ start: once }", "").exits(0);
    assert!(sandbox.path("units/once.service.d/done").exists());
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_service_that_never_gets_ready_has_failed() {
    let (sandbox, services) = bench();
    services.unit("app", "ExecStart=sleep 300\n");
    let ready = "{ restart: app, ready: { run: [test, -e, never], within: 400ms, every: 100ms, expect: exit == 0 } }";
    _ = change(&sandbox, ready, "").exits(7).says("`ready` does not hold");
    sandbox.is_whole();
}

#[test]
fn a_target_has_commands_of_its_own() {
    let (sandbox, _services) = bench();
    let _ = sandbox.program(
        "ctl",
        "#!/bin/sh\ncase $1 in\nstatus) [ \"$2\" = none ] && exit 4; [ -e \"$2.up\" ] && echo fine || exit 3 ;;\nup) touch \
         \"$2.up\" ;;\nesac\n",
    );
    let body = "
targets:
  here: { local: true, service: { start: [ctl, up, \"{{ name }}\"], status: [ctl, status, \"{{ name }}\"] } }
steps:
  - { id: before, diagnose: One, target: here, service: { status: app }, expect: state == 'inactive' }
  - { id: missing, diagnose: Two, target: here, service: { status: none }, tolerate: [not_found], expect: error == 'not_found' }
  - { id: act, remediate: Start it, target: here, service: { start: app }, irreversible: It is a test. }
  - { id: after, validate: It runs, target: here, service: { status: app }, expect: [running, sub == 'fine'] }
";
    let _ = sandbox.runbook("own", body);
    let output = sandbox.call(["run", "own", "--env", "free"]).exits(0).says("RESOLVED");
    assert!(!output.all().contains("does not hold"), "{output}");
    sandbox.leaves_nothing_behind();
}

#[test]
fn the_card_and_the_plan_show_what_is_run() {
    let (sandbox, services) = bench();
    services.unit("app", "ExecStart=sleep 300\n");
    let body = "
inputs: { unit: { type: string, default: app } }
steps:
  - { id: act, remediate: Restart it, service: { restart: \"{{ unit }}\" } }
  - { id: look, validate: It runs, service: { status: \"{{ unit }}\" }, expect: running }
";
    let _ = sandbox.runbook("shown", body);
    _ = sandbox.runwright("plan shown").exits(0).says("systemctl --no-ask-password restart -- app");
    _ = sandbox.runwright("run shown").exits(5).says("systemctl --no-ask-password restart -- app");
    assert_eq!(services.process("app"), None, "nothing was run");
    for bad in ["app*", "a b", "--all"] {
        let unit = format!("unit={bad}");
        let output = sandbox.call(["run", "shown", "--env", "free", "-i", &unit]);
        assert!(output.code != 0 && services.process("app").is_none(), "{output}");
    }
}

#[test]
fn a_workload_is_restarted_and_waited_for() {
    let sandbox = Sandbox::library();
    let kube = crate::kubernetes_api::with_web();
    let body = format!(
        "targets:\n  cluster: {{ kubernetes: {{ context: prod, namespace: default, kubeconfig: {} }} }}\nsteps:\n  - {{ id: before, \
         diagnose: One, target: cluster, service: {{ status: web }}, expect: [running, state == 'active'] }}\n  - {{ id: act, \
         remediate: Restart it, target: cluster, service: {{ restart: web }} }}\n  - {{ id: after, validate: It runs, target: \
         cluster, service: {{ status: deployment/web }}, expect: [running, state == 'active'] }}\n  - {{ id: gone, diagnose: Two, \
         target: cluster, service: {{ status: nothing }}, tolerate: [not_found], expect: error == 'not_found' }}\n",
        kube.kubeconfig().display()
    );
    let _ = sandbox.runbook("web", &body);
    let before = kube.kubectl("get pods -l app=web -o name").exits(0).stdout;
    let output = sandbox.call(["run", "web", "--env", "free"]).exits(0).says("RESOLVED");
    assert!(!output.all().contains("does not hold"), "{output}");
    let after = kube.kubectl("get pods -l app=web --field-selector=status.phase=Running -o name").exits(0).stdout;
    assert!(before.lines().all(|pod| !after.contains(pod)), "{before} became {after}");
    assert_eq!(sandbox.field("act", "sub"), json!({ "value": "2 of 2 available, 2 new" }));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_service_of_another_machine_is_driven_there() {
    let (sandbox, services) = bench();
    services.unit("app", "ExecStart=sleep 300\n");
    // The far end looks for programs in the usual folders alone, and no systemd runs there.
    let systemctl = sandbox.path("bin/systemctl").display().to_string();
    let sshd = Sshd::start();
    let body = format!(
        "targets:\n{}    service:\n      start: [{systemctl}, start, \"{{{{ name }}}}\"]\n      status: [test, -e, \"{units}/{{{{ \
         name }}}}.service.d/pid\"]\nsteps:\n  - {{ id: act, remediate: Start it, target: web, service: {{ start: app }}, irreversible: It is a test. \
         }}\n  - {{ id: after, validate: It runs, target: web, service: {{ status: app }}, expect: [running, state == 'active'] \
         }}\n",
        sshd.target("web"),
        units = sandbox.path("units").display(),
    );
    let _ = sandbox.runbook("far", &body);
    _ = sandbox.call(["run", "far", "--env", "free"]).exits(0).says("RESOLVED");
    assert!(services.process("app").is_some());
    sandbox.is_whole();
}
