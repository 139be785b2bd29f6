//! The desktop session over VNC: frames proved fresh, input that lands.
