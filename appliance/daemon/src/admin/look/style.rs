//! The style that admin pages add to the gateway's.

pub const STYLE: &str = "\
:root{--bad:#a3211c;--warn:#855400;--on:#fff}
@media(prefers-color-scheme:dark){:root{--bad:#ff9d94;--warn:#efbf62;--on:#10211b}}
button,.button{color:var(--on);min-height:2.6rem;cursor:pointer;font-weight:600}
.skip{position:absolute;left:-99rem}
.skip:focus{left:.5rem;top:.5rem;background:var(--paper);padding:.6rem;z-index:1}
:focus-visible{outline:3px solid var(--go);outline-offset:2px;border-radius:.2rem}
main:focus{outline:0}
.top{display:flex;justify-content:space-between;align-items:center;flex-wrap:wrap;gap:.25rem 1rem;padding:.5rem 1rem;border-bottom:1px solid var(--line)}
.top form{display:flex;align-items:center;gap:.6rem}
.brand{font-weight:700;font-size:1.15rem;text-decoration:none;color:var(--ink);padding:.3rem 0}
nav ul{list-style:none;margin:0;padding:.4rem .5rem;display:flex;flex-wrap:wrap;background:var(--wash);border-bottom:1px solid var(--line)}
nav li a{display:block;padding:.35rem .5rem;border-radius:.4rem;text-decoration:none;color:var(--ink)}
nav li a:hover{text-decoration:underline}
nav [aria-current]{font-weight:700;text-decoration:underline;text-decoration-thickness:.15em;text-underline-offset:.3em;text-decoration-color:var(--go)}
@media(min-width:64rem){
body{display:grid;grid-template-columns:14rem minmax(0,1fr);grid-template-rows:auto 1fr;min-height:100vh}
.top{grid-column:1/-1}
body>nav{grid-row:2;background:var(--wash);border-right:1px solid var(--line)}
body>nav ul{display:block;padding:1rem;border:0;position:sticky;top:0}
body>nav li a{padding:.45rem .6rem}
main{width:100%;max-width:60rem;margin:0;padding:1.25rem 2.5rem 3rem;grid-row:2;grid-column:2}
main:nth-child(3){grid-column:1/-1;margin:0 auto;max-width:44rem}
}
main>progress{display:block;margin:.4rem 0 1rem}
.quiet{background:none;color:var(--go);border:1px solid var(--edge);font-weight:400}
.quiet:hover{border-color:var(--go)}
.loss{background:none;color:var(--bad);border:1px solid var(--bad)}
.top .quiet{min-height:2rem;padding:.2rem .7rem;font-size:.9rem}
.lead{font-size:1.05rem;margin-top:-.4rem}
.notice,.light,.errors,.ask-first{border:1px solid var(--line);border-left:.4rem solid var(--go);border-radius:.4rem;padding:.7rem 1rem;background:var(--wash);margin:0 0 1.25rem}
.light h2,.errors h2,.ask-first h2{margin:0 0 .25rem}
.light p,.light ul{margin:.25rem 0}
.is-warn,.ask-first{border-left-color:var(--warn)}
.is-plain{border-left-color:var(--edge)}
.is-bad,.errors{border-left-color:var(--bad)}
.errors a,.error{color:var(--bad);font-weight:600}
.error{margin:.2rem 0}
.field{margin:0 0 1.1rem}
.field label,legend{display:block;font-weight:600}
.field input,.field textarea,.field select{width:100%;max-width:34rem;display:block;margin-top:.3rem}
.field .short{max-width:9rem;display:inline-block}
:is(.field,.cards) .check{display:inline-block;width:1.3rem;height:1.3rem;margin:0 .5rem 0 0;vertical-align:-.25rem;accent-color:var(--go)}
textarea,select{font:inherit;color:inherit;background:var(--wash);border:1px solid var(--edge);border-radius:.4rem;padding:.6rem .7rem;min-width:0}
[aria-invalid]{border-color:var(--bad);border-width:2px}
fieldset{border:1px solid var(--line);border-radius:.4rem;margin:0 0 1.1rem;padding:.8rem 1rem;min-width:0}
.field .inline{display:inline}
.span{display:flex;flex-wrap:wrap;gap:.4rem .8rem;padding:.6rem 0;border-top:1px solid var(--line)}
.span label{font-size:.9rem;font-weight:400;color:var(--soft)}
.cell{flex:1 1 7rem;min-width:0}
.cell input{width:100%}
.hint{color:var(--soft);font-size:.9rem;margin:.1rem 0}
.deeds{display:flex;flex-wrap:wrap;gap:.6rem;align-items:center;margin:.8rem 0}
.deeds form{margin:0}
form+.hint{margin-top:.6rem}
.facts{margin:0}
.facts div{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.45rem 0;border-bottom:1px solid var(--line)}
.facts dt{flex:0 0 12rem;color:var(--soft)}
.facts dd{flex:1 1 14rem;margin:0;overflow-wrap:anywhere}
.facts p{margin:0}
tbody th{font-size:1rem;white-space:normal;overflow-wrap:anywhere}
td time{white-space:nowrap}
.ask input{flex-basis:11rem}
.ask{margin:.8rem 0}
caption{text-align:left;color:var(--soft);font-size:.9rem;padding-bottom:.4rem}
.cards{list-style:none;margin:0;padding:0}
.cards li{padding:.7rem 0;border-bottom:1px solid var(--line)}
.cards p{margin:.1rem 0}
.cards .deeds,.cards progress{margin:.4rem 0 0}
.cards strong a{display:inline-block;padding:.1rem 0}
.stack .quiet{min-height:2rem;padding:.15rem .7rem}
.pager{display:flex;gap:1rem;flex-wrap:wrap;margin:1rem 0}
.pager a,.sort a{display:inline-block;padding:.2rem 0}
.sort{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem 1rem;margin:.6rem 0}
.scene{list-style:none;padding-left:1rem;border-left:.25rem solid var(--line)}
.scene li{padding:.35rem 0}
.scene p{margin:.1rem 0 0 1.9rem}
.mark{display:inline-block;width:1.9rem;color:var(--go)}
pre{overflow-x:auto;padding:.7rem 1rem;background:var(--wash)}
.late{color:var(--warn);font-weight:600}
.ill{color:var(--bad);font-weight:600}
@media(max-width:36rem){
table.stack thead{position:absolute;left:-99rem}
table.stack tr{display:block;border-bottom:1px solid var(--line);padding:.5rem 0}
table.stack :is(td,th){display:block;border:0;padding:.1rem 0;text-align:left;white-space:normal;font-size:1rem}
table.stack td[data-is]::before{content:attr(data-is) \": \";color:var(--soft)}
}
@media print{
.top form,nav,form:not(.rows),.skip,.deeds,.sort,.screen,button{display:none!important}
body{display:block;color:#000;background:#fff;font-size:11pt}
main,.top{max-width:none;padding:0}
a{color:#000}
.notice,.light,.errors,.ask-first{background:none}
li,tr,dl div{break-inside:avoid}
}
";
