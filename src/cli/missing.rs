//! What runs refer to, looked for before anything is applied: among the files, then on the control plane.

use super::apply::kind_of;
use crate::api::{FunctionalTestRun, Scenario, VisionProvider};
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

async fn absent<K>(client: &Client, ns: &str, name: &str) -> bool
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    matches!(Api::<K>::namespaced(client.clone(), ns).get_opt(name).await, Ok(None))
}
