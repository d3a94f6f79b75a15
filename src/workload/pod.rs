//! How every pod of ours looks: restricted, without a token, every container bounded.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector,
    PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, SecurityContext,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Settings;
use super::volumes::{self, Mounted};
use crate::api::shared::PodTemplate;
use crate::task::{POD_UID_ENV, SCRATCH_DIR, TASK_ENV, TERMINATION_LOG, Task};

/// Name of the container whose end and result count; sidecars never do (K14).
pub const WORK_CONTAINER: &str = "work";
/// Where the injected binary stands in the PostgreSQL image.
const BIN_DIR: &str = "/lifeboat-bin";
/// Room for the binary and one line of passwd.
const BIN_LIMIT: &str = "256Mi";
/// Room for service and password files (K9).
const SCRATCH_LIMIT: &str = "1Mi";
/// After SIGTERM the worker aborts its upload and writes its result (K3).
const GRACE_SECONDS: i64 = 60;
/// What a container gets where neither template nor chart say anything: (resource, request, limit).
const FALLBACK: [(&str, &str, &str); 2] = [("cpu", "100m", "2"), ("memory", "256Mi", "1Gi")];
/// What copying one file needs.
const INSTALL: [(&str, &str, &str); 2] = [("cpu", "10m", "500m"), ("memory", "32Mi", "128Mi")];

/// In which image the container `work` runs.
pub(super) enum Run {
    /// In Lifeboat's own: checks, where the policy names no image, and probes.
    InOwnImage,
    /// In a PostgreSQL image, with our binary put beside it by an init container.
    InPostgresImage(String),
}

pub(super) fn spec(
    settings: &Settings,
    template: &PodTemplate,
    run: Run,
    task: &Task,
    mut mounts: Vec<Mounted>,
) -> PodSpec {
    mounts.push(volumes::empty("scratch", true, SCRATCH_LIMIT, SCRATCH_DIR));
    let (image, command, init) = match run {
        Run::InOwnImage => (settings.image.clone(), "/lifeboat".to_owned(), None),
        Run::InPostgresImage(image) => {
            let bin = volumes::empty("bin", false, BIN_LIMIT, BIN_DIR);
            let init = install(settings, bin.mount.clone());
            mounts.extend(binary(bin));
            (image, format!("{BIN_DIR}/lifeboat"), Some(init))
        }
    };
    let (volumes, volume_mounts) = split(mounts);
    let work = Container {
        name: WORK_CONTAINER.to_owned(),
        image: Some(image),
        command: Some(vec![command, "work".to_owned()]),
        env: Some(environment(settings, template, task)),
        resources: Some(work_resources(settings, template)),
        volume_mounts: Some(volume_mounts),
        ..container(settings)
    };
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security(settings)),
        init_containers: init.map(|container| vec![container]),
        containers: vec![work],
        volumes: Some(volumes),
        node_selector: some_map(&template.node_selector),
        tolerations: some_list(template.tolerations.clone()),
        affinity: template.affinity.clone(),
        priority_class_name: template.priority_class_name.clone(),
        image_pull_secrets: some_list(pull_secrets(settings, template)),
        ..PodSpec::default()
    }
}

/// Copies our static binary into the shared folder and writes the passwd line of the uid it runs as (K9).
fn install(settings: &Settings, mount: VolumeMount) -> Container {
    let command = ["/lifeboat", "install", "--to", BIN_DIR];
    Container {
        name: "install".to_owned(),
        image: Some(settings.image.clone()),
        command: Some(command.map(str::to_owned).to_vec()),
        resources: Some(bounded(&ResourceRequirements::default(), &[INSTALL])),
        volume_mounts: Some(vec![mount]),
        ..container(settings)
    }
}

/// A native sidecar in a PostgreSQL image: it starts before `work` and ends after it. It gets no task, no uid and no
/// credential: its mounts are those that are named.
pub(super) fn beside(
    settings: &Settings,
    spec: &mut PodSpec,
    sidecar: Sidecar<'_>,
    mounts: Vec<Mounted>,
) {
    let bin = volumes::empty("bin", false, BIN_LIMIT, BIN_DIR);
    let (volumes, volume_mounts) = split(mounts.into_iter().chain(binary(bin)).collect());
    let own = sidecar.resources.cloned().unwrap_or_default();
    let container = Container {
        name: sidecar.name.to_owned(),
        image: Some(sidecar.image.to_owned()),
        command: Some(vec![
            format!("{BIN_DIR}/lifeboat"),
            sidecar.command.to_owned(),
        ]),
        restart_policy: Some("Always".to_owned()),
        resources: Some(bounded(&bounded_by(&own, &settings.resources), &[FALLBACK])),
        volume_mounts: Some(volume_mounts),
        ..container(settings)
    };
    spec.init_containers.get_or_insert_default().push(container);
    let all = spec.volumes.get_or_insert_default();
    for volume in volumes {
        if all.iter().all(|known| known.name != volume.name) {
            all.push(volume);
        }
    }
}

/// What runs beside `work`.
pub(super) struct Sidecar<'a> {
    /// Name of the container.
    pub(super) name: &'a str,
    /// Its image.
    pub(super) image: &'a str,
    /// The binary's one argument.
    pub(super) command: &'a str,
    /// The user's requirements, over the chart's.
    pub(super) resources: Option<&'a ResourceRequirements>,
}

/// The binary's folder, read-only, and its passwd over the image's own.
fn binary(bin: Mounted) -> Vec<Mounted> {
    let passwd = Mounted {
        volume: bin.volume.clone(),
        mount: VolumeMount {
            mount_path: "/etc/passwd".to_owned(),
            sub_path: Some("passwd".to_owned()),
            read_only: Some(true),
            ..bin.mount.clone()
        },
    };
    let folder = Mounted {
        mount: VolumeMount {
            read_only: Some(true),
            ..bin.mount
        },
        ..bin
    };
    vec![folder, passwd]
}

/// Volumes once each, mounts all.
fn split(mounts: Vec<Mounted>) -> (Vec<k8s_openapi::api::core::v1::Volume>, Vec<VolumeMount>) {
    let mut volumes: Vec<k8s_openapi::api::core::v1::Volume> = Vec::new();
    let mut all = Vec::new();
    for Mounted { volume, mount } in mounts {
        if volumes.iter().all(|v| v.name != volume.name) {
            volumes.push(volume);
        }
        all.push(mount);
    }
    (volumes, all)
}

/// What is the same in every container.
fn container(settings: &Settings) -> Container {
    Container {
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        termination_message_path: Some(TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn pod_security(settings: &Settings) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: settings.run_as_user,
        run_as_group: settings.fs_group,
        fs_group: settings.fs_group,
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

fn environment(settings: &Settings, template: &PodTemplate, task: &Task) -> Vec<EnvVar> {
    // A task that does not fit (K8) should not arise: its parts are bounded by the CRDs to less than
    // half of 64 KiB. A Job without one is refused when it is to be created.
    let document = task.to_env().ok();
    let more = settings.env(Some(template)).into_iter();
    let more = more.map(|(name, value)| EnvVar {
        name,
        value: Some(value),
        value_from: None,
    });
    let own = [
        EnvVar {
            name: TASK_ENV.to_owned(),
            value: document,
            value_from: None,
        },
        EnvVar {
            name: POD_UID_ENV.to_owned(),
            value: None,
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.uid".to_owned(),
                }),
                ..EnvVarSource::default()
            }),
        },
    ];
    own.into_iter().chain(more).collect()
}

fn work_resources(settings: &Settings, template: &PodTemplate) -> ResourceRequirements {
    let chart = &settings.resources;
    match &template.resources {
        Some(own) => bounded(&bounded_by(own, chart), &[FALLBACK]),
        None => bounded(chart, &[FALLBACK]),
    }
}

/// The template's requirements; a resource that it does not name at all comes from the chart.
fn bounded_by(own: &ResourceRequirements, chart: &ResourceRequirements) -> ResourceRequirements {
    let mut merged = own.clone();
    for (resource, _, _) in FALLBACK {
        if !names(own, resource) {
            let from = |map: &Option<BTreeMap<String, Quantity>>| {
                map.as_ref().and_then(|m| m.get(resource)).cloned()
            };
            put(&mut merged.requests, resource, from(&chart.requests));
            put(&mut merged.limits, resource, from(&chart.limits));
        }
    }
    merged
}

/// With a request and a limit for each resource: quotas refuse a pod that lacks one (K6).
fn bounded(own: &ResourceRequirements, fallbacks: &[Bounds]) -> ResourceRequirements {
    let mut full = own.clone();
    for (resource, request, limit) in fallbacks.iter().flatten() {
        let has = |map: &Option<BTreeMap<String, Quantity>>| {
            map.as_ref().and_then(|m| m.get(*resource)).cloned()
        };
        let (requested, limited) = (has(&full.requests), has(&full.limits));
        let quantity = |text: &str| Quantity(text.to_owned());
        // Where one of the two is given, ours stands beside it unless it would contradict it.
        let (request, limit) = match (requested, limited) {
            (Some(request), Some(limit)) => (request, limit),
            (Some(request), None) => {
                let limit = larger(&request, quantity(limit));
                (request, limit)
            }
            (None, Some(limit)) if larger(&limit, quantity(request)) == limit => {
                (quantity(request), limit)
            }
            (None, Some(limit)) => (limit.clone(), limit),
            (None, None) => (quantity(request), quantity(limit)),
        };
        put(&mut full.requests, resource, Some(request));
        put(&mut full.limits, resource, Some(limit));
    }
    full
}

/// The larger of the two; the given one if it cannot be read.
fn larger(given: &Quantity, ours: Quantity) -> Quantity {
    match (amount(&given.0), amount(&ours.0)) {
        (Some(a), Some(b)) if b > a => ours,
        _ => given.clone(),
    }
}

/// A quantity as a number: `100m`, `2`, `1Gi`, `1e3`.
fn amount(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text.strip_prefix(digits)? {
        "" => 1.0,
        "m" => 0.001,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some(number * factor)
}

type Bounds = [(&'static str, &'static str, &'static str); 2];

fn names(own: &ResourceRequirements, resource: &str) -> bool {
    [&own.requests, &own.limits]
        .into_iter()
        .flatten()
        .any(|map| map.contains_key(resource))
}

fn put(map: &mut Option<BTreeMap<String, Quantity>>, key: &str, value: Option<Quantity>) {
    if let Some(value) = value {
        map.get_or_insert_default().insert(key.to_owned(), value);
    }
}

fn pull_secrets(settings: &Settings, template: &PodTemplate) -> Vec<LocalObjectReference> {
    let own = template.image_pull_secrets.iter().map(|s| s.name.clone());
    let mut all: Vec<LocalObjectReference> = Vec::new();
    for name in own.chain(settings.image_pull_secrets.iter().cloned()) {
        if all.iter().all(|known| known.name != name) {
            all.push(LocalObjectReference { name });
        }
    }
    all
}

fn some_map(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
