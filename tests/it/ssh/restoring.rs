//! Files of another machine, taken back to what they were before, by the hands alone.

use crate::support::{Sandbox, Sshd};
use indexmap::IndexMap;
use runwright::action::{BaseEnvironment, Hands, Isolation};
use runwright::engine::{AttemptContext, Cancel, Evidence, EvidenceWriter, Performed, Performer, StoreError};
use runwright::event::{ErrorClass, EvidenceRef, Outcome, StepPath};
use runwright::expr::{Rendered, Value};
use runwright::plan::{Act, Machine, SshTarget, WriteAct, restore_of};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps streams in memory, by name.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<IndexMap<String, Vec<u8>>>>);

struct Stream(String, Memory);

impl Evidence for Memory {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(Stream(stream.to_owned(), self.clone())))
    }

    fn learn(&self, _: &runwright::expr::SecretText) -> Result<(), String> {
        Ok(())
    }

    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }
}

impl EvidenceWriter for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.1.0.lock().unwrap().entry(self.0.clone()).or_default().extend_from_slice(bytes);
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let reference =
            serde_json::json!({ "stream": self.0, "size": 0, "sha256": "", "excerpt": "", "inline": false });
        Ok((serde_json::from_value(reference).unwrap(), Vec::new()))
    }
}

struct There {
    hands: Hands,
    target: SshTarget,
}

impl There {
    fn new(sshd: &Sshd) -> Self {
        let text = |path: PathBuf| Some(Rendered::text(path.display().to_string()));
        let base = BaseEnvironment::from_vars(std::env::vars_os());
        let program = runwright::action::find_program("ssh", base.path()).unwrap();
        let target = SshTarget {
            name: "web".to_owned(),
            host: Rendered::text("127.0.0.1"),
            port: Some(Rendered::text(sshd.port.to_string())),
            key: text(sshd.path("client_key")),
            known_hosts: text(sshd.path("known_hosts")),
            jump: None,
            config: None,
            agent: false,
            allow: Vec::new(),
            program: Some(program),
        };
        Self { hands: Hands::new(base, Isolation::Group, None), target }
    }

    fn write(&self, file: &Path, text: &str) -> Act {
        Act::Write(WriteAct {
            file: Rendered::text(file.to_str().unwrap()),
            text: Rendered::text(text),
            mode: None,
            owner: None,
            follow: false,
            machine: Machine::Ssh(Box::new(self.target.clone())),
        })
    }

    fn context(memory: &Memory) -> AttemptContext {
        AttemptContext {
            step: StepPath("restore".to_owned()),
            marker: format!("restoring-{}/restore/1", std::process::id()),
            change: true,
            timeout: Duration::from_secs(30),
            grace: Duration::from_secs(1),
            cancel: Cancel::new(),
            kill: Cancel::new(),
            evidence: Arc::new(memory.clone()),
            live: None,
            started: None,
        }
    }

    async fn done(&self, act: Act) -> (Performed, IndexMap<String, Vec<u8>>) {
        let memory = Memory::default();
        let performed = self.hands.perform(act, Self::context(&memory)).await;
        let kept = memory.0.lock().unwrap().clone();
        (performed, kept)
    }

    /// Writes a file there, and gives what takes it back.
    async fn written(&self, file: &Path) -> Act {
        let act = self.write(file, "new ü\n");
        let (made, kept) = self.done(act.clone()).await;
        assert_eq!(made.outcome, Outcome::Succeeded, "{:?}", made.message);
        restore_of(&act, &made.fields, kept.get("before").cloned()).unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_there_are_taken_back_to_the_byte() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let there = There::new(&sshd);
    let binary: &[u8] = b"\x7fELF\0\xff\xfe\n\n no line end";
    for (name, old) in [("text", "old ü\r\nlast".as_bytes()), ("binary", binary), ("empty", b"")] {
        let file = sandbox.write(&format!("there/{name}"), "");
        std::fs::write(&file, old).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let back = there.written(&file).await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new ü\n");
        let preview = there.hands.preview(back.clone(), There::context(&Memory::default())).await;
        assert!(preview.unwrap().unwrap().starts_with("--- /"), "{name}");
        let (result, kept) = there.done(back.clone()).await;
        assert_eq!((result.outcome, &result.fields["changed"]), (Outcome::Succeeded, &Value::from(true)), "{name}");
        assert_eq!(std::fs::read(&file).unwrap(), old, "{name}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(kept["before"], "new ü\n".as_bytes());
        let (result, kept) = there.done(back).await;
        assert_eq!((result.outcome, &result.fields["changed"]), (Outcome::Succeeded, &Value::from(false)), "{name}");
        assert!(kept.is_empty());
    }
    let made = sandbox.path("there/made");
    let back = there.written(&made).await;
    assert!(made.exists());
    let (result, _) = there.done(back.clone()).await;
    assert_eq!((result.outcome, &result.fields["changed"]), (Outcome::Succeeded, &Value::from(true)));
    assert!(!made.exists());
    assert_eq!(there.done(back).await.0.fields["changed"], Value::from(false));
    let names: Vec<_> =
        std::fs::read_dir(sandbox.path("there")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "a draft was left behind: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_there_that_somebody_changed_since_is_left_alone() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let there = There::new(&sshd);
    let (over, made) = (sandbox.write("there/over", "old\n"), sandbox.path("there/made"));
    for file in [&over, &made] {
        let back = there.written(file).await;
        std::fs::write(file, "somebody else's\n").unwrap();
        let (result, kept) = there.done(back).await;
        assert_eq!((result.outcome, result.error), (Outcome::Failed, Some(ErrorClass::Conflict)));
        let message = result.message.unwrap();
        assert!(message.contains("somebody has changed it since"), "{message}");
        assert!(kept.is_empty());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "somebody else's\n");
    }
}
