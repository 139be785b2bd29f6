//! What the commands with the predecessor's TOML file have in common: reading it with its `.env`, and telling remarks.

use crate::scenario::{Errors, Fate, Place, Problem};
use crate::seed::{self, Config, Need, Remark, SecretValue};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::core::DynamicObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// How remarks are printed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// As compilers write it.
    Text,
    /// An array of objects.
    Json,
}

/// Reads the file, or tells what is wrong with it.
pub fn read(path: &Path) -> Result<Config, Errors> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))?;
    if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
        return Err(Errors(vec![Problem {
            origin,
            place: Place::Whole,
            message:
                "this is YAML, and a TOML file of the predecessor is wanted here; scenarios and manifests are for \
                      'mosdat validate' and 'mosdat run', scenarios of the predecessor for 'mosdat import'"
                    .to_string(),
        }]));
    }
    let file = dot_env(path);
    let env = |name: &str| std::env::var(name).ok().or_else(|| file.get(name).cloned());
    seed::read(&origin, &text, &env)
}

/// What is said of a file that was named and cannot be read.
pub fn unreadable(path: &Path, e: &std::io::Error) -> Errors {
    Errors(vec![Problem {
        origin: path.display().to_string(),
        place: Place::Whole,
        message: super::plain(&e.to_string()),
    }])
}

/// The variables of the `.env` beside the file, else of the one in the top folder of its git repository; they count where
/// the environment has none.
fn dot_env(path: &Path) -> BTreeMap<String, String> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let top = whole.ancestors().skip(1).find(|f| f.join(".git").exists());
    let places = [Some(whole.with_file_name(".env")), top.map(|f| f.join(".env"))];
    let text = places
        .into_iter()
        .flatten()
        .find_map(|p| std::fs::read_to_string(p).ok());
    variables(&text.unwrap_or_default())
}

/// `NAME=VALUE` by lines, with or without `export` and quotes.
fn variables(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.trim();
        let bare = ['"', '\'']
            .iter()
            .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        Some((name.trim().to_string(), bare.unwrap_or(value).to_string()))
    };
    text.lines().filter_map(pair).collect()
}

/// Prints what is wrong, each on its line.
pub fn tell_errors(errors: &Errors, form: Form) {
    match form {
        Form::Text => errors
            .0
            .iter()
            .for_each(|p| eprintln!("{}", super::plain(&p.to_string()))),
        Form::Json => {
            let told = errors.0.iter().map(|p| {
                let object = json!({"fate": "error", "file": p.origin, "message": p.message});
                super::import::at(&p.place, object)
            });
            eprintln!("{:#}", Value::Array(told.collect()));
        }
    }
}

/// Prints remarks as `mosdat import` does; with `quiet` none about what is kept.
pub fn tell(remarks: &[Remark], form: Form, quiet: bool) {
    let shown = remarks.iter().filter(|r| !(quiet && r.fate == Fate::Kept));
    match form {
        Form::Text => shown.for_each(|r| eprintln!("{r}")),
        Form::Json => {
            let told = shown.map(|r| {
                let object = json!({"fate": r.fate.as_str(), "file": r.origin, "message": r.message});
                super::import::at(&r.place, object)
            });
            eprintln!("{:#}", Value::Array(told.collect()));
        }
    }
}

/// The remarks of imported scenarios, in the same form.
pub fn imported(loaded: &[seed::files::Loaded]) -> Vec<Remark> {
    let all = loaded.iter().flat_map(|l| &l.remarks);
    all.map(|r| Remark {
        origin: r.origin.clone(),
        place: r.place.clone(),
        fate: r.fate,
        message: r.message.clone(),
    })
    .collect()
}

/// An object as the API takes it.
pub fn object(o: &impl Serialize) -> anyhow::Result<DynamicObject> {
    let mut value = serde_json::to_value(o)?;
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
    Ok(serde_json::from_value(value)?)
}

/// A secret's value, or what it would have to come from.
pub fn value(key: &str, value: &SecretValue) -> Result<SecretString, String> {
    match value {
        SecretValue::Known(text) => Ok(text.clone()),
        SecretValue::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim_end().to_string().into()),
            Err(e) => Err(format!(
                "{key}: cannot read {}: {}",
                path.display(),
                super::plain(&e.to_string())
            )),
        },
        SecretValue::Env(_) => Err(format!("{key}: set {}", value.told())),
    }
}

/// The Secret with all its values, or what they would have to come from.
pub fn secret(need: &Need) -> Result<Secret, String> {
    let mut data = BTreeMap::new();
    let mut missing = Vec::new();
    for (key, wanted) in &need.keys {
        match value(key, wanted) {
            Ok(text) => {
                data.insert(key.clone(), ByteString(text.expose_secret().as_bytes().to_vec()));
            }
            Err(why) => missing.push(why),
        }
    }
    match missing.is_empty() {
        false => Err(missing.join("; ")),
        true => Ok(Secret {
            metadata: kube::api::ObjectMeta {
                name: Some(need.secret.clone()),
                ..Default::default()
            },
            data: Some(data),
            ..Default::default()
        }),
    }
}

/// Whether an argument of the command line is a file of the predecessor.
pub fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|x| x == "toml")
}

/// Everything that is wrong with a file, or with the resources that it becomes.
pub async fn problems(path: &Path) -> anyhow::Result<Vec<String>> {
    let made = read(path).map(|config| {
        let vms: Vec<_> = config.vms.iter().collect();
        // A file may leave the host to the environment of whoever uses it.
        if config.proxmox.host.is_none() {
            return Ok(None);
        }
        seed::fleet(&config, &vms).map(Some)
    });
    let fleet = match made {
        Ok(Ok(fleet)) => fleet,
        Ok(Err(errors)) | Err(errors) => return Ok(errors.0.iter().map(ToString::to_string).collect()),
    };
    let Some(fleet) = fleet else { return Ok(Vec::new()) };
    let mut objects = vec![object(&fleet.cluster)?];
    for vm in &fleet.vms {
        objects.push(object(vm)?);
    }
    if let Some(vision) = &fleet.vision {
        objects.push(object(vision)?);
    }
    let wrong = super::check::problems(&super::functional::documents(&objects)).await?;
    Ok(wrong.into_iter().map(|p| format!("{}: {p}", path.display())).collect())
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn an_env_file_is_read_as_shells_do() {
        let read = variables("# A=1\nexport B=two\nC = 'a=b'\n\nD=\"x y\"\nE='\nnothing\n");
        let read: Vec<_> = read.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(read, ["B=two", "C=a=b", "D=x y", "E='"]);
    }
}
