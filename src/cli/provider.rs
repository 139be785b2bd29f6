//! The vision backend of a command that has no run: from a manifest, or from a cluster.

use super::apply::{self, Body, kind_of};
use super::session::ClusterArgs;
use crate::api::{SecretKeyRef, VisionProvider};
use crate::controller::no_key;
use crate::executor::VisionSettings;
use anyhow::Context;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::{Api, ResourceExt};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Which vision backend.
#[derive(clap::Args)]
pub struct ProviderArgs {
    /// What looks at the picture: a file with a VisionProvider, or the name of one in the cluster. Without it, text is
    /// recognised.
    #[arg(long, value_name = "FILE|NAME")]
    pub provider: Option<String>,
    /// File with the provider's API key, where the key's Secret is not in the provider's file.
    #[arg(long, value_name = "FILE", requires = "provider")]
    pub api_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Namespace of a named provider.
    #[arg(long, short = 'n', requires = "provider")]
    pub namespace: Option<String>,
    /// Folder of `mosdat up`, for a named provider.
    #[arg(long, default_value = ".mosdat", env = "MOSDAT_STATE")]
    pub state: PathBuf,
}

impl ProviderArgs {
    /// The provider with its key. An error says what is wrong with what was given.
    pub async fn settings(&self) -> anyhow::Result<Option<VisionSettings>> {
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        let given = match &self.api_key_file {
            None => None,
            Some(path) => {
                let key = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                Some(SecretString::from(key.trim()))
            }
        };
        let path = Path::new(provider);
        let file = path.exists() || path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        let mut settings = match file {
            true => from_file(path, given.is_some())?,
            false => self.in_cluster(provider, given.is_some()).await?,
        };
        if given.is_some() {
            settings.api_key = given;
        }
        Ok(Some(settings))
    }

    async fn in_cluster(&self, name: &str, has_key: bool) -> anyhow::Result<VisionSettings> {
        let local = self.state.join("kubeconfig");
        let cluster = match self.cluster.named() {
            true => self.cluster.clone(),
            false if !local.exists() && std::env::var_os("KUBECONFIG").is_some() => self.cluster.clone(),
            false if local.exists() => ClusterArgs {
                context: None,
                kubeconfig: Some(local),
            },
            false => anyhow::bail!(
                "--provider {name}: there is no such file, and no cluster is named; give a file with a VisionProvider, or \
                 --context or --kubeconfig"
            ),
        };
        let client = cluster.client().await?;
        let ns = self
            .namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_string());
        let found = Api::<VisionProvider>::namespaced(client.clone(), &ns)
            .get_opt(name)
            .await
            .with_context(|| format!("reading VisionProvider {ns}/{name}"))?;
        let Some(found) = found else {
            anyhow::bail!("--provider {name}: VisionProvider {ns}/{name} does not exist");
        };
        let api_key = match key_of(&found).filter(|_| !has_key) {
            None => None,
            Some(key) => {
                let secret = Api::<Secret>::namespaced(client, &ns)
                    .get_opt(&key.name)
                    .await
                    .with_context(|| format!("reading Secret {ns}/{}", key.name))?;
                Some(value(&ns, &key, secret.as_ref()).map_err(|why| anyhow::anyhow!("--provider {name}: {why}"))?)
            }
        };
        Ok(VisionSettings {
            name: name.to_string(),
            spec: found.spec,
            api_key,
        })
    }
}

fn key_of(provider: &VisionProvider) -> Option<SecretKeyRef> {
    provider.spec.openai.as_ref()?.api_key_secret_ref.clone()
}

fn value(ns: &str, key: &SecretKeyRef, secret: Option<&Secret>) -> Result<SecretString, String> {
    if let Some(why) = no_key(ns, key, secret) {
        return Err(why);
    }
    let data = secret.and_then(|s| s.data.as_ref()?.get(&key.key)).map(|v| v.0.clone());
    let text = secret.and_then(|s| s.string_data.as_ref()?.get(&key.key)).cloned();
    let bytes = text.map(String::into_bytes).or(data).unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|_| format!("Secret {ns}/{}: {} is no text", key.name, key.key))?;
    Ok(SecretString::from(text.trim()))
}

/// The one provider of a file, with the key from a Secret of the same file.
fn from_file(path: &Path, has_key: bool) -> anyhow::Result<VisionSettings> {
    let apply::Read {
        documents, problems, ..
    } = apply::read(&[path.to_path_buf()], false);
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let objects: Vec<DynamicObject> = documents
        .into_iter()
        .filter_map(|d| match d.body {
            Body::Object(object) => Some(*object),
            _ => None,
        })
        .collect();
    let shown = path.display();
    let mut providers = objects.iter().filter(|o| kind_of(o) == "VisionProvider");
    let (Some(object), None) = (providers.next(), providers.next()) else {
        anyhow::bail!("{shown}: one VisionProvider is needed in it");
    };
    let provider: VisionProvider = typed(object).with_context(|| format!("{shown}: VisionProvider"))?;
    let api_key = match key_of(&provider).filter(|_| !has_key) {
        None => None,
        Some(key) => {
            let secret = objects
                .iter()
                .filter(|o| kind_of(o) == "Secret" && o.metadata.name.as_ref() == Some(&key.name))
                .find_map(|o| typed::<Secret>(o).ok());
            let ns = object
                .metadata
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_string());
            let why = |why: String| {
                anyhow::anyhow!("{shown}: {why} (a Secret in the same file will do, or --api-key-file FILE)")
            };
            Some(value(&ns, &key, secret.as_ref()).map_err(why)?)
        }
    };
    Ok(VisionSettings {
        name: provider.name_any(),
        spec: provider.spec,
        api_key,
    })
}

fn typed<T: DeserializeOwned>(object: &DynamicObject) -> anyhow::Result<T> {
    Ok(serde_json::from_value(serde_json::to_value(object)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_file_holds_the_provider_and_its_key() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("p.yaml");
        let provider = "apiVersion: mosdat.dev/v1alpha1\nkind: VisionProvider\nmetadata: {name: big}\nspec:\n  openai:\n    \
                        baseUrls: ['http://box/v1']\n    locateModel: m\n    apiKeySecretRef: {name: k, key: key}\n";
        let read = |text: &str, has_key| {
            std::fs::write(&path, text).expect("written");
            from_file(&path, has_key).map_err(|e| format!("{e:#}"))
        };
        let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: k}\nstringData: {key: \"abc\\n\"}\n";
        let settings = read(&format!("{provider}{secret}"), false).expect("settings");
        assert_eq!(settings.name, "big");
        assert_eq!(settings.api_key.expect("a key").expose_secret(), "abc");
        let missing = read(provider, false).err().unwrap_or_default();
        assert!(missing.contains("--api-key-file"), "{missing}");
        assert!(read(provider, true).expect("settings").api_key.is_none());
        let none = read(secret, false).err().unwrap_or_default();
        assert!(none.contains("one VisionProvider is needed"), "{none}");
    }
}
