//! The words of a call of kubectl: its verb, whether it only reads, and what an author may not write.
//!
//! It works on texts, so the same rules hold for what is written (templates as they stand) and for what comes out when
//! the values are in.

/// Verbs of two words.
const GROUPS: [&str; 11] =
    ["alpha", "apply", "auth", "certificate", "cluster-info", "config", "create", "plugin", "rollout", "set", "top"];

/// Groups that do nothing by themselves: their second word must stand right behind them.
const NEED_A_SECOND_WORD: [&str; 5] = ["auth", "certificate", "config", "rollout", "set"];

/// Verbs that change nothing in a cluster. `exec` is the author's word, as `run` is.
const READS: [&str; 33] = [
    "api-resources",
    "api-versions",
    "apply view-last-applied",
    "auth can-i",
    "auth whoami",
    "cluster-info",
    "cluster-info dump",
    "completion",
    "config current-context",
    "config get-clusters",
    "config get-contexts",
    "config get-users",
    "config view",
    "describe",
    "diff",
    "events",
    "exec",
    "explain",
    "get",
    "help",
    "kustomize",
    "logs",
    "options",
    "plugin",
    "plugin list",
    "port-forward",
    "rollout history",
    "rollout status",
    "top",
    "top node",
    "top pod",
    "version",
    "wait",
];

/// Verbs that change objects of a cluster; most of them can be tried with `--dry-run=server` or `=client`.
const OBJECT_CHANGES: [&str; 18] = [
    "annotate",
    "apply",
    "auth reconcile",
    "autoscale",
    "cordon",
    "create",
    "delete",
    "drain",
    "expose",
    "label",
    "patch",
    "replace",
    "rollout undo",
    "run",
    "scale",
    "set",
    "taint",
    "uncordon",
];

/// Verbs that take files of objects with `-f`.
const TAKE_FILES: [&str; 16] = [
    "annotate",
    "apply",
    "auth reconcile",
    "autoscale",
    "create",
    "delete",
    "describe",
    "diff",
    "expose",
    "get",
    "label",
    "patch",
    "replace",
    "rollout",
    "scale",
    "wait",
];

/// Flags that choose the cluster or who we are: the target says both.
const OF_THE_TARGET: [&str; 14] = [
    "certificate-authority",
    "client-certificate",
    "client-key",
    "cluster",
    "context",
    "insecure-skip-tls-verify",
    "kubeconfig",
    "password",
    "proxy-url",
    "server",
    "tls-server-name",
    "token",
    "user",
    "username",
];

/// Something that may not stand in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubectlProblem {
    /// The diagnostic code.
    pub code: &'static str,
    /// Which argument, from 0.
    pub place: usize,
    /// One sentence.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// One flag of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubectlFlag {
    /// Its name: `namespace` for `-n` and `--namespace` alike; the letter where the long name depends on the verb.
    pub name: String,
    /// The value in the same argument.
    pub value: Option<String>,
    /// Which argument, from 0.
    pub place: usize,
}

/// The arguments of a call, up to the first `--`.
#[derive(Clone, Debug)]
pub struct KubectlCall {
    words: Vec<String>,
}

impl KubectlCall {
    /// Takes the arguments after the client's name; those behind `--` belong to another program.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self { words: words.into_iter().take_while(|word| word != "--").collect() }
    }

    /// How many arguments stand before the first `--`: the cluster's own flags go there.
    #[must_use]
    pub fn length(&self) -> usize {
        self.words.len()
    }

    /// The verb: `get`, `rollout status`, `create job`, the name of a plugin.
    #[must_use]
    pub fn verb(&self) -> String {
        let first = self.words.first().map(String::as_str).unwrap_or_default();
        let second = self.words.get(1).map(String::as_str).unwrap_or_default();
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        };
        match first {
            "log" => "logs".to_owned(),
            "top" if matches!(second, "node" | "nodes" | "no") => "top node".to_owned(),
            "top" if matches!(second, "pod" | "pods" | "po") => "top pod".to_owned(),
            _ if GROUPS.contains(&first) && is_word(second) => format!("{first} {second}"),
            _ => first.to_owned(),
        }
    }

    /// The first word of the verb.
    fn group(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether its verb belongs to a list, as a whole or by its first word.
    fn is_among(&self, list: &[&str]) -> bool {
        list.contains(&self.verb().as_str()) || list.contains(&self.group())
    }

    /// Whether it changes nothing (ruling 10). Verbs that are not known, plugins among them, count as changes.
    #[must_use]
    pub fn is_read(&self) -> bool {
        READS.contains(&self.verb().as_str()) || (self.is_among(&OBJECT_CHANGES) && self.is_dry_run())
    }

    /// Whether the server or the client only tries it. The last flag counts for kubectl, so all must say so.
    fn is_dry_run(&self) -> bool {
        let mut said = self.flags().into_iter().filter(|flag| flag.name == "dry-run").peekable();
        said.peek().is_some() && said.all(|flag| matches!(flag.value.as_deref(), Some("server" | "client")))
    }

    /// Whether it changes objects of the cluster and says line by line which.
    #[must_use]
    pub fn changes_objects(&self) -> bool {
        !self.is_read() && (self.is_among(&OBJECT_CHANGES) || matches!(self.group(), "rollout" | "certificate"))
    }

    /// Whether it takes objects with `-f`.
    #[must_use]
    pub fn takes_files(&self) -> bool {
        let verb = self.verb();
        if verb.starts_with("create ") || verb.starts_with("set ") {
            return verb.starts_with("set ");
        }
        self.is_among(&TAKE_FILES)
    }

    /// Where a flag stands.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<KubectlFlag> {
        self.flags().into_iter().find(|flag| flag.name == name)
    }

    /// Every flag. A word that begins with `-` counts as one even where kubectl takes it for the value of the flag before.
    #[must_use]
    pub fn flags(&self) -> Vec<KubectlFlag> {
        let mut found = Vec::new();
        for (place, word) in self.words.iter().enumerate() {
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                // kubectl itself reads `_` in names of flags as `-`.
                found.push(KubectlFlag { name: name.replace('_', "-"), value, place });
            } else if let Some(letters) = word.strip_prefix('-') {
                self.letters(letters, place, &mut found);
            }
        }
        found
    }

    /// The flags of one word such as `-Aw` or `-nprod`.
    fn letters(&self, letters: &str, place: usize, found: &mut Vec<KubectlFlag>) {
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            let takes_value = match letter {
                'f' => self.group() != "logs" && self.group() != "log",
                'p' => self.group() == "patch",
                _ => "nsolckLveb".contains(letter),
            };
            let name = match letter {
                'n' => "namespace".to_owned(),
                's' => "server".to_owned(),
                'A' => "all-namespaces".to_owned(),
                'w' => "watch".to_owned(),
                't' => "tty".to_owned(),
                'o' => "output".to_owned(),
                'f' if takes_value => "filename".to_owned(),
                'f' => "follow".to_owned(),
                'k' => "kustomize".to_owned(),
                other => other.to_string(),
            };
            let value = (takes_value && !rest.is_empty()).then(|| rest.trim_start_matches('=').to_owned());
            found.push(KubectlFlag { name, value, place });
            if takes_value {
                return;
            }
        }
    }

    /// A positional argument behind the verb's own words, where its place can be told: words after a flag without `=`
    /// may be that flag's value.
    #[must_use]
    pub fn has_name(&self) -> bool {
        let from = self.verb().split(' ').count();
        let mut before_is_flag = false;
        for word in self.words.iter().skip(from) {
            let is_flag = word.starts_with('-');
            if !is_flag && !before_is_flag {
                return true;
            }
            before_is_flag = is_flag && !word.contains('=');
        }
        false
    }

    /// Whether it goes on until it is ended.
    #[must_use]
    pub fn watches(&self) -> Option<KubectlFlag> {
        let on = |flag: &KubectlFlag| flag.value.as_deref() != Some("false");
        let names: &[&str] = match self.group() {
            "get" | "events" => &["watch", "watch-only"],
            "logs" | "log" => &["follow"],
            _ => return None,
        };
        self.flags().into_iter().find(|flag| names.contains(&flag.name.as_str()) && on(flag))
    }

    /// What may not stand in it, whatever its target. The client's own `-n` is for targets without a namespace:
    /// `has_namespace` says that this one has one.
    #[must_use]
    pub fn problem(&self, has_namespace: bool) -> Option<KubectlProblem> {
        self.verb_problem().or_else(|| self.terminal_problem()).or_else(|| self.flag_problem(has_namespace))
    }

    fn verb_problem(&self) -> Option<KubectlProblem> {
        let problem = |place, message: &str, hint: &str| {
            let (message, hint) = (message.to_owned(), hint.to_owned());
            Some(KubectlProblem { code: "kubectl-verb", place, message, hint })
        };
        let is_word = |word: &str| !word.is_empty() && !word.starts_with('-') && !word.contains(['{', '‹']);
        let first = self.group();
        if first == "kubectl" || first == "oc" {
            let hint = "leave it out; another client is named on the target: `kubernetes: { program: oc }`";
            return problem(0, &format!("`{first}` is the client itself, and it is always there"), hint);
        }
        if !is_word(first) {
            let hint = "for example [get, pods, -l, app=api]";
            return problem(0, "the first argument is the verb, written out", hint);
        }
        let second = self.words.get(1).map(String::as_str).unwrap_or_default();
        if NEED_A_SECOND_WORD.contains(&first) && !is_word(second) {
            let hint = "for example [rollout, status, deployment/api]";
            let message = format!("behind `{first}` stands its second word, written out");
            return problem(1.min(self.words.len() - 1), &message, hint);
        }
        None
    }

    /// What needs a person at a terminal.
    fn terminal_problem(&self) -> Option<KubectlProblem> {
        let verb = self.verb();
        let flags = self.flags();
        let flag = |names: &[&str]| flags.iter().find(|flag| names.contains(&flag.name.as_str()));
        let (place, what) = if matches!(verb.as_str(), "edit" | "attach" | "apply edit-last-applied") {
            (0, format!("`{verb}`"))
        } else if let Some(flag) = flag(&["tty"]).filter(|flag| flag.value.as_deref() != Some("false")) {
            (flag.place, "`-t`".to_owned())
        } else if let Some(flag) = flag(&["edit"]) {
            (flag.place, "`--edit`".to_owned())
        } else if let Some(flag) = flag(&["i", "interactive"]).filter(|_| self.group() == "delete") {
            (flag.place, "`-i`".to_owned())
        } else {
            return None;
        };
        Some(KubectlProblem {
            code: "kubectl-interactive",
            place,
            message: format!("{what} wants a person at a terminal, and this step has none"),
            hint: "use `interactive: [kubectl, ..]`, which hands the terminal over".to_owned(),
        })
    }

    fn flag_problem(&self, has_namespace: bool) -> Option<KubectlProblem> {
        let problem = |place, message: String, hint: &str| {
            Some(KubectlProblem { code: "kubectl-flag", place, message, hint: hint.to_owned() })
        };
        for flag in self.flags() {
            let (name, place) = (flag.name.as_str(), flag.place);
            // These have a flag of that name for whom a role is given to.
            let is_subject =
                name == "user" && self.is_among(&["create rolebinding", "create clusterrolebinding", "set subject"]);
            if OF_THE_TARGET.contains(&name) && !is_subject {
                let message = format!("`--{name}` belongs to the target, not to a call");
                let hint = "say it there: `kubernetes: { context: .., namespace: .., kubeconfig: .. }`";
                return problem(place, message, hint);
            }
            if name == "namespace" && has_namespace {
                let message = "the target gives the namespace, so a call cannot give another one".to_owned();
                return problem(place, message, "declare a second target, or leave `namespace` out of this one");
            }
            if name == "all-namespaces" && flag.value.as_deref() != Some("false") && !self.is_read() {
                let message = format!("`{}` would change things in every namespace", self.verb());
                return problem(place, message, "`--all-namespaces` is for reads; name what is changed");
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
