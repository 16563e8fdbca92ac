// Opens pages in a headless Chromium, in light and dark at 1,280 and 390 px, and tells what is wrong with them:
// findings of axe-core, a page that scrolls sideways, text of pictures under 11 px, requests to elsewhere, controls
// that the keyboard does not reach or whose focus is not seen.
//
//   node browser.mjs TOOLS CHROMIUM URL FOLDER|- PATH...
//
// TOOLS has node_modules with puppeteer-core and axe-core. With a FOLDER it also saves a picture of each page.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [tools, executablePath, url, folder, ...paths] = process.argv.slice(2);
const require = createRequire(join(tools, "node_modules", "x.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const origin = new URL(url).origin;
const problems = [];

const browser = await puppeteer.launch({
  executablePath, pipe: true, args: ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"],
});
const page = await browser.newPage();
let place = "";
const wrong = (what) => problems.push(`${place}: ${what}`);
page.on("request", (request) => { if (!request.url().startsWith(origin)) wrong(`asks ${request.url()}`); });
page.on("console", (message) => { if (message.type() === "error" && !/status of 40[134]/.test(message.text())) wrong(`console: ${message.text()}`); });

async function look(path, width, scheme) {
  place = `${path} at ${width} px, ${scheme}`;
  await page.setViewport({ width, height: 900, isMobile: width < 500, hasTouch: width < 500 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(url + path, { waitUntil: "load" });
  const shape = await page.evaluate(() => {
    const root = document.documentElement, texts = [...document.querySelectorAll("svg text")];
    const size = (t) => parseFloat(getComputedStyle(t).fontSize) * (t.getScreenCTM()?.a ?? 1);
    const seen = texts.filter((t) => t.getBoundingClientRect().width > 0);
    return {
      over: Math.max(root.scrollWidth, document.body.scrollWidth) - root.clientWidth,
      widest: [...document.querySelectorAll("main *")].filter((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > root.clientWidth + 1)
        .slice(0, 3).map((e) => e.outerHTML.slice(0, 90)),
      smallest: Math.min(...seen.map(size), Infinity), styled: document.styleSheets.length,
    };
  });
  if (shape.over > 0) wrong(`scrolls sideways by ${shape.over} px: ${shape.widest.join(" | ")}`);
  if (shape.smallest !== null && shape.smallest < 10.9) wrong(`text of a picture is ${shape.smallest.toFixed(1)} px`);
  if (!shape.styled) wrong("has no style sheet");
  // The policy of the page forbids scripts, but not those of the driver in a world of its own.
  await page.mainFrame().isolatedRealm().evaluate(axe);
  const found = await page.mainFrame().isolatedRealm().evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map((v) => `${v.id} (${v.impact}): ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")} [${v.nodes.length}]`);
  });
  found.forEach((text) => wrong(`axe: ${text}`));
  if (folder !== "-") {
    const name = `${path.replace(/[^a-z0-9]+/gi, "_").slice(0, 40) || "start"}-${width}-${scheme}.png`;
    await page.screenshot({ path: join(folder, name), fullPage: true });
  }
}

async function walk(path) {
  place = `${path} by keyboard`;
  const wanted = await page.evaluate(() => {
    const selector = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
    const all = [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility() && e.getClientRects().length);
    all.forEach((e, k) => { e.setAttribute("data-walk", k); });
    return all.map((e) => e.outerHTML.slice(0, 90));
  });
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  const reached = new Set();
  for (let k = 0; k < wanted.length + 3; k += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
      const drawn = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
      return { k: e.getAttribute("data-walk"), seen: drawn && inside, html: e.outerHTML.slice(0, 90) };
    });
    if (at.k === null) continue;
    reached.add(Number(at.k));
    if (!at.seen) wrong(`focus is not seen on ${at.html}`);
  }
  wanted.forEach((html, k) => { if (!reached.has(k)) wrong(`not reached: ${html}`); });
}

for (const path of paths) {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await look(path, width, scheme);
      if (scheme === "light") await walk(path);
    }
  }
}
await browser.close();
console.log([`${paths.length} pages, ${problems.length} problems`, ...problems].join("\n"));
process.exitCode = problems.length ? 1 : 0;
