use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

use crosscheck_cases::{Case, Document, DocumentKind, LoadProbe, Loader, Probe};

/// A top-level page with everything that it embeds, opens and starts, and the cases that run in each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The documents and workers; the first is the top-level page, and each stands after what it is in.
    pub(crate) nodes: Vec<Node>,
    /// Whether it opens pop-ups, itself or in the scripts of its cases.
    pub(crate) opens_popups: bool,
    /// Whether its cases load audio or video or decode images, which browsers put off in a tab that nobody looks at.
    pub(crate) media: bool,
    /// Whether its cases make frames.
    pub(crate) frames: bool,
}

/// How many cases a window has at the most: it is published as a whole, with a script that names them all.
const FULL: usize = 2500;
/// From how many cases with frames on a page makes so many that a driver which attends to each is busy with nothing else.
const MANY_FRAMES: usize = 24;

/// One document or worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) document: Document,
    /// Which node of the window it is in; nothing for the top-level page.
    pub(crate) parent: Option<usize>,
    /// Which cases run in it: positions in the list that was planned.
    pub(crate) cases: Vec<usize>,
}

/// What to load for a list of cases: one document for each distinct one, together in one window where they have the
/// same top-level page, as long as that is not full.
pub(crate) fn plan(cases: &[&Case]) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    let mut window_of: HashMap<(&Document, bool, bool, bool), usize> = HashMap::new();
    let mut node_of: HashMap<(usize, &Document), usize> = HashMap::new();
    for (position, case) in cases.iter().enumerate() {
        let document = &case.stated.page;
        if document.kind == DocumentKind::None {
            continue;
        }
        // Pop-ups take the focus and are refused to pages that do not have it, so they have windows of their own.
        let opens_popups = opens_popup(document) || case.stated.when.iter().any(calls_open);
        let media = loads_media(case);
        // These keep drivers busy, which shall not make others wait.
        let frames = case.stated.when.iter().any(makes_frame);
        let key = (document.top(), opens_popups, media, frames);
        let window = match window_of.get(&key) {
            Some(window) if windows[*window].size() < FULL => *window,
            _ => {
                windows.push(Window { nodes: Vec::new(), opens_popups, media, frames });
                window_of.insert(key, windows.len() - 1);
                windows.len() - 1
            }
        };
        let node = node(&mut windows, window, document, &mut node_of);
        windows[window].nodes[node].cases.push(position);
    }
    windows
}

/// The cases in whose windows many frames are made, and all others.
pub(crate) fn split_frames<'c>(cases: &[&'c Case]) -> (Vec<&'c Case>, Vec<&'c Case>) {
    let mut framed = vec![false; cases.len()];
    for window in plan(cases).iter().filter(|window| window.makes_many_frames()) {
        for position in window.nodes.iter().flat_map(|node| &node.cases) {
            framed[*position] = true;
        }
    }
    let (with, without): (Vec<_>, Vec<_>) = cases.iter().zip(framed).partition(|(_, framed)| *framed);
    (with.into_iter().map(|(case, _)| *case).collect(), without.into_iter().map(|(case, _)| *case).collect())
}

/// Puts windows into the order in which they are loaded: those that need the focus, as only one tab has it, before pop-ups
/// those with media, as a pop-up that closes may leave another tab in front; then site
/// by site, as a browser starts a new process where a tab goes to another site; in each of these the longest first, so
/// that the others end beside it.
pub(crate) fn order(windows: &mut [Window]) {
    let mut sizes: HashMap<String, usize> = HashMap::new();
    for window in windows.iter() {
        *sizes.entry(window.site()).or_default() += window.size();
    }
    windows.sort_by_cached_key(|window| {
        let site = window.site();
        let first = (!window.media, !window.opens_popups);
        (first, Reverse(sizes.get(&site).copied()), site, Reverse(window.size()))
    });
}

/// Whether a step's script opens a window.
fn calls_open(step: &Probe) -> bool {
    matches!(step, Probe::Evaluate(script, _) if script.contains("window.open(") || script.contains("popup("))
}

/// Whether a step makes frames in its page.
fn makes_frame(step: &Probe) -> bool {
    match step {
        Probe::Evaluate(script, _) => {
            ["frame(", "'iframe'", "'object'", "'embed'"].iter().any(|one| script.contains(one))
        }
        Probe::Load(_, LoadProbe { element, .. }) => matches!(element, Loader::Iframe | Loader::Object | Loader::Embed),
        _ => false,
    }
}

/// Whether a pop-up stands in the chain of what the document is in.
fn opens_popup(document: &Document) -> bool {
    document.kind == DocumentKind::Popup || document.within.as_deref().is_some_and(opens_popup)
}

/// Whether a case loads audio or video, or waits until an image is ready to be painted.
fn loads_media(case: &Case) -> bool {
    case.stated.when.iter().any(|probe| match probe {
        Probe::Load(_, LoadProbe { element: Loader::Audio | Loader::Video | Loader::Track, .. }) => true,
        Probe::Load(_, LoadProbe { look: Some(look), .. }) => look.contains(".decode("),
        Probe::Evaluate(script, _) => ["'audio'", "'video'", "new Audio("].iter().any(|one| script.contains(one)),
        _ => false,
    })
}

impl Window {
    /// Whether it has to be in the tab that has the focus: it opens pop-ups, or loads audio or video.
    pub(crate) fn needs_focus(&self) -> bool {
        self.opens_popups || self.media
    }

    /// Whether it makes so many frames that a driver which attends to each of them does nothing else.
    pub(crate) fn makes_many_frames(&self) -> bool {
        self.frames && !self.needs_focus() && self.size() >= MANY_FRAMES
    }

    /// The last two labels of the host of its page, or an address as a whole.
    fn site(&self) -> String {
        let origin = self.nodes.first().and_then(|node| node.document.own_origin());
        let host = origin.map(|origin| origin.host).unwrap_or_default();
        let mut labels = host.rsplitn(3, '.');
        match (labels.next(), labels.next()) {
            (Some(last), Some(name)) if last.parse::<u8>().is_err() => format!("{name}.{last}"),
            _ => host,
        }
    }

    /// How many cases run in it.
    pub(crate) fn size(&self) -> usize {
        self.nodes.iter().map(|node| node.cases.len()).sum()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (documents, cases) = (self.nodes.len(), self.size());
        match self.nodes.first() {
            Some(top) => write!(formatter, "{} with {documents} documents, {cases} cases", top.document),
            None => write!(formatter, "nothing"),
        }
    }
}

/// The position of a document in its window, put there with what it is in where it is new.
fn node<'c>(
    windows: &mut [Window],
    window: usize,
    document: &'c Document,
    node_of: &mut HashMap<(usize, &'c Document), usize>,
) -> usize {
    if let Some(position) = node_of.get(&(window, document)) {
        return *position;
    }
    let parent = document.within.as_deref().map(|within| node(windows, window, within, node_of));
    windows[window].nodes.push(Node { document: document.clone(), parent, cases: Vec::new() });
    node_of.insert((window, document), windows[window].nodes.len() - 1);
    windows[window].nodes.len() - 1
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn equal_documents_are_loaded_once_and_share_their_top_level_page() {
        let case = |id: &str, page: &str| {
            format!(
                r#"{{"id": "{id}", "title": "t", "requires": ["fetch.cors-check.2"], "page": {page},
                    "given": {{"https://a.test/": {{}}}}, "when": {{"fetch": "https://a.test/"}},
                    "then": {{"page": "network-error", "wire": ["GET"], "reason": "missing-allow-origin"}}}}"#
            )
        };
        let frame = r#"{"kind": "iframe", "origin": "https://b.test", "in": "https://page.test"}"#;
        let cases = [
            case("a", r#""https://page.test""#),
            case("b", r#""https://page.test:443""#),
            case("c", frame),
            case("d", r#"{"kind": "worker", "origin": "https://page.test"}"#),
            case("e", r#"{"kind": "worker", "origin": "https://other.test"}"#),
            case("f", frame),
        ];
        let text = format!(r#"{{"topic": "t", "about": "a", "cases": [{}]}}"#, cases.join(","));
        let suite = crosscheck_cases::load_text(Path::new("t.json"), &text).expect("sound cases");
        let windows = plan(&suite.cases.iter().collect::<Vec<_>>());
        let shape: Vec<Vec<(Option<usize>, Vec<usize>)>> = windows
            .iter()
            .map(|window| window.nodes.iter().map(|node| (node.parent, node.cases.clone())).collect())
            .collect();
        assert_eq!(
            shape,
            [
                vec![(None, vec![0, 1]), (Some(0), vec![2, 5]), (Some(0), vec![3])],
                vec![(None, vec![]), (Some(0), vec![4])]
            ]
        );
    }
}
