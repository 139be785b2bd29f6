//! The listener's certificates: a CA of our own and a server certificate for loopback, made once and kept.

use super::Error;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// What the listener needs, and the CA for clients.
pub struct Certificates {
    pub config: Arc<rustls::ServerConfig>,
    pub ca_pem: String,
}

/// Loads the certificates in `dir`, or makes them.
pub fn load_or_make(dir: &Path) -> Result<Certificates, Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fail = |why: String| Error::Tls { dir: dir.to_path_buf(), why };
    let files = ["ca.pem", "server.pem", "server.key"].map(|f| dir.join(f));
    if !files.iter().all(|f| f.exists()) {
        make(dir)?;
    }
    let read = |p: &Path| std::fs::read_to_string(p).map_err(|e| fail(format!("{}: {e}", p.display())));
    let (ca_pem, server, key) = (read(&files[0])?, read(&files[1])?, read(&files[2])?);
    let chain: Vec<CertificateDer> =
        CertificateDer::pem_slice_iter(server.as_bytes()).collect::<Result<_, _>>().map_err(|e| fail(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| fail(e.to_string()))?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| fail(e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Certificates { config: Arc::new(config), ca_pem })
}

fn make(dir: &Path) -> Result<(), Error> {
    let fail = |why: String| Error::Tls { dir: dir.to_path_buf(), why };
    let rc = |e: rcgen::Error| fail(e.to_string());
    std::fs::create_dir_all(dir).map_err(|e| fail(e.to_string()))?;
    let mut ca = CertificateParams::new(Vec::<String>::new()).map_err(rc)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "mosdat control plane CA");
    let ca_key = KeyPair::generate().map_err(rc)?;
    let ca_pem = ca.self_signed(&ca_key).map_err(rc)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    let mut server = CertificateParams::new(names).map_err(rc)?;
    server.distinguished_name.push(DnType::CommonName, "mosdat control plane");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(rc)?;
    let cert = server.signed_by(&key, &issuer).map_err(rc)?;
    // The CA's key is not kept: nothing else is ever signed with it.
    write_private(&dir.join("ca.pem"), ca_pem.as_bytes())?;
    write_private(&dir.join("server.pem"), cert.pem().as_bytes())?;
    write_private(&dir.join("server.key"), key.serialize_pem().as_bytes())
}

/// Writes a file that only the owner may read, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let fail = |source| Error::Io { path: path.to_path_buf(), what: "write", source };
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(fail)?;
    // A temporary file is made with mode 0600; renaming puts it in place at once.
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(fail)?;
    file.write_all(content).map_err(fail)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    file.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
}
