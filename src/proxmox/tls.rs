//! Trust in the API's certificate.

use super::authorities::SystemAuthorities;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How the server's certificate is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// The operating system's authorities.
    SystemRoots,
    /// These authorities (PEM, one or more certificates) and no others.
    Ca(String),
    /// Exactly the leaf certificate with this SHA-256.
    Fingerprint([u8; 32]),
    /// Any certificate.
    InsecureSkipVerify,
}

/// Parses `AB:CD:...` (32 bytes).
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let bytes = hex::decode(text.replace(':', "")).ok()?;
    bytes.try_into().ok()
}

/// The TLS configuration that both the HTTP client and the console's websocket use.
pub(super) fn client_config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?;
    let config = match tls {
        Tls::SystemRoots => {
            let authorities = SystemAuthorities::new(provider)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(authorities))
                .with_no_client_auth()
        }
        Tls::Ca(pem) => {
            let mut roots = RootCertStore::empty();
            for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let cert = cert.map_err(|e| format!("the CA bundle is not PEM: {e}"))?;
                roots
                    .add(cert)
                    .map_err(|e| format!("a certificate of the CA bundle cannot be used: {e}"))?;
            }
            if roots.is_empty() {
                return Err("the CA bundle has no certificate".to_string());
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Tls::Fingerprint(pin) => dangerous(builder, provider, Some(*pin)),
        Tls::InsecureSkipVerify => dangerous(builder, provider, None),
    };
    Ok(config)
}

fn dangerous(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>,
    provider: Arc<CryptoProvider>,
    pin: Option<[u8; 32]>,
) -> ClientConfig {
    builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider }))
        .with_no_client_auth()
}

/// Accepts the pinned leaf, or any when there is no pin. The handshake's signature is checked either way.
#[derive(Debug)]
struct Pinned {
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(pin) = self.pin else {
            return Ok(ServerCertVerified::assertion());
        };
        let seen = Sha256::digest(leaf.as_ref());
        if seen[..] == pin[..] {
            return Ok(ServerCertVerified::assertion());
        }
        let seen: Vec<String> = seen.iter().map(|b| format!("{b:02X}")).collect();
        Err(rustls::Error::General(format!(
            "the certificate's fingerprint is {}, not the pinned one",
            seen.join(":")
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints() {
        assert_eq!(parse_fingerprint(&["0A"; 32].join(":")), Some([10; 32]));
        assert_eq!(parse_fingerprint("0A:0B"), None);
        assert!(client_config(&Tls::Ca("no pem".to_string())).is_err());
    }
}
