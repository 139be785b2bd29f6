//! Elements of the accessibility tree: which one is meant, where it is, and whether a click would reach it.

use super::check::Finding;
use super::failure::Failure;
use super::record;
use super::step::Stage;
use crate::desktop::{Frame, Point, Rect};
use crate::guest::{self, Node, Query, Sight, Tree};
use crate::scenario::{Accessible, NodeCheck};
use crate::vision::{Hit, Located, Verdict};

/// Elements that a reason names.
const TOLD: usize = 6;

/// The element of the last hit: what a click must reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pid: u32,
    /// Title of its window.
    window: String,
    what: String,
}

impl Stage<'_> {
    /// Where the element is on the screen.
    pub(super) async fn element(
        &mut self,
        element: &Accessible,
        nth: Option<u32>,
        region: Option<Rect>,
        frame: &Frame,
    ) -> Result<Located, Failure> {
        let tree = self.tree(element).await?;
        let session = self.session().await?;
        let (answer, node) = place(element, &tree, nth, region, frame.width(), frame.height());
        let Some(node) = node else { return Ok(answer) };
        let window = node.path.first().map(|(_, name)| name.clone()).unwrap_or_default();
        if session.is_wayland() {
            // Only an X client's coordinates are those of the screen there.
            let link = self.run.rig.guest.clone();
            let x11 = !window.is_empty()
                && matches!(
                    guest::has_window(link.as_ref(), &session, &window).await,
                    Ok(Sight::Shown)
                );
            if !x11 {
                let reason = format!(
                    "{} is there, but in a Wayland session programs do not tell where; give 'text' or 'describe' beside it, \
                     or start the program with 'display: xwayland'",
                    named(node)
                );
                return Ok(Located::NotFound { reason, sure: false });
            }
        }
        self.owner = Some(Owner {
            pid: node.pid,
            window,
            what: named(node),
        });
        Ok(answer)
    }

    /// Looks once.
    pub(super) async fn look_at_node(&mut self, check: &NodeCheck) -> Result<Finding, Failure> {
        let tree = self.tree(&check.element).await?;
        Ok(judge(check, &tree, |text| record::last_lines(&self.masked(text))))
    }

    async fn tree(&mut self, element: &Accessible) -> Result<Tree, Failure> {
        let session = self.session().await?;
        let link = self.run.rig.guest.clone();
        let roles: Vec<String> = element.roles().into_iter().map(String::from).collect();
        // With a role, all names are asked for: they tell what is there instead.
        let fits = element.name.as_ref().filter(|_| roles.is_empty());
        let name = fits.and_then(|n| n.equals.as_ref().or(n.contains.as_ref()));
        let query = Query {
            name: name.map(|n| n.trim().to_string()).unwrap_or_default(),
            roles,
            app: element.app.clone().unwrap_or_default(),
            hidden: element.may_be_hidden(),
        };
        Ok(guest::nodes(link.as_ref(), &session, &query).await?)
    }

    /// Brings the pointer onto an element, and makes sure that its window is the one there: the tree tells an element's
    /// place also where another window covers it. `Some`: what is in front.
    pub(super) async fn covered(&mut self, at: Point) -> Result<Option<String>, Failure> {
        let Some(owner) = self.owner.take() else {
            return Ok(None);
        };
        self.pointing().move_to(at).await?;
        let session = self.session().await?;
        let link = self.run.rig.guest.clone();
        let beneath = guest::beneath_pointer(link.as_ref(), &session).await?;
        if beneath.is_none() {
            self.note("which window is under the pointer cannot be told here");
        }
        Ok(beneath
            .filter(|(pid, title)| *pid != owner.pid && *title != owner.window)
            .map(|(pid, title)| format!("{} is behind another window: '{title}' of process {pid}", owner.what)))
    }
}

fn named(node: &Node) -> String {
    match node.name.trim() {
        "" => node.role.clone(),
        name => format!("{} '{}'", node.role, record::cut(name, 60)),
    }
}

fn is_shown(node: &Node) -> bool {
    node.states.iter().any(|state| state == "showing")
}

/// Everything but the states.
fn is_named(wanted: &Accessible, node: &Node) -> bool {
    let roles = wanted.roles();
    let role = roles.is_empty() || roles.contains(&node.role.as_str());
    let name = wanted.name.as_ref().is_none_or(|name| name.holds(node.name.trim()));
    let app = (wanted.app.as_ref()).is_none_or(|app| node.app.to_lowercase().contains(&app.to_lowercase()));
    // Each part further inside than the one before.
    let mut way = node.path.iter();
    let path = (wanted.path.iter()).all(|part| way.any(|(role, name)| name.trim() == part.trim() || role == part));
    role && name && app && path
}

fn has_states(wanted: &Accessible, node: &Node) -> bool {
    let has = |state: &str| node.states.iter().any(|s| s == state);
    wanted.states.iter().all(|(state, yes)| has(state) == *yes) && (wanted.may_be_hidden() || is_shown(node))
}

/// The elements that fit; else why none does, and whether that is sure.
fn fitting<'t>(wanted: &Accessible, tree: &'t Tree) -> Result<Vec<&'t Node>, (String, bool)> {
    let named_so: Vec<&Node> = tree.nodes.iter().filter(|n| is_named(wanted, n)).collect();
    let fit: Vec<&Node> = named_so.iter().copied().filter(|n| has_states(wanted, n)).collect();
    if !fit.is_empty() {
        return Ok(fit);
    }
    let mut reasons = Vec::new();
    match named_so.as_slice() {
        [] => {
            let there: Vec<String> = tree.nodes.iter().filter(|n| is_shown(n)).map(named).collect();
            reasons.push(match (there.as_slice(), tree.seen) {
                (_, 0) => "no program of the session tells its elements; Chromium and Electron need \
                     --force-renderer-accessibility"
                    .to_string(),
                ([], _) => "no element fits".to_string(),
                (some, _) => format!("no element fits; there are {}", listed(some)),
            });
        }
        some => {
            let states: Vec<String> = some
                .iter()
                .map(|n| format!("{} ({})", named(n), n.states.join(", ")))
                .collect();
            let what = match some.iter().any(|n| is_shown(n)) {
                true => "in another state",
                false => "not on the screen",
            };
            reasons.push(format!("it is {what}: {}", listed(&states)));
        }
    }
    if tree.cut {
        reasons.push(format!(
            "only {} elements were looked at, and there are more",
            tree.seen
        ));
    }
    if !tree.unreadable.is_empty() {
        reasons.push(format!("not answering: {}", listed(&tree.unreadable)));
    }
    Err((reasons.join("; "), is_whole(tree)))
}

/// Whether what is not in the tree is not there.
fn is_whole(tree: &Tree) -> bool {
    !tree.cut && tree.unreadable.is_empty() && tree.seen > 0
}

fn listed(some: &[String]) -> String {
    let mut text = some.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    if some.len() > TOLD {
        text += &format!(" and {} more", some.len() - TOLD);
    }
    text
}

/// The one element that is meant, in pixels of the screen.
fn place<'t>(
    wanted: &Accessible,
    tree: &'t Tree,
    nth: Option<u32>,
    region: Option<Rect>,
    width: u32,
    height: u32,
) -> (Located, Option<&'t Node>) {
    let fit = match fitting(wanted, tree) {
        Ok(fit) => fit,
        Err((reason, sure)) => return (Located::NotFound { reason, sure }, None),
    };
    let within = |rect: Rect| region.is_none_or(|region| region.contains(rect.center()));
    let mut placed: Vec<(Rect, &Node)> = fit
        .iter()
        .filter_map(|node| Some((super::within::clipped(node.place?, width, height)?, *node)))
        .filter(|(rect, _)| within(*rect))
        .collect();
    placed.sort_by_key(|(rect, _)| (rect.y, rect.x));
    let hit = |(rect, node): &(Rect, &Node)| Hit {
        rect: *rect,
        point: rect.center(),
        confidence: 1.0,
        rung: Hit::NODE,
        matched: named(node),
    };
    let sure = is_whole(tree);
    let none = |reason: String| (Located::NotFound { reason, sure }, None);
    match (placed.as_slice(), nth) {
        ([], _) => none(format!(
            "{} is there, but {}",
            fit.first().map(|n| named(n)).unwrap_or_default(),
            if region.is_some() {
                "not in that part of the screen"
            } else {
                "has no place on the screen"
            }
        )),
        (several, Some(nth)) => match several.get(nth as usize - 1) {
            Some(one) => (Located::Found(hit(one)), Some(one.1)),
            None => none(format!("there are only {} of it", several.len())),
        },
        ([one], None) => (Located::Found(hit(one)), Some(one.1)),
        (several, None) => {
            let hits = several.iter().map(hit).collect();
            (Located::Ambiguous { hits }, None)
        }
    }
}

/// Whether the element is there, and holds what it has to.
fn judge(check: &NodeCheck, tree: &Tree, shown: impl Fn(&str) -> String) -> Finding {
    let fit = match fitting(&check.element, tree) {
        Ok(fit) => fit,
        Err((reason, true)) => return Finding::new(Verdict::False, reason),
        Err((reason, false)) => return Finding::new(Verdict::CannotTell, reason),
    };
    let names: Vec<String> = fit.iter().map(|n| named(n)).collect();
    let Some(fits) = &check.value else {
        return Finding::new(Verdict::True, format!("{} is there", listed(&names)));
    };
    let [node] = fit.as_slice() else {
        let reason = format!(
            "{} elements fit ({}); say more of the one that is meant: role, state, path or app",
            fit.len(),
            listed(&names)
        );
        return Finding::new(Verdict::CannotTell, reason);
    };
    let Some(value) = &node.value else {
        let reason = format!("{} tells neither a text nor a number", named(node));
        return Finding::new(Verdict::CannotTell, reason);
    };
    match fits.miss(value, &named(node), &shown(value)) {
        miss if !node.whole && (miss.is_some() || fits.needs_whole()) => Finding::new(
            Verdict::CannotTell,
            format!("{} holds more text than is read", named(node)),
        ),
        Some(miss) => Finding::new(Verdict::False, miss),
        None => Finding::new(Verdict::True, format!("{} is as it should be", named(node))),
    }
}

#[cfg(test)]
mod tests;
