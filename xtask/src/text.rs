//! The labs' prose: Markdown with LaTeX formulas, to HTML with MathML.
//!
//! Done at build time, so that the page needs neither a Markdown nor a formula library, and apart from the
//! modules, so that a word can change without compiling.

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser as Markdown, Tag, TagEnd, html};
use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser as Latex, Storage, mathml};

use crate::root;
use crate::run::Outcome;
use crate::site::{files, read_text, write};

/// Writes `<slug>.<language>.html` for each `src/labs/*/text/<slug>[.<language>].md`; English where none is named.
pub fn write_prose(folder: &Path) -> Outcome {
    for source in sources()? {
        let stem = source.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
        let (slug, language) = stem.split_once('.').unwrap_or((&stem, "en"));
        let page = page(&read_text(&source)?).map_err(|problem| format!("{}: {problem}", source.display()))?;
        write(&folder.join(format!("{slug}.{language}.html")), page.as_bytes())?;
    }
    Ok(())
}

fn sources() -> Outcome<Vec<PathBuf>> {
    let mut sources = Vec::new();
    let Ok(pages) = fs::read_dir(root().join("src/labs")) else { return Ok(sources) };
    for folder in pages.filter_map(|entry| Some(entry.ok()?.path().join("text"))).filter(|folder| folder.is_dir()) {
        sources.extend(
            files(&folder)?.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")),
        );
    }
    Ok(sources)
}

/// A fragment of HTML. A formula that cannot be read fails the build: on the page it would stand as red source text.
fn page(markdown: &str) -> Outcome<String> {
    let options = Options::ENABLE_MATH | Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    let events = Markdown::new_ext(markdown, options).map(|event| match event {
        Event::InlineMath(latex) => formula(&latex, DisplayMode::Inline).map(|math| Event::InlineHtml(math.into())),
        Event::DisplayMath(latex) => formula(&latex, DisplayMode::Block).map(|math| {
            // A wide formula scrolls by itself, and by keys; the page does not.
            let boxed =
                format!("<span class=\"eq\" tabindex=\"0\" role=\"group\" aria-label=\"Formula\">{math}</span>");
            Event::InlineHtml(boxed.into())
        }),
        Event::Start(Tag::CodeBlock(_)) => {
            // So does a wide program.
            Ok(Event::Html("<pre tabindex=\"0\" role=\"group\" aria-label=\"Program\"><code>".into()))
        }
        Event::End(TagEnd::CodeBlock) => Ok(Event::Html("</code></pre>\n".into())),
        other => Ok(other),
    });
    let mut page = String::new();
    html::push_html(&mut page, events.collect::<Outcome<Vec<_>>>()?.into_iter());
    Ok(page)
}

fn formula(latex: &str, display_mode: DisplayMode) -> Outcome<String> {
    let storage = Storage::new();
    let events: Result<Vec<_>, _> = Latex::new(latex, &storage).collect();
    let events = events.map_err(|error| format!("the formula `{latex}` cannot be read: {error}"))?;
    let mut math = String::new();
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    mathml::push_mathml(&mut math, events.into_iter().map(Ok::<_, pulldown_latex::parser::error::ParserError>), config)
        .map_err(|error| format!("the formula `{latex}` cannot be written: {error}"))?;
    Ok(math)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn formulas_become_mathml_within_their_sentence() {
        let html = page("The density is $|A(z)|^2$:\n\n$$p(z) = \\frac{1}{2} + \\sum_{k=1}^N \\mathrm{Re}\\,(c_k e^{i k \\pi z})$$\n").unwrap();
        assert!(html.starts_with("<p>The density is <math"), "{html}");
        assert!(html.contains("<math display=\"block\""), "{html}");
        assert!(html.contains("<mfrac>"), "{html}");
    }

    #[test]
    fn prose_without_formulas_is_markdown() {
        assert_eq!(
            page("## Try\n\n*One* thing costs 5.\n").unwrap(),
            "<h2>Try</h2>\n<p><em>One</em> thing costs 5.</p>\n"
        );
    }

    #[test]
    fn a_program_keeps_its_signs_and_can_be_scrolled() {
        let html = page("```python\nif a < b: $x$\n```\n").unwrap();
        assert_eq!(
            html,
            "<pre tabindex=\"0\" role=\"group\" aria-label=\"Program\"><code>if a &lt; b: $x$\n</code></pre>\n"
        );
    }

    #[test]
    fn nothing_of_a_formula_needs_a_style_attribute() {
        let html = page(
            r"$$\begin{aligned} a &= \hat{b} \\ \mathbb{E}[x] &= \operatorname{softmax}(\mathbf{q}) \end{aligned}$$",
        )
        .unwrap();
        assert!(!html.contains("style="), "the page's policy refuses it: {html}");
    }

    #[test]
    fn a_broken_formula_fails_with_its_source() {
        let problem = page(r"$\frac{1}$ and $\nonsense$").unwrap_err();
        assert!(problem.contains("nonsense") || problem.contains("frac"), "{problem}");
    }
}
