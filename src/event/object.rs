//! A JSON object read one level at a time.

use std::collections::BTreeMap;
use std::fmt;

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object whose values are still unread.
///
/// CloudTrail may leave out any field, send it null or empty, or change its
/// type. Reading level by level means that a value nobody asks for cannot make
/// the record unreadable, and that a manifest of megabytes is never unescaped.
#[derive(Debug, Clone, Default)]
pub struct Object(BTreeMap<String, Box<RawValue>>);

impl Object {
    /// Reads the outermost level of `json`; `None` when it is no object.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The unread value of a field.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// A text field. Absent, null, another type and `""` are all `None`:
    /// CloudTrail sends empty strings where it means "absent".
    #[must_use]
    pub fn text(&self, name: &str) -> Option<CompactString> {
        let Text(text) = serde_json::from_str(self.raw(name)?).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// A flag, which CloudTrail sends as `"true"` as well as `true`.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
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
    #[must_use]
    pub fn objects(&self, name: &str) -> Vec<Self> {
        self.raw(name)
            .and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok())
            .unwrap_or_default()
            .into_iter()
            .filter_map(|element| Self::parse(element.get()))
            .collect()
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let fields = |object: &Self| -> Vec<_> {
            let fields = object.0.iter();
            fields
                .map(|(name, raw)| (name.clone(), raw.get().to_owned()))
                .collect()
        };
        fields(self) == fields(other)
    }
}

impl Eq for Object {}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    fields.insert(name.into_string(), value);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A JSON string in which a lone surrogate (`"\ud800"`, valid JSON but no
/// Unicode) becomes a replacement character instead of an error.
struct Text(CompactString);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.into()))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(CompactString::from_utf8_lossy(bytes)))
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
        assert!(object.objects("d").is_empty());
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
