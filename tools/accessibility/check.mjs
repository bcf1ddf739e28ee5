// Opens every page in Chromium, light and dark, wide and narrow, and reports what is wrong, as JSON.
//
// Usage: node check.mjs CHROMIUM BOOK PAGE …   (BOOK: the built folder; PAGE: a path inside it)
// Prints {"PAGE": ["fault", …], …}; a page without faults has an empty list.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const THEMES = ["light", "dark"];
const WIDTHS = [390, 1280];
const ALL = { type: "tag", values: ["wcag2a", "wcag2aa"] };
// What a theme changes is colour: in the second one, the rules about it are enough.
const COLOURS = { type: "rule", values: ["color-contrast", "link-in-text-block"] };

/** What axe-core finds on the page as it stands, one line for each element. */
async function audit(page, theme, width) {
  const rules = theme === THEMES[0] ? ALL : COLOURS;
  const { violations } = await page.evaluate(
    (runOnly) => axe.run({ runOnly, resultTypes: ["violations"], preload: false }),
    rules,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes
      .map((node) => ({ selector: node.target.flat(Infinity).join(" "), why: [...node.any, ...node.all, ...node.none][0] }))
      .map(({ selector, why }) => `${id}, ${theme}, ${width} px: ${selector}: ${why?.message ?? ""}`),
  );
}

async function check(browser, address) {
  const faults = [];
  const context = await browser.newContext({ colorScheme: THEMES[0], reducedMotion: "reduce" });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    // No other host answers: the book must be whole without one.
    await page.route(/^(?!file:|data:|blob:)/, (route) => {
      faults.push(`asks another host: ${route.request().url()}`);
      return route.abort();
    });
    page.on("console", (line) => line.type() === "error" && faults.push(`console error: ${line.text()}`));
    page.on("pageerror", (error) => faults.push(`script error: ${error.message}`));
    page.on("requestfailed", (request) => {
      if (request.url().startsWith("file:")) faults.push(`a file is missing: ${path.basename(request.url())}`);
    });
    await page.goto(address, { waitUntil: "load" });
    await page.evaluate(() => window.MathJax?.startup?.promise);
    // A colour that is still fading would be measured halfway.
    await page.addStyleTag({ content: "*, *::before, *::after { transition: none !important; animation: none !important; }" });
    // What is folded away is read too, unfolded as by a reader.
    await page.evaluate(() => {
      document.querySelectorAll("article summary, article .toggle-button").forEach((button) => button.click());
    });
    await page.evaluate(AXE);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      // The theme looks at what scrolls a third of a second after the size has changed.
      await page.waitForTimeout(500);
      // The system's wish for light or dark decides, as for somebody who has not chosen on the page.
      for (const theme of THEMES) {
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        await page
          .waitForFunction((name) => document.documentElement.dataset.theme === name, theme, { timeout: 5_000 })
          .catch(() => faults.push(`does not turn ${theme} for who asks for it`));
        faults.push(...(await audit(page, theme, width)));
      }
    }
  } catch (error) {
    faults.push(`could not be examined: ${error.message}`);
  } finally {
    await context.close();
  }
  return [...new Set(faults)];
}

const [executable, book, ...pages] = process.argv.slice(2);
// Chromium refuses its sandbox to the superuser, as in a container; the pages are our own.
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: executable, args: [...args, "--disable-gpu", "--disable-background-networking"] });
const report = {};
for (const page of pages) report[page] = await check(browser, pathToFileURL(path.join(book, page)).href);
await browser.close();
console.log(JSON.stringify(report));
