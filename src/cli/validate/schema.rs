//! Holds a manifest against the CRD's own OpenAPI schema, as the API server would, and stricter:
//! an unknown field is an error here, where the API server drops it silently.

use serde_json::Value;

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path of the field, for example `spec.tiers[0].cron`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 40;

/// All that is wrong with `value` after `schema`.
#[must_use]
pub fn check(schema: &Value, value: &Value, path: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(schema, value, path, 0, &mut findings);
    findings
}

fn walk(schema: &Value, value: &Value, path: &str, depth: usize, out: &mut Vec<Finding>) {
    let mut say = |message: String| {
        out.push(Finding {
            field: path.to_owned(),
            message,
        })
    };
    if depth > MAX_DEPTH {
        return say("nested too deeply".to_owned());
    }
    if value.is_null() {
        if schema.get("nullable") != Some(&Value::Bool(true)) {
            say("is empty; write a value or leave the field out".to_owned());
        }
        return;
    }
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        if !(value.is_string() || value.is_number()) {
            say(format!("must be a number or text, not {}", kind_of(value)));
        }
        return;
    }
    if let Some(wanted) = schema.get("type").and_then(Value::as_str)
        && !has_type(value, wanted)
    {
        return say(format!(
            "must be {}, not {}",
            article(wanted),
            kind_of(value)
        ));
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        say(format!("must be one of {}", names.join(", ")));
    }
    match value {
        Value::String(text) => string(schema, text, path, out),
        Value::Number(number) => bounds(
            schema,
            number.as_f64().unwrap_or_default(),
            "minimum",
            "maximum",
            "",
            path,
            out,
        ),
        Value::Array(items) => {
            size(
                schema,
                items.len(),
                "minItems",
                "maxItems",
                "items",
                path,
                out,
            );
            if let Some(item_schema) = schema.get("items") {
                for (i, item) in items.iter().enumerate() {
                    walk(item_schema, item, &format!("{path}[{i}]"), depth + 1, out);
                }
            }
        }
        Value::Object(_) => object(schema, value, path, depth, out),
        _ => {}
    }
}

fn object(schema: &Value, value: &Value, path: &str, depth: usize, out: &mut Vec<Finding>) {
    let Some(fields) = value.as_object() else {
        return;
    };
    let at = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    size(
        schema,
        fields.len(),
        "minProperties",
        "maxProperties",
        "entries",
        path,
        out,
    );
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = name.as_str().unwrap_or_default();
        if !fields.contains_key(name) {
            out.push(Finding {
                field: at(name),
                message: "is required and missing".to_owned(),
            });
        }
    }
    let known = schema.get("properties").and_then(Value::as_object);
    let open = schema.get("additionalProperties");
    let any = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    for (name, inner) in fields {
        match (known.and_then(|k| k.get(name)), open) {
            (Some(inner_schema), _) => walk(inner_schema, inner, &at(name), depth + 1, out),
            (None, Some(inner_schema)) if inner_schema.is_object() => {
                walk(inner_schema, inner, &at(name), depth + 1, out);
            }
            (None, _) if any || known.is_none() => {}
            (None, _) => out.push(Finding {
                field: at(name),
                message: unknown(name, known),
            }),
        }
    }
}

fn unknown(name: &str, known: Option<&serde_json::Map<String, Value>>) -> String {
    let near = known
        .into_iter()
        .flatten()
        .map(|(k, _)| k)
        .find(|k| k.eq_ignore_ascii_case(name) || distance_one(k, name));
    match near {
        Some(near) => format!("is not a known field; did you mean `{near}`?"),
        None => "is not a known field".to_owned(),
    }
}

/// Whether one letter more, less or other turns `a` into `b`.
fn distance_one(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let tail = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    head + tail + 1 >= a.len().max(b.len())
}

fn string(schema: &Value, text: &str, path: &str, out: &mut Vec<Finding>) {
    size(
        schema,
        text.chars().count(),
        "minLength",
        "maxLength",
        "characters",
        path,
        out,
    );
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && let Ok(regex) = regex::Regex::new(pattern)
        && !regex.is_match(text)
    {
        out.push(Finding {
            field: path.to_owned(),
            message: format!(
                "`{}` does not match {pattern}",
                text.chars().take(60).collect::<String>()
            ),
        });
    }
    if schema.get("format").and_then(Value::as_str) == Some("date-time")
        && text.parse::<jiff::Timestamp>().is_err()
    {
        out.push(Finding {
            field: path.to_owned(),
            message: "must be a time like 2026-11-21T02:00:00Z".to_owned(),
        });
    }
}

fn size(
    schema: &Value,
    n: usize,
    min: &str,
    max: &str,
    unit: &str,
    path: &str,
    out: &mut Vec<Finding>,
) {
    // Lists are far shorter than 2^32, so the conversion is exact.
    bounds(
        schema,
        f64::from(u32::try_from(n).unwrap_or(u32::MAX)),
        min,
        max,
        unit,
        path,
        out,
    );
}

fn bounds(
    schema: &Value,
    n: f64,
    min: &str,
    max: &str,
    unit: &str,
    path: &str,
    out: &mut Vec<Finding>,
) {
    let gap = if unit.is_empty() { "" } else { " " };
    if let Some(least) = schema.get(min).and_then(Value::as_f64)
        && n < least
    {
        out.push(Finding {
            field: path.to_owned(),
            message: format!("has {n}{gap}{unit}; at least {least} needed"),
        });
    }
    if let Some(most) = schema.get(max).and_then(Value::as_f64)
        && n > most
    {
        out.push(Finding {
            field: path.to_owned(),
            message: format!("has {n}{gap}{unit}; at most {most} allowed"),
        });
    }
}

fn has_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn article(kind: &str) -> &str {
    match kind {
        "object" => "a group of fields",
        "array" => "a list",
        "string" => "text (put it in quotes)",
        "boolean" => "true or false",
        "integer" => "a whole number",
        _ => "a number",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a group of fields",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_misspelt_field_is_named_with_its_likely_name() {
        let schema = json!({"type": "object", "properties": {"timeZone": {"type": "string"}, "tiers": {"type": "array", "maxItems": 1, "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}});
        let value = json!({"timezone": "UTC", "tier": [], "tiers": [{}, {"name": 3}], "zzz": 1});
        let findings = check(&schema, &value, "spec");
        let text: Vec<String> = findings
            .iter()
            .map(|f| format!("{}: {}", f.field, f.message))
            .collect();
        for wanted in [
            "spec.timezone: is not a known field; did you mean `timeZone`?",
            "spec.tier: is not a known field; did you mean `tiers`?",
            "spec.zzz: is not a known field",
            "spec.tiers: has 2 items; at most 1 allowed",
            "spec.tiers[0].name: is required and missing",
            "spec.tiers[1].name: must be text (put it in quotes), not a number",
        ] {
            assert!(
                text.iter().any(|t| t == wanted),
                "{wanted} not in {text:#?}"
            );
        }
    }
}
