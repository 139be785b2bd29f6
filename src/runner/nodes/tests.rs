use super::*;
use crate::scenario::Fits;

fn node(role: &str, name: &str, states: &str, place: [i64; 4], path: &[(&str, &str)]) -> Node {
    Node {
        role: role.into(),
        name: name.into(),
        states: states.split(' ').map(String::from).collect(),
        place: Some(place),
        path: path.iter().map(|(r, n)| (r.to_string(), n.to_string())).collect(),
        pid: 7,
        app: "Lab".into(),
        value: None,
        whole: true,
    }
}

fn tree(nodes: Vec<Node>) -> Tree {
    Tree {
        seen: nodes.len() + 1,
        nodes,
        ..Tree::default()
    }
}

fn wanted(role: &str, name: &str) -> Accessible {
    Accessible {
        role: (!role.is_empty()).then(|| role.into()),
        name: (!name.is_empty()).then(|| Fits {
            equals: Some(name.into()),
            ..Fits::default()
        }),
        ..Accessible::default()
    }
}

fn two_saves() -> Tree {
    let dialog = [("frame", "Lab Demo"), ("dialog", "Save as")];
    tree(vec![
        node("button", "Save", "enabled showing visible", [300, 200, 80, 20], &dialog),
        node(
            "push button",
            "Save",
            "enabled showing visible",
            [10, 20, 40, 20],
            &dialog[..1],
        ),
        node("push button", "Save", "enabled visible", [0, 0, 0, 0], &dialog[..1]),
        node(
            "push button",
            "Save all",
            "showing visible",
            [10, 60, 40, 20],
            &dialog[..1],
        ),
    ])
}

fn found(wanted: &Accessible, tree: &Tree, nth: Option<u32>, region: Option<Rect>) -> Result<Point, String> {
    match place(wanted, tree, nth, region, 800, 600).0 {
        Located::Found(hit) => Ok(hit.point),
        Located::NotFound { reason, sure } => Err(format!("{sure} {reason}")),
        Located::Ambiguous { hits } => Err(record::ambiguous(&hits)),
    }
}

#[test]
fn the_one_on_the_screen_is_meant() {
    let tree = two_saves();
    let save = wanted("push button", "Save");
    let several = found(&save, &tree, None, None).unwrap_err();
    assert!(
        several.contains("2 places fit") && several.contains("role, state, path"),
        "{several}"
    );
    // In reading order; the role has two names.
    assert_eq!(found(&save, &tree, Some(1), None), Ok(Point::new(30, 30)));
    assert_eq!(found(&save, &tree, Some(2), None), Ok(Point::new(340, 210)));
    assert!(found(&save, &tree, Some(3), None).unwrap_err().contains("only 2"));
    let left = Some(Rect::new(0, 0, 100, 600));
    assert_eq!(found(&save, &tree, None, left), Ok(Point::new(30, 30)));
    let nowhere = found(&save, &tree, None, Some(Rect::new(700, 0, 100, 600))).unwrap_err();
    assert!(nowhere.contains("not in that part"), "{nowhere}");
}

#[test]
fn a_path_is_followed_by_whole_parts() {
    let tree = two_saves();
    let inside = |parts: &[&str]| Accessible {
        path: parts.iter().map(|p| p.to_string()).collect(),
        ..wanted("push button", "Save")
    };
    assert_eq!(
        found(&inside(&["Lab Demo", "dialog"]), &tree, None, None),
        Ok(Point::new(340, 210))
    );
    assert!(
        found(&inside(&["dialog", "Lab Demo"]), &tree, None, None).is_err(),
        "the other way round"
    );
    assert!(
        found(&inside(&["Save"]), &tree, None, None).is_err(),
        "a part of a name is none"
    );
}

#[test]
fn what_is_there_instead_is_told() {
    let tree = two_saves();
    let other = found(&wanted("push button", "Open"), &tree, None, None).unwrap_err();
    assert!(other.starts_with("true ") && other.contains("'Save all'"), "{other}");
    let checked = Accessible {
        states: vec![("checked".into(), true)],
        ..wanted("push button", "Save all")
    };
    let state = found(&checked, &tree, None, None).unwrap_err();
    assert!(
        state.contains("in another state") && state.contains("showing, visible"),
        "{state}"
    );
    let hidden = tree_of_one("enabled visible");
    let gone = found(&wanted("push button", "Save"), &hidden, None, None).unwrap_err();
    assert!(gone.contains("not on the screen"), "{gone}");
}

fn tree_of_one(states: &str) -> Tree {
    tree(vec![node("push button", "Save", states, [10, 20, 40, 20], &[])])
}

#[test]
fn nobody_says_no_of_what_was_not_read() {
    let missing = wanted("push button", "Open");
    let read = two_saves();
    let silent = Tree {
        unreadable: vec!["Lab: timeout".into()],
        ..read.clone()
    };
    let cut = Tree { cut: true, ..read };
    for (tree, word) in [
        (&silent, "not answering"),
        (&cut, "there are more"),
        (&Tree::default(), "no program"),
    ] {
        let told = found(&missing, tree, None, None).unwrap_err();
        assert!(told.starts_with("false ") && told.contains(word), "{told}");
        let check = NodeCheck {
            element: missing.clone(),
            value: None,
        };
        assert_eq!(judge(&check, tree, str::to_string).verdict, Verdict::CannotTell);
    }
}

#[test]
fn hidden_ones_count_where_a_state_says_so() {
    let check = |states: Vec<(String, bool)>| NodeCheck {
        element: Accessible {
            states,
            ..wanted("push button", "Save")
        },
        value: None,
    };
    let hidden = tree_of_one("enabled visible");
    assert_eq!(judge(&check(vec![]), &hidden, str::to_string).verdict, Verdict::False);
    let not_showing = vec![("showing".to_string(), false)];
    assert_eq!(
        judge(&check(not_showing), &hidden, str::to_string).verdict,
        Verdict::True
    );
}

#[test]
fn values() {
    let check = |text: &str| NodeCheck {
        element: wanted("text", "User"),
        value: Some(Fits {
            equals: Some(text.into()),
            ..Fits::default()
        }),
    };
    let mut entry = node("entry", "User", "showing", [0, 0, 9, 9], &[]);
    entry.value = Some("alice".into());
    let one = tree(vec![entry.clone()]);
    assert_eq!(judge(&check("alice"), &one, str::to_string).verdict, Verdict::True);
    let no = judge(&check("bob"), &one, |_| "***".into());
    assert_eq!(no.verdict, Verdict::False);
    assert!(!no.reason.contains("alice"), "{}", no.reason);
    // Of two, or of one without a value, nobody knows.
    let two = tree(vec![entry.clone(), entry.clone()]);
    assert_eq!(
        judge(&check("alice"), &two, str::to_string).verdict,
        Verdict::CannotTell
    );
    entry.whole = false;
    let part = tree(vec![entry.clone()]);
    assert_eq!(
        judge(&check("alice"), &part, str::to_string).verdict,
        Verdict::CannotTell
    );
    entry.value = None;
    let mute = tree(vec![entry]);
    assert_eq!(
        judge(&check("alice"), &mute, str::to_string).verdict,
        Verdict::CannotTell
    );
}
