//! `lifeboat validate`: manifests held against schema, CEL rules and sense, offline, for CI.

pub mod schema;

use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::CommandError;
use crate::api::{self, BackupPolicy, BackupStore};
use crate::workload::Settings;
use schema::Finding;

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Arguments of `lifeboat validate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// YAML or JSON files; `-` reads standard input. Objects of other groups are passed over.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Runs `lifeboat validate`. Exit code 0: all is well; 1: findings, one line each.
///
/// # Errors
/// When there are findings, or a file cannot be read.
pub fn run(args: &Args) -> Result<(), CommandError> {
    let mut findings = 0_usize;
    let mut objects = 0_usize;
    for file in &args.files {
        let text = read(file)?;
        for report in validate_text(&text)? {
            objects += 1;
            for finding in &report.findings {
                findings += 1;
                println!(
                    "{}: {}: {}: {}",
                    file.display(),
                    report.object,
                    finding.field,
                    finding.message
                );
            }
        }
    }
    match (objects, findings) {
        (0, _) => Err(format!("no object of group {} in these files", api::GROUP).into()),
        (_, 0) => {
            println!(
                "{objects} object{} valid",
                if objects == 1 { "" } else { "s" }
            );
            Ok(())
        }
        (_, n) => Err(format!("{n} finding{}", if n == 1 { "" } else { "s" }).into()),
    }
}

fn read(file: &PathBuf) -> Result<String, CommandError> {
    use std::io::Read;
    let mut text = String::new();
    let name = file.display();
    if file.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(MAX_FILE_BYTES)
            .read_to_string(&mut text)?;
        return Ok(text);
    }
    let opened = std::fs::File::open(file).map_err(|e| format!("failed to open {name}: {e}"))?;
    if opened
        .metadata()
        .map_err(|e| format!("failed to read {name}: {e}"))?
        .len()
        > MAX_FILE_BYTES
    {
        return Err(format!("{name} is larger than {MAX_FILE_BYTES} bytes").into());
    }
    opened
        .take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| format!("failed to read {name}: {e}"))?;
    Ok(text)
}

/// What was found out about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `Kind/name`.
    pub object: String,
    /// What is wrong; empty: nothing.
    pub findings: Vec<Finding>,
}

/// Validates every object of our group in a text of one or more YAML documents.
///
/// # Errors
/// When the text is not YAML.
pub fn validate_text(text: &str) -> Result<Vec<Report>, CommandError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let mut flat = Vec::new();
    for document in documents {
        match document.get("items").and_then(Value::as_array) {
            Some(items)
                if document
                    .get("kind")
                    .and_then(Value::as_str)
                    .is_some_and(|k| k.ends_with("List")) =>
            {
                flat.extend(items.iter().cloned());
            }
            _ => flat.push(document),
        }
    }
    Ok(flat.iter().filter_map(validate_object).collect())
}

fn validate_object(object: &Value) -> Option<Report> {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = text("apiVersion").split_once('/')?;
    if group != api::GROUP {
        return None;
    }
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let kind = text("kind");
    let one = |field: &str, message: String| {
        vec![Finding {
            field: field.to_owned(),
            message,
        }]
    };
    let crds = api::crds();
    let crd = crds
        .iter()
        .map(|(_, crd)| crd)
        .find(|crd| crd.spec.names.kind == kind);
    let findings = match crd {
        _ if version != api::VERSION => one(
            "apiVersion",
            format!("there is only {}/{}", api::GROUP, api::VERSION),
        ),
        None => {
            let kinds: Vec<&str> = crds
                .iter()
                .map(|(_, c)| c.spec.names.kind.as_str())
                .collect();
            one(
                "kind",
                format!(
                    "`{kind}` is not a kind of {}; there are {}",
                    api::GROUP,
                    kinds.join(", ")
                ),
            )
        }
        Some(crd) => against(crd, object, name),
    };
    Some(Report {
        object: match object.pointer("/metadata/generateName") {
            Some(Value::String(prefix)) if name.is_empty() => format!("{kind}/{prefix}…"),
            _ => format!("{kind}/{name}"),
        },
        findings,
    })
}

fn against(crd: &CustomResourceDefinition, object: &Value, name: &str) -> Vec<Finding> {
    let schema = crd
        .spec
        .versions
        .first()
        .and_then(|v| v.schema.as_ref())
        .and_then(|s| serde_json::to_value(&s.open_api_v3_schema).ok())
        .unwrap_or_default();
    let mut findings = metadata(object, name);
    let spec = object.get("spec").cloned().unwrap_or_default();
    let spec_schema = schema
        .pointer("/properties/spec")
        .cloned()
        .unwrap_or_default();
    for key in object.as_object().into_iter().flatten().map(|(k, _)| k) {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&key.as_str()) {
            findings.push(Finding {
                field: key.clone(),
                message: "is not a known field".to_owned(),
            });
        }
    }
    findings.extend(schema::check(&spec_schema, &spec, "spec"));
    if let Err(errors) = kube::core::cel::Validator::new().validate(&schema, &named(object), None) {
        findings.extend(errors.as_slice().iter().map(|e| Finding {
            field: e.field_path.clone(),
            message: e.message.clone(),
        }));
    }
    // Sense is asked only of what has the right shape; else the same fault would be told twice.
    if findings.is_empty() {
        findings.extend(sense(&crd.spec.names.kind, object));
    }
    findings
}

/// The object as the rules will see it: the API server makes a name of `generateName` first.
fn named(object: &Value) -> Value {
    let mut object = object.clone();
    let prefix = object.pointer("/metadata/generateName");
    let name = format!(
        "{}xxxxx",
        prefix.and_then(Value::as_str).unwrap_or_default()
    );
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("name").or_insert(Value::String(name));
    }
    object
}

fn metadata(object: &Value, name: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let generated = object.pointer("/metadata/generateName").is_some();
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if name.is_empty() && !generated {
        findings.push(Finding {
            field: "metadata.name".to_owned(),
            message: "is required and missing".to_owned(),
        });
    } else if name.len() > 253 || !name.chars().all(label) {
        findings.push(Finding {
            field: "metadata.name".to_owned(),
            message: "must be at most 253 of a-z, 0-9, - and .".to_owned(),
        });
    }
    findings
}

/// What only the operator would have said: cron that never fires, unknown zones, double names.
fn sense(kind: &str, object: &Value) -> Vec<Finding> {
    let undecodable = |e: serde_json::Error| Finding {
        field: "spec".to_owned(),
        message: e.to_string(),
    };
    let invalid = |field: String, message: String| Finding { field, message };
    let settings = Settings::any_image();
    let found = match kind {
        "BackupPolicy" => match serde_json::from_value::<BackupPolicy>(object.clone()) {
            Ok(policy) => crate::policy::validate::validate(&policy, &settings)
                .err()
                .map(|i| invalid(i.field, i.message)),
            Err(error) => Some(undecodable(error)),
        },
        "BackupStore" => match serde_json::from_value::<BackupStore>(object.clone()) {
            Ok(store) => crate::store::validate::validate(&store, &settings)
                .err()
                .map(|i| invalid(i.field, i.message)),
            Err(error) => Some(undecodable(error)),
        },
        _ => serde_json::from_value::<api::Backup>(object.clone())
            .err()
            .map(undecodable),
    };
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every example must pass, as a reader will try it first.
    #[test]
    fn the_examples_are_valid() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            for report in objects.iter().filter_map(validate_object) {
                assert!(
                    report.findings.is_empty(),
                    "{}: {}",
                    path.display(),
                    report.object
                );
                seen += 1;
            }
        }
        assert!(seen > 3);
    }

    #[test]
    fn an_object_without_any_name_is_told_once() {
        let object = serde_json::json!({
            "apiVersion": "lifeboat.dev/v1alpha1",
            "kind": "Backup",
            "metadata": {},
            "spec": {"policyRef": {"name": "shop"}}
        });
        let fields: Vec<String> = validate_object(&object)
            .unwrap()
            .findings
            .into_iter()
            .map(|f| f.field)
            .collect();
        assert_eq!(fields, ["metadata.name"]);
    }
}
