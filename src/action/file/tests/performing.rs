use super::super::change::sha256;
use super::super::{perform, preview};
use crate::engine::{AttemptContext, Cancel, Evidence, EvidenceWriter, Performed, StoreError};
use crate::event::{ErrorClass, EvidenceRef, Outcome, StepPath};
use crate::expr::{Piece, Rendered, SecretText, UnknownSort, Value, secret, unknown};
use crate::plan::{Act, EditAct, EditFormat, Setting, WriteAct};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Streams by name, in order.
pub(super) type Kept = Vec<(String, Vec<u8>)>;

/// Keeps streams in memory.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) kept: Arc<Mutex<Kept>>,
    pub(super) full: bool,
}

struct Stream {
    name: String,
    bytes: Vec<u8>,
    kept: Arc<Mutex<Kept>>,
}

impl Evidence for Memory {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        if self.full {
            return Err(StoreError::Full { path: "store".into(), left: 1, reserve: 2 });
        }
        Ok(Box::new(Stream { name: stream.to_owned(), bytes: Vec::new(), kept: Arc::clone(&self.kept) }))
    }

    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }

    fn learn(&self, _: &crate::expr::SecretText) -> Result<(), String> {
        Ok(())
    }
}

impl EvidenceWriter for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.bytes.extend_from_slice(bytes);
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let reference = EvidenceRef {
            stream: self.name.clone(),
            size: self.bytes.len() as u64,
            sha256: sha256(&self.bytes),
            excerpt: String::new(),
            inline: false,
            cut: false,
        };
        self.kept.lock().unwrap().push((self.name, self.bytes));
        Ok((reference, Vec::new()))
    }
}

pub(super) async fn performed(act: Act, memory: Memory, cancel: Cancel) -> Performed {
    let context = AttemptContext {
        step: StepPath("tune".to_owned()),
        marker: "run/tune/1".to_owned(),
        change: true,
        timeout: Duration::from_secs(30),
        grace: Duration::from_secs(1),
        cancel,
        kill: Cancel::new(),
        evidence: Arc::new(memory),
        live: None,
        started: None,
    };
    perform(act, context).await
}

pub(super) async fn done(act: Act) -> (Performed, Vec<(String, Vec<u8>)>) {
    let memory = Memory::default();
    let kept = Arc::clone(&memory.kept);
    let result = performed(act, memory, Cancel::new()).await;
    let kept = kept.lock().unwrap().clone();
    (result, kept)
}

pub(super) fn edit(file: &Path, settings: Vec<(&str, Option<Value>)>) -> Act {
    let settings = settings.into_iter().map(|(key, value)| Setting { path: super::path(key), value }).collect();
    let file = Rendered::text(file.to_str().unwrap());
    Act::Edit(EditAct { file, format: EditFormat::Toml, settings, follow: false, machine: crate::plan::Machine::Here })
}

pub(super) fn write(file: &Path, text: Rendered) -> Act {
    Act::Write(WriteAct {
        file: Rendered::text(file.to_str().unwrap()),
        text,
        mode: Some(0o600),
        owner: None,
        follow: false,
        machine: crate::plan::Machine::Here,
    })
}

pub(super) fn folder() -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let real = temp.path().canonicalize().unwrap();
    (temp, real)
}

#[tokio::test]
async fn an_edit_leaves_what_an_undo_needs() {
    let (_temp, root) = folder();
    let file = root.join("conf.toml");
    let old = "# c\r\na = 1\r\n\r\n[t]\r\nx = 2";
    std::fs::write(&file, old).unwrap();
    let act = edit(&file, vec![("t.x", Some(Value::from(3)))]);
    let diff = preview(&act).unwrap().unwrap();
    let name = file.display();
    assert!(diff.starts_with(&format!("--- {name}\n+++ {name}\n@@ ")), "{diff}");
    assert!(diff.contains("-x = 2") && diff.contains("+x = 3"), "{diff}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), old, "a preview changed the file");

    let (result, kept) = done(act.clone()).await;
    assert_eq!((result.outcome, &result.error), (Outcome::Succeeded, &None));
    let new = std::fs::read(&file).unwrap();
    assert_eq!(new, old.replace("x = 2", "x = 3").as_bytes());
    assert_eq!(kept, [("before".to_owned(), old.as_bytes().to_vec()), ("diff".to_owned(), diff.clone().into_bytes())]);
    assert_eq!(result.evidence.len(), 2);
    assert_eq!(result.fields["changed"], Value::from(true));
    assert_eq!(result.fields["created"], Value::from(false));
    assert_eq!(result.fields["before_sha256"], Value::from(sha256(old.as_bytes())));
    assert_eq!(result.fields["after_sha256"], Value::from(sha256(&new)));
    assert_eq!(result.fields["diff"], Value::from(diff));

    assert_eq!(preview(&act).unwrap().unwrap(), "no change");
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
    let (again, kept) = done(act).await;
    assert_eq!(again.outcome, Outcome::Succeeded);
    assert_eq!(again.fields["changed"], Value::from(false));
    assert!(kept.is_empty());
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap()), inode);
}

#[tokio::test]
async fn a_write_makes_a_file() {
    let (_temp, root) = folder();
    let file = root.join("new");
    let act = write(&file, Rendered::text("password = \"${VAR}\"\n"));
    assert!(preview(&act).unwrap().unwrap().starts_with("--- /dev/null\n+++ "));
    let (result, kept) = done(act).await;
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert_eq!(result.fields["created"], Value::from(true));
    assert!(result.fields["before_sha256"].is_none());
    assert_eq!(kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["diff"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "password = \"${VAR}\"\n");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap()) & 0o7777, 0o600);
}

#[tokio::test]
async fn secrets_reach_the_file_and_nothing_else() {
    let (_temp, root) = folder();
    let file = root.join("conf.toml");
    let old =
        "user = \"hunter2\\\"\\\\hunter2\" # same\npassword = \"previous-password\"\nother = \"previous-password\"\n";
    std::fs::write(&file, old).unwrap();
    let text = "hunter2\"\\hunter2";
    let hidden = secret(SecretText::new("db_password", text.to_owned()));
    let nested = Value::from(std::collections::BTreeMap::from([("inner".to_owned(), hidden.clone())]));
    let act = edit(&file, vec![("password", Some(hidden)), ("more", Some(nested))]);
    let (result, kept) = done(act.clone()).await;
    assert_eq!(result.outcome, Outcome::Succeeded, "{:?}", result.message);
    let new: toml_edit::DocumentMut = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(new["password"].as_str(), Some(text));
    assert_eq!(new["more"]["inner"].as_str(), Some(text));
    let diff = kept
        .iter()
        .find(|(name, _)| name == "diff")
        .map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap())
        .unwrap();
    assert!(diff.contains("+password = \"‹secret db_password›\""), "{diff}");
    assert!(diff.contains("-password = \"‹secret db_password, old›\""), "{diff}");
    for leak in ["hunter2", "previous-password"] {
        assert!(!diff.contains(leak), "{diff}");
        assert!(!format!("{:?}", result.fields).contains(leak));
    }

    let pieces = vec![
        Piece::Text("token=".to_owned()),
        Piece::Secret(SecretText::new("token", "s3cr3t-t0ken".to_owned())),
        Piece::Text("\n".to_owned()),
    ];
    let file = root.join("env");
    let (result, kept) = done(write(&file, Rendered { pieces })).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "token=s3cr3t-t0ken\n");
    assert!(result.fields["diff"].to_string().contains("+token=‹secret token›"));
    assert!(!String::from_utf8_lossy(&kept[0].1).contains("s3cr3t"));
}

#[tokio::test]
async fn an_old_secret_over_several_lines_is_not_shown() {
    let (_temp, root) = folder();
    let file = root.join("conf.yaml");
    std::fs::write(&file, "tls:\n  key: |\n    first-line-of-the-key\n    second-line-of-it\n  port: 1\n").unwrap();
    let setting = Setting {
        path: super::path("tls.key"),
        value: Some(secret(SecretText::new("key", "new-first-line\nnew-second-line\n".to_owned()))),
    };
    let file = Rendered::text(file.to_str().unwrap());
    let act = Act::Edit(EditAct {
        file,
        format: EditFormat::Yaml,
        settings: vec![setting],
        follow: false,
        machine: crate::plan::Machine::Here,
    });
    let diff = preview(&act).unwrap().unwrap();
    assert!(!diff.contains("line"), "{diff}");
    assert!(diff.contains("+  key: \"‹secret key›\""), "{diff}");
    assert_eq!(done(act).await.0.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn refusals_change_nothing_and_say_why() {
    let (_temp, root) = folder();
    let file = root.join("conf.toml");
    let hole = || unknown(UnknownSort::Unobtained, "`agents` is empty");
    let cases: [(&[u8], Act, ErrorClass, &str); 5] = [
        (b"a = \n", edit(&file, vec![("a", Some(Value::from(1)))]), ErrorClass::BadAnswer, "line 1, is not valid TOML"),
        (
            b"a = 1\n\xff\n",
            edit(&file, vec![("a", Some(Value::from(2)))]),
            ErrorClass::BadAnswer,
            "line 2, is not UTF-8",
        ),
        (b"a = 1\n", edit(&file, vec![("a.b", Some(Value::from(2)))]), ErrorClass::BadValue, "`a` is a number"),
        (b"a = 1\n", edit(&file, vec![("b", Some(hole()))]), ErrorClass::BadValue, "`agents` is empty"),
        (b"a = 1\n", edit(&root.join("none"), vec![("b", None)]), ErrorClass::NotFound, "use `write`"),
    ];
    for (old, act, class, words) in cases {
        std::fs::write(&file, old).unwrap();
        let shown = preview(&act).unwrap_err();
        let (result, kept) = done(act).await;
        assert_eq!((result.outcome, result.error), (Outcome::Failed, Some(class)));
        let message = result.message.unwrap();
        assert!(message.contains(words) && !message.contains('\n'), "{message}");
        assert_eq!(shown.message, message);
        assert!(kept.is_empty());
        assert_eq!(std::fs::read(&file).unwrap(), old);
    }
}

#[tokio::test]
async fn nothing_is_touched_without_evidence_or_after_a_stop() {
    let (_temp, root) = folder();
    let file = root.join("conf.toml");
    std::fs::write(&file, "a = 1\n").unwrap();
    let act = edit(&file, vec![("a", Some(Value::from(2)))]);
    let result = performed(act.clone(), Memory { full: true, ..Memory::default() }, Cancel::new()).await;
    assert_eq!((result.outcome, result.error), (Outcome::Failed, Some(ErrorClass::System)));
    let stopped = Cancel::new();
    stopped.cancel();
    let result = performed(act, Memory::default(), stopped).await;
    assert_eq!((result.outcome, result.error), (Outcome::Cancelled, Some(ErrorClass::Cancelled)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a = 1\n");
}

#[test]
fn an_immense_diff_is_told_in_one_sentence() {
    let (_temp, root) = folder();
    let file = root.join("big");
    std::fs::write(&file, "x\n".repeat(30_000)).unwrap();
    let diff = preview(&write(&file, Rendered::text("y\n".repeat(30_000)))).unwrap().unwrap();
    assert!(diff.contains("30000 lines become 30000 lines"), "{diff}");
}
