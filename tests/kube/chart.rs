//! The chart lints, refuses unknown values, and a real kube-apiserver takes every object it renders.

use std::process::{Command, Output};

use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::real_kube::{RealKube, client_for, helm, repository, yaml_files};

fn run_helm(arguments: &[&str]) -> Output {
    let scratch = tempfile::tempdir().expect("temporary folder");
    let mut command = Command::new(helm());
    // Helm's own folders, so that nothing of the user's is read or written.
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, scratch.path());
    }
    command
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("helm runs")
}

fn rendered(arguments: &[&str]) -> String {
    let arguments = [&["template", "demo", "charts/mosdat", "--namespace=chart"], arguments].concat();
    let output = run_helm(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn it_lints() {
    let output = run_helm(&["lint", "--strict", "charts/mosdat"]);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("[ERROR]") && !text.contains("[WARNING]"), "{text}");
}

#[test]
fn a_value_that_it_does_not_know_is_refused() {
    let output = run_helm(&["template", "demo", "charts/mosdat", "--set=image.repositry=x"]);
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("repositry"), "{message}");
}

#[test]
fn the_controllers_pod_is_locked_down() {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&rendered(&[])).expect("YAML");
    let deployment = documents
        .iter()
        .find(|document| document["kind"] == "Deployment")
        .expect("a Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
}

#[test]
fn its_crds_are_the_generated_ones() {
    let read = |dir: &str| -> Vec<(String, String)> {
        let files = yaml_files(&repository().join(dir));
        let name = |path: &std::path::Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        files
            .iter()
            .map(|path| (name(path), std::fs::read_to_string(path).expect("readable")))
            .collect()
    };
    assert_eq!(read("crds"), read("charts/mosdat/crds"), "run `make generate`");
}

#[tokio::test]
async fn a_real_api_server_takes_all_of_it() {
    let kube = RealKube::shared().await;
    kube.kubectl_ok(&["create", "namespace", "chart"]).await;
    for values in [
        &[][..],
        &[
            "--set=artifacts.existingClaim=reports,image.tag=x",
            "--set-json=extraEnv=[{\"name\":\"A\",\"value\":\"b\"}]",
        ],
    ] {
        let yaml = rendered(&[values, &["--include-crds"]].concat());
        let arguments = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        let output = kube.kubectl_as(kube.kubeconfig(), &arguments, &yaml).await;
        assert!(
            output.status.success(),
            "{}\n{yaml}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        for kind in ["serviceaccount/", "clusterrole.", "clusterrolebinding.", "deployment."] {
            assert!(answer.contains(kind), "{kind} is not in the answer:\n{answer}");
        }
    }
}

#[tokio::test]
async fn the_controllers_account_may_do_what_it_needs_and_no_more() {
    let kube = RealKube::shared().await;
    let config = kube.controller_kubeconfig("controller-rules", "mosdat").await;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client_for(&config).await);
    // "resource" or "resource.group", as kubectl writes it; the server answers for kinds it has not got, too.
    let may = async |verb: &str, resource: &str| {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        let attributes = json!({"verb": verb, "resource": resource, "group": group, "namespace": "default"});
        let review = json!({"metadata": {}, "spec": {"resourceAttributes": attributes}});
        let review = serde_json::from_value(review).expect("a SelfSubjectAccessReview");
        let answer = reviews
            .create(&PostParams::default(), &review)
            .await
            .expect("an answer");
        answer.status.expect("an answered review has a status").allowed
    };
    for (verb, resource) in [
        ("watch", "functionaltestruns.mosdat.dev"),
        ("create", "proxmoxvms.mosdat.dev"),
        ("get", "secrets"),
        ("create", "events"),
        ("patch", "functionaltestruns.mosdat.dev"),
    ] {
        assert!(may(verb, resource).await, "the controller may not {verb} {resource}");
    }
    for (verb, resource) in [
        ("list", "secrets"),
        ("watch", "secrets"),
        ("create", "pods"),
        ("delete", "namespaces"),
        ("update", "clusterroles.rbac.authorization.k8s.io"),
    ] {
        assert!(
            !may(verb, resource).await,
            "the controller may {verb} {resource}, which it does not need"
        );
    }
}
