//! The fields that the built-in kinds have: for reading protobuf, which newer clients send, and for refusing what no
//! kind knows.

use super::kind::Kind;
use super::status::Failure;
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
enum Type {
    Text,
    Whole,
    Truth,
    Number,
    Bytes,
    Time,
    NumberOrText,
    Quantity,
    Anything,
    List(Box<Type>),
    Map(Box<Type>),
    Message(String),
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    number: u64,
    of: Type,
    /// Its fields stand in the message itself.
    inline: bool,
    /// Nothing and an empty value are different things.
    optional: bool,
}

static MESSAGES: LazyLock<BTreeMap<String, Vec<Field>>> = LazyLock::new(|| {
    let lines = include_str!("messages.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(name, fields)| (name.to_owned(), read_fields(fields))).collect()
});

fn read_fields(text: &str) -> Vec<Field> {
    let field = |text: &str| {
        let (name, rest) = text.split_once('=')?;
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, rest) = rest.split_at(digits);
        Some(Field {
            name: name.to_owned(),
            number: number.parse().ok()?,
            of: read_type(rest.trim_start_matches('^').trim_end_matches('?')),
            inline: rest.starts_with('^'),
            optional: rest.ends_with('?'),
        })
    };
    text.split(' ').filter_map(field).collect()
}

fn read_type(text: &str) -> Type {
    match text {
        "s" => Type::Text,
        "i" => Type::Whole,
        "b" => Type::Truth,
        "d" => Type::Number,
        "y" => Type::Bytes,
        "T" | "U" => Type::Time,
        "I" => Type::NumberOrText,
        "Q" => Type::Quantity,
        "a" => Type::Anything,
        _ => match (text.strip_prefix('*'), text.strip_prefix('%')) {
            (Some(item), _) => Type::List(Box::new(read_type(item))),
            (_, Some(item)) => Type::Map(Box::new(read_type(item))),
            _ => Type::Message(text.to_owned()),
        },
    }
}

/// Reads a protobuf body in the envelope of Kubernetes.
pub fn decode(body: &[u8]) -> Result<Value, Failure> {
    let envelope = body.strip_prefix(b"k8s\0").ok_or_else(|| unreadable("it has no envelope"))?;
    let (mut head, mut raw) = (&[][..], &[][..]);
    for part in parts(envelope)? {
        match part {
            (1, Raw::Bytes(bytes)) => head = bytes,
            (2, Raw::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (mut version, mut kind) = (String::new(), String::new());
    for part in parts(head)? {
        match part {
            (1, Raw::Bytes(bytes)) => version = String::from_utf8_lossy(bytes).into_owned(),
            (2, Raw::Bytes(bytes)) => kind = String::from_utf8_lossy(bytes).into_owned(),
            _ => {}
        }
    }
    let Value::Object(fields) = message(&kind, raw)? else { return Err(unreadable("it holds no object")) };
    let mut object: Map<String, Value> = Map::new();
    object.insert("apiVersion".to_owned(), json!(version));
    object.insert("kind".to_owned(), json!(kind));
    object.extend(fields);
    Ok(Value::Object(object))
}

fn unreadable(why: &str) -> Failure {
    Failure::new(415, "UnsupportedMediaType", format!("this protobuf cannot be read: {why}"))
}

/// One value of the wire.
enum Raw<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Failure> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (first, rest) = bytes.split_first().ok_or_else(|| unreadable("it ends too early"))?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place).min(63);
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(unreadable("a number is too long"))
}

fn parts(mut bytes: &[u8]) -> Result<Vec<(u64, Raw<'_>)>, Failure> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let length = match tag & 7 {
            0 => {
                all.push((tag >> 3, Raw::Number(varint(&mut bytes)?)));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).unwrap_or(usize::MAX),
            5 => 4,
            _ => return Err(unreadable("a field has a form of its own")),
        };
        let (own, rest) = bytes.split_at_checked(length).ok_or_else(|| unreadable("it ends too early"))?;
        all.push((tag >> 3, Raw::Bytes(own)));
        bytes = rest;
    }
    Ok(all)
}

fn message(name: &str, bytes: &[u8]) -> Result<Value, Failure> {
    let fields = MESSAGES.get(name).ok_or_else(|| unreadable(&format!("the fields of {name} are not known here")))?;
    let mut object = Map::new();
    for (number, raw) in parts(bytes)? {
        let field = fields.iter().find(|field| field.number == number);
        let field = field.ok_or_else(|| unreadable(&format!("field {number} of {name} is not known here")))?;
        match &field.of {
            Type::List(item) => {
                let list = object.entry(&field.name).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(value(item, &raw)?);
                }
            }
            Type::Map(item) => {
                let Raw::Bytes(bytes) = raw else { return Err(unreadable("a map is a number")) };
                let map = object.entry(&field.name).or_insert_with(|| json!({}));
                let (mut key, mut entry) = (String::new(), empty(item));
                for part in parts(bytes)? {
                    match part {
                        (1, Raw::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
                        (_, raw) => entry = value(item, &raw)?,
                    }
                }
                map[key] = entry;
            }
            Type::Anything if !matches!(field.name.as_str(), "status" | "managedFields") => {
                return Err(unreadable(&format!("what is in {} of {name} is not known here", field.name)));
            }
            of => {
                let value = value(of, &raw)?;
                let is_plain = matches!(of, Type::Text | Type::Whole | Type::Truth | Type::Number | Type::Bytes);
                let says_nothing = value.is_null() || (is_plain && !field.optional && is_zero(&value));
                match value {
                    Value::Object(inner) if field.inline => object.extend(inner),
                    value if !says_nothing => drop(object.insert(field.name.clone(), value)),
                    _ => {}
                }
            }
        }
    }
    Ok(Value::Object(object))
}

fn empty(of: &Type) -> Value {
    match of {
        Type::Text | Type::Bytes | Type::Quantity => json!(""),
        _ => Value::Null,
    }
}

fn is_zero(value: &Value) -> bool {
    *value == json!("") || *value == json!(0) || *value == json!(false)
}

fn value(of: &Type, raw: &Raw) -> Result<Value, Failure> {
    Ok(match (of, raw) {
        (Type::Whole, Raw::Number(number)) => json!(number.cast_signed()),
        (Type::Truth, Raw::Number(number)) => json!(*number != 0),
        (Type::Text, Raw::Bytes(bytes)) => json!(String::from_utf8_lossy(bytes)),
        (Type::Bytes, Raw::Bytes(bytes)) => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        (Type::Message(name), Raw::Bytes(bytes)) => message(name, bytes)?,
        (Type::Time, Raw::Bytes(bytes)) => {
            let seconds = parts(bytes)?.into_iter().find_map(|part| match part {
                (1, Raw::Number(seconds)) => jiff::Timestamp::from_second(seconds.cast_signed()).ok(),
                _ => None,
            });
            seconds.map_or(Value::Null, super::object::stamp)
        }
        (Type::Quantity, Raw::Bytes(bytes)) => parts(bytes)?.into_iter().fold(json!(""), |found, part| match part {
            (1, Raw::Bytes(text)) => json!(String::from_utf8_lossy(text)),
            _ => found,
        }),
        (Type::NumberOrText, Raw::Bytes(bytes)) => {
            let (mut is_text, mut number, mut text) = (false, 0, String::new());
            for part in parts(bytes)? {
                match part {
                    (1, Raw::Number(kind)) => is_text = kind == 1,
                    (2, Raw::Number(own)) => number = own.cast_signed(),
                    (_, Raw::Bytes(bytes)) => text = String::from_utf8_lossy(bytes).into_owned(),
                    _ => {}
                }
            }
            if is_text { json!(text) } else { json!(number) }
        }
        // Status and the like: what a client says of it does not count.
        (Type::Anything, _) => Value::Null,
        _ => return Err(unreadable("a field has another form than it should")),
    })
}

/// Refuses values of another type than their fields have, and drops fields that the kind does not know: as warnings, or
/// with `strict` as a refusal.
pub fn check(kind: &Kind, object: &mut Value, strict: bool) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    if kind.is_custom() || !MESSAGES.contains_key(&kind.name) {
        return Ok(unknown);
    }
    let refused = |why: String| {
        let name = &kind.name;
        Failure::bad(format!("{name} in version \"{}\" cannot be handled as a {name}: {why}", kind.version))
    };
    walk(&kind.name, object, "", &mut unknown).map_err(&refused)?;
    let said: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    if strict && !said.is_empty() {
        Err(refused(format!("strict decoding error: {}", said.join(", "))))
    } else {
        Ok(said)
    }
}

fn walk(name: &str, object: &mut Value, path: &str, unknown: &mut Vec<String>) -> Result<(), String> {
    let Value::Object(map) = object else { return Err(clash(object, name, path, name)) };
    for key in map.keys().cloned().collect::<Vec<_>>() {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match field(name, &key) {
            None if path.is_empty() && (key == "apiVersion" || key == "kind") => {}
            None => {
                map.shift_remove(&key);
                unknown.push(below);
            }
            Some((_, Type::Anything)) => {}
            Some((owner, of)) => walk_value(&of, &mut map[&key], &below, &owner, unknown)?,
        }
    }
    Ok(())
}

/// A field of a message or of what stands in it, with the message that has it.
fn field(name: &str, key: &str) -> Option<(String, Type)> {
    MESSAGES.get(name)?.iter().find_map(|field| match &field.of {
        Type::Message(inner) if field.inline => self::field(inner, key),
        of if field.name == key && !field.inline => Some((name.to_owned(), of.clone())),
        _ => None,
    })
}

fn walk_value(of: &Type, value: &mut Value, path: &str, owner: &str, unknown: &mut Vec<String>) -> Result<(), String> {
    let fits = match (of, &mut *value) {
        (_, Value::Null) | (Type::Anything, _) => true,
        (Type::Message(name), Value::Object(_)) => return walk(name, value, path, unknown),
        (Type::List(item), Value::Array(items)) => {
            for (place, entry) in items.iter_mut().enumerate() {
                walk_value(item, entry, &format!("{path}[{place}]"), owner, unknown)?;
            }
            true
        }
        (Type::Map(item), Value::Object(map)) => {
            for (key, entry) in map {
                walk_value(item, entry, &format!("{path}.{key}"), owner, unknown)?;
            }
            true
        }
        (Type::Text | Type::Bytes | Type::Time, value) => value.is_string(),
        (Type::Quantity | Type::NumberOrText, value) => value.is_string() || value.is_number(),
        (Type::Whole, value) => value.is_i64(),
        (Type::Number, value) => value.is_number(),
        (Type::Truth, value) => value.is_boolean(),
        _ => false,
    };
    let wanted = match of {
        Type::Text | Type::Bytes => "string",
        Type::Whole => "int32",
        Type::Truth => "bool",
        Type::Number => "float64",
        Type::Time => "v1.Time",
        Type::NumberOrText => "intstr.IntOrString",
        Type::Quantity => "resource.Quantity",
        Type::List(_) => "[]",
        Type::Map(_) => "map[string]",
        Type::Message(name) => name,
        Type::Anything => "any",
    };
    if fits { Ok(()) } else { Err(clash(value, owner, path, wanted)) }
}

fn clash(value: &Value, owner: &str, path: &str, wanted: &str) -> String {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {is} into Go struct field {owner}.{path} of type {wanted}")
}
