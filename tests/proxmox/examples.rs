//! What stands in examples/proxmox is taken by the API server.

use crate::world::World;
use kube::api::{Api, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;

on_both!(examples_are_accepted);

async fn examples_are_accepted(world: World) {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/proxmox");
    let mut kinds = vec![];
    for file in std::fs::read_dir(dir).expect("folder").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("text");
        let object: DynamicObject = serde_saphyr::from_str(&text).expect("YAML");
        let types = object.types.clone().expect("apiVersion and kind");
        let gvk = GroupVersionKind::try_from(&types).expect("kind");
        let (resource, _) = kube::discovery::pinned_kind(&world.client, &gvk)
            .await
            .expect("resource");
        let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.ns, &resource);
        let mut params = PatchParams::apply("examples").force();
        params.field_validation = Some(ValidationDirective::Strict);
        let name = object.metadata.name.clone().expect("name");
        if let Err(e) = api.patch(&name, &params, &Patch::Apply(&object)).await {
            panic!("{}: {e}", file.path().display());
        }
        kinds.push(types.kind);
    }
    kinds.sort();
    assert_eq!(kinds, ["GpuProfile", "ProxmoxCluster", "ProxmoxVM", "ProxmoxVM"]);
}
