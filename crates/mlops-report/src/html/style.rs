//! The style sheet of the page, which begins with the colours of [`palette`].
//!
//! Not for the layout of the pictures.

use crate::palette;

/// The content of the `<style>` element.
pub(super) fn sheet() -> String {
    format!("{}{BASE}\n{PRINT}", palette::sheet())
}

const BASE: &str = r"*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--ground);color:var(--text);line-height:1.55;
font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Helvetica,Arial,sans-serif;
overflow-wrap:break-word}
header,main,footer{max-width:70rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
h1{font-size:clamp(1.5rem,4.5vw,2.2rem);line-height:1.2;margin:0 0 .4rem;letter-spacing:-.01em}
h2{font-size:1.3rem;line-height:1.25;margin:0 0 .75rem}
h3{font-size:1.05rem;line-height:1.3;margin:1.4rem 0 .6rem}
p{margin:0 0 .9rem;max-width:46rem}
.bars{display:block;fill:var(--blue)}
a{color:var(--link)}
a:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace;
font-size:.92em;overflow-wrap:anywhere}
details{margin:-.4rem 0 .9rem}
summary{color:var(--link);cursor:pointer;padding:.2rem 0}
.meta{color:var(--muted);display:flex;flex-wrap:wrap;gap:.1rem 1.4rem;margin-bottom:1.5rem;
max-width:none}
.small{color:var(--muted);font-size:.88rem}
section{background:var(--paper);border:1px solid var(--line);border-radius:12px;
padding:1.5rem 1.6rem;margin:0 0 1.25rem;min-width:0}
section>:last-child{margin-bottom:0}
#verdict{border-top:5px solid var(--bad)}
#verdict.good{border-top-color:var(--good)}
#verdict h2{font-size:.85rem;text-transform:uppercase;letter-spacing:.08em;color:var(--muted);
margin-bottom:.5rem}
.lead{font-size:clamp(1.12rem,2.6vw,1.4rem);line-height:1.45;max-width:54rem;text-wrap:pretty}
.alarm{background:var(--bad-bg);border-left:4px solid var(--bad);border-radius:6px;
padding:.6rem .9rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11.5rem,1fr));gap:.8rem;
margin:1.3rem 0}
.tile{border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem;min-width:0}
.tile dt{color:var(--muted);font-size:.88rem}
.tile dd{margin:0}
.value{display:block;font-size:1.9rem;font-weight:650;line-height:1.25;
font-variant-numeric:tabular-nums}
.say{display:block;color:var(--muted);font-size:.88rem;line-height:1.35}
.gauge{margin-top:1.5rem}
.track{position:relative;height:14px;border-radius:7px;background:var(--ground);
border:1px solid var(--line)}
.track i{position:absolute;display:block}
.track .band{top:0;bottom:0;min-width:2px;background:var(--band);border-radius:3px}
.track .dot{top:50%;width:16px;height:16px;margin:-8px 0 0 -8px;border-radius:50%;
background:var(--blue);border:2px solid var(--paper)}
.track .const{top:-6px;bottom:-6px;width:3px;margin-left:-1.5px;background:var(--orange)}
.ends{display:flex;justify-content:space-between;color:var(--muted);font-size:.8rem;
margin-top:.3rem}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.5rem;font-size:.88rem;margin:.4rem 0 0;
max-width:none}
.key span{white-space:nowrap}
.key i{display:inline-block;margin-right:.5em;vertical-align:middle}
.k-dot{width:12px;height:12px;border-radius:50%;background:var(--blue)}
.k-band{width:20px;height:10px;border-radius:3px;background:var(--band)}
.k-const{width:3px;height:16px;background:var(--orange)}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.3rem;margin:0 .2rem 1.25rem;font-size:.95rem}
.scroll{overflow-x:auto;margin:0 0 .9rem;border:1px solid var(--line);border-radius:8px;background:
linear-gradient(90deg,var(--paper) 40%,transparent) left/2.5rem 100% no-repeat local,
linear-gradient(270deg,var(--paper) 40%,transparent) right/2.5rem 100% no-repeat local,
linear-gradient(90deg,var(--shade),transparent) left/.9rem 100% no-repeat scroll,
linear-gradient(270deg,var(--shade),transparent) right/.9rem 100% no-repeat scroll}
table{border-collapse:collapse;width:100%;font-size:.92rem;line-height:1.4}
th,td{padding:.5rem .8rem;text-align:left;vertical-align:top;max-width:24rem}
thead th{color:var(--muted);font-weight:600;font-size:.84rem;border-bottom:1px solid var(--line);
white-space:nowrap}
tbody th,tfoot th{font-weight:600;min-width:9.5rem}
tbody tr+tr>*{border-top:1px solid var(--line)}
tfoot>tr>*{border-top:2px solid var(--line);font-weight:600}
th,td{overflow-wrap:anywhere}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td:not(.n){min-width:6.6rem}
td:last-child:not(.n){min-width:12.5rem}
.bare{list-style:none;margin:0;padding:0;min-width:12rem}
.facts,footer dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));
gap:.7rem 1.5rem;margin:0 0 1.2rem}
dt{color:var(--muted);font-size:.84rem}
dd{margin:0;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,23rem),1fr));
gap:1.2rem;align-items:start}
figure{margin:0;border:1px solid var(--line);border-radius:10px;overflow:hidden;
background:var(--paper);max-width:40rem}
figure svg{display:block;width:100%;height:auto}
figcaption{color:var(--muted);font-size:.88rem;line-height:1.45;padding:.2rem 1rem .9rem}
.beside{display:grid;gap:1.2rem;align-items:start}
.beside>*{min-width:0}
@media (min-width:62rem){.beside{grid-template-columns:9fr 11fr}
.figures>:last-child:nth-child(odd):not(:first-child){grid-column:1/-1;justify-self:center;
width:calc(50% - .6rem)}}
.beside p:last-child{margin-bottom:0}
.findings{list-style:none;margin:0;padding:0;display:grid;gap:.7rem}
.findings li{border-left:4px solid var(--blue);background:var(--neutral-bg);border-radius:6px;
padding:.65rem .95rem;min-width:0;display:grid;grid-template-columns:5.8rem 1fr}
.findings span{min-width:0}
.findings .serious{border-color:var(--bad);background:var(--bad-bg)}
.findings .serious strong{color:var(--bad)}
.findings .warning{border-color:var(--warning);background:var(--warning-bg)}
.findings .warning strong{color:var(--warning)}
footer{padding-top:.6rem;padding-bottom:2.5rem;font-size:.9rem}
footer h2{font-size:1rem}
@media (max-width:34rem){header,main,footer{padding-left:.7rem;padding-right:.7rem}
header{padding-top:1.4rem}section{padding:1.1rem .95rem;border-radius:10px}
.tiles{grid-template-columns:1fr 1fr;gap:.6rem}.tile{padding:.65rem .75rem}
.value{font-size:1.5rem}.key span{white-space:normal}
figure{margin-left:-.4rem;margin-right:-.4rem}.findings li{grid-template-columns:1fr}}";

const PRINT: &str = r"@media print{@page{size:A4;margin:15mm 14mm}
:root{color-scheme:light;--ground:#FFFFFF}
html{font-size:9.5pt}
body{-webkit-print-color-adjust:exact;print-color-adjust:exact}
header,main,footer{max-width:none;padding:0}
section{border:0;border-radius:0;padding:0;margin:0 0 7mm}
#verdict{padding-top:3mm}
nav{display:none}
h2{break-after:avoid}
figure,tr,.tile,.tiles,.gauge,.alarm,.facts,.findings li,footer{break-inside:avoid}
.figures{grid-template-columns:1fr 1fr;gap:5mm}
.beside{grid-template-columns:1fr}
.beside .figures{grid-template-columns:110mm}
.tiles{grid-template-columns:repeat(4,1fr)}
.scroll{overflow:visible;background:none}
table{font-size:8pt}
th,td{padding:1.2mm 1.6mm;min-width:0!important}
thead{display:table-header-group}
tfoot{display:table-row-group}
a{color:inherit;text-decoration:none}}
";
