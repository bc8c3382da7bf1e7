//! A JSON object read one level at a time.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object whose values are still unread. It borrows the text that it is read from.
///
/// CloudTrail may leave out any field, send it null or empty, or change its
/// type. Reading level by level means that a value nobody asks for cannot make
/// the record unreadable, and that a manifest of megabytes is never unescaped.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads the outermost level of `json`; `None` when it is no object.
    #[must_use]
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The unread value of a field: of several of the same name the last one.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.0.iter().rev();
        let field = fields.find(|(field, _)| field == name);
        field.map(|(_, raw)| raw.get())
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
        let Text(text) = serde_json::from_str(self.raw(name)?).ok()?;
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
    pub fn object(&self, name: &str) -> Self {
        self.raw(name).and_then(Self::parse).unwrap_or_default()
    }

    /// The objects of an array; anything else in it is passed over.
    pub fn objects(&self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        let elements = self.raw(name);
        let elements = elements.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok());
        let elements = elements.unwrap_or_default().into_iter();
        elements.filter_map(|element| Self::parse(element.get()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some((Text(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
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
