use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment as PathSegment;

use crate::source_map::Segment;

/// How many mistakes are looked for: for each one, all is read again.
const MOST_MISTAKES: usize = 50;

/// Reads `value` and collects every mistake in it, not only the first: after each one the faulty member is taken out
/// and the rest is read again.
pub(crate) fn deserialize_all<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<(Vec<Segment>, String)>> {
    let mut value = value.clone();
    let mut mistakes: Vec<(Vec<Segment>, String)> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) if mistakes.is_empty() => return Ok(read),
            Ok(_) => return Err(mistakes),
            Err(error) => error,
        };
        let mut path = segments(error.path());
        let message = error.inner().to_string();
        // serde names an unknown member in the message, and its object in the path or the member itself.
        if let Some(name) = quoted(&message, "unknown field `")
            && path.last() != Some(&Segment::Member(name.to_owned()))
        {
            path.push(Segment::Member(name.to_owned()));
        }
        // What we took out ourselves is not missing in the file.
        let ours = quoted(&message, "missing field `").is_some_and(|name| {
            let mut missing = path.clone();
            missing.push(Segment::Member(name.to_owned()));
            mistakes.iter().any(|(taken, _)| *taken == missing)
        });
        let removed = !path.is_empty() && remove(&mut value, &path);
        if !ours {
            mistakes.push((path, message));
        }
        if ours || !removed || mistakes.len() >= MOST_MISTAKES {
            return Err(mistakes);
        }
    }
}

fn quoted<'m>(message: &'m str, before: &str) -> Option<&'m str> {
    let rest = &message[message.find(before)? + before.len()..];
    rest.split('`').next()
}

fn segments(path: &serde_path_to_error::Path) -> Vec<Segment> {
    path.iter()
        .filter_map(|segment| match segment {
            PathSegment::Map { key } => Some(Segment::Member(key.clone())),
            PathSegment::Seq { index } => Some(Segment::Item(*index)),
            PathSegment::Enum { .. } | PathSegment::Unknown => None,
        })
        .collect()
}

/// Takes the value at `path` out; false where there is none.
fn remove(value: &mut Value, path: &[Segment]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut parent = value;
    for segment in parents {
        let next = match segment {
            Segment::Member(name) => parent.get_mut(name),
            Segment::Item(index) => parent.get_mut(index),
        };
        match next {
            Some(next) => parent = next,
            None => return false,
        }
    }
    match (last, parent) {
        (Segment::Member(name), Value::Object(members)) => members.shift_remove(name).is_some(),
        (Segment::Item(index), Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Sample {
        number: u8,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        #[serde(default)]
        flag: bool,
    }

    #[test]
    fn all_mistakes_are_found_with_their_paths() {
        let value = json!({"number": "x", "inner": {"flag": 1, "extra": 2}, "other": 3});
        let mistakes = deserialize_all::<Sample>(&value).expect_err("mistakes");
        let paths: Vec<String> = mistakes
            .iter()
            .map(|(path, _)| {
                path.iter()
                    .map(|segment| match segment {
                        Segment::Member(name) => name.clone(),
                        Segment::Item(index) => index.to_string(),
                    })
                    .collect::<Vec<_>>()
                    .join("/")
            })
            .collect();
        assert_eq!(paths, ["number", "inner/flag", "inner/extra", "other"], "{mistakes:?}");
    }

    #[test]
    fn a_missing_member_is_one_mistake() {
        let mistakes = deserialize_all::<Sample>(&json!({})).expect_err("a mistake");
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].1.contains("missing field `number`"));
    }
}
