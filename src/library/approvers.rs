//! Who may approve, by which key, and the groups of them.

use crate::runbook::{Decode, Decoder, Grammar, Many, record};
use crate::signature::PublicKey;
use crate::source::{Diagnostic, Node, Sp, Span};
use indexmap::IndexMap;

record! {
    /// A person who may approve.
    pub(super) struct ApproverRecord = "approver" {
        /// The person's public keys, one or a list: a line of `~/.ssh/id_ed25519.pub`.
        must keys = "key": Many<KeyLine>,
        /// Names by which this person runs runbooks, beside the own one: users of the operating system, or what they give
        /// as `--as`. With `not_operator` none of them counts as somebody else.
        with users = "users": Many<Sp<String>>,
    }
}

/// A public key as it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct KeyLine {
    span: Span,
    key: PublicKey,
}

impl Decode for KeyLine {
    fn grammar() -> Grammar {
        Grammar::Text
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "a public key such as `ssh-ed25519 AAAA..`")?;
        match PublicKey::parse(&scalar.text) {
            Ok(key) => Some(Self { span: node.span, key }),
            Err(problem) => {
                let hint = "write the one line of ~/.ssh/id_ed25519.pub; `ssh-keygen -t ed25519` makes such a key";
                decoder.error_hint("approver-key", node.span, format!("this key cannot be used: {problem}"), hint);
                None
            }
        }
    }
}

/// A person who may approve.
#[derive(Clone, Debug, PartialEq)]
pub struct Approver {
    /// The name.
    pub name: String,
    /// The keys that sign for this person; at least one.
    pub keys: Vec<PublicKey>,
    /// Other names by which this person runs runbooks.
    pub users: Vec<String>,
}

/// The people who may approve, and their groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Approvers {
    people: IndexMap<String, Approver>,
    groups: IndexMap<String, Vec<String>>,
}

impl Approvers {
    /// Puts a person in; for tests and tools. A person of that name is replaced.
    #[must_use]
    pub fn with(mut self, person: Approver) -> Self {
        self.people.insert(person.name.clone(), person);
        self
    }

    /// Puts a group in; for tests and tools. Names that are nobody's are ignored when it is asked for.
    #[must_use]
    pub fn with_group(mut self, name: &str, members: &[&str]) -> Self {
        self.groups.insert(name.to_owned(), members.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// The names of the groups, in the order of the file.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Everybody, in the order of the file.
    pub fn people(&self) -> impl Iterator<Item = &Approver> {
        self.people.values()
    }

    /// The people of these groups, each once; everybody where no group is named.
    #[must_use]
    pub fn members(&self, groups: &[String]) -> Vec<&Approver> {
        let is_in = |name: &String| {
            groups.is_empty() || groups.iter().any(|group| self.groups.get(group).is_some_and(|all| all.contains(name)))
        };
        self.people.iter().filter(|(name, _)| is_in(name)).map(|(_, person)| person).collect()
    }

    /// The person whose key it is, by its fingerprint, with the key.
    #[must_use]
    pub fn by_key(&self, fingerprint: &str) -> Option<(&Approver, &PublicKey)> {
        self.people.values().find_map(|person| {
            let key = person.keys.iter().find(|key| key.fingerprint() == fingerprint)?;
            Some((person, key))
        })
    }

    /// Makes sense of the records; problems go to the decoder.
    pub(super) fn of(
        people: &IndexMap<Sp<String>, ApproverRecord>,
        groups: &IndexMap<Sp<String>, Many<Sp<String>>>,
        decoder: &mut Decoder<'_>,
    ) -> Self {
        check_keys(people, decoder);
        for (group, members) in groups {
            for member in members.0.iter().filter(|member| !people.contains_key(*member)) {
                let message =
                    format!("group `{}` names `{}`, who is nobody under `approvers`", group.value, member.value);
                let problem = Diagnostic::error(decoder.source, "unknown-approver", member.span, message);
                decoder.problems.push(problem.near(&member.value, people.keys().map(|name| name.value.as_str())));
            }
        }
        let person = |(name, record): (&Sp<String>, &ApproverRecord)| {
            let keys = record.keys.0.iter().map(|line| line.key.clone()).collect();
            let users = record.users.0.iter().map(|user| user.value.clone()).collect();
            (name.value.clone(), Approver { name: name.value.clone(), keys, users })
        };
        let group = |(name, members): (&Sp<String>, &Many<Sp<String>>)| {
            (name.value.clone(), members.0.iter().map(|member| member.value.clone()).collect())
        };
        Self { people: people.iter().map(person).collect(), groups: groups.iter().map(group).collect() }
    }
}

/// One key is one person: under two names it would count twice.
fn check_keys(people: &IndexMap<Sp<String>, ApproverRecord>, decoder: &mut Decoder<'_>) {
    let mut seen: Vec<(&PublicKey, &Sp<String>, Span)> = Vec::new();
    for (name, record) in people {
        for line in &record.keys.0 {
            if let Some((_, other, span)) = seen.iter().find(|(key, ..)| *key == &line.key) {
                let message = if other.value == name.value {
                    format!("`{}` has this key twice", name.value)
                } else {
                    format!("`{}` has the key of `{}`: they would be one person", name.value, other.value)
                };
                let problem = Diagnostic::error(decoder.source, "approver-key", line.span, message);
                decoder.problems.push(problem.also(*span, "the same key").hint("a key stands for one person"));
            }
            seen.push((&line.key, name, line.span));
        }
    }
}
