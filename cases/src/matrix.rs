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

    /// The list or object whose members `{...name.member}` stands for.
    fn spread(&self, text: &str) -> Option<&Value> {
        self.value(text.strip_prefix("{...")?.strip_suffix('}')?)
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
            Value::Array(items) => {
                let mut filled = Vec::with_capacity(items.len());
                for item in items {
                    match item.as_str().and_then(|text| self.spread(text)) {
                        Some(Value::Array(values)) => filled.extend(values.iter().map(|value| self.fill(value))),
                        _ => filled.push(self.fill(item)),
                    }
                }
                Value::Array(filled)
            }
            Value::Object(members) => {
                let mut filled = Map::new();
                for (name, value) in members {
                    match self.spread(name) {
                        Some(Value::Object(members)) => {
                            filled.extend(members.iter().map(|(name, value)| (name.clone(), self.fill(value))));
                        }
                        _ => {
                            filled.insert(placeholder::fill(name, &|name| self.text(name)), self.fill(value));
                        }
                    }
                }
                Value::Object(filled)
            }
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

/// Pairs of values of two dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs {
    /// All of them.
    pub(crate) all: usize,
    /// Those that stand in a combination.
    pub(crate) covered: usize,
    /// Those that every wanted combination lacks.
    pub(crate) excepted: usize,
}

/// The combinations of `over` without those that `except` names; or what is wrong with them. `cover` is `"all"` (the
/// default) or `"pairs"`.
pub(crate) fn combinations(
    over: &Value,
    except: Option<&Value>,
    cover: Option<&Value>,
) -> Result<(Vec<Combination>, Option<Pairs>), String> {
    let dimensions = over
        .as_object()
        .filter(|dimensions| !dimensions.is_empty())
        .ok_or("\"over\" is an object with at least one dimension: {\"credentials\": [\"omit\", \"include\"]}")?;
    let dimensions: Vec<(String, Vec<Point>)> = dimensions
        .iter()
        .map(|(name, values)| Ok((name.clone(), points(name, values)?)))
        .collect::<Result<_, String>>()?;
    let exceptions: Vec<&Map<String, Value>> = match except {
        None => Vec::new(),
        Some(except) => except
            .as_array()
            .and_then(|list| list.iter().map(Value::as_object).collect())
            .ok_or("\"except\" is a list of objects: [{\"credentials\": \"omit\", \"value\": \"*\"}]")?,
    };
    for exception in &exceptions {
        if !exception.iter().all(|(name, wanted)| can_match(&dimensions, name, wanted)) {
            let exception = serde_json::to_string(exception).map_err(|error| error.to_string())?;
            return Err(format!("the exception {exception} matches no combination"));
        }
    }
    let is_wanted = |combination: &Combination| !exceptions.iter().any(|exception| combination.matches(exception));
    match cover.map_or(Some("all"), Value::as_str) {
        Some("all") => Ok((product(&dimensions).into_iter().filter(is_wanted).collect(), None)),
        Some("pairs") if dimensions.len() > 2 => {
            let chosen = pairs::cover(&dimensions, &is_wanted);
            let pairs = pairs::count(&dimensions, &is_wanted, &chosen);
            Ok((chosen, Some(pairs)))
        }
        Some("pairs") => Err("\"cover\": \"pairs\" needs at least three dimensions".to_owned()),
        _ => {
            Err("\"cover\" is \"all\" (every combination) or \"pairs\" (every pair of values in some case)".to_owned())
        }
    }
}

/// Whether an exception's member names a value of a dimension at all.
fn can_match(dimensions: &[(String, Vec<Point>)], name: &str, wanted: &Value) -> bool {
    let only = Map::from_iter([(name.to_owned(), wanted.clone())]);
    dimensions.iter().find(|(known, _)| known == name).is_some_and(|(_, points)| {
        points.iter().any(|point| Combination(vec![(name.to_owned(), point.clone())]).matches(&only))
    })
}

fn product(dimensions: &[(String, Vec<Point>)]) -> Vec<Combination> {
    let mut combinations = vec![Combination::default()];
    for (name, points) in dimensions {
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
    combinations
}

/// Covering arrays of strength two.
mod pairs {
    use std::collections::BTreeSet;
    use std::hash::{Hash, Hasher};

    use super::{Combination, Pairs, Point};

    /// Counts the pairs, and those of them that stand in the chosen combinations.
    pub(super) fn count(
        dimensions: &[(String, Vec<Point>)],
        is_wanted: &dyn Fn(&Combination) -> bool,
        chosen: &[Combination],
    ) -> Pairs {
        let mut seen = BTreeSet::new();
        for combination in chosen {
            for (one, (_, left)) in combination.0.iter().enumerate() {
                for (other, (_, right)) in combination.0.iter().enumerate().skip(one + 1) {
                    seen.insert((one, left.label.as_str(), other, right.label.as_str()));
                }
            }
        }
        let mut pairs = Pairs { covered: seen.len(), ..Pairs::default() };
        for (one, (_, left)) in dimensions.iter().enumerate() {
            for (other, (_, right)) in dimensions.iter().enumerate().skip(one + 1) {
                for (first, left) in left.iter().enumerate() {
                    for (second, right) in right.iter().enumerate() {
                        pairs.all += 1;
                        let is_seen = seen.contains(&(one, left.label.as_str(), other, right.label.as_str()));
                        if !is_seen && complete(dimensions, [(one, first), (other, second)], is_wanted).is_none() {
                            pairs.excepted += 1;
                        }
                    }
                }
            }
        }
        pairs
    }

    /// Combinations in which every pair of values of two dimensions occurs, unless every combination with that pair is
    /// unwanted. For each pair the other dimensions take the values that win a vote which depends on nothing but the
    /// labels: when a dimension grows, most combinations stay, and with them the ids of their cases.
    pub(super) fn cover(
        dimensions: &[(String, Vec<Point>)],
        is_wanted: &dyn Fn(&Combination) -> bool,
    ) -> Vec<Combination> {
        let mut chosen: BTreeSet<Vec<usize>> = BTreeSet::new();
        for (one, (_, left)) in dimensions.iter().enumerate() {
            for (other, (_, right)) in dimensions.iter().enumerate().skip(one + 1) {
                for first in 0..left.len() {
                    for second in 0..right.len() {
                        let fixed = [(one, first), (other, second)];
                        chosen.extend(complete(dimensions, fixed, is_wanted));
                    }
                }
            }
        }
        chosen.into_iter().map(|indices| combination(dimensions, &indices)).collect()
    }

    fn combination(dimensions: &[(String, Vec<Point>)], indices: &[usize]) -> Combination {
        Combination(
            dimensions
                .iter()
                .zip(indices)
                .map(|((name, points), index)| (name.clone(), points[*index].clone()))
                .collect(),
        )
    }

    /// The wanted combination with two fixed values that is first in the order of the votes.
    fn complete(
        dimensions: &[(String, Vec<Point>)],
        fixed: [(usize, usize); 2],
        is_wanted: &dyn Fn(&Combination) -> bool,
    ) -> Option<Vec<usize>> {
        let pair = fixed.map(|(dimension, value)| (&dimensions[dimension].0, &dimensions[dimension].1[value].label));
        let orders: Vec<Vec<usize>> = dimensions
            .iter()
            .enumerate()
            .map(|(at, (name, points))| match fixed.iter().find(|(dimension, _)| *dimension == at) {
                Some((_, value)) => vec![*value],
                None => {
                    let mut order: Vec<usize> = (0..points.len()).collect();
                    order.sort_by_key(|index| vote(&(&pair, name, &points[*index].label)));
                    order
                }
            })
            .collect();
        let mut position = vec![0; orders.len()];
        loop {
            let indices: Vec<usize> = orders.iter().zip(&position).map(|(order, at)| order[*at]).collect();
            if is_wanted(&combination(dimensions, &indices)) {
                return Some(indices);
            }
            // Counts on, the last dimension fastest.
            let last = (0..orders.len()).rev().find(|at| position[*at] + 1 < orders[*at].len())?;
            position[last] += 1;
            position[last + 1..].fill(0);
        }
    }

    /// FNV-1a: the same on every machine and with every version of the toolchain.
    struct Fnv(u64);

    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            // Short texts differ in few bits; this spreads them.
            let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 29)
        }

        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }

        fn write_u8(&mut self, byte: u8) {
            self.write(&[byte]);
        }
    }

    fn vote(ballot: &impl Hash) -> u64 {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        ballot.hash(&mut hasher);
        hasher.finish()
    }
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
            combinations(&over, except, None).expect("combinations").0.iter().map(Combination::label).collect()
        };
        assert_eq!(labels(None), ["a=x,b=1", "a=x,b=true", "a=x,b=big", "a=y,b=1", "a=y,b=true", "a=y,b=big"]);
        assert_eq!(
            labels(Some(&json!([{"a": "x", "b": ["big", 1]}]))),
            ["a=x,b=true", "a=y,b=1", "a=y,b=true", "a=y,b=big"]
        );
        assert!(combinations(&over, Some(&json!([{"a": "z"}])), None).is_err());
    }

    #[test]
    fn every_pair_of_values_is_covered_unless_excepted() {
        let dimension =
            |name: &str, size: usize| -> Vec<String> { (0..size).map(|index| format!("{name}{index}")).collect() };
        let over = |last: usize| json!({"a": dimension("a", 7), "b": dimension("b", 5), "c": dimension("c", 4), "d": dimension("d", last)});
        let except = json!([{"a": "a0", "b": ["b1", "b2"]}]);
        let pairs = json!("pairs");
        let cover = |over: &Value| combinations(over, Some(&except), Some(&pairs)).expect("combinations").0;
        let chosen = cover(&over(3));
        let (_, counted) = combinations(&over(3), Some(&except), Some(&pairs)).expect("combinations");
        let all = 7 * 5 + 7 * 4 + 7 * 3 + 5 * 4 + 5 * 3 + 4 * 3;
        assert_eq!(counted, Some(Pairs { all, covered: all - 2, excepted: 2 }));
        for (one, other) in [("a1", "b1"), ("a0", "c3"), ("a6", "d2"), ("b4", "c0"), ("b1", "d0"), ("c3", "d1")] {
            let both = |label: &String| label.contains(&format!("={one}")) && label.contains(&format!("={other}"));
            assert!(chosen.iter().map(Combination::label).any(|label| both(&label)), "{one} {other}");
        }
        assert!(!chosen.iter().any(|one| one.label().starts_with("a=a0,b=b1")));
        assert!(chosen.len() < 7 * 5 * 4 * 3 / 2, "{}", chosen.len());
        let before: std::collections::BTreeSet<String> = chosen.iter().map(Combination::label).collect();
        let after: std::collections::BTreeSet<String> = cover(&over(4)).iter().map(Combination::label).collect();
        let kept = before.intersection(&after).count();
        assert!(kept * 10 > before.len() * 7, "{kept} of {} stay when a dimension grows", before.len());
    }

    #[test]
    fn lists_and_objects_are_spread() {
        let over =
            json!({"row": [{"id": "one", "lines": [["A", "1"], ["B", "{page}"]], "options": {"method": "PUT"}}]});
        let (all, _) = combinations(&over, None, None).expect("combinations");
        assert_eq!(
            all[0].fill(&json!({"headers": ["{...row.lines}", ["C", "3"]], "{...row.options}": true})),
            json!({"headers": [["A", "1"], ["B", "{page}"], ["C", "3"]], "method": "PUT"})
        );
    }

    #[test]
    fn values_go_into_any_member_with_their_type() {
        let over = json!({"row": [{"id": "one", "status": 204, "wire": ["GET"]}], "byte": {"bytes": ["00-01", "ff"]}});
        let (all, _) = combinations(&over, None, None).expect("combinations");
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
