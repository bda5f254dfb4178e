//! Acts as a person reads them.

use super::act::{Act, CommandAct, EditAct, HttpAct, RequestBody, StatusRule, WriteAct};
use super::quote::quote_command;
use crate::event::{ActView, Line};
use crate::expr::{Rendered, Value, to_json, unknown_of};

/// How much of an act is known before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The final text.
    Exact,
    /// Some holes, all named.
    Partial,
    /// Nothing that could be shown.
    Unknown,
}

pub(super) fn line(label: &str, text: impl Into<String>) -> Line {
    Line { label: label.to_owned(), text: text.into() }
}

/// An act as text, with the names of its holes.
#[must_use]
pub fn view(act: &Act) -> ActView {
    let mut holes = Holes::default();
    let target = act.target().map(str::to_owned);
    let mut view = match act {
        Act::Command(command) => command_view(command, &mut holes),
        Act::Http(http) => http_view(http, &mut holes),
        Act::Edit(edit) => edit_view(edit, &mut holes),
        Act::Write(write) => write_view(write, &mut holes),
        Act::Restore(restore) => return ActView { target, ..super::restore::view(restore) },
        Act::Interactive(command) => ActView { action: "interactive".to_owned(), ..command_view(command, &mut holes) },
        Act::Sql(sql) => return super::sql::view(sql),
        Act::Prometheus(query) => return super::prometheus::view(query),
        Act::Kubectl(kubectl) => return super::kubectl::view(kubectl),
        Act::Log(log) => return ActView { target, ..super::log::view(log) },
        Act::Service(service) => return ActView { target, ..super::service::view(service) },
    };
    view.target = target;
    view.holes = holes.0;
    view
}

/// The read that shows what a change would do, when the mechanism has one of its own (`kubectl diff` for `apply`).
#[must_use]
pub fn preview(act: &Act) -> Option<Act> {
    match act {
        Act::Kubectl(kubectl) => super::kubectl::preview(kubectl).map(|diff| Act::Kubectl(Box::new(diff))),
        _ => None,
    }
}

/// How much of it is known.
#[must_use]
pub fn grade(view: &ActView) -> Grade {
    if view.holes.is_empty() { Grade::Exact } else { Grade::Partial }
}

/// The holes of an act, each once.
#[derive(Default)]
pub(super) struct Holes(pub(super) Vec<Line>);

impl Holes {
    pub(super) fn text(&mut self, rendered: &Rendered) -> String {
        for (expression, reason) in rendered.holes() {
            self.add(expression, reason);
        }
        rendered.to_string()
    }

    pub(super) fn add(&mut self, expression: &str, reason: &str) {
        if !self.0.iter().any(|hole| hole.label == expression) {
            self.0.push(line(expression, reason));
        }
    }

    /// A value as JSON, with unknown values shown as `‹..›`.
    pub(super) fn value(&mut self, name: &str, value: &Value) -> String {
        self.find(name, value);
        match value.as_str() {
            Some(text) => serde_json::Value::from(text).to_string(),
            None => to_json(value).to_string(),
        }
    }

    fn find(&mut self, name: &str, value: &Value) {
        if let Some(unknown) = unknown_of(value) {
            self.add(name, &unknown.reason);
            return;
        }
        let is_map = value.kind() == minijinja::value::ValueKind::Map;
        if !is_map && value.kind() != minijinja::value::ValueKind::Seq {
            return;
        }
        let Ok(items) = value.try_iter() else { return };
        for (place, item) in items.enumerate() {
            if is_map {
                let inner = value.get_item(&item).unwrap_or_default();
                self.find(&format!("{name}.{item}"), &inner);
            } else {
                self.find(&format!("{name}[{place}]"), &item);
            }
        }
    }
}

pub(super) fn command_view(command: &CommandAct, holes: &mut Holes) -> ActView {
    let argv: Vec<String> = command.argv.iter().map(|element| holes.text(element)).collect();
    let mut more = Vec::new();
    let (action, text) = match &command.script {
        Some(script) => ("shell", script.trim_end().to_owned()),
        None => ("run", quote_command(&argv)),
    };
    if command.script.is_some() {
        more.push(line("with", argv[..argv.len().saturating_sub(1)].join(" ")));
    }
    more.extend(super::ssh::on(&command.machine, holes));
    for (name, value) in &command.env {
        more.push(line("env", format!("{name}={}", super::quote::quote_argument(&holes.text(value)))));
    }
    if !command.pass_env.is_empty() {
        more.push(line("pass_env", command.pass_env.join(" ")));
    }
    if let Some(cwd) = &command.cwd {
        more.push(line("in", holes.text(cwd)));
    }
    if let Some(stdin) = &command.stdin {
        more.push(line("stdin", holes.text(stdin)));
    }
    if command.ok != [0] {
        let codes: Vec<String> = command.ok.iter().map(ToString::to_string).collect();
        more.push(line("ok", format!("exit {}", codes.join(", "))));
    }
    if let Some(program) = &command.program
        && program.to_str() != argv.first().map(String::as_str)
    {
        more.push(line("program", program.display().to_string()));
    }
    more.extend(super::ssh::by_hand(command));
    ActView { action: action.to_owned(), text, more, target: None, holes: Vec::new() }
}

/// The whole address of a request, as far as it is known.
#[must_use]
pub fn address(http: &HttpAct) -> String {
    let base = http.target.base.to_string();
    let path = http.path.to_string();
    let mut address = format!("{}{path}", base.trim_end_matches('/'));
    for (place, (name, value)) in http.query.iter().enumerate() {
        address.push(if place == 0 { '?' } else { '&' });
        let encode = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let shown = if value.holes().is_empty() { encode(&value.to_string()) } else { value.to_string() };
        address.push_str(&format!("{}={shown}", encode(name)));
    }
    address
}

fn http_view(http: &HttpAct, holes: &mut Holes) -> ActView {
    let mut more = Vec::new();
    let own = http.headers.iter();
    for (name, value) in http.target.headers.iter().chain(own) {
        more.push(line("header", format!("{name}: {}", holes.text(value))));
    }
    if let Some(bearer) = &http.target.bearer {
        more.push(line("header", format!("authorization: Bearer {}", holes.text(bearer))));
    }
    if let Some((user, password)) = &http.target.basic {
        more.push(line("auth", format!("{} with {}", holes.text(user), holes.text(password))));
    }
    match &http.body {
        RequestBody::Empty => {}
        RequestBody::Json(value) => more.push(line("json", holes.value("body", value))),
        RequestBody::Form(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", holes.text(value))).collect();
            more.push(line("form", pairs.join(" & ")));
        }
        RequestBody::Text(text) => more.push(line("body", holes.text(text))),
    }
    if let StatusRule::Among(list) = &http.status {
        let list: Vec<_> = list.iter().map(ToString::to_string).collect();
        more.push(line("ok", format!("status {}", list.join(", "))));
    }
    if let Some(pages) = &http.pages {
        more.push(line("pages", pages.shown()));
    }
    holes.text(&http.target.base);
    holes.text(&http.path);
    http.query.iter().for_each(|(_, value)| {
        holes.text(value);
    });
    ActView {
        action: "http".to_owned(),
        text: format!("{} {}", http.method.as_str(), address(http)),
        more,
        target: (!http.target.name.is_empty()).then(|| http.target.name.clone()),
        holes: Vec::new(),
    }
}

fn edit_view(edit: &EditAct, holes: &mut Holes) -> ActView {
    let mut more: Vec<Line> = super::ssh::on(&edit.machine, holes).into_iter().collect();
    for setting in &edit.settings {
        let path = setting.path.join(".");
        match &setting.value {
            Some(value) => more.push(line("set", format!("{path} = {}", holes.value(&path, value)))),
            None => more.push(line("unset", path)),
        }
    }
    if edit.follow {
        more.push(line("follow", "symbolic links"));
    }
    ActView {
        action: "edit".to_owned(),
        text: format!("edit {}", super::quote::quote_argument(&holes.text(&edit.file))),
        more,
        target: None,
        holes: Vec::new(),
    }
}

fn write_view(write: &WriteAct, holes: &mut Holes) -> ActView {
    let mut more: Vec<Line> = super::ssh::on(&write.machine, holes).into_iter().collect();
    if let Some(mode) = write.mode {
        more.push(line("mode", format!("{mode:04o}")));
    }
    if let Some(owner) = &write.owner {
        more.push(line("owner", owner.clone()));
    }
    more.push(line("text", holes.text(&write.text)));
    ActView {
        action: "write".to_owned(),
        text: format!("write {}", super::quote::quote_argument(&holes.text(&write.file))),
        more,
        target: None,
        holes: Vec::new(),
    }
}
