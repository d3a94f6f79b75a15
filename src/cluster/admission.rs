//! Whether the chart's admission policies for migrations stand as they were shipped (K35, K36).
//!
//! Who asked for a run and who approved it is text in an object. It is worth something because the API server held it
//! against who sent the object, and so only as long as it does.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicySpec,
};
use kube::{Api, Resource, ResourceExt};

use super::context::{Context, lock};
use super::fault::Fault;
use super::seen::Admission;
use crate::api::GROUP;

/// What was read counts for so long.
const FOR: Duration = Duration::from_secs(60);

/// One policy as it is shipped; its binding has its name.
#[derive(Debug)]
pub struct Shipped {
    /// The resource; ends its name: `<prefix>-<resource>`.
    pub resource: &'static str,
    /// What must be true of whoever creates one.
    pub expressions: &'static [&'static str],
}

/// All of them.
pub const SHIPPED: [Shipped; 2] = [
    Shipped {
        resource: "migrationruns",
        expressions: &["object.spec.requestedBy == request.userInfo.username"],
    },
    Shipped {
        resource: "migrationapprovals",
        expressions: &[
            "object.spec.approver == request.userInfo.username",
            "!request.userInfo.username.startsWith('system:serviceaccount:')",
            "authorizer.group('lifeboat.dev').resource('migrationruns').namespace(request.namespace).name(object.spec.runRef.name).check('approve').allowed()",
        ],
    },
];

/// What was seen of the policies within the last minute; reads them where that is longer ago.
///
/// # Errors
/// [`Fault`] when the API server does not answer: nobody knows then, and nothing is decided.
pub async fn look(context: &Context) -> Result<Admission, Fault> {
    let now = context.clock.now();
    if let Some((at, known)) = lock(&context.admission).as_ref()
        && now.duration_since(*at).unsigned_abs() < FOR
    {
        return Ok(known.clone());
    }
    let seen = read(context).await?;
    *lock(&context.admission) = Some((now, seen.clone()));
    Ok(seen)
}

async fn read(context: &Context) -> Result<Admission, Fault> {
    let Some(prefix) = &context.settings.admission else {
        return Ok(missing(
            "the chart was installed without its admission policies: set admission.enabled, for which an administrator of the cluster is needed",
        ));
    };
    let mut youngest = Timestamp::MIN;
    for shipped in &SHIPPED {
        let name = format!("{prefix}-{}", shipped.resource);
        let policy: Option<ValidatingAdmissionPolicy> =
            get(context, "ValidatingAdmissionPolicy", &name).await?;
        let binding: Option<ValidatingAdmissionPolicyBinding> =
            get(context, "ValidatingAdmissionPolicyBinding", &name).await?;
        let (Some(policy), Some(binding)) = (policy, binding) else {
            return Ok(missing(&format!(
                "the ValidatingAdmissionPolicy `{name}` or its binding is missing, or may not be read: upgrade the chart with admission.enabled"
            )));
        };
        if let Err(what) = as_shipped(shipped, &name, &policy, &binding) {
            return Ok(missing(&format!(
                "the ValidatingAdmissionPolicy `{name}` is weaker than shipped ({what}): upgrade the chart with admission.enabled"
            )));
        }
        for time in [policy.creation_timestamp(), binding.creation_timestamp()] {
            youngest = youngest.max(time.map_or(Timestamp::MAX, |t| t.0));
        }
    }
    Ok(Admission::InPlace(youngest))
}

/// The object; none too where it may not be read, which is as good as none.
async fn get<K>(context: &Context, kind: &'static str, name: &str) -> Result<Option<K>, Fault>
where
    K: Resource<Scope = k8s_openapi::ClusterResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::all(context.client.clone());
    match context.call("get", kind, api.get(name)).await {
        Ok(found) => Ok(Some(found).filter(|k| k.meta().deletion_timestamp.is_none())),
        Err(Fault::Gone { .. }) => Ok(None),
        Err(Fault::Api { source, .. }) if is_forbidden(&source) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn missing(why: &str) -> Admission {
    Admission::Missing(why.to_owned())
}

/// Whether policy and binding refuse all that they refused when they were shipped.
///
/// # Errors
/// What is weaker, in a few words.
pub fn as_shipped(
    shipped: &Shipped,
    name: &str,
    policy: &ValidatingAdmissionPolicy,
    binding: &ValidatingAdmissionPolicyBinding,
) -> Result<(), &'static str> {
    let spec = policy.spec.as_ref().ok_or("it has no spec")?;
    // Absent, it is Fail.
    if spec.failure_policy.as_deref().unwrap_or("Fail") != "Fail" {
        return Err("failurePolicy is not Fail");
    }
    let validations = spec.validations.as_deref().unwrap_or_default();
    let expressions: Vec<&str> = validations.iter().map(|v| v.expression.as_str()).collect();
    if expressions != shipped.expressions {
        return Err("its validations are others");
    }
    let some = |list: Option<usize>| list.is_some_and(|n| n > 0);
    if some(spec.match_conditions.as_ref().map(Vec::len))
        || some(spec.variables.as_ref().map(Vec::len))
        || spec.param_kind.is_some()
    {
        return Err("it has matchConditions, variables or parameters");
    }
    if !matches_all(spec, shipped.resource) {
        return Err("it does not match every creation");
    }
    let spec = binding.spec.as_ref().ok_or("its binding has no spec")?;
    if spec.policy_name.as_deref() != Some(name) {
        return Err("its binding is of another policy");
    }
    let actions = spec.validation_actions.as_deref().unwrap_or_default();
    if !actions.iter().any(|a| a == "Deny") {
        return Err("its binding does not deny");
    }
    match spec.match_resources.is_none() && spec.param_ref.is_none() {
        true => Ok(()),
        false => Err("its binding does not match everything"),
    }
}

fn matches_all(spec: &ValidatingAdmissionPolicySpec, resource: &str) -> bool {
    let Some(matched) = &spec.match_constraints else {
        return false;
    };
    let selectors = [&matched.namespace_selector, &matched.object_selector];
    let no_selector = selectors.into_iter().flatten().all(|selector| {
        selector.match_labels.as_ref().is_none_or(|l| l.is_empty())
            && selector
                .match_expressions
                .as_ref()
                .is_none_or(Vec::is_empty)
    });
    let none_out = matched
        .exclude_resource_rules
        .as_ref()
        .is_none_or(Vec::is_empty);
    let rules = matched.resource_rules.as_deref().unwrap_or_default();
    let names = |list: Option<&Vec<String>>, what: &str| {
        list.is_some_and(|list| list.iter().any(|item| item == what || item == "*"))
    };
    let one_does = rules.iter().any(|rule| {
        names(rule.api_groups.as_ref(), GROUP)
            && names(rule.api_versions.as_ref(), crate::api::VERSION)
            && names(rule.operations.as_ref(), "CREATE")
            && names(rule.resources.as_ref(), resource)
            && rule.resource_names.as_ref().is_none_or(Vec::is_empty)
            && rule
                .scope
                .as_deref()
                .is_none_or(|s| s == "*" || s == "Namespaced")
    });
    no_selector && none_out && one_does
}
