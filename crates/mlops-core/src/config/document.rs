//! The text of a configuration as JSON, in which no object has a key twice: otherwise one of the two
//! values would be ignored. Not for what keys mean: see `section`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Parses `text`; the error is one problem in words.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Once.deserialize(&mut reader);
    value
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|e| if e.is_data() { e.to_string() } else { format!("this is not JSON: {e}") })
}

/// A value whose objects have every key once.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Once)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = items.next_key::<String>()? {
            if all.contains_key(&key) {
                let key = crate::text::name(&key);
                return Err(A::Error::custom(format!("\"{key}\" is there twice: keep one")));
            }
            let value = items.next_value_seed(Once)?;
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_serde_json() {
        let text = r#"{"a":[1,-2,0.5,"x",null,true,{"a":{}}],"b":18446744073709551615} "#;
        assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        for wrong in ["", "{", "{} {}", "{\"a\":1,}", "[1e999]", &"[".repeat(1000)] {
            assert!(parse(wrong).unwrap_err().starts_with("this is not JSON"), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_named_with_its_place() {
        for text in ["{\"a\":1,\n\"a\":1}", "{\"s\":{\"a\":1,\n\"a\":{}}}", "[{\"a\":1,\n\"a\":2}]"]
        {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.starts_with("\"a\" is there twice: keep one at line 2"), "{wrong}");
        }
        assert!(parse(r#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }
}
