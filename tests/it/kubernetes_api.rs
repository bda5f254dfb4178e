//! The simulated Kubernetes as the stock kubectl sees it. Every test starts its own two clusters.

use crate::support::Kubernetes;

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "nginx:1.25", ports: [{containerPort: 80}], env: [{name: LEVEL, value: info}]}
"#;

fn with_web() -> Kubernetes {
    let kube = Kubernetes::start();
    _ = kube.kubectl_with(&["apply", "-f", "-"], WEB).exits(0).says("deployment.apps/web created");
    _ = kube.kubectl("rollout status deploy/web --timeout=10s").exits(0).says("successfully rolled out");
    kube
}

#[test]
fn a_deployment_rolls_out_and_scales() {
    let kube = with_web();
    _ = kube.kubectl("scale deploy/web --replicas=3").exits(0).says("scaled");
    _ = kube.kubectl("rollout status deploy/web --timeout=10s").exits(0);
    let pods = kube.kubectl("get pods -l app=web -o name").exits(0);
    assert_eq!(pods.stdout.lines().count(), 3, "{pods}");
}
