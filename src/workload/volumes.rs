//! How credentials get into a pod: whole Secrets, optional, mode 0440 (K6).
//!
//! Optional, because a required mount of a missing Secret hangs in `ContainerCreating` without a
//! reason, while the worker says `SecretMissing` within seconds of its start.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, EphemeralVolumeSource, PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate, SecretVolumeSource, Volume, VolumeMount,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::BackupStoreSpec;
use crate::api::backup_policy::Database;
use crate::api::shared::CaRef;
use crate::task::{
    DATABASE_CA_DIR, DATABASE_DIR, IDENTITY_DIR, LOGIN_DIR, SOURCE_DIR, STORE_CA_DIR, STORE_DIR,
};

/// Read by the pod's user and its `fsGroup`, by nobody else.
const MODE: i32 = 0o440;

/// One volume and where a container sees it.
#[derive(Clone)]
pub(super) struct Mounted {
    pub(super) volume: Volume,
    pub(super) mount: VolumeMount,
}

pub(super) fn database(database: &Database) -> Vec<Mounted> {
    let mut all = vec![secret("database", &database.secret_ref.name, DATABASE_DIR)];
    let ca = database.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    all.extend(ca.and_then(|ca| trust("database-ca", ca, DATABASE_CA_DIR)));
    all
}

pub(super) fn store(spec: &BackupStoreSpec) -> Vec<Mounted> {
    let writer = &spec.credentials.writer.secret_ref.name;
    let mut all = vec![secret("store", writer, STORE_DIR)];
    let ca = spec.s3.ca.as_ref();
    all.extend(ca.and_then(|ca| trust("store-ca", ca, STORE_CA_DIR)));
    all
}

/// The Secret with the age identity: nobody's but a drill's.
pub(super) fn identity(name: &str) -> Mounted {
    secret("identity", name, IDENTITY_DIR)
}

/// The Secret with the migrating role: nobody's but a migration's that plans, applies or settles.
pub(super) fn login(name: &str) -> Mounted {
    secret("login", name, LOGIN_DIR)
}

/// The ConfigMap with the files of a migration.
pub(super) fn source(name: &str) -> Mounted {
    config_map("source", name, SOURCE_DIR)
}

/// A volume of that size and class, made for the pod and gone with it.
pub(super) fn ephemeral(name: &str, class: &str, size: &str, path: &str) -> Mounted {
    let storage = [("storage".to_owned(), Quantity(size.to_owned()))];
    Mounted {
        volume: Volume {
            name: name.to_owned(),
            ephemeral: Some(EphemeralVolumeSource {
                volume_claim_template: Some(PersistentVolumeClaimTemplate {
                    metadata: None,
                    spec: PersistentVolumeClaimSpec {
                        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                        storage_class_name: Some(class.to_owned()),
                        resources: Some(VolumeResourceRequirements {
                            requests: Some(storage.into()),
                            limits: None,
                        }),
                        ..PersistentVolumeClaimSpec::default()
                    },
                }),
            }),
            ..Volume::default()
        },
        mount: VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            ..VolumeMount::default()
        },
    }
}

/// An empty folder of at most `limit`.
pub(super) fn empty(name: &str, in_memory: bool, limit: &str, path: &str) -> Mounted {
    Mounted {
        volume: Volume {
            name: name.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                medium: in_memory.then(|| "Memory".to_owned()),
                size_limit: Some(Quantity(limit.to_owned())),
            }),
            ..Volume::default()
        },
        mount: VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            ..VolumeMount::default()
        },
    }
}

fn secret(volume: &str, secret: &str, path: &str) -> Mounted {
    Mounted {
        volume: Volume {
            name: volume.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret.to_owned()),
                default_mode: Some(MODE),
                optional: Some(true),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        },
        mount: read_only(volume, path),
    }
}

fn trust(volume: &str, ca: &CaRef, path: &str) -> Option<Mounted> {
    let key = ca.key_ref()?;
    if ca.secret_key_ref.is_some() {
        return Some(secret(volume, &key.name, path));
    }
    Some(config_map(volume, &key.name, path))
}

fn config_map(volume: &str, name: &str, path: &str) -> Mounted {
    Mounted {
        volume: Volume {
            name: volume.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: name.to_owned(),
                default_mode: Some(MODE),
                optional: Some(true),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        mount: read_only(volume, path),
    }
}

fn read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}
