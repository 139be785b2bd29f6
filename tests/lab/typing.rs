//! What is typed over VNC, read back from inside a real guest, in each keyboard layout.

use std::time::{Duration, Instant};

use crate::desktop::{AS_TESTER, saved, shell};
use mosdat::desktop::{Auth, Desktop, Layout, Options};
use mosdat::lab::qemu::Vm;
use tokio::net::UnixStream;

/// What a layout's keys give: all of printable ASCII, and what the layout has besides.
fn text(layout: Layout) -> String {
    let ascii: String = (' '..='~').collect();
    let more = match layout {
        Layout::EnUs => "",
        Layout::EnGb => "£¬",
        Layout::De => "äöüÄÖÜß§",
        Layout::Fr => "éèçàù§",
    };
    format!("{ascii}{more}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_arrives_in_a_guest_of_any_layout() {
    let dir = tempfile::tempdir().expect("a directory");
    let (machine, ram) = saved(dir.path()).await;
    let vm = Vm::start(102, dir.path(), &machine, Some(&ram)).await.expect("resumes");
    vm.set_vnc_password("typing").await.expect("password");
    for (layout, name) in [
        (Layout::EnUs, "us"),
        (Layout::EnGb, "gb"),
        (Layout::De, "de"),
        (Layout::Fr, "fr"),
    ] {
        let (code, out) = shell(&vm, &format!("rm -f /tmp/typed; {AS_TESTER} setxkbmap {name}")).await;
        assert_eq!(code, 0, "setxkbmap {name}: {out}");
        // A terminal's own line editing would eat some of it.
        let read = "stty raw -echo; touch /tmp/ready; cat >/tmp/typed";
        shell(
            &vm,
            &format!(
                "rm -f /tmp/ready; {AS_TESTER} LC_ALL=C.UTF-8 xterm -T typing -e sh -c '{read}' >/dev/null 2>&1 &"
            ),
        )
        .await;
        let (code, out) = shell(
            &vm,
            &format!("timeout 50 {AS_TESTER} xdotool search --sync --onlyvisible --name '^typing$' windowactivate --sync windowfocus --sync && until [ -e /tmp/ready ]; do sleep 0.1; done"),
        )
        .await;
        assert_eq!(code, 0, "{out}");
        vm.set_vnc_password("typing").await.expect("password");
        let options = Options {
            layout: Some(layout),
            ..Options::default()
        };
        let stream = UnixStream::connect(dir.path().join("vnc.sock")).await.expect("console");
        let auth = Auth::Password("typing".to_string().into());
        let desktop = Desktop::open_with(stream, auth, options).await.expect("session");
        // The full stop at the end has arrived last.
        let want = format!("{}.", text(layout));
        desktop.type_text(&want).await.expect("typed");
        let deadline = Instant::now() + Duration::from_secs(20);
        let got = loop {
            let (_, got) = shell(&vm, "cat /tmp/typed").await;
            if got.len() >= want.len() || Instant::now() > deadline {
                break got;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert_eq!(got, want, "{layout}");
        desktop.close().await;
        shell(&vm, "pkill xterm; while pgrep xterm; do sleep 0.1; done").await;
    }
}
