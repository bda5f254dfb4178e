//! `ask`: questions to a person.

use super::amount::DurationSpec;
use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use super::input::InputType;
use crate::expr::{Expr, Template};
use crate::source::{Data as NodeData, Node, Sp};
use indexmap::IndexMap;

/// `ask:`
#[derive(Clone, Debug)]
pub struct Ask {
    /// The questions; the short form has one, named `answer`.
    pub questions: IndexMap<Sp<String>, Question>,
    /// Who is asked: a name of `contacts`. It is shown, and nobody else is kept from answering.
    pub of: Option<Sp<String>>,
    /// How long an answer is waited for.
    pub expires: Option<DurationSpec>,
    /// The answers that are taken when nobody answered in time.
    pub otherwise: IndexMap<Sp<String>, Template>,
}

record! {
    /// One question to a person.
    pub struct Question = "question" {
        /// What is asked.
        must question = "question": Template,
        /// The type of the answer (default: string).
        may kind = "type": InputType,
        /// The choices: a list of texts, or an expression that gives one.
        may choices = "choices": Choices,
        /// What no answer means: a value, or an expression.
        may default = "default": Template,
        /// Whether the answer is a secret: not echoed, never shown, never recorded.
        may secret = "secret": Sp<bool>,
    }
}

impl Question {
    /// Whether the answer is a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.value)
    }

    /// What is written in a runbook, or chosen from a list on the screen, is no secret; nor is a number.
    fn refuse_open_secret(&self, decoder: &mut Decoder<'_>) {
        if !self.is_secret() {
            return;
        }
        let mut refuse = |span, what: &str| {
            decoder.error("secret-question", span, format!("a secret answer is typed as text: it has no {what}"));
        };
        if self.choices.is_some() {
            refuse(self.span, "choices");
        }
        if let Some(default) = &self.default {
            refuse(default.span(), "default");
        }
        if self.kind.is_some_and(|kind| kind != InputType::String) {
            refuse(self.span, "type but `string`");
        }
    }
}

record! {
    /// Several questions to a person.
    pub(super) struct AskRecord = "ask" {
        /// Each question by the name its answer gets.
        must questions = "questions": IndexMap<Sp<String>, Question>,
        /// Who is asked: a name of `contacts`. It is shown; nobody else is kept from answering.
        may of = "of": Sp<String>,
        /// How long an answer is waited for.
        may expires = "expires": DurationSpec,
        /// The answers that are taken when nobody answered in time.
        with otherwise = "otherwise": IndexMap<Sp<String>, Template>,
    }
}

/// Choices as written, or the expression that gives them.
#[derive(Clone, Debug)]
pub enum Choices {
    /// Written out.
    Fixed(Vec<Template>),
    /// Computed.
    Computed(Expr),
}

impl Decode for Choices {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::List(Box::new(Grammar::Template)), Grammar::Expression])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            NodeData::List(_) => Vec::decode(node, decoder).map(Self::Fixed),
            _ => Expr::decode(node, decoder).map(Self::Computed),
        }
    }
}

impl Decode for Ask {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Template, Question::grammar(), AskRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let has_questions =
            node.as_map().is_some_and(|entries| entries.iter().any(|entry| entry.key.value == "questions"));
        if has_questions {
            let record = AskRecord::decode(node, decoder)?;
            for question in record.questions.values() {
                question.refuse_open_secret(decoder);
            }
            let asked = |name: &str| record.questions.get(name);
            for name in record.otherwise.keys().filter(|name| asked(&name.value).is_some_and(Question::is_secret)) {
                decoder.error(
                    "secret-question",
                    name.span,
                    format!("`{}` is secret: its answer cannot stand in the runbook", name.value),
                );
            }
            for name in record.otherwise.keys().filter(|name| !record.questions.contains_key(name.value.as_str())) {
                let message = format!("`{}` is not one of the questions", name.value);
                decoder.error("unknown-name", name.span, message);
            }
            if record.expires.is_none() && !record.otherwise.is_empty() {
                decoder.error(
                    "stray-key",
                    record.span,
                    "`otherwise` is for when an answer `expires`, and this never does",
                );
            }
            let (of, expires, otherwise) = (record.of, record.expires, record.otherwise);
            return Some(Self { questions: record.questions, of, expires, otherwise });
        }
        let question = if node.as_scalar().is_some() {
            let text = Template::decode(node, decoder)?;
            Question { span: node.span, question: text, kind: None, choices: None, default: None, secret: None }
        } else {
            Question::decode(node, decoder)?
        };
        question.refuse_open_secret(decoder);
        let questions = IndexMap::from([(Sp::new("answer".to_owned(), node.span), question)]);
        Some(Self { questions, of: None, expires: None, otherwise: IndexMap::new() })
    }
}
