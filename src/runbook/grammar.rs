//! What may stand where: the declaration behind the reader, the JSON Schema and the reference.

/// The form of a value in a document.
#[derive(Clone, Debug)]
pub enum Grammar {
    /// Text with `{{ .. }}`.
    Template,
    /// Plain text, taken as it is.
    Text,
    /// A bare expression.
    Expression,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A duration such as `90s` or `1h 30m`, or one `{{ .. }}` that gives one.
    Duration,
    /// A calendar date.
    Date,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list.
    List(Box<Grammar>),
    /// One, or a list of them.
    Many(Box<Grammar>),
    /// Names of the author's choice, each with a value of this form.
    Table(Box<Grammar>),
    /// A record with fixed keys.
    Record(fn() -> RecordDoc),
    /// One of several forms.
    AnyOf(Vec<Grammar>),
    /// Any value: text may hold `{{ .. }}`.
    Data,
}

/// A record of the language.
#[derive(Clone, Debug)]
pub struct RecordDoc {
    /// Its name in the schema.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: Vec<KeyDoc>,
    /// Keys of the language that this version does not support yet.
    pub later: &'static [&'static str],
}

/// One key of a record.
#[derive(Clone, Debug)]
pub struct KeyDoc {
    /// The key as written.
    pub key: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What may stand there.
    pub grammar: Grammar,
}
