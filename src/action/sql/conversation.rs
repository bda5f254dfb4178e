//! What is said in a session, statement by statement, and how far it came.

use super::answer::{Answer, distinct};
use super::bind::Bind;
use super::decode::is_readable;
use super::trouble::{Sent, Trouble};
use super::wire::{ANSWER, Allowance};
use crate::action::outcome::{Refusal, known};
use crate::plan::{SqlAct, SqlStatement};
use futures_util::TryStreamExt as _;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

/// How far a conversation came: decides what nobody can know when it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No statement of the author was sent.
    Quiet,
    /// A statement was sent and its end was not seen.
    Sent,
    /// As many statements as counted are done.
    Between,
    /// The end of the transaction was asked for.
    Committing,
}

/// What a conversation leaves behind, whole or not.
pub(super) struct Progress {
    pub(super) stage: Stage,
    /// Statements that are done.
    pub(super) done: usize,
    pub(super) answer: Answer,
    /// One line for each statement that is done.
    pub(super) log: Vec<String>,
}

/// Everything to be said, with final texts and values.
pub(super) struct Conversation {
    act: SqlAct,
    texts: Vec<String>,
    /// How long the server lets a statement run, in case that we cannot tell it to stop.
    patience: Duration,
    progress: Mutex<Progress>,
}

impl Conversation {
    /// # Errors
    /// A text is not known yet.
    pub(super) fn new(act: SqlAct, patience: Duration) -> Result<Self, Refusal> {
        let texts = act.statements.iter().map(|statement| known(&statement.text, "the statement"));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let progress = Progress { stage: Stage::Quiet, done: 0, answer: Answer::default(), log: Vec::new() };
        Ok(Self { act, texts, patience, progress: Mutex::new(progress) })
    }

    /// The act.
    pub(super) fn act(&self) -> &SqlAct {
        &self.act
    }

    /// How far it came.
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it and gives what it left behind.
    pub(super) fn into_parts(self) -> (SqlAct, Progress) {
        (self.act, self.progress.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn stage(&self, stage: Stage) {
        self.progress().stage = stage;
    }

    /// Says everything, to the end of the transaction if there is one.
    pub(super) async fn hold(&self, client: &Client, allowance: &Allowance) -> Result<(), Failure> {
        client.batch_execute(&self.settings()).await.map_err(Failure::plain)?;
        if self.act.read_only {
            // With a query behind it, the transaction can no longer be made to write.
            let begin = "begin isolation level repeatable read, read only; select 1";
            client.batch_execute(begin).await.map_err(Failure::plain)?;
        } else if self.act.transaction {
            client.batch_execute("begin").await.map_err(Failure::plain)?;
        }
        let count = self.act.statements.len();
        for (place, (statement, text)) in self.act.statements.iter().zip(&self.texts).enumerate() {
            allowance.renew(ANSWER);
            let tag =
                self.say(client, statement, text, place + 1 == count).await.map_err(|failure| failure.at(place))?;
            let mut progress = self.progress();
            progress.stage = Stage::Between;
            progress.done = place + 1;
            progress.log.push(format!("statement {} of {count}: {tag}", place + 1));
        }
        if self.act.transaction {
            self.stage(Stage::Committing);
            client.batch_execute("commit").await.map_err(Failure::plain)?;
        }
        Ok(())
    }

    /// What makes a session of ours the same everywhere.
    fn settings(&self) -> String {
        let limit = i32::try_from(self.patience.as_millis()).unwrap_or(i32::MAX);
        let mut text = String::from(
            "set client_encoding = 'UTF8'; set DateStyle = 'ISO, YMD'; set IntervalStyle = 'postgres'; \
             set TimeZone = 'UTC'; set standard_conforming_strings = on; set extra_float_digits = 1; \
             set bytea_output = 'hex'; ",
        );
        // Writing to a String cannot fail.
        write!(text, "set statement_timeout = {limit}; set idle_in_transaction_session_timeout = {limit}; ").ok();
        if self.act.read_only {
            text.push_str("set default_transaction_read_only = on; ");
        }
        // Newer servers notice by themselves that we are gone, even in the middle of a statement.
        text.push_str(
            "select set_config(name, '2000', false) from pg_catalog.pg_settings \
             where name = 'client_connection_check_interval'",
        );
        text
    }

    /// One statement; gives what it did, in words.
    async fn say(&self, client: &Client, statement: &SqlStatement, text: &str, last: bool) -> Result<String, Failure> {
        let prepared = client.prepare(text).await.map_err(|error| Failure::at_text(error, 0))?;
        let (prepared, before) = self.readable(client, text, prepared).await?;
        let binds: Vec<Bind> = statement.binds.iter().map(|bind| Bind(bind.value.clone())).collect();
        if binds.len() != prepared.params().len() {
            let message = format!("it has {} parameters for {} values", prepared.params().len(), binds.len());
            return Err(Failure::own(Trouble::before(crate::event::ErrorClass::BadValue, message)));
        }
        self.progress().answer.begin(prepared.columns());
        self.stage(Stage::Sent);
        let failed = |error| Failure::at_text(error, before);
        let stream = client.query_raw(&prepared, binds.iter()).await.map_err(failed)?;
        tokio::pin!(stream);
        let mut rows = 0_usize;
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            rows += 1;
            if last {
                self.progress().answer.take(&row, self.act.rows).map_err(Failure::own)?;
            }
        }
        let changes = match statement.command.as_str() {
            "insert" | "update" | "delete" | "merge" | "copy" => true,
            // Its last part may read or change; one that gives no columns changes.
            "with" => prepared.columns().is_empty(),
            _ => false,
        };
        let affected = stream.rows_affected().unwrap_or(0);
        if !self.act.read_only && changes {
            self.progress().answer.affected += affected;
            return Ok(format!("{} {affected}", statement.command));
        }
        Ok(if prepared.columns().is_empty() {
            statement.command.clone()
        } else {
            format!("{} {rows} rows", statement.command)
        })
    }

    /// The same statement with those columns as text that are not read here; how many characters then stand before it.
    async fn readable(&self, client: &Client, text: &str, prepared: Statement) -> Result<(Statement, usize), Failure> {
        if prepared.columns().iter().all(|column| is_readable(column.type_())) {
            return Ok((prepared, 0));
        }
        let (names, before) = wrapping(&prepared);
        let wrapped = format!("{before}{text}\n) {names}");
        if self.act.transaction {
            client.batch_execute("savepoint runwright_text").await.map_err(Failure::plain)?;
        }
        let found = client.prepare(&wrapped).await;
        if self.act.transaction {
            let end = if found.is_ok() { "release" } else { "rollback to" };
            client.batch_execute(&format!("{end} savepoint runwright_text")).await.map_err(Failure::plain)?;
        }
        match found {
            Ok(statement) => Ok((statement, before.chars().count())),
            // `explain`, `show` and their like cannot stand in there: what cannot be read is then unknown.
            Err(error) if error.as_db_error().is_some() => Ok((prepared, 0)),
            Err(error) => Err(Failure::plain(error)),
        }
    }

    /// What went wrong, with the place in the runbook.
    pub(super) fn trouble(&self, failure: Failure, lost: Option<&Error>) -> Trouble {
        let error = match failure.cause {
            Cause::Own(trouble) => return trouble.of(failure.place + 1, self.texts.len()),
            Cause::Driver(error) => error,
        };
        let Some(before) = failure.before else { return Trouble::of_statement(&error, lost, None) };
        let Some(statement) = self.act.statements.get(failure.place) else {
            return Trouble::of_statement(&error, lost, None);
        };
        let sent = " ".repeat(before) + &self.texts[failure.place];
        let sent = Sent { text: &sent, before, statement };
        Trouble::of_statement(&error, lost, Some(&sent)).of(failure.place + 1, self.texts.len())
    }
}

/// What stands behind and before a statement to have columns as text.
fn wrapping(prepared: &Statement) -> (String, String) {
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let names: Vec<String> =
        distinct(prepared.columns().iter().map(tokio_postgres::Column::name)).iter().map(quoted).collect();
    let columns = prepared.columns().iter().zip(&names).map(|(column, name)| {
        if is_readable(column.type_()) {
            return name.clone();
        }
        // As psql prints it, which a cast does not do for every type; a row of nothing but nulls is not null.
        format!("case when pg_catalog.num_nulls({name}) = 0 then pg_catalog.concat({name}) end as {name}")
    });
    let select = format!("select {} from runwright_rows", columns.collect::<Vec<_>>().join(", "));
    (select, format!("with runwright_rows ({}) as (\n", names.join(", ")))
}

/// Why a conversation ended early.
pub(super) struct Failure {
    cause: Cause,
    /// Which statement it was about.
    place: usize,
    /// For an error that may name a place: the characters of ours before the statement.
    before: Option<usize>,
}

enum Cause {
    Driver(Error),
    Own(Trouble),
}

impl Failure {
    fn plain(error: Error) -> Self {
        Self { cause: Cause::Driver(error), place: 0, before: None }
    }

    fn at_text(error: Error, before: usize) -> Self {
        Self { cause: Cause::Driver(error), place: 0, before: Some(before) }
    }

    fn own(trouble: Trouble) -> Self {
        Self { cause: Cause::Own(trouble), place: 0, before: None }
    }

    fn at(mut self, place: usize) -> Self {
        self.place = place;
        self
    }
}
