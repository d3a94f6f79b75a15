//! What the chart says about all Jobs (`workers.*`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::{Deserialize, Serialize};

use crate::api::migration_run::ApprovalMode;
use crate::api::shared::PodTemplate;

/// The chart's `workers.*` values, given to the operator as one YAML file (a ConfigMap mount).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Lifeboat's own image, as the operator itself runs it.
    pub image: String,
    /// Pull policy of both images: `IfNotPresent`, `Always` or `Never`.
    pub image_pull_policy: String,
    /// Pattern of the PostgreSQL image; `{major}` is replaced. Default `docker.io/library/postgres:{major}`.
    pub postgres_image: String,
    /// Patterns that a policy's `template.postgresImage` must match (`*` matches anything); empty: all.
    #[serde(default)]
    pub allowed_images: Vec<String>,
    /// Major that runs while the server's is unknown (K20).
    pub default_major: i32,
    /// Uid of the pods; `null` where the platform assigns one (OpenShift).
    pub run_as_user: Option<i64>,
    /// Group of the pods' volumes; `null` where the platform assigns one.
    pub fs_group: Option<i64>,
    /// Names of pull secrets expected in each namespace.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// `HTTPS_PROXY` and `NO_PROXY` of the container `work`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Requests and limits of the container `work`.
    pub resources: ResourceRequirements,
    /// With which the names of the chart's admission policies begin; absent where they are not installed (K36).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<String>,
    /// Least that every migration needs: `Required` (default), somebody's approval; `None`, what its own spec says.
    #[serde(default)]
    pub approval: ApprovalMode,
    /// Namespaces that wait for each other's migrations and dumps of one database; none does by itself.
    #[serde(default, skip_serializing_if = "SharedServers::is_empty")]
    pub shared_servers: SharedServers,
}

/// Namespaces whose databases may stand on one server, as an administrator lists them. What a server says of itself proves nothing:
/// whoever may name a server may name one that lies, so no namespace waits for another that is not listed beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SharedServers(Vec<Vec<String>>);

impl SharedServers {
    /// Whether objects of both may have to wait for each other.
    #[must_use]
    pub fn together(&self, a: Option<&str>, b: Option<&str>) -> bool {
        let (Some(a), Some(b)) = (a, b) else {
            return a == b;
        };
        let lists = |list: &Vec<String>| [a, b].iter().all(|n| list.iter().any(|l| l == n));
        a == b || self.0.iter().any(lists)
    }

    /// Whether nobody waits for another namespace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Settings {
    /// Settings that allow every image, for looking at manifests without a chart.
    #[must_use]
    pub fn any_image() -> Self {
        Self {
            image: String::new(),
            image_pull_policy: "IfNotPresent".to_owned(),
            postgres_image: "docker.io/library/postgres:{major}".to_owned(),
            allowed_images: Vec::new(),
            default_major: 17,
            run_as_user: None,
            fs_group: None,
            image_pull_secrets: Vec::new(),
            env: BTreeMap::new(),
            resources: ResourceRequirements::default(),
            admission: None,
            approval: ApprovalMode::None,
            shared_servers: SharedServers::default(),
        }
    }

    /// The PostgreSQL image of a major version.
    #[must_use]
    pub fn postgres_image_for(&self, major: i32) -> String {
        self.postgres_image.replace("{major}", &major.to_string())
    }

    /// The environment of a container `work`: the template's over the chart's.
    #[must_use]
    pub fn env(&self, template: Option<&PodTemplate>) -> BTreeMap<String, String> {
        let own = template.map(|t| t.env.clone()).unwrap_or_default();
        let mut all = self.env.clone();
        all.extend(own);
        all.retain(|_, value| !value.is_empty());
        all
    }

    /// Whether a policy may name this image.
    #[must_use]
    pub fn allows_image(&self, image: &str) -> bool {
        self.allowed_images.is_empty() || self.allowed_images.iter().any(|p| matches(p, image))
    }
}

/// `*` matches any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{PodTemplate, Settings, matches};

    #[test]
    fn a_template_says_otherwise_than_the_chart_and_may_take_away() {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            pairs.collect::<std::collections::BTreeMap<_, _>>()
        };
        let chart = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", ".svc")];
        let settings = Settings {
            env: map(&chart),
            ..Settings::any_image()
        };
        assert_eq!(settings.env(None), map(&chart));
        let template = PodTemplate {
            env: map(&[("HTTPS_PROXY", "http://b:2")]),
            ..PodTemplate::default()
        };
        let both = map(&[("HTTPS_PROXY", "http://b:2"), ("NO_PROXY", ".svc")]);
        assert_eq!(settings.env(Some(&template)), both);
        let none = PodTemplate {
            env: map(&[("HTTPS_PROXY", "")]),
            ..PodTemplate::default()
        };
        assert_eq!(settings.env(Some(&none)), map(&[("NO_PROXY", ".svc")]));
    }

    #[test]
    fn a_star_matches_any_run() {
        assert!(matches("registry.example/*", "registry.example/postgis:17"));
        assert!(matches("*/postgres:*", "docker.io/library/postgres:17"));
        assert!(matches("postgres:17", "postgres:17"));
        assert!(!matches("postgres:17", "postgres:171"));
        assert!(!matches(
            "registry.example/*",
            "evil.example/registry.example/x"
        ));
    }
}
