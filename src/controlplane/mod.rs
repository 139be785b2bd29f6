//! Embedded control plane: the Kubernetes REST API in this process.
