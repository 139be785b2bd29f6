//! The commands with the predecessor's TOML file: what they say before they reach anything.

use super::Place;

fn fleet(place: &Place, port: &str) {
    place.file(
        "fleet.toml",
        &format!(
            "[app]\nname = 'Demo'\nversion = '1'\nbinary = '/opt/demo'\n[proxmox]\nhost = '127.0.0.1'\nport = {port}\n\
             insecure = true\n[functional]\ntests_dir = 'tests'\n[[vm]]\nname = 'one'\nvmid = 100\nip = '10.0.0.1'\n"
        ),
    );
    place.file(
        "tests/linux/login.yaml",
        "name: login\nsteps: [{expect: {text: Ready}}]\n",
    );
    place.file("tests/logout.yaml", "name: logout\nsteps: [{expect: {text: Ready}}]\n");
}

/// A port of this machine at which nobody listens.
fn closed() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("address").port()
}

#[test]
fn a_proxmox_that_is_not_there_is_told_once_and_ends_the_call() {
    let place = Place::empty();
    let port = closed().to_string();
    fleet(&place, &port);
    let ran = place.mosdat(&["functional", "fleet.toml", "--vms", "one", "--test", "login"]);
    assert_eq!(ran.code, Some(2), "{}", ran.all());
    let endpoint = format!("https://127.0.0.1:{port}");
    assert_eq!(ran.err.matches(&endpoint).count(), 1, "{}", ran.err);
    assert_eq!(ran.err.matches("onnection refused").count(), 1, "{}", ran.err);
    assert!(
        ran.err.contains("look at `host` and `port` in [proxmox]"),
        "{}",
        ran.err
    );
    // What means something else now is one line.
    assert!(
        ran.err.lines().count() <= 4 && ran.err.contains("--verbose"),
        "{}",
        ran.err
    );
    let all = place.mosdat(&[
        "functional",
        "fleet.toml",
        "--vms",
        "one",
        "--test",
        "login",
        "--verbose",
    ]);
    assert!(all.err.lines().count() > ran.err.lines().count(), "{}", all.err);
    assert!(!place.is_touched());
}

#[test]
fn an_unknown_test_is_told_with_those_that_there_are() {
    let place = Place::empty();
    fleet(&place, "8006");
    let ran = place.mosdat(&["functional", "fleet.toml", "--vms", "one", "--test", "logn"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(
        ran.err
            .contains("there is no test 'logn' for VM 'one': those of tests are login, logout"),
        "{}",
        ran.err
    );
}

#[test]
fn a_port_may_be_written_as_a_text_and_has_to_be_a_number() {
    let place = Place::empty();
    fleet(&place, "'8007'");
    let ran = place.mosdat(&["convert", "fleet.toml"]);
    assert!(ran.out.contains("https://127.0.0.1:8007"), "{}", ran.all());
    fleet(&place, "'80o7'");
    let ran = place.mosdat(&["convert", "fleet.toml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("'80o7' is no port: it is a number from 1 to 65535"),
        "{}",
        ran.all()
    );
}

#[test]
fn one_vm_is_one() {
    let place = Place::empty();
    fleet(&place, &closed().to_string());
    let ran = place.mosdat(&["preflight", "fleet.toml"]);
    assert!(ran.out.contains(" 1 VM; "), "{}", ran.all());
}
