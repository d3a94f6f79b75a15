//! `lifeboat validate`: manifests held against schema, CEL rules and sense, offline, for CI.

pub mod schema;

use std::path::PathBuf;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use serde_saphyr::{RenderOptions, SnippetMode, UserMessageFormatter};

use super::CommandError;
use crate::api::{self, BackupPolicy, BackupStore, RestoreDrill};
use crate::migration::window::{Opening, Window};
use crate::work::{clock, human};
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

/// Runs `lifeboat validate`. Exit code 0: all is well; 1: findings, one line each. A file that cannot be
/// read or parsed is a finding: the others are looked at all the same.
///
/// # Errors
/// When there are findings.
pub fn run(args: &Args) -> Result<(), CommandError> {
    let mut objects = 0_usize;
    let mut lines = Vec::new();
    for file in &args.files {
        let name = file.display();
        match read(file).and_then(|text| validate_text(&text, clock::now())) {
            Ok(reports) => {
                objects += reports.len();
                lines.extend(reports.iter().flat_map(|report| {
                    let line = |f: &Finding| {
                        format!("{name}: {}: {}: {}", report.object, f.field, f.message)
                    };
                    report.findings.iter().map(line).collect::<Vec<_>>()
                }));
            }
            Err(error) => lines.push(format!("{name}: {error}")),
        }
    }
    for line in &lines {
        super::out::line(line);
    }
    match (objects, lines.len()) {
        (0, 0) => Err(format!("no object of group {} in these files", api::GROUP).into()),
        (_, 0) => {
            super::out::line(format!("{} valid", human::count(objects, "object")));
            Ok(())
        }
        (_, n) => Err(human::count(n, "finding").into()),
    }
}

fn read(file: &PathBuf) -> Result<String, CommandError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| format!("failed to read it: {error}"))?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes").into());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}

/// What was found out about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `Kind/name`.
    pub object: String,
    /// What is wrong; empty: nothing.
    pub findings: Vec<Finding>,
}

/// Validates every object of our group in a text of one or more YAML documents, as they would be taken at `now`.
///
/// # Errors
/// When the text is not YAML.
pub fn validate_text(text: &str, now: Timestamp) -> Result<Vec<Report>, CommandError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|e| not_yaml(&e))?;
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
    let reports = flat
        .iter()
        .filter_map(|object| validate_object(object, now));
    Ok(reports.collect())
}

/// One line for people, with the place: without it the library prints an excerpt over many lines.
fn not_yaml(error: &serde_saphyr::Error) -> String {
    let mut options = RenderOptions::new(&UserMessageFormatter);
    options.snippets = SnippetMode::Off;
    let text = error.without_snippet().render_with_options(options);
    let flat: Vec<&str> = text.split_whitespace().collect();
    format!("not YAML that can be read: {}", flat.join(" "))
}

fn validate_object(object: &Value, now: Timestamp) -> Option<Report> {
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
        Some(crd) => against(crd, object, name, now),
    };
    Some(Report {
        object: match object.pointer("/metadata/generateName") {
            Some(Value::String(prefix)) if name.is_empty() => format!("{kind}/{prefix}…"),
            _ => format!("{kind}/{name}"),
        },
        findings,
    })
}

fn against(
    crd: &CustomResourceDefinition,
    object: &Value,
    name: &str,
    now: Timestamp,
) -> Vec<Finding> {
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
    // The operator's own words say how to mend it; the schema's about the same field say less.
    if let Some(told) = sense(&crd.spec.names.kind, object, findings.is_empty(), now) {
        findings.retain(|f| !is_within(&told.field, &f.field));
        findings.push(told);
    }
    findings
}

/// Whether `field` is `of` or a part of it; the whole spec contains everything, which says nothing.
fn is_within(field: &str, of: &str) -> bool {
    let rest = field.strip_prefix(of);
    rest.is_some_and(|rest| rest.is_empty() || (of != "spec" && rest.starts_with(['.', '['])))
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

/// What only the operator would have said: cron that never fires, unknown zones, keys that are none.
/// What does not decode is told only where the schema had nothing to say.
fn sense(kind: &str, object: &Value, well_formed: bool, now: Timestamp) -> Option<Finding> {
    fn read<K: serde::de::DeserializeOwned>(
        object: &Value,
        well_formed: bool,
        invalid: impl Fn(&K) -> Option<api::Invalid>,
    ) -> Option<Finding> {
        match serde_json::from_value::<K>(object.clone()) {
            Ok(object) => invalid(&object).map(|invalid| Finding {
                field: invalid.field,
                message: invalid.message,
            }),
            Err(error) => well_formed.then(|| Finding {
                field: "spec".to_owned(),
                message: error.to_string(),
            }),
        }
    }
    let s = Settings::any_image();
    let policy = |policy: &BackupPolicy| crate::policy::validate::validate(policy, &s).err();
    let store = |store: &BackupStore| crate::store::validate::validate(store, &s).err();
    let drill = |drill: &RestoreDrill| crate::drill::validate::validate(drill, &s).err();
    let run = |run: &api::MigrationRun| match crate::migration::validate::validate(run, &s) {
        Ok(valid) => over(&valid.window, now).or_else(|| unreadable(run)),
        Err(invalid) => Some(invalid),
    };
    match kind {
        "BackupPolicy" => read(object, well_formed, policy),
        "BackupStore" => read(object, well_formed, store),
        "RestoreDrill" => read(object, well_formed, drill),
        "MigrationRun" => read(object, well_formed, run),
        "MigrationApproval" => read(object, well_formed, |_: &api::MigrationApproval| None),
        _ => read(object, well_formed, |_: &api::Backup| None),
    }
}

/// A run whose window never opens again: the operator would end it at once.
fn over(window: &Window, now: Timestamp) -> Option<api::Invalid> {
    let never = window.at(now) == Opening::Never;
    never.then(|| {
        let until = window.not_after();
        let message = format!("nothing begins after {until}, and until then the window does not open: choose a later time");
        api::Invalid::new("spec.window.notAfter", message)
    })
}

/// Files of a run that no order can be had of. Those of a ConfigMap are not here.
fn unreadable(run: &api::MigrationRun) -> Option<api::Invalid> {
    let files = run.spec.source.inline.iter();
    let files = files.map(|file| (file.name.clone(), file.sql.clone().into_bytes()));
    let refusal = crate::plan::source::read(&files.collect()).err()?;
    Some(api::Invalid::new("spec.source.inline", refusal.message))
}

#[cfg(test)]
mod tests;
