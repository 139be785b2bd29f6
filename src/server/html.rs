//! Small pieces of HTML.

use std::fmt::Write;

/// Text made harmless for element content and quoted attributes.
pub(super) fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A whole page. `refresh` makes the browser load it again after so many seconds.
pub(super) fn page(title: &str, refresh: Option<u32>, body: &str) -> String {
    let mut head = String::new();
    if let Some(s) = refresh {
        let _ = write!(head, "<meta http-equiv=\"refresh\" content=\"{s}\">");
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{head}<title>{}</title>\
         <style>{STYLE}</style></head><body><header><a href=\"/\">mosdat</a></header><main>{body}</main></body></html>",
        esc(title)
    )
}

/// A coloured word for a result or an outcome.
pub(super) fn badge(word: &str) -> String {
    let class = match word {
        "passed" | "healed" => "good",
        "failed" | "crashed" | "timedOut" => "bad",
        "error" | "invalid" | "softFailed" => "warn",
        _ => "calm",
    };
    format!("<span class=\"badge {class}\">{}</span>", esc(word))
}

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--soft:#60646c;--line:#d9d9e0;--good:#18794e;--bad:#b4232a;--warn:#915930}\
@media(prefers-color-scheme:dark){:root{--bg:#111113;--fg:#edeef0;--soft:#b0b4ba;--line:#363a3f;--good:#3dd68c;--bad:#ff9592;--warn:#ffca16}}\
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}\
header{padding:.75rem 1.5rem;border-bottom:1px solid var(--line);font-weight:600}main{padding:1rem 1.5rem;max-width:80rem;margin:0 auto}\
a{color:inherit}h1{font-size:1.3rem;margin:.5rem 0 1rem}h2{font-size:1.05rem;margin:1.5rem 0 .5rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
th{color:var(--soft);font-weight:500}.badge{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.calm{color:var(--soft)}\
.soft{color:var(--soft)}pre{white-space:pre-wrap;margin:0;font:13px/1.45 ui-monospace,monospace}\
.shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}figure{margin:0}\
.facts th{width:8rem}.decided{max-width:40rem;margin:.5rem 0}svg.shot{width:100%;height:auto;display:block;border:1px solid var(--line);border-radius:4px}\
.click{fill:none;stroke:#e8003d;stroke-width:3}.dot{fill:#e8003d}.area{fill:none;stroke:#e8003d;stroke-width:2;stroke-dasharray:6 3}\
img{width:100%;height:auto;border:1px solid var(--line);border-radius:4px}figcaption{color:var(--soft);font-size:13px}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(esc("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
        assert!(!page("<script>", None, "").contains("<script>"));
    }
}
