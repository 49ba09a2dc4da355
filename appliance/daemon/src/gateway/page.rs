//! The look of the pages we make ourselves: one style, no script, nothing loaded from anywhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What our own pages may do: their inline style and forms to ourselves.
pub const CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; \
                       frame-ancestors 'none'; base-uri 'none'; treat-as-public-address";
/// Pages on the box's own names: a treat-as-public page could not link to the box.
pub const CSP_BOX: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; \
                           form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// The style of all of them; `admin` adds to it.
pub const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2021;--soft:#5b6165;--line:#d9dcde;--edge:#868d92;--paper:#fff;--wash:#f4f5f6;--go:#0b6b4f}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8e9;--soft:#a2a9ad;--line:#3a3f42;--edge:#7c858b;--paper:#16181a;--wash:#212426;--go:#6fd3b0}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:52rem;margin:0 auto;padding:1.25rem 1rem 3rem}
h1{font-size:1.45rem;line-height:1.25;margin:.5rem 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:1.75rem 0 .5rem}
a{color:var(--go)}
p,li{overflow-wrap:anywhere}
.soft{color:var(--soft);font-size:.9rem}
code,pre{font:.875rem/1.5 ui-monospace,monospace;background:var(--wash);border-radius:.3rem}
code{padding:.1rem .3rem;overflow-wrap:anywhere}
pre{padding:.7rem .8rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.ask{display:flex;gap:.5rem;flex-wrap:wrap}
.ask input{flex:1 1 14rem}
input{min-width:0;padding:.6rem .7rem;font:inherit;color:inherit;background:var(--wash);border:1px solid var(--edge);border-radius:.4rem}
button,.button{padding:.6rem 1.1rem;font:inherit;color:var(--paper);background:var(--go);border:0;border-radius:.4rem;text-decoration:none;display:inline-block}
progress{width:100%;height:.8rem;accent-color:var(--go)}
table{width:100%;border-collapse:collapse}
th,td{text-align:left;padding:.45rem .4rem;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{overflow-wrap:anywhere}
th{font-size:.85rem;font-weight:600;white-space:nowrap}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
footer{margin-top:2rem;padding-top:.75rem;border-top:1px solid var(--line)}
";

/// A whole page.
pub fn page(title: &str, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
    .into_string()
}
