//! What a command of a person does in the cluster: with that person's own rights, and nothing else.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::{Api, Client, Config, ResourceExt};

use crate::api::{MigrationApproval, MigrationRun};

/// A person's way into a cluster.
pub struct Person {
    client: Client,
    namespace: String,
}

impl Person {
    /// By the kubeconfig that kubectl would take.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub async fn connect() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut config = Config::infer().await?;
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config)?;
        Ok(Self { client, namespace })
    }

    /// In which namespace they are where they name none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Who the API server takes them for.
    ///
    /// # Errors
    /// As the API server says.
    pub async fn name(&self) -> kube::Result<Option<String>> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let asked = SelfSubjectReview::default();
        let answer = api.create(&PostParams::default(), &asked).await?;
        let user = answer.status.and_then(|s| s.user_info);
        Ok(user.and_then(|u| u.username))
    }

    /// A run.
    ///
    /// # Errors
    /// As the API server says.
    pub async fn run(&self, namespace: &str, name: &str) -> kube::Result<MigrationRun> {
        let api: Api<MigrationRun> = Api::namespaced(self.client.clone(), namespace);
        api.get(name).await
    }

    /// Writes an approval.
    ///
    /// # Errors
    /// As the API server says.
    pub async fn approve(&self, approval: &MigrationApproval) -> kube::Result<()> {
        let namespace = approval.namespace().unwrap_or_default();
        let api: Api<MigrationApproval> = Api::namespaced(self.client.clone(), &namespace);
        let created = api.create(&PostParams::default(), approval).await;
        created.map(drop)
    }
}
