//! A page has our elements and attributes alone: what an event says is text in them, in which
//! no character is obeyed.

use scraper::{Html, Node};

use super::characters;

/// As the test of the report in `tests/it/report.rs` has them.
const ELEMENTS: &str = "a body caption code dd details div dl dt footer g h1 h2 h3 head header html li line main meta nav ol p path rect section span strong style summary svg table tbody td template text th thead title tr ul";
const ATTRIBUTES: &str = "aria-hidden aria-label aria-labelledby charset class content d data-sha256 height href http-equiv id lang name preserveAspectRatio role scope tabindex text-anchor title viewBox width x x1 x2 y y1 y2";
const STYLE: &str = include_str!("../../../src/bin/pushwatch/commands/report/style.css");

#[track_caller]
pub fn assert_inert(page: &str) {
    characters::assert_lines(page);
    let html = Html::parse_document(page);
    let is_in = |list: &str, name: &str| list.split(' ').any(|known| known == name);
    let mut policies = 0;
    for node in html.tree.root().descendants() {
        match node.value() {
            Node::Comment(_) | Node::ProcessingInstruction(_) => panic!("{node:?}\n{page}"),
            Node::Element(element) => {
                let name = element.name();
                assert!(is_in(ELEMENTS, name), "{name}\n{page}");
                for (attribute, value) in element.attrs() {
                    assert!(is_in(ATTRIBUTES, attribute), "{attribute}\n{page}");
                    characters::assert_line(value);
                    assert!(
                        attribute != "href" || value.starts_with('#'),
                        "{value}\n{page}"
                    );
                }
                if element.attr("http-equiv") == Some("Content-Security-Policy") {
                    let policy = element.attr("content").unwrap_or_default();
                    assert!(is_policy(policy), "{policy}");
                    let parent = node.parent();
                    let parent = parent.and_then(|parent| parent.value().as_element());
                    assert_eq!(parent.map(scraper::node::Element::name), Some("head"));
                    policies += 1;
                }
                if name == "style" {
                    let text = node.first_child();
                    let text = text.and_then(|text| text.value().as_text().cloned());
                    assert_eq!(text.as_deref(), Some(STYLE));
                }
            }
            // An entity may stand for any character.
            Node::Text(text) => characters::assert_lines(text),
            _ => {}
        }
    }
    assert_eq!(policies, 1, "{page}");
}

fn is_policy(policy: &str) -> bool {
    let parts: Vec<_> = policy.split("; ").collect();
    matches!(
        parts[..],
        ["default-src 'none'", style, "base-uri 'none'", "form-action 'none'"]
            if style.starts_with("style-src 'sha256-") && style.matches(' ').count() == 1
    )
}
