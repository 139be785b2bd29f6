//! What the controller counts, in the text format of Prometheus.

use crate::api::{GpuDeviceState, GpuProfileStatus};
use crate::proxmox::{Observer, Seen};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::future::Future;
use std::time::Instant;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Failure {
    kind: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    method: &'static str,
    path: String,
    /// HTTP status, or `none`.
    status: String,
    /// Class of the failure, or `ok`.
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Profile {
    namespace: String,
    profile: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Devices {
    namespace: String,
    profile: String,
    state: &'static str,
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// 5 ms to 80 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 15))
}

fn times<L: Clone + std::hash::Hash + Eq>() -> Times<L> {
    Family::new_with_constructor(histogram as fn() -> Histogram)
}

/// The controller's metrics. Shared by the reconcilers, the Proxmox clients and who serves them.
pub struct Metrics {
    registry: Registry,
    reconciles: Times<Kind>,
    running: Family<Kind, Gauge>,
    failures: Family<Failure, Counter>,
    calls: Family<Call, Counter>,
    call_times: Times<Method>,
    devices: Family<Devices, Gauge>,
    leases: Family<Profile, Gauge>,
    waiting: Family<Profile, Gauge>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("mosdat");
        let reconciles = times();
        let running = Family::default();
        let failures = Family::default();
        let calls = Family::default();
        let call_times = times();
        let devices = Family::default();
        let leases = Family::default();
        let waiting = Family::default();
        let r = &mut registry;
        r.register("reconcile_seconds", "Time that a reconcile took", reconciles.clone());
        r.register("reconciles_running", "Reconciles under way", running.clone());
        r.register("reconcile_errors", "Reconciles that failed, by class", failures.clone());
        r.register(
            "proxmox_requests",
            "Requests to Proxmox by method, path with its names replaced, HTTP status and class of the result",
            calls.clone(),
        );
        r.register(
            "proxmox_request_seconds",
            "Time that a request to Proxmox took",
            call_times.clone(),
        );
        r.register("gpu_devices", "Devices of a GpuProfile by state", devices.clone());
        r.register("gpu_leases", "Devices of a GpuProfile that are lent", leases.clone());
        r.register(
            "gpu_queue_depth",
            "VMs that wait for a device of a GpuProfile",
            waiting.clone(),
        );
        Metrics {
            registry,
            reconciles,
            running,
            failures,
            calls,
            call_times,
            devices,
            leases,
            waiting,
        }
    }
}

/// Counts a reconcile as under way until it ends, however it ends.
struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

const STATES: [(GpuDeviceState, &str); 6] = [
    (GpuDeviceState::Free, "Free"),
    (GpuDeviceState::Leased, "Leased"),
    (GpuDeviceState::CoolingDown, "CoolingDown"),
    (GpuDeviceState::InUseElsewhere, "InUseElsewhere"),
    (GpuDeviceState::Quarantined, "Quarantined"),
    (GpuDeviceState::Unusable, "Unusable"),
];

impl Metrics {
    /// Everything, as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut out, &self.registry);
        out
    }

    /// Counts and times a reconcile.
    pub(super) async fn reconcile<T>(
        &self,
        kind: &'static str,
        work: impl Future<Output = Result<T, super::Error>>,
    ) -> Result<T, super::Error> {
        let running = self.running.get_or_create(&Kind { kind }).clone();
        running.inc();
        let guard = Running(running);
        let begun = Instant::now();
        let result = work.await;
        drop(guard);
        self.reconciles
            .get_or_create(&Kind { kind })
            .observe(begun.elapsed().as_secs_f64());
        if let Err(e) = &result {
            let class = e.class();
            self.failures.get_or_create(&Failure { kind, class }).inc();
        }
        result
    }

    /// Notes where a profile's devices stand.
    pub(super) fn gpus(&self, namespace: &str, profile: &str, status: &GpuProfileStatus) {
        for (state, word) in STATES {
            let n = status.devices.iter().filter(|d| d.state == state).count();
            self.devices
                .get_or_create(&self::devices(namespace, profile, word))
                .set(n as i64);
        }
        let of = labels(namespace, profile);
        self.leases.get_or_create(&of).set(status.leases.len() as i64);
        self.waiting.get_or_create(&of).set(status.waiting.into());
    }

    /// Forgets a profile that is gone.
    pub(super) fn forget_gpus(&self, namespace: &str, profile: &str) {
        for (_, word) in STATES {
            self.devices.remove(&self::devices(namespace, profile, word));
        }
        let of = labels(namespace, profile);
        self.leases.remove(&of);
        self.waiting.remove(&of);
    }
}

fn labels(namespace: &str, profile: &str) -> Profile {
    Profile {
        namespace: namespace.to_string(),
        profile: profile.to_string(),
    }
}

fn devices(namespace: &str, profile: &str, state: &'static str) -> Devices {
    Devices {
        namespace: namespace.to_string(),
        profile: profile.to_string(),
        state,
    }
}

impl Observer for Metrics {
    fn seen(&self, request: &Seen<'_>) {
        let call = Call {
            method: request.method,
            path: request.path.to_string(),
            status: request.status.map_or_else(|| "none".to_string(), |s| s.to_string()),
            result: request.error.map_or("ok", |e| e.as_str()),
        };
        self.calls.get_or_create(&call).inc();
        self.call_times
            .get_or_create(&Method { method: request.method })
            .observe(request.duration.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_counted_is_shown() {
        let m = Metrics::default();
        let failed: Result<(), _> = m
            .reconcile("ProxmoxVM", async {
                Err(super::super::Error::Malformed("x".to_string()))
            })
            .await;
        assert!(failed.is_err());
        m.seen(&Seen {
            method: "GET",
            path: "/nodes/{node}/qemu",
            status: Some(200),
            error: None,
            duration: Duration::from_millis(7),
        });
        m.gpus(
            "ns",
            "pool",
            &GpuProfileStatus {
                waiting: 3,
                ..Default::default()
            },
        );
        let text = m.text();
        for want in [
            r#"mosdat_reconcile_seconds_count{kind="ProxmoxVM"} 1"#,
            r#"mosdat_reconciles_running{kind="ProxmoxVM"} 0"#,
            r#"mosdat_reconcile_errors_total{kind="ProxmoxVM",class="malformed"} 1"#,
            r#"mosdat_proxmox_requests_total{method="GET",path="/nodes/{node}/qemu",status="200",result="ok"} 1"#,
            r#"mosdat_gpu_queue_depth{namespace="ns",profile="pool"} 3"#,
            r#"mosdat_gpu_devices{namespace="ns",profile="pool",state="Free"} 0"#,
        ] {
            assert!(text.contains(want), "no {want} in\n{text}");
        }
        m.forget_gpus("ns", "pool");
        assert!(!m.text().contains("profile="));
    }
}
