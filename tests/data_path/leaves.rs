//! Walking a document along its fields, and what else each of them could say.

use lifeboat::manifest::is_hash;
use serde_json::Value;

/// Where a value stands: its field, with `[]` for each of a list, and its pointer.
pub type Place = (String, String);

/// All values of a document, in order.
pub fn leaves(value: &Value, field: &str, pointer: &str, out: &mut Vec<Place>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if field.is_empty() { "" } else { "." };
                let at = format!("{pointer}/{key}");
                leaves(value, &format!("{field}{dot}{key}"), &at, out);
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                leaves(value, &format!("{field}[]"), &format!("{pointer}/{n}"), out);
            }
        }
        _ => out.push((field.to_owned(), pointer.to_owned())),
    }
}

/// Other values that could stand in its place, each by how it is another.
pub fn others(value: &Value) -> Vec<(&'static str, Value)> {
    let mut all = match value {
        Value::Bool(yes) => vec![("turned", Value::from(!yes))],
        Value::Number(number) => {
            let by = [("one more", 1), ("one less", -1), ("many more", 1 << 30)];
            let other = |by: i32| match number.as_i64() {
                Some(number) => Value::from(number + i64::from(by)),
                None => Value::from(number.as_f64().unwrap() + f64::from(by)),
            };
            by.map(|(how, by)| (how, other(by))).to_vec()
        }
        Value::String(text) => of_text(text),
        Value::Null => Vec::new(),
        other => panic!("{other}"),
    };
    all.push(("absent", Value::Null));
    all
}

fn of_text(text: &str) -> Vec<(&'static str, Value)> {
    let mut all: Vec<(&str, String)> = vec![("empty", String::new())];
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        let second = jiff::SignedDuration::from_secs(1);
        all.push(("a second later", (time + second).to_string()));
        all.push(("a second earlier", (time - second).to_string()));
        all.push(("long after now", "2099-01-01T00:00:00Z".to_owned()));
        all.push(("long before", "1999-01-01T00:00:00Z".to_owned()));
    }
    if let Ok(number) = text.parse::<i64>() {
        all.push(("one less", (number - 1).to_string()));
    }
    let letter = |c: char| c.is_ascii_alphanumeric();
    for (how, at) in [
        ("another beginning", text.find(letter)),
        ("another end", text.rfind(letter)),
    ] {
        let Some(at) = at else { continue };
        let is = match text.as_bytes()[at] {
            b'9' => '8',
            b'f' => 'e',
            b'z' | b'Z' => 'a',
            was => char::from(was + 1),
        };
        all.push((how, format!("{}{is}{}", &text[..at], &text[at + 1..])));
    }
    if [16, 32, 64].iter().any(|digits| is_hash(text, *digits)) {
        all.push(("in capitals", text.to_uppercase()));
        all.push(("no hash", format!("+{}", &text[1..])));
        all.push(("cut", text[1..].to_owned()));
    }
    all.retain(|(_, other)| other != text);
    let value = |(how, text)| (how, Value::String(text));
    all.into_iter().map(value).collect()
}

/// As many as are wanted, from the first to the last.
pub fn spread<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let (len, most) = (all.len(), most.min(all.len()));
    (0..most).map(move |n| &all[n * (len - 1) / (most.max(2) - 1)])
}
