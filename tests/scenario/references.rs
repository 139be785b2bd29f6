//! References: from files into the scenario, and every way in which that can be wrong.

use image::{Rgba, RgbaImage};
use mosdat::scenario::{AreaKind, Reference, Scenario};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SIDECAR: &str =
    "areas:\n  - match: [10, 20, 60, 30]\n  - ocr: [10, 60, 60, 20]\n    text: \"Save\"\n  - exclude: [15, 25, 5, 5]\n";
const STEPS: &str = "name: t\nsteps:\n  - click: {target: {reference: save}}\n";

/// A picture that does not compress away.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let image = RgbaImage::from_fn(width, height, |x, y| {
        let v = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917);
        let [r, g, b, _] = v.to_le_bytes();
        Rgba([r, g, b, 255])
    });
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// A folder with a scenario's file and these references.
fn folder(files: &[(&str, &[u8])], text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let path = dir.path().join("login.yaml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

/// What is wrong, with the folder's own name left out.
fn wrong(files: &[(&str, &[u8])], text: &str) -> String {
    let (dir, path) = folder(files, text);
    let error = Scenario::from_file(&path).unwrap_err().to_string();
    error.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_reference_is_put_into_the_scenario_and_stands_by_itself() {
    let png = picture(200, 100);
    for place in ["", "references/"] {
        let names = [format!("{place}save.png"), format!("{place}save.yaml")];
        let (_dir, path) = folder(&[(&names[0], &png), (&names[1], SIDECAR.as_bytes())], STEPS);
        let scenario = Scenario::from_file(&path).unwrap();
        let spec = scenario.to_spec().unwrap();
        assert_eq!(spec.references.keys().collect::<Vec<_>>(), ["save"]);
        assert!(spec.references["save"].png.len() < png.len() / 3, "only what counts");

        let object = Scenario::from_spec(&spec, "Scenario t").unwrap();
        assert_eq!(object.digest(), scenario.digest());
        let plan = object.plan(&BTreeMap::new(), &BTreeMap::new()).unwrap();
        assert_eq!(plan.steps[0].id, "s01-click-save");
        assert_eq!(plan.steps[0].label, "click reference 'save'");
        let reference = &plan.references[0];
        let variant = &reference.variants[0];
        assert_eq!(
            (variant.display, variant.size, variant.areas.len()),
            (None, (200, 100), 3)
        );
        assert_eq!(variant.areas[1].kind, AreaKind::Ocr { text: "Save".into() });
        assert_eq!(variant.sidecar(), SIDECAR);
        // As `cat save.png save.yaml | sha256sum` tells.
        let files = [png.clone(), SIDECAR.as_bytes().to_vec()].concat();
        use sha2::Digest;
        assert_eq!(variant.digest, hex::encode(sha2::Sha256::digest(files)));
        let (before, after) = (
            image::load_from_memory(&png).unwrap().to_rgb8(),
            image::load_from_memory(&variant.png).unwrap().to_rgb8(),
        );
        assert_eq!(before.get_pixel(10, 20), after.get_pixel(10, 20));
        assert_eq!(before.get_pixel(69, 79), after.get_pixel(69, 79));
        assert_eq!(after.get_pixel(0, 0).0, [128; 3], "what was beside it stays at home");
    }
}

#[test]
fn another_picture_or_area_is_another_scenario() {
    let digest = |png: Vec<u8>, sidecar: &str| {
        let (_dir, path) = folder(&[("save.png", &png), ("save.yaml", sidecar.as_bytes())], STEPS);
        Scenario::from_file(&path).unwrap().digest()
    };
    let own = digest(picture(200, 100), SIDECAR);
    assert_eq!(own, digest(picture(200, 100), SIDECAR));
    assert_ne!(own, digest(picture(201, 100), SIDECAR));
    assert_ne!(own, digest(picture(200, 100), &SIDECAR.replace("60, 30", "60, 31")));
}

#[test]
fn variants_for_screens_and_folders_and_json() {
    let json = br#"{"areas": [{"match": [1, 2, 30, 40], "margin": 0, "similarity": 1}], "click": [3, 4]}"#;
    let (small, large) = (picture(100, 80), picture(160, 90));
    let files: [(&str, &[u8]); 4] = [
        ("dialogs/save@100x80.png", &small),
        ("dialogs/save@100x80.json", json),
        ("dialogs/save.png", &large),
        ("dialogs/save.yml", json),
    ];
    let (dir, path) = folder(&files, &STEPS.replace("reference: save", "reference: dialogs/save"));
    let spec = Scenario::from_file(&path).unwrap().to_spec().unwrap();
    assert_eq!(
        spec.references.keys().collect::<Vec<_>>(),
        ["dialogs/save", "dialogs/save@100x80"]
    );
    let read = Reference::read(dir.path(), "dialogs/save").unwrap();
    assert_eq!(read.variants[0].display, None);
    assert_eq!(read.variants[1].display, Some((100, 80)));
    assert_eq!(read.variants[1].click, Some((3, 4)));
    let AreaKind::Match { margin, similarity } = read.variants[1].areas[0].kind else {
        panic!()
    };
    assert_eq!((margin, similarity), (0, 1.0));
    let from_spec = Scenario::from_spec(&spec, "o").unwrap();
    let plan = from_spec.plan(&BTreeMap::new(), &BTreeMap::new()).unwrap();
    assert_eq!(plan.references[0].variants.len(), 2);
}

#[test]
fn what_is_missing_is_told_with_what_is_there() {
    let png = picture(200, 100);
    let both: [(&str, &[u8]); 2] = [
        ("references/save-button.png", &png),
        ("references/save-button.yaml", SIDECAR.as_bytes()),
    ];
    let of = |name: &str| wrong(&both, &STEPS.replace("save", name));
    assert_eq!(
        of("save-buton"),
        "login.yaml:3:33: there is no reference 'save-buton', neither save-buton.png nor references/save-buton.png; did you mean \
         'save-button'? references there: save-button"
    );
    assert_eq!(
        of("quit"),
        "login.yaml:3:33: there is no reference 'quit', neither quit.png nor references/quit.png; references there: save-button"
    );
    assert_eq!(
        of("save-button.png"),
        "login.yaml:3:33: a reference is named without '.png': 'save-button'"
    );
    assert!(of("../x").starts_with("login.yaml:3:33: '../x' is no name of a reference"));
    assert!(of("\"{{ x }}\"").contains("cannot be a template"));
    let none = wrong(&[], STEPS);
    assert!(
        none.ends_with("no references are there; 'mosdat visual --capture' makes one"),
        "{none}"
    );
    let alone = wrong(&[("save.png", &png)], STEPS);
    assert_eq!(
        alone,
        "login.yaml:3:33: save.png has no sidecar that says what in it counts; write save.yaml ('mosdat visual --capture' makes both)"
    );
    let two: [(&str, &[u8]); 3] = [("save.png", &png), ("save.yaml", b"a"), ("save.json", b"a")];
    assert!(wrong(&two, STEPS).contains("save.yaml and save.json are both there; keep one"));
    // Told once, however often it is used.
    let twice = format!("{STEPS}  - expect: {{reference: save}}\n");
    assert_eq!(wrong(&[], &twice).lines().count(), 1);
}

#[test]
fn a_wrong_sidecar_has_its_own_lines() {
    let png = picture(200, 100);
    let of = |sidecar: &str| wrong(&[("save.png", &png), ("save.yaml", sidecar.as_bytes())], STEPS);
    let table = [
        (
            "areas:\n  - mtch: [0, 0, 1, 1]\n",
            "save.yaml:2:5: unknown key of an area 'mtch'; did you mean 'match'? Valid keys: match, ocr, exclude, margin, similarity, text",
        ),
        (
            "area: []\n",
            "save.yaml:1:1: unknown key of a sidecar 'area'; did you mean 'areas'? Valid keys: areas, click",
        ),
        ("areas: []\n", "save.yaml:1:8: 'areas' needs a 'match' or an 'ocr' area"),
        ("click: [1, 1]\n", "save.yaml:1:1: a sidecar needs 'areas'"),
        (
            "areas:\n  - match: [150, 0, 51, 10]\n",
            "save.yaml:2:12: the area [150, 0, 51, 10] reaches beyond the picture, which is 200x100",
        ),
        (
            "areas:\n  - match: [0, 0, 0, 10]\n",
            "save.yaml:2:12: 'match' must be a list [x, y, width, height] of whole numbers of pixels, not a list",
        ),
        (
            "areas:\n  - margin: 3\n",
            "save.yaml:2:5: an area needs one of match, ocr, exclude, with its place [x, y, width, height]",
        ),
        (
            "areas:\n  - match: [0, 0, 9, 9]\n    exclude: [0, 0, 9, 9]\n",
            "save.yaml:3:5: an area is one of 'match' and 'exclude', not both",
        ),
        (
            "areas:\n  - match: [0, 0, 9, 9]\n    text: x\n",
            "save.yaml:3:5: 'text' has no meaning beside 'match'",
        ),
        (
            "areas:\n  - ocr: [0, 0, 9, 9]\n",
            "save.yaml:2:5: an 'ocr' area needs 'text'",
        ),
        (
            "areas:\n  - match: [0, 0, 9, 9]\n    similarity: 1.5\n",
            "save.yaml:3:17: 'similarity' must be a number from 0.1 to 1, not a number",
        ),
        (
            "areas:\n  - match: [0, 0, 9, 9]\n    margin: -1\n",
            "save.yaml:3:13: 'margin' is -1; it must be from 0 to 10000",
        ),
        (
            "areas:\n  - match: [0, 0, 9, 9]\n  - exclude: [50, 50, 9, 9]\n",
            "save.yaml:3:5: this 'exclude' lies in no 'match' area, so that it excludes nothing",
        ),
        (
            "areas:\n  - match: [5, 5, 9, 9]\n  - exclude: [0, 0, 50, 50]\n",
            "save.yaml:2:5: all of this 'match' area is excluded, so that nothing is compared",
        ),
        (
            "areas:\n  - match: [0, 0, 9, 9]\nclick: [200, 5]\n",
            "save.yaml:3:8: 'click' must be a place [x, y] inside the picture, which is 200x100, not a list",
        ),
        ("areas: [\n", "save.yaml:1:8: not YAML: "),
    ];
    for (sidecar, message) in table {
        let found = of(sidecar);
        assert!(
            found == message || message.ends_with(": ") && found.starts_with(message),
            "{found}\n{message}"
        );
    }
    assert!(
        wrong(&[("save.png", b"x"), ("save.yaml", SIDECAR.as_bytes())], STEPS)
            .starts_with("save.png: not a PNG picture: ")
    );
    let other = wrong(
        &[("save@10x10.png", &png), ("save@10x10.yaml", SIDECAR.as_bytes())],
        STEPS,
    );
    assert!(
        other.contains("'save@10x10' is for a screen of 10x10, but its picture is 200x100"),
        "{other}"
    );
}

#[test]
fn a_scenario_stays_small() {
    let png = picture(600, 500);
    let of = |sidecar: &str| wrong(&[("save.png", &png), ("save.yaml", sidecar.as_bytes())], STEPS);
    let large = of("areas: [{match: [0, 0, 600, 500]}]");
    assert!(
        large.starts_with("login.yaml:3:33: the references of this scenario have ")
            && large.contains("at most 512 KiB"),
        "{large}"
    );
}

#[test]
fn what_a_target_may_say_beside_it() {
    let png = picture(200, 100);
    let text_only = "areas: [{ocr: [0, 0, 9, 9], text: x}]";
    let with = |sidecar: &str, target: &str| {
        let (_dir, path) = folder(
            &[("save.png", &png), ("save.yaml", sidecar.as_bytes())],
            &format!("name: t\nsteps:\n  - hover: {target}\n"),
        );
        Scenario::from_file(&path)
            .map(|s| s.plan(&BTreeMap::new(), &BTreeMap::new()).unwrap())
            .map_err(|e| e.to_string())
    };
    for good in [
        "{reference: save}",
        "{reference: save, anywhere: true, nth: 2}",
        "{reference: save, text: Save, exact: true, near: x}",
        "{reference: save, describe: the big button, anywhere: true}",
    ] {
        assert!(with(SIDECAR, good).is_ok(), "{good}");
    }
    let label = with(SIDECAR, "{reference: save, anywhere: true, text: Save}")
        .unwrap()
        .steps[0]
        .label
        .clone();
    assert_eq!(label, "hover reference 'save' anywhere or 'Save'");
    for (target, message) in [
        (
            "{text: a, anywhere: true}",
            "3:32: 'anywhere' is for a 'reference', which this target does not have",
        ),
        (
            "{reference: save, nth: 2}",
            "3:30: 'nth' of a 'reference' needs 'anywhere': at its place there is one",
        ),
        (
            "{reference: save, near: x}",
            "3:30: 'near' has no meaning for a 'reference' alone; it is for a 'text' beside it",
        ),
        (
            "{reference: save, at: [1, 2]}",
            "3:34: 'at' is a place by itself; 'reference' has no meaning beside it",
        ),
    ] {
        let error = with(SIDECAR, target).unwrap_err();
        assert!(error.ends_with(message), "{error}");
    }
    let error = with(text_only, "{reference: save, anywhere: true}").unwrap_err();
    assert!(error.contains("'anywhere' needs a 'match' area to look for"), "{error}");
}

#[test]
fn objects_bring_their_references_and_nothing_else() {
    let png = picture(200, 100);
    let (_dir, path) = folder(&[("save.png", &png), ("save.yaml", SIDECAR.as_bytes())], STEPS);
    let spec = Scenario::from_file(&path).unwrap().to_spec().unwrap();
    let of = |change: &dyn Fn(&mut mosdat::api::ScenarioSpec)| {
        let mut spec = spec.clone();
        change(&mut spec);
        Scenario::from_spec(&spec, "Scenario a/b").unwrap_err().to_string()
    };
    let none = of(&|spec| spec.references.clear());
    assert!(
        none.starts_with(
            "Scenario a/b: spec.steps[0].click.target.reference: the reference 'save' is not in 'references'"
        ) && none.contains("mosdat bundle"),
        "{none}"
    );
    let other = of(&|spec| {
        let own = spec.references.remove("save").unwrap();
        spec.references.insert("saved".into(), own);
    });
    assert!(
        other.contains("unknown reference 'save'; did you mean 'saved'?"),
        "{other}"
    );
    let unused = of(&|spec| {
        let own = spec.references["save"].clone();
        spec.references.insert("other".into(), own);
    });
    assert!(
        unused.contains("spec.references: the reference 'other' is used by no step"),
        "{unused}"
    );
    let digest = of(&|spec| spec.references.get_mut("save").unwrap().digest = Some("X".repeat(64)));
    assert!(
        digest.contains("spec.references.save.digest: 'digest' must be a SHA-256"),
        "{digest}"
    );
    let broken = of(&|spec| spec.references.get_mut("save").unwrap().png = "AAAA".into());
    assert!(
        broken.contains("'png' of reference 'save': not a PNG picture"),
        "{broken}"
    );
    // Without one, the digest is of what is there.
    let mut bare = spec.clone();
    bare.references.get_mut("save").unwrap().digest = None;
    let plan = Scenario::from_spec(&bare, "o")
        .unwrap()
        .plan(&BTreeMap::new(), &BTreeMap::new())
        .unwrap();
    assert_eq!(plan.references[0].variants[0].digest.len(), 64);
}

#[test]
fn scenarios_inside_of_manifests_have_references_too() {
    let png = picture(200, 100);
    let run = "apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {name: a}\nspec:\n  scenario:\n    inline:\n      name: t\n      \
               steps: [{expect: {reference: save}}]\n";
    let (dir, _) = folder(&[("save.png", &png), ("save.yaml", SIDECAR.as_bytes())], STEPS);
    let found = Scenario::in_manifests("f", run, Some(dir.path())).unwrap();
    assert_eq!(found[0].to_spec().unwrap().references.len(), 1);
    assert!(Scenario::in_manifests("f", run, Some(Path::new("/no/such"))).is_err());
    assert!(Scenario::in_manifests("f", run, None).is_err());
}
