//! Who is let in, and what stands at the door: keys, login shells, agents, machines in between.

use super::{ended, field, run, runbook, wait_until};
use crate::support::sshd::{kill, make_key, needs};
use crate::support::{Sandbox, Sshd};
use std::path::Path;

#[test]
fn strangers_and_closed_doors_have_their_own_words() {
    let sandbox = Sandbox::library();
    let sshd = Sshd::start();
    let other_key = sandbox.path("other_key");
    make_key(&other_key);
    let hosts = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let other = std::fs::read_to_string(sandbox.path("other_key.pub")).unwrap();
    let words: Vec<_> = other.split_whitespace().collect();
    _ = sandbox.write("none", "");
    _ = sandbox.write("changed", &format!("{} {} {}\n", hosts.split_whitespace().next().unwrap(), words[0], words[1]));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // One takes calls and says nothing, one says something else.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = mute.local_addr().unwrap().port();
    let talker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let garbage = talker.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write as _;
        while let Ok((mut stream, _)) = talker.accept() {
            _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let good = sshd.target("web");
    let known = |name: &str| {
        good.replace(&sshd.path("known_hosts").display().to_string(), &sandbox.path(name).display().to_string())
    };
    let rows = [
        ("changed", known("changed"), "denied", "its host key is not the one"),
        ("unknown", known("none"), "denied", "its host key is not in"),
        (
            "key",
            good.replace(&sshd.path("client_key").display().to_string(), &other_key.display().to_string()),
            "denied",
            "it did not let us in",
        ),
        (
            "refused",
            good.replace(&format!("\"{}\"", sshd.port), &format!("\"{free}\"")),
            "refused",
            "Connection refused",
        ),
        ("dns", good.replace("@127.0.0.1", "@no-such-host.invalid"), "dns", "Could not resolve hostname"),
        ("silent", good.replace(&format!("\"{}\"", sshd.port), &format!("\"{silent}\"")), "timeout", "timed out"),
        (
            "garbage",
            good.replace(&format!("\"{}\"", sshd.port), &format!("\"{garbage}\"")),
            "connection",
            "nothing was sent",
        ),
        ("allow", format!("{good}    allow: [public]\n"), "address", "which is loopback"),
    ];
    for (name, target, class, words) in rows {
        let step = "{ id: act, target: web, remediate: Do, irreversible: It is nothing., run: [touch, /no/such/file] }";
        let trial = Sandbox::library();
        _ = trial.runbook("case", &format!("targets:\n{target}steps:\n  - {step}\n"));
        let output = run(&trial).exits(7);
        let end = ended(&trial.only_run(), "act");
        assert_eq!((&end["outcome"], &end["error"]), (&"failed".into(), &class.into()), "{name}: {end}\n{output}");
        assert!(end["message"].as_str().unwrap().contains(words), "{name}: {end}");
        trial.leaves_nothing_behind();
    }
}

#[test]
fn login_shells_may_be_and_say_what_they_like() {
    for name in ["zsh", "fish", "tcsh"] {
        needs(name, name);
    }
    let noise = "echo garbage; echo more garbage >&2; printf 'runwright no newline'";
    let shells = [
        ("noise", format!("ForceCommand {noise}; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"")),
        ("zsh", "ForceCommand exec zsh -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("fish", "ForceCommand exec fish -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("tcsh", "ForceCommand exec tcsh -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("dash", "ForceCommand exec dash -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("hostile", "SetEnv BASH_ENV=/tmp/x ENV=/tmp/x IFS=x FOO=bar LD_LIBRARY_PATH=/tmp PS4=x".to_owned()),
        ("single", "MaxSessions 1".to_owned()),
    ];
    for (name, config) in shells {
        let (sandbox, sshd) = (Sandbox::library(), Sshd::with(&config));
        let steps = "
  - { id: say, target: web, diagnose: Say, shell: 'printf \"%s|\" \"$A\"; echo err >&2; exit 3', env: { A: \"it's $x\\n!!\" }, ok: [3] }
  - { id: vars, target: web, diagnose: Look, run: [env] }
";
        runbook(&sandbox, &sshd, steps);
        let output = run(&sandbox).exits(0);
        let run = sandbox.only_run();
        let say = ended(&run, "say");
        assert_eq!(
            (field(&say, "stdout"), field(&say, "stderr")),
            (&"it's $x\n!!|".into(), &"err\n".into()),
            "{name}: {say}\n{output}"
        );
        let env = ended(&run, "vars");
        let names: Vec<&str> =
            field(&env, "stdout").as_str().unwrap().lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let allowed = ["HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "RUNWRIGHT_ATTEMPT", "_"];
        assert!(names.iter().all(|name| allowed.contains(name)), "{name}: {names:?}");
        sandbox.leaves_nothing_behind();
    }
}

#[test]
fn an_account_without_a_shell_gets_nothing() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::with("ForceCommand echo This account is closed."));
    let steps =
        "\n  - { id: act, target: web, remediate: Do, irreversible: It is nothing., run: [true], env: { A: b } }\n";
    runbook(&sandbox, &sshd, &steps.replace("[true]", "['true']"));
    _ = run(&sandbox).exits(7);
    let end = ended(&sandbox.only_run(), "act");
    assert_eq!((&end["outcome"], &end["error"]), (&"failed".into(), &"denied".into()), "{end}");
    assert!(end["message"].as_str().unwrap().contains("This account is closed"), "{end}");
}

#[test]
fn a_jump_is_gone_through() {
    let (sandbox, gate, sshd) = (Sandbox::library(), Sshd::start(), Sshd::start());
    // The key of the target opens the gate too, and both are known.
    std::fs::copy(sshd.path("authorized_keys"), gate.path("authorized_keys")).unwrap();
    let hosts = ["known_hosts"].map(|name| {
        std::fs::read_to_string(gate.path(name)).unwrap() + &std::fs::read_to_string(sshd.path(name)).unwrap()
    });
    std::fs::write(sshd.path("known_hosts"), hosts.concat()).unwrap();
    let user = crate::support::sshd::user();
    let target = format!("{}      jump: {user}@127.0.0.1:{}\n", sshd.target("web"), gate.port);
    _ = sandbox.runbook(
        "case",
        &format!("targets:\n{target}steps:\n  - {{ id: say, target: web, diagnose: Say, run: [echo, hi] }}\n"),
    );
    _ = run(&sandbox).exits(0);
    assert_eq!((gate.logins(), sshd.logins()), (1, 1));
    sandbox.leaves_nothing_behind();
}

#[test]
fn an_identity_is_proven_there() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    _ = sandbox.write("name", "web-one\n");
    for (wanted, code) in [("web-one", 0), ("web-two", 9)] {
        let identity = format!(
            "    identity: {{ run: [cat, {}], read: stdout | trim, expect: stdout | trim == \"{wanted}\" }}\n",
            sandbox.path("name").display()
        );
        let body = format!(
            "targets:\n{}{identity}steps:\n  - {{ id: say, target: web, diagnose: Say, run: [echo, hi] }}\n",
            sshd.target("web")
        );
        _ = sandbox.runbook("case", &body);
        _ = run(&sandbox).exits(code);
    }
}

#[test]
fn keys_of_an_agent_are_used_only_when_the_target_says_so() {
    needs("ssh-agent", "openssh-client");
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let socket = sandbox.path("agent").display().to_string();
    let mut agent = std::process::Command::new("ssh-agent")
        .args(["-D", "-a", &socket])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the agent", || Path::new(&socket).exists());
    let added = std::process::Command::new("ssh-add")
        .arg(sshd.path("client_key"))
        .env("SSH_AUTH_SOCK", &socket)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(added.success());
    let key = format!("      key: {}\n", sshd.path("client_key").display());
    let bare = sshd.target("web").replace(&key, "");
    for (target, word) in [(bare.clone(), "denied"), (format!("{bare}      agent: true\n"), "succeeded")] {
        let trial = Sandbox::library();
        let step = "  - { id: say, target: web, diagnose: Say, run: [sh, -c, 'echo \"$SSH_AUTH_SOCK\"'] }\n";
        _ = trial.runbook("case", &format!("targets:\n{target}steps:\n{step}"));
        let call = trial.command(["run", "case", "--env", "free"]).env("SSH_AUTH_SOCK", &socket).output().unwrap();
        let end = ended(&trial.only_run(), "say");
        assert!(end["outcome"] == word || end["error"] == word, "{word}: {end}\n{call:?}");
        if word == "succeeded" {
            assert_eq!(field(&end, "stdout"), "\n", "the agent was forwarded");
        }
    }
    kill(agent.id(), "TERM");
    _ = agent.wait().unwrap();
}
