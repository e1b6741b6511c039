use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::RawValue;

/// A value that is kept as compressed JSON until somebody looks at it: what a run of the whole suite observes fills
/// hundreds of megabytes otherwise. In files it stands as the value itself. The default value takes no room.
pub struct Packed<T> {
    bytes: Box<[u8]>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Default + PartialEq + Serialize + DeserializeOwned> Packed<T> {
    /// Packs a value.
    ///
    /// # Panics
    /// Where it cannot stand in JSON, which all that is in a run record can.
    #[must_use]
    pub fn new(value: &T) -> Self {
        let bytes = if *value == T::default() {
            Box::default()
        } else {
            let json = serde_json::to_vec(value).expect("a value that JSON can hold");
            compress_prepend_size(&json).into()
        };
        Self { bytes, kind: PhantomData }
    }

    /// The value.
    ///
    /// # Panics
    /// Never: only [`Packed::new`] makes the bytes.
    #[must_use]
    pub fn unpack(&self) -> T {
        if self.bytes.is_empty() {
            return T::default();
        }
        serde_json::from_str(&self.json()).expect("JSON that was written from such a value")
    }

    fn json(&self) -> String {
        let json = decompress_size_prepended(&self.bytes).expect("bytes that were packed");
        String::from_utf8(json).expect("JSON is text")
    }

    /// Whether it is the default value.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<T> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), kind: PhantomData }
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self { bytes: Box::default(), kind: PhantomData }
    }
}

/// Equal values are packed into equal bytes.
impl<T> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T: Default + PartialEq + Serialize + DeserializeOwned + fmt::Debug> fmt::Debug for Packed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unpack().fmt(formatter)
    }
}

impl<T: Default + PartialEq + Serialize + DeserializeOwned> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.bytes.is_empty() {
            return T::default().serialize(serializer);
        }
        RawValue::from_string(self.json()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T: Default + PartialEq + Serialize + DeserializeOwned> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self::new(&value))
    }
}

impl<T: JsonSchema> JsonSchema for Packed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_out_as_it_went_in_and_stands_as_itself_in_json() {
        let value = vec!["a".repeat(1000), "\u{0}é\"".to_owned()];
        let noise: String =
            (0..50_000_u32).map(|n| char::from(33 + (n.wrapping_mul(2_654_435_761) >> 9) as u8 % 90)).collect();
        assert_eq!(Packed::new(&noise).unpack(), noise);
        let packed = Packed::new(&value);
        assert!(packed.bytes.len() < 200 && !packed.is_default());
        assert_eq!(packed.unpack(), value);
        let json = serde_json::to_string(&packed).expect("JSON");
        assert_eq!(json, serde_json::to_string(&value).expect("JSON"));
        assert_eq!(serde_json::from_str::<Packed<Vec<String>>>(&json).expect("a value"), packed);
        assert!(Packed::new(&Vec::<String>::new()).is_default());
        assert_eq!(Packed::<Vec<String>>::default().unpack(), Vec::<String>::new());
    }
}
