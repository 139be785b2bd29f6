//! Against a real kube-apiserver: the helper itself, `crds/`, and the chart as helm renders it.

#[path = "../support/kube.rs"]
mod real_kube;

mod chart;
mod control_plane;
