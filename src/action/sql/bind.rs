//! Values as the server takes them: always as text, so that the server reads them as the type it wants.

use crate::expr::{SecretText, Value, to_json};
use crate::plan::sql_text;
use minijinja::value::ValueKind;
use std::error::Error;
use std::fmt;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A value for a parameter.
pub(super) struct Bind(pub(super) Value);

/// Never shows the value: the driver logs parameters.
impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
}

impl ToSql for Bind {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let is_json = matches!(*ty, Type::JSON | Type::JSONB);
        match text(&self.0, is_json) {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The text of a value: a list is an array, or JSON where JSON is wanted; a map is JSON.
fn text(value: &Value, is_json: bool) -> Option<String> {
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return Some(secret.reveal().to_owned());
    }
    match value.kind() {
        ValueKind::Map => Some(to_json(value).to_string()),
        ValueKind::Seq | ValueKind::Iterable if is_json => Some(to_json(value).to_string()),
        ValueKind::Seq | ValueKind::Iterable => Some(array(value)),
        _ => sql_text(value),
    }
}

/// `{"a",NULL,{"b"}}`
fn array(list: &Value) -> String {
    let item = |item: Value| match item.kind() {
        ValueKind::Seq | ValueKind::Iterable => array(&item),
        _ => text(&item, false).map_or_else(|| "NULL".to_owned(), |text| quoted(&text)),
    };
    let items: Vec<String> = list.try_iter().into_iter().flatten().map(item).collect();
    format!("{{{}}}", items.join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
