//! The embedded control plane, driven as its users drive it: in process, over HTTPS, and with kubectl.

mod apply;
mod basics;
mod by_hand;
mod crash;
mod full_disk;
mod gc;
mod https;
mod kubectl;
mod runtime;
mod support;
mod validation;
mod watching;
