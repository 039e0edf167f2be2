/**
 * Looks at the built site as a visitor would, in headless Chromium: every link and anchor leads somewhere, no page writes an
 * error to the console, the search finds what it should, and every page can be read at 360 pixels and in dark mode.
 *
 * `npm run docs -- --check` calls it. With `--screenshots FOLDER` it also keeps pictures of the pages.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const SITE = fileURLToPath(new URL(".vitepress/dist", import.meta.url));
const WIDE = { width: 1280, height: 900 };
const LOOKS = [
  { theme: "light", size: WIDE },
  { theme: "dark", size: { width: 360, height: 740 } },
];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
/** How long to wait for the browser on a busy machine, in milliseconds. */
const PATIENCE = 120_000;
/** What a visitor looks for, and the page that has to be among what is found. */
const SEARCHES = {
  readexactly: "/guides/streams",
  startTls: "/guides/tls",
  isolated: "/guides/context-variables",
  isCancelled: "/guides/tasks",
  copy_context: "/from-python",
  AsyncLocalStorage: "/from-node",
  ERR_TOKEN_USED: "/errors",
  ConnectionResetError: "/errors",
};
/** The least contrast of text that the web's guidelines for accessibility ask for. */
const LEAST_CONTRAST = 4.5;

const screenshots = process.argv[2] === "--screenshots" ? process.argv[3] : undefined;
const complaints = [];
const pages = readdirSync(SITE, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".html") && file !== "404.html")
  .map(
    (file) =>
      `/${file
        .replaceAll("\\", "/")
        .replace(/(?:index)?\.html$/, "")
        .replace(/index$/, "")}`,
  )
  .sort();

checkLinks();
const server = createServer(serve);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await puppeteer.launch({ executablePath: obtainChromium(), args: ["--no-sandbox"], timeout: PATIENCE });
try {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(PATIENCE);
  tab.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) {
      complaints.push(`${tab.url()}: the console says ${message.text()}`);
    }
  });
  tab.on("pageerror", (error) => complaints.push(`${tab.url()}: ${error}`));
  // The pages of the reference are all made in one way: some of them stand for all.
  for (const page of pages.filter((name, index) => !name.startsWith("/reference/") || index % 10 === 0)) {
    await checkPage(tab, page);
  }
  await checkSearch(tab);
} finally {
  await browser.close();
  server.close();
}
for (const complaint of complaints) {
  console.error(complaint);
}
console.log(`${pages.length} pages, ${complaints.length} complaints`);
process.exitCode = complaints.length === 0 ? 0 : 1;

/** Debian's; installed first where that is possible and it is missing. */
function obtainChromium() {
  const find = () => spawnSync("which", ["chromium"], { encoding: "utf8" }).stdout.trim();
  if (find() === "" && process.getuid?.() === 0) {
    for (const args of [
      ["update", "-q"],
      ["install", "-q", "-y", "--no-install-recommends", "chromium"],
    ]) {
      spawnSync("apt-get", args, { stdio: ["ignore", "ignore", "inherit"] });
    }
  }
  return find();
}

function fileOf(path) {
  const names = [path, `${path}.html`, `${path}index.html`].map((name) => join(SITE, decodeURIComponent(name)));
  return names.find((name) => extname(name) !== "" && readOr(name) !== undefined);
}

function readOr(name) {
  try {
    return readFileSync(name);
  } catch {
    return undefined;
  }
}

function serve(request, response) {
  const file = fileOf(new URL(request.url, "http://site").pathname);
  response.writeHead(file === undefined ? 404 : 200, { "content-type": TYPES[extname(file ?? "")] ?? "text/plain" });
  response.end(file === undefined ? "" : readFileSync(file));
}

/** Every link of every page, with its anchor. */
function checkLinks() {
  const idsOf = new Map();
  const read = (page) => {
    const file = fileOf(page);
    const html = file === undefined ? undefined : readFileSync(file, "utf8");
    const ids = html && new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    idsOf.set(page, ids);
    return html;
  };
  const texts = new Map(pages.map((page) => [page, read(page)]));
  for (const [page, html] of texts) {
    for (const [, href] of html.matchAll(/<a [^>]*href="([^"]+)"/g)) {
      if (/^[a-z]+:/.test(href)) {
        continue;
      }
      const { pathname, hash } = new URL(href.replaceAll("&amp;", "&"), `http://site${page}`);
      if (!idsOf.has(pathname)) {
        read(pathname);
      }
      const ids = idsOf.get(pathname);
      if (ids === undefined) {
        complaints.push(`${page}: ${href} leads nowhere`);
      } else if (hash !== "" && !ids.has(decodeURIComponent(hash.slice(1)))) {
        complaints.push(`${page}: ${href} leads to no heading`);
      }
    }
  }
}

async function checkPage(tab, page) {
  for (const { theme, size } of LOOKS) {
    await tab.setViewport(size);
    await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    await tab.goto(origin + page, { waitUntil: "networkidle0" });
    const { width, faint, overflowing } = await tab.evaluate(measure, LEAST_CONTRAST);
    if (width > size.width) {
      complaints.push(`${page}: ${width} pixels wide in a window of ${size.width}`);
    }
    if (faint.length > 0) {
      complaints.push(`${page}: hard to read in ${theme} mode: ${faint.slice(0, 3).join(", ")}`);
    }
    if (overflowing.length > 0) {
      complaints.push(`${page}: text outside of its picture or box: ${overflowing.slice(0, 3).join(", ")}`);
    }
    if (screenshots !== undefined) {
      mkdirSync(screenshots, { recursive: true });
      const name = page.replaceAll("/", "_");
      await tab.screenshot({ path: join(screenshots, `${name}-${theme}.png`) });
    }
  }
}

/** Runs in the page: how wide it is, and which of its text stands out too little from what is behind it, or of
 * a picture's text is too long for its place. */
function measure(leastContrast) {
  const luminance = (color) => {
    const [red, green, blue] = color.match(/[\d.]+/g).map((part) => {
      const level = Number(part) / 255;
      return level <= 0.03928 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const isOpaque = (color) => !/, 0(?:\.\d+)?\)$/.test(color);
  const backgroundOf = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (isOpaque(color)) {
        return color;
      }
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const faint = [...document.querySelectorAll("main p, main li, main td, main h1, main h2, main text")]
    .filter((element) => element.textContent.trim() !== "" && element.checkVisibility())
    .filter((element) => {
      const style = getComputedStyle(element);
      const [light, dark] = [
        luminance(element.tagName === "text" ? style.fill : style.color),
        luminance(backgroundOf(element)),
      ].sort((left, right) => right - left);
      return (light + 0.05) / (dark + 0.05) < leastContrast;
    })
    .map((element) => element.textContent.trim().slice(0, 40));
  const overflowing = [...document.querySelectorAll(".picture text")]
    .filter((text) => {
      const box = text.parentElement.querySelector("path, polygon, ellipse");
      const inner = text.getBoundingClientRect();
      const isNode = text.parentElement.classList.contains("node");
      const outer = (isNode ? box : text.ownerSVGElement).getBoundingClientRect();
      return inner.left < outer.left || inner.right > outer.right;
    })
    .map((element) => element.textContent.trim());
  return { width: document.documentElement.scrollWidth, faint, overflowing };
}

async function checkSearch(tab) {
  await tab.setViewport(WIDE);
  for (const [text, wanted] of Object.entries(SEARCHES)) {
    await tab.goto(`${origin}/start`, { waitUntil: "networkidle0" });
    await tab.click("#local-search button");
    await tab.waitForSelector("#localsearch-input");
    await tab.type("#localsearch-input", text);
    try {
      await tab.waitForFunction(
        (path) => [...document.querySelectorAll("#localsearch-list a")].some((link) => link.pathname === path),
        { timeout: 30_000 },
        wanted,
      );
    } catch {
      complaints.push(`the search for ${text} does not find ${wanted}`);
    }
  }
}
