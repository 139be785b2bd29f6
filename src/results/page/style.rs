//! Style and script of the report. Both stand in the page: it opens offline.

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1b1f24;--dim:#5d6671;--line:#d9dee4;--code:#f0f2f5;
--passed:#1a7f37;--failed:#c62828;--soft:#9a6700;--error:#7b3fb5;--skipped:#6e7781;--mark:#e8003d;--decided:#0a7d34;--slide:#3b6fd4}
@media(prefers-color-scheme:dark){:root{--bg:#12151a;--card:#1b2027;--text:#e6e9ed;--dim:#9aa4b0;--line:#333b45;--code:#12161b;
--passed:#4ac26b;--failed:#ff6b6b;--soft:#e0a93b;--error:#c08cf0;--skipped:#8b949e;--mark:#ff3d6e;--decided:#0a7d34;--slide:#3b6fd4}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:15px;margin:28px 0 8px;color:var(--dim);text-transform:capitalize}h3{font-size:15px;margin:20px 0 6px}h3 .dim,h3.dim{font-weight:normal}
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
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:0 36px;margin:6px 0 10px;font-size:14px}
.facts h2{margin:12px 0 4px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
.film{display:flex;gap:8px;overflow-x:auto;padding:2px 0 10px}
.film a{flex:none;width:132px;text-decoration:none;color:var(--dim);font-size:11px}
.film svg{width:100%;height:auto;display:block;border-radius:3px 3px 0 0}
.film i{display:block;height:4px;border-radius:0 0 3px 3px;background:var(--skipped)}
.film span{display:block;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
.film i.passed,.film i.healed{background:var(--passed)}.film i.failed,.film i.timedOut,.film i.crashed{background:var(--failed)}
.film i.softFailed{background:var(--soft)}.film i.error{background:var(--error)}
.bar{display:flex;height:12px;gap:2px;margin:14px 0}.bar a{min-width:5px;border-radius:3px;background:var(--skipped)}
.bar a.passed,.bar a.healed{background:var(--passed)}.bar a.failed,.bar a.timedOut,.bar a.crashed{background:var(--failed)}
.bar a.softFailed{background:var(--soft)}.bar a.error{background:var(--error)}
details.step{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:0 14px}
details.step>summary{display:flex;gap:12px;align-items:baseline;padding:9px 0;cursor:pointer;list-style:none}
details.step>summary::-webkit-details-marker{display:none}
summary .label{flex:1;overflow-wrap:anywhere;font-weight:600}summary code{color:var(--dim);background:none;font-size:12px}
.body{padding:0 0 14px;display:grid;gap:0 22px;grid-template-columns:minmax(0,1fr)}
@media(min-width:900px){.body:has(figure):not(:has(figure.wide)){grid-template-columns:minmax(0,580px) minmax(0,1fr)}}
.body>p{grid-column:1/-1}table{align-self:start}
.shots{display:grid;grid-template-columns:minmax(0,1fr);align-content:start;gap:12px;margin:8px 0}.shots:empty{display:none}
figure.compare{--at:50%}
.frames{position:relative}
.frames .later,.frames .over{position:absolute;inset:0}
.frames .later{clip-path:inset(0 0 0 var(--at))}
.frames .over{width:100%;height:auto;pointer-events:none}
.frames::after{content:'';position:absolute;top:0;bottom:0;left:calc(var(--at) - 1px);width:2px;background:var(--slide);pointer-events:none}
.compare input{width:calc(100% + 16px);margin:4px -8px 0;display:block;accent-color:var(--slide)}
.compare figcaption{display:flex;justify-content:space-between;gap:16px}.compare figcaption span+span{text-align:right}
.keys{margin-top:24px;font-size:13px}kbd{border:1px solid var(--line);border-radius:3px;padding:0 5px}
figure{margin:0}figcaption{color:var(--dim);font-size:13px}
svg.shot{width:100%;height:auto;display:block;border:1px solid var(--line);border-radius:4px;cursor:zoom-in}
figure.wide svg.shot{cursor:zoom-out}
.click{fill:none;stroke:var(--mark);stroke-width:3}.dot{fill:var(--mark)}
.pointer{fill:#fff;stroke:#000;stroke-width:1.2}
.area{fill:none;stroke:var(--mark);stroke-width:2;stroke-dasharray:6 3}
.decided .area{stroke:var(--decided)}
.looked{fill:none;stroke:var(--dim);stroke-width:2;stroke-dasharray:2 4}
table{border-collapse:collapse;width:100%;font-size:14px}td{padding:3px 10px 3px 0;vertical-align:top;overflow-wrap:anywhere}
td:first-child{color:var(--dim);white-space:nowrap;width:1%}
pre{background:var(--code);border:1px solid var(--line);border-radius:4px;padding:6px 10px;margin:4px 0;white-space:pre-wrap;
overflow-wrap:anywhere;font:13px/1.45 ui-monospace,monospace;max-height:340px;overflow:auto}
.verdict-true{color:var(--passed)}.verdict-false{color:var(--failed)}.verdict-cannotTell{color:var(--error)}
";

/// A click on a picture makes it as wide as the page; a link opens its step; a slider shows more of one picture than of
/// the other; `j` and `k` go to the next step and the one before, `f` to the next that did not pass. Sliders have the
/// arrow keys by themselves.
pub(super) const SCRIPT: &str = "
const steps=[...document.querySelectorAll('details.step')];
function show(d){if(!d)return;d.open=true;d.scrollIntoView({block:'start'});d.querySelector('summary').focus({preventScroll:true})}
document.addEventListener('click',e=>{const s=e.target.closest('svg.shot');if(s)s.closest('figure').classList.toggle('wide');
const a=e.target.closest('.bar a,.film a');if(a){const d=document.getElementById(decodeURIComponent(a.hash.slice(1)));if(d)d.open=true}});
document.addEventListener('input',e=>{if(e.target.matches('.compare input'))
e.target.closest('figure').style.setProperty('--at',e.target.value+'%')});
document.addEventListener('keydown',e=>{if(e.ctrlKey||e.altKey||e.metaKey)return;
const here=steps.findIndex(d=>d.getBoundingClientRect().top>-2&&d.getBoundingClientRect().top<innerHeight/2);
const now=steps.indexOf(document.activeElement?.closest?.('details.step')),at=now<0?(here<0?-1:here-1):now;
if(e.key==='j')show(steps[Math.min(at+1,steps.length-1)]);
if(e.key==='k')show(steps[Math.max(at-1,0)]);
if(e.key==='f')show(steps.slice(at+1).find(d=>d.querySelector('.badge.failed,.badge.timedOut,.badge.crashed,.badge.error,.badge.softFailed')))});
";
