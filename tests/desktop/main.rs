//! The desktop session and the finding of things in it, against real VNC servers and deliberately bad ones.
//!
//! Needs Xvnc, openbox, xterm, xev, xwd and qemu-system-x86_64, which the Makefile installs; a missing one fails the
//! test with its name.

mod bad_server;
mod by_hand;
mod corpus;
mod gestures;
mod healing;
mod independent;
mod layouts;
mod model;
mod probe;
mod processes;
mod qemu;
mod reading;
mod real_input;
mod real_pixels;
mod slow_drawing;
mod xserver;
