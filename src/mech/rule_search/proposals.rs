//! A model's numbered list, read into values.

/// Longer ones are sentences.
const LONGEST: usize = 64;

/// The values of a reply, as the paper's code reads them: only lines that end with a dot count.
pub fn strict(reply: &str) -> Vec<String> {
    reply.trim().split('\n').filter_map(|line| value(line.trim())).collect()
}

/// The same for replies in any list form: a missing number or final dot loses nothing, and bullets serve too.
pub fn lenient(reply: &str) -> Vec<String> {
    let listed = |line: &str| {
        let rest = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let numbered = rest.len() < line.len() && rest.starts_with(['.', ')']);
        let bullet = ["- ", "* ", "• "].iter().find_map(|bullet| line.strip_prefix(bullet));
        let text = if numbered { &rest[1..] } else { bullet? };
        value(&format!("1.{}.", text.trim().trim_end_matches('.')))
    };
    reply.trim().split('\n').filter_map(|line| listed(line.trim())).collect()
}

/// What stands between the first dot of a line and the one at its end.
fn value(line: &str) -> Option<String> {
    let text = line.strip_suffix('.')?;
    // A line whose only dot is its last holds no value.
    let text = text.split_once('.').map_or("", |(_, text)| text);
    let text = text.trim_matches(['\'', '.', ' ']).trim_matches(['"', ' ']);
    if text.contains('/') || text.matches(',').count() > 1 || text.chars().count() > LONGEST {
        return None;
    }
    let mut text = text.split_once(',').map_or(text, |(first, _)| first.trim()).to_owned();
    if let (Some(open), Some(close)) = (text.find('('), text.find(')')) {
        text = format!("{}{}", &text[..open], text[close + 1..].trim());
    }
    for mark in [":", " - "] {
        if let Some((_, after)) = text.split_once(mark) {
            text = after.trim().to_owned();
        }
    }
    let text = text.replace('_', " ").trim().to_owned();
    (!text.is_empty() && !text.contains(". ")).then_some(text)
}
