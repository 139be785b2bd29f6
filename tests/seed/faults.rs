//! Everything that is wrong with a file is told at once, with its place.

use crate::{LEAST, good, with_env};

fn wrong(text: &str) -> Vec<String> {
    let errors = with_env(text, &[]).expect_err("it is wrong");
    errors.0.iter().map(ToString::to_string).collect()
}

/// The only fault of the least file with these lines after it.
fn fault(more: &str) -> String {
    let found = wrong(&format!("{LEAST}{more}\n"));
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn the_least_is_enough() {
    let config = good(LEAST);
    assert_eq!((config.proxmox.port, config.proxmox.user.as_str()), (8006, "root@pam"));
    assert!(config.vlm.is_none() && config.vms[0].snapshot.is_none());
}

#[test]
fn every_fault_is_told_with_its_place() {
    let text =
        "[app]\nnam = 'x'\nversion = 1\n[[vm]]\nname = 'a'\nvmid = '100'\n[vmm]\nx = 1\n[proxmox]\nport = 99999\n";
    let found = wrong(text);
    let begins = [
        "f.toml:1:2: `name` of [app] is missing",
        "f.toml:1:2: `binary` of [app] is missing",
        "f.toml:2:1: unknown key of [app] 'nam'; did you mean 'name'? Valid keys: name, version, binary",
        "f.toml:3:11: `version` must be text, not a whole number",
        "f.toml:6:8: `vmid` must be a whole number, not text",
        "f.toml:7:2: unknown section 'vmm'; did you mean 'vm'?",
        "f.toml:10:8: '99999' is no port",
    ];
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    for (found, begin) in found.iter().zip(begins) {
        assert!(found.starts_with(begin), "{found}\n{begin}");
    }
}

#[test]
fn a_text_that_is_no_toml_is_told_with_all_its_faults() {
    let found = wrong("[app]\nname = \nversin = 'x'\nversion = 'a\n");
    let told = |words: &str| found.iter().filter(|f| f.contains(words)).count();
    assert!(told("this is no TOML") >= 2, "{found:?}");
    assert_eq!((told("unknown key"), told("is missing")), (1, 0), "{found:?}");
    // Whose keys these are, nobody knows.
    let found = wrong("[app\nname = 'x'\n");
    assert!(found.iter().all(|f| f.contains("this is no TOML")), "{found:?}");
}

#[test]
fn what_is_there_twice_is_told() {
    let vm = |name: &str, vmid: u32| format!("[[vm]]\nname = '{name}'\nvmid = {vmid}");
    assert!(fault(&vm("one", 101)).contains("f.toml:11:8: there is another VM of the name 'one'"));
    assert!(fault(&vm("two", 100)).contains("f.toml:12:8: VM 'one' has the VMID 100, too"));
    assert!(
        wrong(&format!("{LEAST}[app]\n"))
            .iter()
            .any(|f| f.starts_with("f.toml:10:"))
    );
}

#[test]
fn values_are_what_they_have_to_be() {
    for (more, words) in [
        ("x11 = true", "`x11` must be text, not true or false"),
        ("os_type = 'linx'", "unknown os_type 'linx'; did you mean 'linux'?"),
        ("snapshot = '1st'", "no name of a snapshot"),
        ("[defaults]\nsnapshot = 'a b'", "no name of a snapshot"),
        ("[vlm]\nbase_url = 'gpu-box'", "'gpu-box' is no address of a server"),
        (
            "[vlm]\nbase_url = 'http://a/v1'\nmax_tokens_floor = 'many'",
            "'many' is no number of tokens",
        ),
        (
            "[[vm.package]]\nformt = 'deb'\nformat = 'deb'",
            "did you mean 'format'?",
        ),
        ("[[vm.package]]\ninstall = 'x'", "`format` of [vm.package] is missing"),
        ("[[vm]]\nname = 'Two'\nvmid = 102", "must be lower-case letters"),
        ("[[vm]]\nname = 'two'\nvmid = 12", "a VMID is 100 or more, not 12"),
        ("[[vlm]]\nmodel = 'x'", "there is one: write [vlm]"),
        ("[test]\nname = 'x'", "there may be several: write [[test]]"),
        (
            "[app.exit_codes]\npass = ['x']",
            "`pass` must be a list of whole numbers",
        ),
    ] {
        let found = fault(more);
        assert!(found.contains(words), "{more}: {found}");
    }
    let host = LEAST.replace("pve.example", "https://pve.example:8006/");
    assert!(wrong(&host)[0].contains("is no host: give its name or address alone"));
    let both = LEAST.replace("host =", "insecure = true\nfingerprint = 'AB'\nhost =");
    assert_eq!(wrong(&both).len(), 2);
}

#[test]
fn what_means_nothing_any_more_is_told_once() {
    let package = "[[vm.package]]\nformat = 'deb'\ninstall = 'x'\n";
    let config = good(&format!("{LEAST}x11 = 'auto'\n{package}{package}"));
    let told: Vec<String> = config.remarks.iter().map(ToString::to_string).collect();
    let about = |key: &str| told.iter().filter(|t| t.contains(key)).collect::<Vec<_>>();
    assert_eq!(about("`vm.package.install`").len(), 1, "{told:#?}");
    assert!(about("`vm.x11`")[0].starts_with("f.toml:10:1: dropped: "));
}

#[test]
fn the_environment_fills_in_and_does_not_overrule() {
    let env = [
        ("PROXMOX_HOST", "other.example"),
        ("PROXMOX_PORT", "443"),
        ("VLM_BASE_URL", "http://a/v1, http://b/v1"),
        ("FUNCTIONAL_TEST_USER", "ada"),
    ];
    let config = with_env(LEAST, &env).expect("a file");
    assert_eq!(config.proxmox.host.as_deref(), Some("pve.example"));
    assert_eq!(config.proxmox.port, 443);
    assert_eq!(config.vlm.expect("a model").base_urls, ["http://a/v1", "http://b/v1"]);
    assert_eq!(config.variables["test_user"], "ada");
}
