//! A JSON object read one level at a time.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object, most of whose values are still unread. It borrows the text that it is
/// read from.
///
/// CloudTrail may leave out any field, send it null or empty, or change its
/// type. A value that nobody asks for is not read, so that it cannot make
/// the record unreadable, and that a manifest of megabytes is never unescaped.
#[derive(Debug, Clone, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

#[derive(Debug, Clone)]
enum Value<'a> {
    Unread(&'a str),
    Object(Object<'a>),
}

/// The objects of a record that each push is asked for. They are read along with what they
/// are in: otherwise the text of a record would be passed over once for each of its levels.
const READ_ALONG: [&str; 11] = [
    "attributes",
    "detail",
    "image",
    "imageId",
    "invokedByDelegate",
    "onBehalfOf",
    "requestParameters",
    "responseElements",
    "sessionContext",
    "sessionIssuer",
    "userIdentity",
];

impl<'a> Object<'a> {
    /// Reads `json`; `None` when it is no object.
    #[must_use]
    pub fn parse(json: &'a str) -> Option<Self> {
        // Something odd further in makes the first fail, and costs only itself in the second.
        Depth::Along.read(json).or_else(|| Self::outermost(json))
    }

    /// Reads the outermost level of `json` alone, so that each field has its text; `None`
    /// when it is no object.
    #[must_use]
    pub fn outermost(json: &'a str) -> Option<Self> {
        Depth::Outermost.read(json)
    }

    /// Of several fields of the same name the last one.
    fn value(&self, name: &str) -> Option<&Value<'a>> {
        let mut fields = self.0.iter().rev();
        let field = fields.find(|(field, _)| field == name);
        field.map(|(_, value)| value)
    }

    /// Whether there is such a field, be it null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether a reader that ignores case, or merges fields of one name, may find something
    /// else in this field. That of Go, in which docker and containerd are written, does both.
    pub(super) fn is_ambiguous(&self, name: &str) -> bool {
        let is_same = |field: &str| {
            let upper = field.chars().flat_map(char::to_uppercase);
            upper.eq(name.chars().flat_map(char::to_uppercase))
        };
        let mut fields = self.0.iter().filter(|(field, _)| is_same(field));
        let first = fields.next();
        first.is_some_and(|(field, _)| field != name) || fields.next().is_some()
    }

    /// The unread text of a field; none of an object that [`parse`](Self::parse) read along.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        match self.value(name)? {
            Value::Unread(text) => Some(text),
            Value::Object(_) => None,
        }
    }

    /// A text field. Absent, null, another type and `""` are all `None`:
    /// CloudTrail sends empty strings where it means "absent".
    #[must_use]
    pub fn text(&self, name: &str) -> Option<CompactString> {
        let text = self.unescaped(name)?;
        (!text.is_empty()).then(|| text.into())
    }

    /// A text, copied only if something in it is escaped.
    pub(super) fn unescaped(&self, name: &str) -> Option<Cow<'a, str>> {
        let raw = self.raw(name)?;
        let quoted = raw.strip_prefix('"')?.strip_suffix('"')?;
        if !quoted.contains('\\') {
            return Some(quoted.into());
        }
        let Text(text) = serde_json::from_str(raw).ok()?;
        Some(text)
    }

    /// A flag, which CloudTrail sends as `"true"` as well as `true`.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.raw(name)? {
            "true" | "\"true\"" => Some(true),
            "false" | "\"false\"" => Some(false),
            _ => None,
        }
    }

    /// A nested object; one without fields when it is absent or no object, so
    /// that lookups can be chained.
    #[must_use]
    pub fn object(&self, name: &str) -> Cow<'_, Self> {
        self.nested(name).unwrap_or(Cow::Owned(Self::default()))
    }

    /// A nested object; `None` when it is absent or no object.
    pub(super) fn nested(&self, name: &str) -> Option<Cow<'_, Self>> {
        match self.value(name)? {
            Value::Object(object) => Some(Cow::Borrowed(object)),
            Value::Unread(text) => Self::parse(text).map(Cow::Owned),
        }
    }

    /// The objects of an array; anything else in it is passed over.
    pub fn objects(&self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        let elements = self.raw(name);
        let elements = elements.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok());
        let elements = elements.unwrap_or_default().into_iter();
        elements.filter_map(|element| Self::parse(element.get()))
    }
}

/// How far an object is read.
#[derive(Clone, Copy)]
enum Depth {
    Outermost,
    /// With those in it that [`READ_ALONG`] names.
    Along,
}

impl Depth {
    fn read(self, json: &str) -> Option<Object<'_>> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let object = deserializer.deserialize_map(self).ok()?;
        deserializer.end().ok()?;
        Some(object)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Without room beforehand, which a million empty objects would multiply.
        let mut fields = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            let value = match self {
                Self::Along if READ_ALONG.contains(&&*name) => map.next_value()?,
                _ => Value::Unread(map.next_value::<&RawValue>()?.get()),
            };
            fields.push((name, value));
        }
        Ok(Object(fields))
    }
}

/// Of one of [`READ_ALONG`]: an object, or null. Anything else is an error, and the record
/// is read level by level.
impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectOrNull;
        impl<'de> Visitor<'de> for ObjectOrNull {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object or null")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Depth::Along.visit_map(map).map(Value::Object)
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Value::Unread("null"))
            }
        }
        deserializer.deserialize_any(ObjectOrNull)
    }
}

/// A JSON string in which a lone surrogate (`"\ud800"`, valid JSON but no
/// Unicode) becomes a replacement character instead of an error.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                // Nearly every text is Unicode, which is seen faster so.
                Ok(Text(match std::str::from_utf8(bytes) {
                    Ok(text) => text.into(),
                    Err(_) => String::from_utf8_lossy(bytes),
                }))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned().into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn a_field_that_is_absent_null_empty_or_of_another_type_is_none() {
        let object = Object::parse(r#"{"a":null,"b":"","c":7,"d":["x"],"e":{"f":"g"}}"#).unwrap();
        for name in ["a", "b", "c", "d", "e", "absent"] {
            assert_eq!(object.text(name), None, "{name}");
        }
        assert_eq!(object.object("e").text("f").unwrap(), "g");
        assert_eq!(object.object("c").object("x").text("y"), None);
        assert_eq!(object.objects("d").count(), 0);
    }

    #[test]
    fn a_broken_value_costs_only_itself() {
        let json = r#"{"bad":"\ud800x","huge":1e99999,"deep":[[[[]]]],"good":"y"}"#;
        let object = Object::parse(json).unwrap();
        assert_eq!(object.text("good").unwrap(), "y");
        assert!(object.text("bad").unwrap().ends_with('x'));
        assert_eq!(object.text("huge"), None);
    }

    #[test]
    fn an_odd_value_where_an_object_is_read_along_costs_only_itself() {
        for odd in ["1e99999", r#""\ud800""#, "[1]", "7", "true", "null"] {
            let json =
                format!(r#"{{"detail":{{"image":{odd},"userIdentity":{{"type":"Root"}}}}}}"#);
            let object = Object::parse(&json).unwrap();
            let detail = object.object("detail");
            assert!(detail.has("image"), "{odd}");
            assert!(detail.nested("image").is_none(), "{odd}");
            assert_eq!(detail.object("userIdentity").text("type").unwrap(), "Root");
        }
        let deep = format!("{}1{}", r#"{"detail":"#.repeat(200), "}".repeat(200));
        assert!(Object::parse(&deep).unwrap().nested("detail").is_some());
    }

    #[test]
    fn of_fields_of_one_name_the_last_one_counts() {
        let json = r#"{"image":{"a":"1"},"image":{"a":"2"},"b":"1","b":"2"}"#;
        let object = Object::parse(json).unwrap();
        assert_eq!(object.object("image").text("a").unwrap(), "2");
        assert_eq!(object.text("b").unwrap(), "2");
    }

    #[test]
    fn flags_are_read_as_text_and_as_boolean() {
        let object = Object::parse(r#"{"a":"true","b":true,"c":"false","d":1}"#).unwrap();
        assert_eq!(object.flag("a"), Some(true));
        assert_eq!(object.flag("b"), Some(true));
        assert_eq!(object.flag("c"), Some(false));
        assert_eq!(object.flag("d"), None);
    }

    #[test]
    fn what_is_no_object_is_none() {
        for json in ["", "[]", "7", "\"x\"", "null", "{", "{\"a\":1"] {
            assert!(Object::parse(json).is_none(), "{json}");
        }
    }
}
