//! A secret that must not be found: its forms, and every place that is looked at.

use super::{Output, Sandbox};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A secret with a character that each kind of quoting has to treat.
pub(crate) const CANARY: &str = "c4nary'Tok+en/\"z=Q\\w;Xé";

/// What is looked at after every run: one line for each command that shows something of a run or of a runbook.
const LOOKS: [&str; 12] = [
    "list",
    "list --json",
    "show last",
    "show last --format json",
    "show last --format markdown",
    "handover last",
    "handover last --format markdown",
    "verify last",
    "verify --all",
    "check",
    "check --graph",
    "check --format json",
];

/// A sandbox with a secret about.
pub(crate) struct Canary {
    pub(crate) sandbox: Sandbox,
    pub(crate) secret: String,
}

impl Canary {
    /// A library in whose environment `free` nothing asks; the secret is in the variable `CANARY`.
    pub(crate) fn new() -> Self {
        Self::of(CANARY)
    }

    pub(crate) fn of(secret: &str) -> Self {
        Self { sandbox: Sandbox::library(), secret: secret.to_owned() }
    }

    /// A call that has the secret in its environment and may say what it likes.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("CANARY", &self.secret).env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
        command
    }

    /// Calls the program; what it says is looked through.
    #[track_caller]
    pub(crate) fn call(&self, arguments: &[&str]) -> Output {
        self.finish(&mut self.command(arguments))
    }

    /// Waits for a call; what it says is looked through.
    #[track_caller]
    pub(crate) fn finish(&self, command: &mut Command) -> Output {
        let shown: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let output = command.output().expect("the program starts");
        let output = Output::new(format!("runwright {}", shown.join(" ")), &output);
        self.is_not_in(&format!("stdout of {shown:?}"), output.stdout.as_bytes());
        self.is_not_in(&format!("stderr of {shown:?}"), output.stderr.as_bytes());
        output
    }

    /// Runs the runbook `case` with these parts where nothing asks, and looks everywhere.
    #[track_caller]
    pub(crate) fn runs(&self, rest: &str) -> Output {
        _ = self.sandbox.runbook("case", rest);
        let output = self.call(&["run", "case", "--env", "free"]);
        assert!(!self.sandbox.runs().is_empty(), "nothing ran\n{output}");
        self.is_nowhere();
        output
    }

    /// Looks through everything: what each command says, and every file of the store.
    #[track_caller]
    pub(crate) fn is_nowhere(&self) {
        for line in LOOKS {
            let words: Vec<&str> = line.split_whitespace().collect();
            let output = self.call(&words);
            assert!(!output.stderr.contains("panicked"), "{output}");
        }
        self.is_in_no_file_of(&self.sandbox.store());
    }

    /// Looks through the files below a folder, and at their names.
    #[track_caller]
    pub(crate) fn is_in_no_file_of(&self, folder: &Path) {
        for file in walk(folder) {
            let name = file.display().to_string();
            self.is_not_in("the name of a file", name.as_bytes());
            // A socket or a pipe holds nothing.
            let Ok(bytes) = std::fs::read(&file) else { continue };
            self.is_not_in(&name, &bytes);
        }
    }

    /// Fails when the secret stands in some bytes, in any form.
    #[track_caller]
    pub(crate) fn is_not_in(&self, name: &str, bytes: &[u8]) {
        for form in forms(&self.secret) {
            let found = bytes.windows(form.len()).position(|window| window == form);
            let around = |at: usize| {
                String::from_utf8_lossy(&bytes[at.saturating_sub(300)..(at + form.len() + 60).min(bytes.len())])
                    .into_owned()
            };
            let form = String::from_utf8_lossy(&form);
            assert!(found.is_none(), "{name} holds {form}: {}", found.map(around).unwrap_or_default());
        }
    }
}

/// What must not be found.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut all = forms_of(secret);
    // Each line of a long secret is a secret too.
    for line in secret.lines().map(str::trim).filter(|line| line.len() >= 8 && *line != secret.trim()) {
        all.extend(
            [line.to_owned(), json(line), line.replace('\'', r"'\''"), percent(line, "")].map(String::into_bytes),
        );
    }
    all.sort();
    all.dedup();
    all
}

fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        secret.to_owned(),
        hex.to_uppercase(),
        hex,
        json(secret),
        json(&json(secret)),
        json(secret).replace('é', "\\u00e9"),
        secret.replace('\'', r"'\''"),
        secret.replace('\'', r#"'"'"'"#),
        format!("{secret:?}").trim_matches('"').to_owned(),
        STANDARD.encode(format!("u:{secret}")),
        url::form_urlencoded::byte_serialize(bytes).collect(),
        percent(secret, ""),
        percent(secret, "").to_lowercase(),
        percent(secret, "/"),
    ];
    for before in ["", "x", "xy"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret}"));
        // Without the characters that also depend on the neighbours.
        let inner = encoded[[0, 2, 3][before.len()]..encoded.len() - 1].to_owned();
        forms.push(inner.replace('+', "-").replace('/', "_"));
        forms.push(inner);
    }
    forms.push(URL_SAFE_NO_PAD.encode(bytes));
    // The longest beginning and the longest end: half of a secret is one too.
    let half = secret.len() / 2;
    forms.extend([
        secret[..secret.floor_char_boundary(half + 2)].to_owned(),
        secret[secret.ceil_char_boundary(half - 1)..].to_owned(),
    ]);
    forms.into_iter().map(String::into_bytes).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Percent-encoded, with these characters left as they are.
pub(crate) fn percent(secret: &str, stay: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || stay.as_bytes().contains(&byte);
    secret.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        if entry.file_type().expect("its type").is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
