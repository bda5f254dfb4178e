use super::{KubectlCall, KubectlProblem};

fn call(line: &str) -> KubectlCall {
    KubectlCall::new(line.split_whitespace().map(str::to_owned))
}

fn problem(line: &str) -> Option<KubectlProblem> {
    call(line).problem(true)
}

#[test]
fn verbs_have_one_word_or_two() {
    let rows = [
        ("get pods", "get"),
        ("rollout status deployment/api", "rollout status"),
        ("auth can-i get pods", "auth can-i"),
        ("create job x --from=cronjob/y", "create job"),
        ("create -f x.yaml", "create"),
        ("apply view-last-applied deployment/x", "apply view-last-applied"),
        ("apply -f x", "apply"),
        ("top pods", "top pod"),
        ("log x", "logs"),
        ("my-plugin do it", "my-plugin"),
        ("exec x -- get pods", "exec"),
    ];
    for (line, verb) in rows {
        assert_eq!(call(line).verb(), verb, "{line}");
    }
}

#[test]
fn what_reads_and_what_changes() {
    let reads = [
        "get pods -A",
        "describe pod x",
        "logs x",
        "top nodes",
        "version",
        "api-resources",
        "explain pods",
        "cluster-info",
        "auth can-i list pods",
        "auth whoami",
        "diff -f -",
        "rollout status deployment/x",
        "rollout history deployment/x",
        "wait pod/x --for=condition=Ready",
        "events",
        "config view",
        "exec x -- rm -rf /",
        "apply -f - --dry-run=server",
        "create ns x --dry-run=client -o yaml",
        "set image deployment/x a=b --dry_run=server",
        "rollout undo deployment/x --dry-run=server",
    ];
    let changes = [
        "apply -f -",
        "create ns x",
        "delete pod x",
        "patch pod x -p {}",
        "scale deployment/x --replicas=3",
        "rollout restart deployment/x",
        "rollout restart deployment/x --dry-run=server",
        "rollout undo deployment/x",
        "set image deployment/x a=b",
        "label pod x a=b",
        "drain n",
        "cp a b",
        "config use-context x",
        "config set-context --current --namespace=x",
        "auth reconcile -f x",
        "certificate approve x",
        "proxy",
        "my-plugin",
        "my-plugin --dry-run=client",
        "frobnicate",
        "apply -f - --dry-run",
        "apply -f - --dry-run=none",
        "apply -f - --dry-run=server --dry-run=none",
        "apply -f - --dry-run server",
        "apply -f - -- --dry-run=server",
    ];
    for line in reads {
        assert!(call(line).is_read(), "{line}");
    }
    for line in changes {
        assert!(!call(line).is_read(), "{line}");
    }
}

#[test]
fn the_target_alone_says_which_cluster() {
    let refused = [
        "get pods --context evil",
        "get pods --context=evil",
        "--context=evil get pods",
        "get pods --cluster=evil",
        "get pods --server=http://evil",
        "get pods -s http://evil",
        "get pods -shttp://evil",
        "get pods -Ashttp://evil",
        "get pods --kubeconfig=/evil",
        "get pods --token=evil",
        "get pods --user=evil",
        "get pods --insecure-skip-tls-verify",
        "get pods --insecure_skip_tls_verify",
        "get pods --client_key=evil",
        "get pods -n evil",
        "get pods -nevil",
        "get pods -An evil",
        "get pods --namespace=evil",
        "logs x -fn evil",
        "delete pods -A --all",
        "delete pods --all-namespaces --all",
    ];
    for line in refused {
        assert!(problem(line).is_some(), "{line}");
    }
    let allowed = [
        "get pods -A",
        "get pods --all-namespaces",
        "auth can-i get pods --as=system:serviceaccount:a:b --as-group=c",
        "get pods -oname",
        "get pods -ojsonpath={.items[0].metadata.namespace}",
        "get pods -lapp=nginx",
        "exec x -- psql -n -s --context=evil",
        "get pods --request-timeout=5s",
        "apply -f nginx.yaml",
        "apply -fnginx.yaml",
        "logs x -cnginx",
        "create rolebinding x --role=y --user=z",
    ];
    for line in allowed {
        assert_eq!(problem(line), None, "{line}");
    }
    assert_eq!(call("get pods -n other").problem(false), None);
    assert!(call("get pods --context=other").problem(false).is_some());
}

#[test]
fn a_verb_is_written_out() {
    for line in ["{{ verb }} pods", "-v get", "rollout {{ what }} x", "auth", "kubectl get pods", "‹x› pods"] {
        assert_eq!(problem(line).map(|problem| problem.code), Some("kubectl-verb"), "{line}");
    }
    assert_eq!(problem("get pods"), None);
}

#[test]
fn nobody_sits_at_the_terminal() {
    for line in ["edit pod x", "attach x", "exec -it x -- sh", "exec -t x -- sh", "exec --tty x", "create ns x --edit"]
    {
        assert_eq!(problem(line).map(|problem| problem.code), Some("kubectl-interactive"), "{line}");
    }
    for line in ["exec -i x -- psql", "exec x -- sh -it", "delete pod x -it"] {
        assert_eq!(problem(line).is_some(), line.starts_with("delete"), "{line}");
    }
}

#[test]
fn what_goes_on_until_it_is_ended() {
    for line in [
        "get pods -w",
        "get pods --watch",
        "get pods --watch-only=true",
        "logs -f x",
        "logs x --follow",
        "get -Aw pods",
    ] {
        assert!(call(line).watches().is_some(), "{line}");
    }
    for line in ["get pods", "get -f x.yaml", "logs x", "logs x --follow=false", "apply -f x"] {
        assert!(call(line).watches().is_none(), "{line}");
    }
}

#[test]
fn a_job_has_a_name_or_none() {
    for line in ["create job --from=cronjob/x", "create job --from cronjob/x", "create job --from=cronjob/x -o name"] {
        assert!(!call(line).has_name(), "{line}");
    }
    for line in ["create job a --from=cronjob/x", "create job --from=cronjob/x a", "create job --from cronjob/x a"] {
        assert!(call(line).has_name(), "{line}");
    }
}

#[test]
fn who_takes_documents() {
    for line in ["apply", "create", "delete", "replace", "diff", "get", "set image", "wait", "rollout status"] {
        assert!(call(line).takes_files(), "{line}");
    }
    for line in ["create job x", "logs", "exec x", "auth can-i", "drain", "my-plugin"] {
        assert!(!call(line).takes_files(), "{line}");
    }
}
