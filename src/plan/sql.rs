//! From `sql` as written to statements with bind parameters.

use super::act::{SqlAct, SqlBind, SqlStatement};
use super::place::PostgresTarget;
use super::resolve::{Refusal, Resolver, optional, tls};
use super::values::StepScope;
use crate::event::{ActView, Line};
use crate::expr::{
    Duration, Expr, Piece, Place, Rendered, Scope, SecretText, Template, Time, Value, is_secret, to_json, unknown_of,
};
use crate::runbook::{
    Dsn, Identity, IdentityProbe, SqlAction, SqlPart, SqlScript, SqlText, SslMode, Target, TargetKind, TargetPlace,
    TargetRef,
};
use crate::source::{Source, Span};
use minijinja::value::ValueKind;
use std::sync::Arc;

/// The most rows that come back when the author does not say.
const ROWS: usize = 10_000;

/// The longest name that PostgreSQL keeps, in bytes; it cuts longer ones without a word.
const LONGEST_NAME: usize = 63;

/// What asks a server what it is; any role may.
const SYSTEM_IDENTIFIER: &str =
    "select system_identifier::text as identity, current_database() as database from pg_catalog.pg_control_system()";

/// The statements of an action with their values.
pub(super) fn act(
    resolver: &Resolver,
    sql: &SqlAction,
    target: Option<&TargetRef>,
    change: bool,
    scope: &StepScope,
) -> Result<SqlAct, Refusal> {
    let Some((name, target)) = resolver.declared(target, &[TargetKind::Postgres], scope)? else {
        return Err(Refusal { message: "this statement has no target".to_owned(), span: sql.span });
    };
    let rows = sql.rows.as_ref().and_then(|rows| usize::try_from(rows.value).ok());
    Ok(SqlAct {
        target: place(name, target, scope)?,
        statements: statements(&sql.query.script, scope)?,
        read_only: !change,
        transaction: !change || sql.transaction.as_ref().is_none_or(|transaction| transaction.value),
        rows: rows.unwrap_or(ROWS),
    })
}

/// The statement that asks a database what it is. Its first row has the column `identity` for the built-in form.
pub(super) fn identity(
    resolver: &Resolver,
    name: &str,
    identity: &Identity,
    scope: &StepScope,
) -> Result<SqlAct, Refusal> {
    let Some(target) = resolver.runbook().targets.get(name) else {
        return Err(Refusal { message: format!("there is no target `{name}`"), span: identity.span });
    };
    let statements = match &identity.probe {
        IdentityProbe::Query(query) => statements(&query.script, scope)?,
        _ => vec![SqlStatement {
            text: Rendered::text(SYSTEM_IDENTIFIER),
            binds: Vec::new(),
            places: SqlPlaces::default(),
            command: "select".to_owned(),
        }],
    };
    Ok(SqlAct { target: place(name, target, scope)?, statements, read_only: true, transaction: true, rows: ROWS })
}

/// A declared database with its values in.
fn place(name: &str, target: &Target, scope: &StepScope) -> Result<PostgresTarget, Refusal> {
    let span = target.span;
    let TargetPlace::Postgres(template) = &target.place else {
        return Err(Refusal { message: format!("`{name}` is not a database"), span });
    };
    // A value is data inside a URL; one that is the whole address may say everything.
    let kind = if template.single().is_some() { Place::Path } else { Place::UrlPath };
    let dsn = template.render(scope, kind)?;
    let auth = target.auth.as_ref();
    let part = |template: Option<&Template>| optional(template, scope, Place::Plain);
    let user = part(auth.and_then(|auth| auth.user.as_ref()))?;
    if let Some(text) = dsn.reveal() {
        let refuse = |message: String| Refusal { message, span: template.span() };
        let found = Dsn::parse(&text).map_err(|problem| refuse(format!("`{name}`: {problem}")))?;
        match (&found.user, &user) {
            (None, None) => {
                let message = format!("no user for `{name}`: give it in the address, or as `auth: {{user: ..}}`");
                return Err(refuse(message));
            }
            (Some(_), Some(_)) => return Err(refuse(format!("`{name}` has a user in its address and one in `auth`"))),
            _ => {}
        }
    }
    Ok(PostgresTarget {
        name: name.to_owned(),
        dsn,
        user,
        password: part(auth.and_then(|auth| auth.password.as_ref()))?,
        tls: tls(target, scope)?,
        allow: target.allow.iter().map(|entry| entry.value.clone()).collect(),
    })
}

fn statements(script: &SqlScript, scope: &StepScope) -> Result<Vec<SqlStatement>, Refusal> {
    script.statements().iter().map(|statement| resolved(statement, script, scope)).collect()
}

/// One statement: its text with `$1`.. and names in, its values apart.
fn resolved(statement: &SqlText, script: &SqlScript, scope: &dyn Scope) -> Result<SqlStatement, Refusal> {
    let mut found = Writer { text: Rendered::default(), length: 0, binds: Vec::new(), marks: Vec::new() };
    for part in statement.parts() {
        match part {
            SqlPart::Text { text, runs } => {
                for (start, written) in runs {
                    found.marks.extend(runs_of(script, &text[*start..], *written, found.length + start));
                }
                found.push(text);
            }
            SqlPart::Bind(expr) => {
                let value = bound(expr, expr.eval(scope)?)?;
                found.mark(expr.span());
                found.binds.push(SqlBind { expression: expr.text().trim().to_owned(), value });
                found.push(&format!("${}", found.binds.len()));
            }
            SqlPart::Name(expr) => {
                let value = expr.eval(scope)?;
                found.mark(expr.span());
                match unknown_of(&value) {
                    Some(unknown) => {
                        let (expression, reason) = (expr.text().trim().to_owned(), unknown.reason.clone());
                        found.text.pieces.push(Piece::Hole { expression, reason });
                    }
                    None => found.push(&name(expr, &value)?),
                }
            }
        }
    }
    let places = SqlPlaces { source: Some(script.source().clone()), marks: found.marks.into() };
    let command = statement.words().first().cloned().unwrap_or_default();
    Ok(SqlStatement { text: found.text, binds: found.binds, places, command })
}

struct Writer {
    text: Rendered,
    length: usize,
    binds: Vec<SqlBind>,
    marks: Vec<Mark>,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.length += text.len();
        match self.text.pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.text.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn mark(&mut self, span: Span) {
        self.marks.push(Mark { sent: self.length, file: span.start, is_run: false });
    }
}

/// A stretch of the text that is sent, and where it was written.
#[derive(Clone, Copy, Debug)]
struct Mark {
    sent: usize,
    file: usize,
    /// Whether the bytes after it stand side by side in the file too.
    is_run: bool,
}

/// Cuts a run of template text where the file has something between its bytes: indentation, a fold, a doubled quote.
fn runs_of(script: &SqlScript, text: &str, written: usize, sent: usize) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for offset in 0..text.len() {
        let Some(file) = script.place(written + offset) else { return Vec::new() };
        let sent = sent + offset;
        let goes_on = marks.last().is_some_and(|mark| mark.file + (sent - mark.sent) == file);
        if !goes_on {
            marks.push(Mark { sent, file, is_run: true });
        }
    }
    marks
}

/// The way back from the text that is sent to the file.
#[derive(Clone, Default)]
pub struct SqlPlaces {
    source: Option<Source>,
    marks: Arc<[Mark]>,
}

impl std::fmt::Debug for SqlPlaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} marks", self.marks.len())
    }
}

/// A place in the runbook, for a message about a running statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlPlace {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// The whole line.
    pub text: String,
}

impl SqlPlaces {
    /// Where a byte of the text was written; nothing where that cannot be told.
    #[must_use]
    pub fn at(&self, offset: usize) -> Option<SqlPlace> {
        let source = self.source.as_ref()?;
        let after = self.marks.partition_point(|mark| mark.sent <= offset);
        let mark = self.marks.get(after.checked_sub(1)?)?;
        let file = if mark.is_run { mark.file + (offset - mark.sent) } else { mark.file };
        let (line, column) = source.position(file);
        let text = source.text().lines().nth(line - 1).unwrap_or_default().to_owned();
        Some(SqlPlace { line, column, text })
    }
}

/// A value that may be bound: a secret stays one when it stands alone.
fn bound(expr: &Expr, value: Value) -> Result<Value, Refusal> {
    let refuse = |why: &str| Err(Refusal { message: format!("`{}` {why}", expr.text().trim()), span: expr.span() });
    let (mut has_nul, mut has_secret) = (false, false);
    walk(&value, 0, &mut |inner| {
        has_nul |= inner.as_str().is_some_and(|text| text.contains('\0'));
        has_secret |= is_secret(inner);
    });
    match value.downcast_object_ref::<SecretText>() {
        Some(secret) if secret.reveal().contains('\0') => refuse("is a secret that holds a NUL character"),
        None if has_secret => refuse("has a secret inside: a secret may only be passed on by itself"),
        _ if has_nul => refuse("holds a NUL character, which PostgreSQL cannot keep"),
        _ => Ok(value),
    }
}

/// Looks at a value and everything inside it.
fn walk(value: &Value, depth: usize, look: &mut dyn FnMut(&Value)) {
    look(value);
    if depth > 128 {
        return;
    }
    let is_map = value.kind() == ValueKind::Map;
    if !is_map && !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return;
    }
    for item in value.try_iter().into_iter().flatten() {
        if is_map {
            look(&item);
            walk(&value.get_item(&item).unwrap_or_default(), depth + 1, look);
        } else {
            walk(&item, depth + 1, look);
        }
    }
}

/// A quoted name, short enough to be kept whole.
fn name(expr: &Expr, value: &Value) -> Result<String, Refusal> {
    let quoted = value.to_string();
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted);
    let plain = inside.replace("\"\"", "\"");
    if plain.len() > LONGEST_NAME {
        let message =
            format!("`{}` is a name of {} bytes, and PostgreSQL keeps {LONGEST_NAME}", expr.text().trim(), plain.len());
        return Err(Refusal { message, span: expr.span() });
    }
    Ok(quoted)
}

/// The text that is sent for a value that is neither a list nor a map; nothing for `none`. Points in time are RFC 3339,
/// spans of time seconds (`5400 seconds`).
#[must_use]
pub fn sql_text(value: &Value) -> Option<String> {
    if let Some(time) = Time::of(value) {
        return Some(time.to_string());
    }
    if let Some(Duration(span)) = Duration::of(value) {
        let micros = span.as_micros();
        let sign = if micros < 0 { "-" } else { "" };
        let (seconds, rest) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
        let fraction = if rest == 0 { String::new() } else { format!(".{rest:06}") };
        return Some(format!("{sign}{seconds}{fraction} seconds"));
    }
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => None,
        ValueKind::Bool => Some(if value.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number if !value.is_integer() => {
            Some(f64::try_from(value.clone()).map_or_else(|_| value.to_string(), |real| format!("{real:?}")))
        }
        _ => Some(value.to_string()),
    }
}

/// A value as a card shows it: text in quotes, lists and maps as JSON.
fn shown(bind: &SqlBind, holes: &mut Vec<Line>) -> String {
    let value = &bind.value;
    let mut hole = None;
    walk(value, 0, &mut |inner| {
        hole = hole.take().or_else(|| unknown_of(inner).map(|unknown| unknown.reason.clone()));
    });
    if let Some(reason) = hole {
        let label = bind.expression.clone();
        if !holes.iter().any(|known| known.label == label) {
            holes.push(Line { label, text: reason });
        }
        return format!("‹{}›", bind.expression);
    }
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return format!("‹secret {}›", secret.name);
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => to_json(value).to_string(),
        ValueKind::Number | ValueKind::Bool => sql_text(value).unwrap_or_default(),
        _ => sql_text(value).map_or_else(|| "null".to_owned(), |text| format!("'{}'", text.replace('\'', "''"))),
    }
}

/// The statements as a person reads them.
pub(super) fn view(act: &SqlAct) -> ActView {
    let line = |label: &str, text: String| Line { label: label.to_owned(), text };
    let mut holes = Vec::new();
    let rendered = |text: &Rendered, holes: &mut Vec<Line>| {
        holes.extend(text.holes().into_iter().map(|(label, reason)| line(label, reason.to_owned())));
        text.to_string()
    };
    let texts: Vec<String> = act.statements.iter().map(|statement| rendered(&statement.text, &mut holes)).collect();
    let several = texts.len() > 1;
    let mut more = Vec::new();
    for (place, statement) in act.statements.iter().enumerate() {
        for (number, bind) in statement.binds.iter().enumerate() {
            let which = if several { format!("statement {}, ", place + 1) } else { String::new() };
            more.push(line("bind", format!("{which}${} = {}", number + 1, shown(bind, &mut holes))));
        }
    }
    let mode = match (act.read_only, act.transaction, several) {
        (true, ..) => "in one transaction that is READ ONLY",
        (false, true, _) => "in one transaction",
        (false, false, true) => "each statement by itself, without a transaction around them",
        (false, false, false) => "without a transaction around it",
    };
    more.push(line("runs", mode.to_owned()));
    more.push(line("on", connection(&act.target, &mut holes)));
    if act.rows != ROWS {
        more.push(line("rows", format!("at most {}", act.rows)));
    }
    let target = (!act.target.name.is_empty()).then(|| act.target.name.clone());
    ActView { action: "sql".to_owned(), text: texts.join(";\n"), more, target, holes }
}

/// Who connects to what, and how it is encrypted.
fn connection(target: &PostgresTarget, holes: &mut Vec<Line>) -> String {
    for text in [Some(&target.dsn), target.user.as_ref(), target.password.as_ref()].into_iter().flatten() {
        holes.extend(
            text.holes().into_iter().map(|(label, reason)| Line { label: label.to_owned(), text: reason.to_owned() }),
        );
    }
    let dsn = target.dsn.reveal().and_then(|text| Dsn::parse(&text).ok());
    let Some(dsn) = dsn else { return target.dsn.to_string() };
    let user = target.user.as_ref().map(ToString::to_string).or_else(|| dsn.user.clone()).unwrap_or_default();
    let files = [("ca", &target.tls.ca), ("cert", &target.tls.cert), ("server name", &target.tls.server_name)];
    let named = files.into_iter().filter_map(|(name, value)| Some(format!(", {name} {}", value.as_ref()?)));
    let files: String = if dsn.effective_sslmode() == SslMode::Disable { String::new() } else { named.collect() };
    let options = dsn.options.as_ref().map(|options| format!(", options {options}")).unwrap_or_default();
    format!("{}, user {user}, sslmode {}{files}{options}", dsn.place(), dsn.effective_sslmode().as_str())
}

#[cfg(test)]
mod tests;
