//! What the program says of itself.

use super::Place;

#[test]
fn help_takes_a_command() {
    let place = Place::empty();
    let (help, flag) = (place.mosdat(&["help", "replay"]), place.mosdat(&["replay", "--help"]));
    assert_eq!((help.code, help.out.as_str()), (Some(0), flag.out.as_str()));
    assert!(help.out.contains("Usage: mosdat replay"), "{}", help.out);
    assert_eq!(place.mosdat(&["help", "nosuch"]).code, place.mosdat(&["nosuch"]).code);
}

#[test]
fn manual_pages_are_told_where_they_are() {
    let place = Place::empty();
    // Another program's page is none of those that are written; an old one of ours is written anew.
    place.file("pages/other.1", "");
    place.file("pages/mosdat.1", "");
    let ran = place.mosdat(&["man", "--output-dir", "pages"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let there = std::fs::read_dir(place.path().join("pages")).expect("folder").count();
    assert!(
        ran.out.contains(&format!("to pages ({} files)", there - 1)),
        "{}",
        ran.out
    );
    let page = std::fs::read_to_string(place.path().join("pages/mosdat.1")).expect("a page");
    assert!(page.contains("mosdat"), "{page}");
    assert!(ran.out.contains("pages/mosdat.1"), "{}", ran.out);
}

#[test]
fn an_address_of_a_screen_is_told_as_it_is_meant() {
    let place = Place::empty();
    for (given, meant) in [
        (":1", "localhost:5901"),
        ("5901", "localhost:5901"),
        ("pve9::5901", "pve9:5901"),
    ] {
        let ran = place.mosdat(&["vnc", "shot", "--to", given, "-o", "x.png"]);
        assert!(ran.code == Some(3) && ran.err.contains(meant), "{given}: {}", ran.all());
    }
    let ran = place.mosdat(&["vnc", "shot", "--to", "127.0.0.1:2", "-o", "x.png"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("127.0.0.1:5902"),
        "{}",
        ran.all()
    );
}
