//! From a fresh stream to the first server message (RFC 6143 sections 7.1 to 7.4).

use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::error::Error;
use super::super::session::Auth;
use super::{Order, ProtocolError, auth, limits};

const NONE: u8 = 1;
const VNC_AUTH: u8 = 2;

/// What ServerInit said.
pub(in super::super) struct ServerInit {
    pub width: u32,
    pub height: u32,
    pub order: Order,
    pub name: String,
}

/// Agrees on version 3.8 or 3.7, authenticates, and asks for a shared session. The caller sets the deadline.
pub(in super::super) async fn handshake<S>(stream: &mut S, auth: &Auth) -> Result<ServerInit, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut banner = [0; 12];
    read(stream, &mut banner, "reading the VNC server's greeting").await?;
    let v38 = match version(&banner) {
        Ok(v38) => v38,
        Err(e) if banner == *b"RFB 003.003\n" => return Err(old(stream, e).await),
        Err(e) => return Err(e.into()),
    };
    let ours = if v38 { b"RFB 003.008\n" } else { b"RFB 003.007\n" };
    write(stream, ours, "greeting the VNC server").await?;
    security(stream, auth, v38).await?;
    // ClientInit: shared, so that another viewer is not thrown out.
    write(stream, &[1], "starting the VNC session").await?;
    let (mut size, mut format, mut length) = ([0; 4], [0; 16], [0; 4]);
    for part in [&mut size[..], &mut format, &mut length] {
        read(stream, part, "reading the framebuffer's size").await?;
    }
    let name = text(stream, u32::from_be_bytes(length), "desktop name").await?;
    Ok(ServerInit {
        width: u16::from_be_bytes([size[0], size[1]]).into(),
        height: u16::from_be_bytes([size[2], size[3]]).into(),
        order: Order::of(&format),
        name,
    })
}

/// A server that speaks 3.3, which is old, or does so to refuse: TigerVNC has it for whom it has locked out.
async fn old<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, unknown: ProtocolError) -> Error {
    let asked = async {
        write(stream, b"RFB 003.003\n", "greeting the VNC server").await?;
        let mut kind = [0; 4];
        read(stream, &mut kind, "reading the security type").await?;
        match kind {
            [0, 0, 0, 0] => refusal(stream).await,
            _ => Ok(unknown.into()),
        }
    };
    asked.await.unwrap_or_else(|e| e)
}

/// True for 3.8 and above, false for 3.7.
fn version(banner: &[u8; 12]) -> Result<bool, ProtocolError> {
    let bad = || ProtocolError::Banner(String::from_utf8_lossy(banner).trim_end().to_string());
    let text = std::str::from_utf8(banner).map_err(|_| bad())?;
    let numbers = text
        .strip_prefix("RFB ")
        .and_then(|t| t.strip_suffix('\n'))
        .and_then(|t| t.split_once('.'));
    let parsed = numbers.and_then(|(major, minor)| Some((major.parse::<u16>().ok()?, minor.parse::<u16>().ok()?)));
    match parsed {
        Some((3, 7)) => Ok(false),
        Some((3, minor)) if minor >= 8 => Ok(true),
        Some((major, _)) if major > 3 => Ok(true),
        _ => Err(bad()),
    }
}

async fn security<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, auth: &Auth, v38: bool) -> Result<(), Error> {
    let mut count = [0];
    read(stream, &mut count, "reading the security types").await?;
    if count[0] == 0 {
        return Err(refusal(stream).await?);
    }
    let mut offered = vec![0; count[0].into()];
    read(stream, &mut offered, "reading the security types").await?;
    let wanted = match auth {
        Auth::None if offered.contains(&NONE) => NONE,
        Auth::Password(_) if offered.contains(&VNC_AUTH) => VNC_AUTH,
        // A server that asks for nothing is entered without the password.
        Auth::Password(_) if offered.contains(&NONE) => NONE,
        Auth::None => {
            let wanted = "no password was given and type 1 (None) is not among them: give the VNC password";
            return Err(Error::Security { offered, wanted });
        }
        Auth::Password(_) => {
            let wanted = "only types 1 (None) and 2 (VNC authentication) can be used";
            return Err(Error::Security { offered, wanted });
        }
    };
    write(stream, &[wanted], "choosing a security type").await?;
    if let (VNC_AUTH, Auth::Password(password)) = (wanted, auth) {
        let mut challenge = [0; 16];
        read(stream, &mut challenge, "reading the password challenge").await?;
        let answer = auth::respond(&challenge, password.expose_secret());
        write(stream, &answer, "answering the password challenge").await?;
    } else if !v38 {
        // Before 3.8 a server sends no result for type None.
        return Ok(());
    }
    let mut result = [0; 4];
    read(stream, &mut result, "reading the authentication result").await?;
    match u32::from_be_bytes(result) {
        0 => Ok(()),
        _ if v38 => Err(refusal(stream).await?),
        _ => Err(Error::Refused {
            reason: "authentication failed".into(),
        }),
    }
}

async fn refusal<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Error, Error> {
    let mut length = [0; 4];
    read(stream, &mut length, "reading the reason of the refusal").await?;
    let reason = text(stream, u32::from_be_bytes(length), "refusal").await?;
    Ok(Error::Refused {
        reason: reason.chars().take(300).collect(),
    })
}

async fn text<S: AsyncRead + Unpin>(stream: &mut S, length: u32, what: &'static str) -> Result<String, Error> {
    if length as usize > limits::MAX_TEXT {
        let limit = limits::MAX_TEXT as u64;
        return Err(ProtocolError::TooLong {
            what,
            length: length.into(),
            limit,
        }
        .into());
    }
    let mut bytes = vec![0; length as usize];
    read(stream, &mut bytes, "reading a text").await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut [u8], doing: &'static str) -> Result<(), Error> {
    stream
        .read_exact(bytes)
        .await
        .map(|_| ())
        .map_err(|e| Error::io(doing, e))
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], doing: &'static str) -> Result<(), Error> {
    stream.write_all(bytes).await.map_err(|e| Error::io(doing, e))?;
    stream.flush().await.map_err(|e| Error::io(doing, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version(b"RFB 003.008\n"), Ok(true));
        assert_eq!(version(b"RFB 003.889\n"), Ok(true));
        assert_eq!(version(b"RFB 004.001\n"), Ok(true));
        assert_eq!(version(b"RFB 003.007\n"), Ok(false));
        for bad in [
            b"RFB 003.003\n",
            b"SSH-2.0-Open",
            b"RFB 0x3.008\n",
            b"\xff\xfe\xfd123456789",
        ] {
            assert!(version(bad).is_err());
        }
    }

    /// TigerVNC greets so whom it has locked out after wrong passwords.
    #[tokio::test]
    async fn an_old_greeting_that_refuses_says_why() {
        for (kind, want) in [(0, "Too many security failures"), (1, "it greeted with")] {
            let (mut ours, mut theirs) = tokio::io::duplex(256);
            theirs.write_all(b"RFB 003.003\n").await.unwrap();
            theirs.write_all(&[0, 0, 0, kind]).await.unwrap();
            theirs.write_all(&[0, 0, 0, 26]).await.unwrap();
            theirs.write_all(b"Too many security failures").await.unwrap();
            let Err(error) = handshake(&mut ours, &Auth::None).await else {
                panic!("it opened");
            };
            assert!(error.to_string().contains(want), "{error}");
        }
    }
}
