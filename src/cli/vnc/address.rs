//! Where a VNC screen is: `HOST:PORT`, a Unix socket, or a VM of Proxmox VE.

use super::super::machine::{Machine, Plane};
use super::invalid;
use crate::desktop::{Auth, Desktop, Dialled, Encoding, Error, Options, Stream};
use crate::proxmox;
use anyhow::bail;
use secrecy::SecretString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use url::Url;

/// A VNC server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT`.
    Tcp(String),
    /// A path.
    Unix(PathBuf),
    /// `pve://HOST[:PORT]/VMID`.
    Proxmox { endpoint: Url, vmid: u32 },
}

impl Address {
    /// True for a server on this machine, as far as the address tells.
    fn is_here(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Proxmox { .. } => false,
            Address::Tcp(address) => {
                let host = address.rsplit_once(':').map_or("", |(host, _)| host);
                let host = host.trim_matches(['[', ']']);
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "{}", path.display()),
            Address::Proxmox { endpoint, vmid } => write!(f, "VM {vmid} of {endpoint}"),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if text.starts_with("pve://") {
            return proxmox_address(text).ok_or_else(|| format!("'{text}' is not of the form pve://HOST[:PORT]/VMID"));
        }
        // As QEMU and other viewers write it.
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Address::Unix(path.into()));
        }
        let text = text.strip_prefix("vnc://").unwrap_or(text);
        if text.contains('/') {
            return Ok(Address::Unix(text.into()));
        }
        if let Some(meant) = display(text) {
            return Err(format!("'{text}' is not HOST:PORT; write {meant}"));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !host.ends_with(':') && port.parse::<u16>().is_ok() => {
                Ok(Address::Tcp(text.into()))
            }
            Some((_, port)) if port.parse::<u64>().is_ok() => Err(format!(
                "'{text}' is not HOST:PORT, with a port up to 65535; display N of other viewers is port 5900 + N"
            )),
            _ => Err(format!(
                "'{text}' is neither HOST:PORT (5900 and up are the usual ports), nor a socket's path with a '/' in it, \
                 nor pve://HOST[:PORT]/VMID"
            )),
        }
    }
}

/// What is meant by `:1`, `1`, `5901` or `host::5901`, where an address is.
fn display(text: &str) -> Option<String> {
    let here = |number: u64| match number {
        0..=99 => format!("localhost:{} for display {number} of this machine", 5900 + number),
        port => format!("localhost:{port} for that port of this machine"),
    };
    match text.strip_prefix(':').unwrap_or(text).parse::<u64>() {
        Ok(number) if number <= 65_535 => Some(here(number)),
        _ => {
            // As other viewers write a port: two colons.
            let (host, port) = text.split_once("::")?;
            let port: u16 = port.parse().ok()?;
            (!host.is_empty() && !host.contains(':')).then(|| format!("{host}:{port}"))
        }
    }
}

fn proxmox_address(text: &str) -> Option<Address> {
    let url = Url::parse(text).ok()?;
    let (host, port) = (url.host_str()?, url.port().unwrap_or(8006));
    let vmid = url.path().trim_matches('/').parse().ok()?;
    let endpoint = format!("https://{host}:{port}").parse().ok()?;
    url.username().is_empty().then_some(Address::Proxmox { endpoint, vmid })
}

/// Which server, and how to be let in.
#[derive(clap::Args)]
pub struct To {
    /// HOST:PORT (display N is port 5900 + N), a socket's path, or pve://HOST[:PORT]/VMID.
    #[arg(long, value_name = "ADDRESS", env = "MOSDAT_VNC", required_unless_present = "vm")]
    to: Option<Address>,
    /// The screen of this ProxmoxVM, as the control plane knows it; it counts before MOSDAT_VNC.
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    #[command(flatten)]
    plane: Plane,
    /// File with the VNC password, as plain text.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Proxmox VE: the API token's ID, USER@REALM!NAME.
    #[arg(long, value_name = "ID", env = "MOSDAT_PVE_TOKEN_ID")]
    token_id: Option<String>,
    /// Proxmox VE: file with the API token's secret.
    #[arg(long, value_name = "FILE", env = "MOSDAT_PVE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Proxmox VE: the certificate's SHA-256 fingerprint. Without it, the certificate has to be one that this system
    /// trusts.
    #[arg(long, value_name = "HEX", env = "MOSDAT_PVE_FINGERPRINT")]
    fingerprint: Option<String>,
    /// The guest's keyboard layout (en-us, en-gb, de, fr); without one, the server's idea of it counts.
    #[arg(long)]
    layout: Option<crate::desktop::Layout>,
}

impl To {
    /// Opens a session that heals. One that acts takes the pointer: what the server does to show where it is would look
    /// like an effect.
    pub async fn open(&self, acts: bool) -> anyhow::Result<Desktop> {
        let options = Options {
            layout: self.layout,
            takes_pointer: acts,
            encodings: match self.vm.is_none() && self.to.as_ref().is_some_and(Address::is_here) {
                true => Encoding::LOCAL,
                false => Encoding::COMPRESSED,
            },
            ..Options::default()
        };
        let password = self.password_file.as_ref().map(secret).transpose()?;
        let (to, shown) = match (&self.vm, &self.to) {
            (Some(_), Some(_)) if std::env::var_os("MOSDAT_VNC").is_none() => {
                return Err(invalid(
                    "--to and --vm both say which screen is meant; give one of them",
                ));
            }
            (Some(name), _) => (None, format!("ProxmoxVM {name}")),
            (None, to) => (to.clone(), to.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        let desktop = match to {
            None => {
                let Machine { client, node, vmid } = self.plane.machine(self.vm.as_deref().unwrap_or_default()).await?;
                console(client, node, vmid, options).await
            }
            Some(Address::Tcp(address)) => {
                let dial = move || {
                    let (address, password) = (address.clone(), password.clone());
                    async move {
                        let stream = TcpStream::connect(&address).await;
                        // Input is many small messages, each of which means something at its moment.
                        let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
                        dialled(stream, &address, password)
                    }
                };
                Desktop::connect(dial, options).await
            }
            Some(Address::Unix(path)) => {
                let dial = move || {
                    let (path, password) = (path.clone(), password.clone());
                    async move { dialled(UnixStream::connect(&path).await, &path.display().to_string(), password) }
                };
                Desktop::connect(dial, options).await
            }
            Some(Address::Proxmox { endpoint, vmid }) => {
                let client = self.client(endpoint)?;
                let node = node(&client, vmid).await?;
                console(client, node, vmid, options).await
            }
        };
        desktop.map_err(|e| match e {
            // It says where.
            Error::Dial { .. } => e.into(),
            e => anyhow::Error::new(e).context(shown),
        })
    }

    fn client(&self, endpoint: Url) -> anyhow::Result<proxmox::Client> {
        let (Some(id), Some(file)) = (&self.token_id, &self.token_file) else {
            return Err(invalid(
                "a pve:// address needs --token-id USER@REALM!NAME and --token-file FILE",
            ));
        };
        let tls = match &self.fingerprint {
            None => proxmox::Tls::SystemRoots,
            Some(text) => match proxmox::parse_fingerprint(text) {
                Some(digest) => proxmox::Tls::Fingerprint(digest),
                None => {
                    let message = format!("--fingerprint: '{text}' is no SHA-256 fingerprint (64 hex digits)");
                    return Err(invalid(&message));
                }
            },
        };
        Ok(proxmox::Client::new(proxmox::Config {
            endpoints: vec![endpoint],
            auth: proxmox::Auth::Token {
                id: id.clone(),
                secret: secret(file)?,
            },
            tls,
            timeout: Duration::from_secs(15),
        })?)
    }
}

/// The console of a VM of Proxmox VE, with a new ticket for each link.
async fn console(client: proxmox::Client, node: String, vmid: u32, options: Options) -> Result<Desktop, Error> {
    let dial = move || {
        let (client, node) = (client.clone(), node.clone());
        async move {
            let vnc = client.vnc(&node, vmid).await.map_err(|e| e.to_string())?;
            Ok((Box::new(vnc.stream) as Box<dyn Stream>, Auth::Password(vnc.password)))
        }
    };
    Desktop::connect(dial, options).await
}

/// The node that has the VM.
async fn node(client: &proxmox::Client, vmid: u32) -> anyhow::Result<String> {
    let vms = client.cluster_vms().await?;
    let Some(vm) = vms.into_iter().find(|vm| vm.vmid == vmid) else {
        bail!("there is no VM {vmid} that this token can see (it needs VM.Audit on /vms/{vmid})");
    };
    if vm.status == "stopped" {
        bail!("VM {vmid} on {} is stopped: start it first (qm start {vmid})", vm.node);
    }
    Ok(vm.node)
}

fn dialled<S: Stream>(stream: std::io::Result<S>, address: &str, password: Option<SecretString>) -> Dialled {
    let stream = stream.map_err(|e| format!("{address}: {e}{}", as_display(address)))?;
    Ok((Box::new(stream), password.map_or(Auth::None, Auth::Password)))
}

/// A hint where the port looks like the number of a display.
fn as_display(address: &str) -> String {
    match address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(number @ 0..=99))) => format!("; if display {number} is meant: {host}:{}", 5900 + number),
        _ => String::new(),
    }
}

/// A secret's file, without the line's end.
fn secret(file: &PathBuf) -> anyhow::Result<SecretString> {
    let bytes = std::fs::read(file).map_err(|e| invalid(&format!("reading {}: {e}", file.display())))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let name = file.display();
        invalid(&format!(
            "{name} is no plain text; what vncpasswd writes is not understood, write the password itself"
        ))
    })?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let pve = |text: &str| match text.parse() {
            Ok(Address::Proxmox { endpoint, vmid }) => (endpoint.to_string(), vmid),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!("localhost:5901".parse(), Ok(Address::Tcp("localhost:5901".into())));
        assert_eq!("[::1]:5901".parse(), Ok(Address::Tcp("[::1]:5901".into())));
        assert_eq!("./vnc".parse(), Ok(Address::Unix("./vnc".into())));
        assert_eq!("unix:vnc".parse(), Ok(Address::Unix("vnc".into())));
        assert_eq!("vnc://host:5901".parse(), Ok(Address::Tcp("host:5901".into())));
        assert_eq!(pve("pve://pve1/100"), ("https://pve1:8006/".into(), 100));
        assert_eq!(pve("pve://10.0.0.5/100"), ("https://10.0.0.5:8006/".into(), 100));
        assert_eq!(
            pve("pve://pve1.example:8443/7"),
            ("https://pve1.example:8443/".into(), 7)
        );
        assert_eq!(pve("pve://[::1]:8006/7"), ("https://[::1]:8006/".into(), 7));
        let here = |text: &str| text.parse::<Address>().map(|a| a.is_here());
        for near in ["localhost:5901", "127.0.0.1:5901", "[::1]:5901", "./vnc"] {
            assert_eq!(here(near), Ok(true), "{near}");
        }
        for far in ["host:5901", "10.0.0.5:5901", "pve://127.0.0.1:8006/7"] {
            assert_eq!(here(far), Ok(false), "{far}");
        }
        for (short, meant) in [
            (":1", "localhost:5901"),
            ("1", "localhost:5901"),
            ("5901", "localhost:5901"),
            (":5902", "localhost:5902"),
            ("host::5901", "write host:5901"),
        ] {
            let said = short.parse::<Address>().unwrap_err();
            assert!(said.contains(meant), "{said}");
        }
        assert_eq!(as_display("host:1"), "; if display 1 is meant: host:5901");
        assert_eq!(as_display("host:5901"), "");
        for bad in [
            "screen",
            ":5900",
            "host:port",
            "host::5901",
            "host:99999",
            "pve://pve1",
            "pve://pve1/vm",
            "pve://u@h/1",
        ] {
            let said = bad.parse::<Address>().unwrap_err();
            assert!(said.contains(bad), "{said}");
        }
    }
}
