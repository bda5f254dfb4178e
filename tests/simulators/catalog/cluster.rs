//! The simulated Kubernetes as a pod of the deployment sees it, and as its controller is told what happens in the pods.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

/// One cluster, and where the deployment is in it.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    url: String,
    /// The namespace of the deployment.
    pub(crate) namespace: String,
    /// Its name, and the value of the label `app` of its pods.
    pub(crate) deployment: String,
}

/// A refusal: the status, and the message of the server.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl Cluster {
    /// At an address.
    pub(crate) fn new(url: &str, namespace: String, deployment: String) -> Result<Self, String> {
        let client = Client::builder().no_proxy().connect_timeout(Duration::from_secs(5)).build();
        let client = client.map_err(|why| why.to_string())?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), namespace, deployment })
    }

    /// One request as a service account of the namespace.
    pub(crate) async fn ask(
        &self,
        account: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let user = format!("system:serviceaccount:{}:{account}", self.namespace);
        let mut request = self.client.request(method, format!("{}{path}", self.url)).header("impersonate-user", user);
        if let Some(body) = body {
            request = request.json(body);
        }
        let lost = |why: reqwest::Error| Refusal { status: 0, message: why.to_string() };
        let response = request.timeout(Duration::from_secs(5)).send().await.map_err(lost)?;
        let status = response.status();
        let answer: Value = response.json().await.map_err(lost)?;
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        Err(Refusal { status: status.as_u16(), message })
    }

    /// One object as the admin; nothing when it is not there.
    pub(crate) async fn read(&self, path: &str) -> Option<Value> {
        let response = self.client.get(format!("{}{path}", self.url)).timeout(Duration::from_secs(5)).send().await;
        response.ok()?.error_for_status().ok()?.json().await.ok()
    }

    /// The values of a secret or a config map, as texts.
    pub(crate) async fn values(&self, plural: &str, name: &str) -> Option<Vec<(String, String)>> {
        use base64::Engine as _;
        let object = self.read(&format!("/api/v1/namespaces/{}/{plural}/{name}", self.namespace)).await?;
        let text = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            if plural == "configmaps" {
                return text.to_owned();
            }
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let data = object["data"].as_object().cloned().unwrap_or_default();
        Some(data.iter().map(|(key, value)| (key.clone(), text(value))).collect())
    }

    /// Tells the simulated controller something. When the cluster is gone there is nobody to tell.
    pub(crate) async fn control(&self, what: &Value) {
        let request = self.client.post(format!("{}/control", self.url)).json(what).timeout(Duration::from_secs(5));
        let _cluster_may_be_gone = request.send().await;
    }

    /// Says which pods are ready: those of the deployment that are not named are not.
    pub(crate) async fn ready(&self, pods: &[String]) {
        let fits = format!("{}-*", self.deployment);
        self.control(&json!({ "probed": { "namespace": self.namespace, "name": fits, "ready": pods } })).await;
    }

    /// The changes of the deployment's pods, as lines of JSON, from the pods that are there on.
    pub(crate) async fn watch(&self) -> Result<reqwest::Response, reqwest::Error> {
        let path =
            format!("/api/v1/namespaces/{}/pods?watch=true&labelSelector=app={}", self.namespace, self.deployment);
        self.client.get(format!("{}{path}", self.url)).send().await?.error_for_status()
    }
}
