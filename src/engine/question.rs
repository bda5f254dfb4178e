//! Questions to people: put, answered in their types, or out of time.

use super::attempt::{Gone, Task};
use super::message::{Message, Settled, StepEnd};
use super::port::{Answer, PromptKind, QuestionView};
use super::step::{By, skipped, unexpected};
use super::store_value::store;
use crate::event::{Actor, ErrorClass, Event, Outcome};
use crate::expr::{Place, Time, UnknownSort, Value, unknown, unknown_of};
use crate::plan::StepScope;
use crate::runbook::{Ask, Choices, InputType, Step};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// How questions came out.
enum Asked {
    Answered(Answer, By),
    /// Nobody answered in this time.
    Late(Duration),
    /// They could not be put.
    Refused(String),
}

impl Task {
    /// Puts questions to a person for a while. Nothing comes back when nobody answered in time.
    async fn ask_for(&self, ask: &Ask, views: &[QuestionView], scope: &StepScope) -> Result<Asked, Gone> {
        let kind = PromptKind::Ask { questions: views.to_vec() };
        let expires = match self.duration(ask.expires.as_ref(), scope, Duration::ZERO) {
            Ok(expires) if ask.expires.is_some() => expires,
            Ok(_) => return self.ask(kind).await.map(|(answer, by)| Asked::Answered(answer, by)),
            Err(reason) => return Ok(Asked::Refused(format!("`expires`: {reason}"))),
        };
        let spent = self.round.asked_ms.map_or(Duration::ZERO, |asked| self.shared.since(asked));
        let (reply, answer) = tokio::sync::oneshot::channel();
        // With answers for that case the run waits for the clock; without, it may park as for any question.
        let stays = !ask.otherwise.is_empty();
        self.bus.send(Message::Ask { at: self.at, kind, stays, reply }).map_err(|_| Gone)?;
        tokio::select! {
            biased;
            answer = answer => Ok(match answer {
                Ok(Settled::By(answer, who, door)) => {
                    Asked::Answered(answer, By { name: who.name.clone(), actor: Actor::Person(who), door })
                }
                Ok(Settled::Nobody | Settled::Ended) | Err(_) => return Err(Gone),
            }),
            () = tokio::time::sleep(expires.saturating_sub(spent)) => {
                self.bus.send(Message::Expired { at: self.at }).ok();
                Ok(Asked::Late(expires))
            }
        }
    }

    /// The answers for when nobody answered in time; a text that cannot be told counts as not given.
    fn late_answers(ask: &Ask, scope: &StepScope) -> Result<IndexMap<String, String>, String> {
        let mut texts = IndexMap::new();
        for (name, template) in &ask.otherwise {
            let value = template.value(scope).map_err(|error| error.message)?;
            if unknown_of(&value).is_none() {
                texts.insert(name.value.clone(), value.to_string());
            }
        }
        Ok(texts)
    }

    /// An answer in its type; a secret one is known to every writer before anything tells of it.
    fn answer_of(&self, view: &QuestionView, text: &str) -> Result<Value, String> {
        if !view.secret {
            return answer_value(view, text);
        }
        // The blanks of a secret belong to it.
        self.hide(&view.name, Value::from(text)).map_err(|why| format!("the answer `{}`: {why}", view.name))
    }

    pub(super) async fn questions(&self, step: &Arc<Step>, ask: &Ask) -> Result<StepEnd, Gone> {
        let scope = self.scope();
        let mut views = Vec::new();
        for (name, question) in &ask.questions {
            let is_masked = |text: &str| self.shared.evidence.mask(text) != text;
            match question_view(&name.value, question, &scope, &is_masked) {
                Ok(view) => views.push(view),
                Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
            }
        }
        if let Some(of) = &ask.of {
            let contact = self.scene.graph.runbook().contacts.get(of.value.as_str());
            let name = contact.and_then(|contact| contact.name.as_ref()).map_or(&of.value, |name| &name.value);
            for view in &mut views {
                view.text = format!("{} (for {name})", view.text);
            }
        }
        self.note(&self.path(), None, Event::Asked { questions: views.iter().map(|view| view.text.clone()).collect() });
        let given = self.beforehand().and_then(|answer| prepared(answer, &views));
        let (texts, by) = match given {
            Some(texts) => (texts, By::beforehand()),
            None => match self.ask_for(ask, &views, &scope).await? {
                Asked::Answered(Answer::Values(texts), by) => (texts, by),
                Asked::Answered(Answer::Skip { reason }, _) => return Ok(skipped(&reason)),
                Asked::Answered(other, _) => return Ok(unexpected(&other)),
                Asked::Refused(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
                Asked::Late(expires) if ask.otherwise.is_empty() => {
                    let expires = crate::expr::Duration(jiff::SignedDuration::try_from(expires).unwrap_or_default());
                    let reason = format!("nobody answered within {expires}");
                    return Ok(StepEnd { undecided: true, ..StepEnd::because(Outcome::Failed, reason) });
                }
                Asked::Late(_) => match Self::late_answers(ask, &scope) {
                    Ok(texts) => (texts, By::clock()),
                    Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
                },
            },
        };
        let mut end = StepEnd::new(Outcome::Succeeded);
        for view in &views {
            let text = texts.get(&view.name).cloned().or_else(|| view.default.clone());
            let value = match text {
                None => unknown(UnknownSort::Unobtained, format!("`{}` was not answered", view.name)),
                Some(text) => match self.answer_of(view, &text) {
                    Ok(value) => value,
                    Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
                },
            };
            end.captures.insert(view.name.clone(), value);
        }
        let values = end.captures.iter().map(|(name, value)| (name.clone(), store(value))).collect();
        self.note_as(by.actor, &self.path(), None, Event::Answered { values, door: by.door });
        end.values.insert("by".into(), Value::from(by.name));
        end.values.insert("at".into(), Time(self.shared.clock.now()).into());
        Ok(self.conclude(step, end, scope))
    }
}

fn question_view(
    name: &str,
    question: &crate::runbook::Question,
    scope: &StepScope,
    is_masked: &dyn Fn(&str) -> bool,
) -> Result<QuestionView, String> {
    let text = |template: &crate::expr::Template| {
        template.render(scope, Place::Plain).map(|text| text.to_string()).map_err(|error| error.message)
    };
    let choices = match &question.choices {
        None => Vec::new(),
        Some(Choices::Fixed(list)) => list.iter().map(text).collect::<Result<_, _>>()?,
        Some(Choices::Computed(expr)) => {
            let value = expr.eval(scope).map_err(|error| error.message)?;
            if let Some(unknown) = unknown_of(&value) {
                return Err(format!("the choices of `{name}` are unknown: {}", unknown.reason));
            }
            let items = value.try_iter().map_err(|_| format!("the choices of `{name}` are not a list"))?;
            items.map(|item| item.to_string()).collect()
        }
    };
    if let Some(choice) = choices.iter().find(|choice| is_masked(choice)) {
        let place = choices.iter().position(|other| other == choice).unwrap_or_default() + 1;
        return Err(format!("choice {place} of `{name}` holds a secret, and choices stand on the screen"));
    }
    let default = match &question.default {
        None => None,
        Some(template) => {
            let value = template.value(scope).map_err(|error| error.message)?;
            if unknown_of(&value).is_some() { None } else { Some(value.to_string()) }
        }
    };
    let kind = question.kind.unwrap_or(if choices.is_empty() { InputType::String } else { InputType::Choice });
    Ok(QuestionView {
        name: name.to_owned(),
        text: text(&question.question)?,
        kind: kind.as_str().to_owned(),
        choices,
        default,
        secret: question.is_secret(),
    })
}

/// An answer of a file: one value for one question, or a map by name.
fn prepared(answer: &serde_json::Value, views: &[QuestionView]) -> Option<IndexMap<String, String>> {
    let word = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => {
            let items: Vec<_> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            items.join(",")
        }
        other => other.to_string(),
    };
    if let serde_json::Value::Object(map) = answer {
        return Some(map.iter().map(|(name, value)| (name.clone(), word(value))).collect());
    }
    let [only] = views else { return None };
    Some(IndexMap::from([(only.name.clone(), word(answer))]))
}

/// An answer as a value of its type.
pub(super) fn answer_value(view: &QuestionView, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let wrong = |wanted: &str| format!("`{text}` is not {wanted} (answer `{}`)", view.name);
    Ok(match view.kind.as_str() {
        "integer" => Value::from(text.parse::<i64>().map_err(|_| wrong("a whole number"))?),
        "number" => {
            let number = text.parse::<f64>().map_err(|_| wrong("a number"))?;
            if !number.is_finite() {
                return Err(wrong("a number"));
            }
            Value::from(number)
        }
        "boolean" => match text {
            "true" | "yes" | "y" => Value::from(true),
            "false" | "no" | "n" => Value::from(false),
            _ => return Err(wrong("yes or no")),
        },
        "duration" => {
            let duration = crate::runbook::parse_duration(text).ok_or_else(|| wrong("a duration such as 10m"))?;
            let signed = jiff::SignedDuration::try_from(duration).map_err(|_| wrong("a duration"))?;
            crate::expr::Duration(signed).into()
        }
        "list" => Value::from(text.split(',').map(|item| Value::from(item.trim())).collect::<Vec<_>>()),
        "url" if url::Url::parse(text).is_err() => return Err(wrong("a URL")),
        "choice" if !view.choices.iter().any(|choice| choice == text) => {
            return Err(wrong(&format!("one of {}", view.choices.join(", "))));
        }
        _ => Value::from(text),
    })
}

/// Whether a text is an answer of a type, whatever the choices are; else what it should be.
///
/// # Errors
/// It is none: one sentence that says what is wanted.
pub fn answer_fits(name: &str, kind: InputType, text: &str) -> Result<(), String> {
    let view = QuestionView {
        name: name.to_owned(),
        text: String::new(),
        kind: kind.as_str().to_owned(),
        choices: vec![text.trim().to_owned()],
        default: None,
        secret: false,
    };
    answer_value(&view, text).map(drop)
}
