//! What runs refer to, looked for before anything is applied: among the files, then on the control plane.

use super::apply::kind_of;
use crate::api::{FunctionalTestRun, ProxmoxCluster, Scenario, VisionProvider};
use crate::controller::no_key;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;

/// What is missing, each with the place of the run that refers to it. What cannot be looked up, such as Secrets that
/// the person may not read, is left to the controller to judge.
pub async fn missing(client: &Client, namespace: &str, objects: &[(String, DynamicObject)]) -> Vec<String> {
    let mut out = Vec::new();
    for (place, object) in objects.iter().filter(|(_, o)| kind_of(o) == "FunctionalTestRun") {
        let Some(run) = typed::<FunctionalTestRun>(object) else {
            continue;
        };
        let ns = object.namespace().unwrap_or_else(|| namespace.to_string());
        let files = Files::of(objects, Some(namespace), object);
        if let Some(scenario) = &run.spec.scenario.reference
            && files.find("Scenario", &scenario.name).is_none()
            && absent::<Scenario>(client, &ns, &scenario.name).await
        {
            let name = &scenario.name;
            out.push(format!(
                "{place}: spec.scenario.ref: Scenario {ns}/{name} does not exist; apply it first, or give its file to the same command"
            ));
        }
        if let Some(vision) = &run.spec.vision_ref
            && files.find("VisionProvider", &vision.name).is_none()
            && absent::<VisionProvider>(client, &ns, &vision.name).await
        {
            let name = &vision.name;
            out.push(format!(
                "{place}: spec.visionRef: VisionProvider {ns}/{name} does not exist; apply it first, or give its file to the same command"
            ));
        }
        if let Some(template) = &run.spec.vm.template
            && files.find("ProxmoxCluster", &template.cluster_ref.name).is_none()
            && absent::<ProxmoxCluster>(client, &ns, &template.cluster_ref.name).await
        {
            let name = &template.cluster_ref.name;
            out.push(format!(
                "{place}: spec.vm.template.clusterRef: ProxmoxCluster {ns}/{name} does not exist{}; apply it first, or name another \
                 (for a scenario's file with --on-cluster)",
                clusters(client, &ns).await
            ));
        }
        for v in &run.spec.secret_variables {
            let r = &v.secret_key_ref;
            let found = match files.find("Secret", &r.name).and_then(typed::<Secret>) {
                Some(s) => Some(s),
                None => match Api::<Secret>::namespaced(client.clone(), &ns).get_opt(&r.name).await {
                    Ok(s) => s,
                    Err(_) => continue,
                },
            };
            if let Some(why) = no_key(&ns, r, found.as_ref()) {
                out.push(format!("{place}: spec.secretVariables[{}]: {why}", v.name));
            }
        }
    }
    out
}

/// The files' objects as a run sees them: by name, in its own namespace.
pub struct Files<'a> {
    objects: &'a [(String, DynamicObject)],
    /// Of objects that name none.
    namespace: Option<&'a str>,
    /// Of the run.
    ns: Option<&'a str>,
}

impl<'a> Files<'a> {
    /// For this run. `namespace` is that of objects that name none; while it is not known, they are in one with each
    /// other only.
    pub fn of(objects: &'a [(String, DynamicObject)], namespace: Option<&'a str>, run: &'a DynamicObject) -> Files<'a> {
        Files {
            objects,
            namespace,
            ns: run.metadata.namespace.as_deref().or(namespace),
        }
    }

    /// The object that the run means by a name.
    pub fn find(&self, kind: &str, name: &str) -> Option<&'a DynamicObject> {
        let mut all = self.objects.iter().map(|(_, o)| o);
        all.find(|o| {
            kind_of(o) == kind
                && o.metadata.name.as_deref() == Some(name)
                && o.metadata.namespace.as_deref().or(self.namespace) == self.ns
        })
    }
}

/// An object as its kind has it.
pub fn typed<T: DeserializeOwned>(o: &DynamicObject) -> Option<T> {
    serde_json::from_value(serde_json::to_value(o).ok()?).ok()
}

/// `; there are a, b`, as far as that can be asked.
async fn clusters(client: &Client, ns: &str) -> String {
    let list = Api::<ProxmoxCluster>::namespaced(client.clone(), ns)
        .list(&Default::default())
        .await;
    let names: Vec<String> = list.iter().flatten().map(|cluster| cluster.name_any()).collect();
    match (list.is_ok(), names.is_empty()) {
        (true, true) => "; there is none in this namespace".to_string(),
        (true, false) => format!("; there are {}", names.join(", ")),
        (false, _) => String::new(),
    }
}

async fn absent<K>(client: &Client, ns: &str, name: &str) -> bool
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    matches!(Api::<K>::namespaced(client.clone(), ns).get_opt(name).await, Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controlplane::{ControlPlane, Kinds, Options};
    use kube::api::PostParams;

    fn object(text: &str) -> DynamicObject {
        serde_saphyr::from_str(text).expect("YAML")
    }

    #[tokio::test]
    async fn a_cluster_that_is_not_there_is_told_with_those_that_are() {
        let dir = tempfile::tempdir().expect("folder");
        let plane = ControlPlane::open(Options {
            state_file: dir.path().join("state.redb"),
            kinds: Kinds::new(crate::api::crds()).expect("kinds"),
        })
        .expect("control plane");
        let client = plane.client("default");
        let lab = "apiVersion: mosdat.dev/v1alpha1\nkind: ProxmoxCluster\nmetadata: {name: lab}\nspec:\n  \
            endpoints: ['https://127.0.0.1:9']\n  credentialsSecretRef: {name: a}\n  vmidRange: {start: 100, end: 200}\n";
        let run = |cluster: &str| {
            let text = format!(
                "apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {{name: r}}\nspec:\n  \
                 vm: {{template: {{clusterRef: {{name: {cluster}}}, source: {{clone: {{template: desktop}}}}}}}}\n  \
                 scenario: {{inline: {{name: t, steps: [{{key: tab}}]}}}}\n"
            );
            ("r.yaml:1".to_string(), object(&text))
        };
        let asked = |objects: Vec<(String, DynamicObject)>| {
            let client = client.clone();
            async move { missing(&client, "default", &objects).await.join("\n") }
        };
        let told = asked(vec![run("nosuch")]).await;
        assert!(told.contains("there is none in this namespace"), "{told}");
        let there: ProxmoxCluster = typed(&object(lab)).expect("a cluster");
        let api = Api::<ProxmoxCluster>::namespaced(client.clone(), "default");
        api.create(&PostParams::default(), &there).await.expect("made");
        let told = asked(vec![run("nosuch")]).await;
        assert!(
            told.contains(
                "r.yaml:1: spec.vm.template.clusterRef: ProxmoxCluster default/nosuch does not exist; there are lab"
            ) && told.contains("--on-cluster"),
            "{told}"
        );
        assert_eq!(asked(vec![run("lab")]).await, "");
        let beside = object(&lab.replace("name: lab", "name: nosuch"));
        assert_eq!(asked(vec![("c.yaml:1".to_string(), beside), run("nosuch")]).await, "");
    }
}
