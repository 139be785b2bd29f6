//! VNC authentication (RFC 6143 section 7.2.2).

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// The answer to a challenge: DES in ECB mode under the first eight bytes of the password, zero padded, with the bits
/// of each byte reversed (a quirk of the original implementation that all servers share).
pub(super) fn respond(challenge: &[u8; 16], password: &str) -> [u8; 16] {
    let mut key = [0u8; 8];
    key.iter_mut()
        .zip(password.as_bytes())
        .for_each(|(k, p)| *k = p.reverse_bits());
    let cipher = Des::new(&Array::from(key));
    let mut out = *challenge;
    for half in out.chunks_exact_mut(8) {
        let mut block = Array::from(<[u8; 8]>::try_from(&*half).unwrap_or_default());
        cipher.encrypt_block(&mut block);
        half.copy_from_slice(&block);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_eight_bytes_count_and_the_key_is_bit_reversed() {
        let challenge = [7u8; 16];
        assert_eq!(
            respond(&challenge, "12345678"),
            respond(&challenge, "12345678 and more")
        );
        assert_ne!(respond(&challenge, "12345678"), respond(&challenge, "1234567"));
        // FIPS 46 worked example: key 0x133457799BBCDFF1, plain 0x0123456789ABCDEF -> 0x85E813540F0AB405.
        let key: Vec<u8> = hex::decode("133457799bbcdff1")
            .unwrap()
            .iter()
            .map(|b| b.reverse_bits())
            .collect();
        // The reversed key is not UTF-8, so check the block function through the same code path with raw bytes.
        let cipher = Des::new(&Array::from(
            <[u8; 8]>::try_from(&key[..]).unwrap().map(u8::reverse_bits),
        ));
        let mut block = Array::from([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        cipher.encrypt_block(&mut block);
        assert_eq!(hex::encode(block), "85e813540f0ab405");
    }
}
