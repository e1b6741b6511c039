use serde_json::{Map, Value};

use crate::placeholder;

/// The values of a matrix' dimensions for one of its cases, each with the label that stands in the id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Combination(Vec<(String, Point)>);

/// One value of a dimension.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    label: String,
    value: Value,
}

impl Combination {
    /// `credentials=include,value=*`
    pub(crate) fn label(&self) -> String {
        self.0.iter().map(|(name, point)| format!("{name}={}", point.label)).collect::<Vec<_>>().join(",")
    }

    /// What `{name}`, `{name.id}` or `{name.member}` stands for.
    fn value(&self, placeholder: &str) -> Option<&Value> {
        let (name, member) = match placeholder.split_once('.') {
            Some((name, member)) => (name, Some(member)),
            None => (placeholder, None),
        };
        let (_, point) = self.0.iter().find(|(candidate, _)| candidate == name)?;
        match member {
            None => Some(&point.value),
            Some(member) => point.value.get(member),
        }
    }

    fn text(&self, placeholder: &str) -> Option<String> {
        if let Some(name) = placeholder.strip_suffix(".label") {
            return self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, point)| point.label.clone());
        }
        self.value(placeholder).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// `template` with the dimensions' values in it. A string that is one placeholder becomes the value itself, of
    /// whatever type.
    pub(crate) fn fill(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => {
                if let Some(("", name, "")) = placeholder::first(text)
                    && let Some(value) = self.value(name)
                {
                    return value.clone();
                }
                Value::String(placeholder::fill(text, &|name| self.text(name)))
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect()),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, value)| (placeholder::fill(name, &|name| self.text(name)), self.fill(value)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// Whether every dimension that `exception` names has the label or value given there (or one of a list).
    fn matches(&self, exception: &Map<String, Value>) -> bool {
        exception.iter().all(|(name, wanted)| {
            self.0.iter().find(|(candidate, _)| candidate == name).is_some_and(|(_, point)| {
                let equal = |wanted: &Value| point.value == *wanted || wanted.as_str() == Some(point.label.as_str());
                wanted.as_array().map_or_else(|| equal(wanted), |list| list.iter().any(equal))
            })
        })
    }
}

/// All combinations of `over` without those that `except` names; or what is wrong with them.
pub(crate) fn combinations(over: &Value, except: Option<&Value>) -> Result<Vec<Combination>, String> {
    let dimensions = over
        .as_object()
        .filter(|dimensions| !dimensions.is_empty())
        .ok_or("\"over\" is an object with at least one dimension: {\"credentials\": [\"omit\", \"include\"]}")?;
    let mut combinations = vec![Combination::default()];
    for (name, values) in dimensions {
        let points = points(name, values)?;
        combinations = combinations
            .iter()
            .flat_map(|combination| {
                points.iter().map(|point| {
                    let mut longer = combination.clone();
                    longer.0.push((name.clone(), point.clone()));
                    longer
                })
            })
            .collect();
    }
    let Some(except) = except else { return Ok(combinations) };
    let exceptions: Vec<&Map<String, Value>> = except
        .as_array()
        .and_then(|list| list.iter().map(Value::as_object).collect())
        .ok_or("\"except\" is a list of objects: [{\"credentials\": \"omit\", \"value\": \"*\"}]")?;
    for exception in &exceptions {
        if !combinations.iter().any(|combination| combination.matches(exception)) {
            let exception = serde_json::to_string(exception).map_err(|error| error.to_string())?;
            return Err(format!("the exception {exception} matches no combination"));
        }
    }
    combinations.retain(|combination| !exceptions.iter().any(|exception| combination.matches(exception)));
    Ok(combinations)
}

fn points(name: &str, values: &Value) -> Result<Vec<Point>, String> {
    let points: Vec<Point> = match values {
        Value::Array(values) => values.iter().map(|value| point(name, value)).collect::<Result<_, _>>()?,
        Value::Object(members) if members.len() == 1 => match members.get("bytes").and_then(Value::as_array) {
            Some(ranges) => bytes(name, ranges)?,
            None => return Err(bad_dimension(name)),
        },
        _ => return Err(bad_dimension(name)),
    };
    if points.is_empty() {
        return Err(format!("the dimension {name:?} has no values"));
    }
    for (index, point) in points.iter().enumerate() {
        if points[..index].iter().any(|other| other.label == point.label) {
            return Err(format!("the dimension {name:?} has two values with the label {:?}", point.label));
        }
    }
    Ok(points)
}

fn bad_dimension(name: &str) -> String {
    format!("the dimension {name:?} is a list of values, or {{\"bytes\": [\"00-1f\", \"7f\"]}}")
}

fn point(name: &str, value: &Value) -> Result<Point, String> {
    let label = match value {
        Value::Object(members) => members
            .get("id")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("a value of the dimension {name:?} that is an object needs an \"id\""))?
            .to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(_) => {
            return Err(format!(
                "a value of the dimension {name:?} that is a list needs a name: {{\"id\": …, \"list\": …}}"
            ));
        }
        other => other.to_string(),
    };
    Ok(Point { label: safe(&label), value: value.clone() })
}

/// Every byte of ranges such as `00-1f`, as the character of its number, labelled `0x1f`.
fn bytes(name: &str, ranges: &[Value]) -> Result<Vec<Point>, String> {
    let mut points = Vec::new();
    for range in ranges {
        let text = range.as_str().unwrap_or_default();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (Ok(first), Ok(last)) = (u8::from_str_radix(first, 16), u8::from_str_radix(last, 16)) else {
            return Err(format!("the dimension {name:?}: {range} is not a range of bytes; write \"00-1f\" or \"7f\""));
        };
        points.extend(
            (first..=last).map(|byte| Point {
                label: format!("0x{byte:02x}"),
                value: Value::String(char::from(byte).to_string()),
            }),
        );
    }
    Ok(points)
}

/// A label as it can stand in an id: no separators of ids, globs or shells, no control characters.
fn safe(label: &str) -> String {
    let mut safe = String::with_capacity(label.len());
    for character in label.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~' | ':' | '+' | '@' => safe.push(character),
            other => {
                let mut buffer = [0; 4];
                for byte in other.encode_utf8(&mut buffer).bytes() {
                    safe.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dimensions_multiply_and_exceptions_are_left_out() {
        let over = json!({"a": ["x", "y"], "b": [1, true, {"id": "big", "wire": ["GET"]}]});
        let labels = |except: Option<&Value>| -> Vec<String> {
            combinations(&over, except).expect("combinations").iter().map(Combination::label).collect()
        };
        assert_eq!(labels(None), ["a=x,b=1", "a=x,b=true", "a=x,b=big", "a=y,b=1", "a=y,b=true", "a=y,b=big"]);
        assert_eq!(
            labels(Some(&json!([{"a": "x", "b": ["big", 1]}]))),
            ["a=x,b=true", "a=y,b=1", "a=y,b=true", "a=y,b=big"]
        );
        assert!(combinations(&over, Some(&json!([{"a": "z"}]))).is_err());
    }

    #[test]
    fn values_go_into_any_member_with_their_type() {
        let over = json!({"row": [{"id": "one", "status": 204, "wire": ["GET"]}], "byte": {"bytes": ["00-01", "ff"]}});
        let all = combinations(&over, None).expect("combinations");
        assert_eq!(
            all.iter().map(Combination::label).collect::<Vec<_>>(),
            ["row=one,byte=0x00", "row=one,byte=0x01", "row=one,byte=0xff"]
        );
        let template = json!({"title": "{row.status} {byte.label}", "status": "{row.status}", "wire": "{row.wire}", "{row.id}": "a{byte}"});
        assert_eq!(
            all[1].fill(&template),
            json!({"title": "204 0x01", "status": 204, "wire": ["GET"], "one": "a\u{1}"})
        );
    }

    #[test]
    fn labels_are_safe_in_ids() {
        assert_eq!(safe("*, https://a.test/é"), "%2A%2C%20https:%2F%2Fa.test%2F%C3%A9");
    }
}
