//! Values out of their binary form. What has no binary form here is asked for as text.

use crate::action::outcome::unobtained;
use crate::expr::{Duration, Time, Value, from_json};
use fallible_iterator::FallibleIterator as _;
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};
use postgres_protocol::types as wire;
use std::error::Error;
use tokio_postgres::types::{FromSql, Kind, Type};

/// The moment PostgreSQL counts from: 2000-01-01, in seconds since 1970.
const EPOCH: i64 = 946_684_800;

/// One column of a row as it came.
pub(super) struct Raw<'r>(pub(super) Option<&'r [u8]>);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether the binary form of a type is read here.
pub(super) fn is_readable(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Array(element) => is_readable(element),
        Kind::Domain(base) => is_readable(base),
        Kind::Enum(_) => true,
        _ => {
            is_text(ty)
                || matches!(
                    *ty,
                    Type::BOOL
                        | Type::INT2
                        | Type::INT4
                        | Type::INT8
                        | Type::OID
                        | Type::FLOAT4
                        | Type::FLOAT8
                        | Type::NUMERIC
                        | Type::BYTEA
                        | Type::JSON
                        | Type::JSONB
                        | Type::UUID
                        | Type::TIMESTAMPTZ
                        | Type::TIMESTAMP
                        | Type::DATE
                        | Type::TIME
                        | Type::INTERVAL
                        | Type::VOID
                )
        }
    }
}

fn is_text(ty: &Type) -> bool {
    matches!(*ty, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML)
}

/// A value; NULL is `none`, and what has no place among values is unknown with the reason.
pub(super) fn value(ty: &Type, raw: Option<&[u8]>) -> Value {
    let Some(raw) = raw else { return Value::from(()) };
    read(ty, raw).unwrap_or_else(|error| unobtained(format!("the {} cannot be read: {error}", ty.name())))
}

type Read = Result<Value, Box<dyn Error + Sync + Send>>;

fn read(ty: &Type, raw: &[u8]) -> Read {
    match ty.kind() {
        Kind::Array(element) => return list(element, raw),
        Kind::Domain(base) => return read(base, raw),
        Kind::Enum(_) => return text(raw),
        _ if is_text(ty) => return text(raw),
        _ => {}
    }
    Ok(match *ty {
        Type::BOOL => Value::from(wire::bool_from_sql(raw)?),
        Type::INT2 => Value::from(wire::int2_from_sql(raw)?),
        Type::INT4 => Value::from(wire::int4_from_sql(raw)?),
        Type::INT8 => Value::from(wire::int8_from_sql(raw)?),
        Type::OID => Value::from(wire::oid_from_sql(raw)?),
        Type::FLOAT4 => real(&wire::float4_from_sql(raw)?.to_string()),
        Type::FLOAT8 => real(&wire::float8_from_sql(raw)?.to_string()),
        Type::NUMERIC => number(numeric(raw)?),
        Type::BYTEA => Value::from(hex(raw)),
        Type::JSON => json(raw),
        // One byte with the version of the format, which is 1, stands before the text.
        Type::JSONB => json(raw.get(1..).unwrap_or_default()),
        Type::UUID => Value::from(uuid(wire::uuid_from_sql(raw)?)),
        Type::TIMESTAMPTZ => timestamptz(wire::timestamp_from_sql(raw)?),
        Type::TIMESTAMP => Value::from(timestamp(wire::timestamp_from_sql(raw)?)?),
        Type::DATE => Value::from(date(wire::date_from_sql(raw)?)?),
        Type::TIME => Value::from(clock(wire::time_from_sql(raw)?)),
        Type::INTERVAL => interval(raw)?,
        Type::VOID => Value::from(""),
        _ => return Err("its form is not known: cast it with `::text`".into()),
    })
}

fn text(raw: &[u8]) -> Read {
    Ok(Value::from(wire::text_from_sql(raw)?))
}

fn list(element: &Type, raw: &[u8]) -> Read {
    let array = wire::array_from_sql(raw)?;
    let mut lengths = Vec::new();
    let mut dimensions = array.dimensions();
    while let Some(dimension) = dimensions.next()? {
        lengths.push(usize::try_from(dimension.len)?);
    }
    let mut items = Vec::new();
    let mut values = array.values();
    while let Some(item) = values.next()? {
        items.push(value(element, item));
    }
    // The innermost lists stand side by side.
    for length in lengths.iter().skip(1).rev().filter(|length| **length > 0) {
        items = items.chunks(*length).map(|chunk| Value::from(chunk.to_vec())).collect();
    }
    Ok(Value::from(items))
}

/// A real number from its shortest text, so that a `real` of 0.1 is 0.1.
fn real(text: &str) -> Value {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::from(number),
        _ => unobtained(format!("it is {text}, not a number")),
    }
}

/// A decimal number when it is kept exactly, else its text.
fn number(text: String) -> Value {
    if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") {
        return unobtained(format!("it is {text}, not a number"));
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Value::from(whole);
    }
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    match text.parse::<f64>() {
        Ok(real) if real.to_string() == short => Value::from(real),
        _ => Value::from(text),
    }
}

/// The text of a `numeric`: digits in groups of four with a weight and a scale.
fn numeric(raw: &[u8]) -> Result<String, Box<dyn Error + Sync + Send>> {
    let word = |at: usize| -> Result<u16, Box<dyn Error + Sync + Send>> {
        let bytes = raw.get(at * 2..at * 2 + 2).ok_or("it is cut short")?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let (count, weight, sign, scale) = (usize::from(word(0)?), word(1)?.cast_signed(), word(2)?, usize::from(word(3)?));
    let sign = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => return Err("its sign is not known".into()),
    };
    let weight = i32::from(weight);
    let group = |place: i32| -> Result<u16, Box<dyn Error + Sync + Send>> {
        match usize::try_from(place) {
            Ok(place) if place < count => word(4 + place),
            _ => Ok(0),
        }
    };
    let mut whole = String::new();
    for place in 0..=weight {
        whole.push_str(&format!("{:04}", group(place)?));
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let mut fraction = String::new();
    let mut place = weight + 1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(place)?));
        place += 1;
    }
    fraction.truncate(scale);
    Ok(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn hex(raw: &[u8]) -> String {
    let mut text = String::with_capacity(2 + raw.len() * 2);
    text.push_str("\\x");
    for byte in raw {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn uuid(bytes: [u8; 16]) -> String {
    let digits = hex(&bytes);
    let digits = &digits[2..];
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

fn json(raw: &[u8]) -> Value {
    match serde_json::from_slice::<serde_json::Value>(raw) {
        Ok(json) => from_json(&json),
        Err(error) => unobtained(format!("its JSON cannot be read: {error}")),
    }
}

fn timestamptz(micros: i64) -> Value {
    let moment = match micros {
        i64::MAX => return unobtained("it is infinity, not a time"),
        i64::MIN => return unobtained("it is -infinity, not a time"),
        micros => micros.checked_add(EPOCH * 1_000_000).and_then(|micros| Timestamp::from_microsecond(micros).ok()),
    };
    moment.map_or_else(|| unobtained("the time is too far away"), |moment| Value::from(Time(moment)))
}

/// The text of a point in time without a zone: `2026-01-02 03:04:05.5`.
fn timestamp(micros: i64) -> Result<String, Box<dyn Error + Sync + Send>> {
    match micros {
        i64::MAX => return Ok("infinity".to_owned()),
        i64::MIN => return Ok("-infinity".to_owned()),
        _ => {}
    }
    let day = 86_400_000_000;
    let (days, rest) = (micros.div_euclid(day), micros.rem_euclid(day));
    Ok(format!("{} {}", date(i32::try_from(days)?)?, clock(rest)))
}

fn date(days: i32) -> Result<String, Box<dyn Error + Sync + Send>> {
    match days {
        i32::MAX => return Ok("infinity".to_owned()),
        i32::MIN => return Ok("-infinity".to_owned()),
        _ => {}
    }
    let first: DateTime = Date::new(2000, 1, 1)?.into();
    let found = first.date().checked_add(jiff::Span::new().try_days(i64::from(days))?)?;
    Ok(found.to_string())
}

/// `03:04:05.5`; midnight at the end of a day is `24:00:00`.
fn clock(micros: i64) -> String {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { text } else { format!("{text}.{rest:06}").trim_end_matches('0').to_owned() }
}

/// A span of time: one with months has no length, and stays text.
fn interval(raw: &[u8]) -> Read {
    let cut = || "it is cut short";
    let micros = i64::from_be_bytes(raw.get(..8).ok_or_else(cut)?.try_into()?);
    let days = i32::from_be_bytes(raw.get(8..12).ok_or_else(cut)?.try_into()?);
    let months = i32::from_be_bytes(raw.get(12..16).ok_or_else(cut)?.try_into()?);
    if (micros, days, months) == (i64::MAX, i32::MAX, i32::MAX)
        || (micros, days, months) == (i64::MIN, i32::MIN, i32::MIN)
    {
        return Ok(unobtained("it is infinity, not a span of time"));
    }
    if months == 0 {
        let span = SignedDuration::from_micros(micros).checked_add(SignedDuration::from_hours(i64::from(days) * 24));
        return Ok(span.map_or_else(|| unobtained("it is too long"), |span| Value::from(Duration(span))));
    }
    let mut parts = vec![format!("{months} months")];
    if days != 0 {
        parts.push(format!("{days} days"));
    }
    if micros != 0 {
        let sign = if micros < 0 { "-" } else { "" };
        parts.push(format!("{sign}{}", clock(micros.saturating_abs())));
    }
    Ok(Value::from(parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::to_json;

    fn numeric_bytes(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let head = [u16::try_from(digits.len()).unwrap(), weight.cast_unsigned(), sign, scale];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (raw, text) in [
            (numeric_bytes(0, 0, 0, &[]), "0"),
            (numeric_bytes(0, 0, 2, &[1, 1000]), "1.10"),
            (numeric_bytes(1, 0x4000, 0, &[12, 3456]), "-123456"),
            (numeric_bytes(2, 0, 0, &[1]), "100000000"),
            (numeric_bytes(-2, 0, 8, &[7]), "0.00000007"),
            (numeric_bytes(0, 0xC000, 0, &[]), "NaN"),
        ] {
            assert_eq!(numeric(&raw).unwrap(), text);
        }
        assert!(numeric(&[0, 1]).is_err());
    }

    #[test]
    fn a_decimal_is_a_number_only_when_it_is_exact() {
        assert_eq!(to_json(&number("1.10".to_owned())), 1.1);
        assert_eq!(to_json(&number("12".to_owned())), 12);
        assert_eq!(to_json(&number("12.000".to_owned())), 12.0);
        assert_eq!(to_json(&number("0.12345678901234567890".to_owned())), "0.12345678901234567890");
        assert_eq!(to_json(&number("123456789012345678901".to_owned())), "123456789012345678901");
    }

    #[test]
    fn broken_bytes_are_no_panic() {
        let types = [Type::BOOL, Type::INT8, Type::NUMERIC, Type::INTERVAL, Type::UUID, Type::DATE, Type::INT4_ARRAY];
        for ty in types.iter().chain([&Type::JSONB, &Type::TEXT, &Type::TIMESTAMPTZ, &Type::TIMESTAMP, &Type::INET]) {
            for length in 0..40 {
                for fill in [0_u8, 0x7f, 0xff] {
                    let _: Value = value(ty, Some(&vec![fill; length]));
                }
            }
        }
    }
}
