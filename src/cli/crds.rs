//! `mosdat crds` and `mosdat rbac`: the generated manifests.

use super::exit;
use anyhow::Context;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct CrdsArgs {
    /// Write one file per kind into this folder instead of printing them.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct RbacArgs {}

pub fn crds(args: CrdsArgs) -> anyhow::Result<u8> {
    let mut all = String::new();
    for crd in crate::api::crds() {
        let text = yaml(&crd)?;
        match &args.output_dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
                let path = dir.join(format!("{}.yaml", crd.spec.names.plural));
                std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
            None => {
                all.push_str("---\n");
                all.push_str(&text);
            }
        }
    }
    print!("{all}");
    Ok(exit::PASSED)
}

pub fn rbac(_: RbacArgs) -> anyhow::Result<u8> {
    print!("{}", yaml(&crate::controller::rbac::rules())?);
    Ok(exit::PASSED)
}

/// A value as YAML.
pub fn yaml(v: &impl serde::Serialize) -> anyhow::Result<String> {
    // By way of a JSON value: what a type serialises as `null` is left out, and keys come in one order.
    let mut value = serde_json::to_value(v)?;
    drop_nulls(&mut value);
    let mut text = serde_saphyr::to_string(&value)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn drop_nulls(v: &mut serde_json::Value) {
    match v {
        serde_json::Value::Object(m) => {
            m.retain(|_, v| !v.is_null());
            m.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(a) => a.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
