//! Whether the cluster can be written to.

use super::client::Client;
use super::{Error, lenient};
use serde_json::Value;

impl Client {
    /// `GET /cluster/status`: whether the cluster has its quorum. `None` on a node that is in no cluster, which has
    /// no row of type `cluster`. Needs Sys.Audit on `/`.
    pub async fn quorate(&self) -> Result<Option<bool>, Error> {
        let rows: Vec<Value> = self.get("/cluster/status", vec![]).await?;
        let cluster = rows.iter().find(|r| r.get("type").is_some_and(|t| t == "cluster"));
        Ok(cluster.and_then(|r| r.get("quorate")).map(lenient::boolean))
    }
}
