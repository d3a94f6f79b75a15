//! Rules about fields that several kinds share, for their `validate`. Each answer names the field and the fix.

use std::collections::BTreeMap;

use bech32::Bech32;
use bech32::primitives::decode::CheckedHrpstring;

use super::Invalid;
use super::shared::{CaRef, PodTemplate};

/// Prefixes of labels and annotations that are not the user's (K32).
const RESERVED: [&str; 3] = [
    "lifeboat.dev/",
    "batch.kubernetes.io/",
    "app.kubernetes.io/",
];
/// Most entries of a map or list in a template.
const MAX_ENTRIES: usize = 32;

/// A pod template: its image is allowed, its labels are not reserved, its sizes are bounded.
///
/// # Errors
/// [`Invalid`] for the first field that breaks a rule.
pub fn template(
    field: &str,
    template: Option<&PodTemplate>,
    allows: impl Fn(&str) -> bool,
) -> Result<(), Invalid> {
    let Some(template) = template else {
        return Ok(());
    };
    if let Some(image) = &template.postgres_image {
        let path = format!("{field}.postgresImage");
        if image.is_empty() || image.len() > 512 || image.contains(char::is_whitespace) {
            return Err(Invalid::new(
                path,
                "write an image reference such as `postgres:17`",
            ));
        }
        if !allows(image) {
            return Err(Invalid::new(
                path,
                format!(
                    "`{image}` is not among the images that the chart's `workers.allowedImages` allows: choose one of those or ask who runs Lifeboat"
                ),
            ));
        }
    }
    keys(&format!("{field}.labels"), &template.labels)?;
    keys(&format!("{field}.annotations"), &template.annotations)?;
    proxies(&format!("{field}.env"), &template.env)?;
    let sizes = [
        ("nodeSelector", template.node_selector.len(), MAX_ENTRIES),
        ("tolerations", template.tolerations.len(), MAX_ENTRIES),
        ("imagePullSecrets", template.image_pull_secrets.len(), 8),
    ];
    for (name, count, most) in sizes {
        if count > most {
            return Err(Invalid::new(
                format!("{field}.{name}"),
                format!("{count} entries are too many: at most {most} are allowed"),
            ));
        }
    }
    Ok(())
}

/// The way to a store through a proxy, and no other variable.
fn proxies(field: &str, env: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let wrong = |name: &str, what: &str| Err(Invalid::new(format!("{field}.{name}"), what));
    for (name, value) in env {
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| value.strip_prefix(scheme))
            .map(|host| host.strip_suffix('/').unwrap_or(host));
        let plain = |host: &str| !host.is_empty() && !host.contains(['@', '/', '?', '#', ' ']);
        match name.as_str() {
            "HTTPS_PROXY" if !value.is_empty() && !host.is_some_and(plain) => {
                return wrong(
                    name,
                    "write http://host:port, without a user and a password",
                );
            }
            "HTTPS_PROXY" | "NO_PROXY" if value.len() <= 1_024 => {}
            "HTTPS_PROXY" | "NO_PROXY" => return wrong(name, "write at most 1024 characters"),
            _ => return wrong(name, "name HTTPS_PROXY and NO_PROXY only"),
        }
    }
    Ok(())
}

fn keys(field: &str, map: &BTreeMap<String, String>) -> Result<(), Invalid> {
    if map.len() > MAX_ENTRIES {
        return Err(Invalid::new(
            field,
            format!(
                "{} entries are too many: at most {MAX_ENTRIES} are allowed",
                map.len()
            ),
        ));
    }
    let reserved = |key: &&String| RESERVED.iter().any(|prefix| key.starts_with(prefix));
    match map.keys().find(reserved) {
        None => Ok(()),
        Some(key) => Err(Invalid::new(
            format!("{field}[{key}]"),
            "keys under lifeboat.dev/, batch.kubernetes.io/ and app.kubernetes.io/ are Lifeboat's and Kubernetes' own: use a prefix of yours",
        )),
    }
}

/// A reference to a Secret, ConfigMap or object has a name.
///
/// # Errors
/// [`Invalid`] if it is empty or too long.
pub fn named(field: &str, name: &str, kind: &str) -> Result<(), Invalid> {
    match (1..=253).contains(&name.len()) {
        true => Ok(()),
        false => Err(Invalid::new(
            field,
            format!("write the name of a {kind} in this namespace, at most 253 characters"),
        )),
    }
}

/// Exactly one source of certificates.
///
/// # Errors
/// [`Invalid`] if there are none or two, or a name or key is missing.
pub fn authority(field: &str, ca: Option<&CaRef>) -> Result<(), Invalid> {
    let Some(ca) = ca else { return Ok(()) };
    let one = ca.secret_key_ref.is_some() != ca.config_map_key_ref.is_some();
    let complete = ca
        .key_ref()
        .is_some_and(|k| !k.name.is_empty() && !k.key.is_empty());
    match one && complete {
        true => Ok(()),
        false => Err(Invalid::new(
            field,
            "name exactly one of secretKeyRef and configMapKeyRef, each with `name` and `key`",
        )),
    }
}

/// A public key that age can encrypt for: 32 bytes of an X25519 key with their checksum.
///
/// # Errors
/// [`Invalid`], which never repeats the text: somebody may have pasted a private key there.
pub fn recipient(field: &str, key: &str) -> Result<(), Invalid> {
    if key.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(Invalid::new(
            field,
            "is a private key, which must never stand here: make a new pair with `age-keygen` and write its public key",
        ));
    }
    let checked = CheckedHrpstring::new::<Bech32>(key);
    match checked.is_ok_and(|k| k.hrp().as_str() == "age" && k.byte_iter().count() == 32) {
        true => Ok(()),
        false => Err(Invalid::new(
            field,
            "is not an age public key: write the line `age1…` that `age-keygen -y key.txt` prints, whole",
        )),
    }
}

/// A folder in the bucket: letters, digits, `_ . -`, and slashes between if `nested`.
///
/// # Errors
/// [`Invalid`] if another character is in it, or `..`.
pub fn folder(field: &str, folder: &str, nested: bool) -> Result<(), Invalid> {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    };
    let parts = || folder.split('/');
    match folder.len() <= 200 && parts().all(plain) && (nested || parts().count() == 1) {
        true => Ok(()),
        false => Err(Invalid::new(
            field,
            "use letters, digits, dots, dashes and underscores, at most 200 characters, without a slash at either end",
        )),
    }
}

/// The major of a version of PostgreSQL as a server or program says it: 17 of `17.2`, of `17.2 (Debian 17.2-1)`, of `17rc1`.
#[must_use]
pub fn major_of(version: &str) -> Option<i32> {
    let digits = version.find(|c: char| !c.is_ascii_digit());
    let digits = version.get(..digits.unwrap_or(version.len()))?;
    digits.parse().ok()
}

/// Whether it can be the name of a locale, such as `es_CL.UTF-8`, and is no path.
#[must_use]
pub fn is_locale(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.@-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_environment_only_the_proxies_can_be_named_and_no_password() {
        let refused = |name: &str, value: &str| {
            let env = [(name.to_owned(), value.to_owned())].into();
            proxies("spec.template.env", &env).err()
        };
        for good in [
            ("HTTPS_PROXY", "http://proxy.example:3128"),
            ("HTTPS_PROXY", "https://proxy.example/"),
            ("HTTPS_PROXY", ""),
            ("NO_PROXY", "localhost,.svc,10.0.0.0/8"),
        ] {
            assert_eq!(refused(good.0, good.1), None, "{good:?}");
        }
        let long = "geheim".repeat(1_000);
        for (name, value) in [
            ("HTTPS_PROXY", "http://user:geheim@proxy"),
            ("HTTPS_PROXY", "geheim:3128"),
            ("HTTPS_PROXY", "http://proxy/geheim"),
            ("PGPASSWORD", "geheim"),
            ("https_proxy", "http://geheim"),
            ("NO_PROXY", long.as_str()),
        ] {
            let why = refused(name, value).unwrap();
            assert_eq!(why.field, format!("spec.template.env.{name}"));
            assert!(!why.to_string().contains("geheim"), "{why}");
        }
    }
}
