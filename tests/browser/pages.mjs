// Looks at the pages of a registry in a real browser.
//
//     node tests/browser/pages.mjs URL MODULES BROWSER [SCREENSHOTS]
//
// URL is a registry that fill.py has filled, MODULES the node_modules with playwright-core and axe-core. Fails if axe-core
// finds something serious, if a page reports an error or breaks its own policy, or if a step does not work.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [url, modules, executablePath, screenshots] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "/"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const image = "/ui/repositories/shop/api/-/manifests/2.0.0";
const hostile = "/ui/repositories/zz-hostile/-/manifests/v1";

const browser = await chromium.launch({
  executablePath,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

// Opens a page in which every error and every violation of the policy is noted.
async function open(options = {}) {
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1180, height: 860 }, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(`error: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.problems.push(`console: ${message.text()}`);
  });
  page.on("dialog", (dialog) => page.problems.push(`dialog: ${dialog.message()}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) {
      page.problems.push(`request to ${request.url()}`);
    }
  });
  return page;
}

async function visit(page, path, status = 200) {
  const response = await page.goto(path);
  assert.equal(response.status(), status, path);
  assert.equal(await page.locator("h1").count(), 1, `one h1 on ${path}`);
}

// The addresses of pages that links lead to.
async function addresses() {
  const page = await open();
  await visit(page, image);
  const child = await page.locator("[aria-labelledby=platforms] a[href*='manifests/sha256:']").first().getAttribute("href");
  await visit(page, child);
  const layer = await page.locator("a[href*='/layers/']").last().getAttribute("href");
  const files = await page.getByRole("link", { name: "Browse files" }).getAttribute("href");
  await visit(page, `${image}/referrers`);
  const artifacts = await page.locator("table.tree a[href*='manifests/']").evaluateAll(
    (links) => [...new Set(links.map((link) => link.getAttribute("href")))],
  );
  await visit(page, artifacts[0]);
  const blob = await page.locator("a[href*='/blobs/']:not([download])").first().getAttribute("href");
  await page.context().close();
  return [
    "/ui/", "/ui/mirrors", "/ui/?q=shop", "/ui/?q=nothing", "/ui/repositories/shop/api", "/ui/repositories/shop/api?sort=created",
    "/ui/repositories/shop/api/-/compare?from=1.10.0&to=2.0.0", image, `${image}/referrers`, `${image}/delete`,
    "/ui/repositories/shop/api/-/tags/2.0.0/untag", "/ui/repositories/charts/shop/-/manifests/2.0.0", child, layer,
    files, `${files}etc`, ...artifacts, blob, hostile, "/ui/repositories/zz-hostile",
  ];
}

async function isAccessible(paths, colorScheme, viewport) {
  const page = await open({ colorScheme, viewport, bypassCSP: true });
  for (const path of paths) {
    await visit(page, path);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(" ")}`);
    assert.deepEqual(found, [], `${colorScheme} ${viewport.width} ${path}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${path} is ${overflow} pixels too wide at ${viewport.width}`);
  }
  await page.context().close();
}

// Every page loads without an error, and nothing on it breaks the policy.
async function areClean(paths) {
  const page = await open();
  for (const path of paths) {
    await visit(page, path);
    assert.notEqual(await page.title(), "broken", path);
    assert.deepEqual(page.problems, [], path);
  }
  await page.context().close();
}

async function searchesWhileTyping() {
  const page = await open();
  await visit(page, "/ui/");
  await page.getByRole("searchbox").pressSequentially("front");
  await page.waitForFunction(() => document.querySelectorAll("#results tbody tr").length === 1);
  assert.match(page.url(), /q=front/);
  await visit(page, "/ui/repositories/shop/api");
  await page.getByLabel("Sort by").selectOption("name");
  await page.waitForURL(/sort=name/);
  assert.equal(await page.locator("tbody tr").first().locator("th").innerText(), "1.10.0");
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

async function copiesCommands() {
  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  await visit(page, image);
  await page.getByRole("button", { name: "Copy the command of podman" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, `podman pull ${new URL(url).host}/shop/api:2.0.0`);
  await page.context().close();
}

async function worksWithTheKeyboard() {
  const page = await open();
  await visit(page, "/ui/");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await page.context().close();
}

async function worksWithoutScripts() {
  const page = await open({ javaScriptEnabled: false });
  await visit(page, "/ui/");
  await page.getByRole("searchbox").fill("shop/api");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("link", { name: "shop/api" }).click();
  await page.getByLabel("Sort by").selectOption("name");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  assert.equal(await page.locator("tbody tr").first().locator("th").innerText(), "1.10.0");
  assert.equal(await page.getByRole("button", { name: "Copy" }).count(), 0);
  await page.getByRole("link", { name: "1.10.0", exact: true }).click();
  await page.getByText("Show the manifest").click();
  assert.ok(await page.locator("pre").isVisible());
  await page.context().close();
}

async function deletesAfterAsking() {
  const page = await open({ javaScriptEnabled: false });
  await visit(page, "/ui/repositories/tools/migrate/-/manifests/v0.9");
  await page.getByRole("link", { name: "Remove tag" }).click();
  await page.getByRole("button", { name: "Remove the tag" }).click();
  await page.waitForURL(/migrate$/);
  assert.equal(await page.getByRole("link", { name: "v0.9", exact: true }).count(), 0);
  await page.getByRole("link", { name: "v0.10", exact: true }).click();
  await page.getByRole("link", { name: "Delete" }).click();
  assert.match(await page.locator("main").innerText(), /These tags name it[^]*v0\.10/);
  await page.getByRole("button", { name: "Delete the manifest" }).click();
  await page.waitForURL(/migrate$/);
  await page.context().close();
}

async function downloadsFiles(paths) {
  const page = await open();
  await visit(page, paths.find((path) => path.includes("/files?path=")) + "etc");
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "os-release" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "os-release");
  await page.context().close();
}

async function takeScreenshots(paths, directory) {
  const shots = [
    ["repositories-light", "/ui/", "light"],
    ["image-light", paths.find((path) => path.includes("manifests/sha256:")), "light"],
    ["compare-dark", "/ui/repositories/shop/api/-/compare?from=1.10.0&to=2.0.0", "dark"],
  ];
  for (const [name, path, colorScheme] of shots) {
    const page = await open({ colorScheme });
    await visit(page, path);
    await page.screenshot({ path: join(directory, `${name}.png`) });
    await page.context().close();
  }
}

try {
  const paths = await addresses();
  if (screenshots) await takeScreenshots(paths, screenshots);
  await areClean(paths);
  await isAccessible(paths, "light", { width: 1180, height: 860 });
  await isAccessible(paths, "dark", { width: 1180, height: 860 });
  await isAccessible(paths, "light", { width: 360, height: 740 });
  await searchesWhileTyping();
  await copiesCommands();
  await worksWithTheKeyboard();
  await worksWithoutScripts();
  await downloadsFiles(paths);
  await deletesAfterAsking();
  console.log(`${paths.length} pages in light, dark and narrow`);
} finally {
  await browser.close();
}
