//! How things look on the wire: encoding of parameters, names of methods, templates of paths.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use url::Url;

/// Proxmox splits forms at `&` and `;` and at every `=`: everything but unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Parameters of a call; a key that occurs several times is an array.
pub(super) type Params<'a> = Vec<(&'a str, String)>;

/// Percent-encodes one path segment or value.
pub(super) fn esc(s: &str) -> String {
    utf8_percent_encode(s, RESERVED).to_string()
}

pub(super) fn encode(params: &[(&str, String)]) -> String {
    let pairs: Vec<String> = params.iter().map(|(k, v)| format!("{}={}", esc(k), esc(v))).collect();
    pairs.join("&")
}

pub(super) fn method_name(m: &Method) -> &'static str {
    match m.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "DELETE",
    }
}

pub(super) fn base(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_string()
}

/// The path with its names replaced: `/nodes/{node}/qemu/{vmid}/status/current`. Few different ones come out, so they
/// can be labels of metrics.
pub(super) fn template(path: &str) -> String {
    let mut out = String::new();
    let mut before = "";
    for segment in path.split('/').skip(1) {
        let name = match before {
            "nodes" => "{node}",
            "qemu" => "{vmid}",
            "tasks" => "{upid}",
            "storage" => "{storage}",
            "content" => "{volume}",
            "snapshot" => "{snapname}",
            // `/cluster/mapping/pci/{id}`, and a device's own address below `hardware`.
            "pci" => "{id}",
            _ => segment,
        };
        out.push('/');
        out.push_str(name);
        // A name may be called like a folder: what follows it is not one of its own.
        before = if name == segment { segment } else { "" };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_unreserved_is_encoded() {
        let p = [
            ("tags", "a;b".to_string()),
            ("size", "+1G".to_string()),
            ("x", "ä=&".to_string()),
        ];
        assert_eq!(encode(&p), "tags=a%3Bb&size=%2B1G&x=%C3%A4%3D%26");
    }

    #[test]
    fn names_become_placeholders() {
        for (path, wanted) in [
            ("/version", "/version"),
            ("/nodes", "/nodes"),
            (
                "/nodes/pve1/qemu/100/status/current",
                "/nodes/{node}/qemu/{vmid}/status/current",
            ),
            ("/nodes/qemu/qemu/100", "/nodes/{node}/qemu/{vmid}"),
            ("/nodes/a/tasks/UPID%3Aa/log", "/nodes/{node}/tasks/{upid}/log"),
            (
                "/nodes/a/storage/local/content/local%3Aiso",
                "/nodes/{node}/storage/{storage}/content/{volume}",
            ),
            (
                "/nodes/a/qemu/1/snapshot/s1/rollback",
                "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
            ),
            ("/cluster/mapping/pci/gpu0", "/cluster/mapping/pci/{id}"),
            ("/nodes/a/hardware/pci", "/nodes/{node}/hardware/pci"),
        ] {
            assert_eq!(template(path), wanted);
        }
    }
}
