//! Style and script of the report. Both stand in the page: it opens offline.

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1b1f24;--dim:#5d6671;--line:#d9dee4;--code:#f0f2f5;
--passed:#1a7f37;--failed:#c62828;--soft:#9a6700;--error:#7b3fb5;--skipped:#6e7781;--mark:#e8003d}
@media(prefers-color-scheme:dark){:root{--bg:#12151a;--card:#1b2027;--text:#e6e9ed;--dim:#9aa4b0;--line:#333b45;--code:#12161b;
--passed:#4ac26b;--failed:#ff6b6b;--soft:#e0a93b;--error:#c08cf0;--skipped:#8b949e;--mark:#ff3d6e}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:15px;margin:28px 0 8px;color:var(--dim);text-transform:capitalize}
p{margin:4px 0}a{color:inherit}.dim{color:var(--dim)}
.head{display:flex;gap:14px;align-items:center;flex-wrap:wrap}
.badge{display:inline-block;padding:1px 10px;border-radius:99px;color:#fff;background:var(--skipped);font-weight:600;
font-size:13px;white-space:nowrap}
@media(prefers-color-scheme:dark){.badge{color:#101317}}
.badge.big{font-size:17px;padding:3px 16px}
.passed,.healed{background:var(--passed)}.failed,.timedOut,.crashed{background:var(--failed)}.softFailed{background:var(--soft)}
.error,.invalid{background:var(--error)}
.why{border-left:4px solid var(--failed);background:var(--card);padding:10px 14px;margin:14px 0;border-radius:0 6px 6px 0}
.why.error{border-color:var(--error);background:var(--card)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 18px;margin:14px 0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
.bar{display:flex;height:12px;gap:2px;margin:14px 0}.bar a{min-width:5px;border-radius:3px;background:var(--skipped)}
.bar a.passed,.bar a.healed{background:var(--passed)}.bar a.failed,.bar a.timedOut,.bar a.crashed{background:var(--failed)}
.bar a.softFailed{background:var(--soft)}.bar a.error{background:var(--error)}
details.step{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:0 14px}
details.step>summary{display:flex;gap:12px;align-items:baseline;padding:9px 0;cursor:pointer;list-style:none}
details.step>summary::-webkit-details-marker{display:none}
summary .label{flex:1;overflow-wrap:anywhere;font-weight:600}summary code{color:var(--dim);background:none;font-size:12px}
.body{padding:0 0 14px}
.shots{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,560px));gap:12px;margin:8px 0}
figure{margin:0}figure.wide{grid-column:1/-1}figcaption{color:var(--dim);font-size:13px}
svg.shot{width:100%;height:auto;display:block;border:1px solid var(--line);border-radius:4px;cursor:zoom-in}
figure.wide svg.shot{cursor:zoom-out}
.click{fill:none;stroke:var(--mark);stroke-width:3}.dot{fill:var(--mark)}
.pointer{fill:#fff;stroke:#000;stroke-width:1.2}
.area{fill:none;stroke:var(--mark);stroke-width:2;stroke-dasharray:6 3}
table{border-collapse:collapse;width:100%;font-size:14px}td{padding:3px 10px 3px 0;vertical-align:top;overflow-wrap:anywhere}
td:first-child{color:var(--dim);white-space:nowrap;width:1%}
pre{background:var(--code);border:1px solid var(--line);border-radius:4px;padding:6px 10px;margin:4px 0;white-space:pre-wrap;
overflow-wrap:anywhere;font:13px/1.45 ui-monospace,monospace;max-height:340px;overflow:auto}
.verdict-true{color:var(--passed)}.verdict-false{color:var(--failed)}.verdict-cannotTell{color:var(--error)}
";

/// A click on a picture makes it as wide as the page; a link in the bar opens its step.
pub(super) const SCRIPT: &str = "
document.addEventListener('click',e=>{const s=e.target.closest('svg.shot');if(s)s.closest('figure').classList.toggle('wide');
const a=e.target.closest('.bar a');if(a){const d=document.getElementById(a.hash.slice(1));if(d)d.open=true}});
";
