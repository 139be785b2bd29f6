//! Client-to-server messages (RFC 6143 section 7.5).

use super::super::Rect;

/// SetEncodings, in order of preference.
pub fn set_encodings(encodings: &[i32]) -> Vec<u8> {
    let mut m = vec![2, 0];
    m.extend((encodings.len() as u16).to_be_bytes());
    encodings.iter().for_each(|e| m.extend(e.to_be_bytes()));
    m
}

/// FramebufferUpdateRequest. Coordinates are cut to 16 bits, as [`super::limits::MAX_SIDE`] guarantees.
pub fn update_request(incremental: bool, r: &Rect) -> [u8; 10] {
    let mut m = [0; 10];
    m[0] = 3;
    m[1] = incremental.into();
    for (at, v) in m[2..].chunks_exact_mut(2).zip([r.x, r.y, r.width, r.height]) {
        at.copy_from_slice(&(v as u16).to_be_bytes());
    }
    m
}

/// KeyEvent with an X11 keysym.
pub fn key_event(down: bool, keysym: u32) -> [u8; 8] {
    let k = keysym.to_be_bytes();
    [4, down.into(), 0, 0, k[0], k[1], k[2], k[3]]
}

/// PointerEvent; bit n of `mask` is button n+1.
pub fn pointer_event(mask: u8, x: u32, y: u32) -> [u8; 6] {
    let (x, y) = ((x as u16).to_be_bytes(), (y as u16).to_be_bytes());
    [5, mask, x[0], x[1], y[0], y[1]]
}

/// QEMU's extended key event: a keysym and the XT scan code of the key; codes with an e0 prefix have bit 7 set instead.
pub fn extended_key_event(down: bool, keysym: u32, scan: u16) -> [u8; 12] {
    let (k, s) = (keysym.to_be_bytes(), u32::from(scan).to_be_bytes());
    [255, 0, 0, down.into(), k[0], k[1], k[2], k[3], s[0], s[1], s[2], s[3]]
}

/// A power action (XVP, version 1): 2 shut down, 3 reboot, 4 reset.
pub fn xvp(code: u8) -> [u8; 4] {
    [250, 0, 1, code]
}
