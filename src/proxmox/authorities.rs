//! The operating system's authorities, which may change while the process lives: a volume is mounted, a bundle is renewed.

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was read is used. There are more than a hundred certificates, too many to be read for each connection.
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);

/// Trusts what the system trusts at the time of each handshake, so that a client may live as long as it likes.
#[derive(Debug)]
pub(super) struct SystemAuthorities {
    provider: Arc<CryptoProvider>,
}

impl SystemAuthorities {
    /// # Errors
    /// The system has no authorities; with what went wrong while they were read.
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Result<SystemAuthorities, String> {
        of_system(&provider)?;
        Ok(SystemAuthorities { provider })
    }
}

fn of_system(provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    static KEPT: Mutex<Kept> = Mutex::new(Kept(None));
    let load = || {
        let read = rustls_native_certs::load_native_certs();
        let errors = read.errors.iter().map(ToString::to_string).collect();
        (read.certs, errors)
    };
    // What a panic in between leaves is whole: it is written at the end only.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.verifier(Instant::now(), provider, load)
}

/// What was read last, if it was whole.
#[derive(Default)]
struct Kept(Option<(Instant, Arc<WebPkiServerVerifier>)>);

impl Kept {
    /// `load` answers with certificates, and with what went wrong beside them. What has errors, or is nothing, is not kept:
    /// the next one to ask reads again.
    fn verifier(
        &mut self,
        now: Instant,
        provider: &Arc<CryptoProvider>,
        load: impl FnOnce() -> (Vec<CertificateDer<'static>>, Vec<String>),
    ) -> Result<Arc<WebPkiServerVerifier>, String> {
        if let Some((at, verifier)) = &self.0
            && now.duration_since(*at) < KEPT_FOR
        {
            return Ok(verifier.clone());
        }
        self.0 = None;
        let (certificates, errors) = load();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            let why = match errors.is_empty() {
                true => String::new(),
                false => format!(" ({})", errors.join("; ")),
            };
            return Err(format!(
                "the system has no certificate authorities{why}; give caBundle or fingerprint"
            ));
        }
        if !errors.is_empty() {
            tracing::warn!(
                read = roots.len(),
                "some of the system's certificate authorities could not be read: {}",
                errors.join("; ")
            );
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|e| format!("the system's certificate authorities cannot be used: {e}"))?;
        if errors.is_empty() {
            self.0 = Some((now, verifier.clone()));
        }
        Ok(verifier)
    }
}

impl ServerCertVerifier for SystemAuthorities {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = of_system(&self.provider).map_err(rustls::Error::General)?;
        verifier.verify_server_cert(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Loaded = (Vec<CertificateDer<'static>>, Vec<String>);

    /// A certificate that signs itself, for the name.
    fn authority(name: &str) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed([name.to_string()]).expect("a certificate");
        made.cert.der().clone()
    }

    fn asked(
        kept: &mut Kept,
        now: Instant,
        load: impl FnOnce() -> Loaded,
    ) -> Result<Arc<WebPkiServerVerifier>, String> {
        kept.verifier(now, &Arc::new(rustls::crypto::ring::default_provider()), load)
    }

    fn trusts(verifier: &WebPkiServerVerifier, leaf: &CertificateDer<'_>, name: &str) -> bool {
        let name = ServerName::try_from(name.to_string()).expect("a name");
        verifier
            .verify_server_cert(leaf, &[], &name, &[], UnixTime::now())
            .is_ok()
    }

    #[test]
    fn only_what_was_read_whole_is_kept() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        let (a, b) = (authority("a.test"), authority("b.test"));
        let nothing = || (Vec::new(), vec!["too many open files".to_string()]);
        let told = asked(&mut kept, now, nothing).expect_err("nothing is there");
        assert!(
            told.contains("(too many open files)") && told.contains("caBundle"),
            "{told}"
        );
        // A volume that is not mounted yet is no error.
        let told = asked(&mut kept, now, || (Vec::new(), Vec::new())).expect_err("nothing is there");
        assert!(told.contains("no certificate authorities;"), "{told}");
        let part = asked(&mut kept, now, || {
            (vec![a.clone()], vec!["too many open files".to_string()])
        });
        let part = part.expect("a part");
        assert!(trusts(&part, &a, "a.test") && !trusts(&part, &b, "b.test"));
        let whole = asked(&mut kept, now, || (vec![a.clone(), b.clone()], Vec::new())).expect("all");
        assert!(trusts(&whole, &a, "a.test") && trusts(&whole, &b, "b.test"));
        // That is kept.
        let again = asked(&mut kept, now, || unreachable!("read again")).expect("all");
        assert!(Arc::ptr_eq(&whole, &again));
    }

    #[test]
    fn what_was_renewed_is_noticed() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        let (old, new) = (authority("old.test"), authority("new.test"));
        asked(&mut kept, now, || (vec![old.clone()], Vec::new())).expect("the old one");
        let later = now + KEPT_FOR;
        let renewed = asked(&mut kept, later, || (vec![new.clone()], Vec::new())).expect("the new one");
        assert!(trusts(&renewed, &new, "new.test") && !trusts(&renewed, &old, "old.test"));
    }
}
