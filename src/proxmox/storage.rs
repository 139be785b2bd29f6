//! Storages of a node, what they hold, and sending files to them.

use super::client::{Client, Failed};
use super::wire::esc;
use super::{Error, ErrorKind, Upid, lenient};
use futures::{StreamExt, stream};
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio_util::io::ReaderStream;

/// A storage as a node sees it. Sizes are in bytes.
#[derive(Clone, Debug, Deserialize)]
pub struct Storage {
    /// Its name. The status of a single one leaves it out.
    #[serde(default)]
    pub storage: String,
    /// `dir`, `lvmthin`, `zfspool`, ...
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What it may hold: `images`, `iso`, ...
    #[serde(default, deserialize_with = "lenient::de_tags")]
    pub content: Vec<String>,
    /// Whether it can be used now.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub active: bool,
    /// Whether it is meant for this node.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub enabled: bool,
    /// Whether all nodes see the same.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub shared: bool,
    /// Size.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub total: Option<u64>,
    /// In use.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub used: Option<u64>,
    /// Free.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub avail: Option<u64>,
}

/// Something that a storage holds. Sizes are in bytes.
#[derive(Clone, Debug, Deserialize)]
pub struct Volume {
    /// Such as `local:iso/debian.iso`.
    pub volid: String,
    /// `iso`, `images`, `import`, ...
    #[serde(default)]
    pub content: String,
    /// `raw`, `qcow2`, `iso`, ...
    #[serde(default)]
    pub format: String,
    /// Size.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub size: Option<u64>,
    /// VM that owns it.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub vmid: Option<u64>,
    /// Base volume of a linked clone.
    #[serde(default)]
    pub parent: Option<String>,
}

/// A file to send.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    /// `iso`, `vztmpl` or `import`.
    pub content: &'a str,
    /// Name on the storage; its ending must fit the content.
    pub filename: &'a str,
    /// The file here. It is streamed, not read into memory.
    pub file: &'a Path,
    /// For Proxmox to compare after the transfer, in hexadecimal.
    pub sha256: Option<&'a str>,
    /// Limit on the transfer, in place of the client's own.
    pub timeout: Duration,
}

impl Client {
    /// The storages of a node that the token may see.
    pub async fn storages(&self, node: &str) -> Result<Vec<Storage>, Error> {
        self.get(&format!("/nodes/{}/storage", esc(node)), vec![]).await
    }

    /// One storage: whether it is there, and how full.
    pub async fn storage_status(&self, node: &str, storage: &str) -> Result<Storage, Error> {
        let path = format!("/nodes/{}/storage/{}/status", esc(node), esc(storage));
        let mut status: Storage = self.get(&path, vec![]).await?;
        status.storage = storage.to_string();
        Ok(status)
    }

    /// What a storage holds, of one kind (`iso`, `images`, ...) or all.
    pub async fn storage_content(
        &self,
        node: &str,
        storage: &str,
        content: Option<&str>,
    ) -> Result<Vec<Volume>, Error> {
        let path = format!("/nodes/{}/storage/{}/content", esc(node), esc(storage));
        let query = content.map(|c| ("content", c.to_string()));
        self.get(&path, query.into_iter().collect()).await
    }

    /// Sends a file to a storage. The task moves it into place.
    ///
    /// Prefer a token here: with a ticket some versions of Proxmox's server drop requests whose body comes in pieces.
    pub async fn upload(&self, node: &str, storage: &str, upload: &Upload<'_>) -> Result<Upid, Error> {
        let path = format!("/nodes/{}/storage/{}/upload", esc(node), esc(storage));
        let n = self.inner.endpoints.len();
        for left in (0..n).rev() {
            let at = self.endpoint();
            match self.send_file(at, &path, upload).await {
                Ok(v) => return self.upid(&v, at, "POST", &path),
                // Nothing of the file was sent.
                Err(Failed::Unreached(_)) if left > 0 => self.leave(at),
                Err(e) => return Err(e.into_error()),
            }
        }
        Err(self.error(0, "POST", &path, ErrorKind::Parameter, "no endpoint is given"))
    }

    async fn send_file(&self, at: usize, path: &str, upload: &Upload<'_>) -> Result<Value, Failed> {
        let local = |what: String| {
            let e = self.error(at, "POST", path, ErrorKind::Parameter, what);
            Failed::Refused(Box::new(e))
        };
        if upload.filename.contains(['"', '/', '\\', '\r', '\n']) {
            return Err(local(format!("{:?} is no file name", upload.filename)));
        }
        let unreadable = |e: std::io::Error| local(format!("{}: {e}", upload.file.display()));
        let file = tokio::fs::File::open(upload.file).await.map_err(unreadable)?;
        let size = file.metadata().await.map_err(unreadable)?.len();

        let boundary = format!("mosdat-{:032x}", rand::random::<u128>());
        let (head, tail) = frame(&boundary, upload);
        let length = head.len() as u64 + size + tail.len() as u64;
        let piece = |text: String| stream::once(async move { Ok(bytes::Bytes::from(text)) });
        let body = piece(head)
            .chain(ReaderStream::with_capacity(file, 64 * 1024))
            .chain(piece(tail));
        let signature = self.sign(at, &Method::POST).await?;
        let request = self
            .inner
            .http
            .post(self.url(at, path))
            .headers(signature.headers)
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .header(CONTENT_LENGTH, length)
            .timeout(upload.timeout)
            .body(reqwest::Body::wrap_stream(body));
        self.exchange(at, &Method::POST, path, request).await
    }
}

/// What stands before and after the file. Its own part comes last: Proxmox reads the fields on the way to it.
fn frame(boundary: &str, upload: &Upload<'_>) -> (String, String) {
    let mut fields = vec![("content", upload.content)];
    if let Some(sum) = upload.sha256 {
        fields.extend([("checksum-algorithm", "sha256"), ("checksum", sum)]);
    }
    let mut head = String::new();
    for (name, value) in fields {
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    head.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        upload.filename
    ));
    (head, format!("\r\n--{boundary}--\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_last() {
        let upload = Upload {
            content: "iso",
            filename: "a.iso",
            file: Path::new("a"),
            sha256: Some("00"),
            timeout: Duration::from_secs(1),
        };
        let (head, tail) = frame("b", &upload);
        let at = |what: &str| head.find(what).expect("a part");
        assert!(at("name=\"content\"") < at("name=\"checksum\""));
        assert!(at("name=\"checksum\"") < at("filename=\"a.iso\""));
        assert!(head.ends_with("\r\n\r\n") && tail == "\r\n--b--\r\n");
    }
}
